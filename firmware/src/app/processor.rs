//! What the application needs from the processor.

use crate::recovery::Restart;

/// The services that the application needs from the processor.
pub trait Processor {
    /// The rate, in Hz, at which [`Processor::now`] counts. The counter must not wrap within a few seconds.
    const CLOCK_HZ: u32;

    /// Returns a counter that runs freely and wraps. It must go on while the processor sleeps.
    fn now(&self) -> u32;

    /// Sleeps until an interrupt (`wfi`), unless `ready` says, with interrupts masked, that there is work
    /// already. An interrupt must come every tenth of a second even if no audio does, so that outputs are released.
    fn sleep_unless(&mut self, ready: impl FnOnce() -> bool);

    /// Returns the most stack used so far, in bytes, or 0 where it is not measured.
    fn stack_bytes(&self) -> u32 {
        0
    }

    /// Feeds the watchdog, where there is one. The application does so with each block of audio that was recognized:
    /// a watchdog of 2 s or more resets a device that hangs, or whose audio stopped.
    fn feed_watchdog(&mut self) {}

    /// Returns why the device started again, if it failed: see [`crate::recovery::restarted`].
    fn restarted(&mut self) -> Option<Restart> {
        None
    }
}
