//! Matrix products are computed for five rows at a time, or for ten, two by two columns.
//!
//! Five rows are widened to 16 bits once; each word of the other matrix is widened when it is
//! loaded, for five times two SMLADs. Sums stay in registers until they are int8.
//!
//! 14 registers hold sums, two pointers and what is loaded. An SMLAD is half an instruction a product; the table shows
//! what loads (LDM takes any number of words) and widening add to it, and how often a word of the other matrix is
//! widened: once for each five rows, or once for ten (0.08 a product).
//!
//! | sums | instructions a product | with ten rows |
//! |---|--:|--:|
//! | 5 rows x 1 column, widened when loaded | 0.75 | 0.75 |
//! | 5 x 1, widened before | 0.65 | 0.73 |
//! | 4 x 1 | 0.66 | 0.74 |
//! | 3 x 2 | 0.67 | 0.75 |
//! | 4 x 2 | 0.69 | 0.77 |
//! | 2 x 2 | 0.625 | 0.71 |
#![allow(unsafe_code)]

mod columns;
mod reorder;
mod tens;

use core::mem::MaybeUninit;

use columns::{
    Each, FACTORS_OF_ANY, Finish, One, Product, Sums, each_by_factor, each_of_any, entry,
    one_by_factor, one_of_any, sums_as_they_are,
};
use reorder::widen;

pub use reorder::transpose;
pub use tens::{Tens, is_aligned};

use super::ops::{ToInt8, smlad};
use crate::kernels::limits::dsp::{self as limits, ROWS};
use crate::kernels::{Channels, Output, finish};
use crate::plan::Clamp;

/// Holds a pair of ones in 16 bits each.
const ONES: u32 = 0x0001_0001;

/// Holds [`ROWS`] rows of up to `4 * WORDS` columns as 16-bit pairs: of each four columns of each row the
/// even and the odd ones, as SXTB16 makes them of the other matrix.
pub struct Packed<const WORDS: usize> {
    pairs: [MaybeUninit<[[u32; 2]; ROWS]>; WORDS],
    words: usize,
    rows: usize,
}

impl<const WORDS: usize> Packed<WORDS> {
    pub const DEPTH: usize = 4 * WORDS;

    pub const fn new() -> Self {
        Self {
            pairs: [const { MaybeUninit::uninit() }; WORDS],
            words: 0,
            rows: 0,
        }
    }

    /// Takes `rows` rows (1 to [`ROWS`]) of `depth` columns, `stride` apart in `data`, each element less
    /// `zero_point`. The last row also counts as those that are missing. Returns `false` if lengths do not
    /// fit.
    #[inline(never)]
    pub fn pack(
        &mut self,
        data: &[i8],
        rows: usize,
        stride: usize,
        depth: usize,
        zero_point: i32,
    ) -> bool {
        (self.words, self.rows) = (0, rows);
        let last = rows.wrapping_sub(1);
        if rows == 0 || rows > ROWS || depth > Self::DEPTH || stride > i32::MAX as usize / ROWS {
            return false;
        }
        if last * stride + depth > data.len() {
            return false;
        }
        let plus = zero_point.wrapping_neg() as u32 & 0xffff;
        let plus = plus << 16 | plus;
        let from: [*const i8; ROWS] =
            core::array::from_fn(|row| data.as_ptr().wrapping_add(row.min(last) * stride));
        let whole = depth / 4;
        if whole > 0 {
            // SAFETY: these words lie within `depth` of each row, all of which `data` has, and are at most
            // `WORDS`.
            unsafe { widen(self.pairs.as_mut_ptr().cast(), &from, whole, plus) };
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

    /// Returns the sum of each row, times `factor`.
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

    /// Computes `y[r, c] = requantized(init[r] + sum over k of rows[r, k] * other[c, k])` for `c` in
    /// `0..count`. Rows of `other` are `stride` apart, those of `y` `y_stride`. All four columns of the last
    /// word count. Returns `false` if lengths do not fit.
    #[allow(clippy::too_many_arguments)]
    pub fn to_columns(
        &self,
        other: &[i8],
        stride: usize,
        init: &[i32; ROWS],
        to: Output,
        y: &mut [i8],
        y_stride: usize,
        count: usize,
    ) -> bool {
        if !self.reaches(other, stride, count) {
            return false;
        }
        let fast = ToInt8::of(to).filter(|_| self.rows == ROWS && fits(y, y_stride, count));
        if let Some(fast) = fast {
            let shift = i32::from(to.scale.shift).unsigned_abs();
            let (factors, finish) = if limits::rounds_by_factor(to.scale.shift) {
                (limits::FACTORS, one_by_factor as Finish)
            } else {
                (FACTORS_OF_ANY, one_of_any as Finish)
            };
            let scales = One {
                multiplier: fast.multiplier.0,
                factor: factors.wrapping_shr(shift - 1),
                skip: stride.wrapping_sub(4 * self.words),
            };
            let y = y.as_mut_ptr();
            let product = Product {
                y_stride,
                zero_point: fast.zero_point,
                end: y.wrapping_add(count).cast(),
                ..self.product(scales, *init, y, finish)
            };
            // SAFETY: both matrices reach that far, and so does `y`.
            unsafe { product.run(other.as_ptr()) };
            return true;
        }
        self.each(other, stride, init, count, |c, sums| {
            store(sums, self.rows, y, y_stride, c, |sum| to.quantize(sum));
        });
        true
    }

    /// Computes `y[r, c] = requantized(bias[c] + sum over k of rows[r, k] * other[c, k])` for each channel
    /// `c`, otherwise as [`Self::to_columns`] does; rows of `other` follow each other. `by_factor` is what
    /// `limits::dsp::channels_to_int8` says. Returns `false` if lengths do not fit.
    #[allow(clippy::too_many_arguments)]
    pub fn to_channels(
        &self,
        other: &[i8],
        channels: Channels<'_>,
        by_factor: Option<bool>,
        zero_point: i8,
        clamp: Clamp,
        y: &mut [i8],
        y_stride: usize,
    ) -> bool {
        let count = channels.bias.len();
        let stride = 4 * self.words;
        let (Some(&first), true) = (
            channels.bias.first(),
            channels.are_of_one_length() && self.reaches(other, stride, count),
        ) else {
            return false;
        };
        let fast = by_factor.filter(|_| self.rows == ROWS && fits(y, y_stride, count));
        if let Some(by_factor) = fast {
            let (factors, finish) = if by_factor {
                (limits::FACTORS, each_by_factor as Finish)
            } else {
                (FACTORS_OF_ANY, each_of_any as Finish)
            };
            let bias = channels.bias.as_ptr_range();
            let scales = Each {
                bias: bias.start.wrapping_add(1),
                multiplier: channels.multiplier.as_ptr(),
                shift: channels.shift.as_ptr(),
            };
            let product = Product {
                y_stride,
                zero_point: zero_point.into(),
                factors,
                end: bias.end.cast(),
                ..self.product(scales, [first; ROWS], y.as_mut_ptr(), finish)
            };
            // SAFETY: both matrices reach that far, and so do the channels and `y`.
            unsafe { product.run(other.as_ptr()) };
            return true;
        }
        let mut parameters = channels.iter();
        self.each(other, stride, &[0; ROWS], count, |c, sums| {
            if let Some((bias, scale)) = parameters.next() {
                store(sums, self.rows, y, y_stride, c, |sum| {
                    finish(sum.wrapping_add(bias), scale, zero_point, clamp)
                });
            }
        });
        true
    }

    /// Says whether `other` has `count` rows.
    fn reaches(&self, other: &[i8], stride: usize, count: usize) -> bool {
        let depth = 4 * self.words;
        let before = count
            .checked_sub(1)
            .and_then(|last| last.checked_mul(stride));
        let needed = before.and_then(|before| before.checked_add(depth));
        depth > 0 && stride >= depth && needed.is_some_and(|needed| needed <= other.len())
    }

    /// Returns a product of the rows that are held, which has no columns yet.
    fn product<S>(&self, scales: S, init: [i32; ROWS], y: *mut i8, finish: Finish) -> Product<S> {
        let pairs = self.pairs.as_ptr().cast::<[[u32; 2]; ROWS]>();
        Product {
            scales,
            y,
            y_stride: 0,
            zero_point: 0,
            factors: 0,
            end: core::ptr::null(),
            pairs,
            entry: entry(self.words),
            pairs_end: pairs.wrapping_add(self.words),
            finish,
            init,
        }
    }

    /// Calls `with` for each column with its sums. The lengths are those that [`Self::reaches`] found to fit.
    fn each(
        &self,
        other: &[i8],
        stride: usize,
        init: &[i32; ROWS],
        count: usize,
        mut with: impl FnMut(usize, &[i32; ROWS]),
    ) {
        for c in 0..count {
            let mut sums = [0; ROWS];
            let Some(other) = other.get(c * stride..) else {
                return;
            };
            let to = sums.as_mut_ptr().cast();
            let product: Product<Sums> = self.product([0; 3], *init, to, sums_as_they_are);
            // SAFETY: the column is as long as the caller found, and there are as many sums.
            unsafe { product.run(other.as_ptr()) };
            with(c, &sums);
        }
    }
}

/// Says whether `y` has [`ROWS`] rows of `count` columns, `stride` apart.
fn fits(y: &[i8], stride: usize, count: usize) -> bool {
    (ROWS - 1).saturating_mul(stride).saturating_add(count) <= y.len()
}

/// Stores the sums of one column, of which the first `rows` count.
fn store(
    sums: &[i32; ROWS],
    rows: usize,
    y: &mut [i8],
    stride: usize,
    column: usize,
    of: impl Fn(i32) -> i8,
) {
    for (row, &sum) in sums.iter().enumerate().take(rows) {
        if let Some(y) = y.get_mut(row * stride + column) {
            *y = of(sum);
        }
    }
}
