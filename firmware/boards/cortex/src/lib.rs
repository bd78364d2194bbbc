//! This crate has what a Cortex-M board needs for `zerda_firmware::app::Processor`, except its clock, and for
//! `zerda_firmware::recovery`.
#![no_std]

mod register;

use core::mem::MaybeUninit;

use cortex_m_rt::STACK_PAINT_VALUE;
pub use register::Register;
use zerda_firmware::recovery::{self, Cause, Recover, Restart, Retained};

unsafe extern "C" {
    // The linker sets these to the highest and the lowest address of the stack.
    static _stack_start: MaybeUninit<u32>;
    static _stack_end: MaybeUninit<u32>;
}

/// Sleeps until an interrupt, unless `ready` says, with interrupts masked, that there is work. An interrupt
/// that comes in between is pending then, and ends the sleep at once.
pub fn sleep_unless(ready: impl FnOnce() -> bool) {
    cortex_m::interrupt::free(|_| {
        if !ready() {
            cortex_m::asm::dsb();
            cortex_m::asm::wfi();
        }
    });
}

/// Returns the most stack used so far, in bytes: that part of the paint that cortex-m-rt laid is gone.
pub fn stack_bytes() -> u32 {
    let bottom = (&raw const _stack_end).cast::<u32>();
    let top = (&raw const _stack_start).cast::<u32>();
    let words = (top.addr() - bottom.addr()) / size_of::<u32>();
    // SAFETY: the linker reserves these words for the stack, cortex-m-rt painted them before
    // `main`, and what is below the stack pointer is only written by interrupts.
    let unused = (0..words)
        .take_while(|&word| unsafe { bottom.add(word).read_volatile() == STACK_PAINT_VALUE });
    ((words - unused.count()) * size_of::<u32>()) as u32
}

/// Holds the reason of a restart. Neither a reset nor what runs before `main` writes it.
#[unsafe(link_section = ".uninit.retained")]
static mut RETAINED: MaybeUninit<Retained> = MaybeUninit::uninit();

/// Reads the retained RAM, which a restart leaves as it is.
pub fn retained() -> Retained {
    // SAFETY: any bits are integers; the memory is read as it is, and no reference to it is made.
    unsafe { (&raw const RETAINED).cast::<Retained>().read_volatile() }
}

/// Writes the retained RAM, which a restart leaves as it is.
pub fn retain(words: Retained) {
    // SAFETY: no reference to it is made. Whoever breaks into this call restarts and never returns to it.
    unsafe { (&raw mut RETAINED).cast::<Retained>().write_volatile(words) }
    cortex_m::asm::dsb();
}

/// Lowers the outputs of a board that fails, keeps the reason and starts again. It is for the panic and fault handlers.
pub fn fail(board: &mut impl Recover, cause: Cause, place: u32) -> ! {
    cortex_m::interrupt::disable();
    recovery::fail(board, Restart { cause, place });
    loop {
        cortex_m::asm::nop();
    }
}
