//! Matrix products are computed for five rows at a time.
//!
//! The five rows are widened to 16 bits once; each word of the other matrix is widened when it is
//! loaded, for five times two SMLADs. Sums stay in registers until they are int8.
#![allow(unsafe_code)]

mod columns;

use core::mem::MaybeUninit;

use columns::{sum, to_channels, to_columns};

use super::ops::{ToInt8, even_bytes_plus, odd_bytes_plus, smlad};
use crate::kernels::limits::dsp::ROWS;
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
        if let Some(ToInt8 {
            multiplier,
            shift,
            add,
        }) = fast
        {
            let [pairs, fours_end, end] = self.range();
            let skip = stride.wrapping_sub(4 * self.words);
            // SAFETY: both matrices reach that far, and so does `y`.
            unsafe {
                to_columns(
                    other.as_ptr(),
                    init,
                    y.as_mut_ptr(),
                    pairs,
                    fours_end,
                    end,
                    skip,
                    count,
                    y_stride,
                    add,
                    multiplier.0,
                    shift,
                );
            }
            return true;
        }
        self.each(other, stride, init, count, |c, sums| {
            store(sums, self.rows, y, y_stride, c, |sum| to.quantize(sum));
        });
        true
    }

    /// Computes `y[r, c] = requantized(bias[c] + sum over k of rows[r, k] * other[c, k])` for each channel
    /// `c`, otherwise as [`Self::to_columns`] does. `fast` is what `limits::dsp::channels_to_int8` says. Returns `false` if
    /// lengths do not fit.
    #[allow(clippy::too_many_arguments)]
    pub fn to_channels(
        &self,
        other: &[i8],
        stride: usize,
        channels: Channels<'_>,
        fast: bool,
        zero_point: i8,
        clamp: Clamp,
        y: &mut [i8],
        y_stride: usize,
    ) -> bool {
        let count = channels.bias.len();
        let equal = [channels.multiplier.len(), channels.shift.len()] == [count; 2];
        if !equal || !self.reaches(other, stride, count) {
            return false;
        }
        if fast && self.rows == ROWS && fits(y, y_stride, count) {
            let [pairs, fours_end, end] = self.range();
            let skip = stride.wrapping_sub(4 * self.words);
            // SAFETY: both matrices reach that far, and so do the channels and `y`.
            unsafe {
                to_channels(
                    other.as_ptr(),
                    channels.bias.as_ptr(),
                    0,
                    pairs,
                    fours_end,
                    end,
                    skip,
                    1 + 2 * i32::from(zero_point),
                    count,
                    y.as_mut_ptr(),
                    y_stride,
                    channels.multiplier.as_ptr(),
                    channels.shift.as_ptr(),
                );
            }
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

    /// Returns where the pairs begin, where the last whole group of four words of them ends, and where they
    /// end.
    fn range(&self) -> [*const [[u32; 2]; ROWS]; 3] {
        let pairs = self.pairs.as_ptr().cast::<[[u32; 2]; ROWS]>();
        [0, self.words & !3, self.words].map(|words| pairs.wrapping_add(words))
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
        let [pairs, fours_end, end] = self.range();
        for c in 0..count {
            let mut sums = *init;
            let Some(other) = other.get(c * stride..) else {
                return;
            };
            // SAFETY: as the caller found.
            unsafe {
                sum(
                    other.as_ptr(),
                    &mut sums,
                    core::ptr::null(),
                    pairs,
                    fours_end,
                    end,
                )
            };
            with(c, &sums);
        }
    }
}

/// Writes the first `cols` columns (a multiple of 4) of `rows` rows of `data`, `stride` apart, as rows of
/// whole words to `to`. Zeros stand for what is missing in their last words. Returns `false` if lengths do
/// not fit.
pub fn transpose(data: &[i8], stride: usize, rows: usize, cols: usize, to: &mut [u32]) -> bool {
    const EVEN: u32 = 0x00ff_00ff;
    let words = rows.div_ceil(4);
    let last = rows.saturating_sub(1).saturating_mul(stride);
    if last.saturating_add(cols) > data.len() || cols.saturating_mul(words) > to.len() {
        return false;
    }
    for word in 0..words {
        let here = |row: usize| 4 * word + row < rows;
        let row = |row: usize| data.as_ptr().wrapping_add((4 * word + row) * stride);
        let (rows, present) = (
            [row(0), row(1), row(2), row(3)],
            [here(1), here(2), here(3)],
        );
        for col in (0..cols & !3).step_by(4) {
            // SAFETY: these four columns of a row that is here lie within `data`.
            let read =
                |row: usize| unsafe { rows[row].wrapping_add(col).cast::<u32>().read_unaligned() };
            let (a, b) = (read(0), if present[0] { read(1) } else { 0 });
            let c = if present[1] { read(2) } else { 0 };
            let d = if present[2] { read(3) } else { 0 };
            // Bytes 0 and 2, 1 and 3 of two rows, then of four.
            let (ab, cd) = (a & EVEN | (b & EVEN) << 8, c & EVEN | (d & EVEN) << 8);
            let (ab_odd, cd_odd) = (a >> 8 & EVEN | b & !EVEN, c >> 8 & EVEN | d & !EVEN);
            let quads = [
                ab & 0xffff | cd << 16,
                ab_odd & 0xffff | cd_odd << 16,
                ab >> 16 | cd & 0xffff_0000,
                ab_odd >> 16 | cd_odd & 0xffff_0000,
            ];
            for (i, quad) in quads.into_iter().enumerate() {
                // SAFETY: `to` has `cols` rows of `words`.
                unsafe { *to.get_unchecked_mut((col + i) * words + word) = quad };
            }
        }
    }
    true
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
