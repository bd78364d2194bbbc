//! These loops of the matrix product take column after column, with five sums in registers.
#![allow(unsafe_code)]

use core::arch::naked_asm;
use core::ptr;

use crate::kernels::limits::dsp::ROWS;

/// Holds what a product needs, in the places from the stack pointer on where the loops find it.
#[repr(C)]
pub struct Product<S> {
    /// Says how sums become int8, in three words.
    pub scales: S,
    /// Points to the place of row 0 of the first column; with [`Sums`], to that of five sums.
    pub y: *mut i8,
    /// The distance of rows of `y`, in bytes.
    pub y_stride: usize,
    /// The zero point of the output.
    pub zero_point: i32,
    /// Holds what a shift to the right makes the second factor of: `limits::dsp::FACTORS` or
    /// [`FACTORS_OF_ANY`].
    pub factors: u32,
    /// Points behind the last column: of the biases, or of `y`.
    pub end: *const i8,
    /// Points to the pairs of the rows' first word.
    pub pairs: *const [[u32; 2]; ROWS],
    /// The place in [`words`] where a column begins.
    pub entry: usize,
    /// Points behind the pairs of the last word.
    pub pairs_end: *const [[u32; 2]; ROWS],
    /// Continues behind the last word.
    pub finish: Finish,
    /// Holds what the sums of the first column begin with; with one scale, those of each.
    pub init: [i32; ROWS],
}

/// Continues with the sums of a column in r0-r4: stores them, and begins the next.
pub type Finish = unsafe extern "C" fn();

/// Makes factors of any shift: powers of two, which need negative sums one lower.
pub const FACTORS_OF_ANY: u32 = 1 << 31;

/// Has a scale of its own for each column, from the first; `bias` for the second, as `init` has the first.
#[repr(C)]
pub struct Each {
    pub bias: *const i32,
    pub multiplier: *const i32,
    pub shift: *const i8,
}

/// Has one scale for all columns, with bytes between two of them.
#[repr(C)]
pub struct One {
    pub multiplier: i32,
    pub factor: u32,
    pub skip: usize,
}

/// Leaves the sums of one column as they are.
pub type Sums = [u32; 3];

impl<S> Product<S> {
    /// Computes the product with the columns that begin at `other`.
    ///
    /// # Safety
    ///
    /// Columns and pairs have as many words as `entry` was made for, at least one. What `finish` reads and writes
    /// is there for each column until `end`, and there is at least one.
    pub unsafe fn run(&self, other: *const i8) {
        // SAFETY: the caller's.
        unsafe { run(other, ptr::from_ref(self).cast()) };
    }
}

/// Returns where a column of `depth` words begins, so that its last turn ends with its last word.
pub fn entry(depth: usize) -> usize {
    let first_turn = depth.wrapping_sub(1) % TURN + 1;
    let words: unsafe extern "C" fn() = words;
    (words as usize).wrapping_add((TURN - first_turn) * WORD_BYTES)
}

/// The number of words of a column that are multiplied in one turn.
const TURN: usize = 16;
/// The length of the code for one word, in bytes: 15 instructions of 4.
const WORD_BYTES: usize = 60;

/// Copies a [`Product`] to the stack, and begins with its first column.
///
/// # Safety
///
/// The contract of [`Product::run`] holds.
#[unsafe(naked)]
unsafe extern "C" fn run(other: *const i8, product: *const u32) {
    naked_asm!(
        ".cpu cortex-m4",
        "push {{r4-r11, lr}}",
        "mov r5, r0",
        "mov r12, r1",
        "add r1, #32",
        "ldm r1, {{r0, r2, r3, r4, r6, r7, r8, r9, r10}}",
        "push {{r0, r2, r3, r4, r6, r7, r8, r9, r10}}",
        "ldm r12, {{r0, r1, r2, r3, r6, r7, r8, r9}}",
        "push {{r0, r1, r2, r3, r6, r7, r8, r9}}",
        "add r12, sp, #48",
        "ldm r12, {{r0, r1, r2, r3, r4}}",
        "ldr r12, [sp, #32]",
        "ldr pc, [sp, #36]",
    )
}

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

/// Adds the products of one column to r0-r4, and continues at `finish`. It is entered at a word.
#[unsafe(naked)]
unsafe extern "C" fn words() {
    naked_asm!(
        ".cpu cortex-m4",
        "1:",
        ".rept {turn}",
        word!(),
        ".endr",
        "ldr lr, [sp, #40]",
        "cmp r12, lr",
        "bne 1b",
        "ldr pc, [sp, #44]",
        turn = const TURN,
    )
}

/// Multiplies r0-r4 by a [`Multiplier`](super::super::ops::Multiplier).
macro_rules! multiply {
    ($by:literal) => {
        concat!(
            "smmlar r0, r0, ",
            $by,
            ", r0
            smmlar r1, r1, ",
            $by,
            ", r1
            smmlar r2, r2, ",
            $by,
            ", r2
            smmlar r3, r3, ",
            $by,
            ", r3
            smmlar r4, r4, ",
            $by,
            ", r4\n"
        )
    };
}

/// Lowers what is negative of r0-r4 by one.
macro_rules! lower_negatives {
    () => {
        "add r0, r0, r0, asr #31
        add r1, r1, r1, asr #31
        add r2, r2, r2, asr #31
        add r3, r3, r3, asr #31
        add r4, r4, r4, asr #31\n"
    };
}

/// Multiplies r0-r4 by the factor in `$by`, adds the zero point in r11, and stores them from r9 on, in steps of
/// r10. It moves r9 to the next column and overwrites r12.
macro_rules! store {
    ($by:literal) => {
        concat!(
            "smmlar r0, r0, ",
            $by,
            ", r11
            smmlar r1, r1, ",
            $by,
            ", r11
            smmlar r2, r2, ",
            $by,
            ", r11
            smmlar r3, r3, ",
            $by,
            ", r11
            smmlar r4, r4, ",
            $by,
            ", r11
            add r12, r10, r10, lsl #1
            ssat r0, #8, r0
            ssat r1, #8, r1
            ssat r2, #8, r2
            ssat r3, #8, r3
            ssat r4, #8, r4
            strb r3, [r9, r12]
            strb r1, [r9, r10]
            strb r2, [r9, r10, lsl #1]
            strb r4, [r9, r10, lsl #2]
            strb r0, [r9], #1\n"
        )
    };
}

/// Requantizes the sums of a column by its own scale, with `$ties` between the two factors.
macro_rules! each {
    ($ties:expr) => {
        naked_asm!(
            ".cpu cortex-m4",
            "ldm sp, {{r6-r11, lr}}",
            "ldr r12, [r7], #4",
            "lsl r12, #1",
            multiply!("r12"),
            $ties,
            "ldrsb r12, [r8], #1",
            "mvn r12, r12",
            "lsr lr, r12",
            store!("lr"),
            "ldr lr, [sp, #28]",
            "cmp r6, lr",
            "beq 2f",
            "ldr r0, [r6], #4",
            "mov r1, r0",
            "mov r2, r0",
            "mov r3, r0",
            "mov r4, r0",
            "stm sp, {{r6-r9}}",
            "ldr r12, [sp, #32]",
            "ldr pc, [sp, #36]",
            "2:",
            "add sp, #68",
            "pop {{r4-r11, pc}}",
        )
    };
}

/// Requantizes the sums of a column by the scale of all, with `$ties` between the two factors.
macro_rules! one {
    ($ties:expr) => {
        naked_asm!(
            ".cpu cortex-m4",
            "ldm sp, {{r6-r11}}",
            multiply!("r6"),
            $ties,
            store!("r7"),
            "ldr lr, [sp, #28]",
            "add r5, r8",
            "cmp r9, lr",
            "beq 2f",
            "str r9, [sp, #12]",
            "add r12, sp, #48",
            "ldm r12, {{r0, r1, r2, r3, r4}}",
            "ldr r12, [sp, #32]",
            "ldr pc, [sp, #36]",
            "2:",
            "add sp, #68",
            "pop {{r4-r11, pc}}",
        )
    };
}

/// Finishes a column of [`Each`], whose scales `limits::dsp::rounds_by_factor` takes.
#[unsafe(naked)]
pub unsafe extern "C" fn each_by_factor() {
    each!("")
}

/// Finishes a column of [`Each`].
#[unsafe(naked)]
pub unsafe extern "C" fn each_of_any() {
    each!(lower_negatives!())
}

/// Finishes a column of [`One`], whose scale `limits::dsp::rounds_by_factor` takes.
#[unsafe(naked)]
pub unsafe extern "C" fn one_by_factor() {
    one!("")
}

/// Finishes a column of [`One`].
#[unsafe(naked)]
pub unsafe extern "C" fn one_of_any() {
    one!(lower_negatives!())
}

/// Finishes the only column of [`Sums`].
#[unsafe(naked)]
pub unsafe extern "C" fn sums_as_they_are() {
    naked_asm!(
        ".cpu cortex-m4",
        "ldr r9, [sp, #12]",
        "stm r9, {{r0, r1, r2, r3, r4}}",
        "add sp, #68",
        "pop {{r4-r11, pc}}",
    )
}
