//! The softmax takes four scores a turn.
#![allow(unsafe_code)]

use super::elements;
use super::ops::{Divisor, Multiplier, ToInt8, max4, smmlar, smmulr};
use crate::fixed_point::{
    EXP_OF_MINUS_EIGHTH, ONE_THIRD, POWERS, multiply_by_quantized_multiplier,
};
use crate::kernels::ZERO_PROBABILITY;
use crate::kernels::softmax::{Rows, Table};
use crate::plan::Requantize;

/// Reads rows of scores by the instructions for four bytes, and by tables.
pub struct Words;

impl Rows for Words {
    fn fill(table: &mut Table, diff_min: i32, scale: Requantize) {
        let entries = 1 + diff_min.max(-255).unsigned_abs() as usize;
        let table = table.iter_mut().rev().take(entries);
        let fast = Multiplier::new(scale.multiplier).filter(|_| scale.shift >= 0);
        if let Some(multiplier) = fast {
            let (mut diff, step) = (0i32, 1i32.wrapping_shl(scale.shift as u32));
            for exp in table {
                *exp = exp_on_negative_values(multiplier.apply(diff));
                diff = diff.wrapping_sub(step);
            }
        } else {
            for (exp, diff) in table.zip(0..) {
                *exp = exp_on_negative_values(multiply_by_quantized_multiplier(-diff, scale));
            }
        }
    }

    fn max(row: &[i8]) -> i32 {
        let (words, rest) = row.as_chunks::<4>();
        let max = words.iter().fold(0x8080_8080, |max, word| {
            max4(max, u32::from_ne_bytes(word.map(|q| q as u8)))
        });
        let max = max.to_ne_bytes().into_iter().map(|q| q as i8);
        max.chain(rest.iter().copied())
            .fold(i8::MIN, i8::max)
            .into()
    }

    unsafe fn sum(row: &[i8], of_zero: *const i32) -> u32 {
        // SAFETY: the caller's.
        unsafe { elements::sum_exps(row.as_ptr(), of_zero, 0, row.len(), 1 << 11) }
    }

    unsafe fn probabilities(
        row: &[i8],
        of_zero: *const i32,
        scale: i32,
        exponent: u32,
        y: &mut [i8],
    ) {
        // A reciprocal's scale is 2^30 or more.
        let Some(multiplier) = Multiplier::new(scale) else {
            return;
        };
        let by = ToInt8 {
            multiplier,
            divisor: Divisor::new(-(exponent as i8)),
            zero_point: ZERO_PROBABILITY.into(),
        };
        // SAFETY: the caller's.
        unsafe { elements::probabilities(row.as_ptr(), of_zero, y.as_mut_ptr(), row.len(), &by) };
    }
}

/// Returns the product of two numbers with 0 integer bits, the first of less than 1/2.
#[inline(always)]
fn mul(a: i32, b: i32) -> i32 {
    smmulr(a << 1, b)
}

/// Computes the same as [`fixed_point::exp_on_negative_values`](crate::fixed_point::exp_on_negative_values).
#[inline(always)]
fn exp_on_negative_values(a: i32) -> i32 {
    const QUARTER: i32 = 1 << 24;
    if a == 0 {
        return i32::MAX;
    }
    let within_quarter = (a & (QUARTER - 1)) - QUARTER;
    let quarters = within_quarter.wrapping_sub(a);
    // All but the powers are below 1/4 in magnitude.
    let x = (within_quarter << 5) + (1 << 28);
    let x2 = mul(x, x);
    let (x3, x4) = (mul(x2, x), mul(x2, x2));
    let x4_over_12_plus_x3_over_3 = mul(((x4 + 2) >> 2) + x3, ONE_THIRD);
    let higher = x4_over_12_plus_x3_over_3 + x2;
    let higher = (higher + (higher >> 31) + 1) >> 1;
    let mut result = smmlar((x + higher) << 1, EXP_OF_MINUS_EIGHTH, EXP_OF_MINUS_EIGHTH);
    for (bit, power) in (24..31).zip(POWERS) {
        if quarters & 1 << bit != 0 {
            result = if power < 1 << 30 {
                smmulr(result, power << 1)
            } else {
                smmlar(result, power << 1, result) // the double is 2^32 less
            };
        }
    }
    result
}
