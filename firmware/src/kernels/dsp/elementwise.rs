//! This module has the operators that work element by element for the DSP extension.

use super::ops::{Multiplier, ToInt8};
use crate::kernels::limits::HALF;
use crate::kernels::limits::dsp::{self as limits, TABLE_FROM};
use crate::kernels::{Operand, Output, lengths, plain};
use crate::plan::Requantize;

/// Computes the same as [`plain::add`].
pub fn add(
    a: Operand<'_>,
    a_scale: Requantize,
    b: Operand<'_>,
    b_scale: Requantize,
    to: Output,
    output: &mut [i8],
) {
    debug_assert!(lengths::elementwise(a.data, b.data, output));
    let (half, other, scale) = match (a_scale == HALF, b_scale == HALF) {
        (true, _) => (a, b, b_scale),
        (_, true) => (b, a, a_scale),
        _ => return plain::add(a, a_scale, b, b_scale, to, output),
    };
    let (Some(to_int8), Some(multiplier), true) = (
        ToInt8::of(to),
        Multiplier::new(scale.multiplier),
        limits::add(scale, to.scale, to.clamp),
    ) else {
        return plain::add(a, a_scale, b, b_scale, to, output);
    };
    let zero_points = i32::from(other.zero_point) << 20;
    let minus = i32::from(half.zero_point) << 19;
    let whole = |q: i8| multiplier.apply((i32::from(q) << 20) - zero_points);
    let shift = (-1 - i32::from(scale.shift)) as u32;
    let shifted = |q: i8| {
        let scaled = whole(q);
        let scaled = scaled.wrapping_add(scaled >> 31);
        scaled.wrapping_shr(shift).wrapping_add(1) >> 1
    };
    let add = |half: i8, other: i32| to_int8.apply((i32::from(half) << 19) + other);
    if output.len() >= TABLE_FROM {
        let mut table = [0; 256];
        for (slot, q) in table.iter_mut().zip(0..=u8::MAX) {
            let q = q as i8;
            *slot = if scale.shift == 0 {
                whole(q)
            } else {
                shifted(q)
            } - minus;
        }
        each(half.data, other.data, output, |half, other| {
            add(half, table[usize::from(other as u8)])
        });
    } else if scale.shift == 0 {
        each(half.data, other.data, output, |half, other| {
            add(half, whole(other) - minus)
        });
    } else {
        each(half.data, other.data, output, |half, other| {
            add(half, shifted(other) - minus)
        });
    }
}

/// Computes the same as [`plain::mul`].
pub fn mul(a: Operand<'_>, b: Operand<'_>, to: Output, output: &mut [i8]) {
    debug_assert!(lengths::elementwise(a.data, b.data, output));
    let Some(to_int8) = ToInt8::of(to) else {
        return plain::mul(a, b, to, output);
    };
    let (a_zero, b_zero) = (i32::from(a.zero_point), i32::from(b.zero_point));
    each(a.data, b.data, output, |a, b| {
        to_int8.apply((i32::from(a) - a_zero) * (i32::from(b) - b_zero))
    });
}

/// Computes the same as [`plain::lookup`].
pub fn lookup(input: &[i8], table: &[i8], output: &mut [i8]) {
    debug_assert!(lengths::lookup(input, table, output));
    let Some(table) = table.first_chunk::<256>() else {
        return;
    };
    each(input, input, output, |q, _| {
        table[usize::from(q as u8 ^ 0x80)]
    });
}

/// Computes `output[i] = of(a[i], b[i])`, four elements at a time.
#[inline(always)]
fn each(a: &[i8], b: &[i8], output: &mut [i8], of: impl Fn(i8, i8) -> i8) {
    let len = a.len().min(b.len()).min(output.len());
    let (Some(a), Some(b), Some(output)) = (a.get(..len), b.get(..len), output.get_mut(..len))
    else {
        return;
    };
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<4>(), b.as_chunks::<4>());
    let (y, y_rest) = output.as_chunks_mut::<4>();
    for ((a, b), y) in a.iter().zip(b).zip(y) {
        for ((&a, &b), y) in a.iter().zip(b).zip(y) {
            *y = of(a, b);
        }
    }
    for ((&a, &b), y) in a_rest.iter().zip(b_rest).zip(y_rest) {
        *y = of(a, b);
    }
}
