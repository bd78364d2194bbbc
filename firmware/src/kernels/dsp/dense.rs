//! This module has the operators with per-channel weights for the DSP extension.

use super::conv::{Channel, Input, LATE, Weights, convolve};
use super::matmul::{Packed, Tens, is_aligned};
use super::ops::ToInt8;
use crate::kernels::limits::HALF;
use crate::kernels::limits::dsp::{self as limits, DEPTH, ROWS, TENS, TIMES};
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
    let by_factor = limits::channels_to_int8(channels, clamp);
    let rows = (input.len() / depth).min(output.len() / count);
    let mut tens = limits::in_tens(rows, depth, count, by_factor);
    if !(is_aligned(input) && is_aligned(weights)) {
        tens = 0;
    }
    let (Some((x, x_rest)), Some((y, y_rest))) = (
        input.split_at_checked(tens * depth),
        output.split_at_mut_checked(tens * count),
    ) else {
        return;
    };
    if tens > 0 {
        by_tens(x, depth, weights, channels, output_zero_point, y);
    }
    if tens < rows {
        let to = (output_zero_point, clamp, y_rest);
        by_fives(x_rest, depth, weights, channels, by_factor, to);
    }
}

/// Multiplies rows by ten at a time.
#[inline(never)] // so that the stack that it takes is its own
fn by_tens(
    input: &[i8],
    depth: usize,
    weights: &[i8],
    channels: Channels<'_>,
    zero_point: i8,
    output: &mut [i8],
) {
    let mut tens = Tens::new();
    let (depth, count) = (depth.max(1), channels.bias.len().max(1));
    let inputs = input.chunks_exact(TENS.saturating_mul(depth));
    for (x, y) in inputs.zip(output.chunks_exact_mut(TENS.saturating_mul(count))) {
        tens.multiply(x, depth, weights, channels, zero_point, y);
    }
}

/// Multiplies rows by five at a time.
#[inline(never)] // as above
fn by_fives(
    input: &[i8],
    depth: usize,
    weights: &[i8],
    channels: Channels<'_>,
    by_factor: Option<bool>,
    (zero_point, clamp, output): (i8, Clamp, &mut [i8]),
) {
    let (depth, count) = (depth.max(1), channels.bias.len().max(1));
    let mut packed = Packed::<{ DEPTH / 4 }>::new();
    let inputs = input.chunks(ROWS.saturating_mul(depth));
    for (x, y) in inputs.zip(output.chunks_mut(ROWS.saturating_mul(count))) {
        let rows = (x.len() / depth).min(y.len() / count);
        let done = packed.pack(x, rows, depth, depth, 0)
            && packed.to_channels(weights, channels, by_factor, zero_point, clamp, y, count);
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
        && limits::depthwise_conv(cols, taps)
        && limits::channels_to_int8(channels, clamp).is_some();
    if !fits {
        return plain::depthwise_conv(input, weights, channels, output_zero_point, clamp, output);
    }
    let (mut x, mut w) = (Input::new(), Weights::new());
    let mut parameters = channels.iter();
    for col in (0..cols).step_by(4) {
        let part = weights.get(col..).unwrap_or_default();
        if !(w.take(part, cols, taps, 0, false) && w.take(part, cols, taps, LATE, true)) {
            return;
        }
        let of = [(); 4].map(|()| {
            let (bias, scale) = parameters.next().unwrap_or((0, HALF));
            let to = ToInt8::of_taken(scale, output_zero_point);
            Channel { bias, to }
        });
        for first in (0..rows).step_by(TIMES) {
            let rows = (rows - first).min(TIMES);
            let from = first * cols + col;
            let part = input.get(from..).unwrap_or_default();
            if !x.take(part, cols, rows + taps - 1, 0, false) {
                return;
            }
            let mut sums = [[0; 4]; TIMES];
            for (channel, of) in of.iter().enumerate() {
                convolve(&x, &w, channel, of, &mut sums);
            }
            let places = output
                .get_mut(from..)
                .unwrap_or_default()
                .chunks_mut(cols.max(1));
            for (place, sums) in places.zip(&sums).take(rows) {
                if let Some(place) = place.first_chunk_mut() {
                    *place = *sums;
                }
            }
        }
    }
}
