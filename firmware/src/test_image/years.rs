//! Tells at which frames counters end, on devices that are never switched off.

use super::Random;

/// Holds the numbers of frames, of 160 samples and 10 ms, at which counters of 31 and 32 bits end: of samples, of milliseconds
/// and of frames; and that of 500 days.
pub const YEARS: [u64; 7] = [
    (1 << 31) / 160,
    (1 << 32) / 160,
    (1 << 31) / 10,
    (1 << 32) / 10,
    1 << 31,
    1 << 32,
    500 * 24 * 3600 * 100,
];

/// Draws the frame that a stream begins at, one of [`YEARS`] or less than `frames` frames before it.
pub fn before_years(random: &mut Random, frames: usize) -> u64 {
    YEARS[random.below(YEARS.len())] - random.below(frames) as u64
}
