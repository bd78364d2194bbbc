//! Keeps all that the recognizer made of a recording, frame by frame.

use std::ops::Range;

use zerda_firmware::decoder::{Decoder, Kind, Word};
use zerda_firmware::gate::{Gate, Outcome};
use zerda_firmware::grammar::Detection;
use zerda_firmware::{Image, image};
use zerda_support::audio::SAMPLE_RATE;
use zerda_support::audio::tail;
use zerda_support::error::Result;
use zerda_support::statistics::decibels;

use crate::streams::track::Track;
use crate::streams::wake;

/// Number of samples that make a hop of 10 ms.
const HOP: usize = SAMPLE_RATE as usize / 100;
/// Size from which on a sample is taken for clipped; a resampled one falls a little short of full scale.
const CLIPPED: u16 = 32_700;
/// Number of hops before and after a word that its background is taken from: 1.5 s.
const AROUND: usize = 150;
/// Power that stands for digital silence, where full scale is 1: -100 dB.
const LEAST: f64 = 1e-10;
/// Level in dB that a unit of the front end's loudness stands for: an eighth of a nat of power.
const LOUDNESS_DB: f64 = 10.0 * std::f64::consts::LOG10_E / 8.0;

pub struct Replay<'a> {
    pub image: &'a Image<'a>,
    /// Mean square that each hop of 10 ms has, where full scale is 1.
    powers: Vec<f64>,
    /// Number of clipped samples that each hop has.
    clipped: Vec<usize>,
    loudness: Vec<u8>,
    pub frames: Vec<Frame>,
    pub detections: Vec<Detection>,
    /// Times in ms at which windows closed.
    pub closed: Vec<u32>,
}

/// Holds a frame as the decoder had it. Posteriors are Q0.8, one a label.
pub struct Frame {
    pub end_ms: u32,
    pub posteriors: Vec<u8>,
    pub smoothed: Vec<u8>,
    /// Says of each label whether it was armed: once detected, it cannot be again before its average has fallen.
    pub armed: Vec<bool>,
    /// Says whether nothing could be detected, so soon after a word.
    pub refractory: bool,
    /// Says whether commands counted; without wake words they always do.
    pub awake: bool,
    /// Word that the frame decided, of any kind.
    pub word: Option<Word>,
}

impl Frame {
    /// Returns the word that reached its threshold in this frame, an echo included.
    pub fn detected(&self) -> Option<Word> {
        self.word.filter(|word| word.kind != Kind::Faint)
    }
}

impl<'a> Replay<'a> {
    /// Hears a recording from the start of a stream, as `zerda run` does.
    pub fn of(image: &'a Image<'a>, samples: &[i16]) -> Result<Replay<'a>> {
        let mut memory = vec![0; image.memory_bytes()];
        let track = Track::of(image, &mut memory, &[samples, &tail(image)].concat())?;
        let image::FrontEndConfig { hop, window, .. } = image.manifest().front_end;
        let (mut frames, mut detections, mut closed) = (Vec::new(), Vec::new(), Vec::new());
        let mut refractory = false;
        let frame = |posteriors: &[i8], decoder: &Decoder, gate: &Gate, word| {
            let end = frames.len() * usize::from(hop) + usize::from(window);
            frames.push(Frame {
                end_ms: (end * 1000 / SAMPLE_RATE as usize) as u32,
                posteriors: posteriors.iter().map(|&q| q as u8 ^ 0x80).collect(),
                smoothed: decoder.smoothed().to_vec(),
                armed: (0..posteriors.len() as u8)
                    .map(|label| decoder.armed(label))
                    .collect(),
                refractory,
                awake: gate.is_awake(),
                word,
            });
            refractory = decoder.refractory() > 0;
        };
        wake::listen(image, &track, Decoder::new(image), frame, |of| match of {
            Outcome::Detection(detection) => detections.push(detection),
            Outcome::Asleep(asleep) => closed.push(asleep.at_ms),
            Outcome::Awake(_) => {}
        });
        Ok(Replay {
            image,
            powers: samples.chunks(HOP).map(power).collect(),
            clipped: samples.chunks(HOP).map(clipped).collect(),
            loudness: track.loudness().to_vec(),
            frames,
            detections,
            closed,
        })
    }

    /// Returns the words that were decided, of every kind.
    pub fn words(&self) -> impl DoubleEndedIterator<Item = Word> {
        self.frames.iter().filter_map(|frame| frame.word)
    }

    /// Returns the labels of the wake words.
    pub fn wake_words(&self) -> &'a [u8] {
        self.image.wake().map_or(&[], |wake| wake.words)
    }

    pub fn ms(&self, frames: u16) -> u32 {
        let hop = u32::from(self.image.manifest().front_end.hop);
        u32::from(frames) * hop / (SAMPLE_RATE / 1000)
    }

    /// Returns the frames that end from `start_ms` to `end_ms`, both included.
    pub fn span(&self, start_ms: u32, end_ms: u32) -> Range<usize> {
        let before = |ms: u32| self.frames.partition_point(|frame| frame.end_ms < ms);
        before(start_ms)..before(end_ms.saturating_add(1))
    }

    /// Returns the frame of a span with a label's highest average, and that average (Q0.8).
    pub fn peak(&self, label: u8, span: Range<usize>) -> (usize, u8) {
        let average = |frame: usize| self.frames[frame].smoothed[usize::from(label)];
        let first = (span.start, 0);
        span.map(|frame| (frame, average(frame)))
            .fold(first, |best, new| if new.1 > best.1 { new } else { best })
    }

    pub fn name(&self, label: u8) -> &str {
        let mut labels = self.image.labels();
        labels.nth(label.into()).map_or("", |label| label.name)
    }

    /// Returns the threshold of a label, Q0.8; with 0 it is never detected.
    pub fn threshold(&self, label: u8) -> u8 {
        self.image.thresholds().nth(label.into()).unwrap_or(0)
    }

    /// Returns the level, RMS in dBFS, and how far above its background that is, in dB. The background is what the
    /// quietest fifth of the 10 ms around it has at most, 1.5 s before and after; where it is digital silence, the
    /// second is `None`.
    pub fn level(&self, start_ms: u32, end_ms: u32) -> (f64, Option<f64>) {
        let hops = &self.powers;
        let clamp = |ms: u32| (ms as usize / 10).min(hops.len());
        let (start, end) = (clamp(start_ms), clamp(end_ms));
        let word = mean(&hops[start..end]);
        let before = &hops[start.saturating_sub(AROUND)..start];
        let after = &hops[end..(end + AROUND).min(hops.len())];
        let mut around = [before, after].concat();
        around.sort_by(f64::total_cmp);
        let background = around.get(around.len() / 5).copied().unwrap_or(0.0);
        let snr = (background > 0.0)
            .then(|| decibels((word - background).max(background * 1e-2) / background));
        (decibels(word.max(LEAST)), snr)
    }

    /// Returns the share of samples that are clipped, 0 to 1.
    pub fn clipped(&self, start_ms: u32, end_ms: u32) -> f64 {
        let clamp = |ms: u32| (ms as usize / 10).min(self.clipped.len());
        let hops = &self.clipped[clamp(start_ms)..clamp(end_ms)];
        hops.iter().sum::<usize>() as f64 / (hops.len() * HOP).max(1) as f64
    }

    /// Returns by how many dB something before a word, as the front end still remembers it, is louder than the word.
    pub fn louder_before(&self, start_ms: u32, end_ms: u32) -> f64 {
        let span = self.span(start_ms, end_ms);
        let (start, end) = (span.start, span.end.min(self.loudness.len()));
        let decay = f64::from(self.image.manifest().front_end.level_decay) * 8.0;
        let before = self.loudness[..start.min(end)].iter().rev().zip(1..);
        let before = before.map(|(&of, age)| f64::from(of) - decay * f64::from(age));
        let word = self.loudness[start.min(end)..end].iter().max();
        let word = f64::from(word.copied().unwrap_or(0));
        (before.fold(0.0, f64::max) - word) * LOUDNESS_DB
    }
}

fn clipped(samples: &[i16]) -> usize {
    let clipped = samples
        .iter()
        .filter(|sample| sample.unsigned_abs() >= CLIPPED);
    clipped.count()
}

fn power(samples: &[i16]) -> f64 {
    let squares = samples.iter().map(|&s| (f64::from(s) / 32768.0).powi(2));
    squares.sum::<f64>() / samples.len().max(1) as f64
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}
