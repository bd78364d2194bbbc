//! This module has the operators with per-channel weights for Helium.

use core::mem::MaybeUninit;

use super::matmul::{Columns, Destination, Matrix, Packed, Scales, Sums, WINDOW, transpose};
use crate::kernels::limits::mve::{self as limits, ROWS, TAPS, TRANSPOSED};
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
    let fits = weights.len() == count.wrapping_mul(depth) && limits::product(count, depth, count);
    let Some(columns) = Columns::new(channels).filter(|_| fits) else {
        return plain::fully_connected(input, weights, channels, output_zero_point, clamp, output);
    };
    let (mut packed, mut sums) = (Packed::new(), Sums::new());
    let rows = limits::rows(depth);
    let inputs = input.chunks(rows.saturating_mul(depth).max(1));
    let outputs = output.chunks_mut(rows.saturating_mul(count).max(1));
    for (x, y) in inputs.zip(outputs) {
        let rows = (x.len() / depth).min(y.len() / count.max(1));
        let left = Matrix::new(x, depth, rows, depth).and_then(|x| packed.pack(x, depth));
        let Some(left) = left else {
            return;
        };
        for (from, cols) in limits::column_blocks(count) {
            let w = weights.get(from * depth..).unwrap_or_default();
            let (Some(right), Some(columns), Some(data)) = (
                Matrix::new(w, depth, cols, depth),
                columns.part(from, cols),
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
            sums.product(&left, right, &Scales::Columns(columns), to);
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
    let mut x = [const { MaybeUninit::uninit() }; TRANSPOSED * WINDOW];
    let mut w = [const { MaybeUninit::new(0) }; TRANSPOSED * TAPS];
    for from in (0..cols).step_by(TRANSPOSED) {
        let count = (cols - from).min(TRANSPOSED);
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
                columns.part(from, count),
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
            sums.convolution(&x, &w, rows, &Scales::Columns(columns), to);
        }
    }
}
