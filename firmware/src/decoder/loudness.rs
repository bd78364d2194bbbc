//! Loudness tells where a word starts, and whether it was said again or is an echo.

use crate::image::samples;

/// The number of frames whose loudness is kept.
const KEPT: usize = 256;
/// The longest time, in ms, for which the start of a word is looked for, if so much is kept.
const LONGEST_WORD_MS: u32 = 1500;
/// The most frames in which the start of a word is looked for.
const LONGEST_WORD: u64 = KEPT as u64;
/// The longest pause, in ms, that still lies within one word.
const LONGEST_PAUSE_MS: u32 = 120;
/// The least time, in ms, that lies between the decision on a word and that on the same word said again.
const AGAIN_MS: u32 = 360;
/// The time after the decision on a word, in ms, in which the same word may be its echo. Later, noise may have
/// covered the pause.
const ECHO_MS: u32 = 1000;
/// Says how much quieter than a word's loudest frame the pause after it must be (9 dB), in the unit of
/// [`crate::front_end::FrontEnd::loudness`].
const PAUSE_BELOW: u8 = 17;
/// Says how much quieter than its loudest frame the same word said again may be (8 dB). The loudest frame
/// since the quietest one of the pause counts; the unit is that of [`PAUSE_BELOW`].
const AGAIN_BELOW: u8 = 15;

/// Says how far below a word's loudest frame its others may be, however quiet it is around (30 dB): the noise that comes
/// after digital silence is no word.
const RANGE: u8 = 55;
/// Says how much louder than a word a sound before it is that is no part of it, but a click (12 dB).
const CLICK_ABOVE: u8 = 22;
/// The longest time, in ms, for which a click sounds, with the window of a frame; a vowel is longer.
const CLICK_MS: u32 = 60;

/// The loudness of the last frames, and of the last word that was no echo.
#[derive(Clone, Debug)]
pub(super) struct Loudness {
    /// Holds the loudness of the last frames; that of frame `n` is at `n` modulo [`KEPT`].
    history: [u8; KEPT],
    /// The number of the first frame whose loudness is known.
    pub begin: u64,
    /// The number of the frame after the one that decided the last word that was no echo; 0: there was none.
    pub after: u64,
    /// The label of the last word that was no echo.
    label: u8,
    /// The loudness that the loudest frame of that word has.
    loudest: u8,
    /// Says whether a pause came after that word.
    paused: bool,
    /// The loudness that the quietest frame of the pause has. `since` is that of the loudest frame after it.
    quietest: u8,
    since: u8,
}

impl Loudness {
    // All fields are zeros, which take no room in flash.
    pub const START: Self = Self {
        history: [0; KEPT],
        begin: 0,
        after: 0,
        label: 0,
        loudest: 0,
        paused: false,
        quietest: 0,
        since: 0,
    };

    /// Takes the loudness of `frame`, the one after the last. Follows how loud the last word still is, or its pause
    /// and what comes after it.
    pub fn follow(&mut self, frame: u64, loudness: u8) {
        self.history[usize::from(frame as u8)] = loudness;
        if !self.paused {
            self.loudest = self.loudest.max(loudness);
            self.paused = loudness.saturating_add(PAUSE_BELOW) <= self.loudest;
            self.quietest = u8::MAX;
        }
        if loudness <= self.quietest {
            (self.quietest, self.since) = (loudness, loudness);
        } else {
            self.since = self.since.max(loudness);
        }
    }

    /// Takes a word whose average is highest at `frame`, where a frame comes every `hop` samples. Returns the first
    /// loud frame of it, and whether it is an echo of the word before it; remembers it if it is none.
    pub fn word(&mut self, label: u8, frame: u64, hop: u16) -> (u64, bool) {
        let (onset, loudest) = self.onset(frame, hop);
        let as_loud = self.since.saturating_add(AGAIN_BELOW) >= self.loudest;
        let said_again = self.paused && as_loud && frame + 1 >= self.after + frames(AGAIN_MS, hop);
        let soon = self.after > 0 && frame < self.after + frames(ECHO_MS, hop);
        let echo = soon && label == self.label && !said_again;
        if !echo {
            self.after = frame + 1;
            (self.label, self.loudest) = (label, loudest);
            self.paused = false;
        }
        (onset, echo)
    }

    /// Returns the first loud frame of the word that ends with `frame`, and how loud the word becomes. A
    /// frame is loud if it is above halfway, in dB, between the quietest frame of the time looked back at and
    /// the loudest one from there to the word's end, and within [`RANGE`]; pauses as short as a stop consonant's are part
    /// of the word, and a click before such a pause is not. A vowel much louder than the consonant after it is.
    fn onset(&self, frame: u64, hop: u16) -> (u64, u8) {
        let longest = frames(LONGEST_WORD_MS, hop).min(LONGEST_WORD);
        let longest_pause = frames(LONGEST_PAUSE_MS, hop) as usize;
        let longest_click = frames(CLICK_MS, hop) as usize;
        let first = self.after.max(self.begin);
        let count = (frame.saturating_sub(first) + 1).min(longest) as usize;
        // These are the two parts of the ring.
        let (newer, older) = self.history.split_at(usize::from(frame as u8) + 1);
        let newer = last(newer, count);
        let older = last(older, count.saturating_sub(newer.len()));
        let least = |part: &[u8]| part.iter().copied().fold(u8::MAX, u8::min);
        let quietest = least(newer).min(least(older));
        let before = |age: usize| self.history[usize::from((frame as u8).wrapping_sub(age as u8))];
        let stands_out = |of: u8, above: u8| of > above.saturating_add(CLICK_ABOVE);
        // What follows from the loudest frame so far is kept: the bound, and whether there is a word at all.
        let (mut onset, mut loudest, mut bound, mut sounds) = (0, 0u8, 0u8, false);
        for age in 0..count {
            let loudness = before(age);
            if sounds && age > onset + 1 && stands_out(loudness, loudest) {
                let longer = (age..count).take(longest_click + 1).map(before);
                if longer.take_while(|&of| stands_out(of, loudest)).count() <= longest_click {
                    break;
                }
            }
            if loudness >= bound {
                onset = age;
                if loudness > loudest {
                    loudest = loudness;
                    bound = quietest
                        .midpoint(loudest)
                        .max(loudest.saturating_sub(RANGE));
                    sounds = stands_out(loudest, quietest);
                }
            } else if onset > 0 && age - onset > longest_pause {
                break;
            }
        }
        (frame.saturating_sub(onset as u64), loudest)
    }
}

/// Returns how many frames, of which one comes every `hop` samples, last `ms` milliseconds.
fn frames(ms: u32, hop: u16) -> u64 {
    // In 32 bits, which the device divides by itself.
    u64::from(samples(ms) as u32 / u32::from(hop.max(1)))
}

/// Returns the last `count` elements of a slice, or all if there are fewer.
fn last(slice: &[u8], count: usize) -> &[u8] {
    let from = slice.len().saturating_sub(count);
    slice.get(from..).unwrap_or_default()
}
