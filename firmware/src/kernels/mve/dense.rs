//! This module has the operators with per-channel weights for Helium.

use super::matmul::{Columns, Destination, Matrix, Sums, WINDOW, transpose};
use crate::kernels::limits::mve::{self as limits, COLS, ROWS, TAPS};
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
    let fits = weights.len() == count.wrapping_mul(depth);
    let Some(columns) = Columns::new(channels).filter(|_| fits) else {
        return plain::fully_connected(input, weights, channels, output_zero_point, clamp, output);
    };
    let mut sums = Sums::new();
    let chunk = |len: usize| ROWS.saturating_mul(len).max(1);
    let inputs = input.chunks(chunk(depth));
    for (x, y) in inputs.zip(output.chunks_mut(chunk(count))) {
        let rows = (x.len() / depth).min(y.len() / count.max(1));
        for (block, w) in weights.chunks(COLS.saturating_mul(depth)).enumerate() {
            let (from, cols) = (block * COLS, w.len() / depth);
            let (Some(left), Some(right), Some(columns), Some(data)) = (
                Matrix::new(x, depth, rows, depth),
                Matrix::new(w, depth, cols, depth),
                columns.part(from, from + cols),
                y.get_mut(from..),
            ) else {
                return;
            };
            let to = Destination {
                data,
                stride: count,
                zero_point: output_zero_point,
                clamp,
            };
            sums.product(left, right, None, &columns, to);
        }
    }
}

/// Computes the same as [`plain::depthwise_conv`].
///
/// Input and weights are transposed, so that a channel's sum over the taps is one product of two
/// vectors.
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
    let Some(columns) = Columns::new(channels).filter(|_| fits) else {
        return plain::depthwise_conv(input, weights, channels, output_zero_point, clamp, output);
    };
    let mut sums = Sums::new();
    let mut x = [0; COLS * WINDOW];
    let mut w = [0; COLS * TAPS];
    for from in (0..cols).step_by(COLS) {
        let count = (cols - from).min(COLS);
        transpose(
            weights.get(from..).unwrap_or_default(),
            cols,
            taps,
            count,
            &mut w,
            TAPS,
        );
        for first in (0..rows).step_by(ROWS) {
            let rows = (rows - first).min(ROWS);
            let window = input.get(first * cols + from..).unwrap_or_default();
            transpose(window, cols, rows + taps - 1, count, &mut x, WINDOW);
            let (Some(columns), Some(data)) = (
                columns.part(from, from + count),
                output.get_mut(first * cols + from..),
            ) else {
                return;
            };
            let to = Destination {
                data,
                stride: cols,
                zero_point: output_zero_point,
                clamp,
            };
            sums.convolution(&x, &w, rows, &columns, to);
        }
    }
}
