//! The header says where everything else lies.

use core::ops::Range;

use super::section::{CONSTANTS_BYTES, MemoryMode, SCRATCH_BYTES, SECTION_BYTES};
use super::{ALIGNMENT, HEADER_BYTES, MAGIC, ParseError, Quiet, VERSION};
use crate::crc::{CRC, update};

/// Says where the header's fields lie: each constant is a range of bytes in the image.
pub mod field {
    use core::ops::Range;

    /// Holds the bytes of [`super::MAGIC`].
    pub const MAGIC: Range<usize> = 0..4;
    /// Holds the format version, a u16.
    pub const VERSION: Range<usize> = 4..6;
    /// Holds the length of the header in bytes, a u16.
    pub const HEADER_LENGTH: Range<usize> = 6..8;
    /// Holds the length of the image in bytes, a u32.
    pub const TOTAL_LENGTH: Range<usize> = 8..12;
    /// Holds the length of the manifest in bytes, a u32. Commands and wake words are part of it.
    pub const MANIFEST_LENGTH: Range<usize> = 12..16;
    /// Holds the offset of the tensor segment in bytes, a u32.
    pub const SEGMENT_OFFSET: Range<usize> = 16..20;
    /// Holds the length of the tensor segment in bytes, a u32.
    pub const SEGMENT_LENGTH: Range<usize> = 20..24;
    /// Holds the checksum of all other bytes, a u32.
    pub const CHECKSUM: Range<usize> = 24..28;
    /// Holds the bytes of memory that the caches take, a u32.
    pub const CACHE_BYTES: Range<usize> = 28..32;
    /// Holds the bytes of memory that the arena takes, a u32.
    pub const ARENA_BYTES: Range<usize> = 32..36;
    /// Holds the alignment of image and memory in bytes, a u32.
    pub const ALIGNMENT: Range<usize> = 36..40;
    /// Holds the offset of the NPU section in bytes, a u32; 0: there is none.
    pub const NPU_OFFSET: Range<usize> = 40..44;
    /// Holds the length of the NPU section in bytes, a u32.
    pub const NPU_LENGTH: Range<usize> = 44..48;
    /// Holds the length of the commands in bytes, a u32; 0: there are none.
    pub const COMMANDS_LENGTH: Range<usize> = 48..52;
    /// Holds the length of the wake words' record in bytes, a u32; 0: there is none.
    pub const WAKE_LENGTH: Range<usize> = 52..56;
    /// Holds how many frames a sound must last to be remembered in the level, a u16; 0 means 1.
    pub const LEVEL_FRAMES: Range<usize> = 56..58;
    /// Holds where an NPU reads its constants, a u16: a [`crate::image::section::MemoryMode`].
    pub const NPU_MEMORY_MODE: Range<usize> = 58..60;
    /// Holds the voice activity gate, a u16: [`crate::image::Quiet::field`]; 0: there is none.
    pub const QUIET: Range<usize> = 60..62;
    /// Holds zeros, since these bytes are reserved.
    pub const RESERVED: Range<usize> = 62..64;
}

/// Returns the checksum of an image: the CRC-32 (ISO-HDLC) of all of it except the checksum.
pub fn checksum(image: &[u8]) -> u32 {
    let mut digest = CRC.digest();
    for part in [
        image.get(..field::CHECKSUM.start),
        image.get(field::CHECKSUM.end..),
    ] {
        update(&mut digest, part.unwrap_or_default());
    }
    digest.finalize()
}

/// Returns the bytes of memory that the image's caches and arena need, as its header states them. It is a
/// constant if the image is one. It is 0 if `image` is no image; [`super::Image::parse`] says why.
pub const fn memory_bytes(image: &[u8]) -> usize {
    match image.first_chunk::<HEADER_BYTES>() {
        Some(header @ [b'Z', b'R', b'D', b'A', ..]) => {
            let caches = u32_at(header, field::CACHE_BYTES.start);
            let arena = u32_at(header, field::ARENA_BYTES.start);
            caches.saturating_add(arena)
        }
        _ => 0,
    }
}

/// Returns the bytes of the buffer in which an NPU computes a step of the image, as its NPU section states
/// them, with those of the constants where they are copied into it. It is a constant if the image is one. It is
/// 0 if the image has no NPU section.
pub const fn npu_scratch_bytes(image: &[u8]) -> usize {
    let Some(header @ [b'Z', b'R', b'D', b'A', ..]) = image.first_chunk::<HEADER_BYTES>() else {
        return 0;
    };
    let offset = u32_at(header, field::NPU_OFFSET.start);
    match image.split_at_checked(offset) {
        Some((_, section)) if offset > 0 => match section.first_chunk::<SECTION_BYTES>() {
            Some(section) => {
                let mode = field::NPU_MEMORY_MODE.start;
                let mode = u16::from_le_bytes([header[mode], header[mode + 1]]);
                let scratch = u32_at(section, SCRATCH_BYTES);
                match mode == MemoryMode::SramOnly as u16 {
                    true => {
                        constants_offset(scratch).saturating_add(u32_at(section, CONSTANTS_BYTES))
                    }
                    false => scratch,
                }
            }
            None => 0,
        },
        _ => 0,
    }
}

/// The most bytes that a line of a data cache has, on the cores that are known.
const CACHE_LINE: usize = 32;

/// Returns the offset in the buffer, in bytes, of constants that are copied behind scratch memory: a cache line holds
/// bytes of one of them alone.
pub const fn constants_offset(scratch_bytes: usize) -> usize {
    match scratch_bytes.checked_next_multiple_of(CACHE_LINE) {
        Some(offset) => offset,
        None => usize::MAX,
    }
}

/// Returns a u32 of a record as a usize; `at` is a constant within it.
const fn u32_at<const BYTES: usize>(bytes: &[u8; BYTES], at: usize) -> usize {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]) as usize
}

/// Holds what a header says of the bytes after it.
pub(super) struct Header {
    pub manifest: Range<usize>,
    pub commands: Range<usize>,
    pub wake: Range<usize>,
    pub segment: Range<usize>,
    pub npu: Option<(Range<usize>, MemoryMode)>,
    pub checksum: u32,
    pub cache_bytes: u32,
    pub arena_bytes: u32,
    pub level_frames: u16,
    pub quiet: Option<Quiet>,
}

impl Header {
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let truncated = |expected| ParseError::Truncated {
            expected,
            found: bytes.len(),
        };
        if !bytes.starts_with(&MAGIC) {
            return Err(ParseError::NotAnImage);
        }
        let header = bytes
            .first_chunk::<HEADER_BYTES>()
            .ok_or(truncated(HEADER_BYTES))?;
        let u16_at = |at: Range<usize>| {
            let bytes = header.get(at).and_then(|bytes| bytes.first_chunk());
            bytes.map_or(0, |&bytes| u16::from_le_bytes(bytes))
        };
        let u32_at = |at: Range<usize>| {
            let bytes = header.get(at).and_then(|bytes| bytes.first_chunk());
            bytes.map_or(0, |&bytes| u32::from_le_bytes(bytes))
        };
        let found = u16_at(field::VERSION);
        if found != VERSION {
            return Err(ParseError::Version { found });
        }
        let total = u32_at(field::TOTAL_LENGTH) as usize;
        if bytes.len() < total {
            return Err(truncated(total));
        }
        if bytes.len() > total {
            return Err(ParseError::TrailingBytes {
                expected: total,
                found: bytes.len(),
            });
        }
        if !bytes.as_ptr().addr().is_multiple_of(ALIGNMENT) {
            return Err(ParseError::Misaligned);
        }
        let (expected, found) = (u32_at(field::CHECKSUM), checksum(bytes));
        if expected != found {
            return Err(ParseError::Checksum { expected, found });
        }

        let manifest_end = (u32_at(field::MANIFEST_LENGTH) as usize).saturating_add(HEADER_BYTES);
        let segment = u32_at(field::SEGMENT_OFFSET) as usize;
        let segment_end = segment.saturating_add(u32_at(field::SEGMENT_LENGTH) as usize);
        let npu = u32_at(field::NPU_OFFSET) as usize;
        let npu_end = npu.saturating_add(u32_at(field::NPU_LENGTH) as usize);
        let reserved = header.get(field::RESERVED).unwrap_or_default();
        let wrong = |field, problem| Err(ParseError::Header { field, problem });
        if usize::from(u16_at(field::HEADER_LENGTH)) != HEADER_BYTES {
            return wrong("header length", "must be 64");
        }
        if u32_at(field::ALIGNMENT) as usize != ALIGNMENT {
            return wrong("alignment", "must be 16");
        }
        if reserved.iter().any(|&byte| byte != 0) {
            return wrong("reserved", "must be 0");
        }
        let Some(mode) = MemoryMode::of(u16_at(field::NPU_MEMORY_MODE)) else {
            return wrong("NPU memory mode", "must be 0 or 1");
        };
        if segment < manifest_end {
            return wrong("tensor segment offset", "lies within the manifest");
        }
        if !segment.is_multiple_of(ALIGNMENT) {
            return wrong("tensor segment offset", "must be a multiple of 16");
        }
        let before = |end: usize, length: Range<usize>| {
            let start = end.checked_sub(u32_at(length) as usize);
            start.filter(|&start| start >= HEADER_BYTES)
        };
        let Some(wake) = before(manifest_end, field::WAKE_LENGTH) else {
            return wrong("wake length", "is more than the manifest's");
        };
        let Some(commands) = before(wake, field::COMMANDS_LENGTH) else {
            return wrong("commands length", "is more than the manifest's");
        };
        if npu == 0 {
            if npu_end != 0 {
                return wrong("NPU section length", "must be 0 where there is none");
            }
            if mode != MemoryMode::SharedSram {
                return wrong("NPU memory mode", "must be 0 where there is no section");
            }
            if segment_end != total {
                return wrong("tensor segment length", "does not end with the image");
            }
        } else {
            if segment_end.checked_next_multiple_of(ALIGNMENT) != Some(npu) {
                return wrong("NPU section offset", "does not follow the tensor segment");
            }
            if npu_end != total {
                return wrong("NPU section length", "does not end with the image");
            }
        }
        Ok(Self {
            manifest: HEADER_BYTES..commands,
            commands: commands..wake,
            wake: wake..manifest_end,
            segment: segment..segment_end,
            npu: (npu > 0).then_some((npu..npu_end, mode)),
            checksum: expected,
            cache_bytes: u32_at(field::CACHE_BYTES),
            arena_bytes: u32_at(field::ARENA_BYTES),
            level_frames: u16_at(field::LEVEL_FRAMES),
            quiet: Quiet::of(u16_at(field::QUIET)),
        })
    }
}
