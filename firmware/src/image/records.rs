//! These are the records of the manifest that do not belong to the plan.

use serde::{Deserialize, Serialize};

use crate::plan::TensorId;

/// The head of the manifest, which holds everything of which there is one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Says how many frames one call takes.
    pub stream: Stream,
    /// Says how samples become features.
    pub front_end: FrontEndConfig,
    /// Says how posteriors become detections.
    pub decoder: DecoderConfig,
    /// The number of labels that the manifest holds.
    pub classes: u8,
    /// The number of caches that the manifest holds.
    pub caches: u8,
    /// The number of tensors that the manifest holds.
    pub tensors: u16,
    /// The number of operators that the manifest holds.
    pub ops: u16,
    /// The tensor `[step, classes]` that holds the logits, which `logits_crc32` covers.
    pub logits: TensorId,
    /// The tensor `[step, classes]` that holds the posteriors, Q0.8 minus 128, which the decoder reads.
    pub posteriors: TensorId,
}

/// The shape of the stream, whose fields count frames (see the streaming contract in the crate docs).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stream {
    /// The number of frames that one call takes, committed and look-ahead.
    pub chunk: u16,
    /// The number of committed frames that one call takes; the window advances by this much.
    pub step: u16,
    /// The number of cached committed frames before the chunk that a query may attend to.
    pub left_context: u16,
}

/// The parameters of the front end, which turns samples into log-mel features (see [`crate::front_end`]).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FrontEndConfig {
    /// The sample rate that the front end takes, in Hz.
    pub sample_rate: u32,
    /// The number of samples that a frame's window takes.
    pub window: u16,
    /// The number of samples that lie between the starts of two frames.
    pub hop: u16,
    /// The number of mel filters, which is that of the features of a frame.
    pub mels: u16,
    /// Says how much the level falls each frame, in nats.
    pub level_decay: f32,
    /// The lowest value that the level has, in nats.
    pub level_floor: f32,
    /// The number of frames that a sound must last to be remembered in the level, 1..=16. It stands in the
    /// header.
    #[serde(skip)]
    pub level_frames: u16,
    /// Says how far below the level a feature is clipped, in nats; the int8 scale is `range / 255`.
    pub range: f32,
    /// The F32 constant `[1, window]` that holds the window function.
    pub window_table: TensorId,
    /// The F32 constant `[1, 257]` that holds the weight of each FFT bin in the rising half of a filter; one
    /// minus the weight goes to the falling half of the filter before. `mel_band` says which bins are outside
    /// all filters.
    pub mel_weight: TensorId,
    /// The I8 constant `[1, 257]` that holds the filter in whose rising half a bin lies (0..=mels), or -1 if
    /// the bin is outside all filters.
    pub mel_band: TensorId,
}

/// The parameters of the decoder, which turns posteriors into detections (see [`crate::decoder`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecoderConfig {
    /// The number of committed frames that the posterior is averaged over, looking back; at most 32.
    pub smoothing: u8,
    /// The number of frames after a detection in which there is no other.
    pub refractory: u16,
    /// The number of the label that stands for silence.
    pub silence: u8,
}

/// A class that the model tells from the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label<'a> {
    /// The name that people read.
    pub name: &'a str,
    /// The smoothed posterior at which the label is detected, Q0.8, at least 1. A label with 0 is never
    /// detected and is no word of a command.
    pub threshold: u8,
}

/// Holds what the commands have in common (see [`crate::grammar`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrammarConfig {
    /// The most frames that may lie between the decision on a word and that on the next.
    pub gap: u16,
    /// The number of commands that the grammar has.
    pub commands: u8,
}

impl GrammarConfig {
    /// Stands for no grammar: each word is a command.
    pub const NONE: Self = Self {
        gap: 0,
        commands: 0,
    };
}

/// The wake words, and the window that they open (see [`crate::gate`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wake<'a> {
    /// The time in ms for which commands count after a wake word, within [`super::WINDOW_MS`].
    pub window_ms: u16,
    /// Says whether a command opens the window anew.
    pub extend: bool,
    /// Holds the numbers of the wake words' labels, 1 to [`super::MAX_WAKE_WORDS`] of them. Each label can be
    /// detected and is in no command.
    pub words: &'a [u8],
    /// Holds one threshold a label, Q0.8: the smoothed posterior at which a command's word is detected. 0
    /// means the threshold of the label. It is empty if no label has a threshold of its own.
    pub thresholds: &'a [u8],
}

impl Wake<'_> {
    /// Stands for no wake words: every word counts at any time.
    pub const NONE: Self = Self {
        window_ms: 0,
        extend: false,
        words: &[],
        thresholds: &[],
    };
}

/// A command that consists of one or several words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command<'a> {
    /// The name that people read, at most [`super::MAX_NAME`] bytes.
    pub name: &'a str,
    /// Holds the numbers of the words' labels, in order, 1 to [`super::MAX_WORDS`] of them. Each label can be
    /// detected.
    pub words: &'a [u8],
}

/// The number of bytes that an encoded [`crate::plan::Cache`] takes.
pub(super) const CACHE_BYTES: usize = 11;

/// Returns the bit of a label among 64, or 0 for a number that is no label's.
pub(crate) fn label_bit(label: u8) -> u64 {
    1u64.checked_shl(label.into()).unwrap_or(0)
}

/// Takes the next record of a sequence of records without a fixed size.
pub(crate) fn take<'a, T: Deserialize<'a>>(rest: &mut &'a [u8]) -> Option<T> {
    let record;
    (record, *rest) = postcard::take_from_bytes(rest).ok()?;
    Some(record)
}

/// Takes the bytes of name and words of the next [`Command`]. They are the same as postcard decodes where
/// both are shorter than 128 bytes, as they must be, in less code.
pub(super) fn take_command<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let mut take_bytes = || {
        let (&length, after) = rest.split_first()?;
        let bytes;
        (bytes, *rest) = after.split_at_checked(length.into())?;
        Some(bytes)
    };
    Some((take_bytes()?, take_bytes()?))
}
