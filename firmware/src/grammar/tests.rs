//! Words at frames, and the commands that they make.

use super::*;
use crate::image::Command;
use crate::test_image::{Bytes, Random, YEARS, before_years, tiny, with_commands};
use std::println;
use std::vec::Vec;

// Labels of the tiny image that can be detected.
const GO: u8 = 0;
const STOP: u8 = 1;
/// Frames.
const GAP: u16 = 30;

/// Frame and number of each command of words that are decided at these frames, until frame 2000.
/// A frame is 10 ms, a word lasts 200 ms and its score is 200 less its number in the list.
fn found(commands: &[&[u8]], words: &[(u32, u8)]) -> Vec<(u32, Detection)> {
    found_of(commands, words, |_| false)
}

/// Likewise, the words of some frames being faint.
fn found_of(
    commands: &[&[u8]],
    words: &[(u32, u8)],
    faint: impl Fn(u32) -> bool,
) -> Vec<(u32, Detection)> {
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
        let number = words.iter().position(|(at, _)| *at == frame);
        let word = number.map(|number| Word {
            label: words[number].1,
            score: 200 - number as u8,
            start_ms: (frame * 10).saturating_sub(200),
            end_ms: frame * 10,
            kind: if faint(frame) {
                Kind::Faint
            } else {
                Kind::Sure
            },
            first_frame: u64::from(frame).saturating_sub(20),
            last_frame: frame.into(),
            ..Word::default()
        });
        grammar.push_frame(&image, word, |detection| {
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
        decided_ms: (200 + 2) * 10 + 25,
    };
    assert_eq!(found(&[], &[(200, STOP)]), [(200, detection)]);
    let words = [(100, GO), (101, STOP), (400, GO)];
    assert_eq!(heard(&[], &words), words);
}

#[test]
fn an_echo_is_no_command() {
    let tiny = tiny(2);
    let image = Image::parse(tiny.get()).unwrap();
    for (kind, expected) in [(Kind::Sure, 1), (Kind::Echo, 0)] {
        let (mut grammar, mut count) = (Grammar::new(), 0);
        let word = Word {
            kind,
            ..Word::default()
        };
        grammar.push_frame(&image, Some(word), |_| count += 1);
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
        decided_ms: (124 + 2) * 10 + 25,
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

/// Commands found of words at these frames, of which some are faint.
fn with_faint(commands: &[&[u8]], words: &[(u32, u8, bool)]) -> Vec<(u32, u8)> {
    let all: Vec<_> = words.iter().map(|&(at, label, _)| (at, label)).collect();
    let faint = |at: u32| words.iter().any(|&(frame, _, faint)| frame == at && faint);
    let found = found_of(commands, &all, faint).into_iter();
    found
        .map(|(frame, detection)| (frame, detection.command))
        .collect()
}

#[test]
fn a_sure_word_vouches_for_one_that_is_faint() {
    let pair: [&[u8]; 1] = [&[GO, STOP]];
    let heard = |words: &[(u32, u8, bool)]| with_faint(&pair, words);
    assert_eq!(heard(&[(100, GO, true), (120, STOP, false)]), [(120, 0)]);
    assert_eq!(heard(&[(100, GO, false), (120, STOP, true)]), [(120, 0)]);
    assert_eq!(heard(&[(100, GO, true), (120, STOP, true)]), []);
    assert_eq!(with_faint(&[&[GO]], &[(100, GO, true)]), []);
    // Two readings of one word.
    assert_eq!(heard(&[(100, GO, true), (119, STOP, false)]), []);
}

#[test]
fn a_faint_word_that_fits_no_command_counts_for_nothing() {
    let commands: [&[u8]; 2] = [&[GO, GO], &[STOP]];
    let words = [
        (90, STOP, true),
        (100, GO, false),
        (115, STOP, true),
        (129, GO, false),
    ];
    assert_eq!(with_faint(&commands, &words), [(129, 0)]);
    // Nor does it make others wait longer.
    let commands: [&[u8]; 2] = [&[STOP], &[STOP, GO]];
    let words = [(100, STOP, false), (120, STOP, true), (131, GO, false)];
    assert_eq!(with_faint(&commands, &words), [(130, 0)]);
    // Nor do they push others out.
    let faint = (0..20).map(|number| (101 + number, STOP, true));
    let words: Vec<_> = core::iter::once((100, GO, false)).chain(faint).collect();
    let words = [&words[..], &[(125, GO, false)]].concat();
    assert_eq!(with_faint(&[&[GO, GO]], &words), [(125, 0)]);
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
    assert_eq!(
        (waited[0].1.end_ms, waited[0].1.decided_ms),
        (1000, (130 + 2) * 10 + 25)
    );
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
    let count = |gap: u64| {
        let (mut grammar, mut count) = (Grammar::new(), 0);
        for number in 0..4 {
            let last_frame = 100 + number * gap;
            let word = Word {
                last_frame,
                first_frame: last_frame - 20,
                ..Word::default()
            };
            grammar.push_frame(&image, Some(word), |_| count += 1);
        }
        count
    };
    // 20 frames before the first word's last, three gaps, and the 25 ms of a frame.
    assert_eq!((count(159), count(160)), (1, 0));
}

/// Frame and number of each command in the 400 frames from `start` on, of words that these frames decide.
fn heard_from(start: u64, image: &Image<'_>, words: &[(u64, u8)]) -> Vec<(u64, u8)> {
    let (mut grammar, mut found) = (Grammar::new(), Vec::new());
    grammar.frame = start;
    for frame in 0..400 {
        let said = words.iter().find(|(at, _)| *at == frame);
        let word = said.map(|&(_, label)| Word {
            label,
            first_frame: (start + frame).saturating_sub(20),
            last_frame: start + frame,
            // They stopped counting, as those of a real stream would.
            start_ms: u32::MAX,
            end_ms: u32::MAX,
            ..Word::default()
        });
        grammar.push_frame(image, word, |detection| {
            found.push((frame, detection.command));
        });
    }
    found
}

/// An image of the commands "stop" and "stop go".
fn with_stop_go() -> Bytes {
    let words = [STOP, GO];
    let named = |name, words| Command { name, words };
    let commands = [named("stop", &words[..1]), named("stop go", &words)];
    with_commands(tiny(2).get(), GAP, &commands)
}

#[test]
fn commands_are_the_same_after_years() {
    let bytes = with_stop_go();
    let image = Image::parse(bytes.get()).unwrap();
    let words = [(20, STOP), (40, GO), (100, STOP)];
    let years = YEARS.map(|frame| frame - 25);
    for start in years.into_iter().chain([0, 1 << 40]) {
        let found = heard_from(start, &image, &words);
        assert_eq!(found, [(40, 1), (130, 0)], "{start}");
    }
}

#[test]
fn commands_of_any_words_are_the_same_whenever_their_stream_begins() {
    const STREAMS: usize = 500;
    let bytes = with_stop_go();
    let image = Image::parse(bytes.get()).unwrap();
    let (mut random, mut commands) = (Random(19), 0);
    for _ in 0..STREAMS {
        let word = |random: &mut Random| (random.below(400) as u64, random.below(2) as u8);
        let count = random.below(15);
        let words: Vec<_> = (0..count).map(|_| word(&mut random)).collect();
        let expected = heard_from(20, &image, &words);
        let start = before_years(&mut random, 400);
        let found = heard_from(start, &image, &words);
        assert_eq!(found, expected, "{start}: {words:?}");
        commands += expected.len();
    }
    println!("{STREAMS} streams: {commands} commands");
    assert!(commands > STREAMS, "{commands}");
}
