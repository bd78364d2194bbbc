//! Turns counts into the rows that are reported: misses, delays and false alarms, with their
//! bounds.

use std::collections::BTreeMap;

use serde::Serialize;
use zerda_firmware::decoder::Word;
use zerda_support::statistics::percentile;

use crate::streams::bounds::{poisson_upper, wilson_upper};
use crate::streams::score::Counts;
use crate::streams::sources::Negative;

#[derive(Serialize)]
pub struct Alarms {
    #[serde(flatten)]
    pub all: Rate,
    pub by_command: BTreeMap<String, u64>,
    pub each: Vec<Alarm>,
}

#[derive(Serialize)]
pub struct Rate {
    pub count: u64,
    pub per_hour: f64,
    pub per_hour_upper: f64,
}

#[derive(Serialize)]
pub struct Alarm {
    pub file: String,
    pub command: String,
    pub score: f64,
    pub decided_ms: u32,
}

#[derive(Serialize)]
pub struct Misses {
    pub words: u64,
    pub misses: u64,
    pub miss_rate: f64,
    pub miss_rate_upper: f64,
}

/// Figures that are reported of all commands, or of one.
#[derive(Serialize)]
pub struct Row {
    #[serde(flatten)]
    pub misses: Misses,
    pub delay_p50_ms: Option<f64>,
    pub delay_p95_ms: Option<f64>,
    pub delay_max_ms: Option<f64>,
    pub substitutions: u64,
    pub repetitions: u64,
    pub false_alarms: u64,
    pub answered: BTreeMap<String, u64>,
}

impl Misses {
    pub fn of(words: u64, hits: u64) -> Misses {
        let misses = words - hits;
        Misses {
            words,
            misses,
            miss_rate: misses as f64 / words.max(1) as f64,
            miss_rate_upper: wilson_upper(misses, words),
        }
    }
}

impl Row {
    pub fn of(counts: &Counts, labels: &[String]) -> Row {
        let mut delays = counts.delays_ms.clone();
        delays.sort_by(f64::total_cmp);
        let percentile = |share| percentile(&delays, share);
        let answered = counts.answered.iter();
        Row {
            misses: Misses::of(counts.words, counts.hits),
            delay_p50_ms: percentile(0.5),
            delay_p95_ms: percentile(0.95),
            delay_max_ms: percentile(1.0),
            substitutions: counts.substitutions,
            repetitions: counts.repetitions,
            false_alarms: counts.false_alarms,
            answered: answered
                .map(|(&label, &count)| (labels[label].clone(), count))
                .collect(),
        }
    }
}

impl Alarms {
    pub fn of(alarms: Vec<(&Negative, Word)>, hours: f64, labels: &[String]) -> Alarms {
        let count = alarms.len() as u64;
        let mut by_command = BTreeMap::new();
        let each = Alarm::each(alarms, labels);
        for alarm in &each {
            *by_command.entry(alarm.command.clone()).or_default() += 1;
        }
        Alarms {
            all: Rate::of(count, hours),
            by_command,
            each,
        }
    }
}

impl Rate {
    pub fn of(count: u64, hours: f64) -> Rate {
        Rate {
            count,
            per_hour: count as f64 / hours,
            per_hour_upper: poisson_upper(count) / hours,
        }
    }
}

impl Alarm {
    pub fn each(alarms: Vec<(&Negative, Word)>, labels: &[String]) -> Vec<Alarm> {
        let each = alarms.into_iter().map(|(negative, detection)| Alarm {
            file: negative.file.display().to_string(),
            command: labels[usize::from(detection.label)].clone(),
            score: f64::from(detection.score) / 256.0,
            decided_ms: detection.decided_ms,
        });
        each.collect()
    }
}
