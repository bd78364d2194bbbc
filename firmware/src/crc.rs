//! This module holds the one checksum of this crate: images, telemetry frames and logits are checked with it.

/// The bytes that are taken at a time, with a table of 1 KiB for each: a host has room for 16, and takes
/// an eighth of the time.
#[cfg(feature = "std")]
type Tables = crc::Table<16>;
#[cfg(not(feature = "std"))]
type Tables = crc::Table<1>;

/// A checksum that bytes are still added to.
pub(crate) type Digest = crc::Digest<'static, u32, Tables>;

/// The CRC that all of them are checked with: CRC-32 (ISO-HDLC).
pub(crate) static CRC: crc::Crc<u32, Tables> = crc::Crc::<u32, Tables>::new(&crc::CRC_32_ISO_HDLC);

/// Adds bytes to a checksum. It is one function that is never inlined, since each inlined copy takes 200
/// bytes of flash.
#[inline(never)]
pub(crate) fn update(digest: &mut Digest, bytes: &[u8]) {
    digest.update(bytes);
}
