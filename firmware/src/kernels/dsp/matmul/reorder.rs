//! Bytes of matrices are widened to 16-bit pairs, and columns become rows of words.
#![allow(unsafe_code)]

use core::arch::naked_asm;

use crate::kernels::limits::dsp::ROWS;

/// Widens words of five rows to pairs, each element plus the halves of `plus`.
///
/// # Safety
///
/// Each row has `words` words, at least one, and `to` has places for their pairs.
#[unsafe(naked)]
pub unsafe extern "C" fn widen(
    to: *mut [[u32; 2]; ROWS],
    rows: &[*const i8; ROWS],
    words: usize,
    plus: u32,
) {
    naked_asm!(
        ".cpu cortex-m4",
        "push {{r4-r11, lr}}",
        "ldm r1, {{r4-r8}}",
        "1:",
        "ldr r9, [r4], #4",
        "ldr r11, [r5], #4",
        "ldr lr, [r6], #4",
        "sxtab16 r1, r3, r9",
        "sxtab16 r9, r3, r9, ror #8",
        "sxtab16 r10, r3, r11",
        "sxtab16 r11, r3, r11, ror #8",
        "sxtab16 r12, r3, lr",
        "sxtab16 lr, r3, lr, ror #8",
        "stm r0!, {{r1, r9, r10, r11, r12, lr}}",
        "ldr r10, [r7], #4",
        "ldr r12, [r8], #4",
        "subs r2, #1",
        "sxtab16 r9, r3, r10",
        "sxtab16 r10, r3, r10, ror #8",
        "sxtab16 r11, r3, r12",
        "sxtab16 r12, r3, r12, ror #8",
        "stm r0!, {{r9, r10, r11, r12}}",
        "bne 1b",
        "pop {{r4-r11, pc}}",
    )
}

/// Writes the first `cols` columns (a multiple of 4) of `rows` rows of `data`, `stride` apart, as rows of
/// whole words to `to`. What stands for rows that are missing in their last words means nothing. Returns `false` if
/// lengths do not fit.
pub fn transpose(data: &[i8], stride: usize, rows: usize, cols: usize, to: &mut [u32]) -> bool {
    let words = rows.div_ceil(4);
    let last = rows.saturating_sub(1).saturating_mul(stride);
    if last.saturating_add(cols) > data.len() || cols.saturating_mul(words) > to.len() {
        return false;
    }
    let row = |row: usize| data.as_ptr().wrapping_add(row * stride);
    let mut four = [row(0), row(1), row(2), row(3)];
    for (word, place) in to.iter_mut().enumerate().take(words) {
        if 4 * word + 4 > rows {
            four = [0, 1, 2, 3].map(|next| row((4 * word + next).min(rows - 1)));
        }
        // SAFETY: these rows have `cols` columns, and `to` has as many rows of `words`.
        unsafe { transpose_four(&four, cols / 4, place, words * 4) };
        four = four.map(|row| row.wrapping_add(4 * stride));
    }
    true
}

/// Writes `fours` times four columns of four rows as words to `to`, which are `step` bytes apart.
///
/// # Safety
///
/// Rows and places have so many columns.
#[unsafe(naked)]
unsafe extern "C" fn transpose_four(
    rows: &[*const i8; 4],
    fours: usize,
    to: *mut u32,
    step: usize,
) {
    naked_asm!(
        ".cpu cortex-m4",
        "push {{r4-r11, lr}}",
        // Bytes 1 and 3 are taken from the second operand of SEL.
        "movw r4, #0x00ff",
        "movt r4, #0x00ff",
        "uadd8 r4, r4, r4",
        "ldm r0, {{r0, r4, r5, r6}}",
        "add r12, r3, r3, lsl #1",
        "cbz r1, 2f",
        "1:",
        "ldr r8, [r0], #4",
        "ldr r9, [r4], #4",
        "ldr r10, [r5], #4",
        "ldr r11, [r6], #4",
        "pkhbt lr, r8, r10, lsl #16",
        "pkhtb r10, r10, r8, asr #16",
        "pkhbt r8, r9, r11, lsl #16",
        "pkhtb r11, r11, r9, asr #16",
        "lsl r9, r8, #8",
        "sel r9, lr, r9",
        "str r9, [r2]",
        "lsr r9, lr, #8",
        "sel r9, r9, r8",
        "str r9, [r2, r3]",
        "lsl r9, r11, #8",
        "sel r9, r10, r9",
        "str r9, [r2, r3, lsl #1]",
        "lsr r9, r10, #8",
        "sel r9, r9, r11",
        "str r9, [r2, r12]",
        "add r2, r2, r3, lsl #2",
        "sub r1, #1",
        "cmp r1, #0",
        "bne 1b",
        "2:",
        "pop {{r4-r11, pc}}",
    )
}
