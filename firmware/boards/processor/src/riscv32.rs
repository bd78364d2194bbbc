//! This module has what is particular to a RISC-V core.

use core::arch::asm;

use riscv::register::{mcause, mepc, mtval};

#[cfg(not(feature = "trigger"))]
#[path = "riscv32/protection.rs"]
mod guard;
#[cfg(feature = "trigger")]
#[path = "riscv32/trigger.rs"]
mod guard;

/// The word that the stack is filled with before `main`.
pub const PAINT: u32 = 0xCCCC_CCCC;

/// The bytes of the stack, its lowest, that may not be written. A larger frame could step over them.
pub const GUARD_BYTES: usize = 2048;

/// Sleeps until an interrupt is pending.
pub fn sleep() {
    riscv::asm::wfi();
}

/// Masks all interrupts, so that none breaks in any more.
pub fn mask() {
    riscv::interrupt::disable();
}

/// Waits until all memory was written.
pub fn settle() {
    riscv::asm::fence();
}

/// Runs an instruction that does not exist, which ends in the board's handler of exceptions.
pub fn illegal_instruction() -> ! {
    // SAFETY: it is an exception, from which nobody returns.
    unsafe { asm!("unimp", options(noreturn)) }
}

/// Writes a byte to an address.
///
/// # Safety
///
/// Memory is there, and whoever relies on what it holds is ready for the change.
pub unsafe fn store(address: usize, byte: u8) {
    // SAFETY: whoever calls this promised it.
    unsafe {
        asm!(
            "sb {byte}, 0({address})",
            byte = in(reg) u32::from(byte),
            address = in(reg) address,
            options(nostack, preserves_flags),
        );
    }
}

/// Fills the stack below what is used with [`PAINT`], and makes its overflow a fault, before it overwrites anything. It is
/// for the start of `main`. `_stack_end` must be a multiple of 2048.
pub fn guard_stack() {
    paint_stack();
    // SAFETY: only these bytes of the stack change, which nobody uses.
    unsafe { guard::forbid(super::bottom().addr() - GUARD_BYTES) }
}

#[inline(never)]
fn paint_stack() {
    let pointer: usize;
    // SAFETY: it reads a register.
    unsafe { asm!("mv {}, sp", out(reg) pointer, options(nomem, nostack)) };
    let mut word = super::bottom().cast_mut();
    while word.addr() < pointer {
        // SAFETY: the linker reserves these words for the stack, below whose pointer nothing is kept: interrupts are off.
        unsafe {
            word.write_volatile(PAINT);
            word = word.add(1);
        }
    }
}

/// Says whether the exception that is handled was an overflow of the stack.
pub fn overflowed() -> bool {
    let end = super::bottom().addr();
    guard::CAUSES.contains(&mcause::read().bits())
        && (end - GUARD_BYTES..end).contains(&mtval::read())
}

/// Makes the handler of exceptions, each of which is a fault, for [`handlers`](crate::handlers).
#[doc(hidden)]
#[macro_export]
macro_rules! fault_handler {
    ($board:expr) => {
        #[unsafe(export_name = "ExceptionHandler")]
        extern "C" fn exception() -> ! {
            $crate::fault(&mut $board, $crate::exception_address)
        }
    };
}

/// Returns the address of the instruction that raised the exception that is handled.
pub fn exception_address() -> u32 {
    mepc::read() as u32
}
