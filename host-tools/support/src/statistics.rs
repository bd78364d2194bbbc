//! Takes figures of many values, and decibels, in the one way that all reports share.

/// Returns the least value that `share` (0 to 1) of all values do not exceed; `sorted` rises.
/// `None` if there are no values.
pub fn percentile(sorted: &[f64], share: f64) -> Option<f64> {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied()
}

/// Returns the decibels of a ratio of two powers; of 0 minus infinity.
pub fn decibels(ratio: f64) -> f64 {
    10.0 * ratio.log10()
}
