//! The instructions that Rust has no stable function for, and what is built of them.
#![allow(unsafe_code)]

use core::arch::{asm, naked_asm};
use core::mem::MaybeUninit;
use core::slice;

use crate::kernels::{Output, finish};
use crate::plan::{Clamp, Requantize};

/// `accumulator + a * b / 2^32`, to nearest, ties up.
#[inline(always)]
pub fn smmlar(a: i32, b: i32, accumulator: i32) -> i32 {
    let result;
    // SAFETY: computes on registers alone.
    unsafe {
        asm!("smmlar {}, {}, {}, {}", lateout(reg) result, in(reg) a, in(reg) b, in(reg) accumulator,
            options(pure, nomem, nostack, preserves_flags));
    }
    result
}

/// Half of `value`, rounded down, saturated to int8.
#[inline(always)]
fn ssat8_of_half(value: i32) -> i32 {
    let result;
    // SAFETY: computes on registers alone; the sticky flag Q that it may set, nothing reads.
    unsafe {
        asm!("ssat {}, #8, {}, asr #1", lateout(reg) result, in(reg) value,
            options(pure, nomem, nostack, preserves_flags));
    }
    result
}

/// Bytes 0 and 2 of `bytes` in halves, each with the half of `to` added.
#[inline(always)]
fn even_bytes_plus(to: u32, bytes: u32) -> u32 {
    let result;
    // SAFETY: computes on registers alone.
    unsafe {
        asm!("sxtab16 {}, {}, {}", lateout(reg) result, in(reg) to, in(reg) bytes,
            options(pure, nomem, nostack, preserves_flags));
    }
    result
}

/// As [`even_bytes_plus`], bytes 1 and 3.
#[inline(always)]
fn odd_bytes_plus(to: u32, bytes: u32) -> u32 {
    let result;
    // SAFETY: computes on registers alone.
    unsafe {
        asm!("sxtab16 {}, {}, {}, ror #8", lateout(reg) result, in(reg) to, in(reg) bytes,
            options(pure, nomem, nostack, preserves_flags));
    }
    result
}

/// `accumulator` and the products of the 16-bit halves of `a` and `b`.
#[inline(always)]
fn smlad(a: u32, b: u32, accumulator: i32) -> i32 {
    let result;
    // SAFETY: computes on registers alone; the sticky flag Q that it may set, nothing reads.
    unsafe {
        asm!("smlad {}, {}, {}, {}", lateout(reg) result, in(reg) a, in(reg) b, in(reg) accumulator,
            options(pure, nomem, nostack, preserves_flags));
    }
    result
}

/// A multiplier of `[2^30, 2^31)`, doubled less 2^32, so that SMMLAR is TFLite's doubling high
/// multiplication.
#[derive(Clone, Copy)]
pub struct Multiplier(i32);

impl Multiplier {
    #[inline(always)]
    pub fn new(multiplier: i32) -> Option<Self> {
        (multiplier >= 1 << 30).then_some(Self(multiplier << 1))
    }

    /// `saturating_rounding_doubling_high_mul(value, multiplier)`.
    #[inline(always)]
    pub fn apply(self, value: i32) -> i32 {
        smmlar(value, self.0, value)
    }
}

/// Requantization to int8 in five instructions: of scales that shift right by 2 or more, to all of
/// int8.
#[derive(Clone, Copy)]
pub struct ToInt8 {
    multiplier: Multiplier,
    /// The right shift but for its last bit.
    shift: u32,
    /// One for rounding, and twice the zero point.
    add: i32,
}

impl ToInt8 {
    #[inline(always)]
    pub fn new(scale: Requantize, zero_point: i8, clamp: Clamp) -> Option<Self> {
        let multiplier = Multiplier::new(scale.multiplier)?;
        let fits =
            (-31..=-2).contains(&scale.shift) && clamp.min == i8::MIN && clamp.max == i8::MAX;
        fits.then_some(Self {
            multiplier,
            shift: (-1 - i32::from(scale.shift)) as u32,
            add: 1 + 2 * i32::from(zero_point),
        })
    }

    pub fn of(to: Output) -> Option<Self> {
        Self::new(to.scale, to.zero_point, to.clamp)
    }

    /// `finish`.
    #[inline(always)]
    pub fn apply(self, sum: i32) -> i8 {
        let scaled = self.multiplier.apply(sum);
        // Not MIN: 2 a b / 2^32 is above it.
        let scaled = scaled.wrapping_add(scaled >> 31);
        ssat8_of_half(scaled.wrapping_shr(self.shift).wrapping_add(self.add)) as i8
    }
}

/// Stores the sums of [`ROWS`] rows of one column, of which `rows` count, into rows of `y` that
/// are `stride` apart, `column` columns from their beginning.
#[inline(always)]
fn store(
    sums: &[i32; ROWS],
    rows: usize,
    y: &mut [i8],
    stride: usize,
    column: usize,
    of: impl Fn(i32) -> i8,
) {
    if rows == ROWS && (ROWS - 1) * stride + column < y.len() {
        for (row, &sum) in sums.iter().enumerate() {
            // SAFETY: the last of these places was checked just now.
            unsafe { *y.get_unchecked_mut(row * stride + column) = of(sum) };
        }
    } else {
        for (row, &sum) in sums.iter().enumerate().take(rows) {
            if let Some(y) = y.get_mut(row * stride + column) {
                *y = of(sum);
            }
        }
    }
}

/// Requantizes columns of sums of one scale.
pub fn store_columns(sums: &[[i32; ROWS]], rows: usize, to: Output, y: &mut [i8], stride: usize) {
    if let Some(fast) = ToInt8::of(to) {
        for (column, sums) in sums.iter().enumerate() {
            store(sums, rows, y, stride, column, |sum| fast.apply(sum));
        }
    } else {
        for (column, sums) in sums.iter().enumerate() {
            store(sums, rows, y, stride, column, |sum| to.quantize(sum));
        }
    }
}

/// Requantizes columns of sums of a bias and a scale each.
pub fn store_channels(
    sums: &[[i32; ROWS]],
    rows: usize,
    channels: impl Iterator<Item = (i32, Requantize)>,
    zero_point: i8,
    clamp: Clamp,
    y: &mut [i8],
    stride: usize,
) {
    for ((column, sums), (bias, scale)) in sums.iter().enumerate().zip(channels) {
        if let Some(fast) = ToInt8::new(scale, zero_point, clamp) {
            store(sums, rows, y, stride, column, |sum| {
                fast.apply(sum.wrapping_add(bias))
            });
        } else {
            store(sums, rows, y, stride, column, |sum| {
                finish(sum.wrapping_add(bias), scale, zero_point, clamp)
            });
        }
    }
}

/// Columns of which the sums are kept at a time.
pub const SUMS: usize = 64;

/// Rows that are multiplied side by side, as many as there are registers to sum in.
pub const ROWS: usize = 5;

/// A pair of ones.
const ONES: u32 = 0x0001_0001;

/// [`ROWS`] rows of up to `4 * WORDS` columns as 16-bit pairs: of each four columns of each row the
/// even and the odd ones, as SXTB16 makes them of the other matrix.
pub struct Packed<const WORDS: usize> {
    pairs: [MaybeUninit<[[u32; 2]; ROWS]>; WORDS],
    words: usize,
}

impl<const WORDS: usize> Packed<WORDS> {
    pub const DEPTH: usize = 4 * WORDS;

    pub const fn new() -> Self {
        Self {
            pairs: [const { MaybeUninit::uninit() }; WORDS],
            words: 0,
        }
    }

    /// Takes rows of `depth` columns, `stride` apart in `data`, each element less `zero_point`;
    /// at least 1 row, of which the last also counts as those that are missing. `false` where
    /// lengths do not fit.
    #[inline(never)]
    pub fn pack(
        &mut self,
        data: &[i8],
        rows: usize,
        stride: usize,
        depth: usize,
        zero_point: i32,
    ) -> bool {
        self.words = 0;
        let last = rows.wrapping_sub(1);
        if rows == 0 || rows > ROWS || depth > Self::DEPTH || stride > i32::MAX as usize / ROWS {
            return false;
        }
        if last * stride + depth > data.len() {
            return false;
        }
        let minus = zero_point.wrapping_neg() as u32 & 0xffff;
        let minus = minus << 16 | minus;
        let from: [*const i8; ROWS] =
            core::array::from_fn(|row| data.as_ptr().wrapping_add(row.min(last) * stride));
        let whole = depth / 4;
        for (word, pairs) in self.pairs.iter_mut().take(whole).enumerate() {
            pairs.write(from.map(|from| {
                // SAFETY: these four bytes lie within `depth` of a row, all of which `data` has.
                let bytes = unsafe { from.cast::<u32>().wrapping_add(word).read_unaligned() };
                [even_bytes_plus(minus, bytes), odd_bytes_plus(minus, bytes)]
            }));
        }
        self.words = whole;
        let tail = depth % 4;
        if tail > 0
            && let Some(pairs) = self.pairs.get_mut(whole)
        {
            pairs.write(from.map(|from| {
                let mut halves = [0; 4];
                for (column, half) in halves.iter_mut().enumerate().take(tail) {
                    // SAFETY: as above.
                    let element = unsafe { from.wrapping_add(4 * whole + column).read() };
                    *half = i32::from(element).wrapping_sub(zero_point) as u32 & 0xffff;
                }
                let [a, b, c, d] = halves;
                [a | c << 16, b | d << 16]
            }));
            self.words += 1;
        }
        true
    }

    /// Sum of each row, times `factor`.
    pub fn row_sums(&self, factor: i32) -> [i32; ROWS] {
        let mut sums = [0; ROWS];
        for pairs in self.pairs.iter().take(self.words) {
            // SAFETY: the first `words` were written.
            let pairs = unsafe { pairs.assume_init_ref() };
            for (sum, [even, odd]) in sums.iter_mut().zip(pairs) {
                *sum = smlad(*even, ONES, smlad(*odd, ONES, *sum));
            }
        }
        sums.map(|sum| sum.wrapping_mul(factor))
    }

    /// `sums[c][r] = init[r] + sum over k of rows[r][k] * other[c * stride + k]`, for as many `c`
    /// as `sums` has. All four columns of the last word count. None where lengths do not fit.
    #[inline]
    pub fn multiply<'s>(
        &self,
        other: &[i8],
        stride: usize,
        init: &[i32; ROWS],
        sums: &'s mut [MaybeUninit<[i32; ROWS]>],
    ) -> Option<&'s [[i32; ROWS]]> {
        let count = sums.len();
        let needed = count.checked_sub(1)?.checked_mul(stride)?;
        if needed.checked_add(4 * self.words)? > other.len() || stride < 4 * self.words {
            return None;
        }
        // SAFETY: `other` has `4 * words` bytes at each of `count` strides, `pairs` has `words`
        // that were written, and `sums` has `count`. All are then written.
        unsafe {
            multiply(
                other.as_ptr(),
                init,
                sums.as_mut_ptr().cast(),
                self.pairs.as_ptr().cast(),
                self.words / 4,
                self.words % 4,
                stride - 4 * self.words,
                count,
            );
            Some(slice::from_raw_parts(sums.as_ptr().cast(), count))
        }
    }
}

/// Multiplies four columns: a word at r5 by the pairs at r12 into r0-r4.
macro_rules! word {
    () => {
        "ldr r10, [r5], #4
        sxtb16 r11, r10, ror #8
        sxtb16 r10, r10
        ldm r12!, {{r6, r7, r8, r9}}
        smlad r0, r10, r6, r0
        smlad r0, r11, r7, r0
        smlad r1, r10, r8, r1
        smlad r1, r11, r9, r1
        ldm r12!, {{r6, r7, r8, r9}}
        smlad r2, r10, r6, r2
        smlad r2, r11, r7, r2
        smlad r3, r10, r8, r3
        smlad r3, r11, r9, r3
        ldm r12!, {{r6, r7}}
        smlad r4, r10, r6, r4
        smlad r4, r11, r7, r4"
    };
}

/// As [`Packed::multiply`]: `fours` of words, then `words`, then `skip` bytes to the next of
/// `count` rows of `other`.
///
/// # Safety
///
/// `other`, `pairs` and `sums` have all that.
#[unsafe(naked)]
unsafe extern "C" fn multiply(
    other: *const i8,
    init: &[i32; ROWS],
    sums: *mut [i32; ROWS],
    pairs: *const [[u32; 2]; ROWS],
    fours: usize,
    words: usize,
    skip: usize,
    count: usize,
) {
    // On the stack after the pushes: 0 init, 4 sums, 8 pairs, 12-44 registers, 48 fours, 52 words, 56 skip, 60 count.
    naked_asm!(
        "push {{r4-r11, lr}}",
        "push {{r1, r2, r3}}",
        "mov r5, r0",
        "1:",
        "ldr r11, [sp]",
        "ldr r12, [sp, #8]",
        "ldr lr, [sp, #48]",
        "ldm r11, {{r0, r1, r2, r3, r4}}",
        "cmp lr, #0",
        "beq 3f",
        "2:",
        word!(),
        word!(),
        word!(),
        word!(),
        "subs lr, #1",
        "bne 2b",
        "3:",
        "ldr lr, [sp, #52]",
        "cmp lr, #0",
        "bne 5f",
        "4:",
        "ldr r10, [sp, #4]",
        "ldrd r11, r12, [sp, #56]",
        "stm r10!, {{r0, r1, r2, r3, r4}}",
        "str r10, [sp, #4]",
        "add r5, r11",
        "subs r12, #1",
        "str r12, [sp, #60]",
        "bne 1b",
        "add sp, #12",
        "pop {{r4-r11, pc}}",
        "5:",
        word!(),
        "subs lr, #1",
        "bne 5b",
        "b 4b",
    )
}
