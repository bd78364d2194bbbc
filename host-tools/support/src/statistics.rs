//! Takes figures of many values, in the one way that all reports share.

/// Returns the least value that `share` (0 to 1) of all values do not exceed; `sorted` rises.
/// `None` if there are no values.
pub fn percentile(sorted: &[f64], share: f64) -> Option<f64> {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied()
}
