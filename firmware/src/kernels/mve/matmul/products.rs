//! These functions sum products of two rows by four, whose sums stay in registers: a vector that is loaded
//! takes part in two or four multiplications.
#![allow(unsafe_code)]

use core::arch::naked_asm;

/// Describes products of pairs of rows by columns, four at a time. Assembly reads it: the order of the fields
/// is part of it.
#[repr(C)]
pub struct Product {
    /// Points at the first elements of the first four columns.
    pub w: [*const i8; 4],
    /// The rows, in the order in which they are read.
    pub x: *const i8,
    pub x_end: *const i8,
    /// Gets four sums of each row, then those of the next four columns.
    pub sums: *mut i32,
    /// The number of times that there are four columns.
    pub quads: usize,
    /// The number of times that the depth has 64 elements.
    pub blocks: usize,
    /// The number of times that what is left has 16 elements.
    pub vectors: usize,
    /// The number of elements that are left then; of products of a depth of 64, the number of rows without
    /// another, 0 or 1.
    pub tail: usize,
    /// Says how far four columns lie from the next, in bytes.
    pub w_step: usize,
}

/// Multiplies sixteen elements of two rows, at `$x` and `$y`, with those of four columns, at `$a` to `$d`,
/// into r0, r2, r4, r6 and r8, r10, r12, lr. Loads and multiplications alternate, which overlap on the M55.
macro_rules! slice {
    ($mul:literal, $x:expr, $y:expr, $a:expr, $b:expr, $c:expr, $d:expr) => {
        concat!(
            "vldrb.u8 q0, ",
            $x,
            "\n",
            "vldrb.u8 q1, ",
            $a,
            "\n",
            $mul,
            " r0, q0, q1\n",
            "vldrb.u8 q2, ",
            $y,
            "\n",
            $mul,
            " r8, q2, q1\n",
            "vldrb.u8 q3, ",
            $b,
            "\n",
            $mul,
            " r2, q0, q3\n",
            "vldrb.u8 q1, ",
            $c,
            "\n",
            $mul,
            " r10, q2, q3\n",
            $mul,
            " r4, q0, q1\n",
            "vldrb.u8 q3, ",
            $d,
            "\n",
            $mul,
            " r12, q2, q1\n",
            $mul,
            " r6, q0, q3\n",
            $mul,
            " lr, q2, q3\n",
        )
    };
    ($mul:literal, $first:literal, $second:literal) => {
        slice!(
            $mul,
            concat!("[r1, #", $first, "]"),
            concat!("[r1, #", $second, "]"),
            concat!("[r3, #", $first, "]"),
            concat!("[r3, #", $second, "]"),
            concat!("[r5, #", $first, "]"),
            concat!("[r5, #", $second, "]")
        )
    };
    () => {
        slice!(
            "vmladava.s8",
            "[r1], #16",
            "[r1], #16",
            "[r3], #16",
            "[r5], #16",
            "[r7], #16",
            "[r9], #16"
        )
    };
}

/// Multiplies sixteen elements of one row with those of four columns, into r0, r2, r4, r6.
macro_rules! row {
    ($mul:literal, $first:literal, $second:literal) => {
        concat!(
            "vldrb.u8 q0, [r1, #",
            $first,
            "]\n",
            "vldrb.u8 q1, [r3, #",
            $first,
            "]\n",
            $mul,
            " r0, q0, q1\n",
            "vldrb.u8 q2, [r3, #",
            $second,
            "]\n",
            $mul,
            " r2, q0, q2\n",
            "vldrb.u8 q1, [r5, #",
            $first,
            "]\n",
            $mul,
            " r4, q0, q1\n",
            "vldrb.u8 q2, [r5, #",
            $second,
            "]\n",
            $mul,
            " r6, q0, q2\n",
        )
    };
}

/// Computes products of a depth of 64, of rows and columns that follow each other. Behind an odd number of rows
/// there is room for the sums of one more.
///
/// # Safety
///
/// All that `product` points at is there: pairs of rows between `x` and `x_end`, and one more if `tail` is not
/// 0, four columns for each of `quads`, which is not 0, and room for their sums. `w_step` is 256.
#[unsafe(naked)]
pub unsafe extern "C" fn multiply_by_64(product: &Product) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4-r11, lr}}",
        "ldr r3, [r0]",            // w
        "ldrd r2, r9, [r0, #16]",  // x, x_end
        "ldrd r7, r11, [r0, #24]", // sums, quads
        "add r5, r3, #128",
        "ldr r0, [r0, #40]", // tail
        "push {{r0, r2}}",
        "1:",
        "ldr r1, [sp, #4]",
        "cmp r1, r9",
        "beq 3f",
        "2:",
        slice!("vmladav.s8", "0", "64"),
        slice!("vmladava.s8", "16", "80"),
        slice!("vmladava.s8", "32", "96"),
        slice!("vmladava.s8", "48", "112"),
        "add r1, #128",
        "stm r7!, {{r0, r2, r4, r6, r8, r10, r12, lr}}",
        "cmp r1, r9",
        "bne 2b",
        "3:",
        "ldr r0, [sp]",
        "cmp r0, #0",
        "beq 4f",
        row!("vmladav.s8", "0", "64"),
        row!("vmladava.s8", "16", "80"),
        row!("vmladava.s8", "32", "96"),
        row!("vmladava.s8", "48", "112"),
        "stm r7, {{r0, r2, r4, r6}}",
        "add r7, #32",
        "4:",
        "add r3, #256",
        "add r5, #256",
        "subs r11, #1",
        "bne 1b",
        "add sp, #8",
        "pop {{r4-r11, pc}}",
    )
}

/// Computes products of any depth. Sixteen elements of a row are followed by those of the other row of its
/// pair; what is left of a row behind its last element is 0.
///
/// # Safety
///
/// All that `product` points at is there: pairs of rows between `x` and `x_end`, four columns for each of
/// `quads`, which is not 0, and room for their sums.
#[unsafe(naked)]
pub unsafe extern "C" fn multiply_by_any(product: &Product) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4-r11, lr}}",
        "sub sp, #84",
        "ldm r0, {{r1-r12}}",
        "stm sp, {{r1-r12}}",
        "orr r10, r11",
        "str r10, [sp, #80]",
        "vmov.i32 q0, #0",
        "add r0, sp, #48",
        "vstrw.32 q0, [r0]",
        "vstrw.32 q0, [r0, #16]",
        "1:",
        "ldr r1, [sp, #16]", // x
        "2:",
        "add r11, sp, #48",
        "ldm r11, {{r0, r2, r4, r6, r8, r10, r12, lr}}", // 0
        "ldrd r3, r5, [sp]",
        "ldrd r7, r9, [sp, #8]",
        "ldr r11, [sp, #32]", // blocks
        "cmp r11, #0",
        "beq 4f",
        "3:",
        slice!(),
        slice!(),
        slice!(),
        slice!(),
        "subs r11, #1",
        "bne 3b",
        "4:",
        "ldr r11, [sp, #80]", // whether anything is left
        "cmp r11, #0",
        "beq 7f",
        "ldr r11, [sp, #36]", // vectors
        "cmp r11, #0",
        "beq 6f",
        "5:",
        slice!(),
        "subs r11, #1",
        "bne 5b",
        "6:",
        "ldr r11, [sp, #40]", // tail
        "cmp r11, #0",
        "beq 7f",
        "vctp.8 r11",
        "vldrb.u8 q0, [r1], #16",
        "vpstt",
        "vldrbt.u8 q1, [r3]",
        "vldrbt.u8 q3, [r5]",
        "vmladava.s8 r0, q0, q1",
        "vldrb.u8 q2, [r1], #16",
        "vmladava.s8 r8, q2, q1",
        "vmladava.s8 r2, q0, q3",
        "vmladava.s8 r10, q2, q3",
        "vpstt",
        "vldrbt.u8 q1, [r7]",
        "vldrbt.u8 q3, [r9]",
        "vmladava.s8 r4, q0, q1",
        "vmladava.s8 r12, q2, q1",
        "vmladava.s8 r6, q0, q3",
        "vmladava.s8 lr, q2, q3",
        "7:",
        "ldr r11, [sp, #24]", // sums
        "stm r11!, {{r0, r2, r4, r6, r8, r10, r12, lr}}",
        "str r11, [sp, #24]",
        "ldr r0, [sp, #20]", // x_end
        "cmp r1, r0",
        "bne 2b",
        "ldrd r3, r5, [sp]",
        "ldrd r7, r9, [sp, #8]",
        "ldr r0, [sp, #44]", // w_step
        "add r3, r0",
        "add r5, r0",
        "add r7, r0",
        "add r9, r0",
        "strd r3, r5, [sp]",
        "strd r7, r9, [sp, #8]",
        "ldr r0, [sp, #28]", // quads
        "subs r0, #1",
        "str r0, [sp, #28]",
        "bne 1b",
        "add sp, #84",
        "pop {{r4-r11, pc}}",
    )
}

/// Says from where to where rows are copied. Assembly reads it: the order of the fields is part of it.
#[repr(C)]
pub struct Copy {
    pub x: *const i8,
    pub stride: usize,
    pub rows: usize,
    /// Counts the elements of a row.
    pub count: usize,
    pub to: *mut i8,
    /// The distance in bytes from the first row to the second, the third to the fourth, and so on.
    pub to_second: usize,
    /// The distance in bytes from the second row to the third, the fourth to the fifth, and so on.
    pub to_third: usize,
    /// The distance in bytes from a vector of a row to the next.
    pub step: usize,
    /// Gets the sum of each row.
    pub sums: *mut i32,
    /// The distance in bytes from the first vector of a row to its last.
    pub last: usize,
}

/// Copies rows, vector by vector; what is left of a row's last vector becomes 0.
///
/// # Safety
///
/// All that `copy` points at is there: `rows` rows, which are not none, of `count` elements, which are not none
/// either, as many vectors in `to` as they fill or begin, and as many sums.
#[unsafe(naked)]
pub unsafe extern "C" fn copy_rows(copy: &Copy) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4-r11, lr}}",
        "ldm r0, {{r1-r9}}",
        "ldr r12, [r0, #36]", // last
        "vmov.i32 q1, #0",
        "1:",
        "add r0, r5, r12",
        "vstrb.8 q1, [r0]",
        "mov r0, #0",
        "mov r10, r5",
        "mov r11, r1",
        "dlstp.8 lr, r4",
        "2:",
        "vldrb.u8 q0, [r11], #16",
        "vaddva.s8 r0, q0",
        "vstrb.8 q0, [r10]",
        "add r10, r8",
        "letp lr, 2b",
        "str r0, [r9], #4",
        "add r1, r2",
        "add r5, r6",
        "mov r0, r6",
        "mov r6, r7",
        "mov r7, r0",
        "subs r3, #1",
        "bne 1b",
        "pop {{r4-r11, pc}}",
    )
}
