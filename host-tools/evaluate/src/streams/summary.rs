//! Gathers what `zerda eval --stream` says, as it is written in JSON.

mod rows;
mod wake;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};
use zerda_support::error::{Error, Result};

use super::bounds::poorly_resolved;
use super::make::Condition;
use super::pairs::PairTally;
use super::score::{Background, LATE_MS, Tally};
use super::sources::Clips;
use super::sweep::{Point, Sweep};
use super::track::Settings;
use super::{Heard, Options};
pub use rows::{Alarm, Alarms, Misses, Rate, Row};
use wake::names;
pub use wake::{FalseWakes, JudgedWake, PairRow};

/// Width of the bins in ms that delays are counted in.
pub const BIN_MS: f64 = 20.0;

/// JSON object that keeps the order in which it was filled.
type Object = Map<String, Value>;

#[derive(Serialize)]
pub struct Summary {
    pub basis: &'static str,
    pub image: String,
    pub seed: u64,
    pub commands: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wake: Option<JudgedWake>,
    pub late_ms: f64,
    pub clips: usize,
    /// Number of clips in which no word is heard.
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
    /// Is `image` for the image's own thresholds, and `target` or, where no threshold meets that,
    /// `highest`.
    pub name: &'static str,
    pub smoothing: u8,
    /// Thresholds of 0 to 1, by label; labels that are never detected have none.
    pub thresholds: Object,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub false_wakes: Option<FalseWakes>,
    /// False alarms in the negatives; with a gate those of commands, which came while awake.
    pub false_alarms: Alarms,
    pub conditions: Vec<Heading>,
}

#[derive(Serialize)]
pub struct Heading {
    pub condition: String,
    pub snr_db: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub background: Option<&'static str>,
    pub room: &'static str,
    pub level_dbfs: f64,
    pub hours: f64,
    pub clipped_samples: u64,
    pub all: Row,
    pub in_noise: Option<Misses>,
    pub in_speech: Option<Misses>,
    pub commands: BTreeMap<String, Row>,
    /// Holds the start in ms of each bin of [`BIN_MS`] that has delays, and how many it has.
    pub delays: Vec<(f64, u64)>,
    pub missed: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pairs: Option<PairRow>,
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
    /// Counts the false alarms and the misses of each command; with a gate of each wake word.
    pub commands: BTreeMap<String, (u64, u64)>,
    #[serde(flatten)]
    pub gated: Option<Gated>,
}

/// Counts what a threshold of wake words leads to.
#[derive(Serialize)]
pub struct Gated {
    pub false_commands: u64,
    pub pairs_missed: u64,
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
        let wake = JudgedWake::of(options, &own, clips);
        let alarms = match &wake {
            Some(_) => "wakes",
            None => "alarms",
        };
        let mut notes = Vec::from_iter(poorly_resolved(alarms, options.fa_per_hour, hours));
        notes.extend(wake.as_ref().and_then(|wake| wake.note(clips)));
        if !options.wanted.labels.is_empty() && !clips.left_out.is_empty() {
            let (why, names) = (options.wanted.why_left_out(), clips.left_out.join(" "));
            notes.push(format!("left out, {why}: {names}"));
        }
        if sweep.image.grammar().commands > 0 {
            notes.push(
                "counted are words, not the commands of several that the image makes of them"
                    .into(),
            );
        }
        let target = match &wake {
            Some(_) => sweep.each_target(&own, options.fa_per_hour),
            None => sweep.target(options.fa_per_hour).cloned(),
        };
        let point = |name, point: &Point| operating_point(name, point, clips, sweep);
        let mut operating_points = vec![point("image", &sweep.at(own))];
        operating_points.extend(match (target, sweep.points.last()) {
            (Some(target), _) => Some(point("target", &target)),
            (None, Some((_, highest))) => {
                notes.push(format!(
                    "no threshold up to 0.99 has as few as {} false {alarms} an hour",
                    options.fa_per_hour
                ));
                Some(point("highest", highest))
            }
            (None, None) => None,
        });
        let failures = options.max_miss.map_or(Vec::new(), |most| {
            failures(most, &operating_points, &limit(&wake, options.fa_per_hour))
        });
        let conditions = sweep.conditions.iter().enumerate();
        Summary {
            basis: "measured: the INT8 image in the firmware crate and its decoder, on this machine",
            image: options.image.display().to_string(),
            seed: options.seed,
            commands: match &wake {
                Some(_) => names(&clips.commands, &clips.labels),
                None => names(&clips.spoken, &clips.labels),
            },
            wake,
            late_ms: LATE_MS,
            clips: clips.alone().count(),
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

    /// Returns the words whose thresholds are judged.
    pub fn judged(&self) -> &[String] {
        match &self.wake {
            Some(wake) => &wake.words,
            None => &self.commands,
        }
    }

    /// Says at which rate of false alarms or wakes misses are reported.
    pub fn limit(&self) -> String {
        limit(&self.wake, self.fa_per_hour)
    }

    pub fn json(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|error| Error::check(error.to_string()))
    }
}

fn limit(wake: &Option<JudgedWake>, per_hour: f64) -> String {
    match wake {
        Some(_) => format!("{per_hour} false wakes an hour of each wake word"),
        None => format!("{per_hour} false alarms an hour"),
    }
}

/// Says what misses more than the share `most`, where the false alarms are as few as was asked.
fn failures(most: f64, points: &[OperatingPoint], limit: &str) -> Vec<String> {
    let Some(target) = points.iter().find(|point| point.name == "target") else {
        return vec![format!("no threshold has {limit} or fewer")];
    };
    let mut failures = Vec::new();
    for row in &target.conditions {
        let pairs = row.pairs.as_ref().map(|pairs| ("pairs", &pairs.all));
        for (what, misses) in [("words", &row.all.misses)].into_iter().chain(pairs) {
            if misses.miss_rate > most {
                failures.push(format!(
                    "{}: {:.2} % of the {what} are missed at {limit}, at most {:.2} % may be",
                    row.condition,
                    100.0 * misses.miss_rate,
                    100.0 * most
                ));
            }
        }
    }
    failures
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
    let conditions = sweep
        .conditions
        .iter()
        .zip(&point.tallies)
        .zip(&point.pairs);
    let alarms = sweep.alarms(&point.settings);
    let (wakes, commands): (Vec<_>, Vec<_>) = alarms.partition(|(_, word)| {
        let wake = point.settings.wake.as_ref();
        wake.is_some_and(|wake| wake.is_wake_word(word.label.into()))
    });
    let wake = point.settings.wake.as_ref();
    OperatingPoint {
        name,
        smoothing: point.settings.smoothing,
        thresholds: thresholds
            .map(|(label, &threshold)| (label.clone(), (f64::from(threshold) / 256.0).into()))
            .collect(),
        false_wakes: wake.map(|_| FalseWakes::of(wakes, sweep.hours(), clips)),
        false_alarms: Alarms::of(commands, sweep.hours(), labels),
        conditions: conditions
            .enumerate()
            .map(|(number, ((condition, tally), pairs))| {
                let length = sweep.length(number);
                heading(condition, tally, pairs, clips, length)
            })
            .collect(),
    }
}

fn heading(
    condition: &Condition,
    tally: &Tally,
    pairs: &PairTally,
    clips: &Clips,
    (hours, clipped_samples): (f64, u64),
) -> Heading {
    let all = tally.all();
    let mut bins: BTreeMap<i64, u64> = BTreeMap::new();
    for delay in &all.delays_ms {
        *bins.entry((delay / BIN_MS).floor() as i64).or_default() += 1;
    }
    let background = |kind: Background| {
        let (words, hits) = tally.backgrounds[kind as usize];
        let mixed = condition.snr.is_some() && condition.background.is_none();
        (mixed && words > 0).then(|| Misses::of(words, hits))
    };
    let spoken = clips.spoken.iter();
    let mut missed = tally.missed.clone();
    missed.sort_unstable();
    Heading {
        condition: condition.name(),
        snr_db: condition.snr,
        background: condition.background.map(Background::name),
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
        pairs: PairRow::of(pairs, clips),
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
            gated: point.settings.wake.as_ref().map(|_| Gated {
                false_commands: point.false_commands(),
                pairs_missed: point.pairs[number].pairs - point.pairs[number].right,
            }),
        }
    };
    Det {
        condition: condition.name(),
        points: sweep.points.iter().map(point).collect(),
    }
}
