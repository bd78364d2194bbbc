//! What this board does when it fails.
//!
//! Address and bits are those of the datasheet of RP2350: `CHIP_RESET` of the power manager.

use core::mem::forget;

use embassy_rp::peripherals::{PIN_14, PIN_15, PIN_25, WATCHDOG};
use embassy_rp::watchdog::{ResetReason, Watchdog};
use processor::Register;
use zerda_firmware::recovery::{Cause, Recover, Retained};

use crate::output;

/// The board, which fails.
pub struct Pico;

/// Returns the watchdog, which resets the board on demand, too.
fn watchdog() -> Watchdog {
    // SAFETY: whoever has it otherwise does not run now: it is the start of `main`, or the end.
    Watchdog::new(unsafe { WATCHDOG::steal() })
}

impl Recover for Pico {
    fn lower_outputs(&mut self) {
        // SAFETY: whoever had the pins runs no more.
        let pins = unsafe { (PIN_14::steal(), PIN_15::steal(), PIN_25::steal()) };
        // Dropped, they would float.
        forget((output(pins.0), output(pins.1), output(pins.2)));
    }

    fn retained(&mut self) -> Retained {
        processor::retained()
    }

    fn retain(&mut self, words: Retained) {
        processor::retain(words);
    }

    /// Reads what the next reset overwrites.
    fn reset_cause(&mut self) -> Option<Cause> {
        // SAFETY: CHIP_RESET lies there.
        const CHIP_RESET: Register = unsafe { Register::at(0x4010_002C) };
        const POWER_UP: u32 = 1 << 16;
        const BROWN_OUT: u32 = 1 << 17;
        match watchdog().reset_reason() {
            Some(ResetReason::TimedOut) => Some(Cause::Watchdog),
            Some(ResetReason::Forced) => None,
            None => {
                let status = CHIP_RESET.read();
                (status & (BROWN_OUT | POWER_UP) == BROWN_OUT).then_some(Cause::BrownOut)
            }
        }
    }

    fn reset(&mut self) {
        watchdog().trigger_reset();
    }
}

processor::handlers!(Pico);
