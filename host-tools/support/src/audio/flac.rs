//! Accounts for the frames of a FLAC stream, since its decoder skips what is damaged and says nothing.
//!
//! The tags before and after the frames are left out. Frames must count on from nought, every byte must belong to one,
//! and their samples must be as many as the header states, if it does, with its MD5 (RFC 9639).

use std::io::Cursor;

use super::error::AudioError;
use super::source::Source;

/// Checks that the frames follow each other.
#[derive(Default)]
pub struct Frames {
    frames: u64,
    samples: u64,
    bits: u8,
}

/// Reads a FLAC file up to its frames. Returns the stream without all metadata but the first block, which describes
/// it, and what its frames are checked with.
pub fn header(source: &mut Source) -> Result<(Cursor<Vec<u8>>, Frames), AudioError> {
    let magic = source.header::<4>()?;
    let mut description = None;
    loop {
        let [kind, a, b, c] = source.header::<4>()?;
        let length = u64::from(u32::from_be_bytes([0, a, b, c]));
        match (kind & 0x7f, description) {
            (0, None) if length == 34 => description = Some(source.header::<34>()?),
            (_, None) => return Err(AudioError::damaged("it does not begin with its STREAMINFO")),
            (0 | 127, _) => {
                return Err(AudioError::damaged(
                    "a metadata block is of no kind that there is",
                ));
            }
            _ if source.skip(length)? < length => return Err(AudioError::TruncatedHeader),
            _ => {}
        }
        if kind & 0x80 != 0 {
            break;
        }
    }
    let Some(description) = description else {
        return Err(AudioError::TruncatedHeader);
    };
    let frames = Frames {
        bits: ((description[12] & 1) << 4 | description[13] >> 4) + 1,
        ..Frames::default()
    };
    const LAST_STREAMINFO: [u8; 4] = [0x80, 0, 0, 34];
    let repaired = [&magic[..], &LAST_STREAMINFO, &description].concat();
    Ok((Cursor::new(repaired), frames))
}

impl Frames {
    /// Takes the next frame, whose `samples` a channel were decoded.
    pub fn take(&mut self, frame: &[u8], samples: u64) -> Result<(), AudioError> {
        let &[_, strategy, _, sizes, first, ref rest @ ..] = frame else {
            return Err(AudioError::TruncatedFrame);
        };
        // The number is written as UTF-8 would write it.
        let more = first.leading_ones().saturating_sub(1).min(6) as usize;
        let number = match first.leading_ones() {
            0 => u64::from(first),
            ones => u64::from(first & (0x7f >> ones.min(7))),
        };
        let more = rest.iter().take(more);
        let number = more.fold(number, |number, byte| number << 6 | u64::from(byte & 0x3f));
        let expected = if strategy & 1 == 0 {
            self.frames
        } else {
            self.samples
        };
        if number != expected {
            return Err(AudioError::damaged(format!(
                "frame {} at {} samples is numbered {number}, expected {expected}: some are missing",
                self.frames, self.samples
            )));
        }
        const CODE_OF_32_BITS: u8 = 7;
        let wide = match sizes >> 1 & 7 {
            0 => self.bits == 32,
            code => code == CODE_OF_32_BITS,
        };
        if wide && sizes >> 4 >= 8 {
            return Err(AudioError::NotRead(
                "is FLAC of 32 bits whose channels are coded together".into(),
            ));
        }
        self.frames += 1;
        self.samples += samples;
        Ok(())
    }
}
