//! This module has the instructions that Rust has no stable function for, and what is built of them.
#![allow(unsafe_code)]

use core::arch::asm;

use crate::kernels::Output;
use crate::kernels::limits::dsp as limits;
use crate::plan::Requantize;

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

/// Returns `a * b / 2^32`, rounded to nearest, ties up.
#[inline(always)]
pub fn smmulr(a: i32, b: i32) -> i32 {
    let result;
    // SAFETY: computes on registers alone.
    unsafe {
        asm!("smmulr {}, {}, {}", lateout(reg) result, in(reg) a, in(reg) b,
            options(pure, nomem, nostack, preserves_flags));
    }
    result
}

/// Returns `accumulator - a * b / 2^32`, rounded to nearest, ties up.
#[inline(always)]
pub fn smmlsr(a: i32, b: i32, accumulator: i32) -> i32 {
    let result;
    // SAFETY: computes on registers alone.
    unsafe {
        asm!("smmlsr {}, {}, {}, {}", lateout(reg) result, in(reg) a, in(reg) b, in(reg) accumulator,
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

/// Widens bytes 0 and 2 of `bytes` to 16 bits each.
#[inline(always)]
pub fn even_bytes(bytes: u32) -> u32 {
    let result;
    // SAFETY: computes on registers alone.
    unsafe {
        asm!("sxtb16 {}, {}", lateout(reg) result, in(reg) bytes,
            options(pure, nomem, nostack, preserves_flags));
    }
    result
}

/// Widens bytes 1 and 3 of `bytes` to 16 bits each.
#[inline(always)]
pub fn odd_bytes(bytes: u32) -> u32 {
    let result;
    // SAFETY: computes on registers alone.
    unsafe {
        asm!("sxtb16 {}, {}, ror #8", lateout(reg) result, in(reg) bytes,
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
#[repr(transparent)]
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

/// Divides by a power of two by a multiplication with `2^(32 - shift)`, of which SMMLSR keeps the high word; so it
/// rounds to nearest, and ties up. The factor is negative, for then `2^31` is an int32.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Divisor(i32);

impl Divisor {
    /// Makes the divisor `2^-shift`; `shift` is in `-31..=-1`.
    #[inline(always)]
    pub fn new(shift: i8) -> Self {
        Self((-1i32).wrapping_shl(i32::from(shift) as u32))
    }

    /// Returns `addend` plus what `rounding_divide_by_pot(value, -shift)` does; `value` is not MIN.
    #[inline(always)]
    pub fn apply(self, value: i32, addend: i32) -> i32 {
        // Ties go up, so what is negative starts one lower.
        smmlsr(value.wrapping_add(value >> 31), self.0, addend)
    }
}

/// Requantizes to int8 in four instructions. It fits scales that shift right by 2 or more, and clamps that
/// allow all of int8.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct ToInt8 {
    pub multiplier: Multiplier,
    pub divisor: Divisor,
    pub zero_point: i32,
}

impl ToInt8 {
    /// Makes it of a scale that `limits::dsp::to_int8` takes.
    #[inline(always)]
    pub fn of_taken(scale: Requantize, zero_point: i8) -> Self {
        Self {
            multiplier: Multiplier(scale.multiplier << 1),
            divisor: Divisor::new(scale.shift),
            zero_point: zero_point.into(),
        }
    }

    #[inline(always)]
    pub fn of(to: Output) -> Option<Self> {
        limits::to_int8(to.scale, to.clamp).then(|| Self::of_taken(to.scale, to.zero_point))
    }
}
