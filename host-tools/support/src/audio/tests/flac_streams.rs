//! Makes many streams of FLAC, whole and damaged, and holds the decoder against what was made.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

use super::*;

/// Writes bits, the highest first.
#[derive(Default)]
struct Bits(Vec<bool>);

impl Bits {
    fn put(&mut self, value: u64, bits: u32) {
        self.0
            .extend((0..bits).rev().map(|bit| value >> bit & 1 == 1));
    }

    fn bytes(&self) -> Vec<u8> {
        let byte = |bits: &[bool]| bits.iter().fold(0, |byte, &bit| byte << 1 | u8::from(bit));
        self.0.chunks(8).map(byte).collect()
    }
}

/// A frame of FLAC (RFC 9639, section 9) of 16 bits at 16 kHz, with verbatim samples.
fn frame(number: u64, variable: bool, channels: u64, samples: &[u16]) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.put(0b111_1111_1111_1100 << 1 | u64::from(variable), 16);
    bits.put(7 << 4 | 5, 8);
    bits.put((channels - 1) << 4 | 4 << 1, 8);
    match number {
        0..0x80 => bits.put(number, 8),
        0x80..0x800 => bits.put(0xc080 | (number >> 6) << 8 | number & 63, 16),
        _ => bits.put(
            0xe0_8080 | (number >> 12) << 16 | (number >> 6 & 63) << 8 | number & 63,
            24,
        ),
    }
    bits.put(samples.len() as u64 - 1, 16);
    let crc = crc::Crc::<u8>::new(&crc::CRC_8_SMBUS).checksum(&bits.bytes());
    bits.put(crc.into(), 8);
    for _ in 0..channels {
        bits.put(0b10, 8);
        samples
            .iter()
            .for_each(|&sample| bits.put(sample.into(), 16));
    }
    let crc = crc::Crc::<u16>::new(&crc::CRC_16_UMTS).checksum(&bits.bytes());
    bits.put(crc.into(), 16);
    bits.bytes()
}

/// The start of a FLAC file, without MD5, and without a length if that is `None`.
fn flac_header(block: u64, variable: bool, channels: u64, length: Option<u64>) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.put(if variable { 16 } else { block }, 16);
    bits.put(block, 16);
    bits.put(0, 48);
    bits.put(16_000, 20);
    bits.put(channels - 1, 3);
    bits.put(15, 5);
    bits.put(length.unwrap_or(0), 36);
    bits.put(0, 64);
    bits.put(0, 64);
    [&b"fLaC\x80\0\0\x22"[..], &bits.bytes()].concat()
}

#[test]
fn flac_streams_that_lack_anything_are_errors_with_and_without_a_length() {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(19);
    let mut counts = [0; 2];
    for round in 0..400u64 {
        let (variable, channels) = (round % 2 == 1, 1 + round / 2 % 2);
        let block = random.random_range(100..600);
        let count = random.random_range(4..9);
        let mut samples: Vec<u16> = Vec::new();
        let mut frames = Vec::new();
        for number in 0..count {
            let first = if variable {
                samples.len() as u64
            } else {
                number
            };
            let last = number + 1 == count;
            let size = if variable || last {
                random.random_range(16..=block)
            } else {
                block
            };
            let level: u16 = random.random_range(0..500);
            let some: Vec<u16> = (0..size)
                .map(|_| level + random.random_range(0..9))
                .collect();
            frames.push(frame(first, variable, channels, &some));
            samples.extend(some);
        }
        let length = (round % 3 > 0).then_some(samples.len() as u64);
        let header = flac_header(block, variable, channels, length);
        let whole = [&header[..], &frames.concat()].concat();
        let expected: Vec<i16> = samples.iter().map(|&sample| sample as i16).collect();
        assert_eq!(
            decoded(whole.clone()).as_ref(),
            Ok(&expected),
            "round {round}"
        );
        let tag = [&b"TAG"[..], &[b' '; 125]].concat();
        let tagged = [&b"ID3\x03\0\0\0\0\0\x01x"[..], &whole, &tag].concat();
        assert_eq!(decoded(tagged).as_ref(), Ok(&expected), "round {round}");
        counts[0] += 2;

        let some = random.random_range(0..frames.len() - 1);
        let with = |change: &dyn Fn(&mut Vec<Vec<u8>>)| {
            let mut frames = frames.clone();
            change(&mut frames);
            [&header[..], &frames.concat()].concat()
        };
        let mut changed = whole.clone();
        let at = random.random_range(header.len()..whole.len());
        changed[at] ^= 1 << random.random_range(0..8);
        let last = frames[frames.len() - 1].len();
        let cut = whole.len() - random.random_range(1..last);
        let halved = flac_header(block, variable, channels, Some(samples.len() as u64 / 2));
        let damaged = [
            (
                "half of its samples stated",
                [&halved[..], &frames.concat()].concat(),
            ),
            ("a bit changed", changed),
            ("cut within a frame", whole[..cut].to_vec()),
            ("a frame missing", with(&|frames| drop(frames.remove(some)))),
            (
                "a frame twice",
                with(&|frames| frames.insert(some, frames[some].clone())),
            ),
            (
                "two frames changed about",
                with(&|frames| frames.swap(some, some + 1)),
            ),
            (
                "noise after a frame",
                with(&|frames| frames[some].extend([1, 2, 3])),
            ),
            ("noise at the end", [&whole[..], &[9; 40]].concat()),
        ];
        for (what, bytes) in damaged {
            let found = decoded(bytes);
            assert!(found.is_err(), "round {round}: {what}");
            counts[1] += 1;
        }
    }
    println!("FLAC streams: {} whole, {} damaged", counts[0], counts[1]);
}

/// In ffmpeg's file, whose header states neither length nor MD5, nothing tells that whole frames were cut off its end; whatever
/// else is cut off or changed in its frames is told by their own lengths, numbers and checksums.
#[test]
fn flac_that_states_neither_length_nor_md5_is_whole_or_an_error_wherever_it_is_cut_or_changed() {
    let whole = include_bytes!("../../../tests/data/formats/ffmpeg.flac");
    let (states_length, states_md5) = (whole[21] & 15 | whole[22], whole[26..42].to_vec());
    assert_eq!((states_length, states_md5), (0, vec![0; 16]));
    let samples = decoded(whole.to_vec()).unwrap();
    let first_frame = whole.windows(2).position(|sync| sync == [0xff, 0xf8]);
    let mut random = Xoshiro256PlusPlus::seed_from_u64(19);
    let (mut whole_frames, mut cuts, mut changes) = (0, 0, 0);
    for at in first_frame.unwrap()..whole.len() {
        match decoded(whole[..at].to_vec()) {
            Ok(found) => {
                assert!(found.len().is_multiple_of(1152), "cut at {at}");
                assert!(samples.starts_with(&found), "cut at {at}");
                whole_frames += 1;
            }
            Err(_) => cuts += 1,
        }
        let mut changed = whole.to_vec();
        changed[at] ^= 1 << random.random_range(0..8);
        assert!(decoded(changed).is_err(), "changed at {at}");
        changes += 1;
    }
    println!(
        "FLAC of unknown length: {cuts} cuts and {changes} changes are errors, {whole_frames} cuts leave whole frames"
    );
    // The last of 7 frames is a shorter one.
    assert_eq!(whole_frames, samples.len() / 1152);
}
