//! The protocol is what a host and a device say to each other during an update.
//!
//! # Requests
//!
//! The host sends requests, each with a number of its own choice: both encoded by postcard as one tuple, followed by the
//! CRC-32 (ISO-HDLC, little-endian) of these bytes, stuffed by COBS and ended by a zero byte, as telemetry is. A device
//! ignores what is damaged, so a host asks again where no answer comes: every request may come twice.
//!
//! # Answers
//!
//! The device answers on its telemetry line. `Report::Update` of `zerda-firmware` carries the bytes of [`Answer::encode`]:
//! the number of the request and the answer, encoded by postcard as one tuple.

use serde::{Deserialize, Serialize};

use crate::header::{Board, HEADER_BYTES};
use crate::{BLOCK, CRC, Refusal};

/// The most bytes that a request's content has: number, kind, length, header, checksum.
const MAX_CONTENT: usize = 16 + HEADER_BYTES;
/// The most bytes that a request's frame has, its zero included.
pub const MAX_FRAME: usize = MAX_CONTENT + 2;
/// The most bytes that an answer has.
pub const MAX_ANSWER: usize = 32;
/// The number of bytes that a frame's CRC takes.
const CRC_BYTES: usize = 4;

const _: () = assert!(BLOCK <= HEADER_BYTES);

/// Something that the host asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Request<'a> {
    /// Asks what the device runs: [`Answer::Status`].
    Status,
    /// Begins an update, or goes on with it; the answer says where.
    Begin {
        /// Holds the header of the update.
        header: &'a [u8],
    },
    /// Sends a block of the image.
    Block {
        /// The offset that the block has in the image, in bytes.
        offset: u32,
        /// The bytes of the block, [`BLOCK`] of them unless it is the last.
        bytes: &'a [u8],
    },
    /// Ends the update: the image is verified, and the next start tries it.
    Finish,
}

impl Request<'_> {
    /// Returns the frame of this request, or `None` if it is longer than any may be.
    pub fn frame<'b>(&self, number: u16, buffer: &'b mut [u8; MAX_FRAME]) -> Option<&'b [u8]> {
        let mut content = [0; MAX_CONTENT];
        let room = content.get_mut(..MAX_CONTENT - CRC_BYTES)?;
        let length = postcard::to_slice(&(number, self), room).ok()?.len();
        let (body, rest) = content.split_at_mut_checked(length)?;
        *rest.first_chunk_mut()? = CRC.checksum(body).to_le_bytes();
        let content = content.get(..length + CRC_BYTES)?;
        let length = cobs::try_encode(content, buffer.get_mut(..MAX_FRAME - 1)?).ok()?;
        // The buffer may hold an older frame.
        *buffer.get_mut(length)? = 0;
        buffer.get(..=length)
    }
}

/// Holds what a device answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Answer {
    /// Says what the device runs.
    Status(Status),
    /// Says which block comes next.
    Expects {
        /// The offset in the image, in bytes; its length where all is there.
        offset: u32,
    },
    /// The image was verified, and the device starts again to try it.
    Ready {
        /// The version that the image has.
        version: u32,
    },
    /// The update, or a part of it, is not taken.
    Refused(Refusal),
}

/// Says what a device runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The board that the device is.
    pub board: Board,
    /// The version that is confirmed.
    pub version: u32,
    /// The version that is on trial, or will be at the next start.
    pub trial: Option<u32>,
}

impl Answer {
    /// Returns the bytes of this answer to the request of this number.
    pub fn encode<'b>(&self, number: u16, buffer: &'b mut [u8; MAX_ANSWER]) -> &'b [u8] {
        let encoded = postcard::to_slice(&(number, self), buffer);
        encoded.map_or(&[], |bytes| &*bytes)
    }

    /// Reads an answer and the number of its request; `None` if this version does not know it.
    pub fn decode(bytes: &[u8]) -> Option<(u16, Self)> {
        match postcard::take_from_bytes(bytes) {
            Ok((answer, [])) => Some(answer),
            _ => None,
        }
    }
}

/// Reads requests byte by byte.
#[derive(Debug)]
pub struct Decoder {
    cobs: cobs::DecoderState,
    content: [u8; MAX_CONTENT],
    /// Counts the bytes of the content so far, including those that do not fit.
    length: usize,
}

impl Decoder {
    /// Makes a decoder that waits for the first byte of a frame.
    pub const fn new() -> Self {
        Self {
            cobs: cobs::DecoderState::Idle,
            content: [0; MAX_CONTENT],
            length: 0,
        }
    }

    /// Takes the next byte of the line, and at the end of a whole frame returns its number and request.
    pub fn push(&mut self, byte: u8) -> Option<(u16, Request<'_>)> {
        match self.cobs.feed(byte) {
            Ok(cobs::DecodeResult::NoData) => None,
            Ok(cobs::DecodeResult::DataContinue(byte)) => {
                if let Some(slot) = self.content.get_mut(self.length) {
                    *slot = byte;
                }
                self.length = self.length.saturating_add(1);
                None
            }
            Ok(cobs::DecodeResult::DataComplete) => {
                let length = core::mem::take(&mut self.length);
                let content = self.content.get(..length)?;
                let (content, crc) = content.split_last_chunk::<CRC_BYTES>()?;
                if CRC.checksum(content) != u32::from_le_bytes(*crc) {
                    return None;
                }
                match postcard::take_from_bytes(content) {
                    Ok((request, [])) => Some(request),
                    _ => None,
                }
            }
            Err(_) => {
                self.length = 0;
                None
            }
        }
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}
