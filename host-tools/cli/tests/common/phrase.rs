//! Recordings of a phrase, cut out of the samples.

use std::ops::Range;
use std::path::Path;

use zerda_support::audio;

use super::root;

/// Milliseconds of a sample, as a recording of its own: 1 is half as loud, 2 is said 5 % faster, over a little noise.
pub fn said(name: &str, ms: Range<usize>, variant: usize) -> Vec<i16> {
    let samples = audio::read(&root().join("models/samples").join(name)).expect("a sample");
    let samples = &samples[ms.start * 16..ms.end * 16];
    match variant {
        0 => samples.to_vec(),
        1 => samples.iter().map(|sample| sample / 2).collect(),
        _ => {
            let last = samples.len() - 1;
            let at = |n: usize| {
                let place = n as f64 * 1.05;
                let (before, part) = (place as usize, place.fract());
                let [a, b] = [before, before + 1].map(|n| f64::from(samples[n.min(last)]));
                (a + (b - a) * part) as i16 + (n * 7919 % 41) as i16 - 20
            };
            (0..samples.len() * 20 / 21).map(at).collect()
        }
    }
}

/// The paths of three recordings of "computer", whose word lasts from 2010 to 2730 ms in wake.wav.
pub fn computer(folder: &Path) -> [String; 3] {
    [0, 1, 2].map(|n| {
        let samples = said("wake.wav", 1_800..2_900, n);
        recording(folder, &format!("computer{n}.wav"), &samples)
    })
}

/// Writes a recording, and returns its path.
pub fn recording(folder: &Path, name: &str, samples: &[i16]) -> String {
    let path = folder.join(name);
    audio::write(&path, samples).expect("a WAV");
    path.display().to_string()
}
