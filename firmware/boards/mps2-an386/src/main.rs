//! This firmware runs on a Cortex-M4F: Arm's MPS2+ board with the AN386 image, in QEMU.
#![no_std]
#![no_main]

use cortex_m as _; // the critical section
use cortex_m_rt::entry;
use semihosted::Machine;
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

impl Machine for An386 {
    const CLOCK_HZ: u32 = 25_000_000;
    const UART: usize = 0x4000_4000;
    const LEDS: usize = 0x4002_8000;

    /// Starts the FPGAIO block's counter, without prescaling.
    fn start_counter() {
        semihosted::write(0x4002_801C, 0);
    }

    fn counter() -> u32 {
        semihosted::read(0x4002_8018)
    }
}

#[entry]
fn main() -> ! {
    semihosted::run(An386, &IMAGE.0, MEMORY.take().as_mut())
}
