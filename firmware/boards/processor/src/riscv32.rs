//! This module has what is particular to a RISC-V core, whose memory protection (PMP) has entries that bind machine mode.

use core::arch::{asm, global_asm};

use riscv::register::{mcause, mtval};

/// The word that the stack is filled with before `main`.
pub const PAINT: u32 = 0xCCCC_CCCC;

/// The bytes of the stack, its lowest, that may not be used: an entry of the memory protection lies there. A larger frame
/// could step over it.
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
    // A naturally aligned power of two, locked, with no permission.
    const LOCKED_NAPOT: usize = 1 << 7 | 0b11 << 3;
    let end = super::bottom().addr() - GUARD_BYTES;
    // SAFETY: only these bytes of the stack change, which nobody uses.
    unsafe {
        asm!(
            "csrw pmpaddr0, {address}",
            "csrs pmpcfg0, {entry}",
            address = in(reg) end >> 2 | (GUARD_BYTES / 8 - 1),
            entry = in(reg) LOCKED_NAPOT,
            options(nostack),
        );
    }
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
    const LOAD_FAULT: usize = 5;
    const STORE_FAULT: usize = 7;
    let end = super::bottom().addr();
    matches!(mcause::read().bits(), LOAD_FAULT | STORE_FAULT)
        && (end - GUARD_BYTES..end).contains(&mtval::read())
}

// What handles an exception saves registers on the stack. Where that overflowed, the stack begins anew: nobody returns.
global_asm!(
    ".section .trap.start, \"ax\"",
    ".global _pre_default_start_trap",
    "_pre_default_start_trap:",
    "csrw mscratch, t0",
    "la t0, _stack_end + {guard}",
    "bgeu sp, t0, 1f",
    "la sp, _stack_start",
    "1:",
    "csrr t0, mscratch",
    "j _pre_default_start_trap_ret",
    guard = const GUARD_BYTES,
);
