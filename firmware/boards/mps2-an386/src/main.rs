//! This firmware runs on a Cortex-M4F: Arm's MPS2+ board with the AN386 image, in QEMU.
#![no_std]
#![no_main]

use cortex_m as _; // the critical section
use cortex_m_rt::entry;
use semihosted::{Mps, Register, UartRegisters, Watchdog};
use static_cell::ConstStaticCell;
use zerda_firmware::app::assert_fits;
use zerda_firmware::{Aligned, Memory, memory_bytes};

static IMAGE: &Aligned<[u8]> = &Aligned(*include_bytes!(env!("ZERDA_IMAGE")));
static MEMORY: ConstStaticCell<Memory<{ memory_bytes(&IMAGE.0) }>> =
    ConstStaticCell::new(Memory::new());
const _: () = assert_fits(&IMAGE.0, RAM);
/// The RAM that caches and arena may take, in bytes.
const RAM: usize = 3 * 1024 * 1024;

#[derive(Clone, Copy)]
struct An386;

impl An386 {
    // SAFETY: the board's documentation has a counter there, and the register that divides its clock.
    const COUNTER: Register = unsafe { Register::at(0x4002_8018) };
    // SAFETY: as above.
    const COUNTER_PRESCALE: Register = unsafe { Register::at(0x4002_801C) };
}

impl Mps for An386 {
    const CLOCK_HZ: u32 = 25_000_000;
    // SAFETY: the board's documentation has the UART there.
    const UART: UartRegisters = unsafe { UartRegisters::at(0x4000_4000) };
    // SAFETY: as above, for the FPGAIO block.
    const LEDS: Register = unsafe { Register::at(0x4002_8000) };

    // SAFETY: as above, for a CMSDK APB watchdog.
    const WATCHDOG: Watchdog = unsafe { Watchdog::at(0x4000_8000) };
    const WATCHDOG_HZ: u32 = 25_000_000;

    /// Starts the FPGAIO block's counter, without prescaling.
    fn start_counter() {
        An386::COUNTER_PRESCALE.write(0);
    }

    fn counter() -> u32 {
        An386::COUNTER.read()
    }
}

semihosted::handlers!(An386);

#[entry]
fn main() -> ! {
    semihosted::run(An386, &IMAGE.0, MEMORY.take().as_mut())
}
