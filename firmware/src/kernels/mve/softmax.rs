//! Softmax: its exponentials come from a table, four side by side.
#![allow(unsafe_code)]

use core::arch::asm;

use crate::fixed_point::{
    Reciprocal, exp_on_negative_values, multiply_by_quantized_multiplier, reciprocal,
    rounding_divide_by_pot, saturating_rounding_doubling_high_mul,
};
use crate::kernels::{ACCUMULATION_INTEGER_BITS, MAX_SOFTMAX_COLS, ZERO_PROBABILITY, plain};
use crate::plan::Requantize;

/// As [`plain::softmax`].
pub fn softmax(
    input: &[i8],
    cols: usize,
    absent: usize,
    input_scale: Requantize,
    diff_min: i32,
    output: &mut [i8],
) {
    if cols > MAX_SOFTMAX_COLS.into() || absent >= cols || diff_min > 0 {
        return plain::softmax(input, cols, absent, input_scale, diff_min, output);
    }
    let rows = || {
        let rows = input.chunks_exact(cols).take(output.len() / cols);
        rows.filter_map(|row| row.get(absent..))
    };
    // As many exponentials as differences occur; absent columns may be the farthest.
    let widest = rows()
        .map(range)
        .map(|(min, max)| max.wrapping_sub(min))
        .max();
    let widest = if absent > 0 { 255 } else { widest.unwrap_or(0) };
    // exps[255 - d] for a difference of d.
    let mut exps = [0; 256];
    for (exp, below) in exps.iter_mut().rev().zip(0..=widest) {
        let diff: i32 = -below;
        if diff >= diff_min {
            *exp = exp_on_negative_values(multiply_by_quantized_multiplier(diff, input_scale));
        }
    }
    for (x, y) in input.chunks_exact(cols).zip(output.chunks_exact_mut(cols)) {
        let (Some(x), Some((skipped, y))) = (x.get(absent..), y.split_at_mut_checked(absent))
        else {
            return;
        };
        let (_, max) = range(x);
        // The entry of an element q is q behind this one.
        let of_zero = exps.as_ptr().wrapping_offset((255 - max) as isize);
        // SAFETY: no element is above `max`, nor farther below it than 255, so that their entries
        // are in the table.
        let sum = unsafe { sum(x, of_zero) };
        let exp_of_absent = exps.get((127 - max) as usize).copied().unwrap_or(0);
        let of_absent = (exp_of_absent as u32).wrapping_add(1 << 11) >> ACCUMULATION_INTEGER_BITS;
        let sum = sum.wrapping_add(of_absent.wrapping_mul(absent as u32)) as i32;
        let one_over_sum = reciprocal(sum, ACCUMULATION_INTEGER_BITS);
        // SAFETY: as above, and `x` and `y` are of one length.
        unsafe { probabilities(x, of_zero, one_over_sum, y) };
        if absent > 0 {
            let product = saturating_rounding_doubling_high_mul(one_over_sum.scale, exp_of_absent);
            let probability = rounding_divide_by_pot(product, exponent(one_over_sum));
            let q = probability.wrapping_add(ZERO_PROBABILITY.into());
            skipped.fill(q.clamp(-128, 127) as i8);
        }
    }
}

/// The right shift of products of exponentials, which have 31 fractional bits, to 8.
fn exponent(one_over_sum: Reciprocal) -> u32 {
    one_over_sum.bits_over_unit.wrapping_add(31 - 8) as u32
}

/// Least and greatest element.
fn range(row: &[i8]) -> (i32, i32) {
    let (mut min, mut max) = (127, -128);
    // SAFETY: reads the row; the tail is predicated.
    unsafe {
        asm!(
            "wlstp.8 lr, {count}, 3f",
            "2:",
            "vldrb.u8 q0, [{row}], #16",
            "vmaxv.s8 {max}, q0",
            "vminv.s8 {min}, q0",
            "letp lr, 2b",
            "3:",
            count = in(reg) row.len(),
            row = inout(reg) row.as_ptr() => _,
            max = inout(reg) max,
            min = inout(reg) min,
            out("lr") _,
            out("d0") _, out("d1") _,
            options(nostack, readonly, pure),
        );
    }
    (i32::from(min as i8), i32::from(max as i8))
}

/// Sum of exponentials with 12 integer bits.
///
/// # Safety
///
/// `of_zero` has an entry for each element.
unsafe fn sum(row: &[i8], of_zero: *const i32) -> u32 {
    let sum;
    // SAFETY: the caller's; the tail is predicated.
    unsafe {
        asm!(
            "wlstp.32 lr, {count}, 3f",
            "2:",
            "vldrb.s32 q0, [r1], #4",
            "vldrw.u32 q1, [{of_zero}, q0, uxtw #2]",
            "vrshr.u32 q1, q1, #12",
            "vaddva.u32 r0, q1",
            "letp lr, 2b",
            "3:",
            count = in(reg) row.len(),
            of_zero = in(reg) of_zero,
            inout("r0") 0u32 => sum,
            inout("r1") row.as_ptr() => _,
            out("lr") _,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _,
            options(nostack, readonly, pure),
        );
    }
    sum
}

/// The quantized quotient of each exponential and their sum.
///
/// # Safety
///
/// `of_zero` has an entry for each element of `row`, and `y` is as long.
unsafe fn probabilities(row: &[i8], of_zero: *const i32, one_over_sum: Reciprocal, y: &mut [i8]) {
    // SAFETY: the caller's; the tail is predicated.
    unsafe {
        asm!(
            "mov lr, #127",
            "vdup.32 q2, lr",
            "wlstp.32 lr, {count}, 3f",
            "2:",
            "vldrb.s32 q0, [r1], #4",
            "vldrw.u32 q1, [{of_zero}, q0, uxtw #2]",
            "vqrdmulh.s32 q1, q1, {scale}",
            "vrshl.s32 q1, {shift}",
            "vadd.i32 q1, q1, {zero}",
            "vmin.s32 q1, q1, q2",
            "vstrb.32 q1, [r2], #4",
            "letp lr, 2b",
            "3:",
            count = in(reg) row.len(),
            of_zero = in(reg) of_zero,
            scale = in(reg) one_over_sum.scale,
            shift = in(reg) -(exponent(one_over_sum) as i32),
            zero = in(reg) i32::from(ZERO_PROBABILITY),
            inout("r1") row.as_ptr() => _,
            inout("r2") y.as_mut_ptr() => _,
            out("lr") _,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _, out("d4") _, out("d5") _,
            options(nostack),
        );
    }
}
