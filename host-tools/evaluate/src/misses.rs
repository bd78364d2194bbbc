//! `zerda run --explain` says why a spoken command was missed, and why one was detected that nobody said.
//!
//! A label file beside each recording (`labels.rs`) tells what is said. The decoder of the firmware crate runs over the
//! recording once more, and every frame of it is kept (`heard.rs`). The first reason that holds is told (`why.rs`): what
//! the decoder did, which is certain, before what the audio was like, which is likely.

mod heard;
mod labels;
mod why;

use std::path::Path;

use serde::Serialize;
use zerda_firmware::Image;
use zerda_firmware::decoder::Kind;
use zerda_firmware::grammar::Detection;
use zerda_support::error::{Error, Result};
use zerda_support::files;

use heard::Replay;
use labels::Annotation;
use why::Why;

/// Time after a command's end, in ms, in which it may be decided, as in `zerda eval --stream`.
const LATE_MS: u32 = crate::streams::score::LATE_MS as u32;
/// Time in ms before a word at which its table begins.
const LEAD_MS: u32 = 100;
/// Share of a word's samples from which on it is said that they are clipped.
const CLIPPED: f64 = 0.01;
/// Number of frames that a row of the table stands for: 50 ms.
const EVERY: usize = 5;
/// Number of labels that are shown beside the one that counts.
const OTHERS: usize = 3;

/// Returns a posterior of Q0.8 as 0 to 1.
fn posterior(q: u8) -> f64 {
    f64::from(q) / 256.0
}

#[derive(Serialize)]
struct Explanation<'a> {
    file: &'a str,
    /// Is `missed` or `false_alarm`.
    kind: &'static str,
    command: String,
    start_ms: u32,
    end_ms: u32,
    level_dbfs: f64,
    snr_db: Option<f64>,
    /// Share of samples that are clipped, 0 to 1.
    clipped: f64,
    threshold: f64,
    reason: &'static str,
    why: String,
    /// Names of the label that counts and of the likeliest others.
    labels: Vec<&'a str>,
    frames: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    end_ms: u32,
    /// Smoothed posteriors, 0 to 1, that the `labels` have.
    smoothed: Vec<f64>,
    /// Says whether nothing could be detected, so soon after a word.
    refractory: bool,
    /// Says whether no command counted, since no wake word had opened the window.
    asleep: bool,
    /// Says whether the label that counts was armed: once detected, it cannot be again before its average has fallen.
    armed: bool,
    /// Word that was detected since the row before.
    detected: Option<String>,
}

/// Explains what went wrong in a recording, in lines to be printed: of JSON, or of text with counts.
pub fn explain(image: &Image<'_>, path: &Path, samples: &[i16], json: bool) -> Result<Vec<String>> {
    let spoken = labels::beside(path, samples, image)?;
    let heard = Replay::of(image, samples)?;
    let name = path.display().to_string();
    let (explained, hits) = heard.explanations(&name, &spoken);
    let lines = explained.iter().map(|explanation| match json {
        true => serde_json::json!({ "explained": explanation }).to_string(),
        false => explanation.text(),
    });
    let mut lines: Vec<_> = lines.collect();
    if !json {
        let all = spoken.len();
        let false_alarms = explained.len() - (all - hits);
        lines.push(format!(
            "{name}: {hits} of {all} commands heard, false alarms: {false_alarms}"
        ));
    }
    Ok(lines)
}

impl Replay<'_> {
    /// Explains what was missed and what was a false alarm, in order of time, and counts the commands that were heard.
    fn explanations<'a>(
        &'a self,
        file: &'a str,
        spoken: &[Annotation],
    ) -> (Vec<Explanation<'a>>, usize) {
        let (mut hit, mut explained) = (vec![false; spoken.len()], Vec::new());
        for detection in &self.detections {
            let command = self.image.command(detection.command).unwrap_or_default();
            let at = detection.decided_ms;
            let within = |of: &Annotation| of.start_ms < at && at <= of.end_ms + LATE_MS;
            let said = |of: &Annotation| of.command == command;
            let mut all = spoken.iter().zip(&hit);
            let right = all.position(|(of, hit)| within(of) && said(of) && !hit);
            if let Some(right) = right {
                hit[right] = true;
                continue;
            }
            // The same command, detected twice, or else what was said last.
            let near = spoken
                .iter()
                .filter(|of| within(of))
                .max_by_key(|of| said(of));
            explained.push(self.false_alarm(file, detection, command, near));
        }
        let missed = spoken.iter().zip(&hit).filter(|(_, hit)| !**hit);
        explained.extend(missed.map(|(of, _)| self.missed(file, of)));
        explained.sort_by_key(|explanation| explanation.start_ms);
        (explained, hit.iter().filter(|hit| **hit).count())
    }

    fn missed<'a>(&'a self, file: &'a str, spoken: &Annotation) -> Explanation<'a> {
        let (label, why) = why::missed(self, spoken);
        let times = (spoken.start_ms, spoken.end_ms);
        self.explanation((file, "missed", &spoken.command), times, label, why)
    }

    fn false_alarm<'a>(
        &'a self,
        file: &'a str,
        detection: &Detection,
        command: &str,
        spoken: Option<&Annotation>,
    ) -> Explanation<'a> {
        let mut words = self.words();
        let last = words.rfind(|word| word.end_ms == detection.end_ms);
        let (label, faint) = last.map_or((0, false), |word| (word.label, word.kind == Kind::Faint));
        let why = why::false_alarm(self, detection, (label, faint), spoken, command);
        let times = (detection.start_ms, detection.end_ms);
        self.explanation((file, "false_alarm", command), times, label, why)
    }

    fn explanation<'a>(
        &'a self,
        (file, kind, command): (&'a str, &'static str, &str),
        (start_ms, end_ms): (u32, u32),
        label: u8,
        why: Why,
    ) -> Explanation<'a> {
        let span = self.span(start_ms.saturating_sub(LEAD_MS), end_ms + LATE_MS);
        let classes = self.image.manifest().classes;
        let mut shown: Vec<u8> = (0..classes).filter(|&other| other != label).collect();
        shown.sort_by_key(|&other| std::cmp::Reverse(self.peak(other, span.clone()).1));
        shown.truncate(OTHERS);
        shown.insert(0, label);
        let frames = self.frames[span].chunks(EVERY).filter_map(|frames| {
            let last = frames.last()?;
            let word = frames
                .iter()
                .find_map(|frame| frame.word.filter(|word| word.kind == Kind::Sure));
            Some(Row {
                end_ms: last.end_ms,
                smoothed: shown
                    .iter()
                    .map(|&label| posterior(last.smoothed[usize::from(label)]))
                    .collect(),
                refractory: last.refractory,
                asleep: !last.awake,
                armed: last.armed[usize::from(label)],
                detected: word.map(|word| self.name(word.label).to_string()),
            })
        });
        let (level_dbfs, snr_db) = self.level(start_ms, end_ms);
        Explanation {
            file,
            kind,
            command: command.into(),
            start_ms,
            end_ms,
            level_dbfs,
            snr_db,
            clipped: self.clipped(start_ms, end_ms),
            threshold: posterior(self.threshold(label)),
            reason: why.reason,
            why: why.text,
            labels: shown.iter().map(|&label| self.name(label)).collect(),
            frames: frames.collect(),
        }
    }
}

impl Explanation<'_> {
    fn text(&self) -> String {
        let what = match self.kind {
            "missed" => "missed",
            _ => "false alarm",
        };
        let snr = match self.snr_db {
            Some(snr) => format!("{snr:.0} dB above its background"),
            None => "without background".into(),
        };
        let clipped = match self.clipped {
            CLIPPED.. => format!(", {:.0} % clipped", 100.0 * self.clipped),
            _ => String::new(),
        };
        let Explanation {
            command,
            start_ms,
            end_ms,
            level_dbfs,
            threshold,
            why,
            ..
        } = self;
        let mut text = format!(
            "{what}: {command}, from {start_ms} to {end_ms} ms, {level_dbfs:.0} dBFS, {snr}{clipped}; threshold {threshold:.2}\n  {why}\n"
        );
        let mut row = |ms: &str, cells: &[String], state: &str| {
            let cells: String = cells.iter().map(|cell| format!("  {cell:>9}")).collect();
            text += format!("  {ms:>6}{cells}  {state}").trim_end();
            text.push('\n');
        };
        let labels: Vec<_> = self
            .labels
            .iter()
            .map(std::string::ToString::to_string)
            .collect();
        row("ms", &labels, "");
        for frame in &self.frames {
            let cells: Vec<_> = frame.smoothed.iter().map(|p| format!("{p:.2}")).collect();
            let state = match &frame.detected {
                Some(word) => format!("{word} detected"),
                None if frame.asleep => "asleep".into(),
                None if frame.refractory => "refractory".into(),
                None if !frame.armed => "not armed".into(),
                None => String::new(),
            };
            row(&frame.end_ms.to_string(), &cells, &state);
        }
        text.truncate(text.trim_end().len());
        text
    }
}

/// Fails if standard input, which has no label file, is among the inputs, or a label file is to be written over.
pub fn check_inputs(inputs: &[std::path::PathBuf]) -> Result<()> {
    if inputs.iter().any(|input| input == Path::new("-")) {
        return Err(Error::usage(
            "--explain takes recordings with a label file beside them, not standard input: record it to a WAV first",
        ));
    }
    let mut label_files = inputs.iter().map(|input| labels::file(input));
    label_files.try_for_each(|file| files::note(&file))
}

#[cfg(test)]
mod tests;
