//! A model of NOR flash whose power is cut.
//!
//! An erase sets all bits of a sector, a write clears bits of words; each word counts as one operation, and so does each
//! sector. One that is cut short leaves bits that are set, cleared, or weak: these read as 0 or 1 by chance, each time
//! anew, until they are erased. The worst is assumed of an erase, which some chips begin by clearing all bits.
//!
//! It holds its user to the rules, too: a word is written once after each erase, and not at all after an erase that was cut
//! short. A write against them is an error, and [`Nor::violation`] says so.

use std::vec::Vec;

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};

/// Models a chip with sectors of `ERASE` bytes, whose words have `WRITE` bytes.
#[derive(Clone, Debug)]
pub struct Nor<const ERASE: usize, const WRITE: usize> {
    bytes: Vec<u8>,
    /// Holds a one for each bit that is weak.
    weak: Vec<u8>,
    /// Says of each word whether it was written, or its erase cut short.
    written: Vec<bool>,
    random: u64,
    /// Counts the operations that were begun.
    operations: u64,
    /// The number of the operation that is cut short.
    cut: Option<u64>,
    powered: bool,
    violation: bool,
}

impl<const ERASE: usize, const WRITE: usize> Nor<ERASE, WRITE> {
    /// Makes a chip of so many bytes, erased, whose chance follows from a seed.
    pub fn new(bytes: usize, seed: u64) -> Self {
        Self {
            bytes: std::vec![0xFF; bytes],
            weak: std::vec![0; bytes],
            written: std::vec![false; bytes / WRITE],
            random: seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            operations: 0,
            cut: None,
            powered: true,
            violation: false,
        }
    }

    /// Puts bytes there as a programmer does, before the device has power.
    pub fn program(&mut self, offset: usize, bytes: &[u8]) {
        self.bytes[offset..offset + bytes.len()].copy_from_slice(bytes);
        let words = offset / WRITE..(offset + bytes.len()).div_ceil(WRITE);
        self.written[words].fill(true);
    }

    /// Returns what a range holds, weak bits as they were left.
    pub fn range(&self, range: core::ops::Range<u32>) -> &[u8] {
        &self.bytes[range.start as usize..range.end as usize]
    }

    /// Says whether no bit of a range is weak.
    pub fn is_firm(&self, range: core::ops::Range<u32>) -> bool {
        let weak = &self.weak[range.start as usize..range.end as usize];
        weak.iter().all(|&bits| bits == 0)
    }

    /// Returns the same chip, whose chance follows from another seed.
    pub fn with_seed(&self, seed: u64) -> Self {
        let random = Self::new(0, seed).random;
        Self {
            random,
            ..self.clone()
        }
    }

    /// Returns the number of operations that were begun: words written and sectors erased.
    pub fn operations(&self) -> u64 {
        self.operations
    }

    /// Cuts the power during the operation that follows so many others, if there is such a one.
    pub fn cut_after(&mut self, operations: Option<u64>) {
        self.cut = operations.map(|operations| self.operations + operations);
    }

    /// Says whether the power was cut.
    pub fn is_off(&self) -> bool {
        !self.powered
    }

    /// Turns the power on again.
    pub fn turn_on(&mut self) {
        self.powered = true;
        self.cut = None;
    }

    /// Says whether a word was written twice, or after an erase that was cut short.
    pub fn violation(&self) -> bool {
        self.violation
    }

    /// Begins an operation, and says whether it is the one that is cut short.
    fn begin(&mut self) -> bool {
        let last = self.cut == Some(self.operations);
        self.operations += 1;
        self.powered &= !last;
        last
    }

    /// Returns a number of 0 to 255.
    fn chance(&mut self) -> u8 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 32) as u8
    }

    /// Returns how far an operation came that was cut short, and how much of it is weak, of 256: often not at all, or nearly
    /// to its end.
    fn extent(&mut self) -> [u8; 2] {
        let kind = self.chance();
        let arrived = [0, 255, self.chance(), self.chance()];
        let weak = [0, 6, self.chance(), self.chance()];
        let pick = |from: [u8; 4], bits: u8| from[usize::from(bits & 3)];
        [pick(arrived, kind), pick(weak, kind >> 2)]
    }

    /// Returns bits each of which is one so many times of 256.
    fn bits(&mut self, of_256: u8) -> u8 {
        (0..8).fold(0, |bits, _| bits << 1 | u8::from(self.chance() < of_256))
    }

    /// Leaves a byte half way to `target`: of the bits that `moving` has, some have arrived and some are weak.
    fn leave(&mut self, at: usize, target: u8, moving: u8, [arrived, weak]: [u8; 2]) {
        let arrived = self.bits(arrived) & moving;
        let weak = self.bits(weak) & moving;
        self.bytes[at] = self.bytes[at] & !arrived | target & arrived;
        self.weak[at] = self.weak[at] & !arrived | weak;
    }

    fn erase_sector(&mut self, start: usize) {
        let cut = self.begin();
        let words = start / WRITE..(start + ERASE) / WRITE;
        self.written[words].fill(cut);
        if !cut {
            self.bytes[start..start + ERASE].fill(0xFF);
            self.weak[start..start + ERASE].fill(0);
            return;
        }
        // How far it came, first to zeros and then to ones.
        let [cleared, set] = [self.extent(), self.extent()];
        let second = self.chance() < 128;
        for at in start..start + ERASE {
            self.leave(at, 0, 0xFF, cleared);
            if second {
                self.leave(at, 0xFF, 0xFF, set);
            }
        }
    }

    fn write_word(&mut self, at: usize, word: &[u8]) {
        let cut = self.begin();
        self.violation |= core::mem::replace(&mut self.written[at / WRITE], true);
        let far = self.extent();
        for (at, &byte) in (at..).zip(word) {
            if cut {
                self.leave(at, 0, !byte, far);
            } else {
                self.bytes[at] &= byte;
                self.weak[at] &= byte;
            }
        }
    }

    fn with_power(&self) -> Result<(), NorFlashErrorKind> {
        match self.powered && !self.violation {
            true => Ok(()),
            false => Err(NorFlashErrorKind::Other),
        }
    }
}

impl<const ERASE: usize, const WRITE: usize> ErrorType for Nor<ERASE, WRITE> {
    type Error = NorFlashErrorKind;
}

impl<const ERASE: usize, const WRITE: usize> ReadNorFlash for Nor<ERASE, WRITE> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        self.with_power()?;
        check_read(self, offset, bytes.len())?;
        for (at, byte) in (offset as usize..).zip(bytes) {
            *byte = self.bytes[at];
            if self.weak[at] != 0 {
                *byte ^= self.weak[at] & self.chance();
            }
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

impl<const ERASE: usize, const WRITE: usize> NorFlash for Nor<ERASE, WRITE> {
    const WRITE_SIZE: usize = WRITE;
    const ERASE_SIZE: usize = ERASE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        check_erase(self, from, to)?;
        for sector in (from as usize..to as usize).step_by(ERASE) {
            self.with_power()?;
            self.erase_sector(sector);
        }
        self.with_power()
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        check_write(self, offset, bytes.len())?;
        for (at, word) in (offset as usize..).step_by(WRITE).zip(bytes.chunks(WRITE)) {
            self.with_power()?;
            self.write_word(at, word);
        }
        self.with_power()
    }
}
