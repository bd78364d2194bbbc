//! Measures how loud audio is: its level, its peaks, what is cut off, and the noise that is always there.

use zerda_support::audio::SAMPLE_RATE;
use zerda_support::statistics::decibels;

/// Samples of a block, 50 ms, whose level is one figure.
const BLOCK: usize = SAMPLE_RATE as usize / 20;
/// Level in dBFS that stands for digital silence where a figure is needed.
const LOWEST: f64 = -96.0;
/// How far the noise floor rises in a block that is louder, in dB: 2 dB a second.
const RISE: f64 = 0.1;
/// How far a peak that is shown falls in a block, in dB.
const FALL: f64 = 1.0;
/// Blocks for which clipping is shown: one second.
const SHOWN: u32 = 20;

/// Returns the level in dBFS of a mean of squares of 16-bit samples, which is that of a square wave at full scale at 0.
pub fn dbfs(mean_square: f64) -> f64 {
    decibels(mean_square / (32_768.0 * 32_768.0))
}

/// Follows the level of live audio.
pub struct Meter {
    /// The level of the last block, in dBFS.
    pub level: f64,
    /// The highest sample of late, in dBFS.
    pub peak: f64,
    /// The level of the noise that is always there, in dBFS: the lowest block, which is forgotten slowly.
    pub floor: f64,
    /// Counts the blocks for which clipping is still shown.
    clipped: u32,
    blocks: u64,
    count: usize,
    squares: f64,
    highest: u16,
}

impl Meter {
    pub fn new() -> Meter {
        Meter {
            level: LOWEST,
            peak: LOWEST,
            floor: LOWEST,
            clipped: 0,
            blocks: 0,
            count: 0,
            squares: 0.0,
            highest: 0,
        }
    }

    /// Says whether samples were cut off at full scale within the last second.
    pub fn is_clipped(&self) -> bool {
        self.clipped > 0
    }

    pub fn push(&mut self, pcm: &[i16]) {
        for &sample in pcm {
            self.squares += f64::from(sample).powi(2);
            self.highest = self.highest.max(sample.unsigned_abs());
            self.count += 1;
            if self.count == BLOCK {
                self.block();
            }
        }
    }

    fn block(&mut self) {
        self.level = dbfs(self.squares / BLOCK as f64).max(LOWEST);
        let highest = dbfs(f64::from(self.highest).powi(2)).max(LOWEST);
        self.peak = highest.max(self.peak - FALL);
        self.floor = match self.blocks {
            0 => self.level,
            _ => self.level.min(self.floor + RISE),
        };
        self.clipped = match self.highest >= i16::MAX.unsigned_abs() {
            true => SHOWN,
            false => self.clipped.saturating_sub(1),
        };
        self.blocks += 1;
        (self.count, self.squares, self.highest) = (0, 0.0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sine at full scale has the power of half a square wave's: -3.01 dB.
    #[test]
    fn a_sine_at_full_scale_is_3_db_below_it_and_noise_between_words_is_the_floor() {
        let sine = |amplitude: f64, samples: usize| -> Vec<i16> {
            let angle = |n: usize| (n as f64 * std::f64::consts::TAU / 16.0).sin();
            (0..samples)
                .map(|n| (amplitude * angle(n)).round() as i16)
                .collect()
        };
        let mut meter = Meter::new();
        meter.push(&sine(32_767.0, 16_000));
        assert!((meter.level + 3.01).abs() < 0.01, "{}", meter.level);
        assert!(meter.peak.abs() < 0.01 && meter.is_clipped());
        // A tenth of it, for a second: 20 dB less, and no clipping any more.
        meter.push(&sine(3_276.7, 17_600));
        assert!((meter.level + 23.01).abs() < 0.01, "{}", meter.level);
        assert!((meter.floor + 23.01).abs() < 0.01 && !meter.is_clipped());
        meter.push(&sine(32_767.0, 8_000));
        // Half a second of speech lifts it by 1 dB.
        assert!((meter.floor + 22.01).abs() < 0.02, "{}", meter.floor);
    }
}
