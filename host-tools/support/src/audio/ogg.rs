//! Checks the pages of an Ogg stream as they pass, since a decoder skips what is damaged and says nothing (RFC 3533).

use std::collections::HashMap;
use std::io::{self, Read};

use crc::Crc;

use super::error::AudioError;

/// Passes Ogg pages on, and fails where one is damaged or missing, or the last one did not come.
pub struct Pages<R> {
    source: R,
    /// The page that is being passed on.
    page: Vec<u8>,
    passed: usize,
    /// Numbers of the next page of each stream that has not ended.
    next: HashMap<u32, u32>,
    /// Says whether a page came.
    begun: bool,
}

/// Bytes of a page's header before its table of lengths.
const HEADER: usize = 27;

impl<R: Read> Pages<R> {
    pub fn new(source: R) -> Pages<R> {
        Pages {
            source,
            page: Vec::new(),
            passed: 0,
            next: HashMap::new(),
            begun: false,
        }
    }

    /// Reads up to `length` bytes of the page.
    fn fill(&mut self, length: usize) -> io::Result<bool> {
        let missing = (length - self.page.len()) as u64;
        self.source
            .by_ref()
            .take(missing)
            .read_to_end(&mut self.page)?;
        Ok(self.page.len() == length)
    }

    /// Reads the next page; without one, the stream has ended.
    fn page(&mut self) -> io::Result<()> {
        self.page.clear();
        self.passed = 0;
        if !self.fill(HEADER)? {
            return match self.page.is_empty() && self.begun && self.next.is_empty() {
                true => Ok(()),
                false => Err(io::Error::other(AudioError::TruncatedFrame)),
            };
        }
        self.begun = true;
        let damaged = |what| io::Error::other(AudioError::damaged(what));
        if !self.page.starts_with(b"OggS\0") {
            return Err(damaged("a page of the Ogg stream is no page"));
        }
        let lengths = usize::from(self.page[HEADER - 1]);
        let mut whole = self.fill(HEADER + lengths)?;
        if whole {
            let body: usize = self.page[HEADER..].iter().map(|&n| usize::from(n)).sum();
            whole = self.fill(HEADER + lengths + body)?;
        }
        if !whole {
            return Err(io::Error::other(AudioError::TruncatedFrame));
        }
        let number = |at: usize| -> u32 {
            let bytes = self.page[at..].first_chunk().copied();
            u32::from_le_bytes(bytes.unwrap_or_default())
        };
        let (serial, page, checksum) = (number(14), number(18), number(22));
        if crc(&self.page) != checksum {
            return Err(damaged(
                "a page of the Ogg stream does not match its checksum",
            ));
        }
        let [first, last] = [2, 4].map(|flag| self.page[5] & flag != 0);
        let expected = self.next.get(&serial).copied();
        if !first && expected != Some(page) {
            return Err(damaged("a page of the Ogg stream is missing"));
        }
        if last {
            self.next.remove(&serial);
        } else if self.next.len() < 64 {
            self.next.insert(serial, page.wrapping_add(1));
        }
        Ok(())
    }
}

impl<R: Read> Read for Pages<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.passed == self.page.len() {
            self.page()?;
        }
        let rest = &self.page[self.passed..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.passed += count;
        Ok(count)
    }
}

/// Returns the checksum of a page, in which its own four bytes count as zeros.
fn crc(page: &[u8]) -> u32 {
    static CRC: Crc<u32> = Crc::<u32>::new(&crc::Algorithm {
        width: 32,
        poly: 0x04c1_1db7,
        init: 0,
        refin: false,
        refout: false,
        xorout: 0,
        check: 0x89a1_897f,
        residue: 0,
    });
    let (before, after) = page.split_at(22);
    let mut digest = CRC.digest();
    digest.update(before);
    digest.update(&[0; 4]);
    digest.update(&after[4..]);
    digest.finalize()
}
