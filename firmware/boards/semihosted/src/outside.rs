//! LEDs and the serial line are reached through what the machine has.

use core::convert::Infallible;
use core::marker::PhantomData;

use embedded_hal::digital::{self, OutputPin};
use embedded_io::Write;

use crate::Machine;

/// A bit that lights one of the machine's LEDs.
pub struct Led<M>(pub M, pub u32);

impl<M> digital::ErrorType for Led<M> {
    type Error = Infallible;
}

impl<M: Machine> OutputPin for Led<M> {
    fn set_low(&mut self) -> Result<(), Infallible> {
        M::set_leds(M::leds() & !(1 << self.1));
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        M::set_leds(M::leds() | 1 << self.1);
        Ok(())
    }
}

/// Writes the telemetry to the serial line.
pub struct Uart<M>(PhantomData<M>);

impl<M: Machine> Uart<M> {
    pub fn new() -> Self {
        M::start_line();
        Self(PhantomData)
    }
}

impl<M> embedded_io::ErrorType for Uart<M> {
    type Error = Infallible;
}

impl<M: Machine> Write for Uart<M> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        for &byte in bytes {
            M::send(byte);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}
