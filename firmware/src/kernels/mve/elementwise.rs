//! This module has the operators that work element by element for Helium: four 32-bit lanes side by side, or
//! sixteen bytes.
#![allow(unsafe_code)]

use core::arch::{asm, naked_asm};

use crate::kernels::limits::{HALF, mve as limits};
use crate::kernels::{Operand, Output, lengths, plain};
use crate::plan::Requantize;

/// The number of bits by which the operand of factor 1/2 is shifted left: 20, and 1 back.
const HALF_SHIFT: u32 = 19;

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
    if !limits::add(scale, to.scale) {
        return plain::add(a, a_scale, b, b_scale, to, output);
    }
    let count = output.len().min(a.data.len()).min(b.data.len());
    // SAFETY: all three have `count` elements.
    unsafe {
        add_lanes(&Lanes {
            a: half.data.as_ptr(),
            b: other.data.as_ptr(),
            y: output.as_mut_ptr(),
            count,
            a_plus: -(i32::from(half.zero_point) << HALF_SHIFT),
            b_plus: -(i32::from(other.zero_point) << 20),
            b_multiplier: scale.multiplier,
            b_shift: scale.shift.into(),
            multiplier: to.scale.multiplier,
            shift: to.scale.shift.into(),
            zero_point: to.zero_point.into(),
            min: to.clamp.min.into(),
            max: to.clamp.max.into(),
        });
    }
}

/// Computes the same as [`plain::mul`].
pub fn mul(a: Operand<'_>, b: Operand<'_>, to: Output, output: &mut [i8]) {
    debug_assert!(lengths::elementwise(a.data, b.data, output));
    if !limits::shifts_right(to.scale) {
        return plain::mul(a, b, to, output);
    }
    let count = output.len().min(a.data.len()).min(b.data.len());
    // SAFETY: all three have `count` elements.
    unsafe {
        mul_lanes(&Lanes {
            a: a.data.as_ptr(),
            b: b.data.as_ptr(),
            y: output.as_mut_ptr(),
            count,
            a_plus: -i32::from(a.zero_point),
            b_plus: -i32::from(b.zero_point),
            b_multiplier: 0,
            b_shift: 0,
            multiplier: to.scale.multiplier,
            shift: to.scale.shift.into(),
            zero_point: to.zero_point.into(),
            min: to.clamp.min.into(),
            max: to.clamp.max.into(),
        });
    }
}

/// Holds what assembly reads to add or multiply; the order of the fields is part of it.
#[repr(C)]
struct Lanes {
    a: *const i8,
    b: *const i8,
    y: *mut i8,
    count: usize,
    a_plus: i32,
    b_plus: i32,
    b_multiplier: i32,
    b_shift: i32,
    multiplier: i32,
    shift: i32,
    zero_point: i32,
    min: i32,
    max: i32,
}

/// Reads the fields of [`Lanes`], which are at r0: `a` to r1, `b` to r2, `y` to r3, `count` to r12, and the
/// others in order to r4-r11, except the clamp, which goes to q6 and q7.
macro_rules! lanes {
    () => {
        "ldrd r4, r5, [r0, #44]
        vdup.32 q6, r4
        vdup.32 q7, r5
        ldrd r1, r2, [r0]
        ldrd r3, r12, [r0, #8]
        add r0, #16
        ldm r0, {{r4-r10}}"
    };
}

/// Requantizes q0 by multiplier r8, shift r9 and zero point r10, and stores it.
macro_rules! finish {
    () => {
        "vqrdmulh.s32 q0, q0, r8
        vshr.s32 q2, q0, #31
        vqadd.s32 q0, q0, q2
        vrshl.s32 q0, r9
        vadd.i32 q0, q0, r10
        vmax.s32 q0, q0, q6
        vmin.s32 q0, q0, q7
        vstrb.32 q0, [r3], #4"
    };
}

/// Does the work of [`add`]; operand `a` has the factor 1/2.
///
/// # Safety
///
/// `a`, `b` and `y` have `count` elements.
#[unsafe(naked)]
unsafe extern "C" fn add_lanes(of: &Lanes) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4-r11, lr}}",
        "vpush {{d8-d15}}",
        lanes!(),
        "mov r11, #1 << 20",
        "vdup.32 q3, r11",
        "lsr r11, r11, #1",
        "vdup.32 q4, r7", // negative where there is a right shift
        "wlstp.32 lr, r12, 2f",
        "1:",
        "vldrb.s32 q1, [r2], #4",
        "vldrb.s32 q0, [r1], #4",
        "vmlas.s32 q1, q3, r5",
        "vqrdmulh.s32 q1, q1, r6",
        "vand q2, q1, q4",
        "vshr.s32 q2, q2, #31",
        "vqadd.s32 q1, q1, q2",
        "vrshl.s32 q1, r7",
        "vmla.s32 q1, q0, r11",
        "vadd.i32 q0, q1, r4",
        finish!(),
        "letp lr, 1b",
        "2:",
        "vpop {{d8-d15}}",
        "pop {{r4-r11, pc}}",
    )
}

/// Does the work of [`mul`].
///
/// # Safety
///
/// `a`, `b` and `y` have `count` elements.
#[unsafe(naked)]
unsafe extern "C" fn mul_lanes(of: &Lanes) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4-r11, lr}}",
        "vpush {{d8-d15}}",
        lanes!(),
        "wlstp.32 lr, r12, 2f",
        "1:",
        "vldrb.s32 q0, [r1], #4",
        "vldrb.s32 q1, [r2], #4",
        "vadd.i32 q0, q0, r4",
        "vadd.i32 q1, q1, r5",
        "vmul.i32 q0, q0, q1",
        finish!(),
        "letp lr, 1b",
        "2:",
        "vpop {{d8-d15}}",
        "pop {{r4-r11, pc}}",
    )
}

/// Computes the same as [`plain::lookup`].
pub fn lookup(input: &[i8], table: &[i8], output: &mut [i8]) {
    debug_assert!(lengths::lookup(input, table, output));
    let Some(table) = table.first_chunk::<256>() else {
        return;
    };
    // SAFETY: both have that many elements, and a byte indexes any of the table's. The tail is
    // predicated.
    unsafe {
        asm!(
            "vmov.i8 q2, #0x80",
            "wlstp.8 lr, {count}, 3f",
            "2:",
            "vldrb.u8 q0, [{input}], #16",
            "veor q0, q0, q2",
            "vldrb.u8 q1, [{table}, q0]",
            "vstrb.8 q1, [{output}], #16",
            "letp lr, 2b",
            "3:",
            count = in(reg) input.len().min(output.len()),
            input = inout(reg) input.as_ptr() => _,
            table = in(reg) table,
            output = inout(reg) output.as_mut_ptr() => _,
            out("lr") _,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _, out("d4") _, out("d5") _,
            options(nostack),
        );
    }
}
