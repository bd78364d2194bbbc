//! The firmware on a RISC-V core of 32 bits without a floating-point unit, in QEMU: the same bits, by plain kernels.

use super::recovery::{FAILURES, after_one_restart, reports};
use super::{equals_the_laptop_on, noise, objects, run, tools, word, write_wav};

const BOARD: &str = "qemu-riscv32";

#[test]
fn a_sample_and_near_silence_give_the_detections_and_logits_of_the_laptop_on_risc_v() {
    if !tools() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let silence = write_wav(&folder, "near-silence.wav", &noise(16_000, 1));
    let files = [word(&folder), silence];
    assert!(!equals_the_laptop_on(&[(BOARD, 0)], &files).is_empty());
}

#[test]
fn instructions_on_risc_v_are_the_same_twice() {
    if !tools() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let word = word(&folder);
    let profile = || {
        let arguments = ["qemu", "--json", "--profile", "--mhz", "1000", "--board"];
        let (code, stdout, stderr) = run(&[&arguments[..], &[BOARD, &word]].concat());
        assert_eq!(code, 0, "{stderr}");
        let mut lines = objects(&stdout).0;
        lines.pop().expect("a profile")["profile"].take()
    };
    let first = profile();
    // 1.9 million products a step, each of some instructions.
    assert!(first["step"].as_u64().unwrap() > 1_900_000, "{first}");
    assert_eq!(first, profile());
}

#[test]
fn after_a_panic_a_fault_an_overflow_and_a_main_loop_that_hangs_risc_v_starts_again() {
    if !tools() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let word = word(&folder);
    let undisturbed = reports(BOARD, &word, &[]);
    assert!(!undisturbed.is_empty());
    for (failure, cause) in FAILURES {
        let after = after_one_restart(BOARD, &word, failure, cause);
        assert_eq!(after, undisturbed, "{failure:?}");
    }
    // 125 million instructions a second are too few for these kernels, so that audio is lost there.
    let hangs = ["--realtime", "--stall", "1000,2500"];
    after_one_restart(BOARD, &word, &hangs, "Watchdog");
}
