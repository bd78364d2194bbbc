//! An entry of the memory protection (PMP), which binds machine mode once it is locked, guards the stack.

use core::arch::{asm, global_asm};

use super::GUARD_BYTES;

/// The exceptions that the guard raises: a load, or a store, that is forbidden.
pub const CAUSES: [usize; 2] = [5, 7];

/// Forbids the use of the [`GUARD_BYTES`] from `end` on.
///
/// # Safety
///
/// Nobody uses them, and the first entry is free.
pub unsafe fn forbid(end: usize) {
    // A naturally aligned power of two, locked, with no permission.
    const LOCKED_NAPOT: usize = 1 << 7 | 0b11 << 3;
    // SAFETY: whoever calls this promised it.
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
