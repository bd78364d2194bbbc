//! Counts what a device reported, for the last line of `zerda monitor`.

use serde_json::{Value, json};
use zerda_firmware::telemetry::Report;
use zerda_support::output;

#[derive(Default)]
pub struct Counts {
    pub frames: u64,
    pub corrupted: u64,
    pub lost: u64,
    /// Commands and wake words, which are told where there is a sign of a gate.
    heard: output::Counts,
    windows_opened: u64,
    windows_closed: u64,
    /// Spells in which the network ran, which are told where there is a sign that it may rest.
    spells: Option<u64>,
    /// Whether the window is open, as far as is known.
    awake: bool,
}

impl Counts {
    /// Counts a report by its kind. A window that stays open for longer opens once.
    pub fn add(&mut self, report: &Report<'_>) {
        self.frames += 1;
        match *report {
            Report::Start { .. } => self.awake = false,
            Report::Detection { .. } => self.heard.commands += 1,
            Report::WakeWord { .. } => self.heard.wake_words += 1,
            Report::Phrase { .. } => *self.heard.phrases.get_or_insert(0) += 1,
            Report::Awake { .. } => {
                self.windows_opened += u64::from(!self.awake);
                self.awake = true;
            }
            Report::Asleep { .. } => {
                self.windows_closed += 1;
                self.awake = false;
            }
            Report::Speech { .. } => *self.spells.get_or_insert(0) += 1,
            Report::Quiet { .. } => {
                self.spells.get_or_insert(0);
            }
            // It knows better, where a report was lost or came before we listened.
            Report::Gate { awake, .. } => self.awake = awake,
            _ => {}
        }
        self.heard.gated |= matches!(
            report,
            Report::WakeWord { .. }
                | Report::Awake { .. }
                | Report::Asleep { .. }
                | Report::Gate { .. }
        );
    }

    pub fn text(&self) -> String {
        let Counts {
            frames,
            corrupted,
            lost,
            heard,
            windows_opened,
            windows_closed,
            spells,
            ..
        } = self;
        let windows = match (heard.gated, windows_opened) {
            (false, _) => String::new(),
            (true, 1) => format!("; 1 window opened, {windows_closed} closed"),
            (true, n) => format!("; {n} windows opened, {windows_closed} closed"),
        };
        let spells = spells.map_or(String::new(), |n| format!("; {n} times speech"));
        let (commands, wake_words) = (heard.commands, heard.others_text());
        format!(
            "{frames} frames, {corrupted} corrupted, {lost} lost; {commands} commands{wake_words}{windows}{spells}"
        )
    }

    pub fn json(&self) -> Value {
        let mut summary = json!({
            "frames": self.frames,
            "corrupted": self.corrupted,
            "lost": self.lost,
            "detections": self.heard.commands,
        });
        if self.heard.gated {
            summary["wake_words"] = json!(self.heard.wake_words);
            summary["windows_opened"] = json!(self.windows_opened);
            summary["windows_closed"] = json!(self.windows_closed);
        }
        if let Some(phrases) = self.heard.phrases {
            summary["phrases"] = json!(phrases);
        }
        if let Some(spells) = self.spells {
            summary["speech"] = json!(spells);
        }
        json!({ "summary": summary })
    }
}
