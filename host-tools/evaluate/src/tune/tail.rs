//! Estimates how often a command is falsely detected at a threshold, from how often it is at others.
//!
//! Where a threshold was reached often, its count says it. Beyond that the peaks of the posterior are taken to fall
//! off exponentially over the logit of the threshold: the peaks-over-threshold method with an exponential excess
//! (Coles, An Introduction to Statistical Modeling of Extreme Values, 2001, 4.3). Its scale is the mean excess of
//! the highest peaks, those above the last threshold censored, pulled towards that of all commands where there are
//! few.

/// Number of peaks that an excess is fitted to, if there are so many.
const PEAKS: u64 = 20;
/// Number of peaks that the scale of all commands weighs as much as.
const PRIOR: f64 = 5.0;
/// Scale in logits that is assumed where nothing at all was detected.
const SCALE: f64 = 1.0;

/// Returns the false detections an hour of each command at each threshold, from `counts[command][threshold]` in
/// `hours`; thresholds are Q0.8 and rise.
pub fn rates(thresholds: &[u8], counts: &[Vec<u64>], hours: f64) -> Vec<Vec<f64>> {
    let logits: Vec<f64> = thresholds
        .iter()
        .map(|&threshold| logit(threshold))
        .collect();
    let excesses: Vec<Excess> = counts
        .iter()
        .map(|counts| Excess::of(&logits, counts))
        .collect();
    let (sum, ended) = excesses.iter().fold((0.0, 0.0), |(sum, ended), excess| {
        (sum + excess.sum, ended + excess.ended)
    });
    let common = if ended > 0.0 && sum > 0.0 {
        sum / ended
    } else {
        SCALE
    };
    let rates = counts.iter().zip(&excesses).map(|(counts, excess)| {
        let scale = (excess.sum + PRIOR * common) / (excess.ended + PRIOR);
        let rate = |(number, (&count, &logit)): (usize, (&u64, &f64))| match number <= excess.from {
            true => count as f64 / hours,
            // None was counted: one may have been about to come.
            false => excess.count.max(1.0) / hours * (-(logit - logits[excess.from]) / scale).exp(),
        };
        let mut rates: Vec<f64> = counts.iter().zip(&logits).enumerate().map(rate).collect();
        if let Some(first) = rates.get_mut(excess.from) {
            *first = first.max(1.0 / hours);
        }
        // Arming and refractory time may let a higher threshold count more.
        for at in 1..rates.len() {
            rates[at] = rates[at].min(rates[at - 1]);
        }
        rates
    });
    rates.collect()
}

fn logit(threshold: u8) -> f64 {
    let p = f64::from(threshold) / 256.0;
    (p / (1.0 - p)).ln()
}

/// Excess of the highest peaks over the last threshold that was reached often enough for its count to be trusted.
struct Excess {
    /// Index of the threshold that the excess is measured from.
    from: usize,
    count: f64,
    /// Sum of the excesses, which are in logits.
    sum: f64,
    /// Number of peaks that ended below the last threshold: the excess of the others is only known to be more.
    ended: f64,
}

impl Excess {
    fn of(logits: &[f64], counts: &[u64]) -> Excess {
        let from = counts
            .iter()
            .rposition(|&count| count >= PEAKS)
            .unwrap_or(0);
        let tail = logits.windows(2).zip(counts.windows(2)).skip(from);
        // Peaks between two thresholds count as if they lay in the middle.
        let sum = tail
            .map(|(logits, counts)| (logits[1] - logits[0]) * (counts[0] + counts[1]) as f64 / 2.0);
        let first = counts.get(from).copied().unwrap_or(0);
        let last = counts.last().copied().unwrap_or(0);
        Excess {
            from,
            count: first as f64,
            sum: sum.sum(),
            ended: first.saturating_sub(last) as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::streams::sweep::grid;

    /// Counts in `hours` of peaks that come at random, `rate` an hour over 0.1, with logits that fall off by `scale`:
    /// of each, the expected number, rounded.
    fn counts(thresholds: &[u8], rate: f64, scale: f64, hours: f64) -> Vec<u64> {
        let expected = |&threshold: &u8| {
            let excess = logit(threshold) - logit(thresholds[0]);
            (rate * hours * (-excess / scale).exp()).round() as u64
        };
        thresholds.iter().map(expected).collect()
    }

    #[test]
    fn a_rate_beyond_what_was_counted_is_extrapolated() {
        let thresholds: Vec<u8> = grid().collect();
        let (rate, scale, hours) = (300.0, 0.9, 2.0);
        let found = rates(
            &thresholds,
            &[counts(&thresholds, rate, scale, hours)],
            hours,
        );
        for (&threshold, &found) in thresholds.iter().zip(&found[0]) {
            let excess = logit(threshold) - logit(thresholds[0]);
            let truth = rate * (-excess / scale).exp();
            // Down to one in ten hours, of two.
            if truth > 0.1 {
                assert!(
                    (0.6..1.6).contains(&(found / truth)),
                    "{threshold}: {found} of {truth}"
                );
            }
        }
    }

    #[test]
    fn few_peaks_are_told_by_all_commands_and_none_is_not_never() {
        let thresholds: Vec<u8> = grid().collect();
        let many = counts(&thresholds, 300.0, 0.5, 2.0);
        let none = vec![0; thresholds.len()];
        let found = rates(&thresholds, &[many, none.clone()], 2.0);
        // None in 2 h: one in 2 h at the lowest, and falling as the other does.
        assert_eq!(found[1][0], 0.5);
        let expected = 0.5 * (-(logit(thresholds[20]) - logit(thresholds[0])) / 0.5).exp();
        assert!(
            (found[1][20] / expected - 1.0).abs() < 0.3,
            "{}",
            found[1][20]
        );
        assert_eq!(rates(&thresholds, &[none], 4.0)[0][0], 0.25);
    }

    #[test]
    fn rates_never_rise_with_the_threshold() {
        let found = rates(&[26, 60, 100, 200, 253], &[vec![50, 60, 30, 21, 9]], 1.0);
        assert!(
            found[0].windows(2).all(|pair| pair[1] <= pair[0]),
            "{found:?}"
        );
    }
}
