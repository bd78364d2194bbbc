//! This firmware runs on a Cortex-M55 with MVE: Arm's MPS3 board with the AN547 image (Corstone-300), in
//! QEMU.
#![no_std]
#![no_main]

use cortex_m as _; // the critical section
use cortex_m_rt::entry;
use semihosted::{Mps, PublicKey, Register, UartRegisters, Updates, Watchdog};
use static_cell::ConstStaticCell;
use zerda_firmware::app::assert_fits;
#[cfg(feature = "npu-model")]
use zerda_firmware::npu::{Npu, Scratch, model::Model};
use zerda_firmware::{Aligned, Memory, memory_bytes};
#[cfg(feature = "npu-model")]
use zerda_firmware::{Image, npu_scratch_bytes};

#[unsafe(link_section = ".image")] // of bytes alone
static IMAGE: Aligned<[u8; include_bytes!(env!("ZERDA_IMAGE")).len()]> =
    Aligned(*include_bytes!(env!("ZERDA_IMAGE")));
static MEMORY: ConstStaticCell<Memory<{ memory_bytes(&IMAGE.0) }>> =
    ConstStaticCell::new(Memory::new());
const _: () = assert_fits(&IMAGE.0, RAM);
/// The RAM that caches and arena may take, in bytes.
const RAM: usize = 384 * 1024;

/// The public key of whoever signs updates; there are none where the file is empty.
const KEY: Option<PublicKey> = PublicKey::from_file(include_bytes!(env!("ZERDA_UPDATE_KEY")));

#[derive(Clone, Copy)]
struct An547;

impl An547 {
    // SAFETY: the board's documentation has a counter there, and the register that starts it.
    const COUNTER: Register = unsafe { Register::at(0x5810_1000) };
    // SAFETY: as above.
    const COUNTER_CONTROL: Register = unsafe { Register::at(0x5810_0000) };
}

impl Mps for An547 {
    const CLOCK_HZ: u32 = 32_000_000;
    // SAFETY: the board's documentation has the UART there.
    const UART: UartRegisters = unsafe { UartRegisters::at(0x4930_3000) };
    // SAFETY: as above, for the FPGAIO block.
    const LEDS: Register = unsafe { Register::at(0x4930_2000) };

    // SAFETY: as above, for a CMSDK APB watchdog.
    const WATCHDOG: Watchdog = unsafe { Watchdog::at(0x4802_E000) };
    const WATCHDOG_HZ: u32 = 32_768;

    const UPDATES: Option<Updates> = match KEY {
        // As memory.x has it.
        Some(key) if !cfg!(feature = "npu-model") => Some(Updates {
            board: "mps3-an547",
            key,
            slot: 1008 * 1024,
            journal: 8 * 1024,
        }),
        _ => None,
    };

    /// Starts the system counter of the SSE subsystem.
    fn start_counter() {
        An547::COUNTER_CONTROL.write(1);
    }

    fn counter() -> u32 {
        An547::COUNTER.read()
    }
}

/// Makes the model of an NPU, which the machine has and QEMU has not.
#[cfg(feature = "npu-model")]
fn npu(image: &Image<'static>) -> Npu<'static, Model<'static>> {
    static SCRATCH: ConstStaticCell<Scratch<{ npu_scratch_bytes(&IMAGE.0) }>> =
        ConstStaticCell::new(Scratch::new());
    static MEMORY: ConstStaticCell<Memory<{ memory_bytes(&IMAGE.0) }>> =
        ConstStaticCell::new(Memory::new());
    Npu::new(Model::new(image, MEMORY.take().as_mut()), SCRATCH.take())
}

semihosted::handlers!(An547);

#[entry]
fn main() -> ! {
    let memory = MEMORY.take().as_mut();
    #[cfg(feature = "npu-model")]
    semihosted::run_on_npu(An547, &IMAGE.0, memory, npu);
    #[cfg(not(feature = "npu-model"))]
    semihosted::run(An547, &IMAGE.0, memory)
}
