//! `cargo task bench`: the step beside LiteRT, onnxruntime and tract; and that these compute what Zerda computes.

use std::env;

use zerda_support::test_support::{processor, today};
use zerda_tests::audio::shipped_samples;
use zerda_tests::bench::{Bench, median};
use zerda_tests::tflm::Tflm;

/// So many turns, in each of which each runtime runs once; their number is odd, for the median.
const TURNS: usize = 9;
const STEPS: usize = 2000;

/// 3 s: the caches fill in one.
fn samples() -> Vec<i16> {
    shipped_samples(48_000)
}

#[test]
fn runtimes_that_are_measured_beside_zerda_compute_the_same() {
    let Some(tflm) = Tflm::get("LiteRT and onnxruntime beside Zerda") else {
        return;
    };
    let bench = Bench::new(tflm, samples());
    let times = bench.turn(20, None);
    assert!(times.iter().all(|time| time.microseconds > 0.0));
    for runtime in ["LiteRT ", "onnxruntime ", "tract ", "Zerda, plain"] {
        assert!(
            times.iter().any(|time| time.what.starts_with(runtime)),
            "{runtime}"
        );
    }

    // LiteRT rounds otherwise than TensorFlow Lite Micro, whose bits the firmware has. Measured: 3, 16 and 7 levels of 256.
    assert!(bench.outputs.len() > 50, "{} steps", bench.outputs.len());
    assert_eq!(bench.outputs[0].len(), 8);
    for (number, most) in [4, 24, 10, 10, 10, 10, 10, 10].into_iter().enumerate() {
        let ours = bench.outputs.iter().flat_map(|outputs| &outputs[number]);
        let theirs = bench.answer(&format!("litert_{number}.i8"));
        let apart = ours.zip(theirs.iter().map(|&byte| byte as i8));
        let apart = apart
            .map(|(ours, theirs)| ours.abs_diff(theirs))
            .max()
            .unwrap();
        println!("output {number}: {apart}");
        assert!(
            apart <= most,
            "output {number} of LiteRT is {apart} levels off"
        );
    }

    let (ours, _) = bench.tract(0);
    let bytes = bench.answer("logits.f32");
    let theirs = bytes
        .as_chunks()
        .0
        .iter()
        .map(|&bytes| f32::from_le_bytes(bytes));
    assert_eq!(bytes.len(), 4 * ours.len());
    let apart = ours
        .iter()
        .zip(theirs)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    println!("tract and onnxruntime: {apart}");
    assert!(
        apart < 1e-4,
        "logits of tract and onnxruntime differ by {apart}"
    );
}

/// Not a test, but what `cargo task bench` starts, since what tests are built of is built then.
#[test]
#[ignore = "it measures for minutes: cargo task bench"]
fn measure() {
    let Some(tflm) = Tflm::get("cargo task bench") else {
        return;
    };
    let program = format!("zerda{}", env::consts::EXE_SUFFIX);
    let zerda = env::current_exe()
        .unwrap()
        .parent()
        .unwrap()
        .with_file_name(program);
    let bench = Bench::new(tflm, samples());
    let turns: Vec<_> = (0..TURNS)
        .map(|_| bench.turn(STEPS, Some(&zerda)))
        .collect();
    println!(
        "Measured on {}, {}; {TURNS} turns of {STEPS} steps, medians.\n",
        today(),
        processor()
    );
    println!(
        "| what | the time contains | µs a step | LiteRT = 1 | least and greatest ratio of a turn |"
    );
    println!("|---|---|---|---|---|");
    for (row, time) in turns[0].iter().enumerate() {
        let times = |turn: usize| turns[turn][row].microseconds;
        let mut ratios: Vec<_> = (0..TURNS)
            .map(|turn| times(turn) / turns[turn][0].microseconds)
            .collect();
        ratios.sort_by(f64::total_cmp);
        println!(
            "| {} | {} | {:.0} | {:.2} | {:.2}, {:.2} |",
            time.what,
            time.content,
            median((0..TURNS).map(times).collect()),
            ratios[TURNS / 2],
            ratios[0],
            ratios[TURNS - 1],
        );
    }
}
