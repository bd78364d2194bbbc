//! What this board does when it fails.

use esp_hal::peripherals::{GPIO18, GPIO19, GPIO20};
use esp_hal::rtc_cntl::SocResetReason;
use esp_hal::system::{reset_reason, software_reset};
use zerda_firmware::recovery::{Cause, Recover, Retained};

use crate::output;

/// The board, which fails.
pub struct Esp;

impl Recover for Esp {
    fn lower_outputs(&mut self) {
        // SAFETY: whoever had the pins runs no more.
        let pins = unsafe { (GPIO18::steal(), GPIO19::steal(), GPIO20::steal()) };
        output(pins.0);
        output(pins.1);
        output(pins.2);
    }

    fn retained(&mut self) -> Retained {
        processor::retained()
    }

    fn retain(&mut self, words: Retained) {
        processor::retain(words);
    }

    fn reset_cause(&mut self) -> Option<Cause> {
        match reset_reason()? {
            SocResetReason::SysRtcWdt | SocResetReason::CoreRtcWdt => Some(Cause::Watchdog),
            SocResetReason::SysBrownOut => Some(Cause::BrownOut),
            _ => None,
        }
    }

    fn reset(&mut self) {
        software_reset();
    }
}

processor::handlers!(Esp);
