//! Words at frames, posteriors made by hand, and what the gate lets through.

mod years;

use super::*;
use crate::decoder::{Decoder, Kind};
use crate::image::{Command, Wake};
use crate::test_image::{Bytes, GO_GO, WAKE, tiny, with_wake};
use std::string::{String, ToString};
use std::{format, vec::Vec};

// Labels of the tiny image: "go" is a command, "stop" the wake word. A frame is 10 ms, the window 60 frames.
const GO: u8 = 0;
const COMPUTER: u8 = 1;
const NOT_EXTENDED: Wake<'_> = Wake {
    extend: false,
    ..WAKE
};
/// Frames.
const GAP: u16 = 30;

fn image_with(commands: &[Command<'_>], wake: &Wake<'_>) -> Bytes {
    with_wake(tiny(2).get(), GAP, commands, wake)
}

/// What an outcome says, in a line, with frames that count from `start`.
fn line(image: &Image<'_>, start: u64, outcome: Outcome) -> String {
    match outcome {
        Outcome::Detection(detection) => {
            let name = image.command(detection.command).unwrap();
            match image.is_wake_word(detection.command) {
                true => format!("wake word {name}"),
                false => name.to_string(),
            }
        }
        Outcome::Awake(awake) => format!("awake until {}", awake.until - start),
        Outcome::Asleep(asleep) => format!("asleep, {:?}", asleep.reason),
    }
}

/// What happens at which of 400 frames where these words are decided, of a stream that is at frame `start`.
fn heard_from(start: u64, image: &Bytes, words: &[(u64, u8)]) -> Vec<(u64, String)> {
    let image = Image::parse(image.get()).unwrap();
    let (mut gate, mut heard) = (Gate::new(&image), Vec::new());
    gate.go_on_at(start);
    for frame in 0..400 {
        let said = words.iter().find(|(at, _)| *at == frame);
        let word = said.map(|&(_, label)| Word {
            label,
            first_frame: start + frame - 20,
            last_frame: start + frame,
            ..Word::default()
        });
        gate.push_frame(&image, word, |outcome| {
            heard.push((frame, line(&image, start, outcome)));
        });
    }
    heard
}

fn heard(image: &Bytes, words: &[(u64, u8)]) -> Vec<(u64, String)> {
    heard_from(0, image, words)
}

/// Lines of frames, to compare with.
fn lines(lines: &[(u64, &str)]) -> Vec<(u64, String)> {
    let lines = lines.iter();
    lines.map(|&(at, line)| (at, line.into())).collect()
}

#[test]
fn asleep_only_wake_words_count_and_a_window_closes_by_itself() {
    let expected = [
        (200, "wake word stop"),
        (200, "awake until 260"),
        (260, "asleep, WindowOver"),
    ];
    for commands in [&GO_GO[..], &[]] {
        let image = image_with(commands, &WAKE);
        let heard = heard(&image, &[(100, GO), (200, COMPUTER), (300, GO)]);
        assert_eq!(heard, lines(&expected));
    }
}

#[test]
fn a_command_counts_until_the_last_frame_of_the_window() {
    let image = image_with(&[], &NOT_EXTENDED);
    let heard = |at| heard(&image, &[(100, COMPUTER), (at, GO)]);
    for (at, counts) in [(101, true), (160, true), (161, false)] {
        let commands = heard(at).into_iter().filter(|(_, line)| line == "go");
        assert_eq!(commands.count() == 1, counts, "{at}");
    }
    let closed = (160, "asleep, WindowOver".into());
    assert_eq!(heard(150).last(), Some(&closed));
}

#[test]
fn a_command_opens_the_window_anew_where_the_image_says_so() {
    let image = image_with(&[], &WAKE);
    let expected = [
        (100, "wake word stop"),
        (100, "awake until 160"),
        (150, "go"),
        (150, "awake until 210"),
        (200, "go"),
        (200, "awake until 260"),
        (260, "asleep, WindowOver"),
    ];
    let words = [(100, COMPUTER), (150, GO), (200, GO), (261, GO)];
    assert_eq!(heard(&image, &words), lines(&expected));
}

#[test]
fn a_wake_word_inside_the_window_opens_it_anew_and_is_reported() {
    let image = image_with(&[], &NOT_EXTENDED);
    let expected = [
        (100, "wake word stop"),
        (100, "awake until 160"),
        (150, "wake word stop"),
        (150, "awake until 210"),
        (210, "asleep, WindowOver"),
    ];
    let words = [(100, COMPUTER), (150, COMPUTER)];
    assert_eq!(heard(&image, &words), lines(&expected));
}

#[test]
fn a_command_of_two_words_is_heard_inside_the_window() {
    let image = image_with(&GO_GO, &NOT_EXTENDED);
    let heard = heard(&image, &[(100, COMPUTER), (130, GO), (155, GO)]);
    assert_eq!(heard[2..3], lines(&[(155, "go go")]));
}

#[test]
fn a_wake_word_is_no_part_of_a_command_and_parts_the_words_around_it() {
    let image = image_with(&GO_GO, &NOT_EXTENDED);
    let words = [(100, COMPUTER), (120, GO), (130, COMPUTER), (145, GO)];
    let expected = [
        (100, "wake word stop"),
        (100, "awake until 160"),
        // It waits for another "go" no longer.
        (130, "go"),
        (130, "wake word stop"),
        (130, "awake until 190"),
        (175, "go"),
        (190, "asleep, WindowOver"),
    ];
    assert_eq!(heard(&image, &words), lines(&expected));
}

#[test]
fn a_command_that_waits_is_decided_even_if_the_window_closes_meanwhile() {
    let words = [(100, COMPUTER), (150, GO)];
    let expected = [(160, "asleep, WindowOver"), (180, "go")];
    let image = image_with(&GO_GO, &NOT_EXTENDED);
    assert_eq!(heard(&image, &words)[2..], lines(&expected));
    // It opens the window anew as any other.
    let image = image_with(&GO_GO, &WAKE);
    let anew = [(180, "awake until 240"), (240, "asleep, WindowOver")];
    let expected = [lines(&expected), lines(&anew)].concat();
    assert_eq!(heard(&image, &words)[2..], expected);
}

#[test]
fn a_word_outside_the_window_is_no_part_of_a_command_that_began_or_ends_inside() {
    let image = image_with(&GO_GO, &NOT_EXTENDED);
    let after = heard(&image, &[(100, COMPUTER), (150, GO), (170, GO)]);
    assert_eq!(after[3..], lines(&[(180, "go")]));
    let before = heard(&image, &[(90, GO), (100, COMPUTER), (115, GO)]);
    assert_eq!(before[2..3], lines(&[(145, "go")]));
}

#[test]
fn a_reset_closes_the_window_and_says_so() {
    let image = image_with(&[], &WAKE);
    let image = Image::parse(image.get()).unwrap();
    let mut gate = Gate::new(&image);
    assert_eq!((gate.reset(), gate.is_awake()), (None, false));
    let word = Word {
        label: COMPUTER,
        ..Word::default()
    };
    gate.push_frame(&image, None, |_| ());
    gate.push_frame(&image, Some(word), |_| ());
    assert!(gate.is_awake());
    let asleep = Asleep {
        frame: 1,
        at_ms: 35,
        reason: Reason::Reset,
    };
    assert_eq!((gate.reset(), gate.is_awake()), (Some(asleep), false));
    assert_eq!(gate.reset(), None);
}

#[test]
fn without_wake_words_every_word_counts_at_any_time() {
    let image = tiny(2);
    let words = [(100, GO), (200, COMPUTER)];
    assert_eq!(heard(&image, &words), lines(&[(100, "go"), (200, "stop")]));
    let image = Image::parse(image.get()).unwrap();
    let mut gate = Gate::new(&image);
    assert!(gate.is_awake() && gate.listens_to() == u64::MAX);
    assert_eq!(gate.reset(), None);
    // So it is where they were taken away.
    let image = image_with(&GO_GO, &WAKE);
    let image = Image::parse(image.get()).unwrap().always_awake();
    assert!(Gate::new(&image).is_awake() && image.wake().is_none());
}

// Posteriors of the labels.
const SILENCE: [u8; 3] = [0, 0, 255];
const SAYS_GO: [u8; 3] = [250, 0, 5];
const SAYS_COMPUTER: [u8; 3] = [0, 250, 5];

/// Frames with these posteriors, as the decoder takes them.
fn posteriors(parts: &[([u8; 3], usize)]) -> impl Iterator<Item = [i8; 3]> {
    let frames = parts.iter().flat_map(|&(p, n)| core::iter::repeat_n(p, n));
    frames.map(|posteriors| posteriors.map(|p| (i16::from(p) - 128) as i8))
}

/// What happens at which frame, of frames with these posteriors, decoded.
fn decoded(image: &Bytes, parts: &[([u8; 3], usize)]) -> Vec<(u64, String)> {
    let image = Image::parse(image.get()).unwrap();
    let (mut decoder, mut gate) = (Decoder::new(&image), Gate::new(&image));
    let mut heard = Vec::new();
    for (frame, posteriors) in (0..).zip(posteriors(parts)) {
        let word = decoder.push_frame(&posteriors, 0, gate.listens_to());
        gate.push_frame(&image, word, |outcome| {
            heard.push((frame, line(&image, 0, outcome)));
        });
    }
    heard
}

#[test]
fn a_command_in_the_same_breath_is_heard() {
    let image = image_with(&[], &NOT_EXTENDED);
    for (pause, at) in [(30, 91), (5, 66), (0, 61)] {
        let said = [
            (SILENCE, 50),
            (SAYS_COMPUTER, 10),
            (SILENCE, pause),
            (SAYS_GO, 30),
        ];
        let expected = [
            (52, "wake word stop"),
            (52, "awake until 112"),
            // Not before the refractory time of the wake word is over, though.
            (at.max(83), "go"),
        ];
        assert_eq!(decoded(&image, &said)[..3], lines(&expected), "{pause}");
    }
}

#[test]
fn of_two_wake_words_at_once_the_likelier_counts() {
    let wake = Wake {
        words: &[GO, COMPUTER],
        thresholds: &[],
        ..WAKE
    };
    let image = image_with(&[], &wake);
    let heard = decoded(&image, &[([120, 130, 5], 20)]);
    assert_eq!(
        heard,
        lines(&[(4, "wake word stop"), (4, "awake until 64")])
    );
}

#[test]
fn a_command_that_is_likelier_does_not_cover_a_wake_word_while_asleep() {
    let image = image_with(&[], &WAKE);
    let heard = decoded(&image, &[(SAYS_GO, 20), ([130, 125, 0], 20)]);
    let expected = [(24, "wake word stop"), (24, "awake until 84")];
    assert_eq!(heard, lines(&expected));
}

#[test]
fn a_word_that_began_while_asleep_must_fade_before_it_can_be_heard() {
    let image = image_with(&[], &NOT_EXTENDED);
    let both = [130, 125, 0];
    let sounding = [(SAYS_GO, 20), (both, 10), (SAYS_GO, 50)];
    assert_eq!(decoded(&image, &sounding).len(), 2);
    let again = [(SAYS_GO, 20), (both, 10), (SILENCE, 20), (SAYS_GO, 20)];
    assert_eq!(decoded(&image, &again)[2].1, "go");
}

/// Frames in which a faint word is told, of frames with these posteriors.
fn faint(image: &Bytes, parts: &[([u8; 3], usize)]) -> Vec<u64> {
    let image = Image::parse(image.get()).unwrap();
    let (mut decoder, mut gate) = (Decoder::new(&image), Gate::new(&image));
    let mut faint = Vec::new();
    for (frame, posteriors) in (0..).zip(posteriors(parts)) {
        let word = decoder.push_frame(&posteriors, 0, gate.listens_to());
        if word.is_some_and(|word| word.kind == Kind::Faint) {
            faint.push(frame);
        }
        gate.push_frame(&image, word, |_| {});
    }
    faint
}

#[test]
fn a_faint_word_that_began_while_asleep_must_fade_before_it_can_be_heard_too() {
    // "go" is faint from three fifths of its threshold of 90 on; the wake word is decided in frame 24, and within 30
    // frames nothing else is.
    let image = image_with(&GO_GO, &NOT_EXTENDED);
    let (says_go, wakes) = ([70, 0, 5], [70, 130, 5]);
    let sounding = [(says_go, 20), (wakes, 10), (says_go, 30), ([75, 0, 5], 10)];
    assert_eq!(
        faint(&image, &[&sounding[..], &[(SILENCE, 10)]].concat()),
        []
    );
    // It falls below 54 in the second frame of silence.
    let again = [(says_go, 20), (wakes, 10), (SILENCE, 25), (says_go, 10)];
    assert_eq!(
        faint(&image, &[&again[..], &[(SILENCE, 10)]].concat()),
        [66]
    );
}

#[test]
fn a_word_while_asleep_does_not_delay_a_wake_word() {
    let image = image_with(&[], &WAKE);
    // 100 ms after it, within its refractory time, if it had one.
    let heard = decoded(&image, &[(SILENCE, 20), (SAYS_GO, 10), (SAYS_COMPUTER, 10)]);
    assert_eq!(heard[0], (32, "wake word stop".into()));
}

#[test]
fn commands_have_the_thresholds_of_the_wake_record() {
    // 90 of 256, where the label has 100.
    let says_go = [95, 0, 5];
    let said = [
        (SILENCE, 20),
        (SAYS_COMPUTER, 10),
        (SILENCE, 30),
        (says_go, 20),
    ];
    let heard = decoded(&image_with(&[], &WAKE), &said);
    assert_eq!(heard[2].1, "go");
    let own: Wake<'_> = Wake {
        thresholds: &[],
        ..WAKE
    };
    assert_eq!(decoded(&image_with(&[], &own), &said).len(), 2);
}

#[test]
fn a_wake_word_is_never_faint() {
    // Two of five frames at 200 average to 80, which is enough for a word of a command.
    let image = image_with(&GO_GO, &NOT_EXTENDED);
    let (wakes, faint) = ((SAYS_COMPUTER, 10), ([0, 200, 5], 2));
    let said = [
        (SILENCE, 20),
        wakes,
        (SILENCE, 40),
        faint,
        (SILENCE, 60),
        wakes,
    ];
    let heard = decoded(&image, &said);
    let wakes = heard.iter().filter(|(_, line)| line == "wake word stop");
    // Nor does a faint one make the next pass for its echo.
    assert_eq!(wakes.count(), 2);
}
