//! Counts durations by the microsecond: exact to that, in memory that does not grow with the stream but
//! with how many different ones there are.

use std::collections::BTreeMap;

#[derive(Clone, Debug, Default)]
pub struct Histogram {
    /// Microseconds that were seen, and how often.
    counts: BTreeMap<u64, u64>,
    total: u64,
}

impl Histogram {
    pub fn add(&mut self, seconds: f64) {
        *self
            .counts
            .entry((seconds * 1e6).round() as u64)
            .or_default() += 1;
        self.total += 1;
    }

    pub fn count(&self) -> u64 {
        self.total
    }

    /// Returns the seconds that this share of all durations, 0 to 1, does not exceed; 0 if there are none.
    pub fn percentile(&self, share: f64) -> f64 {
        let rank = ((self.total as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        let found = self.counts.iter().find(|(_, count)| {
            seen += *count;
            seen >= rank
        });
        found.map_or(0.0, |(us, _)| *us as f64 / 1e6)
    }

    pub fn min(&self) -> f64 {
        self.percentile(0.0)
    }

    pub fn max(&self) -> f64 {
        self.percentile(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_the_least_that_so_many_do_not_exceed() {
        let mut histogram = Histogram::default();
        (1..=200).for_each(|ms| histogram.add(f64::from(ms) / 1000.0));
        let of = |share| (histogram.percentile(share) * 1000.0).round();
        assert_eq!(
            [of(0.0), of(0.5), of(0.95), of(0.99), of(1.0)],
            [1.0, 100.0, 190.0, 198.0, 200.0]
        );
        assert_eq!(Histogram::default().max(), 0.0);
    }
}
