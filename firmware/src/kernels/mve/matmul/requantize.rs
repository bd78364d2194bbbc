//! These functions requantize sums of products, two rows of four columns at a time.
#![allow(unsafe_code)]

use core::arch::naked_asm;

/// Holds what assembly reads to requantize; the order of the fields is part of it.
#[repr(C)]
pub struct Requantization {
    /// Where the sums lie: those of four columns, row by row, then those of the next four. Behind an odd number
    /// of rows there is one more.
    pub sums: *const i32,
    pub bias: *const i32,
    /// Points at one multiplier a column, or, if all have one scale, at what is added to each row.
    pub multiplier_or_init: *const i32,
    /// Points at one shift a column.
    pub shift: *const i8,
    pub y: *mut i8,
    /// The distance in bytes of two rows at `y`, less than 2^16 - 3.
    pub stride: usize,
    pub rows: usize,
    /// The number of columns, which is a multiple of four and not 0.
    pub cols: usize,
    pub zero_point: i32,
    /// The multiplier if all columns have one, which is not negative.
    pub one_multiplier: i32,
    /// The shift if all columns have one.
    pub one_shift: i32,
}

/// Does what `finish` does, without a clamp but that of int8, four columns after four, two rows after two. `$begin` reads parameters, `$columns`
/// those of four columns; `$pair` and `$single` scale the sums of two rows into `$a` and `$b`, and those of a
/// last one into `$a`.
///
/// Both rows are narrowed into one vector, where the zero point is added, and go to their places by a scatter
/// store. The registers are r0, where a row of `y` goes; r1, whether there is a last row; r2, bias; r5, `y`;
/// r6, two strides; r7, pairs of rows; r8, columns; r10, zero point; r11, sums; q0, bias; q3, places.
macro_rules! requantize {
    ($begin:literal, $columns:literal, $pair:literal, $single:literal, $a:literal, $b:literal) => {
        naked_asm!(
            ".cpu cortex-m55",
            "push {{r4-r11, lr}}",
            "vpush {{d8-d11}}",
            "push {{r0}}",
            "ldr r10, [r0, #32]",     // zero_point
            "ldrd r5, r6, [r0, #16]", // y, stride
            "ldrd r7, r8, [r0, #24]", // rows, cols
            "mov r2, #0",
            "vidup.u16 q3, r2, #1",
            "vshr.u16 q3, q3, #1",
            "lsl r2, r6, #16",
            "vdup.32 q4, r2",
            "vadd.i16 q3, q3, q4",
            "lsl r6, r6, #1",
            "and r1, r7, #1",
            "lsr r7, r7, #1",
            "ldrd r11, r2, [r0]", // sums, bias
            $begin,
            "1:",
            "mov r0, r5",
            "vldrw.u32 q0, [r2], #16",
            $columns,
            "wls lr, r7, 3f",
            "2:",
            "vldrw.u32 q4, [r11], #16",
            "vldrw.u32 q5, [r11], #16",
            "vadd.i32 q4, q4, q0",
            "vadd.i32 q5, q5, q0",
            $pair,
            concat!("vqmovnb.s32 q4, ", $a),
            concat!("vqmovnt.s32 q4, ", $b),
            "vqadd.s16 q4, q4, r10",
            "vqmovnb.s16 q4, q4",
            "vstrb.16 q4, [r0, q3]",
            "add r0, r6",
            "le lr, 2b",
            "3:",
            "cbz r1, 4f",
            "vldrw.u32 q4, [r11], #32",
            "vadd.i32 q4, q4, q0",
            $single,
            concat!("vqmovnb.s32 q4, ", $a),
            "vqadd.s16 q4, q4, r10",
            "vqmovnb.s16 q4, q4",
            "vstrb.32 q4, [r0]",
            "4:",
            "add r5, #4",
            "subs r8, #4",
            "bne 1b",
            "add sp, #4",
            "vpop {{d8-d11}}",
            "pop {{r4-r11, pc}}",
        )
    };
}

/// Requantizes columns that have a scale each. VQRDMULH is TFLite's doubling high multiplication; VRSHL rounds
/// ties up, so that what is negative starts one lower.
///
/// # Safety
///
/// All that `of` points at is there.
#[unsafe(naked)]
pub unsafe extern "C" fn requantize_columns(of: &Requantization) {
    requantize!(
        "ldrd r3, r4, [r0, #8]
        mov r12, #-1",
        "vldrw.u32 q1, [r3], #16
        vldrb.s32 q2, [r4], #4",
        "vqrdmulh.s32 q4, q4, q1
        vqrdmulh.s32 q5, q5, q1
        vpt.s32 lt, q4, zr
        vqaddt.s32 q4, q4, r12
        vpt.s32 lt, q5, zr
        vqaddt.s32 q5, q5, r12
        vrshl.s32 q4, q4, q2
        vrshl.s32 q5, q5, q2",
        "vqrdmulh.s32 q4, q4, q1
        vpt.s32 lt, q4, zr
        vqaddt.s32 q4, q4, r12
        vrshl.s32 q4, q4, q2",
        "q4",
        "q5"
    )
}

/// Requantizes rows to which something is added; all columns have one scale. VQRDMLAH adds the product to the
/// sign of the sum, which is that of the product, or the product is 0 and stays so.
///
/// # Safety
///
/// All that `of` points at is there.
#[unsafe(naked)]
pub unsafe extern "C" fn requantize_rows(of: &Requantization) {
    requantize!(
        "ldrd r3, r4, [r0, #36]",
        "ldr r9, [sp]
        ldr r9, [r9, #8]",
        "ldr r12, [r9], #4
        vadd.i32 q4, q4, r12
        ldr r12, [r9], #4
        vadd.i32 q5, q5, r12
        vshr.s32 q1, q4, #31
        vqrdmlah.s32 q1, q4, r3
        vshr.s32 q2, q5, #31
        vqrdmlah.s32 q2, q5, r3
        vrshl.s32 q1, r4
        vrshl.s32 q2, r4",
        "ldr r12, [r9], #4
        vadd.i32 q4, q4, r12
        vshr.s32 q1, q4, #31
        vqrdmlah.s32 q1, q4, r3
        vrshl.s32 q1, r4",
        "q1",
        "q2"
    )
}
