//! Grammar: words to commands.
//!
//! Where the image lists no commands, each word is one. Where it does, they alone are commands: a
//! command of several words is complete when its words came in order with no other word between
//! them, each decided within the gap that the image states after the one before, and all of them
//! within [`LONGEST_MS`]. A word belongs to one command at most, and of several commands that begin
//! alike the longest counts: one that is complete while a longer one may still come waits until a
//! word comes that does not continue it, or the gap has passed. All others are decided at once.
//!
//! Of the words of a command one may be faint (see [`Decoder::faint`](crate::decoder::Decoder::faint)), since the
//! others vouch for it; a faint word that fits no command counts for nothing. Of 556 commands of two words, all
//! that clips of one speaker each of Speech Commands' `val` make, 462 are right without faint words and 481 with
//! them, one wrong (`measured` in float32, by a model of this module and the decoder).
//!
//! A wake word (see [`crate::gate`]) is one by itself, whatever the commands: between two words it parts them.
//!
//! A word's echo (see [`Word::echo`]) is no word here: said once, a word is no command of two, nor
//! the same command twice.
//!
//! The gap counts from the decision on a word to that on the next. From the end of a word to the
//! start of the next would be nearer to what people mean by a pause, but the start is known only
//! when the next word is: who waits for it would have to wait for the longest word besides.

use crate::decoder::Word;
use crate::image::{FrontEnd, Image, MAX_WORDS, SAMPLE_RATE};

/// From the start of a command's first word to the end of its last, at most.
pub const LONGEST_MS: u32 = 5000;

/// A spoken command. Times count from the start of the stream and stop counting after 49 days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Detection {
    /// Its number, which [`Image::command`] has the name of; [`Image::is_wake_word`] says whether it is a command.
    pub command: u8,
    /// Smoothed posterior, Q0.8, the lowest of its words.
    pub score: u8,
    /// Start of its first word.
    pub start_ms: u32,
    /// End of the frame that decided its last word.
    pub end_ms: u32,
    /// End of the audio that deciding took, look-ahead and waiting for another word included.
    pub decided_ms: u32,
}

/// Words that may yet become a command, at most: a command's, and as many faint ones.
const HELD: usize = 2 * MAX_WORDS;
/// Between the ends of two words, at least: nearer they are two readings of one.
const APART_MS: u32 = 200;

/// The words of one stream that may yet become a command.
#[derive(Clone, Copy, Debug, Default)]
pub struct Grammar {
    /// In order, with their frames; those after `count` mean nothing.
    words: [(Word, u64); HELD],
    count: usize,
    /// The frame to come.
    pub(crate) frame: u64,
}

/// How far words are a command.
enum Progress {
    /// They are: how many of them, and the lowest score.
    Complete(usize, u8),
    /// More may come.
    Begun,
    /// They never will be.
    Other,
}

impl Grammar {
    /// At the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the word that a frame decided, if any, and the end of the audio that it took.
    pub fn push_frame(
        &mut self,
        image: &Image<'_>,
        word: Option<Word>,
        decided_ms: u32,
        mut on_detection: impl FnMut(Detection),
    ) {
        // An echo was counted with its word.
        if let Some(word) = word.filter(|word| !word.echo) {
            if self.count == HELD {
                // Sure words are fewer.
                let faint = self.words.iter().position(|(word, _)| word.faint);
                self.remove(faint.unwrap_or(0));
            }
            if let Some(slot) = self.words.get_mut(self.count) {
                *slot = (word, self.frame);
                self.count += 1;
            }
        }
        while self.count > 0
            && let Some(detection) = self.next(image, decided_ms)
        {
            on_detection(detection);
        }
        self.frame = self.frame.saturating_add(1);
    }

    /// The command that the first words are; words that begin none are dropped. None where what is
    /// left begins a longer one that may still come, or nothing is left.
    #[inline(never)] // seldom runs
    fn next(&mut self, image: &Image<'_>, decided_ms: u32) -> Option<Detection> {
        loop {
            let words = self.words.get(..self.count)?;
            let (first, _) = words.first()?;
            let alone = image.alone(first.label).filter(|_| !first.faint);
            let mut longest = alone.map(|number| (1, number, first.score));
            let mut begun = false;
            for (number, command) in (0..).zip(image.phrases()) {
                match self.progress(image, words, command) {
                    Progress::Complete(used, score) => {
                        longest = longest.max(Some((used, number, score)));
                    }
                    Progress::Begun => begun = true,
                    Progress::Other => {}
                }
            }
            if begun {
                return None;
            }
            let (used, command, score) = longest.unwrap_or((1, 0, 0));
            let (last, _) = words.get(used.checked_sub(1)?)?;
            let detection = Detection {
                command,
                score,
                start_ms: first.start_ms,
                end_ms: last.end_ms,
                decided_ms,
            };
            (0..used).for_each(|_| self.remove(0));
            if longest.is_some() {
                return Some(detection);
            }
        }
    }

    /// How far words, in order, are a command.
    fn progress(&self, image: &Image<'_>, words: &[(Word, u64)], command: &[u8]) -> Progress {
        let gap = u64::from(image.grammar().gap);
        let FrontEnd { hop, window, .. } = image.manifest().front_end;
        // Samples from the start of a frame to that of another, and what so many ms have.
        let apart = |from: u64, to: u64| to.saturating_sub(from).saturating_mul(hop.into());
        let samples = |ms: u32| u64::from(ms) * u64::from(SAMPLE_RATE / 1000);
        let mut rest = command.iter();
        let mut next = rest.next();
        let mut faint = command.len() == 1;
        let (mut before, mut used, mut score) = (None, 0, u8::MAX);
        let start = words.first().map_or(0, |(first, _)| first.first_frame);
        for (count, held @ (word, frame)) in (1..).zip(words) {
            let Some(label) = next else {
                break;
            };
            let follows = before.is_none_or(|(before, decided): &(Word, u64)| {
                frame.saturating_sub(*decided) <= gap
                    && apart(before.last_frame, word.last_frame) >= samples(APART_MS)
            });
            let lasts = apart(start, word.last_frame).saturating_add(window.into());
            let fits = follows && lasts <= samples(LONGEST_MS) && !(faint && word.faint);
            if *label == word.label && fits {
                (before, used, next) = (Some(held), count, rest.next());
                faint |= word.faint;
                score = score.min(word.score);
            } else if before.is_none() || !word.faint {
                return Progress::Other;
            }
        }
        match before {
            _ if next.is_none() => Progress::Complete(used, score),
            Some((_, decided)) if self.frame.saturating_sub(*decided) < gap => Progress::Begun,
            _ => Progress::Other,
        }
    }

    fn remove(&mut self, word: usize) {
        if let Some(words @ [_, ..]) = self.words.get_mut(word..) {
            words.copy_within(1.., 0);
            self.count = self.count.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests;
