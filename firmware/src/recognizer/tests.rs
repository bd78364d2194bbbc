//! Whole streams, and the events that they bring.

mod quiet;

use super::*;
use crate::image::memory_bytes;
use crate::test_image::{Random, STREAM, tiny};
use std::string::{String, ToString};
use std::{format, vec, vec::Vec};

/// Everything that happens, as text.
fn events(bytes: &[u8], pcm: &[i16], parts: impl Iterator<Item = usize>) -> Vec<String> {
    let image = Image::parse(bytes).unwrap();
    let mut memory = vec![0; image.memory_bytes()];
    let mut recognizer = Recognizer::new(&image, &mut memory).unwrap();
    pushed(&mut recognizer, pcm, parts)
}

fn pushed(
    recognizer: &mut Recognizer<'_>,
    mut pcm: &[i16],
    parts: impl Iterator<Item = usize>,
) -> Vec<String> {
    let mut events = Vec::new();
    for part in parts {
        let (now, later) = pcm.split_at(part.min(pcm.len()));
        recognizer.push_events(now, |event| events.push(format!("{event:?}")));
        pcm = later;
        if pcm.is_empty() {
            break;
        }
    }
    events
}

#[test]
fn how_the_audio_is_split_does_not_matter() {
    let (bytes, mut random) = (tiny(3), Random(1));
    let pcm = random.pcm(30_000);
    let whole = events(bytes.get(), &pcm, core::iter::once(pcm.len()));
    assert!(whole.len() > 100);
    for _ in 0..20 {
        let parts = core::iter::repeat_with(|| random.below(700));
        assert!(events(bytes.get(), &pcm, parts) == whole);
    }
}

#[test]
fn where_cache_windows_stand_does_not_matter() {
    let pcm = Random(2).pcm(30_000);
    let of = |slack| events(tiny(slack).get(), &pcm, core::iter::once(pcm.len()));
    let slid_each_step = of(2);
    for slack in [3, 4, 7, 50] {
        assert!(of(slack) == slid_each_step, "slack {slack}");
    }
    // Not all the same: the comparison has something to compare.
    let steps = slid_each_step
        .iter()
        .filter(|event| event.contains("logits"));
    let logits = steps.map(|step| step.split_once("logits").unwrap().1);
    assert!(logits.collect::<std::collections::BTreeSet<_>>().len() > 10);
}

#[test]
fn a_step_runs_as_soon_as_the_last_sample_of_its_chunk_is_there() {
    let bytes = tiny(2);
    let pcm = Random(3).pcm(20_000);
    let steps = |samples: usize| {
        let all = events(bytes.get(), &pcm[..samples], core::iter::once(samples));
        all.iter().filter(|event| event.starts_with("Step")).count()
    };
    for n in 0..5 {
        let last = n * usize::from(STREAM.step) + usize::from(STREAM.chunk) - 1;
        let needed = last * 160 + 400;
        assert_eq!((steps(needed - 1), steps(needed)), (n, n + 1));
    }
}

#[test]
fn a_step_is_followed_by_its_committed_frames() {
    let bytes = tiny(2);
    let all = events(
        bytes.get(),
        &Random(4).pcm(20_000),
        core::iter::once(20_000),
    );
    let kinds: String = all.iter().map(|event| &event[..1]).collect();
    assert_eq!(
        kinds.replace(['W', 'D'], ""),
        "ESFF".repeat(kinds.matches('S').count())
    );
    assert!(all[2].contains("frame: 0,") && all[7].contains("frame: 3,"));
}

#[test]
fn after_a_reset_all_is_as_at_the_start() {
    let (bytes, pcm) = (tiny(5), Random(5).pcm(20_000));
    let image = Image::parse(bytes.get()).unwrap();
    let mut memory = vec![77; image.memory_bytes()];
    let mut recognizer = Recognizer::new(&image, &mut memory).unwrap();
    let whole = || core::iter::once(pcm.len());
    let first = pushed(&mut recognizer, &pcm, whole());
    recognizer.reset();
    assert!(pushed(&mut recognizer, &pcm, whole()) == first);
    assert!(events(bytes.get(), &pcm, whole()) == first);
}

#[test]
fn memory_that_is_too_small_is_refused() {
    let bytes = tiny(2);
    let image = Image::parse(bytes.get()).unwrap();
    let needed = memory_bytes(bytes.get());
    assert_eq!(needed, image.memory_bytes());
    let error = Recognizer::new(&image, &mut vec![0; needed - 1]).unwrap_err();
    assert_eq!(
        error,
        MemoryTooSmall {
            needed,
            given: needed - 1
        }
    );
    assert!(error.to_string().contains("the image needs"));
}
