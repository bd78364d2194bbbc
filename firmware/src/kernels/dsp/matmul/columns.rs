//! These loops of the matrix product take column after column, with five sums in registers.
#![allow(unsafe_code)]

use core::arch::naked_asm;

use crate::kernels::limits::dsp::ROWS;

/// Multiplies four columns: a word at r5 by the pairs at r12, into r0-r4.
macro_rules! word {
    () => {
        "ldr r10, [r5], #4
        sxtb16 r11, r10, ror #8
        sxtb16 r10, r10
        ldm r12!, {{r6, r7, r8, r9, lr}}
        smlad r0, r10, r6, r0
        smlad r0, r11, r7, r0
        smlad r1, r10, r8, r1
        smlad r1, r11, r9, r1
        smlad r2, r10, lr, r2
        ldm r12!, {{r6, r7, r8, r9, lr}}
        smlad r2, r11, r6, r2
        smlad r3, r10, r7, r3
        smlad r3, r11, r8, r3
        smlad r4, r10, r9, r4
        smlad r4, r11, lr, r4
        "
    };
}

/// Loops over the columns: `$start` sets r0-r4, products are added to them, `$finish` stores them, moves r5
/// on and branches to 1 for the next. Arguments are at sp: second to fourth at 0, fifth at 48.
macro_rules! columns {
    ($start:expr, $finish:expr) => {
        naked_asm!(
            "push {{r4-r11, lr}}",
            "push {{r1, r2, r3}}",
            "mov r5, r0",
            "mov r6, #0",
            "1:",
            $start,
            "ldr r12, [sp, #8]",
            "b 3f",
            "2:",
            word!(),
            word!(),
            word!(),
            word!(),
            "3:",
            "ldr lr, [sp, #48]",
            "cmp r12, lr",
            "bne 2b",
            "ldr lr, [sp, #52]",
            "cmp r12, lr",
            "bne 5f",
            "4:",
            $finish,
            "add sp, #12",
            "pop {{r4-r11, pc}}",
            "5:",
            word!(),
            "ldr lr, [sp, #52]",
            "cmp r12, lr",
            "bne 5b",
            "b 4b",
        )
    };
}

/// Requantizes r0-r4 as [`ToInt8`] does, by multiplier r7, shift r8 and addend r11, and stores them from r10
/// on, in steps of r12.
macro_rules! to_int8 {
    () => {
        "smmlar r0, r0, r7, r0
        smmlar r1, r1, r7, r1
        smmlar r2, r2, r7, r2
        smmlar r3, r3, r7, r3
        smmlar r4, r4, r7, r4
        add r0, r0, r0, asr #31
        add r1, r1, r1, asr #31
        add r2, r2, r2, asr #31
        add r3, r3, r3, asr #31
        add r4, r4, r4, asr #31
        asr r0, r8
        asr r1, r8
        asr r2, r8
        asr r3, r8
        asr r4, r8
        add r0, r11
        add r1, r11
        add r2, r11
        add r3, r11
        add r4, r11
        ssat r0, #8, r0, asr #1
        ssat r1, #8, r1, asr #1
        ssat r2, #8, r2, asr #1
        ssat r3, #8, r3, asr #1
        ssat r4, #8, r4, asr #1
        strb r0, [r10]
        strb r1, [r10, r12]
        add r10, r10, r12, lsl #1
        strb r2, [r10]
        strb r3, [r10, r12]
        strb r4, [r10, r12, lsl #1]
        "
    };
}

/// Adds the products of one column to `sums`.
///
/// # Safety
///
/// `other` is as long as the pairs, which end at `end`; whole groups of four end at `fours_end`.
#[unsafe(naked)]
pub unsafe extern "C" fn sum(
    other: *const i8,
    sums: &mut [i32; ROWS],
    unused: *const i8,
    pairs: *const [[u32; 2]; ROWS],
    fours_end: *const [[u32; 2]; ROWS],
    end: *const [[u32; 2]; ROWS],
) {
    columns!(
        "ldr r11, [sp]
        ldm r11, {{r0, r1, r2, r3, r4}}",
        "ldr r11, [sp]
        stm r11, {{r0, r1, r2, r3, r4}}"
    )
}

/// Computes the same as [`Packed::to_columns`].
///
/// # Safety
///
/// The contract of [`sum`] holds for `count` rows of `other`, at least one, with `skip` bytes between them;
/// `y` has [`ROWS`] rows of `count`.
#[unsafe(naked)]
pub unsafe extern "C" fn to_columns(
    other: *const i8,
    init: &[i32; ROWS],
    y: *mut i8,
    pairs: *const [[u32; 2]; ROWS],
    fours_end: *const [[u32; 2]; ROWS],
    end: *const [[u32; 2]; ROWS],
    skip: usize,
    count: usize,
    y_stride: usize,
    add: i32,
    multiplier: i32,
    shift: u32,
) {
    columns!(
        "ldr r11, [sp]
        ldm r11, {{r0, r1, r2, r3, r4}}",
        concat!(
            "ldrd r7, r8, [sp, #72]
            ldr r10, [sp, #4]
            add r11, r10, #1
            str r11, [sp, #4]
            ldrd r12, r11, [sp, #64]
            ",
            to_int8!(),
            "ldrd lr, r9, [sp, #56]
            add r5, lr
            subs r9, #1
            str r9, [sp, #60]
            bne 1b"
        )
    )
}

/// Computes the same as [`Packed::to_channels`], from channel `first`, which is 0.
///
/// # Safety
///
/// The contract of [`to_columns`] holds, and there are parameters of `count` channels.
#[unsafe(naked)]
pub unsafe extern "C" fn to_channels(
    other: *const i8,
    bias: *const i32,
    first: usize,
    pairs: *const [[u32; 2]; ROWS],
    fours_end: *const [[u32; 2]; ROWS],
    end: *const [[u32; 2]; ROWS],
    skip: usize,
    add: i32,
    count: usize,
    y: *mut i8,
    y_stride: usize,
    multiplier: *const i32,
    shift: *const i8,
) {
    columns!(
        "ldr r11, [sp]
        ldr r0, [r11, r6, lsl #2]
        mov r1, r0
        mov r2, r0
        mov r3, r0
        mov r4, r0",
        concat!(
            "ldr r6, [sp, #4]
            ldrd r10, r11, [sp, #76]
            ldr r7, [r10, r6, lsl #2]
            ldrsb r8, [r11, r6]
            lsl r7, r7, #1
            mvn r8, r8
            ldrd r10, r12, [sp, #68]
            ldrd r11, r9, [sp, #60]
            add r10, r6
            ",
            to_int8!(),
            "ldr lr, [sp, #56]
            add r6, #1
            add r5, lr
            str r6, [sp, #4]
            cmp r6, r9
            bne 1b"
        )
    )
}
