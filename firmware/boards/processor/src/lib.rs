//! This crate has what a board needs of its core for `zerda_firmware::app::Processor`, except its clock, and for
//! `zerda_firmware::recovery`: on a Cortex-M as on a RISC-V core.
#![no_std]

#[cfg(target_arch = "arm")]
mod cortex;
mod register;
#[cfg(target_arch = "riscv32")]
mod riscv32;

use core::mem::MaybeUninit;
use core::panic::PanicInfo;

#[cfg(target_arch = "arm")]
use cortex as core_of_target;
pub use register::Register;
#[cfg(target_arch = "riscv32")]
use riscv32 as core_of_target;
use zerda_firmware::recovery::{self, Cause, Recover, Restart, Retained};

#[cfg(target_arch = "riscv32")]
pub use core_of_target::exception_address;
#[cfg(target_arch = "arm")]
pub use core_of_target::start_ticks;
pub use core_of_target::{guard_stack, illegal_instruction, store};

unsafe extern "C" {
    // The linker sets these to the highest and the lowest address of the stack.
    static _stack_start: MaybeUninit<u32>;
    static _stack_end: MaybeUninit<u32>;
}

/// Sleeps until an interrupt, unless `ready` says, with interrupts masked, that there is work. An interrupt
/// that comes in between is pending then, and ends the sleep at once.
pub fn sleep_unless(ready: impl FnOnce() -> bool) {
    critical_section::with(|_| {
        if !ready() {
            core_of_target::sleep();
        }
    });
}

/// Returns the lowest address of the stack that may be used: below is the guard, where the core has one.
fn bottom() -> *const u32 {
    (&raw const _stack_end)
        .cast::<u32>()
        .wrapping_byte_add(core_of_target::GUARD_BYTES)
}

/// Returns the most stack used so far, in bytes: that part of the paint is gone which was laid before `main`.
pub fn stack_bytes() -> u32 {
    let top = (&raw const _stack_start).cast::<u32>();
    let words = (top.addr() - bottom().addr()) / size_of::<u32>();
    // SAFETY: the linker reserves these words for the stack, they were painted before `main`, and what is
    // below the stack pointer is only written by interrupts.
    let unused = (0..words)
        .take_while(|&word| unsafe { bottom().add(word).read_volatile() == core_of_target::PAINT });
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
    core_of_target::settle();
}

/// Lowers the outputs of a board that fails, keeps the reason and starts again. It is for the panic handler, and a
/// watchdog's.
pub fn fail(board: &mut impl Recover, cause: Cause, place: u32) -> ! {
    core_of_target::mask();
    recovery::fail(board, Restart { cause, place });
    loop {
        core::hint::spin_loop();
    }
}

/// Fails as [`fail`] does, for the handler of panics.
pub fn panicked(board: &mut impl Recover, info: &PanicInfo<'_>) -> ! {
    let line = info.location().map_or(0, |place| place.line());
    fail(board, Cause::Panic, line)
}

/// Fails as [`fail`] does, for the handler of a fault. The place, an address, is asked for only where it is known: after an
/// overflow of the stack it is not.
pub fn fault(board: &mut impl Recover, place: impl FnOnce() -> u32) -> ! {
    if core_of_target::overflowed() {
        fail(board, Cause::StackOverflow, 0)
    }
    fail(board, Cause::Fault, place())
}

/// Makes the handlers of panics and faults of a board on hardware, the value of a type that implements
/// [`Recover`](zerda_firmware::recovery::Recover).
#[macro_export]
macro_rules! handlers {
    ($board:expr) => {
        #[panic_handler]
        fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
            $crate::panicked(&mut $board, info)
        }

        $crate::fault_handler!($board);
    };
}
