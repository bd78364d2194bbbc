//! Words of recordings put one after the other, with a pause between them.

use std::ops::Range;

/// Samples of 10 ms.
pub const HOP: usize = 160;

/// The samples from the first to the last hop that is loud: within 25 dB of the loudest, and 6 dB
/// above the quietest tenth.
pub fn word(clip: &[i16]) -> Range<usize> {
    let decibels = |hop: &[i16]| {
        let squares = hop.iter().map(|&sample| f64::from(sample).powi(2));
        10.0 * (squares.sum::<f64>() / HOP as f64 + 1.0).log10()
    };
    let levels: Vec<f64> = clip.chunks_exact(HOP).map(decibels).collect();
    let mut sorted = levels.clone();
    sorted.sort_by(f64::total_cmp);
    let (Some(quiet), Some(loudest)) = (sorted.get(sorted.len() / 10), sorted.last()) else {
        return 0..clip.len();
    };
    let bound = (loudest - 25.0).max(quiet + 6.0).min(*loudest);
    let loud = |level: &f64| *level >= bound;
    let first = levels.iter().position(loud).unwrap_or(0);
    let last = levels.iter().rposition(loud).unwrap_or(levels.len() - 1);
    first * HOP..(last + 1) * HOP
}

/// The words of clips with pauses of so many ms between them, and 500 ms before the first and after
/// the last; pauses hold what the clips around them hold besides their words.
pub fn spliced(clips: &[&[i16]], pause_ms: usize) -> Vec<i16> {
    let words: Vec<_> = clips.iter().map(|clip| word(clip)).collect();
    let noise = |clip: usize| {
        let (samples, word) = (clips[clip], words[clip].clone());
        [&samples[..word.start], &samples[word.end..]].concat()
    };
    let pause = |noise: Vec<i16>, ms: usize| {
        let silence = if noise.is_empty() { vec![0] } else { noise };
        silence.into_iter().cycle().take(ms * HOP / 10)
    };
    let mut pcm: Vec<i16> = pause(noise(0), 500).collect();
    for (index, (clip, word)) in clips.iter().zip(&words).enumerate() {
        if index > 0 {
            let around = [noise(index - 1), noise(index)].concat();
            pcm.extend(pause(around, pause_ms));
        }
        pcm.extend(&clip[word.clone()]);
    }
    pcm.extend(pause(noise(clips.len() - 1), 500));
    pcm
}
