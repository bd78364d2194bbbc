//! A device whose network rests in the quiet: what it reports, and what goes on without the network.

use super::*;
use crate::image::{Command, Quiet};
use crate::test_image::{with_commands, with_quiet};

const QUIET: Quiet = Quiet {
    sensitivity: 2,
    hangover_ms: 300,
};

/// "yes", said at 0.7 s, and silence.
fn yes() -> Vec<i16> {
    [&answers()[..22_000], &[0; 80_000]].concat()
}

/// What happens of a kind, after how many samples, and whether the network rests then.
fn happened(bytes: &[u8], kind: fn(Event<'_>) -> Option<u64>) -> Vec<(usize, u64, bool)> {
    let image = Image::parse(bytes).unwrap();
    let mut memory = std::vec![0; image.memory_bytes()];
    let mut recognizer = Recognizer::new(&image, &mut memory).unwrap();
    let mut happened = Vec::new();
    for (number, samples) in yes().chunks(16).enumerate() {
        let mut found = None;
        recognizer.push_events(samples, |event| found = found.or(kind(event)));
        let quiet = recognizer.is_quiet();
        happened.extend(found.map(|what| ((number + 1) * 16, what, quiet)));
    }
    happened
}

/// Checks that something happens once, at the same time with and without a gate, and that the network then rests.
fn happens_in_the_quiet(plain: &[u8], kind: fn(Event<'_>) -> Option<u64>) {
    let gated = happened(with_quiet(plain, QUIET).get(), kind);
    let plain = happened(plain, kind);
    assert_eq!((gated.len(), plain.len()), (1, 1));
    let ((at, what, rests), (expected_at, expected, never_rests)) = (gated[0], plain[0]);
    assert_eq!((at, what), (expected_at, expected));
    assert!(rests && !never_rests);
}

#[test]
fn a_window_closes_in_the_quiet_when_it_would_have_closed() {
    happens_in_the_quiet(gated().get(), |event| match event {
        Event::Asleep(asleep) => Some(asleep.frame),
        _ => None,
    });
}

#[test]
fn a_held_command_is_decided_in_the_quiet_when_it_would_have_been() {
    let [yes, no] = [label("yes"), label("no")];
    let commands = [
        Command {
            name: "yes",
            words: &[yes],
        },
        Command {
            name: "yes no",
            words: &[yes, no],
        },
    ];
    let held = of_shipped(with_commands(&IMAGE.0, 200, &commands));
    happens_in_the_quiet(held.get(), |event| match event {
        Event::Detection(detection) => Some(detection.decided_ms.into()),
        _ => None,
    });
}

#[test]
fn speech_and_quiet_are_reported_with_the_times_of_the_audio() {
    let image = with_quiet(&IMAGE.0, QUIET);
    let log = run_image(
        image.get(),
        Cpu::default(),
        &[answers(), std::vec![0; 32_000]].concat(),
        0..0,
    );
    let kinds: Vec<_> = log
        .iter()
        .filter_map(|line| line.split_once(" {"))
        .map(|(kind, _)| kind)
        .filter(|kind| ["Speech", "Quiet", "Detection"].contains(kind))
        .collect();
    assert_eq!(kinds.first(), Some(&"Speech"));
    assert_eq!(kinds.last(), Some(&"Quiet"));
    let turns = kinds.iter().filter(|kind| **kind != "Detection");
    assert!(
        turns
            .collect::<Vec<_>>()
            .chunks(2)
            .all(|two| two == [&"Speech", &"Quiet"])
    );
    // As many commands as without a gate.
    let plain = run(&answers(), 0..0);
    assert_eq!(
        with(&log, "Detection").len(),
        with(&plain, "Detection").len()
    );
}
