//! This module has what QEMU's machine `virt` has, which no hardware is like.

use core::sync::atomic::{AtomicU32, Ordering};

use riscv::interrupt::{self, Interrupt};

use crate::{Machine, Register, Updates, capture, failing, starved};

/// Names QEMU's machine `virt`, which has all in the same place.
#[derive(Clone, Copy)]
pub struct Virt;

/// Holds the bits of the LEDs, which the machine lacks.
static LEDS: AtomicU32 = AtomicU32::new(0);
/// Counts the ticks until the watchdog bites, which the machine lacks, too: its timer's interrupt counts. Since it starts
/// at 0, and is counted down from 1, it does not bite before it is started.
static PATIENCE: AtomicU32 = AtomicU32::new(0);

const TICK_MS: u32 = 10;
const TICKS_OF_THE_TIMER: u64 = Virt::CLOCK_HZ as u64 / 1000 * TICK_MS as u64;

impl Virt {
    // SAFETY: the machine has a core-local interruptor there; its timer and what it is compared with have 64 bits.
    const TIME: [Register; 2] = unsafe { [Register::at(0x0200_BFF8), Register::at(0x0200_BFFC)] };
    // SAFETY: as above.
    const COMPARE: [Register; 2] =
        unsafe { [Register::at(0x0200_4000), Register::at(0x0200_4004)] };
    // SAFETY: a device that resets the machine lies there.
    const TEST: Register = unsafe { Register::at(0x0010_0000) };
    /// The transmitter of a 16550 UART, whose registers have a byte each, and its receiver.
    const TRANSMITTER: *mut u8 = 0x1000_0000 as *mut u8;
    /// Has its lowest bit set while a byte is received.
    const LINE_STATUS: *mut u8 = 0x1000_0005 as *mut u8;

    fn now() -> u64 {
        let [low, high] = Self::TIME;
        loop {
            let before = high.read();
            let time = u64::from(before) << 32 | u64::from(low.read());
            if high.read() == before {
                return time;
            }
        }
    }

    /// Asks for the next interrupt.
    fn next_tick() {
        let at = Self::now() + TICKS_OF_THE_TIMER;
        let [low, high] = Self::COMPARE;
        // In between it must not lie in the past.
        high.write(u32::MAX);
        low.write(at as u32);
        high.write((at >> 32) as u32);
    }
}

impl Machine for Virt {
    const CLOCK_HZ: u32 = 10_000_000;
    const UPDATES: Option<Updates> = None;

    fn start_counter() {}

    fn counter() -> u32 {
        Self::TIME[0].read()
    }

    fn start_line() {}

    fn send(byte: u8) {
        // SAFETY: the register is there; QEMU takes each byte at once.
        unsafe { Self::TRANSMITTER.write_volatile(byte) }
    }

    fn receive() -> Option<u8> {
        // SAFETY: the registers are there.
        let there = unsafe { Self::LINE_STATUS.read_volatile() } & 1 != 0;
        // SAFETY: as above.
        there.then(|| unsafe { Self::TRANSMITTER.read_volatile() })
    }

    fn leds() -> u32 {
        LEDS.load(Ordering::Relaxed)
    }

    fn set_leds(leds: u32) {
        LEDS.store(leds, Ordering::Relaxed);
    }

    fn start_ticks() {
        Self::next_tick();
        // SAFETY: no critical section is open in `main`, which starts this.
        unsafe {
            interrupt::enable_interrupt(Interrupt::MachineTimer);
            interrupt::enable();
        }
    }

    fn start_watchdog() {
        Self::feed_watchdog();
    }

    fn feed_watchdog() {
        PATIENCE.store(failing::PATIENCE_MS / TICK_MS, Ordering::Relaxed);
    }

    fn reset() {
        const RESET: u32 = 0x7777;
        Self::TEST.write(RESET);
    }
}

#[riscv_rt::core_interrupt(Interrupt::MachineTimer)]
fn tick() {
    Virt::next_tick();
    capture();
    let patience = PATIENCE.load(Ordering::Relaxed);
    PATIENCE.store(patience.saturating_sub(1), Ordering::Relaxed);
    if patience == 1 {
        starved::<Virt>();
    }
}

/// Handles all exceptions: each is a fault.
#[unsafe(export_name = "ExceptionHandler")]
fn exception(_: &riscv_rt::TrapFrame) -> ! {
    crate::faulted::<Virt>(processor::exception_address)
}

/// Makes the handler of a machine's panics; those of its exceptions and its timer are there already.
#[macro_export]
macro_rules! handlers {
    ($machine:ty) => {
        #[panic_handler]
        fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
            semihosted::panicked::<$machine>(info)
        }
    };
}
