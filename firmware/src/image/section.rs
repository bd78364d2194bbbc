//! The NPU section of an image holds the step once more, as one command stream of Arm's Vela compiler.
//!
//! # Format
//!
//! | | |
//! |---|---|
//! | [`Section`] | postcard, its integers of fixed width: [`SECTION_BYTES`] |
//! | [`Io`], as many as it states | postcard, in the order of [`inputs_and_outputs`] |
//! | payload | at a multiple of 16: `COP1` and driver actions as Vela writes them, of which the last is the command stream, itself at a multiple of 16 |
//! | constants | at a multiple of 16, to the end of the section: encoded weights and biases |
//!
//! Offsets count in bytes from the section's start, but those of inputs and outputs from the start of the
//! scratch buffer. [`crate::Image::parse`] checks all of it except what the command stream makes the NPU do.

pub(super) mod check;
#[cfg(any(test, feature = "test-image"))]
#[doc(hidden)]
pub mod test_section;

use core::ops::Range;

use serde::{Deserialize, Serialize};

pub use super::header::constants_offset;
use super::{Image, MAX_CACHES, ParseError, take};
use crate::plan::{Location, Op, Tensor};

/// The number of bytes that an encoded [`Section`] takes.
pub const SECTION_BYTES: usize = 48;
/// The byte at which the number of bytes of [`Section::constants`] stands in an encoded [`Section`].
pub(crate) const CONSTANTS_BYTES: usize = 18;
/// The byte at which [`Section::scratch_bytes`] stands in an encoded [`Section`].
pub(crate) const SCRATCH_BYTES: usize = 22;

/// Says which Ethos-U it is, in the numbers of its CONFIG register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[repr(u8)]
pub enum Product {
    /// The NPU is an Ethos-U55.
    U55,
    /// The NPU is an Ethos-U65.
    U65,
    /// The NPU is an Ethos-U85, which [`crate::npu::Npu`] does not drive.
    U85,
}

/// Says where the NPU reads constants, after Vela's memory modes. The image's header holds it, as
/// [`super::field::NPU_MEMORY_MODE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum MemoryMode {
    /// The NPU reads constants where the image lies, in flash, behind its second port (`Shared_Sram`).
    SharedSram,
    /// The driver copies constants once, behind the scratch memory in SRAM, where the NPU reads them (`Sram_Only`).
    SramOnly,
}

impl MemoryMode {
    /// Returns the mode with this number in the header, if there is one.
    pub(super) fn of(number: u16) -> Option<Self> {
        let modes = [Self::SharedSram, Self::SramOnly];
        modes.into_iter().find(|&mode| mode as u16 == number)
    }
}

/// The value of an NPU's register CONFIG, which says what was built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config(pub u32);

impl Config {
    /// Returns the base-2 logarithm of the multiply-accumulates a cycle.
    pub const fn macs_log2(self) -> u32 {
        self.0 & 0xf
    }

    /// Returns the version of the command stream's format.
    pub const fn stream_version(self) -> u32 {
        self.0 >> 4 & 0xf
    }

    /// Says whether the NPU has a DMA engine of its maker's own.
    pub const fn custom_dma(self) -> bool {
        self.0 >> 27 & 1 != 0
    }

    /// Returns the product: 0 for U55, 1 for U65, 2 for U85.
    pub const fn product(self) -> u32 {
        self.0 >> 28
    }
}

/// The value of an NPU's register ID, which says which product and architecture it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Id(pub u32);

impl Id {
    /// Returns the version of the architecture: major, minor, patch.
    pub const fn arch(self) -> [u8; 3] {
        [
            (self.0 >> 28) as u8,
            (self.0 >> 20) as u8,
            (self.0 >> 16 & 0xf) as u8,
        ]
    }
}

/// The head of an NPU section, which says what the section is for and where its parts lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// The NPU that the section was compiled for.
    pub product: Product,
    /// Gives the base-2 logarithm of the NPU's multiply-accumulates a cycle.
    pub macs_log2: u8,
    /// The version that the command stream's format has.
    pub stream_version: u8,
    /// The version that the NPU's architecture has: major, minor, patch. An NPU of the same major and no
    /// older minor runs it.
    pub arch: [u8; 3],
    /// Says where the payload lies, which Vela gives to the driver.
    pub payload: Part,
    /// Says where the constants lie, which the command stream reads besides the scratch buffer.
    pub constants: Part,
    /// The size in bytes of the scratch memory, which holds inputs, outputs and intermediate results.
    #[serde(with = "postcard::fixint::le")]
    pub scratch_bytes: u32,
    /// The number of inputs and outputs that follow the head.
    #[serde(with = "postcard::fixint::le")]
    pub io: u16,
    /// Holds what Vela estimates of a step, for reports.
    pub estimate: Estimate,
}

/// Says where a part of the section lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The offset that the part has from the section's start, in bytes, a multiple of 16.
    #[serde(with = "postcard::fixint::le")]
    pub offset: u32,
    /// The number of bytes that the part takes.
    #[serde(with = "postcard::fixint::le")]
    pub bytes: u32,
}

/// Holds what Vela estimates of a step. Nobody measured it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimate {
    /// The clock of the NPU that Vela assumes, in Hz.
    #[serde(with = "postcard::fixint::le")]
    pub clock_hz: u32,
    /// The number of cycles that the step takes, memory accesses included.
    #[serde(with = "postcard::fixint::le")]
    pub cycles: u32,
    /// The number of cycles that the NPU's arithmetic takes.
    #[serde(with = "postcard::fixint::le")]
    pub npu_cycles: u32,
    /// The SRAM that is used, in bytes.
    #[serde(with = "postcard::fixint::le")]
    pub sram_bytes: u32,
    /// The flash that is used, in bytes.
    #[serde(with = "postcard::fixint::le")]
    pub flash_bytes: u32,
}

/// An input or output of the step, which lies in the scratch buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Io {
    /// Says what the input or output is.
    pub role: Role,
    /// The offset that it has from the start of the scratch buffer, in bytes.
    #[serde(with = "postcard::fixint::le")]
    pub offset: u32,
    /// The number of bytes that it takes.
    #[serde(with = "postcard::fixint::le")]
    pub bytes: u32,
}

impl Io {
    /// Returns the offset in bytes at which the input or output ends.
    pub(crate) fn end(&self) -> u32 {
        self.offset.saturating_add(self.bytes)
    }

    /// Returns the bytes of the scratch buffer that this input or output takes.
    pub fn range(&self) -> Range<usize> {
        self.offset as usize..self.end() as usize
    }
}

/// Says what an input or output is. Its elements are int8, as in the plan's memory. Numbers of caches are the
/// image's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// An input `[chunk, mels]` that holds the window of cache 0.
    Features,
    /// An input `[1, left context + chunk]` that is the mask of an attention: 127 for a key that is present,
    /// -128 for one that is absent. Attentions are counted in the order of the plan.
    Mask(u8),
    /// An input `[rows, cols]` that holds what earlier steps left in the window of a cache.
    Cache(u8),
    /// An output `[step, classes]` that holds the logits.
    Logits,
    /// An output `[step, classes]` that holds the posteriors.
    Posteriors,
    /// An output `[rows, cols]` that holds what this step writes behind the rows of `Cache`, to the window's
    /// end.
    Rows(u8),
}

impl Role {
    /// Says whether the NPU writes it, which makes it an output.
    pub fn is_output(self) -> bool {
        matches!(self, Self::Logits | Self::Posteriors | Self::Rows(_))
    }
}

/// Returns what a step of an image's plan takes and gives, with the bytes of each, in the order of the inputs
/// and outputs of the model that `zerda export` writes.
pub fn inputs_and_outputs(image: &Image<'_>) -> impl Iterator<Item = (Role, u32)> {
    let head = *image.manifest();
    let written = first_written_rows(image);
    let bytes = |rows: u16, cols: u16| u32::from(rows) * u32::from(cols);
    let features = image.cache(0).map(|cache| bytes(cache.rows, cache.cols));
    let keys = head.stream.left_context.saturating_add(head.stream.chunk);
    let masks = (0..=u8::MAX).zip(attentions(image));
    // Each cache that the plan knows has rows left by earlier steps, and rows that this step writes.
    let caches = image.caches().zip(0u8..).zip(written).skip(1);
    let caches = caches.filter_map(move |((cache, index), first)| {
        let retained = first?.min(cache.rows);
        let rows = [retained, cache.rows.saturating_sub(retained)];
        Some((index, rows.map(|rows| bytes(rows, cache.cols))))
    });
    let outputs = bytes(head.stream.step, head.classes.into());
    features
        .map(|bytes| (Role::Features, bytes))
        .into_iter()
        .chain(masks.map(move |(index, _)| (Role::Mask(index), keys.into())))
        .chain(
            caches
                .clone()
                .map(|(i, [bytes, _])| (Role::Cache(i), bytes)),
        )
        .chain([(Role::Logits, outputs), (Role::Posteriors, outputs)])
        .chain(caches.map(|(i, [_, bytes])| (Role::Rows(i), bytes)))
        .filter(|&(_, bytes)| bytes > 0)
}

/// Returns, for each cache, the first row of its window that the plan writes, or `u16::MAX` if it writes
/// none; `None` for a cache in which no tensor lies.
pub(crate) fn first_written_rows(image: &Image<'_>) -> [Option<u16>; MAX_CACHES] {
    let mut first = [None; MAX_CACHES];
    let mut note = |tensor: Tensor, written: bool| {
        let Location::Cache { cache, row } = tensor.location else {
            return;
        };
        let row = if written { row } else { u16::MAX };
        if let Some(first) = first.get_mut(usize::from(cache)) {
            *first = Some(first.map_or(row, |first: u16| first.min(row)));
        }
    };
    image.tensors().for_each(|tensor| note(tensor, false));
    let outputs = image.ops().filter_map(|op| image.tensor(op.output()));
    outputs.for_each(|tensor| note(tensor, true));
    first
}

/// Returns the operators that are softmaxes over keys.
pub(crate) fn attentions(image: &Image<'_>) -> impl Iterator<Item = Op> {
    let image = *image;
    image.ops().filter(move |op| match *op {
        Op::Softmax { input, .. } => image.tensor(input).is_some_and(|input| input.keys),
        _ => false,
    })
}

/// The NPU section of an image, whose parts were found.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    /// Holds the head of the section.
    pub section: Section,
    /// Holds the [`Io`] records, and what follows them.
    records: &'a [u8],
    /// Holds the payload as Vela wrote it.
    pub payload: &'a [u8],
    /// Holds the constants, which base address 0 of the command stream stands for.
    pub constants: &'a [u8],
    /// Says where the NPU reads the constants.
    pub memory_mode: MemoryMode,
}

impl<'a> Program<'a> {
    /// Finds the parts that the head of the section states.
    pub(crate) fn find(bytes: &'a [u8], memory_mode: MemoryMode) -> Result<Self, ParseError> {
        let error = |field, problem| ParseError::Npu { field, problem };
        let (section, records): (Section, _) = postcard::take_from_bytes(bytes)
            .map_err(|_| error("encoding", "is not a postcard section"))?;
        let part = |Part { offset, bytes: n }: Part| {
            let start = offset as usize;
            bytes.get(start..start.checked_add(n as usize)?)
        };
        let outside = "lies outside the section";
        Ok(Self {
            section,
            records,
            payload: part(section.payload).ok_or(error("payload", outside))?,
            constants: part(section.constants).ok_or(error("constants", outside))?,
            memory_mode,
        })
    }

    /// Returns where in the NPU's buffer the constants are copied to, in bytes; `None` where the NPU reads them in
    /// the image.
    pub fn constants_place(&self) -> Option<Range<usize>> {
        let start = constants_offset(self.section.scratch_bytes as usize);
        let end = start.saturating_add(self.constants.len());
        (self.memory_mode == MemoryMode::SramOnly).then_some(start..end)
    }

    /// Returns the bytes that the NPU's buffer needs, as [`super::npu_scratch_bytes`] does.
    pub fn buffer_bytes(&self) -> usize {
        let scratch = self.section.scratch_bytes as usize;
        self.constants_place().map_or(scratch, |place| place.end)
    }

    /// Returns the inputs, then the outputs.
    pub fn io(&self) -> impl Iterator<Item = Io> + use<'a> {
        let mut rest = self.records;
        (0..self.section.io).map_while(move |_| take(&mut rest))
    }

    /// Returns what the payload says; it says something in every image that was parsed.
    pub fn payload(&self) -> Option<Payload<'a>> {
        Payload::parse(self.payload).ok()
    }
}

/// Holds what the payload says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payload<'a> {
    /// The register CONFIG of the NPU that the payload was compiled for.
    pub config: u32,
    /// The register ID of the NPU that the payload was compiled for.
    pub id: u32,
    /// Holds the command stream, which is whole words of 32 bits.
    pub stream: &'a [u8],
}

/// The word that the payload starts with.
pub(crate) const COP1: u32 = u32::from_le_bytes(*b"COP1");
/// Starts a driver action after which the NPU's CONFIG and ID follow. After `ACTION_STREAM` the command
/// stream follows, after `ACTION_NOP` nothing.
pub(crate) const ACTION_CONFIG: u32 = 1;
pub(crate) const ACTION_STREAM: u32 = 2;
pub(crate) const ACTION_NOP: u32 = 5;

impl<'a> Payload<'a> {
    /// Reads the driver actions before the command stream, in time linear in their number.
    ///
    /// # Errors
    ///
    /// Returns a text that says what is wrong with the payload.
    pub fn parse(payload: &'a [u8]) -> Result<Self, &'static str> {
        let (words, rest) = payload.as_chunks::<4>();
        let word = |at: usize| words.get(at).map(|&word| u32::from_le_bytes(word));
        if !rest.is_empty() || word(0) != Some(COP1) {
            return Err("must be words that begin with COP1");
        }
        let mut target = None;
        let mut at = 1;
        loop {
            let ends = "ends before its command stream";
            let action = word(at).ok_or(ends)?;
            at += 1;
            match action & 0xff {
                ACTION_CONFIG => {
                    target = word(at).zip(word(at + 1));
                    at += 2;
                }
                ACTION_NOP => {}
                ACTION_STREAM => {
                    let length = action >> 16 | (action & 0xff00) << 8;
                    let stream = payload.get(at * 4..).unwrap_or_default();
                    if length == 0 || stream.len() != length as usize * 4 {
                        return Err("must end with its command stream");
                    }
                    if !at.is_multiple_of(4) {
                        return Err("must hold its command stream at a multiple of 16");
                    }
                    let (config, id) = target.ok_or("does not say which NPU it is for")?;
                    return Ok(Self { config, id, stream });
                }
                _ => return Err("holds a driver action that is not known"),
            }
        }
    }
}
