//! The driver and the steps on it, over the model of the registers.

mod protocol;

use super::model::{Injection, Model};
use super::*;
use crate::image::section::test_section::{Parts, with_npu};
use crate::image::section::{MemoryMode, Product};
use crate::recognizer::{Event, Recognizer};
use crate::test_image::Bytes;
use std::boxed::Box;
use std::vec;
use std::vec::Vec;

/// Enough for the shipped model.
const ROOM: usize = 1 << 16;

fn shipped() -> Bytes {
    Bytes::new(include_bytes!("../../../models/shrunk.zerda"))
}

/// Recordings that the repository ships.
fn samples() -> Vec<Vec<i16>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/samples");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "wav"))
        .collect();
    files.sort();
    let read = |path: &std::path::PathBuf| {
        let samples = hound::WavReader::open(path).unwrap().into_samples();
        samples.collect::<Result<_, _>>().unwrap()
    };
    files.iter().map(read).collect()
}

/// All that a stream gives: detections, and the logits of each step.
#[derive(Debug, PartialEq)]
struct Heard {
    detections: Vec<crate::Detection>,
    logits: u32,
    steps: u32,
}

fn listen<S: Step>(recognizer: &mut Recognizer<'_, S>, pcm: &[i16]) -> Heard {
    let (mut digest, mut detections, mut steps) = (crate::crc::CRC.digest(), Vec::new(), 0);
    recognizer.push_events(pcm, |event| match event {
        Event::Step { logits, .. } => {
            digest.update(bytemuck::cast_slice(logits));
            steps += 1;
        }
        Event::Detection(detection) => detections.push(detection),
        _ => {}
    });
    let logits = digest.finalize();
    Heard {
        detections,
        logits,
        steps,
    }
}

fn on_cpu(image: &Image<'_>, pcm: &[i16]) -> Heard {
    let mut memory = vec![0; image.memory_bytes()];
    listen(&mut Recognizer::new(image, &mut memory).unwrap(), pcm)
}

/// An NPU in whose steps something goes wrong, and the CPU beside it, to compare with.
struct Watched<'a> {
    npu: Npu<'a, Model<'a>>,
    inject: &'a dyn Fn(u32) -> Option<Injection>,
    step: u32,
    /// Steps that ran on the NPU.
    ran: Vec<u32>,
    /// Steps with a fault, and the distance that followed.
    faults: Vec<(u32, Fault, u16)>,
}

impl Step for Watched<'_> {
    fn step(&mut self, image: &Image<'_>, windows: &Windows, memory: &mut [i8]) {
        let step = self.step;
        self.step += 1;
        self.npu.bus().inject((self.inject)(step));
        let mut expected = memory.to_vec();
        Cpu::default().step(image, windows, &mut expected);
        let before = self.npu.npu().unwrap();
        self.npu.step(image, windows, memory);
        assert_eq!(self.npu.bus().violation(), None, "step {step}");

        let after = self.npu.npu().unwrap();
        if after.faults > before.faults {
            let fault = after.last.unwrap().fault;
            self.faults.push((step, fault, after.backoff));
        }
        if after.steps == before.steps {
            assert!(memory == expected, "step {step}: on the CPU");
            return;
        }
        self.ran.push(step);
        // All that is read after a step: caches, logits, posteriors.
        let arena = image.cache_bytes();
        assert!(memory[..arena] == expected[..arena], "step {step}: caches");
        for id in [image.manifest().logits, image.manifest().posteriors] {
            let range = byte_range(image, windows, image.tensor(id).unwrap()).unwrap();
            assert_eq!(memory[range.clone()], expected[range], "step {step}: {id}");
        }
    }
}

/// A stream with faults; what was heard, and what became of the steps.
fn watched<R>(
    bytes: &Bytes,
    pcm: &[i16],
    inject: impl Fn(u32) -> Option<Injection>,
    look: impl FnOnce(Heard, &mut Watched<'_>) -> R,
) -> R {
    let image = Image::parse(bytes.get()).unwrap();
    let mut scratch = Box::new(Scratch::<ROOM>::new());
    let mut models = vec![1; image.memory_bytes()];
    let watched = Watched {
        npu: Npu::new(Model::new(&image, &mut models), &mut scratch),
        inject: &inject,
        step: 0,
        ran: Vec::new(),
        faults: Vec::new(),
    };
    let mut memory = vec![0; image.memory_bytes()];
    let mut recognizer = Recognizer::with_step(&image, &mut memory, watched).unwrap();
    let heard = listen(&mut recognizer, pcm);
    look(heard, recognizer.step_mut())
}

/// The shipped model compiled for an NPU, with its constants in flash and in SRAM.
fn in_both_modes() -> [Bytes; 2] {
    [MemoryMode::SharedSram, MemoryMode::SramOnly].map(|memory_mode| {
        let shipped = shipped();
        let parts = Parts::new(&Image::parse(shipped.get()).unwrap());
        let parts = Parts {
            memory_mode,
            ..parts
        };
        parts.append(shipped.get())
    })
}

#[test]
fn steps_on_the_npu_leave_what_the_cpu_leaves_and_give_its_detections() {
    let both = in_both_modes();
    let image = Image::parse(both[0].get()).unwrap();
    let mut commands = 0;
    for (pcm, bytes) in samples().into_iter().zip(both.iter().cycle()) {
        let expected = on_cpu(&image, &pcm);
        commands += expected.detections.len();
        watched(
            bytes,
            &pcm,
            |_| None,
            |heard, watched| {
                assert_eq!(heard, expected);
                let counters = watched.npu.npu().unwrap();
                assert_eq!((counters.steps, counters.faults), (expected.steps, 0));
            },
        );
    }
    assert!(commands > 5);
}

#[test]
fn after_each_fault_the_cpu_takes_over_with_the_same_bits() {
    let both = in_both_modes();
    let image = Image::parse(both[0].get()).unwrap();
    let pcm = &samples()[0];
    let expected = on_cpu(&image, pcm);
    assert!(expected.detections.len() >= 4);
    let cases = Injection::NAMED.into_iter();
    let cases = cases.flat_map(|case| both.iter().map(move |bytes| (case, bytes)));
    for ((name, injection), bytes) in cases {
        let fault = match injection {
            Injection::Bus => Fault::Bus,
            Injection::Parse => Fault::Parse,
            Injection::Weights => Fault::Weights,
            Injection::Ecc => Fault::Ecc,
            Injection::Incomplete => Fault::Incomplete,
            Injection::Hang | Injection::Silent => Fault::Timeout,
            Injection::Stuck => Fault::Reset,
            Injection::Identity => Fault::Mismatch,
        };
        // In warm-up, within the stream, and twice in a row.
        let at = [0, 7, 40, 42, 100];
        let inject = |step| at.contains(&step).then_some(injection);
        watched(bytes, pcm, inject, |heard, watched| {
            assert_eq!(heard, expected, "{name}");
            let met: Vec<u32> = watched.faults.iter().map(|&(step, ..)| step).collect();
            let met_all = watched.faults.iter().all(|&(_, met, _)| met == fault);
            assert!(met_all, "{name}: {:?}", watched.faults);
            match injection {
                Injection::Identity => {
                    // For good: it is not what the payload was compiled for.
                    assert_eq!((met, watched.ran.len()), (vec![0], 0));
                }
                _ => {
                    assert_eq!(met, at, "{name}");
                    // One step of CPU after each fault, two after the second in a row.
                    let steps = expected.steps as usize;
                    assert_eq!(watched.ran.len(), steps - 2 * at.len() - 1, "{name}");
                }
            }
        });
    }
}

#[test]
fn an_npu_that_fails_on_and_on_is_tried_ever_more_seldom_and_one_that_recovers_as_before() {
    let bytes = with_npu(shipped().get());
    let pcm: Vec<i16> = samples()
        .concat()
        .into_iter()
        .cycle()
        .take(16_000 * 40)
        .collect();
    // 800 steps of 50 ms: out of order until step 600.
    let inject = |step| (step < 600).then_some(Injection::Stuck);
    watched(&bytes, &pcm, inject, |_, watched| {
        let tried: Vec<_> = watched
            .faults
            .iter()
            .map(|&(step, _, then)| (step, then))
            .collect();
        let mut expected = vec![(0u32, 1u16)];
        while let Some(&(step, then)) = expected.last() {
            let next = step + u32::from(then) + 1;
            if next >= 600 {
                break;
            }
            expected.push((next, (then * 2).min(MAX_BACKOFF)));
        }
        assert_eq!(tried, expected);
        assert_eq!(tried[..4], [(0, 1), (2, 2), (5, 4), (10, 8)]);
        let (last, then) = tried[tried.len() - 1];
        let back = last + u32::from(then) + 1;
        assert_eq!(watched.ran[0], back);
        // And none is left out after it.
        let rest: Vec<u32> = (back..watched.step).collect();
        assert!(rest.len() > 20);
        assert_eq!(watched.ran, rest);
    });
    // The longest distance is bounded.
    let inject = |_| Some(Injection::Hang);
    let pcm: Vec<i16> = pcm.iter().copied().cycle().take(16_000 * 90).collect();
    watched(&bytes, &pcm, inject, |_, watched| {
        let distances: Vec<_> = watched
            .faults
            .windows(2)
            .map(|two| two[1].0 - two[0].0)
            .collect();
        assert_eq!(distances.iter().max(), Some(&(u32::from(MAX_BACKOFF) + 1)));
        assert!(
            distances.iter().filter(|&&d| d == 257).count() >= 3,
            "{distances:?}"
        );
    });
}

#[test]
fn faults_now_and_then_lengthen_the_distance_and_good_steps_shorten_it() {
    let bytes = with_npu(shipped().get());
    let pcm = &samples()[0];
    // Faults at 0, 2 and 5: the NPU is back at 10, with a distance of 4 behind it; by 14 it is 0.
    let at = [0, 2, 5, 14];
    let inject = |step| at.contains(&step).then_some(Injection::Ecc);
    watched(&bytes, pcm, inject, |_, watched| {
        let expected = [(0, 1), (2, 2), (5, 4), (14, 1)];
        let met = watched.faults.iter().map(|&(step, _, then)| (step, then));
        assert!(met.eq(expected), "{:?}", watched.faults);
    });
}

#[test]
fn a_u65_gets_addresses_of_40_bits_and_a_u85_runs_on_the_cpu() {
    let shipped = shipped();
    let pcm = &samples()[0];
    for (product, config) in [(Product::U65, 1 << 28 | 9), (Product::U85, 2 << 28 | 9)] {
        let mut parts = Parts::new(&Image::parse(shipped.get()).unwrap());
        parts.target(product, config, 0x1000_0000);
        let bytes = parts.append(shipped.get());
        let expected = on_cpu(&Image::parse(bytes.get()).unwrap(), pcm);
        watched(
            &bytes,
            pcm,
            |_| None,
            |heard, watched| {
                assert_eq!(heard, expected);
                match product {
                    Product::U65 => assert_eq!(watched.ran.len() as u32, heard.steps),
                    _ => assert_eq!(watched.faults, [(0, Fault::Mismatch, 0)]),
                }
            },
        );
    }
}

#[test]
fn a_scratch_buffer_that_is_too_small_is_said_once_and_the_cpu_does_it_all() {
    let bytes = with_npu(shipped().get());
    let image = Image::parse(bytes.get()).unwrap();
    let needed = crate::npu_scratch_bytes(bytes.get());
    assert_eq!(needed, image.npu().unwrap().section.scratch_bytes as usize);
    let (mut models, mut memory) = (vec![0; ROOM], vec![0; image.memory_bytes()]);
    let mut scratch = Scratch::<1024>::new();
    let npu = Npu::new(Model::new(&image, &mut models), &mut scratch);
    let mut recognizer = Recognizer::with_step(&image, &mut memory, npu).unwrap();
    let pcm = &samples()[0];
    assert_eq!(listen(&mut recognizer, pcm), on_cpu(&image, pcm));
    let counters = recognizer.step_mut().npu().unwrap();
    let detail = (needed - 1024) as u64;
    let fault = Fault::Scratch;
    assert_eq!(counters.last, Some(Failure { fault, detail }));
    assert_eq!((counters.faults, counters.backoff), (1, 0));
}

#[test]
fn an_image_without_a_section_runs_on_the_cpu_and_nothing_is_wrong() {
    let (bytes, pcm) = (shipped(), &samples()[0]);
    let expected = on_cpu(&Image::parse(bytes.get()).unwrap(), pcm);
    assert_eq!(crate::npu_scratch_bytes(bytes.get()), 0);
    watched(
        &bytes,
        pcm,
        |_| None,
        |heard, watched| {
            assert_eq!(heard, expected);
            assert_eq!(watched.npu.npu(), Some(Counters::default()));
        },
    );
}
