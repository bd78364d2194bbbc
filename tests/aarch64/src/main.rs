//! Tries all kernels for AArch64 that the target has, on the cases on which those of a board are tried, and hears a
//! sample with each: one line of standard output for each of them. Built and run by `tests/aarch64.rs`.
#![no_std]
#![no_main]

use core::arch::global_asm;

use crc::{CRC_32_ISO_HDLC, Crc};
use semihosting::{println, process};
use zerda_firmware::kernels::Kernels;
use zerda_firmware::kernels::cases::check;
use zerda_firmware::kernels::choice::available;
use zerda_firmware::step::Cpu;
use zerda_firmware::{Aligned, Event, Image, Memory, Recognizer, memory_bytes};

global_asm!(include_str!("start.s"));

static IMAGE: &Aligned<[u8]> = &Aligned(*include_bytes!("../../../models/shrunk.zerda"));
/// The sample's WAV header takes this many bytes.
const HEADER: usize = 44;
static SAMPLE: &[u8] = include_bytes!("../../../models/samples/answers.wav");

#[unsafe(no_mangle)]
extern "C" fn main() -> ! {
    for kernels in available() {
        let cases = check(kernels).unwrap_or_else(|mismatch| panic!("{mismatch}"));
        assert!(cases > 500, "{cases} cases");
        println!("{}: logits {:08x}", kernels.name, logits(kernels));
    }
    process::exit(0)
}

/// Returns the CRC-32 of all logits of the sample.
fn logits(kernels: &'static Kernels) -> u32 {
    let image = Image::parse(&IMAGE.0).expect("the shipped image");
    let mut memory = Memory::<{ memory_bytes(&IMAGE.0) }>::new();
    let cpu = Cpu::with(kernels);
    let mut recognizer = Recognizer::with_step(&image, &mut memory, cpu).expect("memory for it");
    const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);
    let mut digest = CRC.digest();
    for sample in SAMPLE[HEADER..].as_chunks::<2>().0 {
        recognizer.push_events(&[i16::from_le_bytes(*sample)], |event| {
            if let Event::Step { logits, .. } = event {
                for &logit in logits {
                    digest.update(&[logit as u8]);
                }
            }
        });
    }
    digest.finalize()
}
