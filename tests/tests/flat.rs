//! A step takes as long after an hour as after a minute, measured on this machine.

use std::time::{Duration, Instant};

use fastrand::Rng;
use zerda_firmware::{Event, Image, Recognizer};
use zerda_tests::audio::shipped_samples;
use zerda_tests::shipped_image;

const MINUTES: usize = 60;

/// Samples.
const MINUTE: usize = 60 * 16_000;

/// How often a second minute is measured anew where the machine itself has become faster or slower.
const ATTEMPTS: usize = 8;

/// A minute of the shipped samples, in noise that is never the same.
struct Audio {
    speech: Vec<i16>,
    random: Rng,
}

impl Audio {
    fn minute(&mut self) -> Vec<i16> {
        let noisy = |&sample: &i16| sample.saturating_add(self.random.i16(-100..=100));
        self.speech.iter().map(noisy).collect()
    }
}

/// One stream that is listened to on and on.
struct Stream<'a> {
    recognizer: Recognizer<'a>,
    /// Samples of a step.
    step: usize,
    steps: usize,
}

impl<'a> Stream<'a> {
    fn new(image: &Image<'a>, memory: &'a mut Vec<i8>) -> Self {
        let manifest = image.manifest();
        memory.resize(image.memory_bytes(), 0);
        Stream {
            recognizer: Recognizer::new(image, memory.as_mut_slice()).unwrap(),
            step: usize::from(manifest.stream.step) * usize::from(manifest.front_end.hop),
            steps: 0,
        }
    }

    /// The time of a step, its frames and their decoding included, that nothing else on the machine
    /// disturbed: others only ever add to it, so it is the 50th part of the steps that took least.
    fn minute(&mut self, pcm: &[i16]) -> Duration {
        let mut step = |pcm: &[i16]| {
            let start = Instant::now();
            self.recognizer.push_events(pcm, |event| {
                self.steps += usize::from(matches!(event, Event::Step { .. }));
            });
            start.elapsed()
        };
        let mut times: Vec<_> = pcm.chunks(self.step).map(&mut step).collect();
        times.sort();
        times[times.len() / 50]
    }
}

/// Of the last against the second, as a fraction; said aloud.
fn change(second: Duration, last: Duration) -> f64 {
    let [second, last] = [second, last].map(|time| time.as_secs_f64() * 1e6);
    let change = last / second - 1.0;
    println!(
        "measured: a step takes {second:.1} us in the second minute, {last:.1} us after an hour: {:+.2} %",
        change * 100.0
    );
    change
}

#[test]
fn a_step_after_an_hour_takes_as_long_as_one_in_the_second_minute() {
    let file = shipped_image();
    let image = file.image().unwrap();
    let mut audio = Audio {
        speech: shipped_samples(MINUTE),
        random: Rng::with_seed(1),
    };
    let mut memory = Vec::new();
    let mut hour = Stream::new(&image, &mut memory);
    let minutes = (0..MINUTES).map(|_| hour.minute(&audio.minute()));
    let minutes: Vec<_> = minutes.collect();
    // The first chunk is 9 hops and a window.
    assert_eq!(hour.steps, (MINUTES * MINUTE - 1840) / hour.step + 1);

    let mut last = minutes[MINUTES - 5..].to_vec();
    last.sort();
    let mut changes = vec![change(minutes[1], last[2])];
    // A processor's clock and its other users change within half a minute by more than we look for. What
    // the machine does to a second minute now, it does to the hour's next one as well.
    while changes.iter().all(|change| change.abs() > 0.05) {
        assert!(changes.len() < ATTEMPTS, "{changes:?} {minutes:?}");
        let mut memory = Vec::new();
        let mut young = Stream::new(&image, &mut memory);
        young.minute(&audio.minute());
        let (second, last) = (audio.minute(), audio.minute());
        changes.push(change(young.minute(&second), hour.minute(&last)));
    }
}
