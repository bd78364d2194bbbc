//! Ten rows are multiplied two by two: by two columns at a time, which are widened once for all ten.
//!
//! Of each four words that are loaded, two of two rows and two of two columns, come eight products, so that a word of
//! a column costs 12.5 instructions a five rows instead of 15; widening it costs 1.6 more.
#![allow(unsafe_code)]

use core::arch::naked_asm;
use core::mem::MaybeUninit;

use crate::kernels::Channels;
use crate::kernels::limits::dsp::{DEPTH, TENS};

/// The pairs of a word of two rows or columns: even and odd elements of the first, then of the second.
type Two = [u32; 4];

/// Holds ten rows, and two columns, as 16-bit pairs.
pub struct Tens {
    rows: [MaybeUninit<[Two; DEPTH / 4]>; TENS / 2],
    columns: MaybeUninit<[Two; DEPTH / 4]>,
}

/// Holds what a product needs, in the places from the stack pointer on where the loop finds it.
#[repr(C)]
struct Product {
    /// The scales of two columns, and where their next two rows go, are written by the loop.
    multipliers: [i32; 2],
    factors: [u32; 2],
    zero_point: i32,
    y: *mut i8,
    y_stride: usize,
    rows_end: *const Two,
    init: [i32; 2],
    columns: *mut Two,
    /// The distance from the first word of a turn to where a column begins, in bytes; then its address.
    entry: usize,
    columns_end: *const Two,
    bias: *const i32,
    multiplier: *const i32,
    shift: *const i8,
    weights: *const i8,
    next_y: *mut i8,
    bias_end: *const i32,
    rows: *const Two,
    depth: usize,
    /// The number of pairs of words that a column has.
    turns: usize,
}

impl Tens {
    pub const fn new() -> Self {
        Self {
            rows: [const { MaybeUninit::uninit() }; TENS / 2],
            columns: MaybeUninit::uninit(),
        }
    }

    /// Computes what a fully connected layer of `depth` inputs makes of [`TENS`] rows. Nothing is computed unless
    /// `limits::dsp::in_tens` takes it and lengths fit.
    pub fn multiply(
        &mut self,
        x: &[i8],
        depth: usize,
        weights: &[i8],
        channels: Channels<'_>,
        zero_point: i8,
        y: &mut [i8],
    ) {
        let count = channels.bias.len();
        let fits = [x.len(), y.len()] == [TENS * depth, TENS * count]
            && [count, depth] == [count & !1, depth & !7]
            && (8..=DEPTH).contains(&depth)
            && count > 0
            && channels.are_of_one_length()
            && weights.len() == count * depth
            && is_aligned(x)
            && is_aligned(weights);
        if !fits {
            return;
        }
        let (words, turns) = (depth / 4, depth / 8);
        let rows = self.rows.as_mut_ptr().cast::<Two>();
        for (pair, rows_of) in x.chunks_exact(2 * depth.max(1)).enumerate() {
            // SAFETY: there are two rows, and places for them.
            unsafe {
                let to = rows.add(pair * words);
                widen(to, rows_of.as_ptr(), rows_of.as_ptr().add(depth), turns);
            }
        }
        let columns = self.columns.as_mut_ptr().cast::<Two>();
        let bias = channels.bias.as_ptr_range();
        let first_turn = (words - 1) % TURN + 1;
        let product = Product {
            multipliers: [0; 2],
            factors: [0; 2],
            zero_point: zero_point.into(),
            y: y.as_mut_ptr(),
            y_stride: count,
            rows_end: rows.wrapping_add(TENS / 2 * words),
            init: [0; 2],
            columns,
            entry: (TURN - first_turn) * WORD_BYTES,
            columns_end: columns.wrapping_add(words),
            bias: bias.start,
            multiplier: channels.multiplier.as_ptr(),
            shift: channels.shift.as_ptr(),
            weights: weights.as_ptr(),
            next_y: y.as_mut_ptr(),
            bias_end: bias.end,
            rows,
            depth,
            turns,
        };
        // SAFETY: the rows were widened, and lengths fit.
        unsafe { run(&product) };
    }
}

/// Says whether words can be loaded two at a time.
pub fn is_aligned(data: &[i8]) -> bool {
    data.as_ptr().cast::<u32>().is_aligned()
}

/// The number of words that are multiplied in one turn.
const TURN: usize = 16;
/// The length of the code for one word, in bytes: 10 instructions of 4.
const WORD_BYTES: usize = 40;

/// Widens two words of two rows or columns, at r1 and r2, to r0, and counts r3 down.
macro_rules! widen {
    () => {
        "ldrd r5, r9, [r1], #8
        ldrd r7, r11, [r2], #8
        subs r3, #1
        sxtb16 r4, r5
        sxtb16 r5, r5, ror #8
        sxtb16 r6, r7
        sxtb16 r7, r7, ror #8
        sxtb16 r8, r9
        sxtb16 r9, r9, ror #8
        sxtb16 r10, r11
        sxtb16 r11, r11, ror #8
        stm r0!, {{r4-r11}}
        "
    };
}

/// Widens two rows to pairs.
///
/// # Safety
///
/// They are aligned and have `turns` times two words, at least two, and `to` has places for their pairs.
#[unsafe(naked)]
unsafe extern "C" fn widen(to: *mut Two, first: *const i8, second: *const i8, turns: usize) {
    naked_asm!(
        ".cpu cortex-m4",
        "push {{r4-r11, lr}}",
        "1:",
        widen!(),
        "bne 1b",
        "pop {{r4-r11, pc}}",
    )
}

/// Multiplies a word of two rows at r12 by one of two columns at lr, into r0-r3.
macro_rules! word {
    () => {
        "ldm r12!, {{r4-r7}}
        ldm lr!, {{r8-r11}}
        smlad r0, r4, r8, r0
        smlad r0, r5, r9, r0
        smlad r1, r4, r10, r1
        smlad r1, r5, r11, r1
        smlad r2, r6, r8, r2
        smlad r2, r7, r9, r2
        smlad r3, r6, r10, r3
        smlad r3, r7, r11, r3
        "
    };
}

/// Computes a product, two columns at a time.
///
/// # Safety
///
/// Everything is as long as [`Tens::multiply`] checks.
#[unsafe(naked)]
unsafe extern "C" fn run(product: &Product) {
    naked_asm!(
        ".cpu cortex-m4",
        "push {{r4-r11, lr}}",
        "sub sp, #88",
        "mov r1, sp",
        "ldm r0!, {{r2-r12}}",
        "stm r1!, {{r2-r12}}",
        "ldm r0!, {{r2-r12}}",
        "stm r1!, {{r2-r12}}",
        "adr r0, 3f",
        "ldr r1, [sp, #44]",
        "add r0, r1",
        "orr r0, #1", // Thumb
        "str r0, [sp, #44]",
        "1:", // two columns
        "add r0, sp, #52",
        "ldm r0, {{r4-r8}}",
        "ldrd r0, r1, [r4], #8",
        "ldrd r2, r3, [r5], #8",
        "ldrsb r9, [r6], #1",
        "ldrsb r10, [r6], #1",
        "strd r0, r1, [sp, #32]",
        "lsl r2, #1",
        "lsl r3, #1",
        "strd r2, r3, [sp]",
        "mov r11, #0x80000000", // limits::dsp::FACTORS
        "orr r11, #0x800",
        "mvn r9, r9",
        "mvn r10, r10",
        "lsr r9, r11, r9",
        "lsr r10, r11, r10",
        "strd r9, r10, [sp, #8]",
        "str r8, [sp, #20]",
        "add r8, #2",
        "ldr r3, [sp, #80]",
        "mov r1, r7",
        "add r2, r7, r3",
        "add r7, r2, r3",
        "add r0, sp, #52",
        "stm r0, {{r4-r8}}",
        "ldr r0, [sp, #40]",
        "ldr r3, [sp, #84]",
        "2:",
        widen!(),
        "bne 2b",
        "ldr r12, [sp, #76]",
        "4:", // two rows
        "ldrd r0, r1, [sp, #32]",
        "mov r2, r0",
        "mov r3, r1",
        "ldr lr, [sp, #40]",
        "ldr pc, [sp, #44]",
        ".p2align 2",
        "3:",
        ".rept {turn}",
        word!(),
        ".endr",
        "ldr r4, [sp, #48]",
        "cmp lr, r4",
        "bne 3b",
        "ldm sp, {{r4-r11}}",
        "smmlar r0, r0, r4, r0",
        "smmlar r1, r1, r5, r1",
        "smmlar r2, r2, r4, r2",
        "smmlar r3, r3, r5, r3",
        "smmlar r0, r0, r6, r8",
        "smmlar r1, r1, r7, r8",
        "smmlar r2, r2, r6, r8",
        "smmlar r3, r3, r7, r8",
        "ssat r0, #8, r0",
        "ssat r1, #8, r1",
        "ssat r2, #8, r2",
        "ssat r3, #8, r3",
        "bfi r0, r1, #8, #8",
        "bfi r2, r3, #8, #8",
        "strh r0, [r9]",
        "strh r2, [r9, r10]",
        "add r9, r9, r10, lsl #1",
        "str r9, [sp, #20]",
        "cmp r12, r11",
        "bne 4b",
        "ldr r4, [sp, #52]",
        "ldr r5, [sp, #72]",
        "cmp r4, r5",
        "bne 1b",
        "add sp, #88",
        "pop {{r4-r11, pc}}",
        turn = const TURN,
    )
}
