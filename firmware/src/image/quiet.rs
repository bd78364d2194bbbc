//! The voice activity gate stands in the header of an image, and takes memory for the frames that it keeps.

use super::{ALIGNMENT, FrontEndConfig, Image, Manifest, Stream, samples};

/// Limits the time, in ms, for which the voice activity gate stays open after the last sound.
pub const HANGOVER_MS: core::ops::RangeInclusive<u16> = 300..=10_000;
/// The least time, in ms, that is kept of what came before the gate opened.
pub const KEPT_MS: u32 = 400;

/// The voice activity gate of an image (see [`crate::quiet`]): with it the network rests while nobody speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quiet {
    /// Says how faint a sound opens the gate: 0 (only clear speech) to 3.
    pub sensitivity: u8,
    /// The time, in ms, for which the gate stays open after the last sound, [`HANGOVER_MS`].
    pub hangover_ms: u16,
}

impl Quiet {
    /// Returns the field of the header: the time in ms, times four, and the sensitivity.
    pub fn field(self) -> u16 {
        self.hangover_ms << 2 | u16::from(self.sensitivity & 3)
    }

    /// Reads the field of the header; `None`: there is no gate.
    pub(super) fn of(field: u16) -> Option<Self> {
        let quiet = Self {
            sensitivity: (field & 3) as u8,
            hangover_ms: field >> 2,
        };
        (field != 0).then_some(quiet)
    }

    /// Returns the bytes that the kept frames take at the end of the arena.
    pub fn kept_bytes(stream: Stream, front_end: FrontEndConfig) -> usize {
        let row = (usize::from(front_end.mels) + 1) * size_of::<f32>();
        let bytes = Self::kept_rows(stream, front_end) * row;
        bytes.next_multiple_of(ALIGNMENT)
    }

    /// Returns the number of frames that are kept: those of [`KEPT_MS`], and a step, so that as many are left
    /// from the first that begins a step.
    pub(crate) fn kept_rows(stream: Stream, front_end: FrontEndConfig) -> usize {
        let frames = (samples(KEPT_MS) as usize).div_ceil(front_end.hop.max(1).into());
        frames + usize::from(stream.step)
    }
}

impl Image<'_> {
    /// Returns the voice activity gate; without one, the network never rests.
    pub fn quiet(&self) -> Option<Quiet> {
        self.quiet
    }

    /// Returns the bytes at the end of the arena in which the gate keeps frames; 0 without one.
    pub fn kept_bytes(&self) -> usize {
        let Manifest {
            stream, front_end, ..
        } = self.manifest;
        self.quiet
            .map_or(0, |_| Quiet::kept_bytes(stream, front_end))
    }
}
