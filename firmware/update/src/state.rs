//! The state is what the journal keeps: which image is confirmed, and what the other slot holds.

use crate::CRC;

/// The number of bytes that a record of the journal takes.
pub const RECORD_BYTES: usize = 32;

/// Names one of the two slots for images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// The slot that holds the factory's image at first.
    First,
    /// The slot that is spare at first.
    Second,
}

impl Slot {
    /// Returns the slot's place in [`Layout::slots`](crate::Layout::slots).
    pub(crate) fn index(self) -> usize {
        match self {
            Self::First => 0,
            Self::Second => 1,
        }
    }
}

/// Says which image is confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Confirmed {
    /// The image that came with the firmware, in the first slot, without a header.
    Factory,
    /// The image that came as an update.
    Update(Slot),
}

/// Says what the slot holds that the confirmed image is not in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spare {
    /// Nothing of use is there.
    Empty,
    /// A part of an update is there.
    Receiving {
        /// The checksum of the update's header, which tells updates apart.
        header: u32,
        /// The bytes of the image that are there for certain.
        bytes: u32,
    },
    /// All of an update is there, and it is tried or will be at the next start.
    Trial {
        /// The version that it has.
        version: u32,
        /// Counts the starts that tried it.
        starts: u8,
    },
}

/// Holds what the journal keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub confirmed: Confirmed,
    /// The version that is confirmed; none that is not higher is taken.
    pub version: u32,
    pub spare: Spare,
}

impl State {
    /// Returns the state of a device that was never updated.
    pub fn factory(version: u32) -> Self {
        Self {
            confirmed: Confirmed::Factory,
            version,
            spare: Spare::Empty,
        }
    }

    /// Returns the slot that the confirmed image is not in.
    pub fn spare_slot(&self) -> Slot {
        match self.confirmed {
            Confirmed::Update(Slot::Second) => Slot::First,
            Confirmed::Update(Slot::First) | Confirmed::Factory => Slot::Second,
        }
    }
}

/// A state as the journal has it, with what tells newer from older ones.
///
/// | bytes | field | |
/// |---|---|---|
/// | 0..4 | sequence | of the record; the highest one counts |
/// | 4..8 | factory | the checksum of the image that came with the firmware that wrote it |
/// | 8 | confirmed | 0: the factory's image, 1: that of the first slot, 2: that of the second |
/// | 9 | spare | 0: empty, 1: a part of an update, 2: an update on trial |
/// | 10 | starts | that tried the update |
/// | 11 | reserved | 0 |
/// | 12..16 | version | that is confirmed |
/// | 16..20 | update | version of the update on trial, or the CRC-32 of the header of which a part is there |
/// | 20..24 | bytes | of the image that are there |
/// | 24..28 | reserved | 0 |
/// | 28..32 | checksum | CRC-32 (ISO-HDLC) of bytes 0..28 |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub sequence: u32,
    pub factory: u32,
    pub state: State,
}

impl Record {
    pub fn encode(&self) -> [u8; RECORD_BYTES] {
        let confirmed = match self.state.confirmed {
            Confirmed::Factory => 0,
            Confirmed::Update(Slot::First) => 1,
            Confirmed::Update(Slot::Second) => 2,
        };
        let (spare, starts, update, bytes) = match self.state.spare {
            Spare::Empty => (0, 0, 0, 0),
            Spare::Receiving { header, bytes } => (1, 0, header, bytes),
            Spare::Trial { version, starts } => (2, starts, version, 0),
        };
        let words = [
            self.sequence,
            self.factory,
            u32::from_le_bytes([confirmed, spare, starts, 0]),
            self.state.version,
            update,
            bytes,
            0,
        ];
        let mut record = [0; RECORD_BYTES];
        let (slots, _) = record.as_chunks_mut::<4>();
        for (slot, word) in slots.iter_mut().zip(words) {
            *slot = word.to_le_bytes();
        }
        let checksum = checksum(&record);
        if let Some(slot) = record.last_chunk_mut() {
            *slot = checksum.to_le_bytes();
        }
        record
    }

    /// Reads a record; `None` for anything that [`Record::encode`] does not write.
    pub fn decode(record: &[u8; RECORD_BYTES]) -> Option<Self> {
        let (words, _) = record.as_chunks::<4>();
        let word = |index: usize| words.get(index).map_or(0, |&word| u32::from_le_bytes(word));
        if word(7) != checksum(record) {
            return None;
        }
        let [confirmed, spare, starts, _] = word(2).to_le_bytes();
        let confirmed = match confirmed {
            0 => Confirmed::Factory,
            1 => Confirmed::Update(Slot::First),
            2 => Confirmed::Update(Slot::Second),
            _ => return None,
        };
        let (update, bytes) = (word(4), word(5));
        let spare = match spare {
            0 => Spare::Empty,
            1 => Spare::Receiving {
                header: update,
                bytes,
            },
            2 => Spare::Trial {
                version: update,
                starts,
            },
            _ => return None,
        };
        Some(Self {
            sequence: word(0),
            factory: word(1),
            state: State {
                confirmed,
                version: word(3),
                spare,
            },
        })
    }
}

/// Returns the checksum of a record's other bytes.
fn checksum(record: &[u8; RECORD_BYTES]) -> u32 {
    CRC.checksum(record.get(..RECORD_BYTES - 4).unwrap_or_default())
}
