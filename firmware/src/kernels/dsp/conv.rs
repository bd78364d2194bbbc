//! The depthwise convolution keeps one channel at two times in a word, so that one instruction multiplies two
//! taps. Pairs of the input begin at even times; outputs of odd times have weights that begin one later.
#![allow(unsafe_code)]

use core::arch::naked_asm;

use super::ops::{ToInt8, even_bytes, odd_bytes};
use crate::kernels::limits::dsp::{TAPS, TIMES};

/// The number of output rows of even times, and of odd times.
const ROWS: usize = TIMES / 2;

/// The number of pairs of rows of the weights.
const TAP_PAIRS: usize = TAPS.div_ceil(2);

/// The place of the first pair of weights for odd times.
pub const LATE: usize = TAP_PAIRS;

/// Holds pairs of consecutive rows of four channels.
pub struct Pairs<const PAIRS: usize>([[u32; PAIRS]; 4]);

/// Holds the input of [`TIMES`] rows of output.
pub type Input = Pairs<{ ROWS + TAP_PAIRS - 1 }>;

/// Holds the weights for even times, then those for odd ones, which have a zero before the first.
pub type Weights = Pairs<{ 2 * TAP_PAIRS }>;

impl<const PAIRS: usize> Pairs<PAIRS> {
    pub const fn new() -> Self {
        Self([[0; PAIRS]; 4])
    }

    /// Takes the first four columns of `rows` rows of `data`, which are `stride` apart, to the pairs from `to` on,
    /// with a zero before the first if `late`, and one behind the last if then a row is left over. Returns `false` if
    /// lengths do not fit.
    #[inline(never)]
    pub fn take(&mut self, data: &[i8], stride: usize, rows: usize, to: usize, late: bool) -> bool {
        let needed = rows
            .saturating_sub(1)
            .saturating_mul(stride)
            .saturating_add(4);
        let early = usize::from(late);
        let slots = rows.saturating_add(early).div_ceil(2);
        if needed > data.len() || rows == 0 || to.saturating_add(slots) > PAIRS {
            return false;
        }
        let mut from = data.as_ptr();
        let mut next = || {
            // SAFETY: it is called for `rows` rows, whose last four bytes end within `data`, as `needed` says.
            let bytes = unsafe { from.cast::<u32>().read_unaligned() };
            from = from.wrapping_add(stride);
            [even_bytes(bytes), odd_bytes(bytes)]
        };
        let mut put = |slot: usize, [a_even, a_odd]: [u32; 2], [b_even, b_odd]: [u32; 2]| {
            let pairs = [
                a_even & 0xffff | b_even << 16,
                a_odd & 0xffff | b_odd << 16,
                a_even >> 16 | b_even & 0xffff_0000,
                a_odd >> 16 | b_odd & 0xffff_0000,
            ];
            for (channel, pair) in self.0.iter_mut().zip(pairs) {
                // SAFETY: there are so many slots, as was checked.
                unsafe { *channel.get_unchecked_mut(to + slot) = pair };
            }
        };
        if late {
            put(0, [0; 2], next());
        }
        let whole = (rows - early) / 2;
        for slot in early..early + whole {
            let first = next();
            put(slot, first, next());
        }
        if early + whole < slots {
            put(slots - 1, next(), [0; 2]);
        }
        true
    }
}

/// Says what becomes of the sums of one channel.
#[repr(C)]
pub struct Channel {
    pub bias: i32,
    pub to: ToInt8,
}

/// Computes [`TIMES`] rows of output of channel `channel` of the four.
pub fn convolve(
    x: &Input,
    w: &Weights,
    channel: usize,
    of: &Channel,
    output: &mut [[i8; 4]; TIMES],
) {
    if let (Some(x), Some(w)) = (x.0.get(channel), w.0.get(channel)) {
        // SAFETY: they are as long as their types say; of each four bytes of output it writes one, and there is
        // that channel.
        unsafe { convolve_pairs(x, w, of, output.as_mut_ptr().cast::<i8>().add(channel)) };
    }
}

/// Adds the products of five pairs in the registers named and the next pair of weights; the last is loaded.
macro_rules! products {
    ($a:literal, $b:literal, $c:literal, $d:literal, $e:literal) => {
        concat!(
            "ldr ",
            $e,
            ", [r0], #4
            ldr lr, [r1], #4
            smlad r4, ",
            $a,
            ", lr, r4
            smlad r5, ",
            $b,
            ", lr, r5
            smlad r6, ",
            $c,
            ", lr, r6
            smlad r7, ",
            $d,
            ", lr, r7
            smlad r8, ",
            $e,
            ", lr, r8\n"
        )
    };
}

/// Computes rows of even times, then those of odd ones, and writes them to each fourth byte of `output`.
///
/// # Safety
///
/// `output` has 4 * [`TIMES`] - 3 bytes.
#[unsafe(naked)]
unsafe extern "C" fn convolve_pairs(
    x: &[u32; ROWS + TAP_PAIRS - 1],
    w: &[u32; 2 * TAP_PAIRS],
    of: &Channel,
    output: *mut i8,
) {
    naked_asm!(
        ".cpu cortex-m4",
        "push {{r4-r11, lr}}",
        "add r12, r1, #32",
        "push {{r2, r12}}",
        "b 2f",
        "1:", // odd times
        "ldr r2, [sp]",
        "sub r0, #48",
        "add r3, #4",
        "2:",
        "ldr r4, [r2]",
        "mov r5, r4",
        "mov r6, r4",
        "mov r7, r4",
        "mov r8, r4",
        "ldm r0!, {{r2, r9, r10, r11}}",
        products!("r2", "r9", "r10", "r11", "r12"),
        products!("r9", "r10", "r11", "r12", "r2"),
        products!("r10", "r11", "r12", "r2", "r9"),
        products!("r11", "r12", "r2", "r9", "r10"),
        products!("r12", "r2", "r9", "r10", "r11"),
        products!("r2", "r9", "r10", "r11", "r12"),
        products!("r9", "r10", "r11", "r12", "r2"),
        products!("r10", "r11", "r12", "r2", "r9"),
        "ldr r2, [sp]",
        "ldr r9, [r2, #4]",
        "ldrd r10, r11, [r2, #8]",
        "smmlar r4, r4, r9, r4",
        "smmlar r5, r5, r9, r5",
        "smmlar r6, r6, r9, r6",
        "smmlar r7, r7, r9, r7",
        "smmlar r8, r8, r9, r8",
        "add r4, r4, r4, asr #31",
        "add r5, r5, r5, asr #31",
        "add r6, r6, r6, asr #31",
        "add r7, r7, r7, asr #31",
        "add r8, r8, r8, asr #31",
        "smmlsr r4, r4, r10, r11",
        "smmlsr r5, r5, r10, r11",
        "smmlsr r6, r6, r10, r11",
        "smmlsr r7, r7, r10, r11",
        "smmlsr r8, r8, r10, r11",
        "ssat r4, #8, r4",
        "ssat r5, #8, r5",
        "ssat r6, #8, r6",
        "ssat r7, #8, r7",
        "ssat r8, #8, r8",
        "strb r4, [r3]",
        "strb r5, [r3, #8]",
        "strb r6, [r3, #16]",
        "strb r7, [r3, #24]",
        "strb r8, [r3, #32]",
        "ldr r12, [sp, #4]", // where the weights of odd times begin
        "cmp r1, r12",
        "beq 1b",
        "add sp, #8",
        "pop {{r4-r11, pc}}",
    )
}
