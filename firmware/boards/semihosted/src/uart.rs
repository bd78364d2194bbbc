//! The CMSDK APB UART of Arm's FPGA boards transmits the telemetry.

use core::convert::Infallible;
use core::marker::PhantomData;

use embedded_io::{ErrorType, Write};

use crate::{Machine, Register};

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
}

const TRANSMIT_BUFFER_FULL: u32 = 1;
const TRANSMIT_ENABLE: u32 = 1;
const BAUD: u32 = 115_200;

/// Writes the telemetry to the serial line.
pub struct Uart<M>(PhantomData<M>);

impl<M: Machine> Uart<M> {
    pub fn new() -> Self {
        M::UART.bauddiv.write(M::CLOCK_HZ / BAUD);
        M::UART.ctrl.write(TRANSMIT_ENABLE);
        Self(PhantomData)
    }
}

impl<M> ErrorType for Uart<M> {
    type Error = Infallible;
}

impl<M: Machine> Write for Uart<M> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        for &byte in bytes {
            while M::UART.state.read() & TRANSMIT_BUFFER_FULL != 0 {}
            M::UART.data.write(byte.into());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}
