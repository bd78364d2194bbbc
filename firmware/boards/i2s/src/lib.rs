//! This crate has what boards with a microphone that speaks I2S share, such as INMP441, ICS-43434 or SPH0645.
#![no_std]

use core::cell::Cell;

use zerda_firmware::audio::{AudioSource, BLOCK};

/// The words of a buffer that DMA fills: the microphone's slots of 32 bits, one a sample.
pub type Words = [u32; BLOCK];

/// The gain that is added, in bits: 24 dB. These microphones reach full scale at 120 dB SPL, far above
/// speech, which is about 60 dB SPL at 1 m: that becomes -36 dBFS, and 96 dB SPL, a shout nearby, clips.
const GAIN_BITS: u32 = 4;

/// Makes a sample of the 24 bits of the microphone, which are the highest of a slot's 32.
fn sample(word: u32) -> i16 {
    let amplified = word.cast_signed() >> (16 - GAIN_BITS);
    amplified.clamp(i16::MIN.into(), i16::MAX.into()) as i16
}

/// Holds what a task received last, until it is captured.
#[derive(Default)]
pub struct Received {
    samples: Cell<Option<[i16; BLOCK]>>,
    lost: Cell<u32>,
}

impl Received {
    /// Takes what DMA brought.
    pub fn take(&self, words: &Words) {
        self.samples.set(Some(words.map(sample)));
    }

    /// Says that samples were lost before what comes next.
    pub fn lose(&self, samples: usize) {
        self.lost
            .set(self.lost.get().saturating_add(samples as u32));
    }
}

impl AudioSource for &Received {
    fn read(&mut self, samples: &mut [i16; BLOCK]) -> usize {
        self.samples.take().map_or(0, |read| {
            *samples = read;
            BLOCK
        })
    }

    fn lost(&mut self) -> u32 {
        self.lost.take()
    }
}
