//! The journal holds a small state in NOR flash, through power cuts at any time.
//!
//! Each change appends a record of the whole state, in [`COPIES`] copies of one number; the highest number counts. Where
//! a sector is full, the next one is erased and goes on.
//!
//! A write that was cut short leaves bits that may read as 0 now and as 1 later, and so does an erase; it may also leave no
//! trace, or look as if it had come to its end. So one look at a copy says little. But a copy is begun after the one
//! before it came to its end, and hence:
//!
//! - A start acts on a state at once where it reads all three copies. The first two of them are whole then, whatever becomes
//!   of the third, and later starts read two at least.
//! - With two copies the first is whole. The state is appended once more before a start acts on it.
//! - One copy alone was never acted on, so it does not count, unless there is nothing else.
//! - What is appended first after a start goes to another sector than the state that was found, which is erased just before,
//!   even if it looks blank. Its number is two higher, which beats a record that did not read well, should it do so later.
//!
//! So two sectors are enough, and a start after which nothing changes writes nothing.

use core::ops::Range;

use embedded_storage::nor_flash::NorFlash;

use crate::state::{RECORD_BYTES, Record, State};

/// The number of copies that a record has.
const COPIES: u32 = 3;
/// The number of bytes that a record takes, as flash counts.
const RECORD: u32 = RECORD_BYTES as u32;

/// What a start finds in the journal.
pub(crate) struct Found {
    /// The newest state, if this firmware wrote it.
    pub state: Option<State>,
    /// Says that a start may act on the state without appending it once more.
    pub firm: bool,
}

/// A record with the copies of it that were read.
struct Group {
    record: Record,
    copies: u32,
    /// The address of the last of them.
    address: u32,
}

/// Says where the next record goes.
#[derive(Clone, Debug)]
pub(crate) struct Journal {
    range: Range<u32>,
    /// The checksum of the image that came with this firmware.
    factory: u32,
    /// The address of the sector that holds the newest state; `None` where there is none.
    sector: Option<u32>,
    /// The address of the next copy in that sector; `None` where nothing was appended since the start.
    next: Option<u32>,
    /// The highest number that was read or written.
    sequence: u32,
}

impl Journal {
    /// Finds the newest state that counts.
    pub fn open<F: NorFlash>(
        flash: &mut F,
        range: Range<u32>,
        factory: u32,
    ) -> Result<(Self, Found), F::Error> {
        let newest = newest(flash, &range, None)?;
        let sequence = newest.as_ref().map_or(0, |group| group.record.sequence);
        let mut look = newest;
        let (mut found, mut alone) = (None, None);
        while let Some(group) = look {
            if group.copies > 1 {
                found = Some(group);
                break;
            }
            look = self::newest(flash, &range, Some(group.record.sequence))?;
            alone = alone.or(Some(group));
        }
        let found = found.or(alone);
        let sector = found.as_ref().map(|group| {
            let within = group.address.checked_rem(sector_bytes::<F>());
            group.address.saturating_sub(within.unwrap_or(0))
        });
        let journal = Self {
            range,
            factory,
            sector,
            next: None,
            sequence,
        };
        let firm = found.as_ref().is_none_or(|group| group.copies >= COPIES);
        let ours = found.filter(|group| group.record.factory == factory);
        let state = ours.map(|group| group.record.state);
        Ok((journal, Found { state, firm }))
    }

    /// Appends a state, which counts from now on.
    pub fn append<F: NorFlash>(&mut self, flash: &mut F, state: State) -> Result<(), F::Error> {
        let size = sector_bytes::<F>();
        let step = if self.next.is_some() { 1 } else { 2 };
        self.sequence = self.sequence.saturating_add(step);
        let end = self.sector.map_or(0, |sector| sector.saturating_add(size));
        let room = |next: u32| next.saturating_add(COPIES * RECORD) <= end;
        let (sector, mut address) = match (self.sector, self.next) {
            (Some(sector), Some(next)) if room(next) => (sector, next),
            _ => {
                let next = self.sector.map(|_| end);
                let next = next.filter(|&next| next.saturating_add(size) <= self.range.end);
                let next = next.unwrap_or(self.range.start);
                flash.erase(next, next.saturating_add(size))?;
                (next, next)
            }
        };
        // Where a write fails, the next one goes to another sector, as after a start.
        self.next = None;
        let record = Record {
            sequence: self.sequence,
            factory: self.factory,
            state,
        };
        for _ in 0..COPIES {
            flash.write(address, &record.encode())?;
            address = address.saturating_add(RECORD);
        }
        self.sector = Some(sector);
        self.next = Some(address);
        Ok(())
    }
}

/// Finds the record of the highest number, or of the highest below a limit, and counts its copies.
fn newest<F: NorFlash>(
    flash: &mut F,
    range: &Range<u32>,
    below: Option<u32>,
) -> Result<Option<Group>, F::Error> {
    let mut newest: Option<Group> = None;
    for address in range.clone().step_by(RECORD_BYTES) {
        let mut bytes = [0; RECORD_BYTES];
        flash.read(address, &mut bytes)?;
        let record = Record::decode(&bytes);
        let Some(record) = record.filter(|read| below.is_none_or(|below| read.sequence < below))
        else {
            continue;
        };
        match &mut newest {
            Some(group) if group.record == record => {
                group.copies = group.copies.saturating_add(1);
                group.address = address;
            }
            Some(group) if group.record.sequence >= record.sequence => {}
            _ => {
                newest = Some(Group {
                    record,
                    copies: 1,
                    address,
                });
            }
        }
    }
    Ok(newest)
}

/// Returns the number of bytes that are erased at once.
fn sector_bytes<F: NorFlash>() -> u32 {
    const { F::ERASE_SIZE as u32 }
}
