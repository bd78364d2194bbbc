//! What these boards do when they fail: they tell the person at the host and end, or, where a failure was asked for,
//! lower their LEDs, keep the reason and start again, as a product does.

use core::marker::PhantomData;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};

use semihosting::{eprintln, process};
use zerda_firmware::recovery::{Cause, Recover, Retained};

use crate::{Machine, Register};

/// Says whether a failure was asked for, so that the board starts again after it.
pub static EXPECTED: AtomicBool = AtomicBool::new(false);

/// The time, in ms, without a block of audio after which the watchdog bites.
const PATIENCE_MS: u32 = 2000;

/// Registers of a CMSDK APB watchdog (Arm DDI 0479, table 4-10).
#[derive(Clone, Copy)]
pub struct Watchdog {
    load: Register,
    control: Register,
    clear: Register,
}

impl Watchdog {
    /// Names the registers of the watchdog at `address`.
    ///
    /// # Safety
    ///
    /// A CMSDK APB watchdog lies there on the machine that this runs on.
    pub const unsafe fn at(address: usize) -> Self {
        // SAFETY: such a watchdog has registers at these offsets.
        unsafe {
            Self {
                load: Register::at(address),
                control: Register::at(address + 0x08),
                clear: Register::at(address + 0x0C),
            }
        }
    }

    /// Starts to count at `hz`: at the end comes the NMI, and at the next end the reset.
    pub fn start(self, hz: u32) {
        const INTERRUPT_AND_RESET: u32 = 0b11;
        let ticks = u64::from(hz) * u64::from(PATIENCE_MS) / 1000;
        self.load.write(ticks as u32);
        self.control.write(INTERRUPT_AND_RESET);
    }

    /// Starts to count anew.
    pub fn feed(self) {
        self.clear.write(1);
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
        M::LEDS.write(0);
    }

    fn retained(&mut self) -> Retained {
        cortex::retained()
    }

    fn retain(&mut self, words: Retained) {
        cortex::retain(words);
    }

    fn reset(&mut self) {
        cortex_m::peripheral::SCB::sys_reset();
    }
}

/// Handles a panic: prints it, then restarts, or ends QEMU where no fault was expected.
pub fn panicked<M: Machine>(info: &PanicInfo<'_>) -> ! {
    eprintln!("{}", info);
    let line = info.location().map_or(0, |place| place.line());
    failed::<M>(Cause::Panic, line)
}

/// Handles a HardFault at an address.
pub fn faulted<M: Machine>(address: u32) -> ! {
    eprintln!("a fault (HardFault) at {:#010x}", address);
    failed::<M>(Cause::Fault, address)
}

/// Handles the interrupt by which the watchdog says that it was not fed.
pub fn starved<M: Machine>() -> ! {
    eprintln!("no audio was recognized for {} ms", PATIENCE_MS);
    failed::<M>(Cause::Watchdog, 0)
}

fn failed<M: Machine>(cause: Cause, place: u32) -> ! {
    if !EXPECTED.load(Ordering::Relaxed) {
        process::exit(1);
    }
    cortex::fail(&mut Failing::<M>::new(), cause, place)
}

/// Makes the handlers of a machine's program.
#[macro_export]
macro_rules! handlers {
    ($machine:ty) => {
        #[panic_handler]
        fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
            semihosted::panicked::<$machine>(info)
        }

        // SAFETY: it never returns to what it broke into, and shares nothing with it but device registers.
        #[cortex_m_rt::exception]
        unsafe fn HardFault(frame: &cortex_m_rt::ExceptionFrame) -> ! {
            semihosted::faulted::<$machine>(frame.pc())
        }

        // SAFETY: as above.
        #[cortex_m_rt::exception]
        unsafe fn NonMaskableInt() -> ! {
            semihosted::starved::<$machine>()
        }
    };
}
