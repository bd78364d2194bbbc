//! This module has what Arm's FPGA boards (MPS2, MPS3) have in common: their blocks lie at other addresses on each.

use cortex_m::peripheral::SCB;
use cortex_m_rt::exception;

use crate::failing::PATIENCE_MS;
use crate::{Machine, Register, Updates, capture};

/// Names where a board of Arm's has its blocks.
pub trait Mps: Copy + 'static {
    /// The rate at which [`Mps::counter`] counts and the processor runs, in Hz of virtual time.
    const CLOCK_HZ: u32;
    /// The CMSDK APB UART that is QEMU's first serial port.
    const UART: UartRegisters;
    /// The FPGAIO block's register of LEDs.
    const LEDS: Register;
    /// The watchdog resets the machine unless audio feeds it.
    const WATCHDOG: Watchdog;
    /// The rate at which the watchdog counts, in Hz.
    const WATCHDOG_HZ: u32;
    /// Says how the image is updated, if it is.
    const UPDATES: Option<Updates> = None;
    /// Starts the counter that [`Mps::counter`] reads.
    fn start_counter();
    /// Returns a counter that runs freely at [`Mps::CLOCK_HZ`].
    fn counter() -> u32;
}

const BAUD: u32 = 115_200;

impl<M: Mps> Machine for M {
    const CLOCK_HZ: u32 = M::CLOCK_HZ;
    const UPDATES: Option<Updates> = M::UPDATES;

    fn start_counter() {
        <M as Mps>::start_counter();
    }

    fn counter() -> u32 {
        <M as Mps>::counter()
    }

    fn start_line() {
        M::UART.start(<M as Mps>::CLOCK_HZ / BAUD);
    }

    fn send(byte: u8) {
        M::UART.send(byte);
    }

    fn receive() -> Option<u8> {
        M::UART.receive()
    }

    fn leds() -> u32 {
        M::LEDS.read()
    }

    fn set_leds(leds: u32) {
        M::LEDS.write(leds);
    }

    fn start_ticks() {
        if let Some(mut peripherals) = cortex_m::Peripherals::take() {
            processor::start_ticks(&mut peripherals.SYST, <M as Mps>::CLOCK_HZ, 10);
        }
    }

    fn start_watchdog() {
        let ticks = u64::from(M::WATCHDOG_HZ) * u64::from(PATIENCE_MS) / 1000;
        M::WATCHDOG.start(ticks as u32);
    }

    fn feed_watchdog() {
        M::WATCHDOG.feed();
    }

    fn reset() {
        SCB::sys_reset();
    }
}

#[exception]
fn SysTick() {
    capture();
}

/// Holds the registers of a CMSDK APB UART.
#[derive(Clone, Copy)]
pub struct UartRegisters {
    data: Register,
    state: Register,
    ctrl: Register,
    bauddiv: Register,
}

impl UartRegisters {
    /// Names the registers of the UART at `address`.
    ///
    /// # Safety
    ///
    /// A CMSDK APB UART lies there on the machine that this runs on.
    pub const unsafe fn at(address: usize) -> Self {
        // SAFETY: such a UART has registers at these offsets (Arm DDI 0479, table 4-1).
        unsafe {
            Self {
                data: Register::at(address),
                state: Register::at(address + 0x04),
                ctrl: Register::at(address + 0x08),
                bauddiv: Register::at(address + 0x10),
            }
        }
    }

    /// Readies it, with a clock that is divided by `divider`.
    fn start(self, divider: u32) {
        const TRANSMIT_AND_RECEIVE: u32 = 0b11;
        self.bauddiv.write(divider);
        self.ctrl.write(TRANSMIT_AND_RECEIVE);
    }

    /// Returns a byte that was received, if there is one.
    fn receive(self) -> Option<u8> {
        const RECEIVE_BUFFER_FULL: u32 = 1 << 1;
        let there = self.state.read() & RECEIVE_BUFFER_FULL != 0;
        there.then(|| self.data.read() as u8)
    }

    /// Sends a byte once there is room for it.
    fn send(self, byte: u8) {
        const TRANSMIT_BUFFER_FULL: u32 = 1;
        while self.state.read() & TRANSMIT_BUFFER_FULL != 0 {}
        self.data.write(byte.into());
    }
}

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

    /// Starts to count so many ticks: at the end comes the NMI, and at the next end the reset.
    fn start(self, ticks: u32) {
        const INTERRUPT_AND_RESET: u32 = 0b11;
        self.load.write(ticks);
        self.control.write(INTERRUPT_AND_RESET);
    }

    /// Starts to count anew.
    fn feed(self) {
        self.clear.write(1);
    }
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
            semihosted::faulted::<$machine>(|| frame.pc())
        }

        // SAFETY: as above.
        #[cortex_m_rt::exception]
        unsafe fn NonMaskableInt() -> ! {
            semihosted::starved::<$machine>()
        }
    };
}
