//! What this board does when it fails.

use core::panic::PanicInfo;

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

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let line = info.location().map_or(0, |place| place.line());
    processor::fail(&mut Esp, Cause::Panic, line)
}

/// Handles all exceptions: each is a fault.
#[unsafe(export_name = "ExceptionHandler")]
extern "C" fn exception() -> ! {
    processor::fault(&mut Esp, || riscv::register::mepc::read() as u32)
}
