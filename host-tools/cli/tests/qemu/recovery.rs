//! Boards that fail on purpose start again, say why, and go on recognizing; one whose image is damaged stops.

use serde_json::{Value, json};

use super::{BOARDS, noise, objects, run, tools, word, write_wav};

/// What a board reports of a recording, in the text of `--json`, with arguments that make it fail.
pub fn reports(board: &str, recording: &str, failure: &[&str]) -> Vec<Value> {
    let arguments = ["qemu", "--json", "--board", board, recording];
    let (code, stdout, stderr) = run(&[&arguments, failure].concat());
    assert_eq!(code, 0, "{board} {failure:?}: {stderr}");
    objects(&stdout).0
}

/// A board that fails at a second reports one restart, for that cause; what it reports after it.
pub fn after_one_restart(
    board: &str,
    recording: &str,
    failure: &[&str],
    cause: &str,
) -> Vec<Value> {
    let mut failed = reports(board, recording, failure);
    let restarts = failed.iter().filter(|one| !one["restart"].is_null());
    let restarts: Vec<_> = restarts.collect();
    assert_eq!(restarts.len(), 1, "{board}: {failed:?}");
    let restart = &restarts[0]["restart"];
    assert_eq!(restart["cause"], cause, "{board}");
    // A line of the source, or an address in flash; a watchdog knows neither, nor does who has no stack.
    let unknown = ["Watchdog", "StackOverflow"].contains(&cause);
    assert_eq!(restart["place"] == json!(null), unknown, "{board}");
    let at = failed.iter().position(|one| one == restarts[0]);
    failed.split_off(at.unwrap() + 1)
}

/// Failures that need no clock, and the causes that are reported.
pub const FAILURES: [(&[&str], &str); 3] = [
    (&["--fault", "1000,panic"], "Panic"),
    (&["--fault", "1000,hardfault"], "Fault"),
    (&["--fault", "1000,overflow"], "StackOverflow"),
];

#[test]
fn after_a_panic_a_fault_an_overflow_and_a_main_loop_that_hangs_a_board_starts_again_and_recognizes()
 {
    if !tools() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let word = word(&folder);
    let hangs: (&[&str], _) = (&["--realtime", "--stall", "1000,2500"], "Watchdog");
    for (board, _) in BOARDS {
        let undisturbed = reports(board, &word, &[]);
        assert!(!undisturbed.is_empty());
        for (failure, cause) in FAILURES.into_iter().chain([hangs]) {
            // It hears the file again, from its start.
            let after = after_one_restart(board, &word, failure, cause);
            assert_eq!(after, undisturbed, "{board} {failure:?}");
        }
    }
}

#[test]
fn an_image_that_is_damaged_while_a_board_runs_is_found_and_ends_recognition() {
    if !tools() {
        return;
    }
    // A round of the check takes 18 s; the network rests meanwhile.
    let folder = tempfile::tempdir().unwrap();
    let recording = write_wav(&folder, "quiet.wav", &noise(20 * 16_000, 1));
    for (board, _) in BOARDS {
        let undamaged = reports(board, &recording, &["--quiet"]);
        assert!(
            !undamaged.iter().any(|one| !one["bad_image"].is_null()),
            "{board}"
        );
        let arguments = ["qemu", "--json", "--quiet", "--board", board, &recording];
        let (code, stdout, stderr) = run(&[&arguments[..], &["--fault", "1000,image"]].concat());
        assert_eq!(code, 1, "{board}: {stdout}");
        let last = stdout.lines().last();
        assert_eq!(last, Some(r#"{"bad_image":"Checksum"}"#), "{board}");
        let line = stderr.lines().last().unwrap();
        let expected = "the firmware stopped: the image was damaged while it ran";
        assert_eq!(line, format!("zerda: {board}: {expected}"));
    }
}
