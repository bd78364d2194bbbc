//! The application on hardware made of vectors: what reaches the pins and the serial line.

mod answers;
mod bench;
mod failures;
mod phrases;
mod quiet;
mod years;

use std::string::{String, ToString};
use std::{format, vec::Vec};

use heapless::spsc::Producer;

use bench::{Clock, IMAGE, Line, Log, MEMORY, Pin, answers, with};

use super::{App, Output};
use crate::audio::{BLOCK, Block, Ring};
use crate::cache::Windows;
use crate::image::{Wake, field};
use crate::step::{Counters, Cpu, Failure, Fault, Step};
use crate::telemetry::Report;
use crate::test_image::{Bytes, with_wake};
use crate::{Detection, Event, Image, Memory, Recognizer};

/// Runs the application on the samples from which `lost` was cut out.
fn run(pcm: &[i16], lost: std::ops::Range<usize>) -> Vec<String> {
    run_with(Cpu::default(), pcm, lost)
}

fn run_with<S: Step>(step: S, pcm: &[i16], lost: std::ops::Range<usize>) -> Vec<String> {
    run_image(&IMAGE.0, step, pcm, lost)
}

fn run_image<S: Step>(
    image: &[u8],
    step: S,
    pcm: &[i16],
    lost: std::ops::Range<usize>,
) -> Vec<String> {
    let clock = Clock::default();
    clock.ticks.set(u32::MAX);
    with_app(image, step, clock, |app, ring| {
        for (index, samples) in pcm.chunks(BLOCK).enumerate() {
            let start = index * BLOCK;
            if !lost.contains(&start) {
                hear(app, ring, start as u64, samples);
            }
        }
        assert!(!app.poll());
        app.report_status();
    })
}

type TestApp<'a, S> = App<'a, S, Pin, Line, Clock>;

/// What an application says and its pins do, whose audio `with` puts into the ring.
fn with_app<S: Step>(
    image: &[u8],
    step: S,
    clock: Clock,
    with: impl FnOnce(&mut TestApp<'_, S>, &mut Producer<'_, Block>),
) -> Vec<String> {
    let image = Image::parse(image).unwrap();
    let mut memory = std::vec![0; image.memory_bytes()];
    let log = Log::default();
    let mut ring = Ring::<4>::new();
    let (mut producer, consumer) = ring.split();
    let mut outputs = [
        Output::new(Pin("yes", log.clone()), Some("yes"), 300),
        Output::new(Pin("any", log.clone()), None, 200),
        Output::while_awake(Pin("listens", log.clone())),
    ];
    let line = Line::new(&log);
    let mut recognizer = Recognizer::with_step(&image, &mut memory, step).unwrap();
    let mut app = App::new(&mut recognizer, consumer, &mut outputs, line, clock);
    with(&mut app, &mut producer);
    drop(app);
    log.take()
}

/// Has the application handle one block of audio.
fn hear<S: Step>(
    app: &mut TestApp<'_, S>,
    ring: &mut Producer<'_, Block>,
    start: u64,
    samples: &[i16],
) {
    let samples = heapless::Vec::from_slice(samples).unwrap();
    assert!(ring.enqueue(Block { start, samples }).is_ok());
    assert!(app.poll());
}

/// Detections of a recognizer alone, and the CRC of its logits.
fn alone(parts: &[&[i16]]) -> (Vec<Vec<Detection>>, u32) {
    let image = Image::parse(&IMAGE.0).unwrap();
    let mut memory = Memory::<MEMORY>::new();
    let mut recognizer = Recognizer::new(&image, &mut memory).unwrap();
    let crc = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);
    let mut digest = crc.digest();
    let found = parts.iter().map(|pcm| {
        let mut found = Vec::new();
        recognizer.reset();
        recognizer.push_events(pcm, |event| match event {
            Event::Step { logits, .. } => digest.update(bytemuck::cast_slice(logits)),
            Event::Detection(detection) => found.push(detection),
            _ => {}
        });
        found
    });
    let found = found.collect();
    (found, digest.finalize())
}

fn report(detection: &Detection, since_ms: u32) -> String {
    let image = Image::parse(&IMAGE.0).unwrap();
    format!("{:?}", Report::heard(&image, detection, since_ms))
}

#[test]
fn every_detection_is_reported_and_the_last_status_counts_them() {
    let pcm = answers();
    let (found, crc) = alone(&[&pcm]);
    let log = run(&pcm, 0..0);
    let expected: Vec<_> = found[0].iter().map(|found| report(found, 0)).collect();
    assert_eq!(with(&log, "Detection"), expected);
    assert!(expected.len() >= 4);
    assert!(with(&log, "Start")[0].contains(env!("CARGO_PKG_VERSION")));
    let status = with(&log, "Status");
    // One a second of the 8.6 s, and the one asked for.
    assert_eq!(status.len(), 9);
    let last = status.last().unwrap();
    let says = |field: &str, value: u32| last.contains(&format!("{field}: {value}"));
    assert!(says("detections", expected.len() as u32), "{last}");
    assert!(says("logits_crc32", crc) && says("overruns", 0), "{last}");
    assert!(says("stack_bytes", 77) && says("io_errors", 0), "{last}");
    assert!(says("audio_ms", pcm.len() as u32 / 16), "{last}");
}

#[test]
fn pins_are_high_for_a_while_after_their_command() {
    let log = run(&answers(), 0..0);
    assert_eq!(log[..3], ["yes low", "any low", "listens low"]);
    let pins = with(&log, "yes ")[1..].len() + with(&log, "any ")[1..].len();
    let detections = with(&log, "Detection");
    let yes = detections
        .iter()
        .filter(|line| line.contains("\"yes\""))
        .count();
    assert_eq!(pins, 2 * yes + 2 * detections.len());
    // The first command is a yes: both pins, and the one with the longer time falls last.
    let pins = log
        .iter()
        .filter(|line| line.ends_with("low") || line.ends_with("high"))
        .filter(|line| !line.starts_with("listens"));
    let first: Vec<_> = pins.skip(2).take(4).collect();
    assert_eq!(first, ["yes high", "any high", "any low", "yes low"]);
}

#[test]
fn an_overrun_is_reported_and_recognition_starts_afresh_behind_it() {
    let pcm = answers();
    // A second is lost between the second and the third word.
    let lost = 3 * 16_000..4 * 16_000;
    let (found, crc) = alone(&[&pcm[..lost.start], &pcm[lost.end..]]);
    let log = run(&pcm, lost);
    let overrun = Report::Overrun {
        at_ms: 4000,
        lost_samples: 16_000,
    };
    assert_eq!(with(&log, "Overrun"), [format!("{overrun:?}")]);
    let [before, after] = &found[..] else {
        panic!()
    };
    let expected = before.iter().map(|found| report(found, 0));
    let expected: Vec<_> = expected
        .chain(after.iter().map(|found| report(found, 4000)))
        .collect();
    assert_eq!(with(&log, "Detection"), expected);
    assert!(before.len() >= 2 && after.len() >= 2);
    let last = with(&log, "Status").pop().unwrap();
    assert!(last.contains("overruns: 1, lost_samples: 16000"), "{last}");
    assert!(last.contains(&format!("logits_crc32: {crc}")), "{last}");
}

/// The number of the shipped image's label of this name.
fn label(name: &str) -> u8 {
    let image = Image::parse(&IMAGE.0).unwrap();
    image.labels().position(|label| label.name == name).unwrap() as u8
}

/// An image made of the shipped one, with its front end.
fn of_shipped(mut image: Bytes) -> Bytes {
    image.get_mut()[field::LEVEL_FRAMES].copy_from_slice(&IMAGE.0[field::LEVEL_FRAMES]);
    image.repair();
    image
}

/// The image with "yes" as its wake word, which opens a window of 2.5 s.
fn gated() -> Bytes {
    let wake = Wake {
        window_ms: 2500,
        extend: false,
        words: &[label("yes")],
        thresholds: &[],
    };
    of_shipped(with_wake(&IMAGE.0, 0, &[], &wake))
}

/// What the application says of commands and of listening to them.
fn run_gated(lost: std::ops::Range<usize>) -> Vec<String> {
    let log = run_image(gated().get(), Cpu::default(), &answers(), lost);
    let kinds = [
        "Detection",
        "WakeWord",
        "Awake",
        "Asleep",
        "Overrun",
        "Gate",
        "listens",
        "any",
    ];
    let lines = log.into_iter().filter_map(|line| {
        let kind = kinds.into_iter().find(|kind| line.starts_with(kind))?;
        match kind {
            "Detection" => line.split('"').nth(1).map(str::to_string),
            "WakeWord" => Some(format!("wake word {}", line.split('"').nth(1)?)),
            "Awake" | "Overrun" => Some(kind.into()),
            _ => Some(line),
        }
    });
    lines.collect()
}

/// "yes" at 0.7 s, "no" at 2.0, "right" at 4.6, "no" at 5.9 and "yes" at 7.2, of 8.6 s.
#[test]
fn a_pin_is_high_while_commands_count_and_commands_alone_are_counted() {
    let lines = run_gated(0..0);
    let awake = |wake_words| format!("Gate {{ awake: true, wake_words: {wake_words} }}");
    let asleep = |wake_words| format!("Gate {{ awake: false, wake_words: {wake_words} }}");
    let closed = lines.iter().find(|line| line.starts_with("Asleep"));
    let closed = closed.unwrap();
    assert!(closed.contains("reason: WindowOver"));
    let expected = [
        "any low",
        "listens low",
        &asleep(0),
        "wake word yes",
        "Awake",
        "listens high",
        &awake(1),
        "any high",
        "no",
        "any low",
        &awake(1),
        closed,
        "listens low",
        &asleep(1),
        &asleep(1),
        &asleep(1),
        &asleep(1),
        "wake word yes",
        "Awake",
        "listens high",
        &awake(2),
        &awake(2),
    ];
    assert_eq!(lines, expected);
}

#[test]
fn an_output_of_a_command_is_one_of_the_window_where_the_image_opens_one() {
    for (bytes, name) in [(&IMAGE.0[..], "Said(\"no\")"), (gated().get(), "Awake")] {
        let image = Image::parse(bytes).unwrap();
        let output = Output::new((), Some("no"), 500).or_awake(&image);
        assert_eq!(format!("{:?}", output.when), name);
    }
}

#[test]
fn an_overrun_while_commands_count_closes_the_window_and_that_is_reported() {
    // Half a second after the wake word, for as long.
    let lines = run_gated(24_000..32_000);
    let overrun = lines.iter().position(|line| line == "Overrun").unwrap();
    let after = [
        "Asleep { at_ms: 2000, reason: Reset }",
        "listens low",
        "Gate { awake: false, wake_words: 1 }",
    ];
    assert_eq!(lines[overrun + 1..][..3], after);
    // "no" is said to deaf ears.
    assert!(!lines.contains(&"no".to_string()));
}

/// An NPU of which every tenth step fails.
#[derive(Default)]
struct Failing(Counters);

impl Step for Failing {
    fn step(&mut self, image: &Image<'_>, windows: &Windows, memory: &mut [i8]) {
        Cpu::default().step(image, windows, memory);
        if (self.0.steps + self.0.faults) % 10 == 9 {
            let (fault, detail) = (Fault::Ecc, 0x102);
            self.0.faults += 1;
            self.0.last = Some(Failure { fault, detail });
            self.0.backoff = 1;
        } else {
            self.0.steps += 1;
        }
    }

    fn npu(&self) -> Option<Counters> {
        Some(self.0)
    }
}

#[test]
fn faults_of_an_npu_are_reported_when_they_happen_and_counted_with_the_status() {
    let pcm = answers();
    let log = run_with(Failing::default(), &pcm, 0..0);
    let faults = with(&log, "NpuFault");
    // A step each 50 ms from 115 ms on; the tenth is at 565.
    let steps = (pcm.len() - 1840) / 800 + 1;
    assert_eq!(faults.len(), steps / 10);
    assert!(faults[0].contains("at_ms: 570, ") && faults[0].contains("faults: 1, "));
    assert!(faults[2].contains("at_ms: 1570, ") && faults[2].contains("faults: 3, "));
    let last = *with(&log, "Npu {").last().unwrap();
    let (failed, steps) = (faults.len() as u32, (steps - faults.len()) as u32);
    let faults = failed;
    assert_eq!(last, format!("{:?}", Report::Npu { steps, faults }));
    assert_eq!(with(&log, "Npu {").len(), with(&log, "Status").len());
    // Without an NPU nothing is said of one.
    assert!(with(&run(&pcm, 0..0), "Npu").is_empty());
}
