//! This module has the operators with per-channel weights; channels lie side by side.

use core::mem::MaybeUninit;

use super::product::{Packed, Prepared};
use super::requantize::ToInt8;
use super::{Simd, blocks};
use crate::kernels::limits::simd::{self as limits, PREPARED, ROWS};
use crate::kernels::{Channels, lengths, plain};
use crate::plan::Clamp;

/// Computes the same as [`plain::fully_connected`].
///
/// # Safety
///
/// The caller has the features of `S`.
#[inline(always)]
pub unsafe fn fully_connected<S: Simd>(
    input: &[i8],
    weights: &[i8],
    channels: Channels<'_>,
    zero_point: i8,
    clamp: Clamp,
    output: &mut [i8],
) {
    let count = channels.bias.len();
    let depth = weights.len() / count.max(1);
    let fits = lengths::fully_connected(input, weights, channels, output);
    if !fits || count < S::LANES || !limits::depth(depth) {
        return plain::fully_connected(input, weights, channels, zero_point, clamp, output);
    }
    let mut room = [const { MaybeUninit::uninit() }; _];
    let mut packed = Packed::<S>::new(depth);
    let most = (PREPARED / depth).min(ROWS);
    for (x, y) in input
        .chunks(most * depth)
        .zip(output.chunks_mut(most * count))
    {
        let mut offsets = [0; ROWS];
        for (offset, x) in offsets.iter_mut().zip(x.chunks_exact(depth)) {
            *offset = S::OFFSET * x.iter().map(|&x| i32::from(x)).sum::<i32>();
        }
        // SAFETY: the lengths fit: there are `LANES` channels from the first of each block on, of `depth` weights each, and
        // as many rows of `depth` inputs as of `count` outputs. No depth exceeds what may be prepared and packed.
        unsafe {
            let prepared = Prepared::new::<S>(x, &mut room);
            let mut sums = [S::splat(0); ROWS];
            for first in blocks(count, S::LANES) {
                let to = ToInt8::<S>::channels(channels, first, zero_point, clamp);
                let bias = S::load(channels.bias.as_ptr().add(first));
                packed.pack(weights.as_ptr().add(first * depth), depth);
                packed.multiply(&prepared, 0, depth, y.len() / count, &mut sums);
                let rows = y.chunks_exact_mut(count).zip(sums.iter().zip(&offsets));
                for (y, (&sums, &offset)) in rows {
                    let bias = S::sub(bias, S::splat(offset));
                    to.write(S::add(sums, bias), y.as_mut_ptr().add(first));
                }
            }
        }
    }
}

/// Computes the same as [`plain::depthwise_conv`].
///
/// # Safety
///
/// The caller has the features of `S`.
#[inline(always)]
pub unsafe fn depthwise_conv<S: Simd>(
    input: &[i8],
    weights: &[i8],
    channels: Channels<'_>,
    zero_point: i8,
    clamp: Clamp,
    output: &mut [i8],
) {
    let cols = channels.bias.len();
    let fits = lengths::depthwise_conv(input, weights, channels, output);
    if !fits || cols < S::LANES || weights.is_empty() {
        return plain::depthwise_conv(input, weights, channels, zero_point, clamp, output);
    }
    let (rows, taps) = (output.len() / cols, weights.len() / cols);
    for first in blocks(cols, S::LANES) {
        // SAFETY: the lengths fit: there are `LANES` channels from `first` on, `taps` rows of weights, `rows` of outputs,
        // and as many inputs as both together but one.
        unsafe {
            let to = ToInt8::<S>::channels(channels, first, zero_point, clamp);
            let bias = S::load(channels.bias.as_ptr().add(first));
            let w = weights.as_ptr().add(first);
            for row in 0..rows {
                let x = input.as_ptr().add(row * cols + first);
                let mut sums = bias;
                for tap in (0..taps & !1).step_by(2) {
                    let (here, next) = (tap * cols, (tap + 1) * cols);
                    let pairs = S::pairs(x.add(here), x.add(next));
                    sums = S::add_products(sums, pairs, S::pairs(w.add(here), w.add(next)));
                }
                if taps & 1 > 0 {
                    let last = (taps - 1) * cols;
                    let product = S::mul(S::widen(x.add(last)), S::widen(w.add(last)));
                    sums = S::add(sums, product);
                }
                to.write(sums, output.as_mut_ptr().add(row * cols + first));
            }
        }
    }
}
