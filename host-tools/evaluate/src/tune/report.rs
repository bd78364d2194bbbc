//! Writes what `zerda tune` says, and what it puts beside thresholds.

use std::collections::BTreeMap;

use serde::Serialize;
use zerda_firmware::Image;
use zerda_support::escape;
use zerda_support::statistics::percentile;

use super::{CONDITION, Options};
use crate::streams::bounds::poisson_upper;
use crate::streams::sweep::Point;

#[derive(Serialize)]
pub struct TuningReport {
    pub basis: &'static str,
    /// False alarms an hour that are wanted of all commands together, or false wakes of each wake word.
    pub fa_per_hour: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wake_words: Option<Vec<String>>,
    pub hours: f64,
    pub files: usize,
    pub before: Figures,
    pub after: Figures,
    /// False alarms an hour that the tails predict for other audio of the kind.
    pub expected_per_hour: f64,
    pub expected_by_command: serde_json::Map<String, serde_json::Value>,
    pub met: bool,
    pub notes: Vec<String>,
}

/// Holds what settings give on the audio that was heard.
#[derive(Serialize)]
pub struct Figures {
    pub smoothing: u8,
    pub thresholds: serde_json::Map<String, serde_json::Value>,
    pub false_alarms: u64,
    pub per_hour: f64,
    pub per_hour_upper: f64,
    pub by_command: serde_json::Map<String, serde_json::Value>,
    /// Number of false commands in the negatives that came while awake after a false wake.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub false_commands: Option<u64>,
    pub words: Option<u64>,
    pub misses: Option<u64>,
    pub miss_rate: Option<f64>,
    pub delay_p95_ms: Option<f64>,
    /// Number of words and of misses of each command that was said.
    pub misses_by_command: BTreeMap<String, (u64, u64)>,
}

pub fn delay_p95(delays_ms: &[f64]) -> Option<f64> {
    let mut sorted = delays_ms.to_vec();
    sorted.sort_by(f64::total_cmp);
    percentile(&sorted, 0.95)
}

impl TuningReport {
    pub fn text(&self, options: &Options) -> String {
        let mut text = format!("negatives: {:.2} h in {} files\n", self.hours, self.files);
        for note in &self.notes {
            text += &format!("note: {note}\n");
        }
        let (what, each) = match &self.wake_words {
            Some(_) => ("wakes", " of each wake word"),
            None => ("alarms", ""),
        };
        for (name, figures) in [("before", &self.before), ("after", &self.after)] {
            let false_commands = figures
                .false_commands
                .map(|count| format!("; {count} false commands after them"));
            text += &format!(
                "{name}: smoothing {}, {} false {what} in the negatives, {:.2} an hour, below {:.2}{}{}\n",
                figures.smoothing,
                figures.false_alarms,
                figures.per_hour,
                figures.per_hour_upper,
                false_commands.unwrap_or_default(),
                figures.words_text()
            );
        }
        text += &format!(
            "on other audio of the kind, estimated: {:.2} an hour, of {} wanted{each}\n\n\
             {:<12}  before   after   false {what}\n",
            self.expected_per_hour, self.fa_per_hour, "threshold"
        );
        let value = |figures: &Figures, name: &str| {
            let threshold = figures.thresholds.get(name);
            threshold.and_then(serde_json::Value::as_f64).unwrap_or(0.0)
        };
        for (name, count) in &self.after.by_command {
            let (before, after) = (value(&self.before, name), value(&self.after, name));
            let was = &self.before.by_command[name];
            text +=
                &format!("{name:<12}  {before:>6.3}  {after:>6.3}   {was} before, {count} after\n");
        }
        let config = options
            .config
            .as_ref()
            .map(|folder| folder.join("commands.toml"));
        let written: Vec<_> = options.output.iter().chain(&config).collect();
        match &written[..] {
            _ if !self.met => {}
            [] => text += "\nnothing was written: name --output and --config\n",
            _ => {
                for path in written {
                    text += &format!("\nwritten: {}", escape::path(path));
                }
            }
        }
        text
    }
}

impl Figures {
    pub fn of(image: &Image<'_>, point: &Point, hours: f64) -> Figures {
        let names: Vec<_> = image.labels().map(|label| label.name.to_string()).collect();
        let judged = || point.settings.judged();
        let count = point.all_false_alarms();
        let all = point.tallies[0].all();
        let words = (all.words > 0).then_some(all.words);
        let said = judged().map(|label| (label, &point.tallies[0].labels[label]));
        Figures {
            smoothing: point.settings.smoothing,
            thresholds: judged()
                .map(|label| {
                    let threshold = f64::from(point.settings.thresholds[label]) / 256.0;
                    (names[label].clone(), threshold.into())
                })
                .collect(),
            false_alarms: count,
            per_hour: count as f64 / hours,
            per_hour_upper: poisson_upper(count) / hours,
            by_command: judged()
                .map(|label| (names[label].clone(), point.false_alarms[label].into()))
                .collect(),
            false_commands: point
                .settings
                .wake
                .is_some()
                .then(|| point.false_commands()),
            words,
            misses: words.map(|_| all.misses()),
            miss_rate: words.map(|words| all.misses() as f64 / words as f64),
            delay_p95_ms: delay_p95(&all.delays_ms),
            misses_by_command: said
                .filter(|(_, counts)| counts.words > 0)
                .map(|(label, counts)| (names[label].clone(), (counts.words, counts.misses())))
                .collect(),
        }
    }

    /// Says what was measured at the threshold of each command or wake word, for whoever reads the config.
    pub fn remarks(&self, hours: f64) -> BTreeMap<String, String> {
        let what = match self.false_commands {
            Some(_) => "false wakes",
            None => "false alarms",
        };
        let remarks = self.by_command.iter().map(|(name, count)| {
            let missed = self.misses_by_command.get(name).map(|(words, misses)| {
                let snr = CONDITION.snr.unwrap_or_default();
                format!("{misses} of {words} missed at {snr} dB; ")
            });
            let count = count.as_u64().unwrap_or(0);
            let remark = format!(
                "{}{count} {what} in {hours:.2} h, {:.2} an hour, below {:.2} (95 %)",
                missed.unwrap_or_default(),
                count as f64 / hours,
                poisson_upper(count) / hours
            );
            (name.clone(), remark)
        });
        remarks.collect()
    }

    fn words_text(&self) -> String {
        match (self.words, self.misses, self.miss_rate, self.delay_p95_ms) {
            (Some(words), Some(misses), Some(rate), Some(delay)) => format!(
                "; {misses} of {words} words missed, {:.2} %, delay p95 {delay:.0} ms",
                100.0 * rate
            ),
            _ => String::new(),
        }
    }
}
