//! Cortex-M55 with MVE: Arm's MPS3 board with the AN547 image (Corstone-300), in QEMU.
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
/// Of the RAM, what caches and arena may take.
const RAM: usize = 384 * 1024;

#[derive(Clone, Copy)]
struct An547;

impl Machine for An547 {
    const CLOCK_HZ: u32 = 32_000_000;
    const UART: usize = 0x4930_3000;
    const LEDS: usize = 0x4930_2000;

    /// The system counter of the SSE subsystem.
    fn start_counter() {
        semihosted::write(0x5810_0000, 1);
    }

    fn counter() -> u32 {
        semihosted::read(0x5810_1000)
    }
}

#[entry]
fn main() -> ! {
    semihosted::run(An547, &IMAGE.0, MEMORY.take().as_mut())
}
