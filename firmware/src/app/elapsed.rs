//! Time is told by the processor's clock where audio, which tells it otherwise, may not come.

/// The time that has elapsed since a moment, by a clock that wraps; it is looked at more often than that.
#[derive(Debug)]
pub(super) struct Elapsed {
    /// Holds the clock reading up to which `ms` counts.
    at: u32,
    /// Counts the whole milliseconds since that moment.
    pub ms: u64,
}

impl Elapsed {
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
}
