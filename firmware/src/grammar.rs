//! Grammar: words to commands.
//!
//! Where the image lists no commands, each word is one. Where it does, they alone are commands: a
//! command of several words is complete when its words came in order with no other word between
//! them, each decided within the gap that the image states after the one before, and all of them
//! within [`LONGEST_MS`]. A word belongs to one command at most, and of several commands that begin
//! alike the longest counts: one that is complete while a longer one may still come waits until a
//! word comes that does not continue it, or the gap has passed. All others are decided at once.
//!
//! A word's echo (see [`Word::echo`]) is no word here: said once, a word is no command of two, nor
//! the same command twice.
//!
//! The gap counts from the decision on a word to that on the next. From the end of a word to the
//! start of the next would be nearer to what people mean by a pause, but the start is known only
//! when the next word is: who waits for it would have to wait for the longest word besides.

use crate::decoder::Word;
use crate::image::{Image, MAX_WORDS};

/// From the start of a command's first word to the end of its last, at most.
pub const LONGEST_MS: u32 = 5000;

/// A spoken command. Times count from the start of the stream and stop counting after 49 days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Detection {
    /// Its number, which [`Image::command`] has the name of.
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

/// The words of one stream that may yet become a command.
#[derive(Clone, Copy, Debug, Default)]
pub struct Grammar {
    /// In order; those after `count` mean nothing.
    words: [Word; MAX_WORDS],
    count: usize,
    /// Frames in which another word can still follow.
    left: u16,
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
        let gap = image.grammar().gap;
        // An echo was counted with its word.
        let word = word.filter(|word| !word.echo);
        if let Some(word) = word {
            if let Some(slot) = self.words.get_mut(self.count) {
                *slot = word;
                self.count += 1;
            }
            self.left = gap;
        } else {
            self.left = self.left.saturating_sub(1);
            if self.left > 0 || self.count == 0 {
                return;
            }
        }
        while let Some(detection) = self.next(image, word.is_some(), decided_ms) {
            on_detection(detection);
        }
    }

    /// The command that the first words are; words that begin none are dropped. None where what is
    /// left begins a longer one that may still come, if `more` can come, or nothing is left.
    #[inline(never)] // seldom runs
    fn next(&mut self, image: &Image<'_>, more: bool, decided_ms: u32) -> Option<Detection> {
        loop {
            let words = self.words.get(..self.count)?;
            let first = words.first()?;
            let (mut longest, mut begun) = (None, false);
            if image.grammar().commands == 0 {
                longest = Some((1, first.label));
            }
            for (number, command) in (0..).zip(image.phrases()) {
                let alike = command.iter().zip(words).take_while(|(label, word)| {
                    let lasts = word.end_ms.saturating_sub(first.start_ms);
                    **label == word.label && lasts <= LONGEST_MS
                });
                let alike = alike.count();
                if alike == command.len() {
                    longest = longest.max(Some((alike, number)));
                } else if alike == words.len() {
                    begun = true;
                }
            }
            if more && begun {
                return None;
            }
            let (used, _) = longest.unwrap_or((1, 0));
            let words = words.get(..used)?;
            let detection = Detection {
                command: longest.map_or(0, |(_, number)| number),
                score: words.iter().fold(u8::MAX, |low, word| low.min(word.score)),
                start_ms: first.start_ms,
                end_ms: words.last()?.end_ms,
                decided_ms,
            };
            for _ in 0..used {
                self.words.copy_within(1.., 0);
                self.count = self.count.saturating_sub(1);
            }
            if longest.is_some() {
                return Some(detection);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Command;
    use crate::test_image::{tiny, with_commands};
    use std::vec::Vec;

    // Labels of the tiny image that can be detected.
    const GO: u8 = 0;
    const STOP: u8 = 1;
    /// Frames.
    const GAP: u16 = 30;

    /// Frame and number of each command of words that are decided at these frames, until frame 2000.
    /// A frame is 10 ms, a word lasts 200 ms and its score is 200 less its number in the list.
    fn found(commands: &[&[u8]], words: &[(u32, u8)]) -> Vec<(u32, Detection)> {
        let named = commands.iter().map(|words| Command { name: "it", words });
        let named: Vec<_> = named.collect();
        let tiny = tiny(2);
        let bytes = match commands {
            [] => tiny,
            _ => with_commands(tiny.get(), GAP, &named),
        };
        let image = Image::parse(bytes.get()).unwrap();
        let (mut grammar, mut found) = (Grammar::new(), Vec::new());
        for frame in 0..2000 {
            let decided_ms = frame * 10 + 25;
            let number = words.iter().position(|(at, _)| *at == frame);
            let word = number.map(|number| Word {
                label: words[number].1,
                score: 200 - number as u8,
                start_ms: (frame * 10).saturating_sub(200),
                end_ms: frame * 10,
                decided_ms,
                echo: false,
            });
            grammar.push_frame(&image, word, decided_ms, |detection| {
                found.push((frame, detection));
            });
        }
        found
    }

    /// Likewise, without times and scores.
    fn heard(commands: &[&[u8]], words: &[(u32, u8)]) -> Vec<(u32, u8)> {
        let found = found(commands, words).into_iter();
        found
            .map(|(frame, detection)| (frame, detection.command))
            .collect()
    }

    #[test]
    fn without_commands_each_word_is_one_and_says_the_same() {
        let detection = Detection {
            command: STOP,
            score: 200,
            start_ms: 1800,
            end_ms: 2000,
            decided_ms: 2025,
        };
        assert_eq!(found(&[], &[(200, STOP)]), [(200, detection)]);
        let words = [(100, GO), (101, STOP), (400, GO)];
        assert_eq!(heard(&[], &words), words);
    }

    #[test]
    fn an_echo_is_no_command() {
        let tiny = tiny(2);
        let image = Image::parse(tiny.get()).unwrap();
        for (echo, expected) in [(false, 1), (true, 0)] {
            let (mut grammar, mut count) = (Grammar::new(), 0);
            let word = Word {
                echo,
                ..Word::default()
            };
            grammar.push_frame(&image, Some(word), 25, |_| count += 1);
            assert_eq!(count, expected);
        }
    }

    #[test]
    fn a_command_of_two_words_is_decided_with_its_second_and_has_the_times_of_both() {
        let found = found(&[&[STOP], &[GO, STOP]], &[(100, GO), (125, STOP)]);
        let detection = Detection {
            command: 1,
            score: 199,
            start_ms: 800,
            end_ms: 1250,
            decided_ms: 1275,
        };
        assert_eq!(found, [(125, detection)]);
    }

    #[test]
    fn one_word_alone_is_no_command_of_two() {
        assert_eq!(heard(&[&[GO, STOP]], &[(100, GO)]), []);
        assert_eq!(heard(&[&[GO, STOP]], &[(100, STOP)]), []);
        assert_eq!(heard(&[&[GO, STOP]], &[(100, STOP), (120, GO)]), []);
        assert_eq!(heard(&[&[GO, GO]], &[(100, GO)]), []);
    }

    #[test]
    fn words_count_within_the_gap_only() {
        let at = |second| heard(&[&[GO, STOP]], &[(100, GO), (second, STOP)]);
        assert_eq!(at(130), [(130, 0)]);
        assert_eq!(at(131), []);
    }

    #[test]
    fn a_word_said_twice_at_first_changes_nothing() {
        let words = [(100, GO), (120, GO), (140, STOP)];
        assert_eq!(heard(&[&[GO, STOP]], &words), [(140, 0)]);
    }

    #[test]
    fn another_word_between_two_parts_them() {
        let words = [(100, GO), (115, STOP), (130, GO)];
        assert_eq!(heard(&[&[GO, GO]], &words), []);
    }

    #[test]
    fn the_same_word_twice_is_one_command_and_four_times_two() {
        let words = [(100, GO), (120, GO), (140, GO), (160, GO)];
        assert_eq!(heard(&[&[GO, GO]], &words[..3]), [(120, 0)]);
        assert_eq!(heard(&[&[GO, GO]], &words), [(120, 0), (160, 0)]);
    }

    #[test]
    fn a_command_that_begins_no_other_does_not_wait() {
        let commands: [&[u8]; 2] = [&[STOP], &[GO, STOP]];
        assert_eq!(heard(&commands, &[(100, STOP)]), [(100, 0)]);
        // After it everything begins anew.
        let words = [(100, GO), (120, STOP), (140, STOP)];
        assert_eq!(heard(&commands, &words), [(120, 1), (140, 0)]);
    }

    #[test]
    fn a_command_that_begins_a_longer_one_waits_for_it() {
        let commands: [&[u8]; 2] = [&[STOP], &[STOP, GO]];
        assert_eq!(heard(&commands, &[(100, STOP), (120, GO)]), [(120, 1)]);
        // Nothing comes in time, or what does not continue it.
        assert_eq!(heard(&commands, &[(100, STOP)]), [(130, 0)]);
        let waited = found(&commands, &[(100, STOP)]);
        assert_eq!((waited[0].1.end_ms, waited[0].1.decided_ms), (1000, 1325));
        let words = [(100, STOP), (120, STOP), (170, GO)];
        assert_eq!(heard(&commands, &words), [(120, 0), (150, 0)]);
    }

    #[test]
    fn what_a_longer_command_leaves_when_it_breaks_off_is_looked_at_again() {
        let commands: [&[u8]; 3] = [&[STOP], &[GO, GO], &[STOP, GO, STOP, STOP]];
        let words = [(100, STOP), (120, GO), (140, GO)];
        assert_eq!(heard(&commands, &words), [(140, 0), (140, 1)]);
        let words = [(100, STOP), (120, GO), (140, STOP)];
        assert_eq!(heard(&commands, &words), [(170, 0), (170, 0)]);
    }

    #[test]
    fn a_command_lasts_five_seconds_at_most() {
        let tiny = tiny(2);
        let name = "go go go go";
        let command = Command {
            name,
            words: &[GO; 4],
        };
        let bytes = with_commands(tiny.get(), 170, &[command]);
        let image = Image::parse(bytes.get()).unwrap();
        let count = |gap_ms: u32| {
            let (mut grammar, mut count) = (Grammar::new(), 0);
            for number in 0..4 {
                let end_ms = 1000 + number * gap_ms;
                let word = Word {
                    end_ms,
                    start_ms: end_ms - 200,
                    ..Word::default()
                };
                grammar.push_frame(&image, Some(word), end_ms, |_| count += 1);
            }
            count
        };
        assert_eq!((count(1600), count(1601)), (1, 0));
    }
}
