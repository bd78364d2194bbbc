//! What a device could do to a terminal, restarts, and requests to end.

use zerda_firmware::image::Problem;
use zerda_firmware::recovery::{Cause, Restart};

use super::bench::{START, STATUS, detection, file, finish, frame, monitor, recording, start};
use super::*;

#[test]
fn text_from_a_device_is_escaped_and_forges_no_line() {
    let hostile = "\u{1b}[2J\u{9b}31m\nfake: stop   score 1.00\u{202e}\u{7f}";
    let start = Report::Start {
        version: hostile,
        image_crc32: 0,
        kernels: "\u{1b}]0;owned\u{7}",
    };
    let (_folder, path) = recording(&[start, detection(hostile)]);
    let text = monitor(&[&path]);
    assert_eq!(text.stdout.lines().count(), 3, "{}", text.stdout);
    let escaped = r"\u001b[2J\u009b31m\u000afake: stop   score 1.00\u202e\u007f";
    assert_eq!(text.stdout.matches(escaped).count(), 2);
    let shown = |c: char| c == '\n' || (' '..='~').contains(&c);
    assert!(text.stdout.chars().all(shown) && text.stderr.chars().all(shown));
    // JSON is the same value, and escaped too.
    let json = monitor(&["--json", &path]);
    assert!(json.stdout.chars().all(shown));
    assert_eq!(json.commands(), [hostile]);
}

#[test]
fn the_name_of_a_file_is_escaped() {
    let (folder, _) = file(b"");
    let name = folder.path().join("a\u{1b}[31m\nzerda: b");
    std::fs::write(&name, frame(0, &STATUS)).unwrap();
    let outcome = monitor(&[name.to_str().unwrap()]);
    assert!(
        outcome
            .stdout
            .contains(r"a\u001b[31m\u000azerda: b: status"),
        "{}",
        outcome.stdout
    );
    let missing = monitor(&[&format!("{}x", name.display())]);
    assert_eq!(
        (missing.code, missing.stderr.lines().count()),
        (2, 1),
        "{}",
        missing.stderr
    );
    assert!(
        missing.stderr.contains(r"a\u001b[31m\u000azerda: bx"),
        "{}",
        missing.stderr
    );
}

#[test]
fn restarts_audio_that_stopped_and_an_image_that_cannot_be_used_are_told() {
    let restart = |cause, place| Report::Restart(Restart { cause, place });
    let reports = [
        START,
        restart(Cause::Fault, 0x0800_1234),
        restart(Cause::Watchdog, 0),
        Report::AudioStopped { at_ms: 4100 },
        Report::BadImage(Problem::Checksum),
    ];
    let (_folder, path) = recording(&reports);
    let text = monitor(&[&path]).stdout;
    for line in [
        "restarted: its processor met a fault, at the instruction at 0x08001234",
        "restarted: its watchdog was not fed, for it hung or no audio came",
        "no audio came for a second after 4100 ms",
        "nothing is recognized, for its image is damaged, its checksum does not fit: flash it again",
    ] {
        assert!(text.contains(line), "{text}");
    }
    let (objects, _) = monitor(&["--json", &path]).objects();
    let expected = [
        json!({ "restart": { "cause": "Fault", "place": 0x0800_1234 } }),
        json!({ "restart": { "cause": "Watchdog", "place": null } }),
        json!({ "file": path, "audio_stopped": { "at_ms": 4100 } }),
        json!({ "bad_image": "Checksum" }),
    ];
    assert_eq!(objects[1..], expected);
}

/// Sends a signal of this name to a process.
#[cfg(unix)]
pub fn signal(child: &std::process::Child, name: &str) {
    let mut kill = std::process::Command::new("kill");
    let status = kill.args(["-s", name, &child.id().to_string()]).status();
    assert!(status.unwrap().success());
}

#[cfg(unix)]
#[test]
fn a_request_to_end_ends_with_the_summary() {
    for name in ["INT", "TERM"] {
        let mut child = start(&["-"]);
        // The pipe stays open, as that of a device that goes on.
        let mut stdin = child.stdin.take().unwrap();
        stdin
            .write_all(&[frame(0, &START), frame(1, &STATUS), vec![5]].concat())
            .unwrap();
        let mut line = [0; 1];
        child
            .stdout
            .as_mut()
            .unwrap()
            .read_exact(&mut line)
            .unwrap();
        signal(&child, name);
        let outcome = finish(child);
        let summary = "2 frames, 0 corrupted, 0 lost; 0 commands";
        assert_eq!(
            (outcome.code, outcome.stdout.lines().last()),
            (130, Some(summary))
        );
        assert_eq!(outcome.stderr, "");
        drop(stdin);
    }
}
