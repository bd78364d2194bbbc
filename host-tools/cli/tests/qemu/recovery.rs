//! Boards that fail on purpose start again, say why, and go on recognizing.

use serde_json::{Value, json};

use super::{BOARDS, objects, root, run, tools};

/// What a board reports of a sample, in the text of `--json`, with arguments that make it fail.
fn reports(board: &str, failure: &[&str]) -> Vec<Value> {
    let sample = root().join("models/samples/answers.wav");
    let sample = sample.display().to_string();
    let arguments = ["qemu", "--json", "--board", board, &sample];
    let (code, stdout, stderr) = run(&[&arguments, failure].concat());
    assert_eq!(code, 0, "{board} {failure:?}: {stderr}");
    objects(&stdout).0
}

#[test]
fn after_a_panic_a_fault_and_a_main_loop_that_hangs_a_board_starts_again_and_recognizes() {
    if !tools() {
        return;
    }
    let failures: [(&[&str], &str); 3] = [
        (&["--fault", "1000,panic"], "Panic"),
        (&["--fault", "1000,hardfault"], "Fault"),
        (&["--realtime", "--stall", "1000,2500"], "Watchdog"),
    ];
    for (board, _) in BOARDS {
        let undisturbed = reports(board, &[]);
        assert!(undisturbed.len() >= 4);
        for (failure, cause) in failures {
            let failed = reports(board, failure);
            let restarts = failed.iter().filter(|one| !one["restart"].is_null());
            let restarts: Vec<_> = restarts.collect();
            assert_eq!(restarts.len(), 1, "{board}: {failed:?}");
            let restart = &restarts[0]["restart"];
            assert_eq!(restart["cause"], cause, "{board}");
            // A line of the source, or an address in flash; a watchdog knows neither.
            assert_eq!(restart["place"] == json!(null), cause == "Watchdog");
            // It hears the file again, from its start.
            let at = failed.iter().position(|one| one == restarts[0]);
            assert_eq!(failed[at.unwrap() + 1..], undisturbed, "{board}");
        }
    }
}
