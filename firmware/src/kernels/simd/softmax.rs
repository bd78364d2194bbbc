//! The softmax has a table of the exponentials of all 256 differences, which vectors make and read.

use super::requantize::{Divide, Scales};
use super::{Simd, blocks};
use crate::fixed_point::{
    EXP_OF_MINUS_EIGHTH, ONE_THIRD, POWERS, Reciprocal, reciprocal, rounding_divide_by_pot,
    saturating_rounding_doubling_high_mul,
};
use crate::kernels::limits::simd::KEYS;
use crate::kernels::{ACCUMULATION_INTEGER_BITS, ZERO_PROBABILITY, lengths, limits, plain};
use crate::plan::Requantize;

/// Computes the same as [`plain::softmax`].
///
/// # Safety
///
/// The caller has the features of `S`.
#[inline(always)]
pub unsafe fn softmax<S: Simd>(
    input: &[i8],
    cols: usize,
    absent: usize,
    input_scale: Requantize,
    diff_min: i32,
    output: &mut [i8],
) {
    let fits = lengths::softmax(input, cols, absent, output);
    if !fits || !limits::softmax(cols, absent, diff_min) || cols - absent < S::LANES {
        return plain::softmax(input, cols, absent, input_scale, diff_min, output);
    }
    // SAFETY: the caller's.
    let exps = unsafe { exponentials::<S>(diff_min, input_scale) };
    // Each with its term of the sum, which is the lower half, so that one addition adds it.
    let entries = exps.map(|exp| {
        let term = rounding_divide_by_pot(exp, ACCUMULATION_INTEGER_BITS);
        u64::from(exp as u32) << 32 | u64::from(term as u32)
    });
    let mut of_row = [0; KEYS];
    let present = cols - absent;
    for (x, y) in input.chunks_exact(cols).zip(output.chunks_exact_mut(cols)) {
        let (Some(x), Some((skipped, y))) = (x.get(absent..), y.split_at_mut_checked(absent))
        else {
            return;
        };
        let max = x.iter().copied().fold(i8::MIN, i8::max);
        let below = |q: i8| usize::from(max.wrapping_sub(q) as u8);
        let mut sum = 0u64;
        for (slot, &q) in of_row.iter_mut().zip(x) {
            // SAFETY: there are 256 entries. One by one, since vectors that gather, or are put together, take longer.
            let entry = unsafe { (&raw const entries[below(q)]).read_volatile() };
            *slot = (entry >> 32) as i32;
            sum = sum.wrapping_add(entry);
        }
        let of_absent = (entries[below(i8::MIN)] as i32).wrapping_mul(absent as i32);
        let sum = (sum as i32).wrapping_add(of_absent);
        let Reciprocal {
            scale,
            bits_over_unit,
        } = reciprocal(sum, ACCUMULATION_INTEGER_BITS);
        // The product has 31 fractional bits, the output 8.
        let exponent = bits_over_unit.wrapping_add(31 - 8) as u32;
        // SAFETY: a row and its exponentials have `LANES` elements from the start of each block on. A saturated product is
        // not `i32::MIN`.
        unsafe {
            let divide = Divide::<S>::by_pot(S::splat(exponent as i32));
            let (min, max) = (S::splat(-128), S::splat(127));
            for at in blocks(present, S::LANES) {
                let exps = S::load(of_row.as_ptr().add(at));
                let quotients = divide.apply(S::doubling_high(exps, S::splat(scale)));
                let shifted = S::add(quotients, S::splat(ZERO_PROBABILITY.into()));
                S::narrow(S::min(S::max(shifted, min), max), y.as_mut_ptr().add(at));
            }
        }
        if absent > 0 {
            let product = saturating_rounding_doubling_high_mul(scale, exps[below(i8::MIN)]);
            let q = rounding_divide_by_pot(product, exponent);
            let q = q.wrapping_add(ZERO_PROBABILITY.into());
            skipped.fill(q.clamp(-128, 127) as i8);
        }
    }
}

/// Returns the exponentials of the differences 0, -1, -2 and so on, which are 0 below `diff_min`. `diff_min` is at most 0.
#[inline(always)]
unsafe fn exponentials<S: Simd>(diff_min: i32, scale: Requantize) -> [i32; 256] {
    const COUNT: [i32; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
    let mut exps = [0; 256];
    // SAFETY: the caller's; `LANES`, at most 16, divides the table.
    unsafe {
        let scale = Scales::<S>::splat(scale);
        let least = S::splat(diff_min.max(-256));
        let count = S::load(COUNT.as_ptr());
        for block in exps.chunks_exact_mut(S::LANES).zip((0..).step_by(S::LANES)) {
            let (block, first): (&mut [i32], i32) = block;
            let diff = S::sub(S::splat(-first), count);
            let counts = S::xor(S::sar(S::sub(diff, least), S::splat(31)), S::splat(-1));
            let exp = exp_on_negative_values::<S>(scale.apply(diff));
            S::store(S::and(exp, counts), block.as_mut_ptr());
        }
    }
    exps
}

/// Computes what [`exp_on_negative_values`](crate::fixed_point::exp_on_negative_values) does.
#[inline(always)]
unsafe fn exp_on_negative_values<S: Simd>(a: S::I32) -> S::I32 {
    const INTEGER_BITS: i32 = 5;
    const QUARTER: i32 = 1 << (29 - INTEGER_BITS);
    // SAFETY: the caller's. No product is that of two `i32::MIN`.
    unsafe {
        let part = S::sub(S::and(a, S::splat(QUARTER - 1)), S::splat(QUARTER));
        let quarters = S::sub(part, a);
        let mut result = exp_on_quarter::<S>(S::shl(part, S::splat(INTEGER_BITS)));
        for (bit, power) in (29 - INTEGER_BITS..31).zip(POWERS) {
            let has = S::sar(S::shl(quarters, S::splat(31 - bit)), S::splat(31));
            let product = S::doubling_high(result, S::splat(power));
            result = select::<S>(has, product, result);
        }
        let is_not_0 = S::sar(S::min(a, S::sub(S::splat(0), a)), S::splat(31));
        select::<S>(is_not_0, result, S::splat(i32::MAX))
    }
}

/// Returns `a` where the mask is -1, and `b` where it is 0.
#[inline(always)]
unsafe fn select<S: Simd>(mask: S::I32, a: S::I32, b: S::I32) -> S::I32 {
    // SAFETY: the caller's.
    unsafe { S::xor(b, S::and(S::xor(a, b), mask)) }
}

/// Returns `e^a` for `a` in `[-1/4, 0)`, as [`crate::fixed_point`] does.
#[inline(always)]
unsafe fn exp_on_quarter<S: Simd>(a: S::I32) -> S::I32 {
    // SAFETY: the caller's. No product is that of two `i32::MIN`.
    unsafe {
        let [fourth, half] = [
            Divide::<S>::by_pot(S::splat(2)),
            Divide::by_pot(S::splat(1)),
        ];
        let x = S::add(a, S::splat(1 << 28));
        let x2 = S::doubling_high(x, x);
        let x3 = S::doubling_high(x2, x);
        let x4_over_4 = fourth.apply(S::doubling_high(x2, x2));
        let higher = S::doubling_high(S::add(x4_over_4, x3), S::splat(ONE_THIRD));
        let higher = S::add(x, half.apply(S::add(higher, x2)));
        let factor = S::splat(EXP_OF_MINUS_EIGHTH);
        S::add(factor, S::doubling_high(factor, higher))
    }
}
