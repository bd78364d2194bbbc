//! What opens the gate, and what does not.

use super::*;
use crate::image::Quiet;
use crate::test_image::{Random, tiny, with_quiet};
use std::vec::Vec;

fn detector(sensitivity: u8, hangover_ms: u16) -> Detector {
    let bytes = with_quiet(
        tiny(2).get(),
        Quiet {
            sensitivity,
            hangover_ms,
        },
    );
    Detector::new(&Image::parse(bytes.get()).unwrap()).unwrap()
}

/// The frames, from 0, in which the gate is open, of spectra of 40 mels that are all as loud, in nats.
fn open(detector: &mut Detector, levels: impl IntoIterator<Item = f32>) -> Vec<usize> {
    let levels = levels.into_iter().enumerate();
    let open = levels.filter_map(|(frame, level)| detector.frame(&[level; 40]).then_some(frame));
    open.collect()
}

/// Noise of 10 nats, which the gate knows after five parts of 32 frames, the first of which began with nothing.
fn settled(sensitivity: u8) -> Detector {
    let mut detector = detector(sensitivity, 300);
    let last = open(&mut detector, [10.0; 400]).pop();
    // It was open until the noise was known: 160 frames, and the hangover of 30.
    assert_eq!(last, Some(160 + 30 - 2));
    detector
}

#[test]
fn a_stream_is_heard_until_its_noise_is_known_and_sound_above_it_opens_in_50_ms() {
    for sensitivity in 0..4 {
        let mut detector = settled(sensitivity);
        // 30 dB above the noise: with the window of 25 ms, 3 frames are 45 ms.
        let opened = open(&mut detector, [17.0; 5]);
        assert!(opened[0] <= 2, "{opened:?}");
    }
}

#[test]
fn the_gate_stays_open_for_the_hangover_after_the_last_sound() {
    let mut detector = settled(2);
    let sound = [17.0; 20].into_iter().chain([10.0; 100]);
    let opened = open(&mut detector, sound);
    // The last frame of the sound, and 29 more.
    assert_eq!(opened.last(), Some(&(19 + 29)));
    assert!(opened.windows(2).all(|two| two[1] == two[0] + 1));
}

#[test]
fn a_click_of_a_frame_and_sound_near_the_noise_do_not_open_it() {
    for level in [10.5, 11.0] {
        assert_eq!(open(&mut settled(2), [level; 100]), []);
    }
    let click = [14.0].into_iter().chain([10.0; 50]);
    assert_eq!(open(&mut settled(2), click), []);
}

/// Clicks of three frames, 30 dB above the noise, every half second, as a clock ticks.
fn ticks(count: usize) -> Vec<f32> {
    let tick = [&[17.0; 3][..], &[10.0; 47]].concat();
    tick.repeat(count)
}

#[test]
fn a_clock_that_ticks_opens_it_once_and_what_lasts_opens_it_in_90_ms() {
    let mut detector = settled(2);
    let opened = open(&mut detector, ticks(20));
    // At the first tick, for the hangover; after the last one for a word.
    assert!(opened.iter().all(|&frame| frame < 50), "{opened:?}");
    let opened = open(&mut detector, [17.0; 30]);
    assert!((3..=7).contains(&opened[0]), "{opened:?}");
    // Two seconds without a click, and it is as quick as it was.
    open(&mut detector, [10.0; 250]);
    let opened = open(&mut detector, [17.0; 5]);
    assert!(opened[0] <= 2, "{opened:?}");
}

#[test]
fn what_is_more_sensitive_opens_at_least_as_often() {
    let mut random = Random(5);
    let levels: Vec<f32> = (0..3000)
        .map(|_| 10.0 + random.below(3000) as f32 / 1000.0)
        .collect();
    let count = |sensitivity| open(&mut settled(sensitivity), levels.iter().copied()).len();
    let counts = [0, 1, 2, 3].map(count);
    assert!(counts.is_sorted(), "{counts:?}");
    assert!(counts[0] < counts[3], "{counts:?}");
}

#[test]
fn noise_that_begins_and_stays_is_known_after_a_while() {
    let mut detector = settled(2);
    let opened = open(&mut detector, [15.0; 1000]);
    assert_eq!(opened[0], opened[0].min(2));
    // Four parts of 32 frames, the part that goes on, and the hangover.
    assert!(*opened.last().unwrap() < 5 * 32 + 30 + 6, "{opened:?}");
}

#[test]
fn any_numbers_and_any_count_of_mels_are_heard() {
    let strange = [
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::MAX,
        -1.0,
        1e-40,
    ];
    for mels in [0, 1, 4, 9, 10, 11, 40, 80] {
        let mut detector = detector(3, 10_000);
        for frame in 0..500 {
            let spectrum: Vec<f32> = (0..mels).map(|mel| strange[(frame + mel) % 6]).collect();
            detector.frame(&spectrum);
        }
    }
}
