//! The board: a microphone and a pin. Yours replaces this file, and says in `memory.x` where its flash and RAM are. This one is
//! QEMU's `mps2-an386`, a Cortex-M4F, on which the microphone is a recording and the pin is told on the terminal.

use core::convert::Infallible;

use embedded_hal::digital::{ErrorType, OutputPin};
use semihosting::{println, process};
use zerda_firmware::audio::{AudioSource, BLOCK};

/// What the product has.
pub struct Board {
    pub microphone: Microphone,
    pub pin: Pin,
}

impl Board {
    /// Sets clocks, microphone and pin up.
    pub fn new() -> Self {
        let recording = include_bytes!("../zerda/models/samples/answers.wav");
        let (_header, samples) = recording.split_at(44);
        let (samples, _) = samples.as_chunks();
        Self {
            microphone: Microphone { samples },
            pin: Pin { high: false },
        }
    }
}

/// A microphone of 16 kHz, mono, 16 bit: on a product the blocks that I2S or PDM brought by DMA.
pub struct Microphone {
    samples: &'static [[u8; 2]],
}

impl AudioSource for Microphone {
    fn read(&mut self, samples: &mut [i16; BLOCK]) -> usize {
        let count = BLOCK.min(self.samples.len());
        if count == 0 {
            println!("the recording is over");
            process::exit(0);
        }
        let (now, later) = self.samples.split_at(count);
        for (slot, &sample) in samples.iter_mut().zip(now) {
            *slot = i16::from_le_bytes(sample);
        }
        self.samples = later;
        count
    }
}

/// A pin that says when it changes.
pub struct Pin {
    high: bool,
}

impl ErrorType for Pin {
    type Error = Infallible;
}

impl OutputPin for Pin {
    fn set_low(&mut self) -> Result<(), Infallible> {
        if core::mem::take(&mut self.high) {
            println!("the pin is low");
        }
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        if !core::mem::replace(&mut self.high, true) {
            println!("the pin is high");
        }
        Ok(())
    }
}
