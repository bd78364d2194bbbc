//! This module has what is particular to a Cortex-M core.

use cortex_m::peripheral::syst::SystClkSource;
use cortex_m::peripheral::{MPU, SCB, SYST};
pub use cortex_m_rt::STACK_PAINT_VALUE as PAINT;

/// The bytes of the stack, its lowest, that may not be written: a region of the memory protection unit lies there. A larger
/// frame could step over it; on Armv8-M the stack pointer has a limit behind it.
pub const GUARD_BYTES: usize = 2048;

/// Sleeps until an interrupt is pending.
pub fn sleep() {
    cortex_m::asm::dsb();
    cortex_m::asm::wfi();
}

/// Lets the system timer of a core that runs at `clock_hz` interrupt every `period_ms`: `SysTick`, which the board handles.
/// It counts 2^24 clocks at most.
pub fn start_ticks(syst: &mut SYST, clock_hz: u32, period_ms: u32) {
    syst.set_clock_source(SystClkSource::Core);
    syst.set_reload(clock_hz / 1000 * period_ms - 1);
    syst.clear_current();
    syst.enable_counter();
    syst.enable_interrupt();
}

/// Masks all interrupts, so that none breaks in any more.
pub fn mask() {
    cortex_m::interrupt::disable();
}

/// Waits until all memory was written.
pub fn settle() {
    cortex_m::asm::dsb();
}

/// Runs an instruction that does not exist, which ends in the board's `HardFault` handler.
pub fn illegal_instruction() -> ! {
    cortex_m::asm::udf()
}

/// Writes a byte to an address.
///
/// # Safety
///
/// Memory is there, and whoever relies on what it holds is ready for the change.
pub unsafe fn store(address: usize, byte: u8) {
    // SAFETY: whoever calls this promised it.
    unsafe {
        core::arch::asm!(
            "strb {byte}, [{address}]",
            byte = in(reg) u32::from(byte),
            address = in(reg) address,
            options(nostack, preserves_flags),
        );
    }
}

/// Makes an overflow of the stack a fault, before it overwrites anything. It is for the start of `main`. `_stack_end` must
/// be a multiple of 2048. Handlers of faults may use the guard, since the region does not bind them.
pub fn guard_stack() {
    /// Eight regions are there or more, of which on Armv7-M one of a higher number takes precedence.
    const REGION: u32 = 7;
    /// The unit is on, with the default map behind its regions.
    const ON: u32 = 0b101;
    let end = (super::bottom().addr() - GUARD_BYTES) as u32;
    // SAFETY: only these bytes of the stack change, which nobody uses yet, in a region that no driver uses.
    unsafe {
        let mpu = &*MPU::PTR;
        mpu.rnr.write(REGION);
        #[cfg(armv8m)]
        {
            // Read-only, no execution; up to the last block of 32 bytes; on.
            mpu.rbar.write(end | 0b10 << 1 | 1);
            mpu.rlar.write((end + GUARD_BYTES as u32 - 32) | 1);
            limit(end);
        }
        #[cfg(not(armv8m))]
        {
            // No execution, no access; 2^(n + 1) bytes; on.
            mpu.rbar.write(end);
            mpu.rasr.write(1 << 28 | (GUARD_BYTES.ilog2() - 1) << 1 | 1);
        }
        mpu.ctrl.write(ON);
    }
    cortex_m::asm::dsb();
    cortex_m::asm::isb();
}

/// Limits the stack pointer, except for the handler of the fault.
///
/// # Safety
///
/// The stack ends there.
#[cfg(armv8m)]
unsafe fn limit(end: u32) {
    /// The bit of the configuration and control register that says so.
    const IGNORED_IN_HARD_FAULT: u32 = 1 << 10;
    // SAFETY: these are the core's own registers, which no driver uses.
    unsafe {
        (*SCB::PTR)
            .ccr
            .modify(|value| value | IGNORED_IN_HARD_FAULT);
        cortex_m::register::msplim::write(end);
    }
}

/// Says whether the fault that is handled was an overflow of the stack.
pub fn overflowed() -> bool {
    // Bits of the configurable fault status register: a data access, or saving registers for an exception, was forbidden;
    // the limit of the stack pointer was passed.
    const BITS: u32 = 1 << 1 | 1 << 4 | 1 << 20;
    // SAFETY: reading the register changes nothing.
    unsafe { (*SCB::PTR).cfsr.read() & BITS != 0 }
}

/// Makes the handler of faults, for [`handlers`](crate::handlers).
#[doc(hidden)]
#[macro_export]
macro_rules! fault_handler {
    ($board:expr) => {
        // SAFETY: it never returns to what it broke into.
        #[cortex_m_rt::exception]
        unsafe fn HardFault(frame: &cortex_m_rt::ExceptionFrame) -> ! {
            $crate::fault(&mut $board, || frame.pc())
        }
    };
}
