//! Takes an update, block by block, to the slot that is spare.
//!
//! A sector is erased when the first block for it comes, after the journal noted that all before it is there. So an update
//! that a power cut ended goes on at the start of a sector, once its header came again.

use super::{
    Answer, BLOCK, HEADER_BYTES, IMAGE_OFFSET, Key, NorFlash, Range, Refusal, Session, Spare,
    State, Updater,
};
use crate::CRC;
use crate::header::Header;

impl<F: NorFlash, K: Key> Updater<F, K> {
    /// Begins an update, or goes on with it where it is the one of which a part is there.
    pub(super) fn begin(&mut self, bytes: &[u8]) -> Result<Answer, Refusal> {
        let key = self.key.as_ref().ok_or(Refusal::Off)?;
        let bytes: &[u8; HEADER_BYTES] = bytes.try_into().map_err(|_| Refusal::NotAnUpdate)?;
        let header = Header::verify(bytes, key, self.board)?;
        let (version, confirmed) = (header.version, self.state.version);
        if version <= confirmed {
            return Err(Refusal::Old { version, confirmed });
        }
        let slot = self.slot(self.state.spare_slot());
        let room = slot.end.saturating_sub(slot.start);
        let (length, room) = (header.length, room.saturating_sub(IMAGE_OFFSET));
        if length > room {
            return Err(Refusal::TooLong { length, room });
        }
        match self.state.spare {
            Spare::Trial { version, starts } if starts > 0 => {
                return Err(Refusal::OnTrial { version });
            }
            _ => {}
        }
        if let Some(session) = self.session.filter(|session| session.header == *bytes) {
            return Ok(session.expects());
        }
        let checksum = CRC.checksum(bytes);
        let received = match self.state.spare {
            Spare::Receiving { header, bytes } if header == checksum && bytes <= length => bytes,
            _ => 0,
        };
        self.note(checksum, received)?;
        let session = Session {
            header: *bytes,
            length,
            version,
            received,
        };
        self.session = Some(session);
        Ok(session.expects())
    }

    /// Takes a block of the image, if it is the next one; else the answer says which one that is.
    pub(super) fn block(&mut self, offset: u32, bytes: &[u8]) -> Result<Answer, Refusal> {
        let mut session = self.session.ok_or(Refusal::NotBegun)?;
        let left = session.length.saturating_sub(session.received);
        if offset != session.received || left == 0 {
            return Ok(session.expects());
        }
        let length = left.min(BLOCK as u32);
        if bytes.len() != length as usize {
            return Err(Refusal::Block);
        }
        // Where the flash fails, the update goes on from what the journal noted, with a sector that is erased again.
        self.session = None;
        let slot = self.slot(self.state.spare_slot());
        let address = slot
            .start
            .saturating_add(IMAGE_OFFSET)
            .saturating_add(offset);
        if offset == 0 {
            self.erase_sector(slot.start)?;
            self.write(slot.start, &session.header)?;
            if address >= slot.start.saturating_add(const { F::ERASE_SIZE as u32 }) {
                self.erase_sector(address)?;
            }
        } else if address.is_multiple_of(const { F::ERASE_SIZE as u32 }) {
            self.note(CRC.checksum(&session.header), offset)?;
            self.erase_sector(address)?;
        }
        self.write(address, bytes)?;
        session.received = offset.saturating_add(length);
        self.session = Some(session);
        Ok(session.expects())
    }

    /// Verifies the image, and has the next start try it.
    pub(super) fn finish(
        &mut self,
        mut usable: impl FnMut(Range<u32>) -> bool,
    ) -> Result<Answer, Refusal> {
        if let Spare::Trial { version, starts: 0 } = self.state.spare {
            return Ok(Answer::Ready { version });
        }
        let session = self.session.ok_or(Refusal::NotBegun)?;
        let Session {
            version,
            received,
            length,
            ..
        } = session;
        if received < length {
            return Err(Refusal::Truncated { received, length });
        }
        self.session = None;
        let image = self.verified(self.state.spare_slot(), version);
        let refusal = match image {
            None => Refusal::Damaged,
            Some(image) if !usable(image.clone()) => Refusal::Unusable,
            Some(_) => {
                self.write_spare(Spare::Trial { version, starts: 0 })?;
                return Ok(Answer::Ready { version });
            }
        };
        self.write_spare(Spare::Empty)?;
        Err(refusal)
    }

    /// Notes that so many bytes of the image are there, of the update whose header has this checksum.
    fn note(&mut self, header: u32, bytes: u32) -> Result<(), Refusal> {
        self.write_spare(Spare::Receiving { header, bytes })
    }

    fn write_spare(&mut self, spare: Spare) -> Result<(), Refusal> {
        self.write_down(State {
            spare,
            ..self.state
        })
    }

    fn erase_sector(&mut self, start: u32) -> Result<(), Refusal> {
        let end = start.saturating_add(const { F::ERASE_SIZE as u32 });
        self.flash.erase(start, end).map_err(|_| Refusal::Flash)
    }

    /// Writes bytes, of which there are no more than a block or a header, and ones behind them to the next place that can
    /// be written.
    fn write(&mut self, address: u32, bytes: &[u8]) -> Result<(), Refusal> {
        let mut padded = [0xFF; HEADER_BYTES];
        let length = bytes.len().next_multiple_of(const { F::WRITE_SIZE });
        for (slot, byte) in padded.iter_mut().zip(bytes) {
            *slot = *byte;
        }
        let padded = padded.get(..length).ok_or(Refusal::Block)?;
        self.flash
            .write(address, padded)
            .map_err(|_| Refusal::Flash)
    }
}

impl Session {
    fn expects(&self) -> Answer {
        Answer::Expects {
            offset: self.received,
        }
    }
}
