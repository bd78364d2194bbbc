//! The decoder turns posteriors of committed frames into words.
//!
//! Posteriors are averaged over the last few frames. A word is detected when its average reaches its
//! threshold, if the word is armed and no word was detected shortly before; it is armed again when its
//! average falls below half of the threshold. If two words reach their thresholds at once, the likelier one
//! counts. [`crate::grammar`] makes commands of the words. For the grammar there are faint words as well,
//! whose average reached three fifths of the threshold and faded: beside a sure word, a faint one may be part
//! of a command.
//!
//! A posterior may fall and rise again within one word: the release of the t of "left", 250 ms after the
//! vowel, looks to some models like another "left". Such a word is marked as an echo, and no command is made
//! of it. This was measured on Speech Commands with the shipped model: of 720 clips of one word in `val`,
//! where the rule was chosen, 52 gave the word twice without the rule and none does since; nor does one of
//! 1489 in `test`. The cost: the same word said again within a second is taken for an echo where noise covers
//! the pause.

mod loudness;
mod settings;

use loudness::Loudness;
pub use settings::{SettingError, THRESHOLDS};

use crate::image::{
    DecoderConfig, FrontEndConfig, Image, MAX_CLASSES, MAX_SMOOTHING, Stream, milliseconds,
};

/// Has the bit of every label, so that all are listened to.
pub const ALL_LABELS: u64 = u64::MAX;

/// A spoken word that the decoder detected. Times count from the start of the stream, in ms, and stop
/// counting after 49 days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Word {
    /// The number of the label that was heard.
    pub label: u8,
    /// The smoothed posterior that the word reached, Q0.8.
    pub score: u8,
    /// The time at which the first loud frame of the word starts, in ms.
    pub start_ms: u32,
    /// The time at which the frame that decided the word ends, in ms.
    pub end_ms: u32,
    /// The time, in ms, at which the audio ends that was needed to decide, look-ahead included.
    pub decided_ms: u32,
    /// Says how far the word is to be believed.
    pub kind: Kind,
    /// The number of the frame that starts at `start_ms`. Unlike the times, numbers of frames never stop
    /// counting.
    pub first_frame: u64,
    /// The number of the frame that ends at `end_ms`.
    pub last_frame: u64,
}

/// Says how far a word is to be believed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Kind {
    /// The average of the word reached its threshold.
    #[default]
    Sure,
    /// The average of the word reached only [`faint_threshold`], and faded.
    Faint,
    /// The word is rather a part of the same word before it than said again: there was no pause between them,
    /// or it is much quieter, or it came too soon.
    Echo,
}

/// Returns the average, Q0.8, that makes a word faint if its threshold is `threshold` (Q0.8): three fifths of
/// it.
pub fn faint_threshold(threshold: u8) -> u8 {
    (u16::from(threshold) * 3 / 5) as u8
}

/// The decoder of one stream, which turns its posteriors into words.
#[derive(Clone, Debug)]
pub struct Decoder {
    config: DecoderConfig,
    stream: Stream,
    front_end: FrontEndConfig,
    classes: usize,
    /// Holds the threshold of each label, Q0.8; a label with 0 is never detected.
    threshold: [u8; MAX_CLASSES],
    /// Has a bit for each label that may be faint. It is 0 where the image lists no commands, and wake words
    /// have no bit.
    faint: u64,
    state: State,
}

#[derive(Clone, Debug)]
struct State {
    /// Holds the posteriors of the last frames, Q0.8, `[frame, class]`.
    history: [[u8; MAX_CLASSES]; MAX_SMOOTHING],
    /// The row of the history that the next frame replaces.
    next_row: u8,
    /// Holds the sum of the history for each class.
    sums: [u16; MAX_CLASSES],
    smoothed: [u8; MAX_CLASSES],
    disarmed: [bool; MAX_CLASSES],
    /// Holds, for each word that may be faint, its highest average, or 0 if there is none. `age` counts the
    /// frames since then.
    height: [u8; MAX_CLASSES],
    age: [u8; MAX_CLASSES],
    /// The number of the frame that comes next.
    frame: u64,
    loudness: Loudness,
    /// Counts the frames that are left in which nothing is detected.
    refractory: u16,
}

impl State {
    // All fields are zeros, which take no room in flash.
    const START: Self = Self {
        history: [[0; MAX_CLASSES]; MAX_SMOOTHING],
        next_row: 0,
        sums: [0; MAX_CLASSES],
        smoothed: [0; MAX_CLASSES],
        disarmed: [false; MAX_CLASSES],
        height: [0; MAX_CLASSES],
        age: [0; MAX_CLASSES],
        frame: 0,
        loudness: Loudness::START,
        refractory: 0,
    };
}

impl Decoder {
    /// Makes a decoder at the start of a stream, with every word armed.
    pub fn new(image: &Image<'_>) -> Self {
        let manifest = image.manifest();
        let mut threshold = [0; MAX_CLASSES];
        for (slot, of_label) in threshold.iter_mut().zip(image.thresholds()) {
            *slot = of_label;
        }
        let commands = match image.grammar().commands {
            0 => 0,
            _ => ALL_LABELS,
        };
        Self {
            config: manifest.decoder,
            stream: manifest.stream,
            front_end: manifest.front_end,
            classes: manifest.classes.into(),
            threshold,
            faint: commands & !image.wake_labels(),
            state: State::START,
        }
    }

    /// Makes a decoder as [`Decoder::new`] does, but with another smoothing than the image's (1 to
    /// [`MAX_SMOOTHING`] frames) and other thresholds (Q0.8, one a label; 0: never detected). It serves to
    /// hear what these would do.
    pub fn with(image: &Image<'_>, smoothing: u8, thresholds: &[u8]) -> Self {
        let mut decoder = Self::new(image);
        decoder.config.smoothing = smoothing.clamp(1, MAX_SMOOTHING as u8);
        let all = thresholds.iter().chain(core::iter::repeat(&0));
        for (slot, &threshold) in decoder.threshold.iter_mut().zip(all) {
            *slot = threshold;
        }
        decoder
    }

    /// Forgets the stream, as at its start.
    pub fn reset(&mut self) {
        self.state = State::START;
    }

    /// Starts afresh with `frame`, as at the start of a stream, except that a refractory time goes on until its end.
    pub fn go_on_at(&mut self, frame: u64) {
        let passed = frame.saturating_sub(self.state.frame);
        let passed = u16::try_from(passed).unwrap_or(u16::MAX);
        let refractory = self.state.refractory.saturating_sub(passed);
        self.state = State::START;
        (self.state.frame, self.state.refractory) = (frame, refractory);
        self.state.loudness.begin = frame;
    }

    /// Returns the smoothed posteriors of the last frame, Q0.8, one a class.
    pub fn smoothed(&self) -> &[u8] {
        self.state.smoothed.get(..self.classes).unwrap_or_default()
    }

    /// Returns the number of frames to come in which nothing is detected, since a word was detected shortly
    /// before.
    pub fn refractory(&self) -> u16 {
        self.state.refractory
    }

    /// Says whether a label can be detected. After a detection it cannot, until its average has fallen below
    /// half of its threshold.
    pub fn armed(&self, label: u8) -> bool {
        self.state.disarmed.get(usize::from(label)) == Some(&false)
    }

    /// Takes the next committed frame: its posteriors, Q0.8 minus 128, one a class, and its loudness, in the unit of
    /// [`FrontEnd::loudness`](crate::front_end::FrontEnd::loudness), which tells where a word started. Returns the
    /// word that the frame decides, if any: one that reached its threshold, or else a faint one that has faded by
    /// this frame. There are faint words only where the image lists commands.
    ///
    /// Only the labels whose bit is set in `heard` are listened to. Another one that reaches its threshold is no word,
    /// nor a faint one, and not later either: it must have faded before it can be one.
    pub fn push_frame(&mut self, posteriors: &[i8], loudness: u8, heard: u64) -> Option<Word> {
        let frame = self.state.frame;
        self.state.frame += 1;
        self.smooth(posteriors);
        self.state.loudness.follow(frame, loudness);
        let quiet = self.state.refractory > 0;
        self.state.refractory = self.state.refractory.saturating_sub(1);
        let Some((label, score)) = self.likeliest(heard).filter(|_| !quiet) else {
            return self.faded(frame, heard);
        };
        self.state.refractory = self.config.refractory;
        *self.state.disarmed.get_mut(usize::from(label))? = true;
        Some(self.word(label, score, frame, Kind::Sure))
    }

    /// Returns a faint word that has faded by this frame, which decided no other word.
    fn faded(&mut self, frame: u64, heard: u64) -> Option<Word> {
        if self.faint == 0 {
            return None;
        }
        let mut heard = self.faint & heard;
        let State {
            smoothed,
            height,
            age,
            loudness: Loudness { after, .. },
            ..
        } = &mut self.state;
        let words = self.threshold.iter().zip(smoothed.iter());
        let words = words.zip(height.iter_mut().zip(age)).take(self.classes);
        let mut found = None;
        for (label, ((&threshold, &score), (height, age))) in (0..).zip(words) {
            *age = age.saturating_add(1);
            let listened = heard & 1 == 1;
            heard >>= 1;
            let sounds = threshold > 0 && score >= faint_threshold(threshold);
            if !listened {
                // One that sounds on later is taken for a sure one, which is no faint word.
                *height = if sounds { u8::MAX } else { 0 };
            } else if sounds {
                if score > *height {
                    (*height, *age) = (score, 0);
                }
            } else if *height > 0 {
                let at = frame.saturating_sub((*age).into());
                // Otherwise it is a part of the word before it, or was sure.
                let apart = *after == 0 || at >= *after + u64::from(self.config.refractory);
                if *height < threshold && apart && *age < u8::MAX {
                    if found.is_some() {
                        // This word is left for another frame.
                        continue;
                    }
                    found = Some((label, *height, at));
                }
                *height = 0;
            }
        }
        let (label, score, at) = found?;
        Some(self.word(label, score, at, Kind::Faint))
    }

    /// Makes the word whose average is highest at `frame`, and remembers it unless it is an echo.
    #[inline(never)] // seldom runs
    fn word(&mut self, label: u8, score: u8, frame: u64, kind: Kind) -> Word {
        let now = self.state.frame.saturating_sub(1);
        let (onset, echo) = self.state.loudness.word(label, frame, self.front_end.hop);
        Word {
            label,
            score,
            start_ms: self.ms(onset, 0),
            end_ms: self.ms(frame, self.front_end.window),
            decided_ms: decided_ms(self.stream, self.front_end, now),
            kind: if echo { Kind::Echo } else { kind },
            first_frame: onset,
            last_frame: frame,
        }
    }

    /// Averages the posteriors of the last frames, this one included.
    fn smooth(&mut self, posteriors: &[i8]) {
        let State {
            history,
            next_row,
            sums,
            smoothed,
            ..
        } = &mut self.state;
        let frames = self.config.smoothing;
        let Some(row) = history.get_mut(usize::from(*next_row)) else {
            return;
        };
        *next_row = if *next_row + 1 < frames {
            *next_row + 1
        } else {
            0
        };
        let classes = row.iter_mut().zip(sums).zip(smoothed);
        for (((slot, sum), smoothed), &q) in classes.zip(posteriors.iter().take(self.classes)) {
            let oldest = core::mem::replace(slot, q as u8 ^ 0x80);
            *sum = sum.wrapping_sub(oldest.into()).wrapping_add((*slot).into());
            *smoothed = sum.checked_div(frames.into()).unwrap_or(0) as u8;
        }
    }

    /// Arms the words that have faded, and returns label and score of the likeliest one among the armed words
    /// that reach their threshold and are listened to.
    fn likeliest(&mut self, mut heard: u64) -> Option<(u8, u8)> {
        let State {
            smoothed, disarmed, ..
        } = &mut self.state;
        let words = self.threshold.iter().zip(smoothed.iter()).zip(disarmed);
        let words = words.take(self.classes);
        let mut best: Option<(u8, u8)> = None;
        for (label, ((&threshold, &score), disarmed)) in (0..).zip(words) {
            *disarmed &= u16::from(score) * 2 >= u16::from(threshold);
            let reached = threshold > 0 && score >= threshold;
            let listened = heard & 1 == 1;
            heard >>= 1;
            let detected = reached && listened && !*disarmed;
            *disarmed |= reached && !listened;
            if detected && best.is_none_or(|(_, highest)| score > highest) {
                best = Some((label, score));
            }
        }
        best
    }

    /// Returns the milliseconds from the start of the stream to a sample of a frame.
    fn ms(&self, frame: u64, sample: u16) -> u32 {
        ms(self.front_end, frame, sample)
    }
}

/// Returns the milliseconds from the start of the stream to a sample of a frame; they stop counting after 49
/// days.
#[inline(never)]
pub(crate) fn ms(front_end: FrontEndConfig, frame: u64, sample: u16) -> u32 {
    let samples = frame
        .saturating_mul(front_end.hop.into())
        .saturating_add(sample.into());
    milliseconds(samples)
}

/// Returns the time, in ms, at which the audio ends that is needed to decide on `frame`: that of its step, look-ahead
/// included.
#[inline(never)] // seldom runs
pub(crate) fn decided_ms(stream: Stream, front_end: FrontEndConfig, frame: u64) -> u32 {
    let within_step = frame % u64::from(stream.step.max(1));
    let look_ahead = u64::from(stream.chunk.saturating_sub(1));
    let last = (frame - within_step).saturating_add(look_ahead);
    ms(front_end, last, front_end.window)
}

#[cfg(test)]
mod tests;
