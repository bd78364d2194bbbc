//! Says how much was heard, in one input or in all, wherever it was recognized.

use serde_json::{Value, json};
use zerda_firmware::Image;

use super::print;
use crate::audio::SAMPLE_RATE;
use crate::error::Result;
use crate::escape;

/// Holds sums over all inputs, wherever they were recognized.
pub struct Totals {
    pub files: usize,
    pub heard: Counts,
    pub samples: u64,
    pub steps: u64,
    /// Number of steps that would have run if the network never rested, where it may rest.
    pub possible: Option<u64>,
    pub logits_crc32: u32,
}

impl Totals {
    /// Prints the last line; `how` (as text) and `fields` (as JSON) say where and how fast it was.
    pub fn print(&self, how: &str, fields: Value, json: bool) -> Result<()> {
        let audio = self.samples as f64 / f64::from(SAMPLE_RATE);
        let (steps, Counts { commands, .. }) = (self.steps, self.heard);
        let wakes = self.heard.others_text();
        let crc = format!("{:08x}", self.logits_crc32);
        let duty = self
            .possible
            .map(|possible| steps as f64 / possible.max(1) as f64);
        if !json {
            let of = duty.map_or(String::new(), |duty| {
                format!(" ({:.1} % of all)", 100.0 * duty)
            });
            return print(&format!(
                "{audio:.2} s of audio {how}; {commands} commands{wakes}, {steps} steps{of}, logits {crc}"
            ));
        }
        let mut summary = json!({
            "files": self.files,
            "detections": commands,
            "audio_s": audio,
        });
        for (key, value) in fields.as_object().into_iter().flatten() {
            summary[key] = value.clone();
        }
        if self.heard.gated {
            summary["wake_words"] = json!(self.heard.wake_words);
        }
        if let Some(phrases) = self.heard.phrases {
            summary["phrases"] = json!(phrases);
        }
        summary["steps"] = json!(steps);
        if let Some(duty) = duty {
            summary["duty"] = json!(duty);
        }
        summary["logits_crc32"] = json!(crc);
        print(&json!({ "summary": summary }).to_string())
    }
}

/// Counts what was heard, in all inputs or in one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub commands: u64,
    pub wake_words: u64,
    /// Says whether the image names wake words; if not, none are told.
    pub gated: bool,
    /// Number of phrases that templates told of; `None` where there are no templates.
    pub phrases: Option<u64>,
}

impl Counts {
    /// Returns counts of zero for an image.
    pub fn of(image: &Image<'_>) -> Counts {
        Counts {
            gated: image.wake().is_some(),
            ..Counts::default()
        }
    }

    /// Returns the text about wake words and phrases that follows the number of commands.
    pub fn others_text(self) -> String {
        let wake_words = self.gated.then_some(self.wake_words);
        let others = [(wake_words, "wake word"), (self.phrases, "phrase")];
        let told = others.map(|(count, what)| match count {
            None => String::new(),
            Some(1) => format!(", 1 {what}"),
            Some(n) => format!(", {n} {what}s"),
        });
        told.concat()
    }
}

/// Returns the line that follows an input's detections where they are text; as JSON there is none.
pub fn end_line(name: &str, heard: Counts, samples: u64) -> String {
    let seconds = samples as f64 / f64::from(SAMPLE_RATE);
    let commands = match heard.commands {
        0 => "no command".to_string(),
        1 => "1 command".to_string(),
        n => format!("{n} commands"),
    };
    let wakes = heard.others_text();
    let name = escape::line(name);
    format!("{name}: {commands}{wakes} in {seconds:.2} s")
}
