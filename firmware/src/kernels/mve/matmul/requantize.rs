//! These functions requantize sums of products.
#![allow(unsafe_code)]

use core::arch::naked_asm;

use crate::kernels::limits::mve::ROWS;

/// Holds what assembly reads to requantize; the order of the fields is part of it.
#[repr(C)]
pub struct Requantization {
    pub sums: *const i32,
    pub bias: *const i32,
    pub multiplier: *const i32,
    pub shift: *const i8,
    pub y: *mut i8,
    pub stride: usize,
    pub rows: usize,
    pub cols: usize,
    pub step: usize,
    pub zero_point: i32,
    pub min: i32,
    pub max: i32,
}

/// Requantizes four sums of a row at r11 into q4, by bias q0, multiplier q1, shift q2 and zero point r10,
/// clamped to q6..=q7. VQRDMULH is TFLite's doubling high multiplication; VRSHL rounds ties up, so that what
/// is negative starts one lower.
macro_rules! requantized {
    ($row:literal) => {
        concat!(
            "vldrw.u32 q4, [r11], #128
            vadd.i32 q4, q4, q0
            ",
            $row,
            "
            vqrdmulh.s32 q4, q4, q1
            vshr.s32 q5, q4, #31
            vqadd.s32 q4, q4, q5
            vrshl.s32 q4, q4, q2
            vadd.i32 q4, q4, r10
            vmax.s32 q4, q4, q6
            vmin.s32 q4, q4, q7"
        )
    };
}

/// Does what `finish` does, four columns after four. `$row` adds to q4 what its row adds; `$next` moves r9
/// and the parameters of r3 and r4 on.
macro_rules! requantize {
    ($row:literal, $next:literal) => {
        naked_asm!(
            ".cpu cortex-m55",
            "push {{r4-r11, lr}}",
            "vpush {{d8-d15}}",
            "ldrd r10, r11, [r0, #36]", // zero_point, min
            "ldr r12, [r0, #44]",       // max
            "vdup.32 q6, r11",
            "vdup.32 q7, r12",
            "push {{r1}}",
            "ldr r9, [r0, #32]",      // step
            "ldrd r7, r8, [r0, #24]", // rows, cols
            "ldrd r5, r6, [r0, #16]", // y, stride
            "ldrd r3, r4, [r0, #8]",  // multiplier, shift
            "ldrd r1, r2, [r0]",      // sums, bias
            "sub r3, r9",
            "sub r4, r4, r9, lsr #2",
            "1:",
            "mov r11, r1",
            "mov r0, r5",
            $next,
            "cmp r8, #4",
            "blt 4f",
            "vldrw.u32 q0, [r2], #16",
            "vldrw.u32 q1, [r3]",
            "vldrb.s32 q2, [r4]",
            "dls lr, r7",
            "2:",
            requantized!($row),
            "vstrb.32 q4, [r0]",
            "add r0, r6",
            "le lr, 2b",
            "add r1, #16",
            "add r5, #4",
            "subs r8, #4",
            "bne 1b",
            "3:",
            "add sp, #4",
            "vpop {{d8-d15}}",
            "pop {{r4-r11, pc}}",
            "4:", // fewer than four columns are left
            "vctp.32 r8",
            "vpsttt",
            "vldrwt.u32 q0, [r2]",
            "vldrwt.u32 q1, [r3]",
            "vldrbt.s32 q2, [r4]",
            "dls lr, r7",
            "5:",
            requantized!($row),
            "vpst",
            "vstrbt.32 q4, [r0]",
            "add r0, r6",
            "le lr, 5b",
            "b 3b",
        )
    };
}

/// Requantizes columns that have a scale each.
///
/// # Safety
///
/// All that `of` points at is there.
#[unsafe(naked)]
pub unsafe extern "C" fn requantize_columns(of: &Requantization) {
    requantize!("", "add r3, r9\nadd r4, r4, r9, lsr #2")
}

/// Requantizes rows to which `init` is added; all columns have one scale.
///
/// # Safety
///
/// All that `of` points at is there, and its step is 0.
#[unsafe(naked)]
pub unsafe extern "C" fn requantize_rows(of: &Requantization, init: &[i32; ROWS]) {
    requantize!("ldr r12, [r9], #4\nvadd.i32 q4, q4, r12", "ldr r9, [sp]")
}
