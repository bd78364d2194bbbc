//! What `zerda eval --stream` says: as it is written in JSON.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};
use zerda_firmware::decoder::Word;

use super::bounds::{poisson_upper, wilson_upper};
use super::make::Condition;
use super::score::{Background, Counts, LATE_MS, Tally};
use super::sources::{Clips, Negative};
use super::sweep::{Point, Sweep};
use super::track::Settings;
use super::{Heard, Options};
use crate::error::{Error, Result};

/// Delays are counted in bins of so many ms.
pub const BIN_MS: f64 = 20.0;
/// Fewer expected events than that tell a rate badly: none in so long, and it may still be the rate asked for.
pub const RESOLVED: f64 = 3.0;

/// Objects with the order that they were filled in.
type Object = Map<String, Value>;

#[derive(Serialize)]
pub struct Summary {
    pub basis: &'static str,
    pub image: String,
    pub seed: u64,
    pub commands: Vec<String>,
    pub late_ms: f64,
    pub clips: usize,
    /// Clips without a word.
    pub silent_clips: usize,
    pub negatives: Hours,
    pub fa_per_hour: f64,
    pub notes: Vec<String>,
    pub operating_points: Vec<OperatingPoint>,
    pub det: Vec<Det>,
    pub max_miss: Option<f64>,
    pub failures: Vec<String>,
}

#[derive(Serialize)]
pub struct Hours {
    pub files: usize,
    pub hours: f64,
}

#[derive(Serialize)]
pub struct OperatingPoint {
    /// `image`, and `target` or, where no threshold meets that, `highest`.
    pub name: &'static str,
    pub smoothing: u8,
    /// 0 to 1, by command.
    pub thresholds: Object,
    pub false_alarms: Alarms,
    pub conditions: Vec<Heading>,
}

#[derive(Serialize)]
pub struct Alarms {
    pub count: u64,
    pub per_hour: f64,
    pub per_hour_upper: f64,
    pub by_command: BTreeMap<String, u64>,
    pub each: Vec<Alarm>,
}

#[derive(Serialize)]
pub struct Alarm {
    pub file: String,
    pub command: String,
    pub score: f64,
    pub decided_ms: u32,
}

#[derive(Serialize)]
pub struct Heading {
    pub condition: String,
    pub snr_db: Option<f64>,
    pub room: &'static str,
    pub level_dbfs: f64,
    pub hours: f64,
    pub clipped_samples: u64,
    pub all: Row,
    pub in_noise: Option<Misses>,
    pub in_speech: Option<Misses>,
    pub commands: BTreeMap<String, Row>,
    /// From the first bin's start on, each of [`BIN_MS`]: in ms, and how many.
    pub delays: Vec<(f64, u64)>,
    pub missed: Vec<String>,
}

#[derive(Serialize)]
pub struct Misses {
    pub words: u64,
    pub misses: u64,
    pub miss_rate: f64,
    pub miss_rate_upper: f64,
}

/// Of all commands, or of one.
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

#[derive(Serialize)]
pub struct Det {
    pub condition: String,
    pub points: Vec<DetPoint>,
}

#[derive(Serialize)]
pub struct DetPoint {
    pub threshold: f64,
    pub false_alarms: u64,
    pub fa_per_hour: f64,
    pub misses: u64,
    pub miss_rate: f64,
    /// False alarms and misses of each command.
    pub commands: BTreeMap<String, (u64, u64)>,
}

impl Misses {
    fn of(words: u64, hits: u64) -> Misses {
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
    fn of(counts: &Counts, labels: &[String]) -> Row {
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

/// The least that this share of all does not exceed; `sorted` rises.
pub fn percentile(sorted: &[f64], share: f64) -> Option<f64> {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied()
}

impl Alarms {
    fn of(alarms: Vec<(&Negative, Word)>, hours: f64, labels: &[String]) -> Alarms {
        let count = alarms.len() as u64;
        let mut by_command = BTreeMap::new();
        let each: Vec<_> = alarms
            .into_iter()
            .map(|(negative, detection)| Alarm {
                file: negative.file.display().to_string(),
                command: labels[usize::from(detection.label)].clone(),
                score: f64::from(detection.score) / 256.0,
                decided_ms: detection.decided_ms,
            })
            .collect();
        for alarm in &each {
            *by_command.entry(alarm.command.clone()).or_default() += 1;
        }
        Alarms {
            count,
            per_hour: count as f64 / hours,
            per_hour_upper: poisson_upper(count) / hours,
            by_command,
            each,
        }
    }
}

impl Summary {
    pub fn of(
        options: &Options,
        own: Settings,
        clips: &Clips,
        heard: &Heard,
        sweep: &Sweep<'_>,
    ) -> Summary {
        let hours = sweep.hours();
        let mut notes = Vec::new();
        let expected = options.fa_per_hour * hours;
        if expected < RESOLVED {
            notes.push(format!(
                "{} false alarms an hour are {expected:.1} in {hours:.2} h of negatives: {:.1} h would tell that rate",
                options.fa_per_hour,
                RESOLVED / options.fa_per_hour
            ));
        }
        if sweep.image.grammar().commands > 0 {
            notes.push(
                "counted are words, not the commands of several that the image makes of them"
                    .into(),
            );
        }
        let target = sweep.target(options.fa_per_hour);
        let point = |name, point: &Point| operating_point(name, point, clips, sweep);
        let mut operating_points = vec![point("image", &sweep.at(own))];
        operating_points.extend(match (target, sweep.points.last()) {
            (Some((_, target)), _) => Some(point("target", target)),
            (None, Some((_, highest))) => {
                notes.push(format!(
                    "no threshold up to 0.99 has as few as {} false alarms an hour",
                    options.fa_per_hour
                ));
                Some(point("highest", highest))
            }
            (None, None) => None,
        });
        let failures = options.max_miss.map_or(Vec::new(), |most| {
            failures(most, &operating_points, options.fa_per_hour)
        });
        let conditions = sweep.conditions.iter().enumerate();
        Summary {
            basis: "measured: the INT8 image in the firmware crate and its decoder, on this machine",
            image: options.image.display().to_string(),
            seed: options.seed,
            commands: clips
                .spoken
                .iter()
                .map(|&label| clips.labels[label].clone())
                .collect(),
            late_ms: LATE_MS,
            clips: clips.files.len(),
            silent_clips: heard.silent,
            negatives: Hours {
                files: sweep.negatives.len(),
                hours,
            },
            fa_per_hour: options.fa_per_hour,
            notes,
            operating_points,
            det: conditions
                .map(|(number, condition)| det(number, condition, clips, sweep))
                .collect(),
            max_miss: options.max_miss,
            failures,
        }
    }

    pub fn json(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|error| Error::check(error.to_string()))
    }
}

/// What misses more than was asked, where the false alarms are as few as was asked.
fn failures(most: f64, points: &[OperatingPoint], fa_per_hour: f64) -> Vec<String> {
    let Some(target) = points.iter().find(|point| point.name == "target") else {
        return vec![format!(
            "no threshold has {fa_per_hour} false alarms an hour or fewer"
        )];
    };
    let rows = target.conditions.iter();
    let missed = rows.filter(|row| row.all.misses.miss_rate > most).map(|row| {
        format!(
            "{}: {:.2} % of the words are missed at {fa_per_hour} false alarms an hour, at most {:.2} % may be",
            row.condition,
            100.0 * row.all.misses.miss_rate,
            100.0 * most
        )
    });
    missed.collect()
}

fn operating_point(
    name: &'static str,
    point: &Point,
    clips: &Clips,
    sweep: &Sweep<'_>,
) -> OperatingPoint {
    let labels = &clips.labels;
    let thresholds = labels.iter().zip(&point.settings.thresholds);
    let thresholds = thresholds.filter(|(_, threshold)| **threshold > 0);
    let conditions = sweep.conditions.iter().zip(&point.tallies).enumerate();
    OperatingPoint {
        name,
        smoothing: point.settings.smoothing,
        thresholds: thresholds
            .map(|(label, &threshold)| (label.clone(), (f64::from(threshold) / 256.0).into()))
            .collect(),
        false_alarms: Alarms::of(
            sweep.alarms(&point.settings).collect(),
            sweep.hours(),
            labels,
        ),
        conditions: conditions
            .map(|(number, (condition, tally))| {
                let (hours, clipped_samples) = sweep.length(number);
                heading(condition, tally, clips, hours, clipped_samples)
            })
            .collect(),
    }
}

fn heading(
    condition: &Condition,
    tally: &Tally,
    clips: &Clips,
    hours: f64,
    clipped_samples: u64,
) -> Heading {
    let all = tally.all();
    let mut bins: BTreeMap<i64, u64> = BTreeMap::new();
    for delay in &all.delays_ms {
        *bins.entry((delay / BIN_MS).floor() as i64).or_default() += 1;
    }
    let background = |kind: Background| {
        let (words, hits) = tally.backgrounds[kind as usize];
        (condition.snr.is_some() && words > 0).then(|| Misses::of(words, hits))
    };
    let spoken = clips.spoken.iter();
    let mut missed = tally.missed.clone();
    missed.sort_unstable();
    Heading {
        condition: condition.name(),
        snr_db: condition.snr,
        room: condition.room(),
        level_dbfs: condition.level,
        hours,
        clipped_samples,
        all: Row::of(&all, &clips.labels),
        in_noise: background(Background::Noise),
        in_speech: background(Background::Speech),
        commands: spoken
            .map(|&label| {
                let row = Row::of(&tally.labels[label], &clips.labels);
                (clips.labels[label].clone(), row)
            })
            .collect(),
        delays: bins
            .into_iter()
            .map(|(bin, count)| (bin as f64 * BIN_MS, count))
            .collect(),
        missed: missed
            .into_iter()
            .map(|clip| clips.files[clip].1.display().to_string())
            .collect(),
    }
}

fn det(number: usize, condition: &Condition, clips: &Clips, sweep: &Sweep<'_>) -> Det {
    let point = |(threshold, point): &(u8, Point)| {
        let (tally, false_alarms) = (&point.tallies[number], point.all_false_alarms());
        let all = tally.all();
        let commands = clips.spoken.iter().map(|&label| {
            let of = (point.false_alarms[label], tally.labels[label].misses());
            (clips.labels[label].clone(), of)
        });
        DetPoint {
            threshold: f64::from(*threshold) / 256.0,
            false_alarms,
            fa_per_hour: false_alarms as f64 / sweep.hours(),
            misses: all.misses(),
            miss_rate: all.misses() as f64 / all.words.max(1) as f64,
            commands: commands.collect(),
        }
    };
    Det {
        condition: condition.name(),
        points: sweep.points.iter().map(point).collect(),
    }
}
