//! Says what a count of events tells about the rate behind it: upper bounds at 95 %, one-sided.

use zerda_support::error::{Error, Result};

/// Number of expected events below which a rate is poorly resolved: even if none is counted, the rate may still be the
/// one asked for.
const RESOLVED: f64 = 3.0;
/// Number of expected events below which a rate cannot be estimated, not even from the tail of the highest posteriors.
const HOPELESS: f64 = 0.2;

/// One-sided normal quantile that belongs to [`MISSED`].
const Z: f64 = 1.644_853_626_951_472_7;
/// Share of cases in which a rate lies above its bound.
const MISSED: f64 = 0.05;

/// Says whether so many hours of negatives resolve a rate of false alarms or wakes (`what` names them): returns `None`
/// if they do, and a note if they do so poorly. Too few hours to estimate the rate are an error.
pub fn resolved(what: &str, per_hour: f64, hours: f64) -> Result<Option<String>> {
    if per_hour * hours < HOPELESS {
        return Err(Error::usage(format!(
            "{hours:.2} h of negatives cannot tell {per_hour} false {what} an hour: give {:.1} h, {:.1} h at \
             least, or ask for more false {what} an hour",
            RESOLVED / per_hour,
            HOPELESS / per_hour
        )));
    }
    Ok(poorly_resolved(what, per_hour, hours))
}

/// Returns a note if so many hours of negatives resolve a rate of false alarms or wakes poorly, or not at all.
pub fn poorly_resolved(what: &str, per_hour: f64, hours: f64) -> Option<String> {
    let expected = per_hour * hours;
    (expected < RESOLVED).then(|| {
        format!(
            "{per_hour} false {what} an hour are {expected:.1} in {hours:.2} h of negatives: {:.1} h would tell \
             that rate",
            RESOLVED / per_hour
        )
    })
}

/// Returns the highest mean that may be behind so many counted events: Garwood's exact bound (Biometrika 28, 1936), the
/// mean at which so few or fewer come in 5 % of the cases. It is 3.0 where none was counted.
pub fn poisson_upper(events: u64) -> f64 {
    let (mut low, mut high) = (events as f64, 2.0 * events as f64 + 20.0);
    let factorial: f64 = (1..=events).map(|k| (k as f64).ln()).sum();
    // Each halves the interval; 100 leave nothing of it.
    for _ in 0..100 {
        let mean = f64::midpoint(low, high);
        if poisson_at_most(events, factorial, mean) > MISSED {
            low = mean;
        } else {
            high = mean;
        }
    }
    f64::midpoint(low, high)
}

/// Returns the probability of at most `events` events where the mean is `mean`; `factorial` is the logarithm of the
/// factorial of `events`.
fn poisson_at_most(events: u64, factorial: f64, mean: f64) -> f64 {
    let mut term = (events as f64 * mean.ln() - mean - factorial).exp();
    let mut sum = 0.0;
    for k in (0..=events).rev() {
        sum += term;
        term *= k as f64 / mean;
        // The terms fall from here on, faster and faster: the rest is nothing.
        if term < sum * 1e-17 {
            break;
        }
    }
    sum
}

/// Returns the highest share, 0 to 1, that may be behind `count` out of `of`: Wilson's score bound (JASA 22, 1927). It
/// is 1 if `of` is 0.
pub fn wilson_upper(count: u64, of: u64) -> f64 {
    if of == 0 {
        return 1.0;
    }
    let (n, p) = (of as f64, count as f64 / of as f64);
    let z2 = Z * Z;
    let spread = Z * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    ((p + z2 / (2.0 * n) + spread) / (1.0 + z2 / n)).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Half the 95 % quantile of chi-square with 2 (n + 1) degrees of freedom, from printed tables.
    #[test]
    fn the_poisson_bound_is_half_a_chi_square_quantile() {
        for (events, chi_square) in [
            (0, 5.991),
            (1, 9.488),
            (2, 12.592),
            (5, 21.026),
            (14, 43.773),
        ] {
            let bound = poisson_upper(events);
            assert!((bound - chi_square / 2.0).abs() < 5e-4, "{events}: {bound}");
        }
    }

    /// Of many events it is what the normal distribution says: n + z sqrt(n) + (z^2 + 2) / 3, about.
    #[test]
    fn the_poisson_bound_of_many_events_is_finite_and_near_the_normal_one() {
        let bound = poisson_upper(1_000_000);
        assert!((bound - 1_001_646.4).abs() < 1.0, "{bound}");
    }

    /// 10 of 100: (0.1 + 0.013528 + 1.644854 * sqrt(0.0009 + 0.00006764)) / 1.027055 by hand.
    #[test]
    fn wilsons_bound_is_that_of_a_hand_calculation() {
        assert!((wilson_upper(10, 100) - 0.160_354).abs() < 1e-5);
        assert!((wilson_upper(0, 100) - 0.026_343).abs() < 1e-5);
        assert_eq!(wilson_upper(0, 0), 1.0);
        assert!((wilson_upper(7, 7) - 1.0).abs() < 1e-12);
    }
}
