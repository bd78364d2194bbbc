//! Measures how much memory a long recording takes.

use std::io::{self, Read};

use zerda_support::audio::{Raw, Recording};

/// An hour of 48 kHz stereo as a WAV, made as it is read.
struct Hour {
    header: Vec<u8>,
    at: u64,
}

const SAMPLES: u32 = 3600 * 48_000 * 2;

impl Read for Hour {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.header.len() as u64;
        if self.at < length {
            let read = (&self.header[self.at as usize..]).read(buffer)?;
            self.at += read as u64;
            return Ok(read);
        }
        let left = u64::from(SAMPLES) * 2 - (self.at - length);
        let count = left.min(buffer.len() as u64) as usize;
        let noise = (self.at..).map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as u8 / 8);
        buffer
            .iter_mut()
            .zip(noise)
            .take(count)
            .for_each(|(byte, noise)| *byte = noise);
        self.at += count as u64;
        Ok(count)
    }
}

#[test]
fn an_hour_of_48_khz_stereo_takes_less_than_100_mb() {
    let mut header = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x01\0\x02\0".to_vec();
    header.extend([48_000u32, 192_000].map(u32::to_le_bytes).concat());
    header.extend(b"\x04\0\x10\0data");
    header.extend((SAMPLES * 2).to_le_bytes());
    let mut recording =
        Recording::of_stream("hour", Hour { header, at: 0 }, None, Raw::default()).unwrap();
    assert_eq!(samples(&mut recording), 3600 * 16_000);
    takes_less_than_100_mb();
}

fn samples(recording: &mut Recording) -> usize {
    let mut samples = 0;
    while let Some(piece) = recording.next_piece().unwrap() {
        samples += piece.len();
    }
    samples
}

/// Checks what all tests of this file took together until now.
fn takes_less_than_100_mb() {
    #[cfg(target_os = "linux")]
    {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let peak = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .unwrap();
        let kib: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
        println!("{kib} KiB at most");
        assert!(kib < 100_000, "{kib} KiB");
    }
}

/// Frames of 64 ms, together an hour.
const FRAMES: u32 = 3600 * 1000 / 64;

/// Appends the boxes of an MP4 (ISO/IEC 14496-12) to another, those that say how long it is as of [`FRAMES`] frames. `media` is
/// the frames, `sizes` their bytes.
fn lengthened(boxes: &[u8], media: &[u8], sizes: &[[u8; 4]], file: &mut Vec<u8>) {
    let mut rest = boxes;
    while let Some(length) = rest.first_chunk() {
        let (one, after) = rest.split_at(u32::from_be_bytes(*length) as usize);
        rest = after;
        let (name, old) = (&one[4..8], &one[8..]);
        let start = file.len();
        file.extend(&one[..8]);
        let ms = FRAMES * 64;
        match name {
            b"moov" | b"trak" | b"edts" | b"mdia" | b"minf" | b"stbl" => {
                lengthened(old, media, sizes, file);
            }
            b"mdat" => file.extend(media.iter().cycle().take(media_bytes(sizes))),
            b"stsz" => {
                file.extend(numbers(&[0, 0, FRAMES]));
                file.extend(sizes.iter().cycle().take(FRAMES as usize).flatten());
            }
            b"stts" => file.extend(numbers(&[0, 1, FRAMES, 1024])),
            b"stsc" => file.extend(numbers(&[0, 1, 1, FRAMES, 1])),
            b"mvhd" => file.extend(with(old, 16, ms)),
            b"mdhd" => file.extend(with(old, 16, FRAMES * 1024)),
            b"tkhd" => file.extend(with(old, 20, ms)),
            b"elst" => file.extend(with(old, 8, ms)),
            _ => file.extend(old),
        }
        let length = (file.len() - start) as u32;
        file[start..start + 4].copy_from_slice(&length.to_be_bytes());
    }
}

fn numbers(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|n| n.to_be_bytes()).collect()
}

/// Bytes that [`FRAMES`] frames have, of these sizes over and over.
fn media_bytes(sizes: &[[u8; 4]]) -> usize {
    let sizes = sizes.iter().cycle().take(FRAMES as usize);
    sizes.map(|&size| u32::from_be_bytes(size) as usize).sum()
}

/// Bytes with another number at a place.
fn with(bytes: &[u8], at: usize, number: u32) -> Vec<u8> {
    [&bytes[..at], &number.to_be_bytes(), &bytes[at + 4..]].concat()
}

/// The frames of a short file, all but its last one, over and over.
#[test]
fn an_hour_of_m4a_takes_less_than_100_mb() {
    let short = include_bytes!("data/formats/aac.m4a");
    let at = |name: &[u8; 4]| short.windows(4).position(|four| four == name).unwrap();
    let sizes = short[at(b"stsz") + 16..].as_chunks().0;
    let sizes = &sizes[..8];
    let media = &short[at(b"mdat") + 4..];
    let length: u32 = sizes.iter().map(|&size| u32::from_be_bytes(size)).sum();
    let mut long = Vec::new();
    lengthened(short, &media[..length as usize], sizes, &mut long);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), long).unwrap();

    let mut recording = Recording::open(file.path(), None).unwrap();
    // An encoder's first frame is heard as nothing.
    assert_eq!(samples(&mut recording), (FRAMES as usize - 1) * 1024);
    takes_less_than_100_mb();
}
