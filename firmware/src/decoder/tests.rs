//! Posteriors made by hand, and the words of them.

use super::*;
use crate::image::Command;
use crate::test_image::{Bytes, tiny, with_commands};
use std::vec::Vec;

// Labels of the tiny image: go (threshold 100), stop (120), silence. Smoothing 5, refractory
// 30 frames, chunk 3, step 2. Without loudness every frame is as loud as the loudest.
const GO: [u8; 3] = [250, 0, 5];
const STOP: [u8; 3] = [0, 250, 5];
const SILENCE: [u8; 3] = [0, 0, 255];

fn decode(parts: &[([u8; 3], usize)]) -> Vec<(usize, Word)> {
    decode_with(&tiny(2), parts)
}

/// Frames and words, faint ones included.
fn decode_with(image: &Bytes, parts: &[([u8; 3], usize)]) -> Vec<(usize, Word)> {
    let mut decoder = Decoder::new(&Image::parse(image.get()).unwrap());
    let frames = parts
        .iter()
        .flat_map(|&(p, count)| core::iter::repeat_n(p, count));
    let detected = frames.enumerate().filter_map(|(frame, p)| {
        let posteriors = p.map(|p| (i16::from(p) - 128) as i8);
        decoder
            .push_frame(&posteriors, 0, ALL_LABELS)
            .map(|word| (frame, word))
    });
    detected.collect()
}

#[test]
fn a_word_is_detected_when_its_average_reaches_the_threshold_with_its_times() {
    let found = decode(&[(SILENCE, 20), (GO, 10), (SILENCE, 20)]);
    // Two of five frames at 250 average to 100.
    let word = Word {
        label: 0,
        score: 100,
        start_ms: 0,
        end_ms: 21 * 10 + 25,
        decided_ms: (20 + 2) * 10 + 25,
        kind: Kind::Sure,
        first_frame: 0,
        last_frame: 21,
    };
    assert_eq!(found, [(21, word)]);
}

/// Start of the word that frame 99 decides, of frames as loud as `loudness` says, in frames.
fn start(loudness: impl Fn(u64) -> u8) -> u32 {
    let image = tiny(2);
    let mut decoder = Decoder::new(&Image::parse(image.get()).unwrap());
    let mut words = (0..100).filter_map(|frame| {
        let go = if frame < 98 { -128 } else { 122 };
        decoder.push_frame(&[go, -128, -128], loudness(frame), ALL_LABELS)
    });
    words.next().unwrap().start_ms / 10
}

#[test]
fn a_word_starts_where_it_becomes_loud() {
    let within = |from: u64, to: u64, frame| (from..to).contains(&frame);
    assert_eq!(start(|f| if within(60, 103, f) { 180 } else { 90 }), 60);
    // It faded before it was decided, and noise is no word.
    assert_eq!(
        start(|f| if within(60, 95, f) {
            180
        } else {
            90 + (f % 20) as u8
        }),
        60
    );
    // The pause before the burst of a stop consonant belongs to it, a longer one does not.
    assert_eq!(
        start(|f| if within(60, 70, f) || within(80, 97, f) {
            180
        } else {
            90
        }),
        60
    );
    assert_eq!(
        start(|f| if within(40, 60, f) || within(80, 97, f) {
            180
        } else {
            90
        }),
        80
    );
}

#[test]
fn a_word_starts_where_it_becomes_loud_after_digital_silence_or_a_click_too() {
    let within = |from: u64, to: u64, frame| (from..to).contains(&frame);
    let word = |f, noise| if within(60, 97, f) { 230 } else { noise };
    // Of noise 34 dB below it 200 ms come after silence.
    assert_eq!(start(|f| if f < 40 { 0 } else { word(f, 166) }), 60);
    // Nor is it noise where the word was decided late, or silence.
    assert_eq!(
        start(|f| if !(40..=97).contains(&f) {
            0
        } else {
            word(f, 166)
        }),
        60
    );
    // A click 30 dB above the word, half a second and 50 ms before it.
    for click in [10, 55] {
        let loudness = |f| match f {
            _ if within(click, click + 2, f) => 230,
            _ if within(60, 97, f) => 174,
            _ => 118 + (f % 4) as u8,
        };
        assert_eq!(start(loudness), 60, "click in frame {click}");
    }
}

#[test]
fn a_vowel_much_louder_than_the_consonant_that_ends_its_word_is_no_click() {
    // 250 ms of it, then 60 ms of closure and 30 ms of release, 15 dB below; a click of so many frames is none of it.
    let word = |vowel: u64| {
        start(|frame| match frame {
            _ if (88 - vowel..88).contains(&frame) => 200,
            88..94 => 110,
            94..97 => 172,
            _ => 90,
        })
    };
    assert_eq!((word(25), word(7)), (63, 81));
    assert_eq!((word(6), word(1)), (94, 94));
}

#[test]
fn a_long_word_is_detected_once_and_again_only_after_it_faded() {
    let found = decode(&[(SILENCE, 9), (GO, 90), (SILENCE, 9), (GO, 9)]);
    let frames: Vec<_> = found.iter().map(|(frame, _)| *frame).collect();
    assert_eq!(frames, [10, 109]);
}

/// Frames and echoes of "go" that is recognized in frames 20 to 34 and `again`, and is loud from
/// 15 frames before to three before the end, at first as loud as 180.
fn said_again(again: core::ops::Range<u64>, again_loud: u8, noise: u8) -> Vec<(u64, bool)> {
    let image = tiny(2);
    let mut decoder = Decoder::new(&Image::parse(image.get()).unwrap());
    let mut found = Vec::new();
    for frame in 0..150 {
        let loud = |said: &core::ops::Range<u64>| (said.start - 15..said.end - 3).contains(&frame);
        let said = (20..35).contains(&frame) || again.contains(&frame);
        let loudness = match frame {
            _ if loud(&(20..35)) => 180,
            _ if loud(&again) => again_loud,
            _ => noise,
        };
        let posteriors = if said { GO } else { SILENCE };
        let posteriors = posteriors.map(|p| (i16::from(p) - 128) as i8);
        let word = decoder.push_frame(&posteriors, loudness, ALL_LABELS);
        found.extend(word.map(|word| (frame, word.kind == Kind::Echo)));
    }
    found
}

#[test]
fn a_word_said_again_after_a_short_pause_is_no_echo() {
    // A pause of 100 ms, and one of a second.
    assert_eq!(said_again(57..70, 180, 90), [(21, false), (58, false)]);
    assert_eq!(said_again(147..160, 165, 90), [(21, false), (148, false)]);
}

#[test]
fn a_word_said_again_after_its_echo_is_no_echo() {
    let (image, mut found) = (tiny(2), Vec::new());
    let mut decoder = Decoder::new(&Image::parse(image.get()).unwrap());
    for frame in 0..110 {
        let loudness = match frame {
            5..32 | 75..97 => 180,
            55..60 => 150,
            _ => 90,
        };
        let said = matches!(frame, 20..35 | 55..65 | 86..100);
        let posteriors = if said { GO } else { SILENCE };
        let posteriors = posteriors.map(|p| (i16::from(p) - 128) as i8);
        let word = decoder.push_frame(&posteriors, loudness, ALL_LABELS);
        found.extend(word.map(|word| (frame, word.kind == Kind::Echo)));
    }
    assert_eq!(found, [(21, false), (56, true), (87, false)]);
}

#[test]
fn what_is_left_of_a_word_is_its_echo() {
    // The release of a plosive: quieter by more than 8 dB. Or too soon, or without a pause.
    assert_eq!(said_again(57..70, 164, 90), [(21, false), (58, true)]);
    assert_eq!(said_again(54..67, 180, 90), [(21, false), (55, true)]);
    assert_eq!(said_again(57..70, 180, 164), [(21, false), (58, true)]);
}

#[test]
fn after_a_second_a_word_is_no_echo_even_if_noise_covers_the_pause() {
    assert_eq!(said_again(120..133, 180, 164), [(21, false), (121, true)]);
    assert_eq!(said_again(121..134, 180, 164), [(21, false), (122, false)]);
}

#[test]
fn another_word_waits_for_the_refractory_time() {
    let found = decode(&[(SILENCE, 9), (GO, 9), (STOP, 90)]);
    let found: Vec<_> = found.iter().map(|(frame, d)| (*frame, d.label)).collect();
    assert_eq!(found, [(10, 0), (41, 1)]);
}

#[test]
fn of_two_words_at_once_the_likelier_is_detected() {
    let found = decode(&[([120, 130, 5], 20)]);
    // 130 reaches 120 only with five frames, 120 reaches 100 with five frames too (4: 96).
    assert_eq!((found[0].0, found[0].1.label), (4, 1));
}

/// Frames and faint words, of an image with or without commands.
fn faint(image: &Bytes, parts: &[([u8; 3], usize)]) -> Vec<(usize, Word)> {
    let mut found = decode_with(image, parts);
    found.retain(|(_, word)| word.kind == Kind::Faint);
    found
}

#[test]
fn a_word_that_fades_before_it_is_sure_is_faint_if_there_are_commands() {
    let words = &[0, 1];
    let name = "go stop";
    let image = with_commands(tiny(2).get(), 50, &[Command { name, words }]);
    // Two of five frames at 200 average to 80; 60 is enough.
    let quiet = ([200, 0, 5], 2);
    let parts = [(SILENCE, 20), quiet, (SILENCE, 20)];
    let word = Word {
        label: 0,
        score: 80,
        start_ms: 0,
        end_ms: 21 * 10 + 25,
        decided_ms: (24 + 2) * 10 + 25,
        kind: Kind::Faint,
        first_frame: 0,
        last_frame: 21,
    };
    assert_eq!(faint(&image, &parts), [(25, word)]);
    assert_eq!(faint(&tiny(2), &parts), []);
    // One frame averages to 40; ten are sure.
    assert_eq!(
        faint(&image, &[(SILENCE, 20), ([200, 0, 5], 1), (SILENCE, 20)]),
        []
    );
    assert_eq!(faint(&image, &[(SILENCE, 20), (GO, 10), (SILENCE, 20)]), []);
    // Highest 29 and 30 frames after the one that follows a sure word.
    let after = |frames| {
        let parts = [(STOP, 3), (SILENCE, frames), quiet, (SILENCE, 9)];
        faint(&image, &parts).len()
    };
    assert_eq!((after(28), after(29)), (0, 1));
}

#[test]
fn silence_is_never_detected() {
    assert_eq!(decode(&[(SILENCE, 500)]), []);
}

#[test]
fn times_stop_counting_after_49_days() {
    let image = tiny(2);
    let mut decoder = Decoder::new(&Image::parse(image.get()).unwrap());
    decoder.state.frame = u64::from(u32::MAX) * 3;
    let found = core::iter::repeat_n([127, -128, -128], 5)
        .find_map(|p| decoder.push_frame(&p, 0, ALL_LABELS));
    assert_eq!(found.unwrap().end_ms, u32::MAX);
}

#[test]
fn a_threshold_that_was_set_counts_from_then_on_and_after_a_reset() {
    let image = tiny(2);
    let image = Image::parse(image.get()).unwrap();
    let mut decoder = Decoder::new(&image);
    // Each frame at 250 raises the average of five by 50: the threshold is reached in this frame, from 0.
    let reached = |decoder: &mut Decoder| {
        decoder.reset();
        (0..5).position(|_| {
            let word = decoder.push_frame(&[122, -128, -128], 0, ALL_LABELS);
            word.is_some()
        })
    };
    assert_eq!(reached(&mut decoder), Some(1), "the image's, 100");
    for (threshold, frame) in [(101, Some(2)), (50, Some(0)), (253, None), (0, None)] {
        decoder.set_threshold(&image, 0, threshold).unwrap();
        assert_eq!(decoder.threshold(0), threshold);
        assert_eq!(reached(&mut decoder), frame, "{threshold}");
    }
}

#[test]
fn a_threshold_is_refused_out_of_range_and_for_what_is_never_detected() {
    let image = tiny(2);
    let image = Image::parse(image.get()).unwrap();
    let mut decoder = Decoder::new(&image);
    // Silence has no threshold, and there are three labels.
    for label in [2, 3, 255] {
        let refused = decoder.set_threshold(&image, label, 100);
        assert_eq!(refused, Err(SettingError::NotDetected { label }));
    }
    for threshold in [1, 2, 254, 255] {
        let refused = decoder.set_threshold(&image, 0, threshold);
        assert_eq!(refused, Err(SettingError::Threshold { threshold }));
    }
    let thresholds = [0, 1, 2].map(|label| decoder.threshold(label));
    assert_eq!(thresholds, [100, 120, 0]);
}

/// By the definition: the mean of the last frames, those before the start of the stream being zero.
#[test]
fn a_smoothing_that_is_set_averages_so_many_of_the_last_frames_from_then_on() {
    let image = tiny(2);
    let image = Image::parse(image.get()).unwrap();
    let mut random = crate::test_image::Random(3);
    for (before, after) in [(2, 2), (2, 5), (5, 2), (32, 1), (1, 32), (7, 6)] {
        let mut decoder = Decoder::with(&image, before, &[0, 0, 0]);
        let mut heard = Vec::new();
        let mut hear = |decoder: &mut Decoder, heard: &mut Vec<u8>| {
            let posterior = random.next() as u8;
            heard.push(posterior);
            decoder.push_frame(&[(posterior ^ 0x80) as i8; 3], 0, ALL_LABELS);
        };
        (0..9).for_each(|_| hear(&mut decoder, &mut heard));
        decoder.set_smoothing(after).unwrap();
        assert_eq!(decoder.smoothing(), after);
        // What was forgotten counts as zero.
        let kept = heard.len() - heard.len().min(before.into());
        heard[..kept].fill(0);
        for _ in 0..40 {
            hear(&mut decoder, &mut heard);
            let last = heard.iter().rev().take(after.into());
            let sum: u32 = last.map(|&posterior| u32::from(posterior)).sum();
            let mean = (sum / u32::from(after)) as u8;
            assert_eq!(decoder.smoothed(), [mean; 3], "{before} to {after}");
        }
    }
    let mut decoder = Decoder::new(&image);
    let before = decoder.smoothing();
    for frames in [0, 33, 255] {
        let refused = decoder.set_smoothing(frames);
        assert_eq!(refused, Err(SettingError::Smoothing { frames }));
        assert_eq!(decoder.smoothing(), before);
    }
}

#[test]
fn a_refractory_time_goes_on_while_nothing_is_decoded_and_ends_when_it_would_have_ended() {
    let image = tiny(2);
    let image = Image::parse(image.get()).unwrap();
    let [go, stop] = [GO, STOP].map(|of| of.map(|p| (i16::from(p) - 128) as i8));
    // "go" is decided by frame 1, and nothing in frames 2 to 31. "stop" takes three frames.
    for (rested_until, expected) in [(10, 32), (29, 32), (30, 32), (31, 33), (500, 502)] {
        let mut decoder = Decoder::new(&image);
        let decided = (0..2).filter_map(|_| decoder.push_frame(&go, 0, ALL_LABELS));
        assert_eq!(decided.count(), 1);
        decoder.go_on_at(rested_until);
        let mut frames = rested_until..rested_until + 50;
        let decided = frames.find(|_| decoder.push_frame(&stop, 0, ALL_LABELS).is_some());
        assert_eq!(decided, Some(expected), "rested until {rested_until}");
    }
}
