//! What these boards do when they fail: they tell the person at the host and end, or, where a failure was asked for,
//! lower their LEDs, keep the reason and start again, as a product does.

use core::marker::PhantomData;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};

use semihosting::{eprintln, process};
use zerda_firmware::recovery::{Cause, Recover, Retained};

use crate::Machine;

/// Says whether a failure was asked for, so that the board starts again after it.
pub static EXPECTED: AtomicBool = AtomicBool::new(false);

/// The time, in ms, without a block of audio after which the watchdog bites.
pub const PATIENCE_MS: u32 = 2000;

/// A failure that was asked for.
#[derive(Clone, Copy)]
pub enum Fault {
    Panic,
    IllegalInstruction,
    Overflow,
    Image,
}

impl Fault {
    /// Returns the failure of a name, as `zerda qemu --fault` has them.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "panic" => Some(Self::Panic),
            "hardfault" => Some(Self::IllegalInstruction),
            "overflow" => Some(Self::Overflow),
            "image" => Some(Self::Image),
            _ => None,
        }
    }

    /// Lets the board fail, or damages its image.
    pub fn happen(self, image: &'static [u8]) {
        match self {
            Self::Panic => panic!("a panic was asked for"),
            Self::IllegalInstruction => processor::illegal_instruction(),
            Self::Overflow => panic!("{} calls did not overflow the stack", recurse(0)),
            Self::Image => flip_last_bit(image),
        }
    }
}

/// Damages an image as flash that ages does: behind the compiler's back. QEMU lets its boards write to their flash.
fn flip_last_bit(image: &'static [u8]) {
    if let Some(last) = image.last() {
        let damaged = *last ^ 1;
        // SAFETY: a byte is there, and the assembler's store is none that the compiler knows of. What it computed of the
        // image at build time it will not look up again; all else it reads.
        unsafe { processor::store(core::ptr::from_ref(last).addr(), damaged) }
    }
}

/// Takes the stack until it overflows: each of the calls takes a frame of some hundred bytes, a million of them megabytes.
#[inline(never)]
fn recurse(depth: u32) -> u32 {
    let frame = core::hint::black_box([depth; 64]);
    match depth {
        1_000_000.. => depth,
        _ => recurse(depth + 1).max(core::hint::black_box(frame)[0]),
    }
}

/// A board that fails.
pub struct Failing<M>(PhantomData<M>);

impl<M: Machine> Failing<M> {
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

impl<M: Machine> Recover for Failing<M> {
    fn lower_outputs(&mut self) {
        M::set_leds(0);
    }

    fn retained(&mut self) -> Retained {
        processor::retained()
    }

    fn retain(&mut self, words: Retained) {
        processor::retain(words);
    }

    fn reset(&mut self) {
        M::reset();
    }
}

/// Handles a panic: prints it, then restarts, or ends QEMU where no fault was expected.
pub fn panicked<M: Machine>(info: &PanicInfo<'_>) -> ! {
    eprintln!("{}", info);
    end_unless_expected();
    processor::panicked(&mut Failing::<M>::new(), info)
}

/// Handles a fault of the processor, at an address.
pub fn faulted<M: Machine>(address: impl Fn() -> u32) -> ! {
    eprintln!("a fault (HardFault) at {:#010x}", address());
    end_unless_expected();
    processor::fault(&mut Failing::<M>::new(), address)
}

/// Handles the interrupt by which the watchdog says that it was not fed.
pub fn starved<M: Machine>() -> ! {
    eprintln!("no audio was recognized for {} ms", PATIENCE_MS);
    failed::<M>(Cause::Watchdog, 0)
}

fn failed<M: Machine>(cause: Cause, place: u32) -> ! {
    end_unless_expected();
    processor::fail(&mut Failing::<M>::new(), cause, place)
}

fn end_unless_expected() {
    if !EXPECTED.load(Ordering::Relaxed) {
        process::exit(1);
    }
}
