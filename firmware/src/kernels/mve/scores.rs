//! Scores of heads of one vector: four keys stay in registers while all queries pass by, and sums are
//! requantized where they are, without a way through memory.
#![allow(unsafe_code)]

use core::arch::naked_asm;

use super::matmul::{Left, Matrix};
use crate::kernels::Output;
use crate::kernels::limits::mve::{QUAD, ROWS, STRIDE};

/// Computes `to[r, c] = quantized(init[r] + bias[c] + sum over k of queries[r, k] * keys[c, k])`, in which
/// `bias[c]` is `add + factor * sum of keys[c]`. Queries and keys have 16 elements; `to_stride` elements lie
/// between two rows of `to`.
///
/// Nothing is computed if lengths do not fit, or if there are fewer than four keys.
pub fn scores(
    queries: &Left<'_>,
    init: &[i32; ROWS],
    keys: Matrix<'_>,
    [factor, add]: [i32; 2],
    output: Output,
    to: &mut [i8],
    to_stride: usize,
) {
    let (rows, count) = (queries.rows(), keys.rows());
    let last = rows.saturating_sub(1).saturating_mul(to_stride);
    let fits = queries.depth() == 16
        && keys.depth() == 16
        && count >= QUAD
        && to_stride <= STRIDE
        && last.saturating_add(count) <= to.len();
    if !fits {
        return;
    }
    // The last four keys may have been among those before.
    let rest = usize::from(!count.is_multiple_of(QUAD));
    for (from, quads) in [(0, count / QUAD), (count - QUAD, rest)] {
        if quads > 0 {
            // SAFETY: there are `4 * quads` keys from `from` on, and as many places in each of `rows` rows,
            // which follow each other where they are of one vector.
            unsafe {
                multiply(&mut Scores {
                    keys: keys.row(from),
                    key_stride: keys.stride(),
                    quads,
                    queries: queries.as_ptr(),
                    init: init.as_ptr(),
                    rows,
                    y: to.as_mut_ptr().add(from),
                    stride: to_stride,
                    multiplier: output.scale.multiplier,
                    shift: output.scale.shift.into(),
                    zero_point: output.zero_point.into(),
                    factor,
                    add,
                });
            }
        }
    }
}

/// Holds what assembly reads to compute scores; the order of the fields is part of it.
#[repr(C)]
struct Scores {
    keys: *const i8,
    key_stride: usize,
    quads: usize,
    queries: *const i8,
    init: *const i32,
    rows: usize,
    y: *mut i8,
    stride: usize,
    multiplier: i32,
    shift: i32,
    zero_point: i32,
    factor: i32,
    add: i32,
}

/// Scales the sums of a query, at r1, and four keys into `$to`; `$sums` gets them.
macro_rules! query {
    ($to:literal, $sums:literal) => {
        concat!(
            "vldrb.u8 ",
            $to,
            ", [r1], #16
            vmladav.s8 r0, ",
            $to,
            ", q0
            ldr r8, [r3], #4
            vmladav.s8 r2, ",
            $to,
            ", q1
            vmladav.s8 r4, ",
            $to,
            ", q2
            vmladav.s8 r6, ",
            $to,
            ", q3
            vmov ",
            $sums,
            "[2], ",
            $sums,
            "[0], r0, r4
            vmov ",
            $sums,
            "[3], ",
            $sums,
            "[1], r2, r6
            vadd.i32 ",
            $sums,
            ", ",
            $sums,
            ", q4
            vadd.i32 ",
            $sums,
            ", ",
            $sums,
            ", r8
            vshr.s32 ",
            $to,
            ", ",
            $sums,
            ", #31
            vqrdmlah.s32 ",
            $to,
            ", ",
            $sums,
            ", r7\n"
        )
    };
}

/// Does the work of [`scores`], two queries after two, which are narrowed into one vector. VQRDMLAH adds the
/// product to the sign of the sum, so that VRSHL, which rounds ties up, rounds them away from zero.
///
/// # Safety
///
/// All that `of` points at is there, and `quads` and `rows` are not 0.
#[unsafe(naked)]
unsafe extern "C" fn multiply(of: &mut Scores) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r0, r4-r11, lr}}",
        "vpush {{d8-d15}}",
        "ldr r12, [r0]",           // keys
        "ldrd r11, r7, [r0, #28]", // stride, multiplier
        "ldrd r9, r10, [r0, #36]", // shift, zero_point
        // The places of two rows of four.
        "mov r2, #0",
        "vidup.u16 q0, r2, #1",
        "vshr.u16 q0, q0, #1",
        "lsl r2, r11, #16",
        "vdup.32 q1, r2",
        "vadd.i16 q0, q0, q1",
        "sub sp, #16",
        "vstrw.32 q0, [sp]",
        "lsl r11, r11, #1",
        "1:",
        "ldr r0, [sp, #80]",
        "ldr r1, [r0, #4]", // key_stride
        "vldrb.u8 q0, [r12]",
        "add r12, r1",
        "vaddv.s8 r2, q0",
        "vldrb.u8 q1, [r12]",
        "add r12, r1",
        "vaddv.s8 r4, q1",
        "vldrb.u8 q2, [r12]",
        "add r12, r1",
        "vaddv.s8 r6, q2",
        "vldrb.u8 q3, [r12]",
        "add r12, r1",
        "vaddv.s8 r8, q3",
        "vmov q4[2], q4[0], r2, r6",
        "vmov q4[3], q4[1], r4, r8",
        "ldrd r2, r4, [r0, #44]", // factor, add
        "vmul.i32 q4, q4, r2",
        "vadd.i32 q4, q4, r4",
        "ldrd r1, r3, [r0, #12]", // queries, init
        "ldrd r2, r5, [r0, #20]", // rows, y
        "add r4, r5, #4",
        "str r4, [r0, #24]",
        "lsr lr, r2, #1",
        "wls lr, lr, 3f",
        "2:",
        query!("q5", "q6"),
        query!("q6", "q7"),
        "vrshl.s32 q5, r9",
        "vrshl.s32 q6, r9",
        "vqmovnb.s32 q5, q5",
        "vqmovnt.s32 q5, q6",
        "vqadd.s16 q5, q5, r10",
        "vldrw.u32 q6, [sp]",
        "vqmovnb.s16 q5, q5",
        "vstrb.16 q5, [r5, q6]",
        "add r5, r11",
        "le lr, 2b",
        "3:",
        "ldr r0, [sp, #80]",
        "ldr r2, [r0, #20]", // rows
        "lsls r2, r2, #31",
        "beq 4f",
        query!("q5", "q6"),
        "vrshl.s32 q5, r9",
        "vqmovnb.s32 q5, q5",
        "vqadd.s16 q5, q5, r10",
        "vqmovnb.s16 q5, q5",
        "vstrb.32 q5, [r5]",
        "4:",
        "ldr r0, [sp, #80]",
        "ldr r1, [r0, #8]", // quads
        "subs r1, #1",
        "str r1, [r0, #8]",
        "bne 1b",
        "add sp, #16",
        "vpop {{d8-d15}}",
        "pop {{r0, r4-r11, pc}}",
    )
}
