//! Zerda's updates replace the image of a device, in the field, and survive a power cut at any time.
//!
//! An image is signed ([`header`]), has a version that never goes back, and comes over the telemetry line
//! (what is said there: [`protocol`]). There are two slots for images in NOR flash, and a small journal that says which of them counts:
//!
//! 1. **Receive.** Blocks go to the slot that is spare. An update that was interrupted goes on where it was, or at the
//!    start of a sector after a power cut.
//! 2. **Verify.** The header is checked before anything is erased: signature, board, version, length. At the end the
//!    image is: its digest, and whether the firmware can run it.
//! 3. **Try.** The next start runs the new image, and writes that down first.
//! 4. **Confirm.** After [`HEALTHY_MS`] of audio the new image is confirmed, and its version is the least from then on.
//! 5. **Fall back.** If that does not come about in [`MAX_STARTS`] starts, the image that is confirmed runs on.
//!
//! [`Updater`] does all of it on any [`NorFlash`](embedded_storage::nor_flash::NorFlash). What lies in the image does not
//! matter to it; on Zerda's boards it is what `zerda compile` writes. Code is not replaced.
//!
//! # Power cuts
//!
//! The tests cut the power at each write of a word and each erase of a sector of a whole update, on a model of flash
//! (`nor`) in which that leaves bits that read as 0 or 1 by chance, each time anew, or no trace at all. After each cut the device starts
//! a whole image that was signed, and none older than the one that was confirmed.
//!
//! # Bounds
//!
//! No bytes on the line or in the flash make this crate panic or loop without end, and it allocates nothing. A linker
//! proves the first (`tests/no-panic`) for all but the crate `ed25519-compact` behind [`PublicKey`], which a stub stands for
//! there. That crate indexes tables of 8 points by the digits of a scalar, which it makes odd and of -15 to 15, and blocks
//! of its hash by a length that it keeps below 128; the compiler does not see that these bounds hold. It is exempt because
//! what it is given has a fixed size: a key of 32 bytes, a signature of 64, 96 bytes that are signed, blocks of at most 128.
//! Mutated updates try it as well.
//!
//! # What it does not do
//!
//! It keeps nobody out who can write the flash by a debug probe, and hides nothing: an image is signed, not encrypted.
#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

#[cfg(any(test, feature = "std"))]
extern crate std;

pub mod header;
mod journal;
mod key;
#[cfg(any(test, feature = "nor-model"))]
pub mod nor;
pub mod protocol;
mod refusal;
mod state;
mod updater;

#[cfg(feature = "sign")]
pub use key::SecretKey;
pub use key::{Key, PublicKey};
pub use refusal::Refusal;
pub use state::{RECORD_BYTES, Slot};
pub use updater::{Factory, HEALTHY_MS, IMAGE_OFFSET, Layout, MAX_STARTS, Start, Updater};

/// The number of bytes that a block of an image has while it is sent, but for the last one.
pub const BLOCK: usize = 128;

/// The CRC of records: CRC-32 (ISO-HDLC), bit by bit, since a table takes 1 KiB of flash.
static CRC: crc::Crc<u32, crc::NoTable> = crc::Crc::<u32, crc::NoTable>::new(&crc::CRC_32_ISO_HDLC);

#[cfg(test)]
mod tests;
