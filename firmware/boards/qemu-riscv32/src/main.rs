//! This firmware runs on a RISC-V core of 32 bits (RV32IMAC, no floating-point unit): QEMU's machine `virt`.
#![no_std]
#![no_main]

use riscv_rt::entry;
use semihosted::Virt;
use static_cell::ConstStaticCell;
use zerda_firmware::app::assert_fits;
use zerda_firmware::{Aligned, Memory, memory_bytes};

static IMAGE: &Aligned<[u8]> = &Aligned(*include_bytes!(env!("ZERDA_IMAGE")));
static MEMORY: ConstStaticCell<Memory<{ memory_bytes(&IMAGE.0) }>> =
    ConstStaticCell::new(Memory::new());
const _: () = assert_fits(&IMAGE.0, RAM);
/// The RAM that caches and arena may take, in bytes.
const RAM: usize = 3 * 1024 * 1024;

semihosted::handlers!(Virt);

#[entry]
fn main() -> ! {
    semihosted::run(Virt, &IMAGE.0, MEMORY.take().as_mut())
}
