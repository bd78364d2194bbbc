//! These loops take element by element, eight a turn.
#![allow(unsafe_code)]

use core::arch::naked_asm;

use super::ops::{Divisor, Multiplier, ToInt8};

/// Repeats `$element` as often as r3 says, after `$constants`, for which the fifth argument is at [sp, #36]. It
/// returns what the elements leave in r2.
macro_rules! elements {
    ($constants:literal, $element:expr) => {
        naked_asm!(
            ".cpu cortex-m4",
            "push {{r4-r11, lr}}",
            $constants,
            "subs r3, #8",
            "blo 2f",
            "1:",
            ".rept 8",
            $element,
            ".endr",
            "subs r3, #8",
            "bhs 1b",
            "2:",
            "adds r3, #8",
            "beq 4f",
            "3:",
            $element,
            "subs r3, #1",
            "bne 3b",
            "4:",
            "mov r0, r2",
            "pop {{r4-r11, pc}}",
        )
    };
}

/// Holds what an addition does to an operand whose factor is not 1/2, and to the sum.
#[repr(C)]
pub struct Addition {
    /// What is added to the other operand, times 2^20: its zero point.
    pub minus_other: i32,
    /// What is added to the half operand, times 2^19: its zero point.
    pub minus_half: i32,
    pub multiplier: Multiplier,
    pub divisor: Divisor,
    pub to: ToInt8,
}

/// Holds an addition whose other operand was requantized before: each of its 256 values, less the half operand's
/// zero point.
#[repr(C)]
pub struct ByTable<'a> {
    pub to: ToInt8,
    pub table: &'a [i32; 256],
}

/// Adds the other operand, requantized, and the half one.
///
/// # Safety
///
/// There are `count` elements of each.
#[unsafe(naked)]
pub unsafe extern "C" fn add(
    half: *const i8,
    other: *const i8,
    to: *mut i8,
    count: usize,
    by: &Addition,
) {
    elements!(
        "ldr r12, [sp, #36]
        ldm r12, {{r4-r10}}",
        "ldrsb r12, [r1], #1
        ldrsb r11, [r0], #1
        add r12, r4, r12, lsl #20
        smmlar r12, r12, r6, r12
        add r11, r5, r11, lsl #19
        add r12, r12, r12, asr #31
        smmlsr r12, r12, r7, r11
        smmlar r12, r12, r8, r12
        add r12, r12, r12, asr #31
        smmlsr r12, r12, r9, r10
        ssat r12, #8, r12
        strb r12, [r2], #1
        "
    )
}

/// Adds what `table` has for the other operand and the half one.
///
/// # Safety
///
/// There are `count` elements of each.
#[unsafe(naked)]
pub unsafe extern "C" fn add_by_table(
    half: *const i8,
    other: *const i8,
    to: *mut i8,
    count: usize,
    by: &ByTable<'_>,
) {
    elements!(
        "ldr r12, [sp, #36]
        ldm r12, {{r4-r7}}",
        "ldrb r12, [r1], #1
        ldrsb lr, [r0], #1
        ldr r12, [r7, r12, lsl #2]
        add r12, r12, lr, lsl #19
        smmlar r12, r12, r4, r12
        add r12, r12, r12, asr #31
        smmlsr r12, r12, r5, r6
        ssat r12, #8, r12
        strb r12, [r2], #1
        "
    )
}

/// Holds what is added to the operands of a multiplication, and what requantizes their product.
#[repr(C)]
pub struct Multiplication {
    pub minus_a: i32,
    pub minus_b: i32,
    pub to: ToInt8,
}

/// Multiplies two operands element by element.
///
/// # Safety
///
/// There are `count` elements of each.
#[unsafe(naked)]
pub unsafe extern "C" fn mul(
    a: *const i8,
    b: *const i8,
    to: *mut i8,
    count: usize,
    by: &Multiplication,
) {
    elements!(
        "ldr r12, [sp, #36]
        ldm r12, {{r4-r8}}",
        "ldrsb r12, [r0], #1
        ldrsb lr, [r1], #1
        add r12, r4
        add lr, r5
        mul r12, r12, lr
        smmlar r12, r12, r6, r12
        add r12, r12, r12, asr #31
        smmlsr r12, r12, r7, r8
        ssat r12, #8, r12
        strb r12, [r2], #1
        "
    )
}

/// Looks each element up in a table of which `of_zero` is the middle.
///
/// # Safety
///
/// There are `count` elements of input and output, and 128 entries before `of_zero` and from there on.
#[unsafe(naked)]
pub unsafe extern "C" fn lookup(from: *const i8, of_zero: *const i8, to: *mut i8, count: usize) {
    elements!(
        "",
        "ldrsb r12, [r0], #1
        ldrb r12, [r1, r12]
        strb r12, [r2], #1
        "
    )
}

/// Returns `sum` plus the exponential of each score, rounded by 12 bits.
///
/// # Safety
///
/// There are `count` scores, and an entry for each, so many from `of_zero` on.
#[unsafe(naked)]
pub unsafe extern "C" fn sum_exps(
    scores: *const i8,
    of_zero: *const i32,
    sum: u32,
    count: usize,
    half: u32,
) -> u32 {
    elements!(
        "ldr r4, [sp, #36]",
        "ldrsb r12, [r0], #1
        ldr r12, [r1, r12, lsl #2]
        add r12, r4
        add r2, r2, r12, lsr #12
        "
    )
}

/// Requantizes the exponential of each score, which is not negative.
///
/// # Safety
///
/// There are `count` scores, an entry for each, so many from `of_zero` on, and places for as many probabilities.
#[unsafe(naked)]
pub unsafe extern "C" fn probabilities(
    scores: *const i8,
    of_zero: *const i32,
    to: *mut i8,
    count: usize,
    by: &ToInt8,
) {
    elements!(
        "ldr r12, [sp, #36]
        ldm r12, {{r4-r6}}",
        "ldrsb r12, [r0], #1
        ldr r12, [r1, r12, lsl #2]
        smmlar r12, r12, r4, r12
        smmlsr r12, r12, r5, r6
        ssat r12, #8, r12
        strb r12, [r2], #1
        "
    )
}
