//! Places values along an axis, and chooses its ticks.

use crate::html::{count, fixed};

/// Range of values that an axis shows, from its start to its end.
#[derive(Clone, Copy)]
pub struct Scale {
    /// Bounds of the values, or of their decimal logarithms.
    start: f64,
    end: f64,
    logarithmic: bool,
}

impl Scale {
    /// Makes a scale, which may fall: then the axis is turned round.
    pub fn linear(start: f64, end: f64) -> Scale {
        Scale {
            start,
            end: if end == start { start + 1.0 } else { end },
            logarithmic: false,
        }
    }

    /// Makes a scale for values that differ by powers of ten; those below its start, zero too, are drawn there.
    pub fn logarithmic(start: f64, end: f64) -> Scale {
        Scale {
            logarithmic: true,
            ..Scale::linear(start.log10(), end.log10())
        }
    }

    /// Returns the share of the way from start to end at which a value lies.
    pub(super) fn share(&self, value: f64) -> f64 {
        let value = match self.logarithmic {
            true => value.log10().max(self.start),
            false => value,
        };
        (value - self.start) / (self.end - self.start)
    }

    /// Returns round values with their labels: four to ten, or for logarithms 1, 2 and 5 of each power of ten.
    pub(super) fn ticks(&self) -> Vec<(f64, String)> {
        let (low, high) = (self.start.min(self.end), self.start.max(self.end));
        if self.logarithmic {
            let powers = low.floor() as i32..=high.ceil() as i32;
            let of_power = |power| [1.0, 2.0, 5.0].map(|digit| (digit * 10f64.powi(power), power));
            let ticks = powers.flat_map(of_power);
            let ticks = ticks.filter(|(value, _)| (low..=high + 1e-9).contains(&value.log10()));
            return ticks
                .map(|(value, power)| (value, label(value, power)))
                .collect();
        }
        let rough = (high - low) / 8.0;
        let power = rough.log10().floor() as i32;
        let steps = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * 10f64.powi(power));
        let step = steps.into_iter().find(|&step| step >= rough);
        let step = step.unwrap_or(rough);
        let ticks = ((low / step).ceil() as i64..).map(|number| number as f64 * step);
        let ticks = ticks.take_while(|&value| value <= high + step * 1e-9);
        ticks.map(|value| (value, label(value, power))).collect()
    }
}

/// Writes a tick with as many digits as its power of ten asks for.
fn label(value: f64, power: i32) -> String {
    match value >= 1e4 {
        true => count(value as u64),
        false => fixed(value, usize::try_from(-power).unwrap_or(0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: Scale) -> String {
        let labels: Vec<_> = scale.ticks().into_iter().map(|(_, label)| label).collect();
        labels.join(" ")
    }

    #[test]
    fn ticks_are_round_numbers_within_the_scale() {
        assert_eq!(labels(Scale::linear(0.0, 100.0)), "0 20 40 60 80 100");
        assert_eq!(
            labels(Scale::linear(0.31, -0.12)),
            "-0.10 0.00 0.10 0.20 0.30"
        );
        assert_eq!(
            labels(Scale::linear(9_000.0, 61_000.0)),
            "10,000 20,000 30,000 40,000 50,000 60,000"
        );
        assert_eq!(labels(Scale::linear(5.0, 5.0)), "5.0 5.2 5.4 5.6 5.8 6.0");
        assert_eq!(
            labels(Scale::logarithmic(0.04, 20.0)),
            "0.05 0.1 0.2 0.5 1 2 5 10 20"
        );
    }
}
