//! This module has the operators that work element by element.

use super::requantize::{Scales, ToInt8};
use super::{Simd, blocks};
use crate::kernels::limits::HALF;
use crate::kernels::{ADD_LEFT_SHIFT, Operand, Output, lengths, plain};
use crate::plan::Requantize;

/// Computes the same as [`plain::add`].
///
/// # Safety
///
/// The caller has the features of `S`.
#[inline(always)]
pub unsafe fn add<S: Simd>(
    a: Operand<'_>,
    a_scale: Requantize,
    b: Operand<'_>,
    b_scale: Requantize,
    to: Output,
    output: &mut [i8],
) {
    if !lengths::elementwise(a.data, b.data, output) || output.len() < S::LANES {
        return plain::add(a, a_scale, b, b_scale, to, output);
    }
    // SAFETY: the caller's; all three have `LANES` elements from the start of each block on.
    unsafe {
        if a_scale == HALF {
            add_to_half::<S>(a, b, b_scale, to, output);
        } else if b_scale == HALF {
            add_to_half::<S>(b, a, a_scale, to, output);
        } else {
            add_any::<S>(a, a_scale, b, b_scale, to, output);
        }
    }
}

/// Adds as [`add`] does where the one operand has the factor 1/2, which is exact.
#[inline(always)]
unsafe fn add_to_half<S: Simd>(
    half: Operand<'_>,
    other: Operand<'_>,
    scale: Requantize,
    to: Output,
    output: &mut [i8],
) {
    // SAFETY: the caller's.
    unsafe {
        let scale = Scales::<S>::splat(scale);
        let to = ToInt8::<S>::splat(to);
        let bits = S::splat(ADD_LEFT_SHIFT as i32);
        let less = S::splat(ADD_LEFT_SHIFT as i32 - 1);
        let zeros = [
            S::splat(half.zero_point.into()),
            S::splat(other.zero_point.into()),
        ];
        for at in blocks(output.len(), S::LANES) {
            let half = S::sub(S::widen(half.data.as_ptr().add(at)), zeros[0]);
            let other = S::sub(S::widen(other.data.as_ptr().add(at)), zeros[1]);
            let other = scale.apply(S::shl(other, bits));
            let sum = S::add(S::shl(half, less), other);
            to.write(sum, output.as_mut_ptr().add(at));
        }
    }
}

/// Adds as [`add`] does, whatever the factors.
#[inline(always)]
unsafe fn add_any<S: Simd>(
    a: Operand<'_>,
    a_scale: Requantize,
    b: Operand<'_>,
    b_scale: Requantize,
    to: Output,
    output: &mut [i8],
) {
    // SAFETY: the caller's.
    unsafe {
        let (a_scale, b_scale) = (Scales::<S>::splat(a_scale), Scales::<S>::splat(b_scale));
        let to = ToInt8::<S>::splat(to);
        let bits = S::splat(ADD_LEFT_SHIFT as i32);
        let zeros = [S::splat(a.zero_point.into()), S::splat(b.zero_point.into())];
        for at in blocks(output.len(), S::LANES) {
            let a = S::sub(S::widen(a.data.as_ptr().add(at)), zeros[0]);
            let b = S::sub(S::widen(b.data.as_ptr().add(at)), zeros[1]);
            let a = a_scale.apply(S::shl(a, bits));
            let b = b_scale.apply(S::shl(b, bits));
            to.write(S::add(a, b), output.as_mut_ptr().add(at));
        }
    }
}

/// Computes the same as [`plain::mul`].
///
/// # Safety
///
/// The caller has the features of `S`.
#[inline(always)]
pub unsafe fn mul<S: Simd>(a: Operand<'_>, b: Operand<'_>, to: Output, output: &mut [i8]) {
    if !lengths::elementwise(a.data, b.data, output) || output.len() < S::LANES {
        return plain::mul(a, b, to, output);
    }
    // SAFETY: all three have `LANES` elements from the start of each block on.
    unsafe {
        let to = ToInt8::<S>::splat(to);
        let zeros = [S::splat(a.zero_point.into()), S::splat(b.zero_point.into())];
        for at in blocks(output.len(), S::LANES) {
            let a = S::sub(S::widen(a.data.as_ptr().add(at)), zeros[0]);
            let b = S::sub(S::widen(b.data.as_ptr().add(at)), zeros[1]);
            to.write(S::mul(a, b), output.as_mut_ptr().add(at));
        }
    }
}

/// Computes the same as [`plain::lookup`].
///
/// # Safety
///
/// The caller has the features of `S`.
#[inline(always)]
pub unsafe fn lookup<S: Simd>(input: &[i8], table: &[i8], output: &mut [i8]) {
    let bytes = match table.first_chunk::<256>() {
        Some(bytes) if lengths::lookup(input, table, output) && input.len() >= S::BYTES => bytes,
        _ => return plain::lookup(input, table, output),
    };
    // SAFETY: both have `BYTES` elements from the start of each block on.
    unsafe {
        let table = S::table(bytes);
        for at in blocks(input.len(), S::BYTES) {
            S::lookup(&table, input.as_ptr().add(at), output.as_mut_ptr().add(at));
        }
    }
}
