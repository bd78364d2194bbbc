//! This module has the operators that work element by element for the DSP extension.
#![allow(unsafe_code)]

use super::elements::{self, Addition, ByTable, Multiplication};
use super::ops::{Divisor, Multiplier, ToInt8};
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
    let len = half.data.len().min(other.data.len()).min(output.len());
    let (a, b) = (half.data.as_ptr(), other.data.as_ptr());
    let minus_other = i32::from(other.zero_point).wrapping_neg() << 20;
    let minus_half = i32::from(half.zero_point).wrapping_neg() << 19;
    let divisor = Divisor::new(scale.shift);
    if scale.shift == 0 || len >= TABLE_FROM {
        let mut table = [0; 256];
        for (other, slot) in table.iter_mut().enumerate() {
            let whole = (i32::from(other as i8) << 20).wrapping_add(minus_other);
            let whole = multiplier.apply(whole);
            *slot = if scale.shift == 0 {
                whole.wrapping_add(minus_half)
            } else {
                divisor.apply(whole, minus_half)
            };
        }
        let by = ByTable {
            to: to_int8,
            table: &table,
        };
        // SAFETY: all have `len` elements.
        unsafe { elements::add_by_table(a, b, output.as_mut_ptr(), len, &by) };
    } else {
        let by = Addition {
            minus_other,
            minus_half,
            multiplier,
            divisor,
            to: to_int8,
        };
        // SAFETY: as above.
        unsafe { elements::add(a, b, output.as_mut_ptr(), len, &by) };
    }
}

/// Computes the same as [`plain::mul`].
pub fn mul(a: Operand<'_>, b: Operand<'_>, to: Output, output: &mut [i8]) {
    debug_assert!(lengths::elementwise(a.data, b.data, output));
    let Some(to_int8) = ToInt8::of(to) else {
        return plain::mul(a, b, to, output);
    };
    let len = a.data.len().min(b.data.len()).min(output.len());
    let by = Multiplication {
        minus_a: -i32::from(a.zero_point),
        minus_b: -i32::from(b.zero_point),
        to: to_int8,
    };
    // SAFETY: all have `len` elements.
    unsafe {
        elements::mul(
            a.data.as_ptr(),
            b.data.as_ptr(),
            output.as_mut_ptr(),
            len,
            &by,
        )
    };
}

/// Computes the same as [`plain::lookup`].
pub fn lookup(input: &[i8], table: &[i8], output: &mut [i8]) {
    debug_assert!(lengths::lookup(input, table, output));
    let Some(table) = table.first_chunk::<256>() else {
        return;
    };
    let len = input.len().min(output.len());
    let of_zero = table.as_ptr().wrapping_add(128);
    // SAFETY: both have `len` elements, and the table has 256.
    unsafe { elements::lookup(input.as_ptr(), of_zero, output.as_mut_ptr(), len) };
}
