//! Says whether a slot holds a whole image that was signed.

use super::{BLOCK, Board, HEADER_BYTES, IMAGE_OFFSET, Key, NorFlash, Range, Slot, Updater};
use crate::header::Header;

impl<F: NorFlash, K: Key> Updater<F, K> {
    /// Returns the addresses of the image in a slot, if it was signed with this version for this board.
    pub(crate) fn verified(&mut self, slot: Slot, version: u32) -> Option<Range<u32>> {
        let (key, board): (&K, Board) = (self.key.as_ref()?, self.board);
        let slot = self.layout.slots.get(slot.index())?.clone();
        let mut bytes = [0; HEADER_BYTES];
        self.flash.read(slot.start, &mut bytes).ok()?;
        let header = Header::verify(&bytes, key, board).ok()?;
        let start = slot.start.saturating_add(IMAGE_OFFSET);
        let image = start..start.checked_add(header.length)?;
        let whole = header.version == version
            && image.end <= slot.end
            && self.digest(image.clone())? == header.digest;
        whole.then_some(image)
    }

    /// Returns the digest of what lies at these addresses.
    pub(super) fn digest(&mut self, addresses: Range<u32>) -> Option<[u8; 64]> {
        let mut hash = K::Hash::default();
        let mut address = addresses.start;
        while address < addresses.end {
            let mut block = [0; BLOCK];
            self.flash.read(address, &mut block).ok()?;
            let length = addresses.end.saturating_sub(address) as usize;
            K::absorb(&mut hash, block.get(..length).unwrap_or(&block));
            address = address.checked_add(BLOCK as u32)?;
        }
        Some(K::digest(hash))
    }
}
