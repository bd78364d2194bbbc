//! Walks the chunks of RIFF (WAV), RF64 and AIFF files, and decodes the samples in them.
//!
//! Headers are taken as programs of today and of the past write them: chunks of odd length with and without the byte that
//! pads them, lengths that were never filled in, since the file went through a pipe, and fields that contradict each other
//! where only one of them is needed.

use std::io::{self, Read};

use super::error::AudioError;
use super::pcm::Coding;
use super::source::Source;
use super::{Decode, Layout};

/// Lengths that say "until the end", as ffmpeg, arecord and sox write them into a pipe.
const UNKNOWN: [u64; 4] = [0x7fff_f000, 0x8000_0000, 0xffff_ffff, u64::MAX];
/// The least length that may be one of [`UNKNOWN`], made a multiple of something: it is none of the samples' business if the
/// file ends before. That of sox for AIFF is 0x7f000000.
const NEARLY_UNKNOWN: u64 = 0x7eff_0000;
/// Most bytes of samples that are read at once.
const PIECE: usize = 16_384;
/// Most bytes of a format's description that are kept.
const DESCRIPTION: u64 = 256;
/// Most channels that a header may ask for.
const CHANNELS: u16 = 256;

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
    promised: Option<u64>,
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
    /// Decodes raw 16 kHz mono s16le.
    pub fn raw(source: Source) -> Pcm {
        let format = Format {
            coding: Coding::Signed(2),
            channels: 1,
            rate: super::SAMPLE_RATE,
            big_endian: false,
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
            promised: left,
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
        if let (true, Some(length)) = (cut, self.promised.filter(|&n| n < NEARLY_UNKNOWN)) {
            let promised = self.before + length / self.format.frame() as u64;
            if promised > self.frames {
                return Err(AudioError::Truncated {
                    found: self.frames,
                    promised,
                });
            }
        }
        self.before = self.frames;
        let Some(walker) = self
            .walker
            .as_mut()
            .filter(|_| !cut && self.promised.is_some())
        else {
            return Ok(false);
        };
        self.left = match walker.next_data(&mut self.source, self.promised.unwrap_or(0))? {
            Some(length) => length,
            None => return Ok(false),
        };
        self.promised = self.left;
        Ok(true)
    }
}

impl Decode for Pcm {
    fn layout(&self) -> Layout {
        Layout {
            rate: self.format.rate,
            channels: self.format.channels.into(),
            top: self.format.coding.top(),
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
            // Some programs leave out the byte that pads a chunk.
            const NAMES: [&[u8]; 7] = [
                b"data", b"fmt ", b"LIST", b"fact", b"COMM", b"SSND", b"bext",
            ];
            let padded = !NAMES.contains(&source.peek(4)?);
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
                return match self.length(length) {
                    None => Ok(None),
                    Some(length) => length.checked_sub(8 + offset).map(Some).ok_or_else(|| {
                        AudioError::damaged(format!(
                            "its samples begin {offset} bytes into {length} bytes"
                        ))
                    }),
                };
            }
            if &name == b"fmt " || &name == b"COMM" {
                return Err(AudioError::damaged("its samples are described twice"));
            }
            self.read(source, length)?;
        }
    }

    /// Returns the length of a chunk of samples that states `length`, if that can be meant.
    fn length(&mut self, length: u64) -> Option<u64> {
        let length = match length {
            0xffff_ffff => self.long.take().unwrap_or(length),
            _ => length,
        };
        // It is empty if the file says that it goes on after it.
        let filled_in = length > 0 || self.at < self.length + 8 && !UNKNOWN.contains(&self.length);
        Some(length).filter(|length| filled_in && !UNKNOWN.contains(length))
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

    fn wav_format(&self, bytes: &[u8]) -> Result<Format, AudioError> {
        let &[
            t0,
            t1,
            c0,
            c1,
            r0,
            r1,
            r2,
            r3,
            _,
            _,
            _,
            _,
            a0,
            a1,
            b0,
            b1,
            ref rest @ ..,
        ] = bytes
        else {
            return Err(AudioError::damaged("its fmt chunk is too short"));
        };
        let mut tag = self.short([t0, t1]);
        // Size, valid bits and speakers come before the codec of the extended format.
        const EXTENSIBLE: u16 = 0xfffe;
        if let (EXTENSIBLE, [_, _, _, _, _, _, _, _, t0, t1, ..]) = (tag, rest) {
            tag = self.short([*t0, *t1]);
        }
        let [channels, align, bits] = [[c0, c1], [a0, a1], [b0, b1]].map(|field| self.short(field));
        check_channels(channels)?;
        let bytes = match bits.div_ceil(8) {
            // Samples of 24 bits may take 4 bytes.
            3 if align == 4 * channels => 4,
            bytes => bytes,
        };
        let coding = match (tag, bytes) {
            (1, 1) => Some(Coding::Unsigned8),
            (1, 2..=4) => Some(Coding::Signed(bytes.into())),
            (3, 4 | 8) => Some(Coding::Float(bytes.into())),
            (6, _) => Some(Coding::ALaw),
            (7, _) => Some(Coding::MuLaw),
            (1 | 3, _) => None,
            (other, _) => {
                let name = match other {
                    2 => "Microsoft ADPCM",
                    0x11 => "IMA ADPCM",
                    0x31 => "GSM 6.10",
                    0x50 | 0x55 => "MPEG audio",
                    0xff | 0x1600 | 0x1610 => "AAC",
                    _ => "of another kind",
                };
                return Err(AudioError::NotRead(format!(
                    "is a WAV whose samples are {name} (codec {other:#x})"
                )));
            }
        };
        let whole = |coding: &Coding| {
            align == 0 || usize::from(align) == coding.bytes() * usize::from(channels)
        };
        let coding = coding.filter(whole).ok_or_else(|| {
            AudioError::damaged(format!(
                "its header has samples of {bits} bits and blocks of {align} bytes for {channels} channels"
            ))
        })?;
        Ok(Format {
            coding,
            channels,
            rate: self.number([r0, r1, r2, r3]),
            big_endian: self.big_endian,
        })
    }

    fn aiff_format(&self, bytes: &[u8], compressed: bool) -> Result<Format, AudioError> {
        let &[c1, c0, _, _, _, _, b1, b0, ref rest @ ..] = bytes else {
            return Err(AudioError::damaged("its COMM chunk is too short"));
        };
        let [channels, bits] = [[c1, c0], [b1, b0]].map(u16::from_be_bytes);
        check_channels(channels)?;
        let &[e1, e0, m7, m6, m5, m4, m3, m2, m1, m0, ref rest @ ..] = rest else {
            return Err(AudioError::damaged("its COMM chunk is too short"));
        };
        // An 80-bit float: sign and exponent, then a mantissa with one bit before its point.
        let exponent = i32::from(u16::from_be_bytes([e1, e0])) - 16_383 - 63;
        let mantissa = u64::from_be_bytes([m7, m6, m5, m4, m3, m2, m1, m0]);
        let rate = (mantissa as f64 * 2f64.powi(exponent)).round() as u32;
        let integers = Some(bits.div_ceil(8)).filter(|bytes| (1..=4).contains(bytes));
        let integers = integers.map(|bytes| Coding::Signed(bytes.into()));
        let codec = if compressed {
            rest.first_chunk().copied()
        } else {
            None
        };
        let codec = codec.unwrap_or(*b"NONE");
        let (coding, big_endian) = match &codec {
            b"NONE" | b"twos" => (integers, true),
            b"sowt" => (integers, false),
            b"in24" => (Some(Coding::Signed(3)), true),
            b"in32" => (Some(Coding::Signed(4)), true),
            b"fl32" | b"FL32" => (Some(Coding::Float(4)), true),
            b"fl64" | b"FL64" => (Some(Coding::Float(8)), true),
            b"alaw" | b"ALAW" => (Some(Coding::ALaw), true),
            b"ulaw" | b"ULAW" => (Some(Coding::MuLaw), true),
            other => {
                return Err(AudioError::NotRead(format!(
                    "is an AIFF whose samples are `{}`",
                    other.escape_ascii()
                )));
            }
        };
        let coding =
            coding.ok_or_else(|| AudioError::damaged(format!("its samples have {bits} bits")))?;
        Ok(Format {
            coding,
            channels,
            rate,
            big_endian,
        })
    }
}

fn check_channels(channels: u16) -> Result<(), AudioError> {
    match channels {
        1..=CHANNELS => Ok(()),
        _ => Err(AudioError::damaged(format!(
            "it has {channels} channels, expected 1 to {CHANNELS}"
        ))),
    }
}
