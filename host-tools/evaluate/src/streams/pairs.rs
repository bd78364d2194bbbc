//! Draws pairs of a wake word and a command, as people say them to a device that sleeps, and counts those that are
//! heard.
//!
//! Clips are drawn without replacement: each wake word and each command takes part equally often, and a clip comes
//! again only when all of its word have come. A pair is right if its wake word and then its command are heard, each in
//! its time; a command that is detected and was not said, or was detected already, is wrong, wherever in the stream it
//! is.

use std::collections::BTreeMap;

use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::SliceRandom;
use zerda_firmware::decoder::Word;

use super::make::Utterance;
use super::score::{Spoken, Verdict};
use super::sources::Clips;
use super::wake::WakeGate;

/// Draws `count` pairs in random order; each is followed by a rest in which the device falls asleep again. There are
/// none if no wake word or no command has clips.
pub fn draw(
    clips: &Clips,
    wake: &WakeGate,
    count: usize,
    random: &mut Xoshiro256PlusPlus,
) -> Vec<Utterance> {
    let mut decks = |labels: &[usize]| -> Vec<Deck> {
        let decks = labels.iter().map(|&label| {
            let clips = (0..clips.files.len()).filter(|&clip| clips.files[clip].0 == label);
            let mut clips: Vec<_> = clips.collect();
            clips.shuffle(random);
            Deck { clips, next: 0 }
        });
        decks.collect()
    };
    let (mut wakes, mut commands) = (decks(&clips.spoken), decks(&clips.commands));
    if wakes.is_empty() || commands.is_empty() {
        return Vec::new();
    }
    let pairs = (0..count).map(|number| {
        // Each wake word before each command.
        let (wake_word, command) = (number % wakes.len(), number / wakes.len() % commands.len());
        [wakes[wake_word].deal(), commands[command].deal()]
    });
    let mut pairs: Vec<_> = pairs.collect();
    pairs.shuffle(random);
    let utterances = pairs.into_iter().map(|pair| Utterance {
        words: pair.map(|number| clips.clip(number)).to_vec(),
        rest_ms: wake.window_ms.into(),
    });
    utterances.collect()
}

/// Deals the clips of a word in turn.
struct Deck {
    clips: Vec<usize>,
    next: usize,
}

impl Deck {
    fn deal(&mut self) -> usize {
        let clip = self.clips[self.next % self.clips.len()];
        self.next += 1;
        clip
    }
}

/// Counts pairs, and of those whose wake word was heard the ones whose command was heard as well.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PairTally {
    pub pairs: u64,
    pub wakes: u64,
    pub right: u64,
    /// Number of pairs and of those that are right, by the label of the wake word.
    pub by_wake_word: BTreeMap<usize, (u64, u64)>,
    /// Number of wake words that were heard and of pairs that are right, by the label of the command.
    pub by_command: BTreeMap<usize, (u64, u64)>,
    /// Number of commands that were detected and not said, or detected again.
    pub wrong: u64,
    /// Times in ms from the end of a command to its detection, for the pairs that are right.
    pub delays_ms: Vec<f64>,
    /// Clips of the wake word and the command of each pair that is missed, by number.
    pub missed: Vec<(usize, usize)>,
}

impl PairTally {
    /// Counts a stream of pairs, wake word and command in turn.
    pub fn add(&mut self, wake: &WakeGate, words: &[Spoken], judged: &[(Word, Verdict)]) {
        let mut hits: Vec<Option<(u32, f64)>> = vec![None; words.len()];
        for &(detection, verdict) in judged {
            match verdict {
                Verdict::Hit { word, delay_ms } => {
                    hits[word] = Some((detection.decided_ms, delay_ms));
                }
                _ if wake.is_wake_word(detection.label.into()) => {}
                _ => self.wrong += 1,
            }
        }
        for (words, hits) in words.as_chunks::<2>().0.iter().zip(hits.as_chunks::<2>().0) {
            let [wake_word, command] = words;
            let woken = hits[0].is_some();
            let answered = match hits {
                [Some((woken, _)), Some((at, delay_ms))] if woken < at => Some(*delay_ms),
                _ => None,
            };
            let right = u64::from(answered.is_some());
            self.pairs += 1;
            self.wakes += u64::from(woken);
            self.right += right;
            let pairs = self.by_wake_word.entry(wake_word.label).or_default();
            *pairs = (pairs.0 + 1, pairs.1 + right);
            let heard = self.by_command.entry(command.label).or_default();
            *heard = (heard.0 + u64::from(woken), heard.1 + right);
            match answered {
                Some(delay_ms) => self.delays_ms.push(delay_ms),
                None => self.missed.push((wake_word.clip, command.clip)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::streams::score::{Background, judge};
    use rand::SeedableRng;

    const COMPUTER: usize = 0;
    const GO: usize = 1;
    const STOP: usize = 2;

    fn wake() -> WakeGate {
        WakeGate {
            words: vec![true, false, false],
            window_ms: 6000,
            extend: false,
        }
    }

    /// Three clips of the wake word, two of `go` and four of `stop`.
    fn clips() -> Clips {
        let labels = [COMPUTER, COMPUTER, COMPUTER, GO, GO, STOP, STOP, STOP, STOP];
        let files = labels.iter().enumerate();
        Clips {
            files: files
                .map(|(number, &label)| (label, number.to_string().into()))
                .collect(),
            labels: ["computer", "go", "stop"].map(String::from).to_vec(),
            spoken: vec![COMPUTER],
            commands: vec![GO, STOP],
            left_out: Vec::new(),
        }
    }

    #[test]
    fn words_take_part_equally_and_no_clip_comes_again_before_all_have_come() {
        let draw = |seed| {
            let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
            draw(&clips(), &wake(), 8, &mut random)
        };
        let pairs = draw(1);
        let mut times = [0; 9];
        for pair in &pairs {
            let [wake_word, command] = &pair.words[..] else {
                panic!("{pair:?}");
            };
            assert!(wake_word.label == COMPUTER && command.label != COMPUTER);
            times[wake_word.number] += 1;
            times[command.number] += 1;
        }
        // 8 of 3, 4 of 2 and 4 of 4.
        times[..3].sort_unstable();
        assert_eq!(times, [2, 3, 3, 2, 2, 1, 1, 1, 1]);
        assert_eq!(pairs, draw(1));
        assert_ne!(pairs, draw(2));
    }

    #[test]
    fn a_pair_is_right_if_its_wake_word_and_then_its_command_are_heard() {
        let word = |label, start_ms, end_ms| Spoken {
            label,
            start_ms,
            end_ms,
            clip: start_ms as usize,
            background: Background::Noise,
        };
        let pair = |at: f64, command| {
            let wake_word = word(COMPUTER, at, at + 500.0);
            [wake_word, word(command, at + 800.0, at + 1200.0)]
        };
        let words = [
            pair(2_000.0, GO),
            pair(12_000.0, STOP),
            pair(22_000.0, STOP),
            pair(32_000.0, GO),
        ]
        .concat();
        let heard = [
            // Right.
            (COMPUTER, 2_550),
            (GO, 3_250),
            // The command is taken for another.
            (COMPUTER, 12_550),
            (GO, 13_250),
            // No wake word, but awake.
            (STOP, 23_250),
            // The command before the wake word.
            (GO, 32_850),
            (COMPUTER, 32_950),
        ];
        let detections = heard.map(|(label, decided_ms)| Word {
            label: label as u8,
            decided_ms,
            ..Word::default()
        });
        let mut tally = PairTally::default();
        tally.add(&wake(), &words, &judge(&words, detections));
        assert_eq!((tally.pairs, tally.wakes, tally.right), (4, 3, 1));
        assert_eq!(tally.by_wake_word, [(COMPUTER, (4, 1))].into());
        assert_eq!(tally.by_command, [(GO, (2, 1)), (STOP, (1, 0))].into());
        assert_eq!((tally.wrong, tally.delays_ms), (1, vec![50.0]));
        assert_eq!(
            tally.missed,
            [(12_000, 12_800), (22_000, 22_800), (32_000, 32_800)]
        );
    }
}
