//! The CMSDK APB UART of Arm's FPGA boards transmits the telemetry.

use core::convert::Infallible;
use core::marker::PhantomData;

use embedded_io::{ErrorType, Write};

use crate::{Machine, read, write};

/// Holds the offsets of the registers in bytes (Arm DDI 0479, table 4-1).
mod register {
    pub const DATA: usize = 0x00;
    pub const STATE: usize = 0x04;
    pub const CTRL: usize = 0x08;
    pub const BAUDDIV: usize = 0x10;
}

const TRANSMIT_BUFFER_FULL: u32 = 1;
const TRANSMIT_ENABLE: u32 = 1;
const BAUD: u32 = 115_200;

/// Writes the telemetry to the serial line.
pub struct Uart<M>(PhantomData<M>);

impl<M: Machine> Uart<M> {
    pub fn new() -> Self {
        write(M::UART + register::BAUDDIV, M::CLOCK_HZ / BAUD);
        write(M::UART + register::CTRL, TRANSMIT_ENABLE);
        Self(PhantomData)
    }
}

impl<M> ErrorType for Uart<M> {
    type Error = Infallible;
}

impl<M: Machine> Write for Uart<M> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        for &byte in bytes {
            while read(M::UART + register::STATE) & TRANSMIT_BUFFER_FULL != 0 {}
            write(M::UART + register::DATA, byte.into());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}
