//! These functions sum products of two rows by two, or of five rows of one vector.
#![allow(unsafe_code)]

use core::arch::naked_asm;

/// Describes a product of rows times rows, or of pairs of them. Assembly reads it: the order of the fields is
/// part of it.
#[repr(C)]
pub struct Product {
    pub x: *const i8,
    pub x_stride: usize,
    pub sums: *mut i32,
    pub rows: usize,
    pub w: *const i8,
    pub w_stride: usize,
    pub cols: usize,
    pub depth: usize,
}

/// Multiplies sixteen elements of two rows with those of two others, into r0, r2, r4, r6. Loads and
/// multiplications alternate, which overlap on the M55.
macro_rules! quad {
    ($mul:literal) => {
        concat!(
            "vldrb.u8 q0, [r1], #16\n",
            "vldrb.u8 q1, [r5], #16\n",
            $mul,
            " r0, q0, q1\n",
            "vldrb.u8 q2, [r7], #16\n",
            $mul,
            " r2, q0, q2\n",
            "vldrb.u8 q3, [r3], #16\n",
            $mul,
            " r4, q3, q1\n",
            $mul,
            " r6, q3, q2\n",
        )
    };
}

/// Computes products of a depth that is a multiple of 64.
///
/// # Safety
///
/// All that `product` points at is there.
#[unsafe(naked)]
pub unsafe extern "C" fn multiply_by_64(product: &Product) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4-r11, lr}}",
        "sub sp, #20",
        "ldrd r1, r9, [r0]",       // x, x_stride
        "ldrd r8, r12, [r0, #8]",  // sums, row_pairs
        "ldrd r5, r7, [r0, #16]",  // w, w_stride
        "ldrd r4, r10, [r0, #24]", // pairs, depth
        "add r3, r1, r9",
        "lsl r6, r7, #1",
        "strd r4, r6, [sp]",     // pairs, 2 w_stride
        "strd r1, r3, [sp, #8]", // x of the first two rows
        "str r12, [sp, #16]",
        "add r7, r5",
        "rsb r9, r10, r9, lsl #1", // from the end of a row to the next but one
        "lsr r11, r10, #6",
        "sub r11, #1",
        "1:",
        "2:",
        quad!("vmladav.s8"),
        quad!("vmladava.s8"),
        quad!("vmladava.s8"),
        quad!("vmladava.s8"),
        "wls lr, r11, 4f",
        "3:",
        quad!("vmladava.s8"),
        quad!("vmladava.s8"),
        quad!("vmladava.s8"),
        quad!("vmladava.s8"),
        "le lr, 3b",
        "4:",
        "strd r0, r2, [r8], #128",
        "strd r4, r6, [r8], #128",
        "add r1, r9",
        "add r3, r9",
        "sub r5, r10",
        "sub r7, r10",
        "subs r12, #1",
        "bne 2b",
        "ldrd r0, r2, [sp]",
        "ldrd r1, r3, [sp, #8]",
        "ldr r12, [sp, #16]",
        "add r5, r2",
        "add r7, r2",
        "sub r8, r8, r12, lsl #8",
        "add r8, #8",
        "subs r0, #1",
        "str r0, [sp]",
        "bne 1b",
        "add sp, #20",
        "pop {{r4-r11, pc}}",
    )
}

/// Computes products of a depth of 16, at which each row is one vector: up to five rows stay in q0-q4.
///
/// # Safety
///
/// All that `product` points at is there, and room for five rows of sums.
#[unsafe(naked)]
pub unsafe extern "C" fn multiply_by_16(product: &Product) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4-r8, lr}}",
        "vpush {{d8-d11}}",
        "ldrd r1, r4, [r0]",      // x, x_stride
        "ldrd r7, r12, [r0, #8]", // sums, rows
        "ldrd r3, r5, [r0, #16]", // w, w_stride
        "ldr lr, [r0, #24]",      // cols
        "vldrb.u8 q0, [r1]",
        "cmp r12, #1",
        "it gt",
        "addgt r1, r4",
        "vldrb.u8 q1, [r1]",
        "cmp r12, #2",
        "it gt",
        "addgt r1, r4",
        "vldrb.u8 q2, [r1]",
        "cmp r12, #3",
        "it gt",
        "addgt r1, r4",
        "vldrb.u8 q3, [r1]",
        "cmp r12, #4",
        "it gt",
        "addgt r1, r4",
        "vldrb.u8 q4, [r1]",
        "dls lr, lr",
        "2:",
        "vldrb.u8 q5, [r3]",
        "add r3, r5",
        "vmladav.s8 r0, q0, q5",
        "vmladav.s8 r2, q1, q5",
        "vmladav.s8 r4, q2, q5",
        "vmladav.s8 r6, q3, q5",
        "vmladav.s8 r8, q4, q5",
        "str r2, [r7, #128]",
        "str r4, [r7, #256]",
        "str r6, [r7, #384]",
        "str r8, [r7, #512]",
        "str r0, [r7], #4",
        "le lr, 2b",
        "vpop {{d8-d11}}",
        "pop {{r4-r8, pc}}",
    )
}

/// Computes products of any depth.
///
/// # Safety
///
/// All that `product` points at is there.
#[unsafe(naked)]
pub unsafe extern "C" fn multiply_by_any(product: &Product) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4-r11, lr}}",
        "sub sp, #20",
        "ldrd r1, r9, [r0]",       // x, x_stride
        "ldrd r8, r12, [r0, #8]",  // sums, row_pairs
        "ldrd r5, r7, [r0, #16]",  // w, w_stride
        "ldrd r4, r10, [r0, #24]", // pairs, depth
        "add r3, r1, r9",
        "lsl r6, r7, #1",
        "strd r4, r6, [sp]",     // pairs, 2 w_stride
        "strd r1, r3, [sp, #8]", // x of the first two rows
        "str r12, [sp, #16]",
        "add r7, r5",
        "add r11, r10, #15",
        "bic r11, #15",
        "rsb r9, r11, r9, lsl #1", // from behind a row's last vector to the next row but one
        "1:",
        "2:",
        "mov r0, #0",
        "mov r2, #0",
        "mov r4, #0",
        "mov r6, #0",
        "dlstp.8 lr, r10",
        "3:",
        quad!("vmladava.s8"),
        "letp lr, 3b",
        "strd r0, r2, [r8], #128",
        "strd r4, r6, [r8], #128",
        "add r1, r9",
        "add r3, r9",
        "sub r5, r11",
        "sub r7, r11",
        "subs r12, #1",
        "bne 2b",
        "ldrd r0, r2, [sp]",
        "ldrd r1, r3, [sp, #8]",
        "ldr r12, [sp, #16]",
        "add r5, r2",
        "add r7, r2",
        "sub r8, r8, r12, lsl #8",
        "add r8, #8",
        "subs r0, #1",
        "str r0, [sp]",
        "bne 1b",
        "add sp, #20",
        "pop {{r4-r11, pc}}",
    )
}
