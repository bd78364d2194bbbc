//! Gathers what is reported of wake words, and of pairs of a wake word and a command.

use std::collections::BTreeMap;

use serde::Serialize;
use zerda_firmware::decoder::Word;
use zerda_support::statistics::percentile;

use super::{Alarm, Misses, Rate};
use crate::streams::Options;
use crate::streams::make::GAP_MS;
use crate::streams::pairs::PairTally;
use crate::streams::sources::{Clips, Negative};
use crate::streams::track::Settings;

/// Gate that is judged.
#[derive(Serialize)]
pub struct JudgedWake {
    pub words: Vec<String>,
    pub window_ms: u16,
    pub extend: bool,
    /// Number of pairs that are said in each condition.
    pub pairs: usize,
    /// Time in ms that passes from a wake word to its command, at least and at most.
    pub gap_ms: (usize, usize),
}

/// Wake words that were detected in the negatives.
#[derive(Serialize)]
pub struct FalseWakes {
    #[serde(flatten)]
    pub all: Rate,
    pub by_word: BTreeMap<String, Rate>,
    pub each: Vec<Alarm>,
}

/// Figures that are reported of the pairs of a condition.
#[derive(Serialize)]
pub struct PairRow {
    /// Counts the pairs and those that are missed.
    pub all: Misses,
    /// Counts the wake words of the pairs and those that are missed.
    pub wake_words: Misses,
    /// Counts the commands whose wake word was heard, and those of them that are missed.
    pub after_wake: Misses,
    /// Counts the pairs and those that are missed, by wake word.
    pub by_wake_word: BTreeMap<String, Misses>,
    /// Counts the commands whose wake word was heard and those of them that are missed, by command.
    pub by_command: BTreeMap<String, Misses>,
    pub wrong_commands: u64,
    pub delay_p50_ms: Option<f64>,
    pub delay_p95_ms: Option<f64>,
    /// Files of the wake word and the command of each pair that is missed.
    pub missed: Vec<(String, String)>,
}

impl JudgedWake {
    /// Describes the gate that is judged; `None` if there is none.
    pub fn of(options: &Options, own: &Settings, clips: &Clips) -> Option<JudgedWake> {
        let wake = own.wake.as_ref()?;
        Some(JudgedWake {
            words: names(&clips.spoken, &clips.labels),
            window_ms: wake.window_ms,
            extend: wake.extend,
            pairs: match &clips.commands[..] {
                [] => 0,
                _ => options.pairs,
            },
            gap_ms: (GAP_MS.start, GAP_MS.end),
        })
    }

    /// Says what a reader has to know of the pairs, if anything.
    pub fn note(&self, clips: &Clips) -> Option<String> {
        if clips.commands.is_empty() {
            return Some("no clips of commands: no pairs of a wake word and a command".into());
        }
        // How often a clip of the word that has fewest for its part is said.
        let times = [&clips.spoken, &clips.commands].map(|labels| {
            let part = self.pairs.div_ceil(labels.len());
            let of = |&label: &usize| clips.files.iter().filter(|(of, _)| *of == label).count();
            let fewest = labels.iter().map(of).min().unwrap_or(0);
            part.div_ceil(fewest.max(1))
        });
        let most = times.into_iter().max().filter(|&times| times > 1)?;
        Some(format!(
            "there are fewer clips than {} pairs take: one takes part up to {most} times",
            self.pairs
        ))
    }
}

pub fn names(of: &[usize], labels: &[String]) -> Vec<String> {
    of.iter().map(|&label| labels[label].clone()).collect()
}

impl FalseWakes {
    pub fn of(alarms: Vec<(&Negative, Word)>, hours: f64, clips: &Clips) -> FalseWakes {
        let count = |label: usize| {
            let of = alarms
                .iter()
                .filter(|(_, word)| usize::from(word.label) == label);
            of.count() as u64
        };
        let by_word = clips.spoken.iter().map(|&label| {
            let rate = Rate::of(count(label), hours);
            (clips.labels[label].clone(), rate)
        });
        FalseWakes {
            all: Rate::of(alarms.len() as u64, hours),
            by_word: by_word.collect(),
            each: Alarm::each(alarms, &clips.labels),
        }
    }
}

impl PairRow {
    /// Makes the row of a condition; `None` if it has no pairs.
    pub fn of(tally: &PairTally, clips: &Clips) -> Option<PairRow> {
        let by = |counts: &BTreeMap<usize, (u64, u64)>| {
            let named = counts.iter().map(|(&label, &(of, right))| {
                let misses = Misses::of(of, right);
                (clips.labels[label].clone(), misses)
            });
            named.collect()
        };
        let mut delays = tally.delays_ms.clone();
        delays.sort_by(f64::total_cmp);
        let file = |clip: usize| clips.files[clip].1.display().to_string();
        let mut missed = tally.missed.clone();
        missed.sort_unstable();
        (tally.pairs > 0).then(|| PairRow {
            all: Misses::of(tally.pairs, tally.right),
            wake_words: Misses::of(tally.pairs, tally.wakes),
            after_wake: Misses::of(tally.wakes, tally.right),
            by_wake_word: by(&tally.by_wake_word),
            by_command: by(&tally.by_command),
            wrong_commands: tally.wrong,
            delay_p50_ms: percentile(&delays, 0.5),
            delay_p95_ms: percentile(&delays, 0.95),
            missed: missed
                .into_iter()
                .map(|(wake_word, command)| (file(wake_word), file(command)))
                .collect(),
        })
    }
}
