//! The header of an update says what the image behind it is and for whom, and is signed.
//!
//! # Format, version 1
//!
//! All integers are little-endian. An update is a header and, behind it, the image that it tells of.
//!
//! | bytes | field | |
//! |---|---|---|
//! | 0..4 | magic | `ZUPD` |
//! | 4..6 | format version | 1 |
//! | 6..8 | header length | 160 |
//! | 8..12 | version | of the image; a device never goes back to a lower one |
//! | 12..16 | length | of the image, in bytes |
//! | 16..24 | board | the first 8 bytes of the SHA-512 of the board's name |
//! | 24..32 | reserved | 0 |
//! | 32..96 | digest | SHA-512 of the image |
//! | 96..160 | signature | Ed25519 (RFC 8032) of bytes 0..96 |
//!
//! The signature covers the image by its digest. So a device checks the signature before anything is erased, and the
//! image as a stream, wherever it lies.

use core::ops::Range;

use serde::{Deserialize, Serialize};

use crate::Refusal;
use crate::key::Key;

/// The number of bytes that the header takes.
pub const HEADER_BYTES: usize = 160;
/// Holds the four bytes that an update starts with.
pub const MAGIC: [u8; 4] = *b"ZUPD";
/// The one format version that this crate reads.
pub const FORMAT: u16 = 1;

/// Says where the header's fields lie: each constant is a range of its bytes.
pub mod field {
    use core::ops::Range;

    /// Holds the bytes of [`super::MAGIC`].
    pub const MAGIC: Range<usize> = 0..4;
    /// Holds the format version, a u16.
    pub const FORMAT: Range<usize> = 4..6;
    /// Holds the length of the header in bytes, a u16.
    pub const HEADER_LENGTH: Range<usize> = 6..8;
    /// Holds the version of the image, a u32.
    pub const VERSION: Range<usize> = 8..12;
    /// Holds the length of the image in bytes, a u32.
    pub const LENGTH: Range<usize> = 12..16;
    /// Holds the board's [`super::Board`].
    pub const BOARD: Range<usize> = 16..24;
    /// Holds zeros, since these bytes are reserved.
    pub const RESERVED: Range<usize> = 24..32;
    /// Holds the SHA-512 of the image.
    pub const DIGEST: Range<usize> = 32..96;
    /// Holds the bytes that are signed.
    pub const SIGNED: Range<usize> = 0..96;
    /// Holds the Ed25519 signature of [`SIGNED`].
    pub const SIGNATURE: Range<usize> = 96..160;
}

/// Names a board by the first 8 bytes of the SHA-512 of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Board(pub [u8; 8]);

impl Board {
    /// Returns the board of this name, which is that of its folder.
    pub fn named<K: Key>(name: &str) -> Self {
        let mut hash = K::Hash::default();
        K::absorb(&mut hash, name.as_bytes());
        Self(*K::digest(hash).first_chunk().unwrap_or(&[0; 8]))
    }
}

/// Holds what a header says of the image behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The version that the image has.
    pub version: u32,
    /// The length that the image has, in bytes.
    pub length: u32,
    /// The board that the image is for.
    pub board: Board,
    /// Holds the SHA-512 of the image.
    pub digest: [u8; 64],
}

impl Header {
    /// Reads a header without looking at its signature.
    ///
    /// # Errors
    ///
    /// Returns [`Refusal::NotAnUpdate`] or [`Refusal::Format`] if it is none of this format.
    pub fn parse(bytes: &[u8; HEADER_BYTES]) -> Result<Self, Refusal> {
        if bytes.get(field::MAGIC) != Some(&MAGIC) {
            return Err(Refusal::NotAnUpdate);
        }
        let found = u16::from_le_bytes(array(bytes, field::FORMAT));
        let length = u16::from_le_bytes(array(bytes, field::HEADER_LENGTH));
        let reserved: [u8; 8] = array(bytes, field::RESERVED);
        if found != FORMAT || usize::from(length) != HEADER_BYTES || reserved != [0; 8] {
            return Err(Refusal::Format { found });
        }
        Ok(Self {
            version: u32::from_le_bytes(array(bytes, field::VERSION)),
            length: u32::from_le_bytes(array(bytes, field::LENGTH)),
            board: Board(array(bytes, field::BOARD)),
            digest: array(bytes, field::DIGEST),
        })
    }

    /// Reads a header that `key` signed for `board`.
    ///
    /// # Errors
    ///
    /// Returns a [`Refusal`] if it is no header, or signed by another key, or made for another board.
    pub fn verify<K: Key>(
        bytes: &[u8; HEADER_BYTES],
        key: &K,
        board: Board,
    ) -> Result<Self, Refusal> {
        let header = Self::parse(bytes)?;
        let signed: [u8; 96] = array(bytes, field::SIGNED);
        if !key.signed(&signed, &array(bytes, field::SIGNATURE)) {
            return Err(Refusal::Signature);
        }
        if header.board != board {
            return Err(Refusal::Board);
        }
        Ok(header)
    }

    /// Returns the bytes that are signed.
    pub fn signed_bytes(&self) -> [u8; 96] {
        let mut bytes = [0; 96];
        let length = (HEADER_BYTES as u16).to_le_bytes();
        for (at, value) in [
            (field::MAGIC, &MAGIC[..]),
            (field::FORMAT, &FORMAT.to_le_bytes()),
            (field::HEADER_LENGTH, &length),
            (field::VERSION, &self.version.to_le_bytes()),
            (field::LENGTH, &self.length.to_le_bytes()),
            (field::BOARD, &self.board.0),
            (field::DIGEST, &self.digest),
        ] {
            for (slot, byte) in bytes.get_mut(at).unwrap_or_default().iter_mut().zip(value) {
                *slot = *byte;
            }
        }
        bytes
    }
}

/// Returns a field of a header; each has the length that is asked for.
fn array<const N: usize>(bytes: &[u8; HEADER_BYTES], at: Range<usize>) -> [u8; N] {
    let field = bytes.get(at).and_then(|field| field.first_chunk());
    *field.unwrap_or(&[0; N])
}
