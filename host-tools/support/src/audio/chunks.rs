//! Walks the chunks of RIFF (WAV), RF64 and AIFF files, and decodes the samples in them.
//!
//! Headers are taken as programs of today and of the past write them: chunks of odd length with and without the byte that
//! pads them, lengths that were never filled in, since the file went through a pipe, and fields that contradict each other
//! where only one of them is needed.

mod description;

use std::io::{self, Read};

use super::error::AudioError;
use super::pcm::Coding;
use super::raw::{Raw, RawFormat};
use super::source::Source;
use super::{Decode, Layout};

/// Lengths that say "until the end", as sox (of AIFF, of WAV), arecord and ffmpeg write them into a pipe.
const UNKNOWN: [u64; 4] = [0x7f00_0000, 0x7fff_f000, 0x8000_0000, 0xffff_ffff];
/// Bytes by which a length may be less than one of [`UNKNOWN`] and still mean that, as some programs take off the header
/// or part of a frame. A file may end before such a length; if it does not, the length counts.
const LESS: u64 = 1024;
/// Most bytes of samples that are read at once.
const PIECE: usize = 16_384;
/// Most bytes of a format's description that are kept.
const DESCRIPTION: u64 = 256;

/// Says what the samples are like.
struct Format {
    coding: Coding,
    channels: u16,
    rate: u32,
    big_endian: bool,
}

impl Format {
    fn frame(&self) -> usize {
        self.coding.bytes() * usize::from(self.channels)
    }
}

/// Decodes uncompressed samples: those of a file's data chunks, or all that a source has.
pub struct Pcm {
    source: Source,
    format: Format,
    /// Bytes of this data chunk that are still to come; `None` where it lasts until the end.
    left: Option<u64>,
    /// Bytes that this data chunk has, if its length is known.
    length: Option<u64>,
    /// The chunks around the samples, if there are any.
    walker: Option<Walker>,
    /// Bytes that were read and make no whole frame yet.
    bytes: Vec<u8>,
    frames: u64,
    /// Frames that the data chunks before this one had.
    before: u64,
    half_sample: bool,
}

impl Pcm {
    /// Decodes raw samples, which no header precedes.
    pub fn raw(source: Source, raw: Raw) -> Pcm {
        let format = Format {
            coding: raw.format().coding(),
            channels: raw.channels(),
            rate: raw.rate(),
            big_endian: raw.format().big_endian(),
        };
        Pcm::new(source, format, None, None)
    }

    /// Reads the header of a RIFF, RIFX, RF64 or AIFF file.
    pub fn of_chunks(mut source: Source) -> Result<Pcm, AudioError> {
        let [a, b, c, d, length @ .., e, f, g, h] = source.header::<12>()?;
        let (magic, form) = ([a, b, c, d], [e, f, g, h]);
        let mut walker = Walker {
            big_endian: &magic == b"RIFX" || &magic == b"FORM",
            aiff: &magic == b"FORM",
            length: 0,
            at: 12,
            long: None,
            certain: false,
            odd: false,
        };
        walker.length = u64::from(walker.number(length));
        let format = walker.format(&mut source, &form)?;
        let left = walker.data(&mut source)?;
        Ok(Pcm::new(source, format, left, Some(walker)))
    }

    fn new(source: Source, format: Format, left: Option<u64>, walker: Option<Walker>) -> Pcm {
        Pcm {
            source,
            format,
            left,
            length: left,
            walker,
            bytes: Vec::new(),
            frames: 0,
            before: 0,
            half_sample: false,
        }
    }

    /// Ends a data chunk: half a sample is left out, and samples that are missing are an error. Returns whether another
    /// data chunk follows.
    fn end(&mut self, cut: bool) -> Result<bool, AudioError> {
        self.half_sample |= !self.bytes.is_empty();
        self.bytes.clear();
        let certain = self.walker.as_ref().is_some_and(|walker| walker.certain);
        if let (true, Some(length)) = (cut && certain, self.length) {
            let promised = self.before + length / self.format.frame() as u64;
            if promised > self.frames {
                return Err(AudioError::Truncated {
                    found: self.frames,
                    promised,
                });
            }
        }
        self.before = self.frames;
        let (false, Some(walker), Some(length)) = (cut, &mut self.walker, self.length) else {
            return Ok(false);
        };
        let Some(next) = walker.next_data(&mut self.source, length)? else {
            return Ok(false);
        };
        (self.left, self.length) = (next, next);
        Ok(true)
    }
}

impl Decode for Pcm {
    fn layout(&self) -> Layout {
        let certain = self.walker.as_ref().is_some_and(|walker| walker.certain);
        let length = self.length.filter(|_| certain);
        Layout {
            rate: self.format.rate,
            channels: self.format.channels.into(),
            top: self.format.coding.top(),
            frames: length.and_then(|bytes| bytes.checked_div(self.format.frame() as u64)),
        }
    }

    fn next(&mut self, samples: &mut Vec<f64>) -> Result<bool, AudioError> {
        loop {
            if self.left == Some(0) {
                if self.end(false)? {
                    continue;
                }
                return Ok(false);
            }
            let most = self
                .left
                .map_or(PIECE, |left| left.min(PIECE as u64) as usize);
            let start = self.bytes.len();
            self.bytes.resize(start + most, 0);
            let read = self.source.read(&mut self.bytes[start..]);
            self.bytes.truncate(start + *read.as_ref().unwrap_or(&0));
            match read {
                Ok(0) => {
                    let raw = self.walker.is_none();
                    if raw && !self.bytes.is_empty() {
                        return Err(AudioError::HalfSample);
                    }
                    self.end(true)?;
                    return Ok(false);
                }
                Ok(read) => self.left = self.left.map(|left| left - read as u64),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(AudioError::Read(error)),
            }
            let frames = self.bytes.len() / self.format.frame();
            let whole = frames * self.format.frame();
            let Format {
                coding, big_endian, ..
            } = self.format;
            coding.append(&self.bytes[..whole], big_endian, samples);
            self.bytes.drain(..whole);
            self.frames += frames as u64;
            return Ok(true);
        }
    }

    fn format(&self) -> Option<RawFormat> {
        RawFormat::of(self.format.coding, self.format.big_endian)
    }

    fn half_sample(&self) -> bool {
        self.half_sample
    }
}

/// Walks from chunk to chunk.
struct Walker {
    big_endian: bool,
    aiff: bool,
    /// The length that the file states of itself, from its ninth byte on.
    length: u64,
    /// Position in the file.
    at: u64,
    /// The length of an RF64 file's data.
    long: Option<u64>,
    /// Says whether the samples must be as long as their chunk states.
    certain: bool,
    /// Says whether the chunk before has an odd length, and therefore perhaps a byte more.
    odd: bool,
}

impl Walker {
    fn number(&self, bytes: [u8; 4]) -> u32 {
        if self.big_endian {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        }
    }

    fn short(&self, bytes: [u8; 2]) -> u16 {
        if self.big_endian {
            u16::from_be_bytes(bytes)
        } else {
            u16::from_le_bytes(bytes)
        }
    }

    /// Returns name and length of the next chunk.
    fn next(&mut self, source: &mut Source) -> Result<([u8; 4], u64), AudioError> {
        if self.odd {
            let padded = is_padded(source.peek(5)?);
            self.at += source.skip(padded.into())?;
        }
        let [a, b, c, d, length @ ..] = source.header::<8>()?;
        self.at += 8;
        let length = self.number(length);
        self.odd = length % 2 == 1;
        Ok(([a, b, c, d], length.into()))
    }

    /// Skips a chunk, and returns its first bytes.
    fn read(&mut self, source: &mut Source, length: u64) -> Result<Vec<u8>, AudioError> {
        let mut bytes = Vec::new();
        let read = source
            .by_ref()
            .take(length.min(DESCRIPTION))
            .read_to_end(&mut bytes);
        read.map_err(AudioError::of_reading)?;
        let rest = length - length.min(DESCRIPTION);
        if bytes.len() as u64 + source.skip(rest)? < length {
            return Err(AudioError::TruncatedHeader);
        }
        self.at += length;
        Ok(bytes)
    }

    /// Reads up to the description of the samples.
    fn format(&mut self, source: &mut Source, form: &[u8; 4]) -> Result<Format, AudioError> {
        loop {
            let (name, length) = self.next(source)?;
            match &name {
                b"fmt " if !self.aiff => {
                    let bytes = self.read(source, length)?;
                    return self.wav_format(&bytes);
                }
                b"COMM" if self.aiff => {
                    let bytes = self.read(source, length)?;
                    return self.aiff_format(&bytes, form == b"AIFC");
                }
                b"ds64" => {
                    let bytes = self.read(source, length)?;
                    let [_, data, ..] = *bytes.as_chunks::<8>().0 else {
                        return Err(AudioError::damaged("its ds64 chunk is too short"));
                    };
                    self.long = Some(u64::from_le_bytes(data));
                }
                b"data" | b"SSND" => {
                    return Err(AudioError::damaged("samples come before their description"));
                }
                _ => drop(self.read(source, length)?),
            }
        }
    }

    /// Reads up to the samples, and returns their length in bytes, if it is known.
    fn data(&mut self, source: &mut Source) -> Result<Option<u64>, AudioError> {
        loop {
            let (name, length) = self.next(source)?;
            if &name == b"data" && !self.aiff {
                return Ok(self.length(length));
            }
            if &name == b"SSND" && self.aiff {
                let [a, b, c, d, _, _, _, _] = source.header::<8>()?;
                let offset = u64::from(self.number([a, b, c, d]));
                source.skip(offset)?;
                self.at += 8 + offset;
                if length == 0 || length == 0xffff_ffff {
                    return Ok(self.length(length));
                }
                let samples = length.checked_sub(8 + offset).ok_or_else(|| {
                    AudioError::damaged(format!(
                        "its samples begin {offset} bytes into {length} bytes"
                    ))
                })?;
                return Ok(self.length(samples));
            }
            if &name == b"fmt " || &name == b"COMM" {
                return Err(AudioError::damaged("its samples are described twice"));
            }
            self.read(source, length)?;
        }
    }

    /// Returns the length of a chunk of samples that states `length`, if that can be meant.
    fn length(&mut self, stated: u64) -> Option<u64> {
        let long = self.long.take_if(|_| stated == 0xffff_ffff);
        let length = long.unwrap_or(stated);
        if long.is_some() {
            self.odd = length % 2 == 1;
        }
        let nearly = |&unknown: &u64| (unknown - LESS..unknown).contains(&length);
        self.certain = long.is_some() || !UNKNOWN.iter().any(nearly);
        let unknown = match long {
            Some(long) => long == u64::MAX,
            None => UNKNOWN.contains(&length),
        };
        // It is empty if the file says that it goes on after it.
        let filled_in = length > 0 || self.at < self.length + 8 && !UNKNOWN.contains(&self.length);
        Some(length).filter(|_| filled_in && !unknown)
    }

    /// Walks on after a chunk of samples of that length: to the next one, whose length it returns, or to the end. What
    /// stands after the samples and is no chunk does not matter.
    fn next_data(
        &mut self,
        source: &mut Source,
        length: u64,
    ) -> Result<Option<Option<u64>>, AudioError> {
        self.at += length;
        loop {
            let (name, length) = match self.next(source) {
                Err(AudioError::TruncatedHeader) => return Ok(None),
                other => other?,
            };
            if &name == b"data" && !self.aiff {
                return Ok(Some(self.length(length)));
            }
            match self.read(source, length) {
                Err(AudioError::TruncatedHeader) => return Ok(None),
                other => drop(other?),
            }
        }
    }
}

/// Says whether what follows a chunk of odd length begins with the byte that pads it, which some programs leave out.
fn is_padded(next: &[u8]) -> bool {
    const KNOWN: [&[u8]; 7] = [
        b"data", b"fmt ", b"LIST", b"fact", b"COMM", b"SSND", b"bext",
    ];
    let is_name = |name: &[u8]| name.iter().all(|byte| matches!(byte, b' '..=b'~'));
    let (Some(unpadded), Some(padded)) = (next.get(..4), next.get(1..5)) else {
        return true;
    };
    // A name and the byte after it, or a byte before it, may look like one as well.
    !is_name(unpadded) || !KNOWN.contains(&unpadded) && KNOWN.contains(&padded)
}
