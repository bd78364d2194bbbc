//! A flash that updates write: memory of the machine behaves as NOR flash does, and a file of the host may keep it.

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};
use semihosting::fs::File;
use semihosting::io::{Read, Seek, SeekFrom, Write};

use crate::wav::c_string;
use crate::{Message, message};

/// Memory that stands for a flash, with sectors of 4 KiB and words of 32 bytes. Addresses count from its start.
pub struct Nor {
    start: usize,
    bytes: usize,
    file: Option<File>,
}

impl Nor {
    /// Makes a flash of so many bytes of memory at `start`. Where a file is named, it takes what the file holds, or fills it
    /// if it is new, and keeps the file up to date.
    ///
    /// # Safety
    ///
    /// Memory lies there, which nobody writes by other means.
    pub unsafe fn new(start: usize, bytes: usize, file: Option<&str>) -> Result<Self, Message> {
        let mut flash = Self {
            start,
            bytes,
            file: None,
        };
        if let Some(path) = file {
            let failed = flash.keep_in(path);
            failed.map_err(|()| message(format_args!("{path}: cannot be read or written")))?;
        }
        Ok(flash)
    }

    fn keep_in(&mut self, path: &str) -> Result<(), ()> {
        let name = c_string(path).map_err(|_| ())?;
        let mut options = File::options();
        options.read(true).write(true);
        let mut file = match options.open(&*name) {
            Ok(file) => file,
            Err(_) => {
                options.truncate(true).create(true);
                options.open(&*name).map_err(|_| ())?
            }
        };
        let length = file.metadata().map_err(|_| ())?.len();
        if length == self.bytes as u64 {
            let mut rest = self.range(0, self.bytes);
            while !rest.is_empty() {
                match file.read(rest) {
                    Ok(read @ 1..) => rest = &mut rest[read..],
                    _ => return Err(()),
                }
            }
        } else if length == 0 {
            write(&mut file, 0, self.range(0, self.bytes))?;
        } else {
            return Err(());
        }
        self.file = Some(file);
        Ok(())
    }

    /// Returns a range that was checked.
    fn range(&mut self, offset: u32, length: usize) -> &mut [u8] {
        // SAFETY: it lies within the memory, whose owner gave it away for this, and nobody else has this part.
        unsafe {
            core::slice::from_raw_parts_mut((self.start + offset as usize) as *mut u8, length)
        }
    }

    /// Writes a range, which changed, to the file.
    fn keep(&mut self, offset: u32, length: usize) -> Result<(), NorFlashErrorKind> {
        let Some(mut file) = self.file.take() else {
            return Ok(());
        };
        let written = write(&mut file, offset, self.range(offset, length));
        self.file = Some(file);
        written.map_err(|()| NorFlashErrorKind::Other)
    }
}

fn write(file: &mut File, offset: u32, bytes: &[u8]) -> Result<(), ()> {
    let at = file.seek(SeekFrom::Start(offset.into()));
    at.map_err(|_| ())?;
    file.write_all(bytes).map_err(|_| ())
}

impl ErrorType for Nor {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for Nor {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        check_read(self, offset, bytes.len())?;
        bytes.copy_from_slice(self.range(offset, bytes.len()));
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.bytes
    }
}

impl NorFlash for Nor {
    const WRITE_SIZE: usize = 32;
    const ERASE_SIZE: usize = 4096;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        check_erase(self, from, to)?;
        let length = (to - from) as usize;
        self.range(from, length).fill(0xFF);
        self.keep(from, length)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        check_write(self, offset, bytes.len())?;
        // A write only clears bits.
        for (there, byte) in self.range(offset, bytes.len()).iter_mut().zip(bytes) {
            *there &= byte;
        }
        self.keep(offset, bytes.len())
    }
}
