//! This module has the operators that work element by element for Helium: eight elements side by side, in two
//! vectors where they take 32 bits, or sixteen bytes.
#![allow(unsafe_code)]

use core::arch::{asm, naked_asm};

use super::{is_full, limit};
use crate::kernels::limits::{HALF, mve as limits};
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
    if !limits::add(scale, to.scale) {
        return plain::add(a, a_scale, b, b_scale, to, output);
    }
    // A half of the other operand is no scale that shifts right, but a half of twice of it.
    let (scale, twice) = if scale == HALF {
        let shift = -1;
        (Requantize { shift, ..HALF }, 2)
    } else {
        (scale, 1)
    };
    let count = output.len().min(a.data.len()).min(b.data.len());
    // SAFETY: all three have `count` elements.
    unsafe {
        add_lanes(&Lanes {
            a: half.data.as_ptr(),
            b: other.data.as_ptr(),
            y: output.as_mut_ptr(),
            count,
            // 19 bits to the left, of which 16 follow: 20, and 1 back.
            a_plus: -(i32::from(half.zero_point) << 3),
            b_plus: -(i32::from(other.zero_point) << 4) * twice,
            b_factor: 16 * twice,
            b_multiplier: scale.multiplier,
            b_shift: scale.shift.into(),
            multiplier: to.scale.multiplier,
            shift: to.scale.shift.into(),
            zero_point: to.zero_point.into(),
        });
    }
    if !is_full(to.clamp) {
        limit(output.get_mut(..count).unwrap_or_default(), to.clamp);
    }
}

/// Computes the same as [`plain::mul`].
pub fn mul(a: Operand<'_>, b: Operand<'_>, to: Output, output: &mut [i8]) {
    debug_assert!(lengths::elementwise(a.data, b.data, output));
    if !limits::one_scale(to.scale) {
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
            b_factor: 0,
            b_multiplier: 0,
            b_shift: 0,
            multiplier: to.scale.multiplier,
            shift: to.scale.shift.into(),
            zero_point: to.zero_point.into(),
        });
    }
    if !is_full(to.clamp) {
        limit(output.get_mut(..count).unwrap_or_default(), to.clamp);
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
    b_factor: i32,
    b_multiplier: i32,
    b_shift: i32,
    multiplier: i32,
    shift: i32,
    zero_point: i32,
}

/// Combines `a` and `b` eight elements after eight: `$combine` makes of q0 and q1, in which their elements are,
/// 32 bits each in q5, those of even numbers, and in q2. `$begin` comes before.
///
/// The registers are r1, `a`; r2, `b`; r3, `y`; r4 to r11 the fields behind `count` in order.
/// VQRDMLAH adds the product to the sign of the sum, which is that of the product, or the product is 0 and stays
/// so. The tail is predicated where it is loaded and stored: a half lane of 32 bits could not be.
macro_rules! lanes {
    ($begin:literal, $combine:literal) => {
        naked_asm!(
            ".cpu cortex-m55",
            "push {{r4-r11, lr}}",
            "vpush {{d8-d11}}",
            "ldrd r1, r2, [r0]",      // a, b
            "ldrd r3, r12, [r0, #8]", // y, count
            "add r0, #16",
            "ldm r0, {{r4-r11}}",
            $begin,
            "lsr lr, r12, #3",
            "wls lr, lr, 2f",
            "1:",
            "vldrb.s16 q1, [r2], #8",
            "vldrb.s16 q0, [r1], #8",
            lanes!($combine),
            "vstrb.16 q0, [r3], #8",
            "le lr, 1b",
            "2:",
            "ands r12, #7",
            "beq 3f",
            "vctp.16 r12",
            "vpstt",
            "vldrbt.s16 q1, [r2]",
            "vldrbt.s16 q0, [r1]",
            lanes!($combine),
            "vpst",
            "vstrbt.16 q0, [r3]",
            "3:",
            "vpop {{d8-d11}}",
            "pop {{r4-r11, pc}}",
        )
    };
    ($combine:literal) => {
        concat!(
            $combine,
            "
            vshr.s32 q0, q5, #31
            vqrdmlah.s32 q0, q5, r9
            vshr.s32 q1, q2, #31
            vqrdmlah.s32 q1, q2, r9
            vrshl.s32 q0, r10
            vrshl.s32 q1, r10
            vqmovnb.s32 q0, q0
            vqmovnt.s32 q0, q1
            vqadd.s16 q0, q0, r11
            vqmovnb.s16 q0, q0"
        )
    };
}

/// Does the work of [`add`]; operand `a` has the factor 1/2.
///
/// # Safety
///
/// `a`, `b` and `y` have `count` elements.
#[unsafe(naked)]
unsafe extern "C" fn add_lanes(of: &Lanes) {
    lanes!(
        "vmov.i16 q3, #8
        vdup.16 q4, r6",
        "vmlas.s16 q1, q4, r5
        vmlas.s16 q0, q3, r4
        vshllb.s16 q2, q1, #16
        vshllt.s16 q1, q1, #16
        vshr.s32 q5, q2, #31
        vqrdmlah.s32 q5, q2, r7
        vshr.s32 q2, q1, #31
        vqrdmlah.s32 q2, q1, r7
        vrshl.s32 q5, r8
        vrshl.s32 q2, r8
        vshllb.s16 q1, q0, #16
        vadd.i32 q5, q5, q1
        vshllt.s16 q0, q0, #16
        vadd.i32 q2, q2, q0"
    )
}

/// Does the work of [`mul`].
///
/// # Safety
///
/// `a`, `b` and `y` have `count` elements.
#[unsafe(naked)]
unsafe extern "C" fn mul_lanes(of: &Lanes) {
    lanes!(
        "",
        "vadd.i16 q0, q0, r4
        vadd.i16 q1, q1, r5
        vmullb.s16 q5, q0, q1
        vmullt.s16 q2, q0, q1"
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

/// Computes the same as [`plain::move_to_front`].
pub fn move_to_front(data: &mut [i8], from: usize, to: usize) {
    let Some(kept) = data.get_mut(from..to).map(|kept| kept.as_ptr()) else {
        return;
    };
    // SAFETY: both have `to - from` elements. A vector is stored before where the next is loaded.
    unsafe {
        asm!(
            "wlstp.8 lr, {count}, 3f",
            "2:",
            "vldrb.u8 q0, [{kept}], #16",
            "vstrb.8 q0, [{front}], #16",
            "letp lr, 2b",
            "3:",
            count = in(reg) to - from,
            kept = inout(reg) kept => _,
            front = inout(reg) data.as_mut_ptr() => _,
            out("lr") _,
            out("d0") _, out("d1") _,
            options(nostack),
        );
    }
}
