//! Reads the bytes of a recording, whose first ones are looked at before they are read.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::error::AudioError;

/// Counts bytes while something else reads them.
#[derive(Clone, Default)]
pub struct Count(Arc<AtomicU64>);

impl Count {
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub fn add(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// Gives the bytes of a file, a pipe or standard input, one after another.
pub struct Source {
    inner: Box<dyn Read + Send + Sync>,
    /// Bytes that were looked at and not yet read.
    ahead: Vec<u8>,
    /// Bytes that were taken from `inner`.
    pub taken: Count,
    /// The same file once more, if it is one in which one can go back.
    file: Option<File>,
}

impl Source {
    pub fn new(inner: impl Read + Send + Sync + 'static) -> Source {
        Source {
            inner: Box::new(inner),
            ahead: Vec::new(),
            taken: Count::default(),
            file: None,
        }
    }

    pub fn of_file(file: File) -> io::Result<Source> {
        let regular = file.metadata()?.is_file();
        let again = if regular {
            Some(file.try_clone()?)
        } else {
            None
        };
        Ok(Source {
            file: again,
            ..Source::new(io::BufReader::new(file))
        })
    }

    /// Returns the next `count` bytes, fewer at the end, without reading them.
    pub fn peek(&mut self, count: usize) -> Result<&[u8], AudioError> {
        let missing = count.saturating_sub(self.ahead.len()) as u64;
        let read = self
            .inner
            .by_ref()
            .take(missing)
            .read_to_end(&mut self.ahead);
        self.taken.add(read.map_err(AudioError::Read)? as u64);
        Ok(&self.ahead[..count.min(self.ahead.len())])
    }

    /// Reads `N` bytes, or fails since the file ends within its header.
    pub fn header<const N: usize>(&mut self) -> Result<[u8; N], AudioError> {
        let mut bytes = [0; N];
        match self.read_exact(&mut bytes) {
            Ok(()) => Ok(bytes),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(AudioError::TruncatedHeader)
            }
            Err(error) => Err(AudioError::Read(error)),
        }
    }

    /// Skips bytes, and says how many of them were there.
    pub fn skip(&mut self, count: u64) -> Result<u64, AudioError> {
        io::copy(&mut self.by_ref().take(count), &mut io::sink()).map_err(AudioError::Read)
    }

    /// Skips the ID3v2 tags that stand before some recordings.
    pub fn skip_tags(&mut self) -> Result<(), AudioError> {
        while let &[b'I', b'D', b'3', _, _, flags, a, b, c, d] = self.peek(10)? {
            let size = [a, b, c, d].map(|byte| u64::from(byte & 0x7f));
            let size = size.iter().fold(0, |size, byte| size << 7 | byte);
            let footer = if flags & 0x10 == 0 { 0 } else { 10 };
            if self.skip(10 + size + footer)? < 10 + size {
                return Err(AudioError::TruncatedHeader);
            }
        }
        Ok(())
    }

    /// Returns a file of the same bytes, from its start, in which one can go back. What comes from a pipe is written to a
    /// temporary file first.
    pub fn seekable(mut self) -> Result<File, AudioError> {
        let mut file = match self.file.take() {
            Some(file) => {
                let length = file.metadata().map_err(AudioError::Read)?.len();
                self.taken.add(length);
                file
            }
            None => {
                let mut file = tempfile::tempfile().map_err(AudioError::Read)?;
                io::copy(&mut self, &mut file).map_err(AudioError::Read)?;
                file
            }
        };
        file.rewind().map_err(AudioError::Read)?;
        Ok(file)
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.ahead.is_empty() {
            let count = buffer.len().min(self.ahead.len());
            buffer[..count].copy_from_slice(&self.ahead[..count]);
            self.ahead.drain(..count);
            return Ok(count);
        }
        let read = self.inner.read(buffer)?;
        self.taken.add(read as u64);
        Ok(read)
    }
}

/// Longest tags that are looked for after a recording.
const TAGS: usize = 8192;

/// Leaves out the tags (ID3v1, APE) that stand after some recordings. For that, the last 8 KiB are held back until the end
/// has come.
pub struct WithoutTags {
    source: Source,
    held: Vec<u8>,
    ended: bool,
    /// Bytes that were given.
    pub given: Count,
    /// Zeros that the last of them are, counted at the end.
    pub zeros: Count,
}

impl WithoutTags {
    pub fn new(source: Source) -> WithoutTags {
        WithoutTags {
            source,
            held: Vec::new(),
            ended: false,
            given: Count::default(),
            zeros: Count::default(),
        }
    }

    fn cut_tags(held: &mut Vec<u8>) {
        loop {
            let end = held.len();
            let ape = end.checked_sub(32).map(|at| &held[at..]);
            let cut = if end >= 128 && held[end - 128..].starts_with(b"TAG") {
                128
            } else if let Some(footer) = ape.filter(|footer| footer.starts_with(b"APETAGEX")) {
                let size = u32::from_le_bytes([footer[12], footer[13], footer[14], footer[15]]);
                // The size does not count the header that bit 31 tells of.
                size as usize + if footer[23] & 0x80 == 0 { 0 } else { 32 }
            } else {
                return;
            };
            if cut == 0 || cut > end {
                return;
            }
            held.truncate(end - cut);
        }
    }
}

impl Read for WithoutTags {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while !self.ended && self.held.len() <= TAGS {
            let start = self.held.len();
            self.held.resize(start + TAGS, 0);
            let read = self.source.read(&mut self.held[start..]);
            self.held
                .truncate(start + read.as_ref().map_or(0, |&read| read));
            match read {
                Ok(0) => {
                    self.ended = true;
                    Self::cut_tags(&mut self.held);
                    let zeros = self.held.iter().rev().take_while(|&&byte| byte == 0);
                    self.zeros.add(zeros.count() as u64);
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let kept = if self.ended { 0 } else { TAGS };
        let count = buffer.len().min(self.held.len() - kept);
        buffer[..count].copy_from_slice(&self.held[..count]);
        self.held.drain(..count);
        self.given.add(count as u64);
        Ok(count)
    }
}
