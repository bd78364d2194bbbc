//! The grammar turns words into commands.
//!
//! If the image lists no commands, each word is one. If it does, they alone are commands: a command of
//! several words is complete when its words came in order with no other word between them, each decided
//! within the gap that the image states after the one before, and all of them within [`LONGEST_MS`]. A word
//! belongs to one command at most, and of several commands that begin alike the longest counts: one that is
//! complete while a longer one may still come waits until a word comes that does not continue it, or the gap
//! has passed. All others are decided at once.
//!
//! One word of a command may be faint (see [`Kind::Faint`]), since the others vouch for it; a faint word that
//! fits no command counts for nothing. Of 556 commands of two words, all that clips of one speaker each of
//! Speech Commands' `val` make, 462 are right without faint words and 481 with them, one wrong (`measured` in
//! float32, by a model of this module and the decoder).
//!
//! A wake word (see [`crate::gate`]) is a detection by itself, whatever the commands: between two words it
//! parts them.
//!
//! A word's echo (see [`Kind::Echo`]) is no word here: said once, a word is no command of two, nor
//! the same command twice.
//!
//! The gap counts from the decision on a word to that on the next. The time from the end of a word to the
//! start of the next would be nearer to what people mean by a pause, but the start is known only when the
//! next word is: a grammar that waits for it would have to wait for the longest word besides.

use crate::decoder::{Kind, Word, decided_ms};
use crate::image::{FrontEndConfig, Image, MAX_WORDS, samples};

/// The longest time, in ms, that may pass from the start of a command's first word to the end of its last.
pub const LONGEST_MS: u32 = 5000;

/// A spoken command or wake word that was detected. Times count from the start of the stream, in ms, and stop
/// counting after 49 days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Detection {
    /// The number by which [`Image::command`] returns the name of the command or wake word.
    /// [`Image::is_wake_word`] says which of the two it is.
    pub command: u8,
    /// The lowest smoothed posterior that one of its words has, Q0.8.
    pub score: u8,
    /// The time at which the first word starts, in ms.
    pub start_ms: u32,
    /// The time at which the frame ends that decided the last word, in ms.
    pub end_ms: u32,
    /// The time, in ms, at which the audio ends that was needed to decide; it includes look-ahead and waiting
    /// for another word.
    pub decided_ms: u32,
}

/// The most words that are held because they may yet become a command: a command's, and as many faint ones.
const HELD: usize = 2 * MAX_WORDS;
/// The least time, in ms, that lies between the ends of two words; if they are nearer, they are two readings
/// of one.
const APART_MS: u32 = 200;

/// Holds the words of one stream that may yet become a command.
#[derive(Clone, Copy, Debug, Default)]
pub struct Grammar {
    /// Holds the words in order, with the frames that decided them; those after the first `count` mean
    /// nothing.
    words: [(Word, u64); HELD],
    count: usize,
    /// The number of the frame that comes next.
    pub(crate) frame: u64,
}

/// The rule that says how many words of one command may be faint: one, if the command has others that vouch for
/// it.
#[derive(Clone, Copy, Debug)]
pub struct Vouched {
    faint_allowed: bool,
}

impl Vouched {
    /// Returns the rule for the first word of a command, whose words are labels.
    pub fn for_command(words: &[u8]) -> Self {
        let faint_allowed = words.len() > 1;
        Self { faint_allowed }
    }

    /// Says whether the next word of the command may be of this kind.
    pub fn allows(self, kind: Kind) -> bool {
        self.faint_allowed || kind != Kind::Faint
    }

    /// Counts the next word of the command, which is of this kind.
    pub fn count(&mut self, kind: Kind) {
        self.faint_allowed &= kind != Kind::Faint;
    }
}

/// Says how far words are a command.
enum Progress {
    /// The words are a command; it uses so many of them, and the second figure is their lowest score, Q0.8.
    Complete(usize, u8),
    /// The words begin a command, and more may come.
    Begun,
    /// The words never will be this command.
    Other,
}

impl Grammar {
    /// Makes a grammar at the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the word that the next frame decided, if any. Tells `on_detection` of each command or wake word
    /// that is now complete.
    pub fn push_frame(
        &mut self,
        image: &Image<'_>,
        word: Option<Word>,
        mut on_detection: impl FnMut(Detection),
    ) {
        // An echo was counted with its word.
        if let Some(word) = word.filter(|word| word.kind != Kind::Echo) {
            if self.count == HELD {
                // Sure words are fewer.
                let faint = self
                    .words
                    .iter()
                    .position(|(word, _)| word.kind == Kind::Faint);
                self.remove(faint.unwrap_or(0));
            }
            if let Some(slot) = self.words.get_mut(self.count) {
                *slot = (word, self.frame);
                self.count += 1;
            }
        }
        while self.count > 0
            && let Some(detection) = self.next(image)
        {
            on_detection(detection);
        }
        self.frame = self.frame.saturating_add(1);
    }

    /// Returns the command that the first words are, and drops words that begin none. Returns `None` if the
    /// words that are left begin a longer command that may still come, or if no words are left.
    #[inline(never)] // seldom runs
    fn next(&mut self, image: &Image<'_>) -> Option<Detection> {
        loop {
            let words = self.words.get(..self.count)?;
            let (first, _) = words.first()?;
            let alone = image
                .alone(first.label)
                .filter(|_| first.kind == Kind::Sure);
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
            let manifest = image.manifest();
            let detection = Detection {
                command,
                score,
                start_ms: first.start_ms,
                end_ms: last.end_ms,
                decided_ms: decided_ms(manifest.stream, manifest.front_end, self.frame),
            };
            (0..used).for_each(|_| self.remove(0));
            if longest.is_some() {
                return Some(detection);
            }
        }
    }

    /// Says how far words, in their order, are `command`.
    fn progress(&self, image: &Image<'_>, words: &[(Word, u64)], command: &[u8]) -> Progress {
        let gap = u64::from(image.grammar().gap);
        let FrontEndConfig { hop, window, .. } = image.manifest().front_end;
        // Counts the samples from the start of a frame to that of another.
        let apart = |from: u64, to: u64| to.saturating_sub(from).saturating_mul(hop.into());
        let mut rest = command.iter();
        let mut next = rest.next();
        let mut vouched = Vouched::for_command(command);
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
            let fits = follows && lasts <= samples(LONGEST_MS) && vouched.allows(word.kind);
            if *label == word.label && fits {
                (before, used, next) = (Some(held), count, rest.next());
                vouched.count(word.kind);
                score = score.min(word.score);
            } else if before.is_none() || word.kind != Kind::Faint {
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
