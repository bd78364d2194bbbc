//! Hostile images are those that no compiler made. This module says what all that parses must keep to when it
//! runs; its tests, which mutate valid images, and the fuzz target share it.

use core::ops::Range;
use std::sync::LazyLock;
use std::vec::Vec;

use crate::cache::Windows;
use crate::decoder::Word;
use crate::gate::{self, Asleep, Awake, Gate};
use crate::image::section::{Product, test_section::with_npu};
use crate::image::{ALIGNMENT, HEADER_BYTES, Image, MAGIC, ParseError, Quiet, VERSION, field};
use crate::npu::{Npu, Scratch, model::Model};
use crate::plan::Location;
use crate::recognizer::{Event, Recognizer};
use crate::step::{Cpu, Step, read_by_head};
use crate::templates::{MAX_COLUMNS, heard_by_head, unit_row};
pub use crate::test_image::Bytes;
use crate::test_image::{
    COMMANDS, GO_GO, Random, WAKE, tiny, with_commands, with_quiet, with_wake,
};
use crate::{Detection, crc::CRC};

/// The most memory, in bytes, with which an image is run; one that asks for more is only parsed.
const MAX_MEMORY: usize = 1 << 20;
/// The largest scratch buffer, in bytes, with which steps run on the NPU; an image that asks for a larger one
/// has its steps run on the CPU.
const MAX_SCRATCH: usize = 1 << 14;
/// The longest window, in frames, that is listened to until it closes.
const MAX_WINDOW: usize = 1 << 10;
/// The most samples that an image is run on, even if its first steps take more.
const MAX_SAMPLES: usize = 1 << 16;

/// Says how far bytes came.
#[derive(Debug, PartialEq)]
pub enum Outcome {
    /// The header is wrong, or the records are not where it says.
    NoRecords(ParseError),
    /// A record of the image is wrong.
    Refused(ParseError),
    /// The image was only parsed: its memory is too large to try it.
    Large,
    /// The image ran so many steps.
    Ran(u32),
}

impl Outcome {
    /// Says whether the operators were looked at.
    pub fn reached_operators(&self) -> bool {
        match self {
            Self::NoRecords(_) => false,
            Self::Refused(error) => matches!(
                error,
                ParseError::Op { .. }
                    | ParseError::Command { .. }
                    | ParseError::Wake { .. }
                    | ParseError::Manifest {
                        field: "ops" | "commands",
                        ..
                    }
            ),
            Self::Large | Self::Ran(_) => true,
        }
    }
}

/// Parses bytes and runs what parses.
///
/// # Panics
///
/// Panics if an image that was parsed does not run as the docs of this crate say.
pub fn try_image(bytes: &[u8]) -> Outcome {
    let image = match Image::parse(bytes) {
        Ok(image) => image,
        Err(error) if Image::find_records(bytes).is_ok() => return Outcome::Refused(error),
        Err(error) => return Outcome::NoRecords(error),
    };
    let head = image.manifest();
    assert_eq!(image.labels().count(), head.classes.into());
    assert_eq!(image.ops().count(), head.ops.into());
    let commands = image.commands().count();
    assert_eq!(commands, image.grammar().commands.into());
    for word in image.wake().map_or(&[][..], |wake| wake.words) {
        assert!(image.labels().nth((*word).into()).is_some());
    }
    if image.memory_bytes() > MAX_MEMORY {
        return Outcome::Large;
    }
    let kept = image.kept_bytes() / (usize::from(head.front_end.mels) + 1) / 4;
    let frames = usize::from(head.stream.chunk) + 3 * usize::from(head.stream.step) + kept;
    let samples = usize::from(head.front_end.hop) * frames + usize::from(head.front_end.window);
    let pcm = &AUDIO[..samples.min(MAX_SAMPLES)];

    let mut memory = std::vec![85; image.memory_bytes()];
    let mut recognizer = Recognizer::with_step(&image, &mut memory, EveryOperator).unwrap();
    let first = listen(&mut recognizer, pcm.chunks(149));
    recognizer.reset();
    let again = listen(&mut recognizer, core::iter::once(pcm));
    assert_eq!(first, again, "(steps, checksum), the same audio again");
    on_npu(&image, pcm, first.0);
    through_gate(&image);
    Outcome::Ran(first.0)
}

/// Lets each label in turn through the gate, as if it had been heard, and then none until the window closes: the
/// audio is too short for that.
fn through_gate(image: &Image<'_>) {
    let Some(wake) = image.wake() else { return };
    let mut gate = Gate::new(image);
    for number in 0..4 * u16::from(image.manifest().classes) {
        let label = (number % u16::from(image.manifest().classes)) as u8;
        let frame = 30 * u64::from(number);
        let word = Word {
            label,
            first_frame: frame,
            last_frame: frame,
            ..Word::default()
        };
        let slept = !gate.is_awake();
        gate.push_frame(image, Some(word), |outcome| {
            outcome_is_sound(image, slept, outcome);
        });
        let opens = wake.words.contains(&label);
        assert!(gate.is_awake() || !opens, "a wake word opens the window");
    }
    let window = usize::from(wake.window_ms) * 16 / usize::from(image.manifest().front_end.hop);
    let most = window + 2 * usize::from(image.grammar().gap) + 2;
    if most <= MAX_WINDOW {
        (0..most).for_each(|_| gate.push_frame(image, None, |_| {}));
        assert_eq!(gate.reset(), None, "the window closes by itself");
    }
    gate.reset();
    assert!(!gate.is_awake());
}

/// Checks that what is detected has a name and, while asleep, that words of no grammar count only if they wake.
fn outcome_is_sound(image: &Image<'_>, slept: bool, outcome: gate::Outcome) {
    match outcome {
        gate::Outcome::Detection(Detection { command, .. }) => {
            assert!(image.command(command).is_some());
            let held = image.grammar().commands > 0;
            assert!(!slept || held || image.is_wake_word(command));
        }
        gate::Outcome::Awake(Awake { frame, until, .. }) => assert!(frame < until),
        gate::Outcome::Asleep(_) => {}
    }
}

/// Runs the same number of steps on the model of an NPU, if the image has a section for one. Nobody can say
/// what it computes, but it must not write elsewhere.
fn on_npu(image: &Image<'_>, pcm: &[i16], steps: u32) {
    let Some(program) = image.npu() else { return };
    let mut scratch = std::boxed::Box::new(Scratch::<MAX_SCRATCH>::new());
    let mut models = std::vec![0; image.memory_bytes()];
    let npu = Npu::new(Model::new(image, &mut models), &mut scratch);
    let mut memory = std::vec![0; image.memory_bytes()];
    let mut recognizer = Recognizer::with_step(image, &mut memory, npu).unwrap();
    assert_eq!(listen(&mut recognizer, core::iter::once(pcm)).0, steps);
    let counters = recognizer.step_mut().npu().unwrap();
    let fits = program.buffer_bytes() <= MAX_SCRATCH;
    let drivable = fits && program.section.product != Product::U85;
    let violation = recognizer.step_mut().bus().violation();
    if drivable && violation.is_none() {
        assert_eq!(
            (counters.steps, counters.faults),
            (steps, 0),
            "{counters:?}"
        );
    }
    assert!(!drivable || violation.is_none(), "{violation:?}");
}

/// Runs steps on the CPU, and insists that each operator finds its operands.
struct EveryOperator;

impl Step for EveryOperator {
    fn step(&mut self, image: &Image<'_>, windows: &Windows, memory: &mut [i8]) {
        for op in image.ops() {
            let ran = Cpu::default().run(op, image, windows, memory);
            assert!(ran.is_some(), "an operand is out of bounds: {op:?}");
        }
    }

    fn step_encoded(
        &mut self,
        image: &Image<'_>,
        windows: &Windows,
        memory: &mut [i8],
        mut on_encoded: impl FnMut(&[i8]),
    ) {
        self.step(image, windows, memory);
        let mut ops = image.ops();
        let rows = ops.find_map(|op| read_by_head(op, image, windows, memory));
        if let Ok(heard) = heard_by_head(image) {
            let rows = rows.expect("what the head reads is there");
            assert_eq!(rows.len(), heard.len());
            let mut row = [0; MAX_COLUMNS];
            unit_row(rows, heard.zero_point, &mut row[..heard.cols.into()]);
            on_encoded(rows);
        }
    }
}

/// Returns the number of steps, and a checksum of all that happens.
fn listen<'p, S: Step>(
    recognizer: &mut Recognizer<'_, S>,
    pieces: impl Iterator<Item = &'p [i16]>,
) -> (u32, u32) {
    let image = *recognizer.image();
    let (head, mut steps) = (*image.manifest(), 0);
    let outputs = usize::from(head.stream.step) * usize::from(head.classes);
    let mut sum = CRC.digest();
    for pcm in pieces {
        recognizer.push_events(pcm, |event| match event {
            Event::Encoded { rows, .. } => sum.update(bytemuck::cast_slice(rows)),
            Event::Step {
                logits, posteriors, ..
            } => {
                steps += 1;
                assert_eq!((logits.len(), posteriors.len()), (outputs, outputs));
                sum.update(bytemuck::cast_slice(logits));
                sum.update(bytemuck::cast_slice(posteriors));
            }
            Event::Frame { smoothed, .. } => sum.update(smoothed),
            Event::Awake(Awake {
                at_ms, until_ms, ..
            }) => {
                assert!(at_ms < until_ms && image.wake().is_some());
                sum.update(bytemuck::bytes_of(&[at_ms, until_ms]));
            }
            Event::Asleep(Asleep { at_ms, .. }) => sum.update(bytemuck::bytes_of(&at_ms)),
            Event::Speech(spell) | Event::Quiet(spell) => {
                assert!(image.quiet().is_some());
                sum.update(bytemuck::bytes_of(&spell.frame));
            }
            Event::Word(word) => assert!(word.label < head.classes),
            Event::Detection(Detection {
                command,
                score,
                start_ms,
                end_ms,
                decided_ms,
            }) => {
                assert!(image.command(command).is_some());
                sum.update(&[command, score]);
                sum.update(bytemuck::bytes_of(&[start_ms, end_ms, decided_ms]));
            }
        });
    }
    (steps, sum.finalize())
}

/// Holds noise, full-scale square waves and silence, in turn.
static AUDIO: LazyLock<Vec<i16>> = LazyLock::new(|| {
    let mut random = Random(11);
    let sample = |i: usize| match i / 211 % 3 {
        0 => random.next() as i16,
        1 if (i / 7).is_multiple_of(2) => i16::MIN,
        1 => i16::MAX,
        _ => 0,
    };
    (0..MAX_SAMPLES).map(sample).collect()
});

/// Makes true what can be computed: constants of the header, lengths, bytes of memory and checksum. Only the
/// records can still be wrong.
pub fn repair(bytes: &mut Bytes) {
    let Some(length) = u32::try_from(bytes.get().len())
        .ok()
        .filter(|&length| length >= HEADER_BYTES as u32)
    else {
        return;
    };
    let image = bytes.get_mut();
    let number = |image: &[u8], at: Range<usize>| {
        let bytes = image[at].first_chunk();
        bytes.map_or(0, |&bytes| u32::from_le_bytes(bytes))
    };
    let segment = number(image, field::SEGMENT_OFFSET);
    // The NPU section, if there is one, begins where it says and takes the padding before it.
    let npu = number(image, field::NPU_OFFSET);
    let (mut segment_length, mut npu_length) = (length.wrapping_sub(segment), 0);
    if npu != 0 {
        let stated = number(image, field::SEGMENT_LENGTH);
        let padding = npu.wrapping_sub(segment).wrapping_sub(stated);
        segment_length = npu.wrapping_sub(segment).wrapping_sub(padding % 16);
        npu_length = length.wrapping_sub(npu);
    }
    image[field::MAGIC].copy_from_slice(&MAGIC);
    image[field::VERSION].copy_from_slice(&VERSION.to_le_bytes());
    image[field::HEADER_LENGTH].copy_from_slice(&(HEADER_BYTES as u16).to_le_bytes());
    image[field::RESERVED].fill(0);
    for (at, value) in [
        (field::TOTAL_LENGTH, length),
        (field::SEGMENT_LENGTH, segment_length),
        (field::NPU_LENGTH, npu_length),
        (field::ALIGNMENT, ALIGNMENT as u32),
    ] {
        image[at].copy_from_slice(&value.to_le_bytes());
    }
    bytes.repair();
    let Ok(image) = Image::find_records(bytes.get()) else {
        return;
    };
    let caches = image
        .caches()
        .map(|cache| cache.byte_range().end as u64)
        .last();
    let arena = image.tensors().filter_map(|tensor| match tensor.location {
        Location::Arena { offset } => Some(u64::from(offset) + tensor.len() as u64),
        _ => None,
    });
    let arena = arena.max();
    let kept = image.kept_bytes() as u64;
    for (at, end, kept) in [
        (field::CACHE_BYTES, caches, 0),
        (field::ARENA_BYTES, arena, kept),
    ] {
        let needed = end.unwrap_or(0).next_multiple_of(ALIGNMENT as u64) + kept;
        let needed = needed as u32;
        bytes.get_mut()[at].copy_from_slice(&needed.to_le_bytes());
    }
    bytes.repair();
}

/// The gate that some of the images have.
const QUIET: Quiet = Quiet {
    sensitivity: 2,
    hangover_ms: 300,
};

/// Returns images whose records are all valid, with different slack in their cache windows, with and without
/// an NPU section, commands, wake words and a voice activity gate.
pub fn valid() -> Vec<Bytes> {
    let mut images = Vec::from([2, 3, 7, 50].map(tiny));
    images.push(with_commands(images[0].get(), 30, &COMMANDS));
    images.push(with_wake(images[0].get(), 30, &GO_GO, &WAKE));
    images.push(with_wake(images[1].get(), 0, &[], &WAKE));
    images.push(with_quiet(images[1].get(), QUIET));
    images.push(with_quiet(images[5].get(), QUIET));
    let npu = images.iter().rev().take(6).step_by(2);
    let npu: Vec<_> = npu.map(|image| with_npu(image.get())).collect();
    images.extend(npu);
    images
}

#[cfg(test)]
mod tests;
