//! Operators with per-channel weights.

use core::mem::MaybeUninit;

use super::ops::{Packed, ROWS, SUMS, store_channels};
use crate::kernels::{Channels, plain};
use crate::plan::Clamp;

pub use plain::depthwise_conv;

/// As [`plain::fully_connected`].
pub fn fully_connected(
    input: &[i8],
    weights: &[i8],
    channels: Channels<'_>,
    output_zero_point: i8,
    clamp: Clamp,
    output: &mut [i8],
) {
    let count = channels.bias.len();
    let depth = (weights.len() / count.max(1)).max(1);
    let fits = [channels.multiplier.len(), channels.shift.len()] == [count; 2]
        && count > 0
        && weights.len() == count.wrapping_mul(depth)
        && depth % 4 == 0
        && (1..=Packed::<64>::DEPTH).contains(&depth);
    if !fits {
        return plain::fully_connected(input, weights, channels, output_zero_point, clamp, output);
    }
    let mut packed = Packed::<64>::new();
    let mut sums = [const { MaybeUninit::uninit() }; SUMS];
    let inputs = input.chunks(ROWS * depth);
    for (x, y) in inputs.zip(output.chunks_mut(ROWS.saturating_mul(count))) {
        let rows = (x.len() / depth).min(y.len() / count);
        if rows == 0 || !packed.pack(x, rows, depth, depth, 0) {
            return;
        }
        let mut scales = channels.iter();
        for (block, weights) in weights.chunks(SUMS * depth).enumerate() {
            let from = block * SUMS;
            let sums = sums.get_mut(..weights.len() / depth).unwrap_or_default();
            let Some(sums) = packed.multiply(weights, depth, &[0; ROWS], sums) else {
                return;
            };
            let y = y.get_mut(from..).unwrap_or_default();
            store_channels(sums, rows, &mut scales, output_zero_point, clamp, y, count);
        }
    }
}
