//! Tells one network from another, whatever else an image holds.

use super::Image;
use crate::crc::{CRC, update};

impl Image<'_> {
    /// Returns a checksum of all that the network and its front end compute with, and of nothing else: thresholds, commands,
    /// wake words and the step for an NPU may change.
    pub fn network(&self) -> u32 {
        let (stream, front_end) = (self.manifest.stream, self.manifest.front_end);
        let mut digest = CRC.digest();
        for number in [
            stream.chunk.into(),
            stream.step.into(),
            stream.left_context.into(),
            front_end.window.into(),
            front_end.hop.into(),
            front_end.mels.into(),
            front_end.level_frames.into(),
            front_end.level_decay.to_bits(),
            front_end.level_floor.to_bits(),
            front_end.range.to_bits(),
        ] {
            update(&mut digest, &u32::to_le_bytes(number));
        }
        for bytes in [self.caches, self.tensors, self.ops, self.segment] {
            update(&mut digest, bytes);
        }
        digest.finalize()
    }
}
