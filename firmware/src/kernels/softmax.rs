//! This softmax has a table of exponentials, for cores that have their own loops over a row.
#![allow(unsafe_code)]

use crate::fixed_point::{
    Reciprocal, exp_on_negative_values, multiply_by_quantized_multiplier, reciprocal,
    rounding_divide_by_pot, saturating_rounding_doubling_high_mul,
};
use crate::kernels::{ACCUMULATION_INTEGER_BITS, ZERO_PROBABILITY, lengths, limits, plain};
use crate::plan::Requantize;

/// Holds the exponentials of all differences: that of `d` below the maximum is at `255 - d`.
pub type Table = [i32; 256];

/// Says what a core does with a row of scores. The exponential of score q lies q entries after `of_zero`,
/// which may itself lie outside the table.
pub trait Rows {
    /// Writes the exponentials of all differences from `diff_min`, which is at most 0, on. The table holds 0.
    fn fill(table: &mut Table, diff_min: i32, scale: Requantize) {
        let lowest = diff_min.max(-255);
        for (exp, diff) in table.iter_mut().rev().zip((lowest..=0).rev()) {
            *exp = exp_on_negative_values(multiply_by_quantized_multiplier(diff, scale));
        }
    }

    /// Returns the greatest score of a row.
    fn max(row: &[i8]) -> i32;

    /// Returns the sum of the exponentials, each rounded to 12 integer bits.
    ///
    /// # Safety
    ///
    /// There is an entry for each score of `row`.
    unsafe fn sum(row: &[i8], of_zero: *const i32) -> u32;

    /// Writes the quantized quotient of each exponential and their sum to `y`: the product with `scale`,
    /// shifted right by `exponent` (23..=31).
    ///
    /// # Safety
    ///
    /// There is an entry for each score of `row`, and `y` is not shorter.
    unsafe fn probabilities(
        row: &[i8],
        of_zero: *const i32,
        scale: i32,
        exponent: u32,
        y: &mut [i8],
    );
}

/// Computes the same as [`plain::softmax`].
pub fn softmax<R: Rows>(
    input: &[i8],
    cols: usize,
    absent: usize,
    input_scale: Requantize,
    diff_min: i32,
    output: &mut [i8],
) {
    debug_assert!(lengths::softmax(input, cols, absent, output));
    if !limits::softmax(cols, absent, diff_min) {
        return plain::softmax(input, cols, absent, input_scale, diff_min, output);
    }
    // The table is whole whatever the scores, so that steps cost the same.
    let mut exps = [0; 256];
    R::fill(&mut exps, diff_min, input_scale);
    for (x, y) in input.chunks_exact(cols).zip(output.chunks_exact_mut(cols)) {
        let (Some(x), Some((skipped, y))) = (x.get(absent..), y.split_at_mut_checked(absent))
        else {
            return;
        };
        let max = R::max(x);
        let of_zero = exps.as_ptr().wrapping_offset((255 - max) as isize);
        // SAFETY: no score is above `max`, nor farther below it than 255: their entries are there.
        let sum = unsafe { R::sum(x, of_zero) };
        let exp_of_absent = exps.get((127 - max) as usize).copied().unwrap_or(0);
        let of_absent = rounding_divide_by_pot(exp_of_absent, ACCUMULATION_INTEGER_BITS);
        let sum = (sum as i32).wrapping_add(of_absent.wrapping_mul(absent as i32));
        let Reciprocal {
            scale,
            bits_over_unit,
        } = reciprocal(sum, ACCUMULATION_INTEGER_BITS);
        // The product has 31 fractional bits, the output 8.
        let exponent = bits_over_unit.wrapping_add(31 - 8) as u32;
        // SAFETY: as above; `x` and `y` are of one length.
        unsafe { R::probabilities(x, of_zero, scale, exponent, y) };
        if absent > 0 {
            let product = saturating_rounding_doubling_high_mul(scale, exp_of_absent);
            let q = rounding_divide_by_pot(product, exponent) + i32::from(ZERO_PROBABILITY);
            skipped.fill(q.clamp(-128, 127) as i8);
        }
    }
}
