//! The operators as plain functions on slices: TFLite's integer arithmetic, nothing of images or
//! tensors. [`crate::plan::Op`] states the formulas.
//!
//! Matrices are row-major. Lengths that do not fit each other make a function compute less, never
//! panic; sums wrap. Inner loops are zipped iterators over `i8`, which LLVM vectorises.

/// The kernels that were built: "plain", "dsp" or "mve".
pub const NAME: &str = "plain";

mod attention;
mod dense;
mod elementwise;

pub use attention::{MAX_SOFTMAX_COLS, context, scores, softmax};
pub use dense::{depthwise_conv, fully_connected};
pub use elementwise::{add, lookup, mul};

use crate::fixed_point::multiply_by_quantized_multiplier;
use crate::plan::{Clamp, Requantize};

/// An input whose real value is proportional to `q - zero_point`.
#[derive(Clone, Copy, Debug)]
pub struct Operand<'a> {
    /// The quantized elements.
    pub data: &'a [i8],
    /// The quantized value that means 0.
    pub zero_point: i8,
}

/// What is done to each output channel of a dense operator; three slices of one length.
#[derive(Clone, Copy, Debug)]
pub struct Channels<'a> {
    /// Added to the sum of products; the input's zero point is folded in.
    pub bias: &'a [i32],
    /// As in [`Requantize`].
    pub multiplier: &'a [i32],
    /// As in [`Requantize`].
    pub shift: &'a [i8],
}

/// How a sum becomes an int8 output.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// Input scales over output scale.
    pub scale: Requantize,
    /// Added after requantization.
    pub zero_point: i8,
    /// Applied last.
    pub clamp: Clamp,
}

/// How attention splits its matrices.
#[derive(Clone, Copy, Debug)]
pub struct Heads {
    /// Heads; divides `cols`.
    pub heads: usize,
    /// Columns of query, key, value and context: heads times the head's size.
    pub cols: usize,
    /// Rows of key and value, from the first, that are absent and not computed.
    pub absent: usize,
}

impl Channels<'_> {
    /// Bias and requantization, channel by channel.
    fn iter(&self) -> impl Iterator<Item = (i32, Requantize)> + Clone {
        let scales = self.multiplier.iter().zip(self.shift);
        let scales = scales.map(|(&multiplier, &shift)| Requantize { multiplier, shift });
        self.bias.iter().copied().zip(scales)
    }
}

impl Output {
    #[inline]
    fn quantize(&self, sum: i32) -> i8 {
        finish(sum, self.scale, self.zero_point, self.clamp)
    }
}

#[inline]
fn finish(sum: i32, scale: Requantize, zero_point: i8, clamp: Clamp) -> i8 {
    let scaled = multiply_by_quantized_multiplier(sum, scale);
    let shifted = scaled.wrapping_add(i32::from(zero_point));
    // Not `clamp`, which panics where min > max.
    shifted.max(clamp.min.into()).min(clamp.max.into()) as i8
}

/// Sum of products.
#[inline]
fn dot(a: &[i8], b: &[i8]) -> i32 {
    a.iter()
        .zip(b)
        .map(|(&a, &b)| i32::from(a) * i32::from(b))
        .fold(0, i32::wrapping_add)
}

/// Elements that are accumulated side by side where a sum runs down columns.
const BLOCK: usize = 16;
