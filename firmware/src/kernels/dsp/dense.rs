//! This module has the operators with per-channel weights for the DSP extension.

use super::conv::{Window, store_channels};
use super::matmul::Packed;
use crate::kernels::limits::dsp::{self as limits, DEPTH, ROWS};
use crate::kernels::{Channels, lengths, plain};
use crate::plan::Clamp;

/// Computes the same as [`plain::fully_connected`].
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
    debug_assert!(lengths::fully_connected(input, weights, channels, output));
    let fits = channels.are_of_one_length()
        && count > 0
        && weights.len() == count.wrapping_mul(depth)
        && limits::fully_connected(depth);
    if !fits {
        return plain::fully_connected(input, weights, channels, output_zero_point, clamp, output);
    }
    let fast = limits::channels_to_int8(channels, clamp);
    let mut packed = Packed::<{ DEPTH / 4 }>::new();
    let inputs = input.chunks(ROWS * depth);
    for (x, y) in inputs.zip(output.chunks_mut(ROWS.saturating_mul(count))) {
        let rows = (x.len() / depth).min(y.len() / count);
        let done = packed.pack(x, rows, depth, depth, 0)
            && packed.to_channels(
                weights,
                depth,
                channels,
                fast,
                output_zero_point,
                clamp,
                y,
                count,
            );
        if !done {
            return;
        }
    }
}

/// Computes the same as [`plain::depthwise_conv`].
pub fn depthwise_conv(
    input: &[i8],
    weights: &[i8],
    channels: Channels<'_>,
    output_zero_point: i8,
    clamp: Clamp,
    output: &mut [i8],
) {
    let cols = channels.bias.len();
    let (rows, taps) = (output.len() / cols.max(1), weights.len() / cols.max(1));
    let fits = lengths::depthwise_conv(input, weights, channels, output)
        && limits::depthwise_conv(cols, taps);
    if !fits {
        return plain::depthwise_conv(input, weights, channels, output_zero_point, clamp, output);
    }
    let (mut x, mut w) = (Window::new(), Window::new());
    for col in (0..cols).step_by(4) {
        let part = channels.part(col, col + 4);
        if !w.take(weights.get(col..).unwrap_or_default(), cols, taps) {
            return;
        }
        for first in (0..rows).step_by(2 * ROWS) {
            let rows = (rows - first).min(2 * ROWS);
            let from = first * cols + col;
            if !x.take(input.get(from..).unwrap_or_default(), cols, rows + taps - 1) {
                return;
            }
            let y = output.get_mut(from..).unwrap_or_default();
            let (y, y_rest) = y.split_at_mut(y.len().min(ROWS * cols));
            let sums = x.convolve::<0>(&w);
            store_channels(
                &sums,
                rows.min(ROWS),
                part,
                output_zero_point,
                clamp,
                y,
                cols,
            );
            if rows > ROWS {
                let sums = x.convolve::<ROWS>(&w);
                store_channels(
                    &sums,
                    rows - ROWS,
                    part,
                    output_zero_point,
                    clamp,
                    y_rest,
                    cols,
                );
            }
        }
    }
}
