//! Reads a compiled image from a file.

use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

use zerda_firmware::image::{HEADER_BYTES, Image, MAGIC, ParseError, VERSION, field};

use crate::error::{Error, Result};
use crate::files;

/// Names the environment variable that says how many MiB an image may take here, as file or as memory.
const LIMIT: &str = "ZERDA_IMAGE_MIB";
/// The MiB that an image may take where the environment says nothing: hundreds of times what a device has.
const LIMIT_MIB: u64 = 64;

/// The bytes of an image, aligned as it demands.
pub struct ImageFile {
    path: PathBuf,
    words: Vec<u128>,
    length: usize,
}

impl ImageFile {
    pub fn open(path: &Path) -> Result<ImageFile> {
        let file = files::open(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::usage(format!(
                "{}: there is no image; name another or make one with `zerda compile`",
                path.display()
            )),
            _ => Error::read(path, error),
        })?;
        let mut bytes = Vec::new();
        let read = file
            .take(limit()?.saturating_add(1))
            .read_to_end(&mut bytes);
        read.map_err(|error| Error::read(path, error))?;
        within_limit(path, "is at least", bytes.len() as u64)?;
        Ok(ImageFile::new(path, &bytes))
    }

    /// Makes an image that is, or will be, in the file `path`.
    pub fn new(path: &Path, bytes: &[u8]) -> ImageFile {
        let mut words = vec![0u128; bytes.len().div_ceil(size_of::<u128>())];
        bytemuck::cast_slice_mut(&mut words)[..bytes.len()].copy_from_slice(bytes);
        ImageFile {
            path: path.into(),
            words,
            length: bytes.len(),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn bytes(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.words)[..self.length]
    }

    /// Checks the image, and that it asks for no more memory than is given to it here.
    pub fn image(&self) -> Result<Image<'_>> {
        let image = Image::parse(self.bytes()).map_err(|error| {
            Error::usage(format!("{}: {}", self.path.display(), self.why(error)))
        })?;
        let npu = image.npu().map_or(0, |npu| npu.buffer_bytes());
        let bytes = image.memory_bytes() as u64 + npu as u64;
        within_limit(&self.path, "asks for", bytes)?;
        Ok(image)
    }

    /// Says what is wrong with bytes that are no image, and what to do. Where they would be one with one
    /// field of the header put right, that field is what was damaged.
    fn why(&self, error: ParseError) -> String {
        const AGAIN: &str = "copy it again, or compile the model again";
        let bytes = self.bytes();
        let length = bytes.len();
        let begins = bytes.starts_with(&MAGIC) || MAGIC.starts_with(bytes);
        match error {
            _ if bytes.starts_with(files::LFS_POINTER) => files::IS_LFS_POINTER.into(),
            _ if begins && length < HEADER_BYTES => {
                format!("truncated: {length} of at least {HEADER_BYTES} bytes; {AGAIN}")
            }
            ParseError::NotAnImage if self.is_image_but_for(field::MAGIC, &MAGIC) => {
                format!("damaged: an image with its first 4 bytes changed; {AGAIN}")
            }
            ParseError::NotAnImage => format!(
                "not a Zerda image{}; expected a file made by `zerda compile`",
                kind(bytes)
            ),
            // There was none before the first.
            ParseError::Version { found: 0 } => {
                format!("damaged: format version 0, expected {VERSION}; {AGAIN}")
            }
            ParseError::Version { found } if found < VERSION => format!(
                "older: format version {found}, this zerda reads version {VERSION}; compile the \
                 model again"
            ),
            ParseError::Version { found } => {
                let flipped = (found ^ VERSION).is_power_of_two()
                    && self.is_image_but_for(field::VERSION, &VERSION.to_le_bytes());
                let damaged = match flipped {
                    true => "; or it may be damaged, by one bit of the version: copy it again",
                    false => "",
                };
                format!(
                    "newer: format version {found}, this zerda reads version {VERSION}; update zerda, \
                     or compile the model again{damaged}"
                )
            }
            ParseError::Truncated { expected, .. } | ParseError::TrailingBytes { expected, .. }
                if self.is_image_but_for(field::TOTAL_LENGTH, &(length as u32).to_le_bytes()) =>
            {
                format!(
                    "damaged: its header says {expected} bytes, and it is whole with {length}; \
                     {AGAIN}"
                )
            }
            ParseError::Truncated { .. } => format!("{error}; {AGAIN}"),
            ParseError::TrailingBytes { .. } => format!("damaged: {error}; {AGAIN}"),
            ParseError::Checksum { .. } => {
                format!("{error}; it was changed in storage or transfer: {AGAIN}")
            }
            // The checksum is right: it was made so.
            _ => format!("damaged, or not made by `zerda compile`: {error}; {AGAIN}"),
        }
    }

    fn is_image_but_for(&self, field: Range<usize>, right: &[u8]) -> bool {
        let mut bytes = self.bytes().to_vec();
        match bytes.get_mut(field) {
            Some(field) => field.copy_from_slice(right),
            None => return false,
        }
        Image::parse(ImageFile::new(&self.path, &bytes).bytes()).is_ok()
    }
}

/// Returns the most bytes that an image may take here, as file or as memory.
fn limit() -> Result<u64> {
    let Some(text) = std::env::var_os(LIMIT) else {
        return Ok(LIMIT_MIB << 20);
    };
    let mib = text.to_str().and_then(|text| text.parse::<u64>().ok());
    match mib.filter(|mib| (1..=1 << 20).contains(mib)) {
        Some(mib) => Ok(mib << 20),
        None => Err(Error::usage(format!(
            "{LIMIT}={}: expected a number of MiB from 1 to 1048576",
            text.display()
        ))),
    }
}

/// Refuses an image that takes more bytes than the limit; `takes` says how.
fn within_limit(path: &Path, takes: &str, bytes: u64) -> Result<()> {
    let limit = limit()?;
    if bytes <= limit {
        return Ok(());
    }
    Err(Error::usage(format!(
        "{}: {takes} {} MiB, more than the {} MiB that an image may take here; if you trust it, set {LIMIT} in the \
         environment to a higher limit",
        path.display(),
        bytes.div_ceil(1 << 20),
        limit >> 20
    )))
}

/// Says what a file is that is no image, as far as its first bytes tell.
fn kind(bytes: &[u8]) -> &'static str {
    const KINDS: [(usize, &[u8], &str); 11] = [
        (
            0,
            b"ZRDT",
            " but phrases of `zerda enroll`, which --templates takes",
        ),
        (0, b"\x89PNG\r\n\x1a\n", " but a PNG picture"),
        (0, b"\xff\xd8\xff", " but a JPEG picture"),
        (
            4,
            b"TFL3",
            " but a TFLite model, which zerda writes and does not read",
        ),
        (0, b"\x7fELF", " but an ELF program"),
        (8, b"WAVE", " but a WAV recording"),
        (0, b"fLaC", " but a FLAC recording"),
        (0, b"RIFF", " but a RIFF file"),
        (0, b"\x1f\x8b", " but a gzip archive"),
        (
            0,
            b"PK\x03\x04",
            " but a zip archive, as PyTorch's checkpoints are",
        ),
        (0, b"%PDF", " but a PDF document"),
    ];
    let found = KINDS
        .iter()
        .find(|(at, magic, _)| bytes.get(*at..).is_some_and(|rest| rest.starts_with(magic)));
    match (found, bytes) {
        (Some((_, _, kind)), _) => kind,
        // protobuf of onnx.proto: the version of its format, then the producer, graph or opset.
        (None, [0x08, 1..=32, 0x12 | 0x3a | 0x42, ..]) => {
            ", probably an ONNX model: compile it first"
        }
        _ if is_text(bytes) => " but text",
        _ => "",
    }
}

/// Says whether the first bytes are UTF-8 without control characters but white space.
fn is_text(bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(256)];
    let valid = match std::str::from_utf8(start) {
        Ok(text) => text,
        // Cut within a character.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&start[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    valid
        .chars()
        .all(|c| !c.is_control() || c.is_ascii_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::shrunk;
    use zerda_firmware::image::section::test_section::Parts;

    #[test]
    fn an_image_that_asks_for_more_memory_than_the_limit_is_refused() {
        let shipped = shrunk();
        let mut parts = Parts::new(&shipped.image().unwrap());
        parts.section.scratch_bytes = 65 << 20;
        let bytes = parts.append(shipped.bytes());
        let file = ImageFile::new(Path::new("x"), bytes.get());
        let error = file.image().unwrap_err().to_string();
        // Caches and arena take less than a MiB.
        let expected = "x: asks for 66 MiB, more than the 64 MiB that an image may take here; if";
        assert!(error.starts_with(expected), "{error}");
    }
}
