//! This module holds the one checksum of this crate: images, telemetry frames and logits are checked with it.

/// The CRC that all of them are checked with: CRC-32 (ISO-HDLC).
pub(crate) static CRC: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);

/// Adds bytes to a checksum. It is one function that is never inlined, since each inlined copy takes 200
/// bytes of flash.
#[inline(never)]
pub(crate) fn update(digest: &mut crc::Digest<'_, u32>, bytes: &[u8]) {
    digest.update(bytes);
}
