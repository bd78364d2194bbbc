//! Wake words, and the windows that they open, as `zerda monitor` tells them.

use serde_json::{Value, json};
use zerda_firmware::gate::Reason;
use zerda_firmware::telemetry::Report;

use crate::bench::{START, detection, monitor, recording, wake_word};

#[test]
fn a_gate_tells_when_commands_count() {
    let (at_ms, until_ms, wake_words) = (2100, 8100, 2);
    let reports = [
        Report::Awake { at_ms, until_ms },
        Report::Asleep {
            at_ms: until_ms,
            reason: Reason::WindowOver,
        },
        Report::Asleep {
            at_ms,
            reason: Reason::Reset,
        },
        Report::Gate {
            awake: false,
            wake_words,
        },
    ];
    let (_folder, name) = recording(&reports);
    let expected = [
        "awake  until  8100 ms",
        "asleep at  8100 ms, the window is over",
        "asleep at  2100 ms, recognition started afresh",
        "gate: asleep, 2 wake words",
    ];
    let lines = expected.map(|line| format!("{name}: {line}"));
    let stdout = monitor(&[&name]).stdout;
    assert_eq!(stdout.lines().collect::<Vec<_>>()[..4], lines);
    let (objects, _) = monitor(&["--json", &name]).objects();
    let expected = [
        json!({ "file": name, "awake": { "at_ms": 2100, "until_ms": 8100 }}),
        json!({ "file": name, "asleep": { "at_ms": 8100, "reason": "window_over" }}),
        json!({ "file": name, "asleep": { "at_ms": 2100, "reason": "reset" }}),
        json!({ "gate": { "awake": false, "wake_words": 2 }}),
    ];
    assert_eq!(objects, expected);
}

#[test]
fn a_network_that_rests_tells_when_speech_begins_and_ends() {
    let speech = |at_ms| Report::Speech { at_ms };
    let reports = [
        START,
        speech(0),
        Report::Quiet { at_ms: 2050 },
        speech(4100),
        detection("yes"),
        Report::Quiet { at_ms: 6000 },
    ];
    let (_folder, name) = recording(&reports);
    let stdout = monitor(&[&name]).stdout;
    let lines: Vec<_> = stdout.lines().collect();
    assert_eq!(lines[1], format!("{name}: speech from     0 ms"));
    assert_eq!(lines[2], format!("{name}: quiet  from  2050 ms"));
    assert!(
        lines[6].ends_with("; 1 commands; 2 times speech"),
        "{stdout}"
    );
    let (objects, summary) = monitor(&["--json", &name]).objects();
    assert_eq!(
        objects[3],
        json!({ "file": name, "speech": { "at_ms": 4100 }})
    );
    assert_eq!(
        objects[5],
        json!({ "file": name, "quiet": { "at_ms": 6000 }})
    );
    assert_eq!(summary["speech"], 2);
}

const AWAKE: Report<'_> = Report::Awake {
    at_ms: 1500,
    until_ms: 7500,
};
const ASLEEP: Report<'_> = Report::Asleep {
    at_ms: 7500,
    reason: Reason::WindowOver,
};

fn gate(awake: bool) -> Report<'static> {
    let wake_words = 9;
    Report::Gate { awake, wake_words }
}

/// The last line, which sums up these reports.
fn summed_up(reports: &[Report<'_>]) -> String {
    let (_folder, name) = recording(reports);
    let stdout = monitor(&[&name]).stdout;
    stdout.lines().last().expect("a line").to_string()
}

#[test]
fn wake_words_are_counted_apart_from_commands_and_a_window_once_however_long_it_stays_open() {
    let (computer, jarvis) = (wake_word("computer"), wake_word("jarvis"));
    let reports = [
        START,
        computer,
        AWAKE,
        detection("left"),
        // It opens the window anew, and so does the wake word after it.
        AWAKE,
        gate(true),
        jarvis,
        AWAKE,
        ASLEEP,
        gate(false),
        computer,
        AWAKE,
    ];
    let expected =
        "12 frames, 0 corrupted, 0 lost; 1 commands, 3 wake words; 2 windows opened, 1 closed";
    assert_eq!(summed_up(&reports), expected);
    let (_folder, name) = recording(&reports);
    let (objects, summary) = monitor(&["--json", &name]).objects();
    let expected = json!({ "frames": 12, "corrupted": 0, "lost": 0, "detections": 1, "wake_words": 3,
        "windows_opened": 2, "windows_closed": 1 });
    assert_eq!(summary, expected);
    assert_eq!(
        (&objects[1]["command"], &objects[1]["wake_word"]),
        (&json!("computer"), &json!(true))
    );
    assert_eq!(objects[3]["wake_word"], Value::Null);
}

#[test]
fn windows_are_counted_as_the_device_tells_of_them_from_when_on_it_is_listened_to() {
    // Open before anybody listened.
    let begun = [gate(true), detection("left"), AWAKE, ASLEEP];
    assert!(summed_up(&begun).ends_with("1 commands, 0 wake words; 0 windows opened, 1 closed"));
    // The report of its closing was lost, or the device started again.
    let lost = [
        wake_word("computer"),
        AWAKE,
        gate(false),
        wake_word("jarvis"),
        AWAKE,
    ];
    assert!(summed_up(&lost).ends_with("0 commands, 2 wake words; 2 windows opened, 0 closed"));
    let again = [
        wake_word("computer"),
        AWAKE,
        START,
        wake_word("computer"),
        AWAKE,
    ];
    assert!(summed_up(&again).ends_with("0 commands, 2 wake words; 2 windows opened, 0 closed"));
    let one = [wake_word("computer"), AWAKE, ASLEEP];
    assert!(summed_up(&one).ends_with("0 commands, 1 wake word; 1 window opened, 1 closed"));
}
