//! Audio comes from a WAV file of the host.

use core::ffi::CStr;

use heapless::Vec;
use semihosting::fs::File;
use semihosting::io::Read;
use zerda_firmware::audio::{AudioSource, BLOCK};

use crate::{Message, message};

/// Delivers one block of audio a call of `Capture::run`.
pub struct Wav {
    file: File,
    /// Counts the bytes of the data chunk that were not read yet.
    remaining: usize,
    delivered: bool,
}

impl Wav {
    /// Opens a file of 16 kHz mono 16-bit PCM at its first sample. Returns a message if it is none or cannot
    /// be read.
    pub fn open(path: &str) -> Result<Self, Message> {
        let wrong = |what: &str| message(format_args!("{path}: {what}"));
        let mut file = File::open(&*c_string(path)?).map_err(|_| wrong("cannot be opened"))?;
        let mut riff = [0; 12];
        read_exact(&mut file, &mut riff).map_err(|()| wrong("no WAV file"))?;
        if !(riff.starts_with(b"RIFF") && riff.ends_with(b"WAVE")) {
            return Err(wrong("no WAV file"));
        }
        loop {
            let mut header = [0; 8];
            read_exact(&mut file, &mut header).map_err(|()| wrong("has no data chunk"))?;
            let [a, b, c, d, length @ ..] = header;
            let length = u32::from_le_bytes(length) as usize;
            match &[a, b, c, d] {
                b"data" => {
                    return Ok(Self {
                        file,
                        remaining: length,
                        delivered: false,
                    });
                }
                b"fmt " => {
                    let mut format = [0; 16];
                    read_exact(&mut file, &mut format).map_err(|()| wrong("is cut short"))?;
                    // PCM, one channel, 16 000 Hz, 32 000 bytes a second, 2 a frame, 16 bits.
                    let expected = [1u8, 0, 1, 0, 0x80, 0x3E, 0, 0, 0, 0x7D, 0, 0, 2, 0, 16, 0];
                    if format != expected {
                        return Err(wrong("is not 16 kHz mono 16-bit PCM"));
                    }
                    skip(&mut file, length.saturating_sub(16))
                        .map_err(|()| wrong("is cut short"))?;
                }
                _ => skip(&mut file, length).map_err(|()| wrong("is cut short"))?,
            }
        }
    }
}

impl AudioSource for Wav {
    fn read(&mut self, samples: &mut [i16; BLOCK]) -> usize {
        self.delivered = !self.delivered;
        if !self.delivered {
            return 0;
        }
        let mut bytes = [0; BLOCK * size_of::<i16>()];
        let length = bytes.len().min(self.remaining);
        let Ok(()) = read_exact(&mut self.file, &mut bytes[..length]) else {
            self.remaining = 0;
            return 0;
        };
        self.remaining -= length;
        let (pairs, _) = bytes[..length].as_chunks::<2>();
        for (sample, &pair) in samples.iter_mut().zip(pairs) {
            *sample = i16::from_le_bytes(pair);
        }
        pairs.len()
    }
}

/// Returns a path as the host's semihosting takes it, or a message if it is empty, too long or has a zero in
/// it.
pub fn c_string(path: &str) -> Result<CString, Message> {
    let mut bytes = Vec::from_slice(path.as_bytes()).unwrap_or_default();
    match bytes.push(0) {
        Ok(()) if bytes.len() > 1 && !path.contains('\0') => Ok(CString(bytes)),
        _ => Err(message(format_args!("name a file, of at most 200 bytes"))),
    }
}

/// Holds the bytes of a `CStr`, of at most 200 bytes and its zero.
pub struct CString(Vec<u8, 201>);

impl core::ops::Deref for CString {
    type Target = CStr;

    fn deref(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.0).unwrap_or_default()
    }
}

fn skip(file: &mut File, mut bytes: usize) -> Result<(), ()> {
    let mut buffer = [0; 64];
    while bytes > 0 {
        let length = bytes.min(buffer.len());
        read_exact(file, &mut buffer[..length])?;
        bytes -= length;
    }
    Ok(())
}

fn read_exact(file: &mut File, mut buffer: &mut [u8]) -> Result<(), ()> {
    while !buffer.is_empty() {
        match file.read(buffer) {
            Ok(0) | Err(_) => return Err(()),
            Ok(count) => buffer = &mut buffer[count..],
        }
    }
    Ok(())
}
