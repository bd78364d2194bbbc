//! A frame carries a numbered message over a serial line: reports of the device, and requests of the host.
//!
//! A number (u16) and the message are encoded by postcard as one tuple, followed by the CRC-32 (ISO-HDLC, little-endian) of
//! these bytes. All of it is stuffed by COBS (consistent overhead byte stuffing) and ended by a zero byte. A receiver can
//! begin to listen at any time, and loses no more than the frame that was damaged.

use heapless::Vec;
use serde::{Deserialize, Serialize};

use crate::crc::{CRC, update};

/// The number of bytes that a frame's CRC takes.
const CRC_BYTES: usize = 4;

/// Returns the frame of a message, or `None` if it is longer than `N` bytes, its zero included.
pub fn encode<const N: usize>(number: u16, message: &impl Serialize) -> Option<Vec<u8, N>> {
    const { assert!(N < 255, "a run of COBS would need to be split") };
    let mut buffer = [0; N];
    let length = postcard::to_slice(&(number, message), &mut buffer)
        .ok()?
        .len();
    let (content, rest) = buffer.split_at_mut_checked(length)?;
    let mut sum = CRC.digest();
    update(&mut sum, content);
    *rest.first_chunk_mut()? = sum.finalize().to_le_bytes();
    let content = buffer.get(..length + CRC_BYTES)?;
    let mut frame = Vec::new();
    for run in content.split(|&byte| byte == 0) {
        frame.push(run.len() as u8 + 1).ok()?;
        frame.extend_from_slice(run).ok()?;
    }
    frame.push(0).ok()?;
    Some(frame)
}

/// Says why a frame cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum FrameError {
    /// The frame is longer than any.
    TooLong,
    /// The frame is not COBS.
    Stuffing,
    /// The checksum of the frame does not fit, or it is no message that this version knows.
    Content,
}

impl core::fmt::Display for FrameError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::TooLong => "longer than any frame",
            Self::Stuffing => "not COBS",
            Self::Content => "its checksum does not fit, or it is of an unknown kind",
        })
    }
}

impl core::error::Error for FrameError {}

/// Reads frames of at most `N` bytes, byte by byte.
#[derive(Clone, Debug)]
pub struct Decoder<const N: usize> {
    buffer: [u8; N],
    /// Counts the bytes of the frame so far, including those that do not fit.
    length: usize,
    /// Says whether the frame was handed out.
    done: bool,
}

impl<const N: usize> Decoder<N> {
    /// Makes a decoder that waits for the first byte of a frame.
    pub const fn new() -> Self {
        Self {
            buffer: [0; N],
            length: 0,
            done: false,
        }
    }

    /// Takes the next byte of the line. At the end of a frame it returns the frame's number and message, or why it cannot
    /// be read. Zeros without anything between them are no frame.
    pub fn push<'m, M: Deserialize<'m>>(
        &'m mut self,
        byte: u8,
    ) -> Option<Result<(u16, M), FrameError>> {
        if core::mem::take(&mut self.done) {
            self.length = 0;
        }
        if byte != 0 {
            if let Some(slot) = self.buffer.get_mut(self.length) {
                *slot = byte;
            }
            self.length = self.length.saturating_add(1);
            return None;
        }
        self.done = true;
        if self.length == 0 {
            return None;
        }
        let Some(frame) = self.buffer.get_mut(..self.length) else {
            return Some(Err(FrameError::TooLong));
        };
        let Some(length) = unstuff(frame) else {
            return Some(Err(FrameError::Stuffing));
        };
        let bytes = frame.get(..length).unwrap_or_default();
        Some(parse(bytes).ok_or(FrameError::Content))
    }
}

impl<const N: usize> Default for Decoder<N> {
    fn default() -> Self {
        Self::new()
    }
}

/// Returns the content of a frame, if its checksum fits.
fn parse<'m, M: Deserialize<'m>>(bytes: &'m [u8]) -> Option<(u16, M)> {
    let (content, crc) = bytes.split_last_chunk::<CRC_BYTES>()?;
    let mut sum = CRC.digest();
    update(&mut sum, content);
    if sum.finalize() != u32::from_le_bytes(*crc) {
        return None;
    }
    match postcard::take_from_bytes(content) {
        Ok((message, [])) => Some(message),
        _ => None,
    }
}

/// Turns COBS back into plain bytes, in place, and returns how many there are; `None` if it is not COBS.
fn unstuff(frame: &mut [u8]) -> Option<usize> {
    let (mut from, mut to) = (0, 0);
    while let Some(&code) = frame.get(from) {
        from += 1;
        for _ in 1..code {
            *frame.get_mut(to)? = *frame.get(from)?;
            (from, to) = (from + 1, to + 1);
        }
        if code == 0 {
            return None;
        }
        if from < frame.len() && code < u8::MAX {
            *frame.get_mut(to)? = 0;
            to += 1;
        }
    }
    Some(to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn stuffing_equals_that_of_the_cobs_crate() {
        for zeros in 0..1u32 << 10 {
            let plain: Vec<u8> = (0..10).map(|bit| (zeros >> bit & 1) as u8 * 9).collect();
            let mut stuffed = cobs::encode_vec(&plain);
            let length = unstuff(&mut stuffed).unwrap();
            assert_eq!(stuffed[..length], plain);
        }
    }
}
