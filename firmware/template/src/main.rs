//! This product raises a pin for a second when somebody says "yes".
#![no_std]
#![no_main]

mod board;

use board::Board;
use cortex_m as _; // the critical section
use cortex_m_rt::entry;
use embedded_hal::digital::OutputPin;
use zerda_firmware::audio::{AudioSource, BLOCK};
use zerda_firmware::{Aligned, Image, Memory, Recognizer, memory_bytes};

/// The model, in flash.
static IMAGE: &Aligned<[u8]> = &Aligned(*include_bytes!("../zerda/models/shrunk.zerda"));
/// The RAM that the model needs, in bytes: a constant.
const MEMORY: usize = memory_bytes(&IMAGE.0);

/// The word that raises the pin. `zerda inspect` lists those that the model knows.
const COMMAND: &str = "yes";
/// The samples for which the pin stays high, of 16,000 a second.
const HOLD: usize = 16_000;

#[entry]
fn main() -> ! {
    // What `#[entry]` sees here it hands over as a reference.
    static mut MEMORY_OF_MODEL: Memory<MEMORY> = Memory::new();

    let Board {
        mut microphone,
        mut pin,
    } = Board::new();
    let image = Image::parse(&IMAGE.0).expect("an image that zerda compiled");
    let mut recognizer = Recognizer::new(&image, MEMORY_OF_MODEL).expect("memory for it");
    let mut samples = [0; BLOCK];
    let mut held = 0;
    loop {
        // Up to 10 ms of audio. Where the microphone lost some, what follows is another stream.
        let count = microphone.read(&mut samples);
        if microphone.lost() > 0 {
            recognizer.reset();
        }
        recognizer.push(&samples[..count], |detection| {
            if image.command(detection.command) == Some(COMMAND) {
                held = HOLD;
            }
        });
        let _ = pin.set_state((held > 0).into());
        held = held.saturating_sub(count);
    }
}
