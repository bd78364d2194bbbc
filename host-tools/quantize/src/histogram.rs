//! Records the distribution of a tensor's values in one pass and in fixed memory.

/// Number of bins that lie on each side of zero.
const HALF: usize = 4096;

/// Number of candidates that are tried for each end of a range.
const CANDIDATES: usize = 100;

/// A histogram whose limits double as values demand. Zeros, which every quantization represents
/// exactly, are not counted.
#[derive(Clone, Debug)]
pub struct Histogram {
    bins: Vec<u64>,
    /// Limit of the bins, which cover [-limit, limit); it is a power of two.
    limit: f32,
    low: f32,
    high: f32,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram {
            bins: vec![0; 2 * HALF],
            limit: 2f32.powi(-20),
            low: 0.0,
            high: 0.0,
        }
    }
}

impl Histogram {
    /// Counts a value, unless it is 0 or not finite.
    pub fn add(&mut self, value: f32) {
        if value == 0.0 || !value.is_finite() {
            return;
        }
        while value.abs() >= self.limit {
            self.double();
        }
        self.low = self.low.min(value);
        self.high = self.high.max(value);
        let bin = (value / self.limit + 1.0) * HALF as f32;
        self.bins[(bin as usize).min(2 * HALF - 1)] += 1;
    }

    fn double(&mut self) {
        let mut bins = vec![0; 2 * HALF];
        for (index, pair) in self.bins.chunks(2).enumerate() {
            bins[HALF / 2 + index] = pair[0] + pair[1];
        }
        self.bins = bins;
        self.limit *= 2.0;
    }

    pub fn merge(&mut self, other: &Histogram) {
        let mut other = other.clone();
        while self.limit < other.limit {
            self.double();
        }
        while other.limit < self.limit {
            other.double();
        }
        self.bins
            .iter_mut()
            .zip(&other.bins)
            .for_each(|(bin, other)| *bin += other);
        self.low = self.low.min(other.low);
        self.high = self.high.max(other.high);
    }

    /// Returns the values above 0, in ascending order, with their counts; a bin's centre stands for its
    /// values.
    pub fn positive(&self) -> impl Iterator<Item = (f64, f64)> {
        let width = f64::from(self.limit) / HALF as f64;
        let bins = self.bins[HALF..].iter().enumerate();
        bins.filter(|&(_, &count)| count > 0)
            .map(move |(bin, &count)| ((bin as f64 + 0.5) * width, count as f64))
    }

    /// Returns the smallest and the largest value, 0 included.
    pub fn bounds(&self) -> (f32, f32) {
        (self.low, self.high)
    }

    /// Returns the range that leaves out a share of `tail` (0 to 1) at either end of the values that are
    /// not 0. The range holds 0.
    pub fn percentile_range(&self, tail: f64) -> (f32, f32) {
        let total: u64 = self.bins.iter().sum();
        let beyond = (total as f64 * tail) as u64;
        let edge = |bin: usize| (bin as f32 / HALF as f32 - 1.0) * self.limit;
        let low = reaching(self.bins.iter(), beyond).map_or(0.0, edge);
        let high = reaching(self.bins.iter().rev(), beyond).map_or(0.0, |bin| -edge(bin));
        (low.clamp(self.low, 0.0), high.clamp(0.0, self.high))
    }

    /// Returns the mean square error of rounding to and clipping at a range in 8 bits, for values that are
    /// not 0.
    pub fn error(&self, (low, high): (f32, f32)) -> f64 {
        let clipping = Clipping::new(self);
        let (low, high) = (f64::from(low), f64::from(high));
        let (below, above) = (clipping.below(low), clipping.above(high));
        clipping.error(low, high, below, above) / clipping.total.max(1.0)
    }

    /// Returns the range of least mean square error in 8 bits: narrower ones round finer, but clip.
    pub fn best_range(&self) -> (f32, f32) {
        let clipping = Clipping::new(self);
        let ends = |end: f32| {
            let count = if end == 0.0 { 1 } else { CANDIDATES };
            (0..count).map(move |i| f64::from(end) * (1.0 - i as f64 / CANDIDATES as f64))
        };
        let above: Vec<_> = ends(self.high)
            .map(|high| (high, clipping.above(high)))
            .collect();
        let mut best = (f64::MAX, self.bounds());
        for low in ends(self.low) {
            let below = clipping.below(low);
            for &(high, above) in &above {
                let error = clipping.error(low, high, below, above);
                if error < best.0 {
                    best = (error, (low as f32, high as f32));
                }
            }
        }
        best.1
    }
}

/// Returns the bin with which more than `beyond` values are counted.
fn reaching<'a>(bins: impl Iterator<Item = &'a u64>, beyond: u64) -> Option<usize> {
    let mut counts = bins.scan(0, |count, bin| {
        *count += bin;
        Some(*count)
    });
    counts.position(|count| count > beyond)
}

/// Sums over the bins from below, which tell the square error of clipping at once.
struct Clipping {
    bin_width: f64,
    /// Count, sum and sum of squares of the values that lie in the bins before each bin.
    sums: Vec<[f64; 3]>,
    total: f64,
}

impl Clipping {
    fn new(histogram: &Histogram) -> Clipping {
        let bin_width = f64::from(histogram.limit) / HALF as f64;
        let mut sums = vec![[0.0; 3]];
        for (index, &count) in histogram.bins.iter().enumerate() {
            let (count, centre) = (count as f64, (index as f64 + 0.5 - HALF as f64) * bin_width);
            let [n, sum, squares] = sums[index];
            sums.push([
                n + count,
                sum + count * centre,
                squares + count * centre * centre,
            ]);
        }
        let total = sums[sums.len() - 1][0];
        Clipping {
            bin_width,
            sums,
            total,
        }
    }

    fn bin(&self, value: f64) -> usize {
        (value / self.bin_width + HALF as f64)
            .round()
            .clamp(0.0, 2.0 * HALF as f64) as usize
    }

    /// Returns the square error and the number of the values below `low`, which are clipped to it.
    fn below(&self, low: f64) -> (f64, f64) {
        let [n, sum, squares] = self.sums[self.bin(low)];
        (squares - 2.0 * low * sum + low * low * n, n)
    }

    /// Returns the square error of all values, given error and number of those that are clipped at either
    /// end.
    fn error(&self, low: f64, high: f64, below: (f64, f64), above: (f64, f64)) -> f64 {
        let step = (high - low) / 255.0;
        let rounded = self.total - below.1 - above.1;
        below.0 + above.0 + rounded * step * step / 12.0
    }

    fn above(&self, high: f64) -> (f64, f64) {
        let (before, all) = (self.sums[self.bin(high)], self.sums[self.sums.len() - 1]);
        let [n, sum, squares] = [0, 1, 2].map(|i| all[i] - before[i]);
        (squares - 2.0 * high * sum + high * high * n, n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(values: impl IntoIterator<Item = f32>) -> Histogram {
        let mut histogram = Histogram::default();
        values.into_iter().for_each(|value| histogram.add(value));
        histogram
    }

    #[test]
    fn evenly_spread_values_keep_their_whole_range() {
        let (low, high) = histogram((0..=3000).map(|i| i as f32 / 1000.0 - 1.0)).best_range();
        assert!(
            (low + 1.0).abs() < 0.03 && (high - 2.0).abs() < 0.03,
            "{low} {high}"
        );
    }

    #[test]
    fn a_lone_outlier_is_clipped() {
        // Steps of h/255 for 100 000 values and 10 clipped to h cost 0.13 h^2 + (10 - h)^2, least at 8.9.
        let spread = |count: i32| (0..count).map(move |i| i as f32 / count as f32);
        let (_, high) = histogram(spread(100_000).chain([10.0])).best_range();
        assert!((8.6..9.2).contains(&high), "{high}");
        // For 12.8 million, 16.4 h^2 + (10 - h)^2 and what clipping below 1 costs.
        let mut many = histogram(spread(100_000));
        (0..7).for_each(|_| many.merge(&many.clone()));
        many.merge(&histogram([10.0]));
        let (_, high) = many.best_range();
        assert!((0.9..1.2).contains(&high), "{high}");
    }

    #[test]
    fn a_percentile_leaves_its_share_out_at_either_end() {
        // 1 in 1000 of -1.0, -0.998, ... 1.0 on each side.
        let seen = histogram((0..=1000).map(|i| i as f32 / 500.0 - 1.0));
        let (low, high) = seen.percentile_range(0.01);
        assert!(
            (low + 0.98).abs() < 0.01 && (high - 0.98).abs() < 0.01,
            "{low} {high}"
        );
        assert_eq!(seen.percentile_range(0.0), seen.bounds());
        assert_eq!(histogram([0.5]).percentile_range(0.1).0, 0.0);
    }

    #[test]
    fn the_error_of_a_range_is_that_of_rounding_and_clipping() {
        // Steps of 1/255 over 0..1: 1/12 of a square step. Clipped at 0.5: steps of half the size, and
        // half of the values are off by 0.25 on average, (0.5)^2 / 3 in the square.
        let seen = histogram((0..100_000).map(|i| i as f32 / 100_000.0));
        let step = 1.0 / 255.0;
        let (whole, half) = (seen.error((0.0, 1.0)), seen.error((0.0, 0.5)));
        assert!((whole / (step * step / 12.0) - 1.0).abs() < 0.01, "{whole}");
        assert!((half / (0.25 / 6.0) - 1.0).abs() < 0.01, "{half}");
    }

    #[test]
    fn values_of_one_sign_have_a_range_from_zero() {
        assert_eq!(histogram([0.5, 1.0, 0.25]).best_range().0, 0.0);
        assert_eq!(histogram([0.0, 0.0]).best_range(), (0.0, 0.0));
    }

    #[test]
    fn merged_parts_equal_the_whole() {
        let values =
            |range: std::ops::Range<i32>| range.map(|i| (i * 7919 % 1000) as f32 / 33.0 - 9.0);
        let mut merged = histogram(values(0..10));
        merged.merge(&histogram(values(10..5000)));
        let whole = histogram(values(0..5000));
        assert_eq!(merged.bounds(), whole.bounds());
        assert_eq!(merged.bins, whole.bins);
    }
}
