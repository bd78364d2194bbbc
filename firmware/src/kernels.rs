//! The kernels compute the operators as plain functions on slices, in TFLite's integer arithmetic; they know
//! nothing of images or tensors. [`crate::plan::Op`] states the formulas.
//!
//! Matrices are row-major. If lengths do not fit each other, a function computes less but never panics; sums
//! wrap. The features `dsp` and `mve` replace [`plain`] by faster kernels of the same bits.

#[cfg(feature = "dsp")]
mod dsp;
#[cfg(feature = "mve")]
mod mve;
pub mod plain;
#[cfg(any(feature = "dsp", feature = "mve"))]
mod softmax;

#[cfg(feature = "dsp")]
use dsp as chosen;
#[cfg(all(feature = "mve", not(feature = "dsp")))]
use mve as chosen;
#[cfg(not(any(feature = "dsp", feature = "mve")))]
use plain as chosen;

pub use chosen::{add, context, depthwise_conv, fully_connected, lookup, mul, scores, softmax};

#[cfg(all(any(feature = "dsp", feature = "mve"), not(target_arch = "arm")))]
compile_error!("features `dsp` and `mve` are for Arm Cortex-M targets: leave them off here");
#[cfg(all(feature = "dsp", feature = "mve"))]
compile_error!("features `dsp` and `mve` exclude each other: choose the one of the board's core");

/// Names the kernels that were chosen: `plain`, `dsp` (Armv7E-M and later) or `mve` (Helium).
pub const NAME: &str = if cfg!(feature = "mve") {
    "mve"
} else if cfg!(feature = "dsp") {
    "dsp"
} else {
    "plain"
};

/// The most columns that a softmax may have; the sum of more exponentials leaves the range of TFLite's last
/// shift.
pub const MAX_SOFTMAX_COLS: u16 = 511;

/// The number of integer bits in which softmax sums its exponentials.
const ACCUMULATION_INTEGER_BITS: u32 = 12;

/// The quantized value that means probability 0; the scale is 1/256.
const ZERO_PROBABILITY: i8 = -128;

use crate::fixed_point::multiply_by_quantized_multiplier;
use crate::plan::{Clamp, Requantize};

/// An input whose real value is proportional to `q - zero_point`.
#[derive(Clone, Copy, Debug)]
pub struct Operand<'a> {
    /// Holds the quantized elements of the input.
    pub data: &'a [i8],
    /// The quantized value that means 0.
    pub zero_point: i8,
}

/// Says what is done to each output channel of a dense operator, in three slices of one length.
#[derive(Clone, Copy, Debug)]
pub struct Channels<'a> {
    /// Holds what is added to the sum of products, one value a channel; the input's zero point is folded in.
    pub bias: &'a [i32],
    /// Holds one multiplier a channel, see [`Requantize`].
    pub multiplier: &'a [i32],
    /// Holds one shift a channel, see [`Requantize`].
    pub shift: &'a [i8],
}

/// Says how a sum becomes an int8 output.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// Requantizes the sum: the factor is the product of the input scales over the output scale.
    pub scale: Requantize,
    /// The quantized value that is added after requantization; it means 0.
    pub zero_point: i8,
    /// Limits the result, which is done last.
    pub clamp: Clamp,
}

/// Says how attention splits its matrices.
#[derive(Clone, Copy, Debug)]
pub struct Heads {
    /// The number of heads, which divides `cols`.
    pub heads: usize,
    /// The number of columns that query, key, value and context have: heads times the head's size.
    pub cols: usize,
    /// The number of rows of key and value, from the first, that are absent and not computed.
    pub absent: usize,
}

impl Channels<'_> {
    /// Returns bias and requantization, channel by channel.
    fn iter(&self) -> impl Iterator<Item = (i32, Requantize)> + Clone {
        let scales = self.multiplier.iter().zip(self.shift);
        let scales = scales.map(|(&multiplier, &shift)| Requantize { multiplier, shift });
        self.bias.iter().copied().zip(scales)
    }
}

#[cfg(feature = "dsp")]
impl Channels<'_> {
    /// Returns the channels with the numbers `from..to`.
    fn part(&self, from: usize, to: usize) -> Self {
        Self {
            bias: self.bias.get(from..to).unwrap_or_default(),
            multiplier: self.multiplier.get(from..to).unwrap_or_default(),
            shift: self.shift.get(from..to).unwrap_or_default(),
        }
    }
}

impl Output {
    #[inline]
    fn quantize(&self, sum: i32) -> i8 {
        finish(sum, self.scale, self.zero_point, self.clamp)
    }
}

// DSP cores use this only for what no fast path takes, in many places.
#[cfg_attr(feature = "dsp", inline(never))]
#[cfg_attr(not(feature = "dsp"), inline)]
fn finish(sum: i32, scale: Requantize, zero_point: i8, clamp: Clamp) -> i8 {
    let scaled = multiply_by_quantized_multiplier(sum, scale);
    let shifted = scaled.wrapping_add(i32::from(zero_point));
    // Not `clamp`, which panics where min > max.
    shifted.max(clamp.min.into()).min(clamp.max.into()) as i8
}

impl Heads {
    /// Returns the number of columns of one head.
    fn size(self) -> usize {
        (self.cols / self.heads.max(1)).max(1)
    }
}

/// Returns the columns of one head in a row.
#[inline]
fn head_of(row: &[i8], head: usize, size: usize) -> &[i8] {
    let from = head.wrapping_mul(size);
    row.get(from..from.wrapping_add(size)).unwrap_or_default()
}
