//! Time is told by the clock while no audio comes to tell it.

use crate::image::samples;

/// The time since audio came last.
pub(super) struct Idle {
    /// Holds the clock reading up to which `ms` counts.
    at: u32,
    /// Counts whole milliseconds.
    pub ms: u64,
}

impl Idle {
    /// Begins to count at a clock reading.
    pub fn new(at: u32) -> Self {
        Self { at, ms: 0 }
    }

    /// Counts up to a clock reading, of a clock of `hz`.
    pub fn look(&mut self, now: u32, hz: u32) {
        let ticks_a_ms = (hz / 1000).max(1);
        let ms = now.wrapping_sub(self.at) / ticks_a_ms;
        // What is less than a millisecond is left for the next look.
        self.at = self.at.wrapping_add(ms.wrapping_mul(ticks_a_ms));
        self.ms = self.ms.saturating_add(ms.into());
    }

    /// Returns the samples that would have come in this time.
    pub fn samples(&self) -> u64 {
        self.ms.saturating_mul(samples(1))
    }
}
