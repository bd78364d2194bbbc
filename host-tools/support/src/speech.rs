//! Finds where a recording holds speech, by its level alone.

use std::ops::Range;

use crate::audio::SAMPLE_RATE;

/// Number of samples that a hop of 10 ms has.
const HOP: usize = SAMPLE_RATE as usize / 100;
/// Distance from the loudest hop, in dB, beyond which a hop is no speech.
const BELOW_DB: f64 = 25.0;
/// Number of hops without speech that separate two stretches of it: 200 ms.
const PAUSE: usize = 20;

/// Returns the samples of each stretch of speech.
pub fn stretches(samples: &[i16]) -> Vec<Range<u64>> {
    let mut levels = Levels::default();
    levels.push(samples);
    levels.stretches()
}

/// Measures the level of a recording, whose pieces may be of any length.
#[derive(Default)]
pub struct Levels {
    /// Power of each hop that is complete, in units of samples squared.
    powers: Vec<f64>,
    /// Sum of the squares of what came of the next hop.
    squares: f64,
    samples: usize,
}

impl Levels {
    pub fn push(&mut self, samples: &[i16]) {
        for &sample in samples {
            self.squares += f64::from(sample).powi(2);
            self.samples += 1;
            if self.samples.is_multiple_of(HOP) {
                self.powers.push(self.squares / HOP as f64);
                self.squares = 0.0;
            }
        }
    }

    /// Returns the samples of each stretch of speech, in all that came.
    pub fn stretches(&self) -> Vec<Range<u64>> {
        let rest = self.samples % HOP;
        let last = (rest > 0).then(|| self.squares / rest as f64);
        let powers = self.powers.iter().copied().chain(last);
        let loudest = powers.clone().fold(0.0, f64::max);
        let bound = (loudest * 10f64.powf(-BELOW_DB / 10.0)).max(f64::MIN_POSITIVE);
        let mut stretches: Vec<Range<usize>> = Vec::new();
        for (hop, _) in powers.enumerate().filter(|(_, power)| *power >= bound) {
            match stretches.last_mut() {
                Some(last) if hop - last.end < PAUSE => last.end = hop + 1,
                _ => stretches.push(hop..hop + 1),
            }
        }
        let sample = |hop: usize| (hop * HOP).min(self.samples) as u64;
        let stretches = stretches.into_iter();
        stretches
            .map(|hops| sample(hops.start)..sample(hops.end))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tones of 440 Hz: from, to (samples), amplitude.
    fn tones(length: usize, tones: &[(usize, usize, f64)]) -> Vec<i16> {
        let sample = |at: usize| {
            let phase = at as f64 * 440.0 / f64::from(SAMPLE_RATE) * std::f64::consts::TAU;
            let within = tones
                .iter()
                .filter(|(from, to, _)| (*from..*to).contains(&at));
            let amplitude: f64 = within.map(|(_, _, amplitude)| amplitude).sum();
            (amplitude * phase.sin()) as i16
        };
        (0..length).map(sample).collect()
    }

    /// Start and end of each stretch.
    fn spoken(samples: &[i16]) -> Vec<(u64, u64)> {
        let stretches = stretches(samples).into_iter();
        stretches.map(|speech| (speech.start, speech.end)).collect()
    }

    #[test]
    fn a_word_ends_with_the_hop_that_its_last_loud_sample_is_in() {
        assert_eq!(
            spoken(&tones(16_000, &[(3_200, 8_000, 9e3)])),
            [(3_200, 8_000)]
        );
        // A quarter of a hop more makes that hop 6 dB quieter: it counts.
        let longer = tones(16_000, &[(3_200, 8_040, 9e3)]);
        assert_eq!(spoken(&longer), [(3_200, 8_160)]);
        // The last hop may be cut short.
        assert_eq!(
            spoken(&tones(8_040, &[(3_200, 8_040, 9e3)])),
            [(3_200, 8_040)]
        );
    }

    #[test]
    fn what_is_24_db_below_the_loudest_belongs_to_the_word_and_26_db_does_not() {
        let fading = |db: f64| {
            let quieter = 9e3 * 10f64.powf(-db / 20.0);
            spoken(&tones(16_000, &[(0, 4_800, 9e3), (4_800, 6_400, quieter)]))
        };
        assert_eq!(fading(24.0), [(0, 6_400)]);
        assert_eq!(fading(26.0), [(0, 4_800)]);
    }

    #[test]
    fn a_pause_of_200_ms_separates_words_and_a_shorter_one_does_not() {
        let two = |pause: usize| {
            let second = 4_800 + pause;
            spoken(&tones(
                16_000,
                &[(0, 4_800, 9e3), (second, second + 1_600, 5e3)],
            ))
        };
        assert_eq!(two(3_200), [(0, 4_800), (8_000, 9_600)]);
        assert_eq!(two(3_040), [(0, 9_440)]);
    }

    #[test]
    fn pieces_of_any_length_give_the_stretches_of_the_whole() {
        let samples = tones(8_040, &[(1_000, 2_000, 9e3), (6_500, 8_040, 5e3)]);
        for length in [1, 7, 159, 161, 5_000] {
            let mut levels = Levels::default();
            samples.chunks(length).for_each(|piece| levels.push(piece));
            // Hops are of 160 samples.
            assert_eq!(levels.stretches(), [960..2_080, 6_400..8_040], "{length}");
        }
    }

    #[test]
    fn silence_holds_no_word() {
        assert_eq!(spoken(&[0; 16_000]), []);
        assert_eq!(spoken(&[]), []);
    }
}
