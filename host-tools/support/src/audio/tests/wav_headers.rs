//! Makes many headers of WAV, of each of which is known what it must give: its samples, or an error.

use std::collections::BTreeMap;

use rand::rngs::Xoshiro256PlusPlus as Random;
use rand::{RngExt, SeedableRng};

use super::*;

const HEADERS: usize = 4_000;

/// What makes a header an error.
const FLAWS: [&str; 11] = [
    "no channel",
    "too many channels",
    "a codec that is not read",
    "bits of no coding",
    "a block that does not fit",
    "a rate that is not read",
    "a short description",
    "samples before their description",
    "two descriptions",
    "samples cut short",
    "no samples",
];

/// Lengths that mean "until the end".
const UNKNOWN: [u32; 4] = [0x7f00_0000, 0x7fff_f000, 0x8000_0000, u32::MAX];

fn one_of<T: Copy>(random: &mut Random, list: &[T]) -> T {
    list[random.random_range(0..list.len())]
}

/// Description of samples, and how they are written.
struct Format {
    big_endian: bool,
    codec: u16,
    bits: u16,
    /// Bytes that a sample takes.
    bytes: u16,
    channels: u16,
}

impl Format {
    fn draw(random: &mut Random) -> Format {
        let (codec, bits, bytes) = one_of(
            random,
            &[
                (1, 8, 1),
                (1, 12, 2),
                (1, 16, 2),
                (1, 20, 3),
                (1, 24, 3),
                (1, 24, 4),
                (1, 32, 4),
                (3, 32, 4),
                (3, 64, 8),
                (6, 8, 1),
                (7, 8, 1),
            ],
        );
        Format {
            big_endian: random.random_bool(0.2),
            codec,
            bits,
            bytes,
            channels: random.random_range(1..=4),
        }
    }

    fn number(&self, number: u64, length: usize) -> Vec<u8> {
        let mut bytes = number.to_le_bytes()[..length].to_vec();
        if self.big_endian {
            bytes.reverse();
        }
        bytes
    }

    fn chunk(&self, name: &[u8; 4], stated: u32, bytes: &[u8]) -> Vec<u8> {
        [&name[..], &self.number(stated.into(), 4), bytes].concat()
    }

    /// A sample, as a 16-bit number and as it is written.
    fn sample(&self, random: &mut Random) -> (i16, Vec<u8>) {
        let value: i16 = random.random();
        let real = f64::from(value) / 32_768.0;
        match (self.codec, self.bytes) {
            (1, 1) => {
                let byte: u8 = random.random();
                ((i16::from(byte) - 128) * 256, vec![byte])
            }
            (1, bytes) => {
                let written = i64::from(value) << (8 * (bytes - 2));
                (value, self.number(written as u64, bytes.into()))
            }
            (3, 4) => (value, self.number((real as f32).to_bits().into(), 4)),
            (3, _) => (value, self.number(real.to_bits(), 8)),
            // ITU-T G.711, tables 1 and 2.
            (6, _) => {
                let known = [(32_256, 0xaa), (8, 0xd5), (-8, 0x55), (-32_256, 0x2a)];
                let (value, byte) = one_of(random, &known);
                (value, vec![byte])
            }
            _ => {
                let known = [(32_124, 0x80), (0, 0xff), (0, 0x7f), (-32_124, 0x00)];
                let (value, byte) = one_of(random, &known);
                (value, vec![byte])
            }
        }
    }

    /// The chunk that describes the samples, with one flaw if that is one of the description.
    fn described(&self, random: &mut Random, flaw: &str) -> Vec<u8> {
        let (mut codec, mut bits, mut channels, mut rate) =
            (self.codec, self.bits, self.channels, 16_000);
        let mut block = self.bytes * channels;
        // Some programs leave it open.
        if bits.div_ceil(8) == self.bytes && random.random_bool(0.1) {
            block = 0;
        }
        match flaw {
            "no channel" => channels = 0,
            "too many channels" => channels = one_of(random, &[257, u16::MAX]),
            "a codec that is not read" => {
                codec = one_of(random, &[0, 2, 4, 0x11, 0x31, 0x55, 0xff, 0x1600, 0x7777]);
            }
            "bits of no coding" => {
                (codec, bits) = one_of(random, &[(1, 0), (1, 33), (1, 64), (3, 16), (3, 24)]);
                block = bits.div_ceil(8) * channels;
            }
            "a block that does not fit" => block = 5 * self.bytes * channels + 1,
            "a rate that is not read" => {
                rate = one_of(random, &[0, 1, 999, 192_001, 1_000_001, u32::MAX]);
            }
            _ => {}
        }
        let byte_rate = one_of(random, &[rate.wrapping_mul(block.into()), 0, u32::MAX]);
        let extensible = random.random_bool(0.2);
        let tag = if extensible { 0xfffe } else { codec };
        let mut bytes = Vec::new();
        for (number, length) in [
            (u32::from(tag), 2),
            (channels.into(), 2),
            (rate, 4),
            (byte_rate, 4),
            (block.into(), 2),
            (bits.into(), 2),
        ] {
            bytes.extend(self.number(number.into(), length));
        }
        if extensible {
            for (number, length) in [(22, 2), (bits.into(), 2), (0, 4), (codec.into(), 2)] {
                bytes.extend(self.number(number, length));
            }
            bytes.extend(b"\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71");
        } else {
            bytes.extend(vec![0; one_of(random, &[0, 2, 24])]);
        }
        if flaw == "a short description" {
            bytes.truncate(random.random_range(0..=14));
        }
        self.chunk(b"fmt ", bytes.len() as u32, &bytes)
    }

    /// A chunk that is neither samples nor their description, of odd length with or without the byte that pads it.
    fn other(&self, random: &mut Random) -> Vec<u8> {
        let length = random.random_range(0..40);
        let name: [u8; 4] = match random.random() {
            true => one_of(random, &[*b"LIST", *b"fact", *b"bext"]),
            false => std::array::from_fn(|_| random.random_range(b'A'..=b'Z')),
        };
        let padding = vec![0; random.random_range(0..=length % 2)];
        let chunk = self.chunk(&name, length as u32, &vec![7; length]);
        [chunk, padding].concat()
    }
}

/// A file, what kind of header it has, and its samples; `None` if it must be an error.
type File = (Vec<u8>, String, Option<Vec<i16>>);

fn file(random: &mut Random) -> File {
    let mut format = Format::draw(random);
    let flaw = random.random_range(0..2 * FLAWS.len());
    let flaw = FLAWS.get(flaw).copied().unwrap_or_default();
    let kind = match flaw {
        "samples cut short" | "no samples" | "samples before their description" => "right",
        // Of half a sample a line is printed.
        _ if random.random_bool(0.02) => "one less",
        _ => one_of(
            random,
            &["right", "unknown", "unfilled", "two chunks", "RF64"],
        ),
    };
    format.big_endian &= kind != "RF64";
    let (mut samples, mut bytes) = (Vec::new(), Vec::new());
    let frames = random.random_range(2..400);
    for _ in 0..frames {
        let (value, written) = format.sample(random);
        samples.push(value);
        bytes.extend(written.repeat(format.channels.into()));
    }
    let frame = bytes.len() / frames;
    let right = bytes.len() as u32;
    let mut chunks: Vec<_> = (0..random.random_range(0..3))
        .map(|_| format.other(random))
        .collect();
    let description = format.described(random, flaw);
    chunks.insert(random.random_range(0..=chunks.len()), description);
    if flaw == "two descriptions" {
        chunks.push(format.described(random, ""));
    }
    let mut riff = one_of(random, &[None, Some(0), Some(u32::MAX), Some(1_000)]);
    let data = |stated, bytes: &[u8]| format.chunk(b"data", stated, bytes);
    match kind {
        "unknown" => {
            let less = one_of(random, &[0, 0, 36, 1_023]);
            chunks.push(data(one_of(random, &UNKNOWN) - less, &bytes));
        }
        "unfilled" => {
            // The file states nothing, no end, or its header only, beginning with its form.
            let header = chunks.concat().len() as u32 + 4 + 8;
            riff = Some(one_of(random, &[0, header, 0x7fff_f000, u32::MAX]));
            chunks.push(data(0, &bytes));
        }
        "one less" => {
            chunks.push(data(right - 1, &bytes));
            samples.pop();
        }
        "two chunks" => {
            let (one, two) = bytes.split_at(random.random_range(1..frames) * frame);
            let padding = vec![0; random.random_range(0..=one.len() % 2)];
            chunks.push([data(one.len() as u32, one), padding].concat());
            chunks.push(data(two.len() as u32, two));
        }
        "RF64" => {
            let stated = one_of(random, &[right.into(), u64::MAX]);
            let sizes = [0, stated, 0].map(u64::to_le_bytes).concat();
            let ds64 = format.chunk(b"ds64", 28, &[&sizes[..], &[0; 4]].concat());
            chunks.insert(0, ds64);
            chunks.push(data(u32::MAX, &bytes));
        }
        _ if flaw == "samples cut short" => {
            let frames = random.random_range(1..100_000);
            chunks.push(data(right + frames * frame as u32, &bytes));
        }
        _ if flaw == "no samples" => {
            (chunks, riff) = (vec![chunks.concat(), data(0, &[])], None);
        }
        _ => {
            let at = if flaw == "samples before their description" {
                0
            } else {
                chunks.len()
            };
            let padding = vec![0; random.random_range(0..=bytes.len() % 2)];
            chunks.insert(at, [data(right, &bytes), padding].concat());
            chunks.extend((0..random.random_range(0..3)).map(|_| format.other(random)));
        }
    }
    let chunks = chunks.concat();
    let name = match (kind, format.big_endian) {
        ("RF64", _) => b"RF64",
        (_, true) => b"RIFX",
        (_, false) => b"RIFF",
    };
    let length = riff.unwrap_or(chunks.len() as u32 + 4);
    let file = format.chunk(name, length, &[b"WAVE", &chunks[..]].concat());
    match flaw {
        "" => (file, format!("length {kind}"), Some(samples)),
        flaw => (file, flaw.into(), None),
    }
}

#[test]
fn wav_headers_of_all_kinds_give_their_samples_or_an_error_and_damaged_ones_no_panic() {
    let mut random = Random::seed_from_u64(19);
    let mut counts = BTreeMap::<String, usize>::new();
    let mut count = |what: String| *counts.entry(what).or_default() += 1;
    for round in 0..HEADERS {
        let (file, kind, samples) = file(&mut random);
        let found = decoded(file.clone());
        match (&samples, &found) {
            (Some(samples), Ok(found)) => assert_eq!(found, samples, "round {round}: {kind}"),
            (None, Err(error)) => assert_eq!(error.lines().count(), 1, "{kind}: {error}"),
            _ => panic!("round {round}: {kind}: {found:?}\n{}", file.escape_ascii()),
        }
        count(match samples {
            Some(_) => format!("{kind}: read"),
            None => format!("{kind}: refused"),
        });

        let mut changed = file;
        for _ in 0..random.random_range(1..4) {
            let at = random.random_range(0..changed.len().min(150));
            changed[at] = random.random();
        }
        changed.truncate(random.random_range(0..=changed.len()));
        let bytes = changed.len();
        match decoded(changed) {
            // 1 kHz is the lowest rate: a byte is 16 samples at most.
            Ok(found) => {
                assert!(found.len() <= 16 * bytes, "round {round}");
                count("changed or cut: read".into());
            }
            Err(error) => {
                assert_eq!(error.lines().count(), 1, "{error}");
                count("changed or cut: refused".into());
            }
        }
    }
    println!("{HEADERS} WAV headers: {counts:#?}");
    assert_eq!(counts.len(), FLAWS.len() + 6 + 2);
}
