//! This module brings vectors of sums to int8, exactly as [`crate::fixed_point`] does one by one.

use super::Simd;
use crate::kernels::{Channels, Output};
use crate::plan::{Clamp, Requantize};

/// Divides each value by its own power of two, and rounds to nearest, ties away from zero.
#[derive(Clone, Copy)]
pub struct Divide<S: Simd> {
    /// Holds how far all but the last bit is shifted.
    last: S::I32,
    /// Holds 1, or 0 where nothing is divided.
    one: S::I32,
    /// Holds -1, or 0 where nothing is divided.
    mask: S::I32,
}

impl<S: Simd> Divide<S> {
    /// Prepares the division by `2^exponents`, none of which is negative.
    #[inline(always)]
    pub unsafe fn by_pot(exponents: S::I32) -> Self {
        // SAFETY: the caller's.
        unsafe {
            let zero = S::splat(0);
            let one = S::min(exponents, S::splat(1));
            Self {
                last: S::and(S::sub(exponents, one), S::splat(31)),
                one,
                mask: S::sub(zero, one),
            }
        }
    }

    /// Divides values, none of which is `i32::MIN`.
    #[inline(always)]
    pub unsafe fn apply(&self, values: S::I32) -> S::I32 {
        // SAFETY: the caller's.
        unsafe {
            // Ties go up, so what is negative starts one lower.
            let signs = S::and(S::sar(values, S::splat(31)), self.mask);
            let values = S::sar(S::add(values, signs), self.last);
            S::sar(S::add(values, self.one), self.one)
        }
    }
}

/// Holds the scales of `LANES` values, prepared.
#[derive(Clone, Copy)]
pub struct Scales<S: Simd> {
    multiplier: S::I32,
    left: S::I32,
    right: Divide<S>,
}

impl<S: Simd> Scales<S> {
    #[inline(always)]
    unsafe fn new(multiplier: S::I32, shift: S::I32) -> Self {
        // SAFETY: the caller's.
        unsafe {
            let zero = S::splat(0);
            Self {
                multiplier,
                left: S::and(S::max(shift, zero), S::splat(31)),
                right: Divide::by_pot(S::max(S::sub(zero, shift), zero)),
            }
        }
    }

    /// Prepares one scale for all values.
    #[inline(always)]
    pub unsafe fn splat(scale: Requantize) -> Self {
        // SAFETY: the caller's.
        unsafe { Self::new(S::splat(scale.multiplier), S::splat(scale.shift.into())) }
    }

    /// Returns what `multiply_by_quantized_multiplier` does.
    #[inline(always)]
    pub unsafe fn apply(&self, values: S::I32) -> S::I32 {
        // SAFETY: the caller's. A saturated product is not `i32::MIN`.
        unsafe {
            let shifted = S::shl(values, self.left);
            self.right.apply(S::doubling_high(shifted, self.multiplier))
        }
    }
}

/// Says how `LANES` sums become int8.
#[derive(Clone, Copy)]
pub struct ToInt8<S: Simd> {
    scales: Scales<S>,
    zero_point: S::I32,
    min: S::I32,
    max: S::I32,
}

impl<S: Simd> ToInt8<S> {
    #[inline(always)]
    unsafe fn with(scales: Scales<S>, zero_point: i8, clamp: Clamp) -> Self {
        // SAFETY: the caller's.
        unsafe {
            Self {
                scales,
                zero_point: S::splat(zero_point.into()),
                min: S::splat(clamp.min.into()),
                max: S::splat(clamp.max.into()),
            }
        }
    }

    /// Prepares one output for all sums.
    #[inline(always)]
    pub unsafe fn splat(to: Output) -> Self {
        // SAFETY: the caller's.
        unsafe { Self::with(Scales::splat(to.scale), to.zero_point, to.clamp) }
    }

    /// Prepares `LANES` channels from the one with the number `first` on, which are there.
    #[inline(always)]
    pub unsafe fn channels(
        channels: Channels<'_>,
        first: usize,
        zero_point: i8,
        clamp: Clamp,
    ) -> Self {
        // SAFETY: the caller's.
        unsafe {
            let multiplier = S::load(channels.multiplier.as_ptr().add(first));
            let shift = S::widen(channels.shift.as_ptr().add(first));
            Self::with(Scales::new(multiplier, shift), zero_point, clamp)
        }
    }

    /// Writes the int8 of each sum to `to`, where there is room for `LANES`.
    #[inline(always)]
    pub unsafe fn write(&self, sums: S::I32, to: *mut i8) {
        // SAFETY: the caller's; the clamp leaves int8.
        unsafe {
            let shifted = S::add(self.scales.apply(sums), self.zero_point);
            S::narrow(S::min(S::max(shifted, self.min), self.max), to);
        }
    }
}
