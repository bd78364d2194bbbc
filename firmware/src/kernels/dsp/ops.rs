//! This module has the instructions that Rust has no stable function for, and what is built of them.
#![allow(unsafe_code)]

use core::arch::asm;

use crate::kernels::Output;
use crate::kernels::limits::dsp as limits;
use crate::plan::{Clamp, Requantize};

/// Returns `accumulator + a * b / 2^32`, rounded to nearest, ties up.
#[inline(always)]
pub fn smmlar(a: i32, b: i32, accumulator: i32) -> i32 {
    let result;
    // SAFETY: computes on registers alone.
    unsafe {
        asm!("smmlar {}, {}, {}, {}", lateout(reg) result, in(reg) a, in(reg) b, in(reg) accumulator,
            options(pure, nomem, nostack, preserves_flags));
    }
    result
}

/// Returns half of `value`, rounded down, saturated to int8.
#[inline(always)]
fn ssat8_of_half(value: i32) -> i32 {
    let result;
    // SAFETY: computes on registers alone; the sticky flag Q that it may set, nothing reads.
    unsafe {
        asm!("ssat {}, #8, {}, asr #1", lateout(reg) result, in(reg) value,
            options(pure, nomem, nostack, preserves_flags));
    }
    result
}

/// Returns `value`, saturated to 0..=255.
#[inline(always)]
pub fn usat8(value: i32) -> i32 {
    let result;
    // SAFETY: computes on registers alone; the sticky flag Q that it may set, nothing reads.
    unsafe {
        asm!("usat {}, #8, {}", lateout(reg) result, in(reg) value,
            options(pure, nomem, nostack, preserves_flags));
    }
    result
}

/// Returns the greater of each two int8 in `a` and `b`.
#[inline(always)]
pub fn max4(a: u32, b: u32) -> u32 {
    let result;
    // SAFETY: computes on registers and flags alone.
    unsafe {
        asm!("ssub8 {0}, {1}, {2}", "sel {0}, {1}, {2}",
            out(reg) result, in(reg) a, in(reg) b, options(pure, nomem, nostack));
    }
    result
}

/// Widens bytes 0 and 2 of `bytes` to 16 bits each, and adds the halves of `to`.
#[inline(always)]
pub fn even_bytes_plus(to: u32, bytes: u32) -> u32 {
    let result;
    // SAFETY: computes on registers alone.
    unsafe {
        asm!("sxtab16 {}, {}, {}", lateout(reg) result, in(reg) to, in(reg) bytes,
            options(pure, nomem, nostack, preserves_flags));
    }
    result
}

/// Widens bytes 1 and 3 of `bytes` to 16 bits each, and adds the halves of `to`.
#[inline(always)]
pub fn odd_bytes_plus(to: u32, bytes: u32) -> u32 {
    let result;
    // SAFETY: computes on registers alone.
    unsafe {
        asm!("sxtab16 {}, {}, {}, ror #8", lateout(reg) result, in(reg) to, in(reg) bytes,
            options(pure, nomem, nostack, preserves_flags));
    }
    result
}

/// Returns `accumulator` plus the two products of the 16-bit halves of `a` and `b`.
#[inline(always)]
pub fn smlad(a: u32, b: u32, accumulator: i32) -> i32 {
    let result;
    // SAFETY: computes on registers alone; the sticky flag Q that it may set, nothing reads.
    unsafe {
        asm!("smlad {}, {}, {}, {}", lateout(reg) result, in(reg) a, in(reg) b, in(reg) accumulator,
            options(pure, nomem, nostack, preserves_flags));
    }
    result
}

/// Holds a multiplier in `[2^30, 2^31)`, doubled and less 2^32, so that SMMLAR is TFLite's doubling high
/// multiplication.
#[derive(Clone, Copy)]
pub struct Multiplier(pub i32);

impl Multiplier {
    #[inline(always)]
    pub fn new(multiplier: i32) -> Option<Self> {
        limits::multiplier(multiplier).then_some(Self(multiplier << 1))
    }

    /// Returns what `saturating_rounding_doubling_high_mul(value, multiplier)` does.
    #[inline(always)]
    pub fn apply(self, value: i32) -> i32 {
        smmlar(value, self.0, value)
    }
}

/// Requantizes to int8 in five instructions. It fits scales that shift right by 2 or more, and clamps that
/// allow all of int8.
#[derive(Clone, Copy)]
pub struct ToInt8 {
    pub multiplier: Multiplier,
    /// Holds the right shift, but for its last bit.
    pub shift: u32,
    /// Holds one for rounding, plus twice the zero point.
    pub add: i32,
}

impl ToInt8 {
    #[inline(always)]
    pub fn new(scale: Requantize, zero_point: i8, clamp: Clamp) -> Option<Self> {
        let multiplier = Multiplier::new(scale.multiplier)?;
        limits::to_int8(scale, clamp).then_some(Self {
            multiplier,
            shift: (-1 - i32::from(scale.shift)) as u32,
            add: 1 + 2 * i32::from(zero_point),
        })
    }

    pub fn of(to: Output) -> Option<Self> {
        Self::new(to.scale, to.zero_point, to.clamp)
    }

    /// Computes the same as `finish`.
    #[inline(always)]
    pub fn apply(self, sum: i32) -> i8 {
        let scaled = self.multiplier.apply(sum);
        // It is not MIN: 2 a b / 2^32 is above it.
        let scaled = scaled.wrapping_add(scaled >> 31);
        ssat8_of_half(scaled.wrapping_shr(self.shift).wrapping_add(self.add)) as i8
    }
}
