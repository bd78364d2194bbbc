//! Says what raw samples are like, which say nothing of themselves.

use std::fmt;
use std::str::FromStr;

use super::error::AudioError;
use super::pcm::Coding;
use super::{Layout, SAMPLE_RATE};

/// Names of the formats that raw samples may have, as ffmpeg and sox know them, with their coding and whether the most
/// significant byte comes first.
const FORMATS: [(&str, Coding, bool); 14] = [
    ("s16le", Coding::Signed(2), false),
    ("s16be", Coding::Signed(2), true),
    ("u8", Coding::Unsigned8, false),
    ("s8", Coding::Signed(1), false),
    ("s24le", Coding::Signed(3), false),
    ("s24be", Coding::Signed(3), true),
    ("s32le", Coding::Signed(4), false),
    ("s32be", Coding::Signed(4), true),
    ("f32le", Coding::Float(4), false),
    ("f32be", Coding::Float(4), true),
    ("f64le", Coding::Float(8), false),
    ("f64be", Coding::Float(8), true),
    ("alaw", Coding::ALaw, false),
    ("mulaw", Coding::MuLaw, false),
];

/// A format of raw samples, by its place among those that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawFormat(usize);

impl RawFormat {
    /// Signed integers of 16 bits, the least significant byte first.
    pub const S16LE: RawFormat = RawFormat(0);

    pub(super) fn of(coding: Coding, big_endian: bool) -> Option<RawFormat> {
        let same = |&(_, known, big): &(_, Coding, bool)| {
            known == coding && (big == big_endian || coding.bytes() == 1)
        };
        FORMATS.iter().position(same).map(RawFormat)
    }

    /// Returns the number of bytes that a sample has.
    pub fn bytes(self) -> usize {
        self.coding().bytes()
    }

    pub(super) fn coding(self) -> Coding {
        FORMATS[self.0].1
    }

    pub(super) fn big_endian(self) -> bool {
        FORMATS[self.0].2
    }
}

impl fmt::Display for RawFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(FORMATS[self.0].0)
    }
}

impl FromStr for RawFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<RawFormat, String> {
        let known = FORMATS.iter().position(|(name, ..)| *name == text);
        known.map(RawFormat).ok_or_else(|| {
            let names = FORMATS.map(|(name, ..)| name).join(" ");
            format!("expected one of {names}")
        })
    }
}

/// Holds what a person or a device said of raw samples; what was not said is as 16 kHz mono s16le has it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Raw {
    /// Frames a second, in Hz.
    pub rate: Option<u32>,
    pub channels: Option<u16>,
    pub format: Option<RawFormat>,
}

impl fmt::Display for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rate, channels, format) = (self.rate(), self.channels(), self.format());
        let plural = if channels == 1 { "" } else { "s" };
        write!(f, "{rate} Hz, {channels} channel{plural}, {format}")
    }
}

impl Raw {
    pub(super) fn rate(&self) -> u32 {
        self.rate.unwrap_or(SAMPLE_RATE)
    }

    pub(super) fn channels(&self) -> u16 {
        self.channels.unwrap_or(1)
    }

    pub(super) fn format(&self) -> RawFormat {
        self.format.unwrap_or(RawFormat::S16LE)
    }

    /// Refuses what a header contradicts: that of a recording with such a layout, and such a format of samples where they
    /// are not compressed.
    pub(super) fn agrees(
        &self,
        layout: Layout,
        format: Option<RawFormat>,
    ) -> Result<(), AudioError> {
        let contradicted = |option, given: &dyn fmt::Display, found: &dyn fmt::Display| {
            Err(AudioError::Contradicted {
                option,
                given: given.to_string(),
                found: found.to_string(),
            })
        };
        match *self {
            Raw {
                rate: Some(rate), ..
            } if rate != layout.rate => contradicted("rate", &rate, &layout.rate),
            Raw {
                channels: Some(channels),
                ..
            } if usize::from(channels) != layout.channels => {
                contradicted("channels", &channels, &layout.channels)
            }
            Raw {
                format: Some(given),
                ..
            } if format != Some(given) => match format {
                Some(found) => contradicted("format", &given, &found),
                None => contradicted("format", &given, &"compressed samples"),
            },
            _ => Ok(()),
        }
    }
}
