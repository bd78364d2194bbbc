//! Audio to test with: 16 kHz, mono, 16-bit.

use std::path::PathBuf;

use fastrand::Rng;
use zerda_support::audio;

use crate::{repository, say_skipped};

/// The samples that ship, one after the other, over and over, for at least this many samples.
pub fn shipped_samples(length: usize) -> Vec<i16> {
    let files = audio::list(&repository("models/samples")).unwrap();
    joined(files, length)
}

/// Recorded commands of many speakers, one after the other. `None`, and SKIPPED is said, unless
/// `ZERDA_DATA` names the folder of recordings.
pub fn recorded_speech(test: &str, length: usize) -> Option<Vec<i16>> {
    let Some(data) = std::env::var_os("ZERDA_DATA") else {
        say_skipped(test, "ZERDA_DATA names no folder of recorded speech");
        return None;
    };
    let mut files = audio::list(&PathBuf::from(data).join("speech_commands/val")).unwrap();
    Rng::with_seed(1).shuffle(&mut files);
    Some(joined(files, length))
}

fn joined(files: Vec<PathBuf>, length: usize) -> Vec<i16> {
    assert!(!files.is_empty(), "no audio files");
    let mut pcm = Vec::new();
    for file in files.iter().cycle() {
        pcm.extend(audio::read(file).unwrap());
        if pcm.len() >= length {
            break;
        }
    }
    pcm.truncate(length);
    pcm
}

/// Noise whose level jumps every tenth of a second, from digital silence to full scale.
pub fn noise(seed: u64, length: usize) -> Vec<i16> {
    let mut rng = Rng::with_seed(seed);
    let mut pcm = Vec::new();
    while pcm.len() < length {
        let bits = rng.u32(0..=15);
        let most = (1i32 << bits) - 1;
        pcm.extend((0..1600).map(|_| rng.i32(-most..=most) as i16));
    }
    pcm.truncate(length);
    pcm
}
