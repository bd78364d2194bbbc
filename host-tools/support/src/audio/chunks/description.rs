//! Reads what WAV and AIFF files say of their samples.

use super::super::error::AudioError;
use super::super::pcm::Coding;
use super::{Format, Walker};

/// Most channels that a header may ask for.
const CHANNELS: u16 = 256;

impl Walker {
    pub(super) fn wav_format(&self, bytes: &[u8]) -> Result<Format, AudioError> {
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

    pub(super) fn aiff_format(&self, bytes: &[u8], compressed: bool) -> Result<Format, AudioError> {
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
