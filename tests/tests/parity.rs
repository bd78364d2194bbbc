//! Streaming changes nothing: neither how audio is split into buffers, nor caches and windows.

use fastrand::Rng;
use zerda_firmware::{Event, Image, Recognizer};
use zerda_tests::audio::{noise, shipped_samples};
use zerda_tests::shipped_image;
use zerda_tests::whole_stream::WholeStream;

/// 4 s: 398 frames, so that caches of 100 are full and drop rows.
const LENGTH: usize = 64_000;

/// Logits and posteriors of one step.
type Logits = (Vec<i8>, Vec<i8>);

fn streamed(image: &Image<'_>, pcm: &[i16]) -> Vec<Logits> {
    let mut steps = Vec::new();
    let mut memory = vec![0; image.memory_bytes()];
    let mut recognizer = Recognizer::new(image, &mut memory).unwrap();
    recognizer.push_events(pcm, |event| {
        if let Event::Step {
            logits, posteriors, ..
        } = event
        {
            steps.push((logits.to_vec(), posteriors.to_vec()));
        }
    });
    steps
}

fn streaming_equals_the_whole_stream(pcm: &[i16]) {
    let file = shipped_image();
    let image = file.image().unwrap();
    let streamed = streamed(&image, pcm);
    let whole = WholeStream::of(&image, pcm);
    let manifest = image.manifest();
    assert!(whole.steps() * usize::from(manifest.stream.step) >= 300);
    assert_eq!(streamed.len(), whole.steps());
    for (step, (logits, posteriors)) in streamed.iter().enumerate() {
        assert_eq!(
            *logits,
            whole.tensor(manifest.logits, step),
            "logits of step {step}"
        );
        assert_eq!(
            *posteriors,
            whole.tensor(manifest.posteriors, step),
            "step {step}"
        );
    }
    // Not a network that always says the same.
    assert!(streamed.iter().any(|step| *step != streamed[0]));
}

#[test]
fn streaming_equals_an_executor_without_caches_on_speech() {
    streaming_equals_the_whole_stream(&shipped_samples(LENGTH));
}

#[test]
fn streaming_equals_an_executor_without_caches_on_noise() {
    streaming_equals_the_whole_stream(&noise(1, LENGTH));
}

#[test]
fn any_split_of_the_audio_into_buffers_gives_the_same_events() {
    let file = shipped_image();
    let image = file.image().unwrap();
    let pcm = shipped_samples(LENGTH);
    let mut memory = vec![0; image.memory_bytes()];
    let mut recognizer = Recognizer::new(&image, &mut memory).unwrap();
    let mut events = |most: usize, rng: &mut Rng| {
        recognizer.reset();
        let (mut events, mut rest) = (Vec::new(), &pcm[..]);
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rng.usize(0..=most).min(rest.len()));
            recognizer.push_events(now, |event| events.push(format!("{event:?}")));
            rest = later;
        }
        events
    };
    let rng = &mut Rng::with_seed(1);
    let whole = events(usize::MAX, rng);
    let detections = whole.iter().filter(|event| event.starts_with("Detection"));
    assert!(detections.count() > 0, "nothing is detected in the samples");
    for split in 0..200 {
        // Buffers of up to a few samples, a hop, a window, a chunk, a second.
        let most = [7, 160, 400, 2000, 16_000][split % 5];
        assert!(
            events(most, rng) == whole,
            "split {split}, buffers of up to {most} samples"
        );
    }
}
