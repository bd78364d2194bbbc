//! What this board does when it fails, and its brown-out reset.
//!
//! Addresses and bits are those of ST's reference manual RM0433: `RCC_RSR`, `DBGMCU_APB4FZ1`, and the option bytes of
//! the flash.

use core::mem::forget;

use cortex_m::peripheral::SCB;
use embassy_stm32::peripherals::{PB0, PB14, PE1};
use processor::Register;
use zerda_firmware::recovery::{BrownOut, Cause, Recover, Retained};

use crate::output;

/// Says what reset the processor.
// SAFETY: RCC_RSR lies there.
const RESET_STATUS: Register = unsafe { Register::at(0x5802_44D0) };
const REMOVE_FLAGS: u32 = 1 << 16;
const BROWN_OUT: u32 = 1 << 21;
const POWER_UP: u32 = 1 << 23;
const WATCHDOG: u32 = 1 << 26;

/// The board, which fails.
pub struct Nucleo;

impl Recover for Nucleo {
    fn lower_outputs(&mut self) {
        // SAFETY: whoever had the pins runs no more.
        let pins = unsafe { (PB0::steal(), PE1::steal(), PB14::steal()) };
        // Dropped, they would float.
        forget((output(pins.0), output(pins.1), output(pins.2)));
    }

    fn retained(&mut self) -> Retained {
        processor::retained()
    }

    fn retain(&mut self, words: Retained) {
        processor::retain(words);
    }

    fn reset_cause(&mut self) -> Option<Cause> {
        let status = RESET_STATUS.read();
        RESET_STATUS.write(REMOVE_FLAGS);
        if status & WATCHDOG != 0 {
            Some(Cause::Watchdog)
        } else if status & (BROWN_OUT | POWER_UP) == BROWN_OUT {
            Some(Cause::BrownOut)
        } else {
            None
        }
    }

    fn reset(&mut self) {
        SCB::sys_reset();
    }
}

processor::handlers!(Nucleo);

/// Stops the watchdog while a debugger halts the processor.
pub fn freeze_watchdog_in_debug() {
    // SAFETY: DBGMCU_APB4FZ1 lies there.
    const FREEZE: Register = unsafe { Register::at(0x5C00_1054) };
    const IWDG1: u32 = 1 << 18;
    FREEZE.write(FREEZE.read() | IWDG1);
}

/// The option bytes of the flash, which hold the level of the brown-out reset.
pub struct FlashOptions;

impl FlashOptions {
    // SAFETY: FLASH_OPTKEYR lies there.
    const KEY: Register = unsafe { Register::at(0x5200_2008) };
    // SAFETY: FLASH_OPTCR lies there.
    const CONTROL: Register = unsafe { Register::at(0x5200_2018) };
    // SAFETY: FLASH_OPTSR_CUR lies there.
    const CURRENT: Register = unsafe { Register::at(0x5200_201C) };
    // SAFETY: FLASH_OPTSR_PRG lies there.
    const NEXT: Register = unsafe { Register::at(0x5200_2020) };
    const KEYS: [u32; 2] = [0x0819_2A3B, 0x4C5D_6E7F];
    const LOCK: u32 = 1;
    const START: u32 = 1 << 1;
    const BUSY: u32 = 1;
    const LEVEL: u32 = 0b11 << 2;
}

impl BrownOut for FlashOptions {
    fn level(&self) -> u8 {
        ((Self::CURRENT.read() & Self::LEVEL) >> 2) as u8
    }

    fn write(&mut self, level: u8) {
        if Self::CONTROL.read() & Self::LOCK != 0 {
            for key in Self::KEYS {
                Self::KEY.write(key);
            }
        }
        let others = Self::NEXT.read() & !Self::LEVEL;
        Self::NEXT.write(others | u32::from(level) << 2 & Self::LEVEL);
        Self::CONTROL.write(Self::CONTROL.read() | Self::START);
        // Some ms at most; if it takes longer, the next start tries again.
        for _ in 0..10_000_000 {
            if Self::CURRENT.read() & Self::BUSY == 0 {
                break;
            }
        }
        Self::CONTROL.write(Self::CONTROL.read() | Self::LOCK);
    }
}
