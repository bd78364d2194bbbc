//! Chooses the ranges of a norm's mean square and of its inverse root. A norm divides by the root, so what
//! counts is the error relative to the value, of a quiet row as of a loud one; the square error would leave
//! nothing of eight bits to loud rows, whose inverse roots are small.

use super::graph::Quantization;
use super::histogram::Histogram;

/// Number of candidates that are tried for the end of a range; each is `RATIO` times the one before.
const CANDIDATES: usize = 80;
const RATIO: f64 = 0.92;

/// Returns the quantizations of mean squares, distributed as in `mean_squares`, and of their inverse roots.
/// `step` is the scale of the values that are divided by the root: rows within its rounding have nothing to
/// lose.
pub fn quantizations(mean_squares: &Histogram, step: f32) -> [Quantization; 2] {
    let noise = f64::from(step).powi(2) / 12.0;
    let weighted = |(square, count): (f64, f64)| (square, count * square / (square + noise));
    let counts: Vec<_> = mean_squares.positive().map(weighted).collect();
    let loudest = counts.last().map_or(1.0, |&(square, _)| square);
    let quietest = counts.first().map_or(1.0, |&(square, _)| square);
    // Square errors of the inverse root, relative to it; none counts more than the loss of a row.
    let of_squares = |end: f64, square: f64| match square <= end {
        true => (end / 255.0 / square).powi(2) / 12.0 / 4.0,
        false => ((square / end).sqrt() - 1.0).powi(2),
    };
    let of_roots = |end: f64, square: f64| match 1.0 / square.sqrt() {
        root if root <= end => (end / 255.0 / root).powi(2) / 12.0,
        root => (1.0 - end / root).powi(2),
    };
    let best = |largest: f64, error: &dyn Fn(f64, f64) -> f64| {
        let total = |end: f64| -> f64 {
            let errors = counts
                .iter()
                .map(|&(square, count)| count * error(end, square).min(1.0));
            errors.sum()
        };
        let ends = (0..CANDIDATES).map(|i| largest * RATIO.powi(i as i32));
        let end = ends.min_by(|&a, &b| total(a).total_cmp(&total(b)));
        Quantization::of_range(0.0, end.unwrap_or(largest) as f32)
    };
    [
        best(loudest, &of_squares),
        best(1.0 / quietest.sqrt(), &of_roots),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_silence_takes_nothing_from_speech() {
        let mut seen = Histogram::default();
        (0..10_000).for_each(|i| seen.add(1.0 + (i % 100) as f32 / 100.0));
        (0..10).for_each(|_| seen.add(1e-4));
        let [squares, roots] = quantizations(&seen, 0.01);
        assert_eq!((squares.zero_point, roots.zero_point), (-128, -128));
        // Up to 2. An end R of the roots costs 10 (1 - R/100)^2 of silence and 10 000 (R/255)^2 1.5 / 12 of
        // speech, least at 5; histograms are coarse near 0.
        assert!((1.8..2.1).contains(&(squares.scale * 255.0)), "{squares:?}");
        assert!((4.0..8.0).contains(&(roots.scale * 255.0)), "{roots:?}");
    }
}
