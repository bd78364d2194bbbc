//! The NPU section of an image: the step once more, as one command stream of Arm's Vela compiler.
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
//! Offsets count from the section's start, those of inputs and outputs from that of the scratch
//! buffer. [`crate::Image::parse`] checks all of it but what the command stream makes the NPU do.

use core::ops::Range;

use serde::{Deserialize, Serialize};

use crate::image::{Image, MAX_CACHES, ParseError, take};
use crate::plan::{Op, Space, Tensor};

/// Bytes of an encoded [`Section`].
pub const SECTION_BYTES: usize = 48;
/// Where in it [`Section::scratch_bytes`] stands.
pub(crate) const SCRATCH_BYTES: usize = 22;

/// Which Ethos-U, in the numbers of its CONFIG register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[repr(u8)]
pub enum Product {
    /// Ethos-U55.
    U55,
    /// Ethos-U65.
    U65,
    /// Ethos-U85, which [`crate::npu::Npu`] does not drive.
    U85,
}

/// Head of the section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// The NPU that it was compiled for.
    pub product: Product,
    /// Base-2 logarithm of its multiply-accumulates a cycle.
    pub macs_log2: u8,
    /// Version of the command stream's format.
    pub stream_version: u8,
    /// Architecture: major, minor, patch. An NPU of the same major and no older minor runs it.
    pub arch: [u8; 3],
    /// What Vela gives to the driver.
    pub payload: Part,
    /// What the command stream reads besides the scratch buffer.
    pub constants: Part,
    /// Bytes of the one buffer, with inputs and outputs in it (Vela's memory mode `Shared_Sram`).
    #[serde(with = "postcard::fixint::le")]
    pub scratch_bytes: u32,
    /// Number of inputs and outputs.
    #[serde(with = "postcard::fixint::le")]
    pub io: u16,
    /// For reports.
    pub estimate: Estimate,
}

/// Bytes of the section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// A multiple of 16.
    #[serde(with = "postcard::fixint::le")]
    pub offset: u32,
    /// Its length.
    #[serde(with = "postcard::fixint::le")]
    pub bytes: u32,
}

/// What Vela estimates of a step. Nobody measured it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimate {
    /// Hz of the NPU that it assumes.
    #[serde(with = "postcard::fixint::le")]
    pub clock_hz: u32,
    /// Cycles of the step, memory accesses included.
    #[serde(with = "postcard::fixint::le")]
    pub cycles: u32,
    /// Cycles of the NPU's arithmetic.
    #[serde(with = "postcard::fixint::le")]
    pub npu_cycles: u32,
    /// SRAM used.
    #[serde(with = "postcard::fixint::le")]
    pub sram_bytes: u32,
    /// Flash used.
    #[serde(with = "postcard::fixint::le")]
    pub flash_bytes: u32,
}

/// One input or output of the step, in the scratch buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Io {
    /// What it is.
    pub role: Role,
    /// Where it lies.
    #[serde(with = "postcard::fixint::le")]
    pub offset: u32,
    /// Its length.
    #[serde(with = "postcard::fixint::le")]
    pub bytes: u32,
}

impl Io {
    /// Where it ends.
    pub(crate) fn end(&self) -> u32 {
        self.offset.saturating_add(self.bytes)
    }

    /// Its bytes of the scratch buffer.
    pub fn range(&self) -> Range<usize> {
        self.offset as usize..self.end() as usize
    }
}

/// What an input or output is, int8 as in the plan's memory. Numbers of caches are the image's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// Input `[chunk, mels]`: the window of cache 0.
    Features,
    /// Input `[1, left context + chunk]` of an attention, counted in the order of the plan: 127 for
    /// a key that is present, -128 for one that is absent.
    Mask(u8),
    /// Input `[rows, cols]`: what earlier steps left in the window of a cache.
    Cache(u8),
    /// Output `[step, classes]`.
    Logits,
    /// Output `[step, classes]`.
    Posteriors,
    /// Output `[rows, cols]`: what this step writes behind those of `Cache`, to the window's end.
    Rows(u8),
}

impl Role {
    /// Whether the NPU writes it.
    pub fn is_output(self) -> bool {
        matches!(self, Self::Logits | Self::Posteriors | Self::Rows(_))
    }
}

/// What a step of an image's plan takes and gives, with the bytes of each, in the order of the
/// inputs and outputs of the model that `zerda export` writes.
pub fn inputs_and_outputs(image: &Image<'_>) -> impl Iterator<Item = (Role, u32)> {
    let head = *image.manifest();
    let written = first_written_rows(image);
    let bytes = |rows: u16, cols: u16| u32::from(rows) * u32::from(cols);
    let features = image.cache(0).map(|cache| bytes(cache.rows, cache.cols));
    let keys = head.stream.left_context.saturating_add(head.stream.chunk);
    let masks = (0..=u8::MAX).zip(attentions(image));
    // Of each cache that the plan knows: the rows left by earlier steps, and those written.
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

/// Of each cache's window the first row that the plan writes, or the end where it writes none; none
/// for a cache in which no tensor lies.
pub(crate) fn first_written_rows(image: &Image<'_>) -> [Option<u16>; MAX_CACHES] {
    let mut first = [None; MAX_CACHES];
    let mut note = |tensor: Tensor, row: u16| {
        let (cache, _) = tensor.cache_row();
        if let Some(first) = first
            .get_mut(cache)
            .filter(|_| tensor.space == Space::Cache)
        {
            *first = Some(first.map_or(row, |first: u16| first.min(row)));
        }
    };
    image.tensors().for_each(|tensor| note(tensor, u16::MAX));
    let outputs = image.ops().filter_map(|op| image.tensor(op.output()));
    outputs.for_each(|tensor| note(tensor, tensor.cache_row().1));
    first
}

/// The softmaxes over keys.
pub(crate) fn attentions(image: &Image<'_>) -> impl Iterator<Item = Op> {
    let image = *image;
    image.ops().filter(move |op| match *op {
        Op::Softmax { input, .. } => image.tensor(input).is_some_and(|input| input.keys),
        _ => false,
    })
}

/// An image's NPU section.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    /// Its head.
    pub section: Section,
    /// [`Io`] records, and what follows them.
    records: &'a [u8],
    /// As Vela wrote it.
    pub payload: &'a [u8],
    /// What base address 0 of the command stream stands for.
    pub constants: &'a [u8],
}

impl<'a> Program<'a> {
    /// Finds the parts that the head states.
    pub(crate) fn find(bytes: &'a [u8]) -> Result<Self, ParseError> {
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
        })
    }

    /// Inputs, then outputs.
    pub fn io(&self) -> impl Iterator<Item = Io> + use<'a> {
        let mut rest = self.records;
        (0..self.section.io).map_while(move |_| take(&mut rest))
    }

    /// What the payload says, as of every image that was parsed.
    pub fn payload(&self) -> Option<Payload<'a>> {
        Payload::parse(self.payload).ok()
    }
}

/// What the payload says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payload<'a> {
    /// CONFIG register of the NPU that it was compiled for.
    pub config: u32,
    /// Its ID register.
    pub id: u32,
    /// The command stream, whole words.
    pub stream: &'a [u8],
}

/// What the payload starts with.
pub(crate) const COP1: u32 = u32::from_le_bytes(*b"COP1");
/// Driver actions: the NPU's CONFIG and ID follow; the command stream follows; nothing.
pub(crate) const ACTION_CONFIG: u32 = 1;
pub(crate) const ACTION_STREAM: u32 = 2;
pub(crate) const ACTION_NOP: u32 = 5;

impl<'a> Payload<'a> {
    /// Reads the driver actions before the command stream, in time linear in their number.
    ///
    /// # Errors
    ///
    /// What must hold.
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
