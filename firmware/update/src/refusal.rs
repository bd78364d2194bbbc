//! A refusal says why a device does not take an update.

use core::fmt;

use serde::{Deserialize, Serialize};

/// Says why an update, or a part of it, is not taken. The image that was confirmed runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Refusal {
    /// The firmware was built without a public key.
    Off,
    /// The bytes are no header of an update.
    NotAnUpdate,
    /// The header has a format that this firmware does not read.
    Format {
        /// The format version that the header states.
        found: u16,
    },
    /// The header was not signed with the key that belongs to this firmware.
    Signature,
    /// The update was made for another board.
    Board,
    /// The update is not newer than the version that was confirmed.
    Old {
        /// The version that the update has.
        version: u32,
        /// The version that was confirmed.
        confirmed: u32,
    },
    /// The image is longer than a slot.
    TooLong {
        /// The bytes that the image has.
        length: u32,
        /// The bytes that a slot has for an image.
        room: u32,
    },
    /// An image is on trial, and its slot is not free before that is over.
    OnTrial {
        /// The version that is on trial.
        version: u32,
    },
    /// A part came before the header did, or after a restart.
    NotBegun,
    /// A part does not have the bytes that are missing next.
    Block,
    /// The update ended before all of its image was there.
    Truncated {
        /// The bytes of the image that are there.
        received: u32,
        /// The bytes that the header states.
        length: u32,
    },
    /// The image is not the one that was signed.
    Damaged,
    /// The image is the one that was signed, and yet this firmware cannot run it.
    Unusable,
    /// The flash failed to erase, write or read.
    Flash,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Off => f.write_str(
                "updates are off: the firmware was built without a public key (ZERDA_UPDATE_KEY)",
            ),
            Self::NotAnUpdate => f.write_str("is no update, expected what `zerda sign` writes"),
            Self::Format { found } => write!(
                f,
                "has format {found}, the firmware reads {}",
                crate::header::FORMAT
            ),
            Self::Signature => f.write_str(
                "is not signed with the key that belongs to the public one in the firmware",
            ),
            Self::Board => f.write_str("was signed for another board"),
            Self::Old { version, confirmed } => write!(
                f,
                "has version {version}, and {confirmed} is confirmed: sign it with a higher one"
            ),
            Self::TooLong { length, room } => write!(
                f,
                "has an image of {length} bytes, the board's slots have room for {room}"
            ),
            Self::OnTrial { version } => write!(
                f,
                "cannot be taken while version {version} is on trial: try again after 10 s of audio"
            ),
            Self::NotBegun => f.write_str("the device restarted meanwhile: send it again"),
            Self::Block => f.write_str("a part of it is not the one that was expected"),
            Self::Truncated { received, length } => {
                write!(f, "ends after {received} of {length} bytes")
            }
            Self::Damaged => f.write_str("holds another image than the one that was signed"),
            Self::Unusable => f.write_str(
                "holds an image that the firmware cannot run: of another format, or for more memory",
            ),
            Self::Flash => f.write_str("the board's flash failed to erase, write or read"),
        }
    }
}

impl core::error::Error for Refusal {}
