//! The records of the manifest that are not of the plan.

use serde::{Deserialize, Serialize};

use crate::plan::TensorId;

/// Head of the manifest: everything of which there is one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Frames of one call.
    pub stream: Stream,
    /// Samples to features.
    pub front_end: FrontEnd,
    /// Posteriors to detections.
    pub decoder: Decoder,
    /// Number of labels.
    pub classes: u8,
    /// Number of caches.
    pub caches: u8,
    /// Number of tensors.
    pub tensors: u16,
    /// Number of operators.
    pub ops: u16,
    /// `[step, classes]`, what `logits_crc32` covers.
    pub logits: TensorId,
    /// `[step, classes]`, Q0.8 minus 128, what the decoder reads.
    pub posteriors: TensorId,
}

/// Shape of the stream, in frames (see the streaming contract in the crate docs).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stream {
    /// Frames of one call: committed and look-ahead.
    pub chunk: u16,
    /// Committed frames of one call; the window advances by this much.
    pub step: u16,
    /// Cached committed frames that a query may attend to before the chunk.
    pub left_context: u16,
}

/// Front end: samples to log-mel features (see [`crate::front_end`]).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FrontEnd {
    /// Hz.
    pub sample_rate: u32,
    /// Samples.
    pub window: u16,
    /// Samples.
    pub hop: u16,
    /// Mel filters: features of a frame.
    pub mels: u16,
    /// nats a frame by which the level falls.
    pub level_decay: f32,
    /// nats, lowest level.
    pub level_floor: f32,
    /// Frames that a sound must last to be remembered in the level, 1..=16. It stands in the header.
    #[serde(skip)]
    pub level_frames: u16,
    /// nats below the level at which a feature is clipped; the int8 scale is `range / 255`.
    pub range: f32,
    /// F32 `[1, window]`: the window function.
    pub window_table: TensorId,
    /// F32 `[1, 257]`: weight of each FFT bin in the rising half of a filter; one minus it goes to
    /// the falling half of the filter before. Outside all filters: see `mel_band`.
    pub mel_weight: TensorId,
    /// I8 `[1, 257]`: the filter in whose rising half a bin lies (0..=mels), -1 outside.
    pub mel_band: TensorId,
}

/// Decoder: posteriors to detections (see [`crate::decoder`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decoder {
    /// Committed frames that the posterior is averaged over, looking back; at most 32.
    pub smoothing: u8,
    /// Frames after a detection in which there is no other.
    pub refractory: u16,
    /// The label that stands for silence.
    pub silence: u8,
}

/// One class of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label<'a> {
    /// For people.
    pub name: &'a str,
    /// Q0.8, at least 1: smoothed posterior at which it is detected. 0: never (no word of a
    /// command).
    pub threshold: u8,
}

/// What the commands have in common (see [`crate::grammar`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grammar {
    /// Frames from the decision on a word to that on the next, at most.
    pub gap: u16,
    /// Number of commands.
    pub commands: u8,
}

impl Grammar {
    /// Each word is a command.
    pub const NONE: Self = Self {
        gap: 0,
        commands: 0,
    };
}

/// The wake words, and the window that they open (see [`crate::gate`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wake<'a> {
    /// Milliseconds for which commands count after a wake word: [`super::WINDOW_MS`].
    pub window_ms: u16,
    /// Whether a command opens the window anew.
    pub extend: bool,
    /// Numbers of their labels, 1 to [`super::MAX_WAKE_WORDS`]; each can be detected and is in no command.
    pub words: &'a [u8],
    /// Q0.8, one a label: smoothed posterior at which a command's word is detected; 0: that of the label. Or
    /// nothing, where none has one of its own.
    pub thresholds: &'a [u8],
}

impl Wake<'_> {
    /// There are none: every word counts at any time.
    pub const NONE: Self = Self {
        window_ms: 0,
        extend: false,
        words: &[],
        thresholds: &[],
    };
}

/// A command of one or several words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command<'a> {
    /// For people; at most [`super::MAX_NAME`] bytes.
    pub name: &'a str,
    /// Numbers of the labels, in order, 1 to [`super::MAX_WORDS`]; each can be detected.
    pub words: &'a [u8],
}
