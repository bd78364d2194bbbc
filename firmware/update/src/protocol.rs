//! The protocol is what a host and a device say to each other during an update.
//!
//! Requests and answers are encoded by postcard. On Zerda's line they are carried by `Request::Update` and
//! `Answer::Update` of `zerda-firmware`, in numbered frames with a checksum. A host asks again where no answer comes:
//! every request may come twice.

use serde::{Deserialize, Serialize};

use crate::header::{Board, HEADER_BYTES};
use crate::{BLOCK, Refusal};

/// The most bytes that a request has: kind, length, header.
pub const MAX_REQUEST: usize = 8 + HEADER_BYTES;
/// The most bytes that an answer has.
pub const MAX_ANSWER: usize = 32;

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

impl<'a> Request<'a> {
    /// Returns the bytes of this request, or `None` if there are more than any may have.
    pub fn encode<'b>(&self, buffer: &'b mut [u8; MAX_REQUEST]) -> Option<&'b [u8]> {
        postcard::to_slice(self, buffer).ok().map(|bytes| &*bytes)
    }

    /// Reads a request; `None` if this version does not know it.
    pub fn decode(bytes: &'a [u8]) -> Option<Self> {
        match postcard::take_from_bytes(bytes) {
            Ok((request, [])) => Some(request),
            _ => None,
        }
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
    /// Returns the bytes of this answer.
    pub fn encode<'b>(&self, buffer: &'b mut [u8; MAX_ANSWER]) -> &'b [u8] {
        let encoded = postcard::to_slice(self, buffer);
        encoded.map_or(&[], |bytes| &*bytes)
    }

    /// Reads an answer; `None` if this version does not know it.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        match postcard::take_from_bytes(bytes) {
            Ok((answer, [])) => Some(answer),
            _ => None,
        }
    }
}
