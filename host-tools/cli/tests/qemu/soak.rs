//! A soak of the firmware on boards, on demand: an hour without a break, and failures at random times.

use zerda_support::audio;

use super::recovery::{FAILURES, after_one_restart, reports};
use super::{BOARDS, equals_the_laptop_on, minute, root, seconds, tools};

/// Failures on each board.
const TIMES: u64 = 30;

#[test]
#[ignore = "takes long: an hour on a board, and sixty failures"]
fn an_hour_gives_the_laptops_detections_and_logits_and_after_each_failure_a_board_hears_as_before()
{
    assert!(tools(), "targets and QEMU are needed");
    let folder = tempfile::tempdir().unwrap();
    let shipped = || audio::list(&root().join("models/samples")).unwrap();
    let hour = seconds(3600, &folder, "hour.wav", shipped());
    let heard = equals_the_laptop_on(&BOARDS[1..], &[hour]);
    println!("an hour on {}: {} detections", BOARDS[1].0, heard.len());

    let recording = minute(&folder, "minute.wav", shipped());
    for (board, _) in BOARDS {
        let undisturbed = reports(board, &recording, &[]);
        assert!(undisturbed.len() > 10);
        for number in 0..TIMES {
            // Steps of the golden ratio: spread over the minute, each time the same.
            let at = 1000 + (number * 35_805) % 57_000;
            let (failure, cause) = FAILURES[number as usize % FAILURES.len()];
            let kind = failure[1].split(',').next_back().unwrap();
            let fault = format!("{at},{kind}");
            let after = after_one_restart(board, &recording, &["--fault", &fault], cause);
            assert_eq!(after, undisturbed, "{board}: {fault}");
        }
        println!("{board}: {TIMES} failures, after each the detections of before");
    }
}
