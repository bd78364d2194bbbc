//! The kernels compute the operators as plain functions on slices, in TFLite's integer arithmetic; they know
//! nothing of images or tensors. [`crate::plan::Op`] states the formulas.
//!
//! Matrices are row-major. If lengths do not fit each other, a debug build panics, and a release build computes
//! less; sums wrap. [`plain`] runs on every target, and for some there are faster kernels of the same bits.
//! [`Kernels`] is the table of one set, and [`choice`] has all of them; [`limits`] says what the fast ones take.

#[cfg(any(test, feature = "kernel-cases"))]
#[doc(hidden)]
pub mod cases;
pub mod choice;
#[cfg(all(feature = "dsp", not(feature = "mve"), target_arch = "arm"))]
mod dsp;
mod lengths;
pub mod limits;
#[cfg(all(feature = "mve", target_arch = "arm"))]
mod mve;
pub mod plain;
#[cfg(any(
    target_arch = "x86_64",
    all(target_arch = "aarch64", target_feature = "neon"),
    all(target_arch = "wasm32", target_feature = "simd128")
))]
mod simd;
#[cfg(all(any(feature = "dsp", feature = "mve"), target_arch = "arm"))]
mod softmax;
#[cfg(all(any(feature = "dsp", feature = "mve"), target_arch = "arm"))]
mod twiddles;

pub use choice::Kernels;

#[cfg(all(
    feature = "dsp",
    not(feature = "mve"),
    target_arch = "arm",
    target_abi = "eabihf"
))]
pub use dsp::filter_bank;
#[cfg(all(feature = "mve", target_arch = "arm"))]
pub use mve::{filter_bank, logarithms, move_to_front};
#[cfg(not(any(
    all(feature = "mve", target_arch = "arm"),
    all(feature = "dsp", target_arch = "arm", target_abi = "eabihf")
)))]
pub use plain::filter_bank;
#[cfg(not(all(feature = "mve", target_arch = "arm")))]
pub use plain::{logarithms, move_to_front};

/// The most columns that a softmax may have; the sum of more exponentials leaves the range of TFLite's last
/// shift.
pub const MAX_SOFTMAX_COLS: u16 = 511;

/// The number of integer bits in which softmax sums its exponentials.
const ACCUMULATION_INTEGER_BITS: u32 = 12;

/// The number of bits by which TFLite's int8 ADD shifts its inputs left, for precision.
const ADD_LEFT_SHIFT: u32 = 20;

/// The least number that the front end takes a logarithm of. libm knows the logarithm of 1 without computing it;
/// that of the next number differs by less than a level of 16 nats resolves.
const LEAST: f32 = 1.0 + f32::EPSILON;

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

/// The filters of the front end, which are triangles: bin by bin, two slices of one length.
#[derive(Clone, Copy, Debug)]
pub struct Filters<'a> {
    /// Holds the part of a bin's power that goes to the filter that its band names; the rest goes to the filter
    /// before.
    pub weights: &'a [f32],
    /// Holds the number of a bin's band. Band -1 is in no filter.
    pub bands: &'a [i8],
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
    /// Says whether there are as many multipliers and shifts as biases.
    fn are_of_one_length(&self) -> bool {
        [self.multiplier.len(), self.shift.len()] == [self.bias.len(); 2]
    }

    /// Returns bias and requantization, channel by channel.
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

    /// Says whether each head has as many columns as any other.
    fn divide_cols(self) -> bool {
        self.cols == self.heads * self.size()
    }
}

/// Returns the columns of one head in a row.
#[inline]
fn head_of(row: &[i8], head: usize, size: usize) -> &[i8] {
    let from = head.wrapping_mul(size);
    row.get(from..from.wrapping_add(size)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    /// Runs a kernel on slices that do not fit each other.
    pub fn panics_in_debug_builds(run: impl FnOnce()) {
        let panicked = catch_unwind(AssertUnwindSafe(run)).is_err();
        assert_eq!(panicked, cfg!(debug_assertions));
    }
}
