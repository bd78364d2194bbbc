//! Chooses each command's threshold, so that all of them together have as many false alarms as wanted; or each wake
//! word's, so that it has as many false wakes by itself.

use super::tail::rates;
use crate::streams::sweep::{Point, Sweep};
use crate::streams::track::Settings;

/// Number of counted events that the tails weigh as much as: with far more counted, the count decides.
const TRUST: f64 = 3.0;
/// Number of times that the rate is corrected by what was counted with all commands at once.
const CORRECTIONS: usize = 4;

pub struct Chosen {
    pub point: Point,
    /// False alarms an hour that the tails predict, for each label whose threshold was chosen.
    pub expected: Vec<(usize, f64)>,
    /// Says whether thresholds are high enough for the rate.
    pub met: bool,
}

/// Holds what commands cost at the thresholds of the grid.
struct Costs {
    thresholds: Vec<u8>,
    /// Holds for each command the number of its label and, by threshold, the false alarms an hour, which fall, and the
    /// words missed.
    commands: Vec<(usize, Vec<f64>, Vec<u64>)>,
    /// Says whether there are words to count misses of.
    words: bool,
}

impl Chosen {
    pub fn expected_per_hour(&self) -> f64 {
        self.expected.iter().map(|(_, rate)| rate).sum()
    }
}

pub fn choose(sweep: &Sweep<'_>, settings: &Settings, per_hour: f64) -> Chosen {
    let thresholds: Vec<u8> = sweep
        .points
        .iter()
        .map(|(threshold, _)| *threshold)
        .collect();
    let labels: Vec<usize> = settings.judged().collect();
    let counts: Vec<Vec<u64>> = (labels.iter())
        .map(|&label| {
            let points = sweep.points.iter();
            points.map(|(_, point)| point.false_alarms[label]).collect()
        })
        .collect();
    let rates = rates(&thresholds, &counts, sweep.hours());
    let misses = labels.iter().map(|&label| {
        let points = sweep.points.iter();
        points
            .map(|(_, point)| point.tallies[0].labels[label].misses())
            .collect()
    });
    let costs = Costs {
        commands: labels
            .iter()
            .zip(rates)
            .zip(misses)
            .map(|((&label, rates), misses)| (label, rates, misses))
            .collect(),
        words: sweep
            .points
            .iter()
            .any(|(_, point)| point.tallies[0].all().words > 0),
        thresholds,
    };
    // False alarms of one command keep others away, and thresholds are chosen on what they are counted on: what all
    // of them count together corrects the tails, the more the more there is to count.
    let wanted = per_hour * sweep.hours();
    let corrected = |aimed: f64, counted: u64| aimed * (wanted + TRUST) / (counted as f64 + TRUST);
    if settings.wake.is_some() {
        let mut aimed = vec![per_hour; costs.commands.len()];
        let mut chosen = costs.chosen(sweep, settings, &costs.each(&aimed));
        for _ in 0..CORRECTIONS {
            for (aimed, (label, _, _)) in aimed.iter_mut().zip(&costs.commands) {
                *aimed = corrected(*aimed, chosen.point.false_alarms[*label]);
            }
            chosen = costs.chosen(sweep, settings, &costs.each(&aimed));
        }
        chosen.met = (chosen.expected.iter().zip(aimed)).all(|((_, rate), aimed)| *rate <= aimed);
        return chosen;
    }
    let parts = |aimed: f64| match costs.words {
        true => costs.fewest_misses(aimed),
        false => costs.each(&vec![
            aimed / costs.commands.len().max(1) as f64;
            costs.commands.len()
        ]),
    };
    let mut aimed = per_hour;
    let mut chosen = costs.chosen(sweep, settings, &parts(aimed));
    for _ in 0..CORRECTIONS {
        aimed = corrected(aimed, chosen.point.all_false_alarms());
        chosen = costs.chosen(sweep, settings, &parts(aimed));
    }
    chosen.met = chosen.expected_per_hour() <= aimed;
    chosen
}

impl Costs {
    fn chosen(&self, sweep: &Sweep<'_>, settings: &Settings, numbers: &[usize]) -> Chosen {
        let mut settings = settings.clone();
        let mut expected = Vec::new();
        for ((label, rates, _), &number) in self.commands.iter().zip(numbers) {
            settings.thresholds[*label] = self.thresholds[number];
            expected.push((*label, rates[number]));
        }
        Chosen {
            point: sweep.at(settings),
            expected,
            met: false,
        }
    }

    /// Returns the number of each command's threshold: the lowest that keeps to its part of the false alarms an hour,
    /// or the highest if none does.
    fn each(&self, parts: &[f64]) -> Vec<usize> {
        let commands = self.commands.iter().zip(parts);
        let lowest = commands.map(|((_, rates, _), &part)| {
            rates
                .partition_point(|&rate| rate > part)
                .min(rates.len() - 1)
        });
        lowest.collect()
    }

    /// Returns the numbers of the thresholds with as few misses as the rate allows: each command's threshold is the one
    /// at which misses and false alarms, at a price in misses that is the same for all commands, cost least.
    fn fewest_misses(&self, per_hour: f64) -> Vec<usize> {
        let at = |price: f64| -> Vec<usize> {
            let cheapest = |(_, rates, misses): &(usize, Vec<f64>, Vec<u64>)| {
                let cost = |number: &usize| misses[*number] as f64 + price * rates[*number];
                (0..rates.len())
                    .min_by(|a, b| cost(a).total_cmp(&cost(b)))
                    .unwrap_or(0)
            };
            self.commands.iter().map(cheapest).collect()
        };
        let total = |numbers: &[usize]| -> f64 {
            let commands = self.commands.iter().zip(numbers);
            commands.map(|((_, rates, _), &number)| rates[number]).sum()
        };
        let (mut low, mut high) = (-12.0, 24.0);
        for _ in 0..60 {
            let middle = f64::midpoint(low, high);
            match total(&at(f64::exp(middle))) > per_hour {
                true => low = middle,
                false => high = middle,
            }
        }
        at(f64::exp(high))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn costs(words: bool) -> Costs {
        // The second command's false alarms cost few misses to avoid.
        Costs {
            thresholds: vec![100, 150, 200, 250],
            commands: vec![
                (0, vec![8.0, 4.0, 2.0, 0.25], vec![0, 2, 10, 50]),
                (2, vec![8.0, 4.0, 2.0, 0.25], vec![0, 0, 1, 2]),
            ],
            words,
        }
    }

    #[test]
    fn each_command_gets_the_lowest_threshold_that_keeps_to_its_part() {
        assert_eq!(costs(false).each(&[2.0, 2.0]), [2, 2]);
        assert_eq!(costs(false).each(&[0.5, 7.0]), [3, 1]);
        // What no threshold meets gets the highest.
        assert_eq!(costs(false).each(&[0.1, 0.05]), [3, 3]);
    }

    /// By hand: at 4.5 an hour 4 for the first (2 missed) and 0.25 for the second (2 missed) miss 4; 2 and 2 miss 11.
    #[test]
    fn with_words_the_parts_are_those_that_miss_fewest() {
        assert_eq!(costs(true).fewest_misses(4.5), [1, 3]);
        assert_eq!(costs(true).fewest_misses(20.0), [0, 1]);
    }
}
