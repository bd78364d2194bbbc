//! The image is read again and again while the device listens, and held against its checksum: flash loses bits as it ages,
//! and a write may go astray.

use embedded_hal::digital::OutputPin;
use embedded_io::Write;

use crate::crc::{CRC, Digest, update};
use crate::image::{Image, Problem, field};
use crate::step::Step;
use crate::telemetry::Report;

use super::{App, Processor, Refusal, count};

/// The number of bytes that are read with each block of audio. An image of 230 KB is read in 18 s.
const SLICE: usize = 128;

/// A check of the image that goes on for ever, slice by slice.
pub(super) struct Scrub<'a> {
    image: &'a [u8],
    /// Holds the checksum that the image had when it was parsed.
    pub(super) expected: u32,
    /// Sums up what was read of it in this round.
    digest: Digest,
    /// Holds the offset of the next slice.
    at: usize,
}

impl<'a> Scrub<'a> {
    /// Begins a first round over an image.
    pub fn new(image: &Image<'a>) -> Self {
        Self {
            image: image.bytes(),
            expected: image.checksum(),
            digest: CRC.digest(),
            at: 0,
        }
    }

    /// Reads the next slice. Returns false at the end of a round in which the image was not what it had been.
    pub fn finds_it_whole(&mut self) -> bool {
        let mut from = self.at;
        self.at = from.saturating_add(SLICE).min(self.image.len());
        if from == 0 {
            // The checksum lies in the first slice and is no part of itself.
            self.add(0, field::CHECKSUM.start);
            from = field::CHECKSUM.end;
        }
        self.add(from, self.at);
        if self.at < self.image.len() {
            return true;
        }
        self.at = 0;
        core::mem::replace(&mut self.digest, CRC.digest()).finalize() == self.expected
    }

    fn add(&mut self, from: usize, end: usize) {
        update(
            &mut self.digest,
            self.image.get(from..end).unwrap_or_default(),
        );
    }
}

impl<'a, S, P, T, C> App<'a, S, P, T, C>
where
    S: Step,
    P: OutputPin,
    T: Write,
    C: Processor,
{
    /// Lowers all outputs and reports what became of the image.
    pub(super) fn damaged(&mut self, problem: Problem) {
        #[cfg(feature = "defmt")]
        defmt::error!("the image is damaged: {}", problem);
        self.damage = Some(problem);
        for output in self.outputs.iter_mut() {
            output.until = None;
            count(&mut self.status.io_errors, output.pin.set_low().is_err());
        }
        self.report(Report::BadImage(problem));
    }

    /// Makes the application of a device whose image cannot be used of this one.
    pub(super) fn refuse(self, problem: Problem) -> Refusal<&'a mut P, T, C> {
        let Self {
            outputs,
            telemetry,
            processor,
            sequence,
            ..
        } = self;
        let led = outputs.last_mut().map(|output| &mut output.pin);
        Refusal::after(problem, led, telemetry, processor, sequence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_image::tiny;

    /// Returns what each slice of a round says, over an image with some bytes that was parsed with others.
    fn round(scrub: &mut Scrub<'_>) -> std::vec::Vec<bool> {
        let slices = scrub.image.len().div_ceil(SLICE);
        (0..slices).map(|_| scrub.finds_it_whole()).collect()
    }

    #[test]
    fn an_image_that_stays_as_it_is_is_found_whole_in_each_round() {
        let bytes = tiny(2);
        let mut scrub = Scrub::new(&Image::parse(bytes.get()).unwrap());
        for _ in 0..3 {
            assert!(round(&mut scrub).into_iter().all(|whole| whole));
        }
    }

    #[test]
    fn a_bit_that_flips_anywhere_but_in_the_checksum_is_found_at_the_end_of_the_round() {
        let bytes = tiny(2);
        let expected = Image::parse(bytes.get()).unwrap().checksum();
        for at in (0..bytes.get().len()).filter(|at| !field::CHECKSUM.contains(at)) {
            let mut damaged = bytes.clone();
            damaged.get_mut()[at] ^= 1 << (at % 8);
            let mut scrub = Scrub {
                image: damaged.get(),
                expected,
                digest: CRC.digest(),
                at: 0,
            };
            let said = round(&mut scrub);
            let (last, before) = said.split_last().unwrap();
            assert!(!last && before.iter().all(|&whole| whole), "byte {at}");
        }
    }
}
