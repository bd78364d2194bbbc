//! The softmax takes four elements side by side.
#![allow(unsafe_code)]

use core::arch::{asm, naked_asm};

use crate::fixed_point::{EXP_OF_MINUS_EIGHTH, ONE_THIRD, POWERS};
use crate::kernels::ZERO_PROBABILITY;
use crate::kernels::softmax::{Rows, Table};
use crate::plan::Requantize;

/// Reads and writes rows of scores in vectors.
pub struct Vectors;

impl Rows for Vectors {
    fn fill(table: &mut Table, diff_min: i32, scale: Requantize) {
        // Whole vectors are computed: up to three entries more.
        let widest = diff_min.clamp(-255, 0).unsigned_abs() | 3;
        let shift = i32::from(scale.shift);
        // SAFETY: writes entries of the table from `255 - widest`, a multiple of 4, to its end.
        unsafe {
            exponentials(&Exponentials {
                widest,
                count: widest / 4 + 1,
                to: table.as_mut_ptr().add((255 - widest) as usize),
                lowest: diff_min.saturating_neg(),
                left: shift.max(0),
                right: shift.min(0),
                multiplier: scale.multiplier,
                one_third: ONE_THIRD,
                exp_of_minus_eighth: EXP_OF_MINUS_EIGHTH,
                quarter: 1 << 24,
                eighth: 1 << 28,
                powers: &POWERS,
            });
        }
    }

    fn max(row: &[i8]) -> i32 {
        let mut max = -128;
        // SAFETY: reads the row; the tail is predicated.
        unsafe {
            asm!(
                "wlstp.8 lr, {count}, 3f",
                "2:",
                "vldrb.u8 q0, [{row}], #16",
                "vmaxv.s8 {max}, q0",
                "letp lr, 2b",
                "3:",
                count = in(reg) row.len(),
                row = inout(reg) row.as_ptr() => _,
                max = inout(reg) max,
                out("lr") _,
                out("d0") _, out("d1") _,
                options(nostack, readonly, pure),
            );
        }
        (max as i8).into()
    }

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

    unsafe fn probabilities(
        row: &[i8],
        of_zero: *const i32,
        scale: i32,
        exponent: u32,
        y: &mut [i8],
    ) {
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
                scale = in(reg) scale,
                shift = in(reg) -(exponent as i32),
                zero = in(reg) i32::from(ZERO_PROBABILITY),
                inout("r1") row.as_ptr() => _,
                inout("r2") y.as_mut_ptr() => _,
                out("lr") _,
                out("d0") _, out("d1") _, out("d2") _, out("d3") _, out("d4") _, out("d5") _,
                options(nostack),
            );
        }
    }
}

/// Holds what assembly reads to compute exponentials; the order of the fields is part of it.
#[repr(C)]
struct Exponentials {
    widest: u32,
    count: u32,
    to: *mut i32,
    lowest: i32,
    left: i32,
    right: i32,
    multiplier: i32,
    one_third: i32,
    exp_of_minus_eighth: i32,
    quarter: i32,
    eighth: i32,
    powers: *const [i32; 7],
}

/// Multiplies q1 by the next power at r0 where q2, shifted left by `$shift`, is negative.
macro_rules! power {
    ($shift:literal) => {
        concat!(
            "ldr r1, [r0], #4
            vshl.i32 q3, q2, #",
            $shift,
            "
            vpt.s32 lt, q3, zr
            vqrdmulht.s32 q1, q1, r1
            "
        )
    };
}

/// Computes `exp_on_negative_values` of each of four differences, `count` times.
///
/// # Safety
///
/// There are `4 * count` places from `to`.
#[unsafe(naked)]
unsafe extern "C" fn exponentials(of: &Exponentials) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r0, r4-r11, lr}}",
        "vpush {{d8-d15}}",
        "ldm r0, {{r2, r3, r4, r5, r6, r7, r8, r9, r10, r11, r12}}",
        "dls lr, r3",
        "ldr r3, [r0, #44]",
        "vdup.32 q4, r7",
        "2:",
        "vddup.u32 q7, r2, #1",
        "vneg.s32 q0, q7",
        // multiply_by_quantized_multiplier
        "vshl.s32 q0, r6",
        "vqrdmulh.s32 q0, q0, r8",
        "vand q1, q0, q4",
        "vshr.s32 q1, q1, #31",
        "vqadd.s32 q0, q0, q1",
        "vrshl.s32 q0, r7",
        // within_quarter q1, quarters q2
        "vshl.i32 q1, q0, #8",
        "vshr.u32 q1, q1, #8",
        "vsub.i32 q1, q1, r11",
        "vsub.i32 q2, q1, q0",
        // exp_on_quarter: x q1, x^2 q3, x^3 q5, x^4 q6
        "vshl.i32 q1, q1, #5",
        "vadd.i32 q1, q1, r12",
        "vqrdmulh.s32 q3, q1, q1",
        "vqrdmulh.s32 q5, q3, q1",
        "vqrdmulh.s32 q6, q3, q3",
        "vrshr.s32 q6, q6, #2", // no square is negative
        "vadd.i32 q6, q6, q5",
        "vqrdmulh.s32 q6, q6, r9",
        "vadd.i32 q6, q6, q3",
        "vshr.s32 q5, q6, #31",
        "vqadd.s32 q6, q6, q5",
        "vrshr.s32 q6, q6, #1",
        "vadd.i32 q1, q1, q6",
        "vqrdmulh.s32 q1, q1, r10",
        "vadd.i32 q1, q1, r10",
        "mov r0, r3",
        power!(7),
        power!(6),
        power!(5),
        power!(4),
        power!(3),
        power!(2),
        power!(1),
        // e^0 is the highest number.
        "vpt.i32 eq, q0, zr",
        "vmvnt.i32 q1, #0x80000000",
        "vdup.32 q5, r5",
        "vpt.s32 ge, q5, q7",
        "vstrwt.32 q1, [r4]",
        "add r4, #16",
        "le lr, 2b",
        "vpop {{d8-d15}}",
        "pop {{r0, r4-r11, pc}}",
    )
}
