//! The compiled image is what `zerda compile` writes and the device reads in place, from flash.
//!
//! # Format, version 2
//!
//! All integers are little-endian. The image must lie 16-byte aligned in memory.
//!
//! | bytes | field | |
//! |---|---|---|
//! | 0..4 | magic | `ZRDA` |
//! | 4..6 | format version | 2 |
//! | 6..8 | header length | 64 |
//! | 8..12 | total length | of the image, in bytes |
//! | 12..16 | manifest length | the manifest starts at byte 64 |
//! | 16..20 | tensor segment offset | a multiple of 16 |
//! | 20..24 | tensor segment length | |
//! | 24..28 | checksum | CRC-32 (ISO-HDLC) of bytes 0..24 and of 28 to the end |
//! | 28..32 | cache bytes | a multiple of 16, no more than the caches need |
//! | 32..36 | arena bytes | a multiple of 16, no more than the tensors and, behind them, the frames need that a gate keeps |
//! | 36..40 | alignment | of image and memory: 16 |
//! | 40..44 | NPU section offset | the next multiple of 16 after the tensor segment; 0: there is none |
//! | 44..48 | NPU section length | 0 where there is none |
//! | 48..52 | commands length | of the commands, which follow the operators; 0: there are none |
//! | 52..56 | wake length | of the wake words' record, which ends the manifest; 0: there is none |
//! | 56..58 | level frames | that a sound must last to be remembered in the level; 0, as in images from before it: 1 |
//! | 58..60 | NPU memory mode | where an NPU reads its constants, [`section::MemoryMode`]; 0 where there is no NPU section |
//! | 60..62 | quiet | hangover of the voice activity gate in ms, times 4, plus its sensitivity ([`Quiet`]); 0: there is no gate |
//! | 62..64 | reserved | 0 |
//!
//! The manifest is a [`Manifest`] and after it, in this order and by the counts it states: labels
//! ([`Label`]), caches ([`crate::plan::Cache`]), tensors ([`crate::plan::Tensor`]), operators
//! ([`crate::plan::Op`]), each postcard-encoded. Cache and tensor records have a fixed size. The part that
//! the header states as the commands is a [`GrammarConfig`] and after it as many [`Command`]s as it states,
//! postcard-encoded too; the wake words are one [`Wake`]. An image without commands and wake words is the same as one
//! from before there could be any, and a reader from then refuses all others for a reserved field: so the version is the same.
//!
//! The tensor segment holds the constants. It ends the image, unless an NPU section follows, which is the
//! same step once more, compiled for an NPU (see [`section`]).
//!
//! Memory is one region of cache bytes and then arena bytes. [`Image::parse`] checks what else must hold,
//! record by record.

mod check;
mod error;
mod header;
mod network;
mod ops;
mod quiet;
mod records;
pub mod section;
mod wake;

pub use error::{ParseError, Problem};
pub use header::{checksum, field, memory_bytes, npu_scratch_bytes};
pub use quiet::{HANGOVER_MS, KEPT_MS, Quiet};
pub use records::{
    Command, DecoderConfig, FrontEndConfig, GrammarConfig, Label, Manifest, Stream, Wake,
};

use crate::plan::{Cache, Element, Op, TENSOR_BYTES, Tensor, TensorId};
use records::{CACHE_BYTES, take_command};
pub(crate) use records::{label_bit, take};
use section::{MemoryMode, Program};

/// The number of bytes that the header takes.
pub const HEADER_BYTES: usize = 64;
/// Holds the four bytes that an image starts with.
pub const MAGIC: [u8; 4] = *b"ZRDA";
/// The one format version that this crate reads.
pub const VERSION: u16 = 2;
/// The number of bytes to which image, constants, cache and arena sizes are aligned.
pub const ALIGNMENT: usize = 16;
/// The one sample rate that the front end takes, in Hz.
pub const SAMPLE_RATE: u32 = 16_000;
/// The most mel filters that an image may have.
pub const MAX_MELS: usize = 80;
/// The most frames that a sound must last to be remembered in the front end's level.
pub const MAX_LEVEL_FRAMES: usize = 16;
/// The most classes that an image may have.
pub const MAX_CLASSES: usize = 64;
/// The most caches that an image may have.
pub const MAX_CACHES: usize = 64;
/// The most commands that a grammar may have.
pub const MAX_COMMANDS: usize = 32;
/// The most words that a command may have.
pub const MAX_WORDS: usize = 4;
/// The most wake words that an image may have.
pub const MAX_WAKE_WORDS: usize = 8;
/// Limits the time, in ms, for which a wake word opens the window.
pub const WINDOW_MS: core::ops::RangeInclusive<u16> = 500..=60_000;
/// The most bytes that the name of a label or of a command may have.
pub const MAX_NAME: usize = 64;
/// The most frames that a posterior may be averaged over.
pub const MAX_SMOOTHING: usize = 32;
/// The most work that one step may have, in multiply-accumulates. An element of an operator's output counts as 8
/// besides its own, one of a softmax as 72; a softmax first makes a table of 256 elements. So the time of a step
/// of any image is bounded.
pub const MAX_WORK: u64 = 1 << 28;
/// The most work that a second of audio may bring, in multiply-accumulates: that of its steps, in which an
/// operator counts as 256 more and each byte of the caches as 1, and 32,768 for each frame.
pub const MAX_SECOND_WORK: u64 = 1 << 31;

/// Returns the number of samples in `ms` milliseconds.
pub(crate) fn samples(ms: u32) -> u64 {
    u64::from(ms) * u64::from(SAMPLE_RATE / 1000)
}

/// Returns the milliseconds that so many samples last, rounded down; they stop counting after 49 days.
pub(crate) fn milliseconds(samples: u64) -> u32 {
    u32::try_from(samples / u64::from(SAMPLE_RATE / 1000)).unwrap_or(u32::MAX)
}

/// Gives bytes the alignment of an image:
/// `static IMAGE: &Aligned<[u8]> = &Aligned(*include_bytes!("commands.zerda"));`
#[derive(Clone, Copy, Debug)]
#[repr(C, align(16))]
pub struct Aligned<T: ?Sized>(pub T);

/// An image that was checked: every record of it is known to be valid, and none can lead out of bounds.
#[derive(Clone, Copy, Debug)]
pub struct Image<'a> {
    bytes: &'a [u8],
    manifest: Manifest,
    labels: &'a [u8],
    caches: &'a [u8],
    pub(crate) tensors: &'a [u8],
    pub(crate) ops: &'a [u8],
    grammar: GrammarConfig,
    commands: &'a [u8],
    wake: Wake<'a>,
    quiet: Option<Quiet>,
    segment: &'a [u8],
    npu: Option<(&'a [u8], MemoryMode)>,
    checksum: u32,
    cache_bytes: u32,
    arena_bytes: u32,
}

impl<'a> Image<'a> {
    /// Checks all of an image, in time linear in its length.
    ///
    /// # Errors
    ///
    /// Returns a [`ParseError`] that says what is wrong, and in which record and field. Any bytes give either
    /// an image or an error.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let image = Self::find_records(bytes)?;
        check::image(&image)?;
        Ok(image)
    }

    /// Returns an image with a valid header, whose records are where it says but are not checked yet.
    pub(crate) fn find_records(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let header = header::Header::parse(bytes)?;
        let manifest_error = |field, problem| ParseError::Manifest { field, problem };
        let out_of_bounds = manifest_error("length", "the manifest lies outside the image");
        let manifest = bytes.get(header.manifest).ok_or(out_of_bounds)?;
        let mut commands = bytes.get(header.commands).ok_or(out_of_bounds)?;
        let mut wake_bytes = bytes.get(header.wake).ok_or(out_of_bounds)?;
        let segment = bytes.get(header.segment).ok_or(out_of_bounds)?;
        let npu = header.npu;
        let npu = npu.and_then(|(section, mode)| Some((bytes.get(section)?, mode)));
        let (mut manifest, records): (Manifest, _) = postcard::take_from_bytes(manifest)
            .map_err(|_| manifest_error("encoding", "is not a postcard manifest"))?;
        manifest.front_end.level_frames = header.level_frames.max(1);
        let mut rest = records;
        for index in 0..u16::from(manifest.classes) {
            (_, rest) =
                postcard::take_from_bytes::<Label>(rest).map_err(|_| ParseError::Label {
                    index,
                    field: "encoding",
                    problem: "is not a postcard label",
                })?;
        }
        let (labels, _) = records
            .split_at_checked(records.len() - rest.len())
            .ok_or(out_of_bounds)?;
        let (caches, rest) = rest
            .split_at_checked(usize::from(manifest.caches) * CACHE_BYTES)
            .ok_or(manifest_error("caches", "the manifest ends within them"))?;
        let (tensors, ops) = rest
            .split_at_checked(usize::from(manifest.tensors) * TENSOR_BYTES)
            .ok_or(manifest_error("tensors", "the manifest ends within them"))?;
        let mut grammar = GrammarConfig::NONE;
        if !commands.is_empty() {
            grammar = take(&mut commands)
                .ok_or(manifest_error("commands", "do not begin with a grammar"))?;
        }
        let mut wake = Wake::NONE;
        if !wake_bytes.is_empty() {
            let wrong = |field, problem| ParseError::Wake { field, problem };
            wake = take(&mut wake_bytes).ok_or(wrong("encoding", "is not a postcard record"))?;
            if !wake_bytes.is_empty() {
                return Err(wrong("length", "is more than its record"));
            }
            if wake.words.is_empty() {
                return Err(wrong("words", "must be 1..=8"));
            }
        }
        Ok(Self {
            bytes,
            manifest,
            labels,
            caches,
            tensors,
            ops,
            grammar,
            commands,
            wake,
            quiet: header.quiet,
            segment,
            npu,
            checksum: header.checksum,
            cache_bytes: header.cache_bytes,
            arena_bytes: header.arena_bytes,
        })
    }

    /// Returns all bytes of the image.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Returns the head of the manifest, which holds everything of which there is one.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Returns the classes, in the order of the logits.
    pub fn labels(&self) -> impl Iterator<Item = Label<'a>> + use<'a> {
        let mut rest = self.labels;
        core::iter::from_fn(move || take(&mut rest))
    }

    /// Returns the cache windows; the first one holds the features.
    pub fn caches(&self) -> impl Iterator<Item = Cache> + Clone {
        (0..MAX_CACHES).map_while(|index| self.cache(index))
    }

    /// Returns the tensors in the order of their numbers.
    pub fn tensors(&self) -> impl Iterator<Item = Tensor> {
        (0..self.manifest.tensors).map_while(|id| self.tensor(TensorId(id)))
    }

    /// Returns the operators in the order in which they run.
    pub fn ops(&self) -> impl Iterator<Item = Op> + use<'a> {
        let mut rest = self.ops;
        core::iter::from_fn(move || take(&mut rest))
    }

    /// Returns what the commands of [`Image::commands`] have in common.
    pub fn grammar(&self) -> GrammarConfig {
        self.grammar
    }

    /// Returns the commands of one or several words. If there are none, each label that can be detected is a
    /// command.
    pub fn commands(&self) -> impl Iterator<Item = Command<'a>> + use<'a> {
        self.named_phrases().map_while(|(name, words)| {
            let name = core::str::from_utf8(name).ok()?;
            Some(Command { name, words })
        })
    }

    /// Returns the words of each command.
    pub(crate) fn phrases(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.named_phrases().map(|(_, words)| words)
    }

    /// Returns names and words of the commands, as [`take_command`] takes them.
    fn named_phrases(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let mut rest = self.commands;
        core::iter::from_fn(move || take_command(&mut rest))
    }

    /// Returns the name of a command or a wake word, by the number that a [`crate::Detection`] of it has.
    pub fn command(&self, number: u8) -> Option<&'a str> {
        let commands = self.grammar.commands;
        let label = match number.checked_sub(commands) {
            None => return Some(self.commands().nth(number.into())?.name),
            Some(label) if commands == 0 => label,
            Some(wake_word) => *self.wake.words.get(usize::from(wake_word))?,
        };
        Some(self.labels().nth(label.into())?.name)
    }

    /// Returns the number that a [`crate::Detection`] of a label by itself has. There is one if the label is
    /// a wake word, or a command because there is no grammar.
    pub(crate) fn alone(&self, label: u8) -> Option<u8> {
        if self.grammar.commands == 0 {
            return Some(label);
        }
        let wake_word = self.wake.words.iter().position(|&word| word == label)?;
        Some(self.grammar.commands.saturating_add(wake_word as u8))
    }

    /// Returns the smoothed posterior at which each label is detected, Q0.8; 0: never. If the wake record
    /// gives a command its own threshold, that one counts.
    pub fn thresholds(&self) -> impl Iterator<Item = u8> + use<'a> {
        let own = self.wake.thresholds.iter().chain(core::iter::repeat(&0));
        self.labels().zip(own).map(|(label, &own)| match own {
            0 => label.threshold,
            _ => own,
        })
    }

    /// Returns one cache, by its number.
    #[inline(never)] // as `tensor`
    pub fn cache(&self, index: usize) -> Option<Cache> {
        let (records, _) = self.caches.as_chunks::<CACHE_BYTES>();
        postcard::from_bytes(records.get(index)?).ok()
    }

    /// Returns one tensor, by its number.
    #[inline(never)] // many callers, and decoding is long
    pub fn tensor(&self, id: TensorId) -> Option<Tensor> {
        let (records, _) = self.tensors.as_chunks::<TENSOR_BYTES>();
        Tensor::decode(records.get(usize::from(id.0))?)
    }

    /// Returns the elements of an I8 constant; of anything else, none.
    pub fn constant_i8(&self, tensor: Tensor) -> &'a [i8] {
        self.constant(tensor, Element::I8)
    }

    /// Returns the elements of an I32 constant; of anything else, none.
    pub fn constant_i32(&self, tensor: Tensor) -> &'a [i32] {
        self.constant(tensor, Element::I32)
    }

    /// Returns the elements of an F32 constant; of anything else, none.
    pub fn constant_f32(&self, tensor: Tensor) -> &'a [f32] {
        self.constant(tensor, Element::F32)
    }

    fn constant<T: bytemuck::AnyBitPattern>(&self, tensor: Tensor, element: Element) -> &'a [T] {
        if !tensor.is_constant() || tensor.element != element {
            return &[];
        }
        let bytes = tensor
            .byte_range()
            .and_then(|range| self.segment.get(range));
        let elements = bytes.map(bytemuck::try_cast_slice);
        elements.and_then(Result::ok).unwrap_or_default()
    }

    /// Returns the step for an NPU, if the image holds one.
    pub fn npu(&self) -> Option<Program<'a>> {
        let (section, mode) = self.npu?;
        Program::find(section, mode).ok()
    }

    /// Returns the checksum in the header, which tells one image from another.
    pub fn checksum(&self) -> u32 {
        self.checksum
    }

    /// Returns the samples of silence that follow a stream which ends: one chunk, so that its last word is committed and
    /// decided, and where there are commands of several words the gap in which another could follow.
    pub fn tail_samples(&self) -> usize {
        let frames = usize::from(self.manifest.stream.chunk) + usize::from(self.grammar.gap);
        frames * usize::from(self.manifest.front_end.hop)
    }

    /// Returns the bytes that the caches take; memory begins with them.
    pub fn cache_bytes(&self) -> usize {
        self.cache_bytes as usize
    }

    /// Returns the bytes that the arena takes; it follows the caches.
    pub fn arena_bytes(&self) -> usize {
        self.arena_bytes as usize
    }

    /// Returns the bytes of memory that a recognizer needs: caches and arena.
    pub fn memory_bytes(&self) -> usize {
        self.cache_bytes().saturating_add(self.arena_bytes())
    }
}

#[cfg(test)]
mod tests;
