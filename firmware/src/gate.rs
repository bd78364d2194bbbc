//! The gate says which words count now. It stands between [`crate::decoder`] and [`crate::grammar`].
//!
//! If the image names wake words ([`Wake`](crate::image::Wake)), the device is asleep until it hears one.
//! While asleep it listens to wake words only. A wake word opens a window, in which words make commands as
//! they do without a gate. A command opens it anew, if the image says so, and so does a wake word; otherwise
//! it closes by itself. Without wake words the device is always awake.
//!
//! The frame that decides a word is the one that counts: in a window of `n` frames, the `n` after the one
//! that opened it. Words that the grammar holds then may still become a command, and such a command opens the
//! window anew, too. A word that was said while the device was asleep never counts, not even if it sounds on:
//! it must have faded before it can be heard. A wake word is no part of a command, and parts the words around
//! it.
//!
//! Frames are numbered with 64 bits, from the start of the stream: nothing here depends on milliseconds, which
//! stop counting after 49 days.
//!
//! # Cost
//!
//! The table counts the instructions of a step with full caches, in QEMU on `shrunk` and
//! `models/samples/answers.wav`, with "yes" as the wake word; decoder, gate, grammar and the sliding of the
//! windows are counted together:
//!
//! | board | with wake words | without | of a step |
//! |---|---|---|---|
//! | `mps2-an386` (Cortex-M4, `dsp`) | 14,068 | 14,123 | 2,719,582 |
//! | `mps3-an547` (Cortex-M55, `mve`) | 13,146 | 13,101 | 811,794 |
//!
//! The gate itself costs less than what the compiler's choices differ by, 0.01 % of a step.

use serde::{Deserialize, Serialize};

use crate::decoder::{ALL_LABELS, Word, ms};
use crate::grammar::{Detection, Grammar};
use crate::image::{FrontEndConfig, Image, label_bit, samples};

/// Says that the window opened, or stays open for longer. Times count from the start of the stream, in ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Awake {
    /// The number of the frame that decided the wake word or command.
    pub frame: u64,
    /// The number that the last frame of the window has.
    pub until: u64,
    /// The time at which `frame` ends, in ms.
    pub at_ms: u32,
    /// The time at which the window's last frame ends, in ms.
    pub until_ms: u32,
}

/// Says that the window closed, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Asleep {
    /// The number that the last frame of the window has.
    pub frame: u64,
    /// The time at which the window's last frame ends, in ms from the start of the stream.
    pub at_ms: u32,
    /// Says why the window closed.
    pub reason: Reason,
}

/// Says why the window closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Reason {
    /// The time of the window is over.
    WindowOver,
    /// The stream began afresh, as it does after lost audio.
    Reset,
}

/// Says what a frame brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Outcome {
    /// A command or a wake word was detected.
    Detection(Detection),
    /// The window opened, or stays open for longer.
    Awake(Awake),
    /// The window that was open closed.
    Asleep(Asleep),
}

/// The gate of one stream, which holds its grammar too.
#[derive(Clone, Copy, Debug)]
pub struct Gate {
    grammar: Grammar,
    front_end: FrontEndConfig,
    /// Has a bit for each label that is a wake word; 0: there are none.
    wake_words: u64,
    /// The number of frames that a window lasts.
    window: u64,
    extend: bool,
    /// The number of the frame that comes next.
    frame: u64,
    /// The number that the frame after the window's last has; 0: the device is asleep.
    end: u64,
}

impl Gate {
    /// Makes a gate at the start of a stream; it is asleep if the image names wake words.
    pub fn new(image: &Image<'_>) -> Self {
        let front_end = image.manifest().front_end;
        let (window_ms, extend) = image
            .wake()
            .map_or((0, false), |wake| (wake.window_ms, wake.extend));
        Self {
            grammar: Grammar::new(),
            front_end,
            wake_words: image.wake_labels(),
            window: samples(window_ms.into()).div_ceil(u64::from(front_end.hop).max(1)),
            extend,
            frame: 0,
            end: 0,
        }
    }

    /// Numbers the frame that comes next. A window that is open, and words that are held, end at their own frames, so
    /// that frames which passed may come again.
    pub(crate) fn go_on_at(&mut self, frame: u64) {
        (self.frame, self.grammar.frame) = (frame, frame);
    }

    /// Returns the number of the frame that comes next.
    pub(crate) fn next_frame(&self) -> u64 {
        self.frame
    }

    /// Forgets all of the stream. If a window was open, it closes, and that is returned.
    pub fn reset(&mut self) -> Option<Asleep> {
        let last = self.frame.saturating_sub(1);
        let closed = (self.end > 0).then(|| self.closed(last, Reason::Reset));
        self.grammar = Grammar::new();
        (self.frame, self.end) = (0, 0);
        closed
    }

    /// Says whether commands count in the frame that comes next.
    pub fn is_awake(&self) -> bool {
        self.wake_words == 0 || self.end > 0
    }

    /// Returns what to listen to in the frame that comes next: a bit for each label, for
    /// [`Decoder::push_frame`](crate::decoder::Decoder::push_frame).
    pub fn listens_to(&self) -> u64 {
        if self.is_awake() {
            ALL_LABELS
        } else {
            self.wake_words
        }
    }

    /// Takes the word that the next frame decided, if any. Tells `on_outcome` of detections, and after them of
    /// the window's opening or closing.
    pub fn push_frame(
        &mut self,
        image: &Image<'_>,
        word: Option<Word>,
        mut on_outcome: impl FnMut(Outcome),
    ) {
        let heard = self.listens_to();
        let word = word.filter(|word| heard & label_bit(word.label) != 0);
        let mut opens = false;
        self.grammar.push_frame(image, word, |detection| {
            opens |= self.extend || image.is_wake_word(detection.command);
            on_outcome(Outcome::Detection(detection));
        });
        let frame = self.frame;
        self.frame = frame.saturating_add(1);
        if self.wake_words == 0 {
            return;
        }
        if opens {
            self.end = self.frame.saturating_add(self.window);
            let until = self.end.saturating_sub(1);
            on_outcome(Outcome::Awake(Awake {
                frame,
                until,
                at_ms: self.end_ms(frame),
                until_ms: self.end_ms(until),
            }));
        } else if self.end > 0 && self.frame >= self.end {
            self.end = 0;
            on_outcome(Outcome::Asleep(self.closed(frame, Reason::WindowOver)));
        }
    }

    fn closed(&self, frame: u64, reason: Reason) -> Asleep {
        let at_ms = self.end_ms(frame);
        Asleep {
            frame,
            at_ms,
            reason,
        }
    }

    /// Returns the time at which a frame ends, in ms.
    fn end_ms(&self, frame: u64) -> u32 {
        ms(self.front_end, frame, self.front_end.window)
    }
}

#[cfg(test)]
mod tests;
