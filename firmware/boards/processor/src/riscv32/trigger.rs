//! A trigger of the debug unit, of type `mcontrol`, guards the stack: a store there raises an exception before it is done. While
//! an exception is handled triggers are off, so that its handler may use these bytes.

use core::arch::asm;

use super::GUARD_BYTES;

/// The exceptions that the guard raises: a breakpoint.
pub const CAUSES: [usize; 1] = [3];

/// Forbids writing the [`GUARD_BYTES`] from `end` on.
///
/// # Safety
///
/// Nobody uses them, and the first trigger is free.
pub unsafe fn forbid(end: usize) {
    // Stores in machine mode to a naturally aligned power of two.
    const STORES_NAPOT: usize = 1 << 7 | 1 << 6 | 1 << 1;
    // Triggers are on in machine mode.
    const MTE: usize = 1 << 3;
    // SAFETY: whoever calls this promised it. The registers are tselect, tcontrol, tdata1 and tdata2.
    unsafe {
        asm!(
            "csrw 0x7a0, zero",
            "csrw 0x7a5, {on}",
            "csrw 0x7a1, {stores}",
            "csrw 0x7a2, {address}",
            on = in(reg) MTE,
            stores = in(reg) STORES_NAPOT,
            address = in(reg) end | (GUARD_BYTES / 2 - 1),
            options(nostack),
        );
    }
}
