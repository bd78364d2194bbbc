//! Measures how much memory a long recording takes.

use std::io::{self, Read};

use zerda_support::audio::Recording;

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
    let mut recording = Recording::of_stream("hour", Hour { header, at: 0 }, None).unwrap();
    let mut samples = 0;
    while let Some(piece) = recording.next_piece().unwrap() {
        samples += piece.len();
    }
    assert_eq!(samples, 3600 * 16_000);
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
