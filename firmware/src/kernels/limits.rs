//! The fast kernels have limits: the blocks into which they cut their work, and the shapes and scales that
//! they take. All else they leave to [`plain`](super::plain).
//!
//! This module is compiled for every target, so that the kernels and the simulator's costs read the same
//! limits.

use super::{Channels, MAX_SOFTMAX_COLS};
use crate::plan::{Clamp, Requantize};

/// The number of points of the front end's Fourier transform, which is the longest window in samples.
pub const FFT: usize = 512;
/// The number of bins that the front end's spectrum has, DC and Nyquist included.
pub const BINS: usize = FFT / 2 + 1;

/// The factor 1/2, which TFLite's ADD gives to the operand of the larger scale. It is a shift.
pub const HALF: Requantize = Requantize {
    multiplier: 1 << 30,
    shift: 0,
};

/// Says whether a softmax of rows of `cols` scores is taken, of which the first `absent` are not there.
#[inline(always)]
pub fn softmax(cols: usize, absent: usize, diff_min: i32) -> bool {
    cols <= MAX_SOFTMAX_COLS.into() && absent < cols && diff_min <= 0
}

/// The kernels for Arm's DSP extension have these limits.
pub mod dsp {
    use super::{Channels, Clamp, Requantize};

    /// The number of rows that are multiplied side by side, as many as there are registers to sum in.
    pub const ROWS: usize = 5;
    /// The number of rows that are multiplied two by two.
    pub const TENS: usize = 10;
    /// The most inputs of a fully connected layer: five or ten packed rows have so many columns.
    pub const DEPTH: usize = 256;
    /// The most columns of one head of a query.
    pub const HEAD: usize = 64;
    /// The most 32-bit words that the values of one head take, transposed.
    pub const VALUE_WORDS: usize = 512;
    /// The most 32-bit words that a row of probabilities takes.
    pub const PROB_WORDS: usize = 32;
    /// The number of rows of a convolution that are computed at a time.
    pub const TIMES: usize = 10;
    /// The most taps that a convolution may have: eight pairs hold them, and a zero before the first or behind the
    /// last.
    pub const TAPS: usize = 15;
    /// The number of elements from which on a table of all 256 values of an operand takes less than it saves.
    pub const TABLE_FROM: usize = 1024;

    /// Says whether a fully connected layer of so many inputs is taken.
    #[inline(always)]
    pub fn fully_connected(depth: usize) -> bool {
        depth.is_multiple_of(4) && depth <= DEPTH
    }

    /// Returns how many of `rows` rows are multiplied by ten at a time, in a fully connected layer of `depth` inputs
    /// and `count` outputs for which [`channels_to_int8`] says `by_factor`. Words must be aligned, too.
    #[inline(always)]
    pub fn in_tens(rows: usize, depth: usize, count: usize, by_factor: Option<bool>) -> usize {
        if by_factor == Some(true) && depth.is_multiple_of(8) && count.is_multiple_of(2) {
            rows / TENS * TENS
        } else {
            0
        }
    }

    /// Says whether a convolution of so many channels and taps is taken.
    #[inline(always)]
    pub fn depthwise_conv(cols: usize, taps: usize) -> bool {
        cols.is_multiple_of(4) && (1..=TAPS).contains(&taps)
    }

    /// Says whether scores of heads of `size` columns are taken.
    #[inline(always)]
    pub fn scores(size: usize) -> bool {
        size.is_multiple_of(4) && size <= HEAD
    }

    /// Says whether the context of heads of `size` columns over `present` keys is taken.
    #[inline(always)]
    pub fn context(size: usize, present: usize) -> bool {
        let words = present.div_ceil(4);
        size.is_multiple_of(4) && (1..=PROB_WORDS).contains(&words) && size * words <= VALUE_WORDS
    }

    /// Says whether an addition is taken whose one operand has the factor 1/2 and whose other has `other`.
    #[inline(always)]
    pub fn add(other: Requantize, to: Requantize, clamp: Clamp) -> bool {
        to_int8(to, clamp) && multiplier(other.multiplier) && (-31..=0).contains(&other.shift)
    }

    /// Says whether a multiplier is in `[2^30, 2^31)`.
    #[inline(always)]
    pub fn multiplier(multiplier: i32) -> bool {
        multiplier >= 1 << 30
    }

    /// Says whether sums are requantized in four or five instructions: scales shift right by 2 or more, and clamps
    /// allow all of int8.
    #[inline(always)]
    pub fn to_int8(scale: Requantize, clamp: Clamp) -> bool {
        multiplier(scale.multiplier)
            && (-31..=-2).contains(&scale.shift)
            && clamp.min == i8::MIN
            && clamp.max == i8::MAX
    }

    /// Makes, shifted to the right by one bit less than a sum is to be, the factor by which a rounded multiplication
    /// that keeps the high word does that: `2^(32 - bits)`, and the 2^20th part of it more, which takes ties away from
    /// zero and, where the result fits int8, changes nothing else.
    pub const FACTORS: u32 = 1 << 31 | 1 << 11;

    /// Says whether [`FACTORS`] has a factor for a shift (negative: to the right), so that rounding takes no
    /// instruction of its own.
    #[inline(always)]
    pub fn rounds_by_factor(shift: i8) -> bool {
        (-12..=-2).contains(&shift)
    }

    /// Says whether [`rounds_by_factor`] holds for all channels, or `None` unless [`to_int8`] does.
    #[inline]
    pub fn channels_to_int8(channels: Channels<'_>, clamp: Clamp) -> Option<bool> {
        // 2^30..2^31: the second highest bit is set and the highest is not.
        let multipliers = channels.multiplier.iter();
        let multipliers =
            multipliers.fold(!0, |all, &multiplier| all & (multiplier as u32 ^ 1 << 31));
        // Of four shifts a word: is one less than the bits of each within 1..=30, and is it within 1..=11?
        let outside = |[any, far]: [u32; 2], shifts: &[i8; 4]| {
            let less = !u32::from_ne_bytes(shifts.map(|shift| shift as u8));
            let beyond = less.wrapping_add(0x0101_0101) | less.wrapping_sub(0x0101_0101);
            [any | beyond, far | less.wrapping_add(0x1414_1414)]
        };
        let (words, rest) = channels.shift.as_chunks::<4>();
        let mut last = [-2; 4];
        for (slot, &shift) in last.iter_mut().zip(rest) {
            *slot = shift;
        }
        let [any, far] = outside(words.iter().fold([0; 2], outside), &last);
        let all = multipliers >> 30 == 3
            && any & 0xe0e0_e0e0 == 0
            && clamp.min == i8::MIN
            && clamp.max == i8::MAX;
        all.then_some(far & 0x2020_2020 == 0)
    }
}

/// The kernels for processors of PCs have these limits, besides vectors that must be filled.
pub mod simd {
    /// The most elements of one sum of products.
    pub const DEPTH: usize = 1024;
    /// The most elements that are prepared at a time to be multiplied.
    pub const PREPARED: usize = 8192;
    /// The most rows that are multiplied at a time.
    pub const ROWS: usize = 64;
    /// The most keys, present or absent; a softmax has no more either.
    pub const KEYS: usize = 512;

    /// Says whether sums of so many products are taken.
    #[inline(always)]
    pub fn depth(depth: usize) -> bool {
        depth.is_multiple_of(8) && (8..=DEPTH).contains(&depth)
    }
}

/// The kernels for Helium have these limits.
pub mod mve {
    use super::{Clamp, HALF, Requantize};

    /// The most rows of sums that are kept at a time.
    pub const ROWS: usize = 10;
    /// The most columns of sums that are kept at a time.
    pub const COLS: usize = 64;
    /// The most channels of a convolution, or columns of a head, whose rows are transposed at a time.
    pub const TRANSPOSED: usize = 32;
    /// The number of columns that are multiplied side by side.
    pub const QUAD: usize = 4;
    /// The most bytes that rows take while they are multiplied.
    pub const PACKED: usize = 2560;
    /// The most elements that lie between two rows of the output of a product.
    pub const STRIDE: usize = 32_768;
    /// The most taps that a convolution may have; they are one vector.
    pub const TAPS: usize = 16;
    /// The most bytes that the values of one head take, transposed.
    pub const VALUES: usize = 2048;

    /// Names a loop over the depth of a product, which multiplies two rows by four.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Loop {
        /// The depth is 64, and columns follow each other: it is unrolled.
        Whole,
        /// The depth or the distance of columns is any other: rows are copied, and 64 elements are a turn,
        /// then 16.
        Any,
    }

    impl Loop {
        /// Returns the loop over rows of `depth` elements, by columns that are `stride` apart.
        #[inline(always)]
        pub fn of(depth: usize, stride: usize) -> Self {
            if [depth, stride] == [64; 2] {
                Self::Whole
            } else {
                Self::Any
            }
        }
    }

    /// Returns the most rows of `depth` elements that are multiplied at a time: an even number.
    #[inline(always)]
    pub fn rows(depth: usize) -> usize {
        (PACKED / 2 / depth.next_multiple_of(16).max(1) * 2).min(ROWS)
    }

    /// Returns the blocks into which `cols` columns are cut, by the first and the number of each. The last
    /// block computes columns again if they do not come by [`QUAD`].
    #[inline]
    pub fn column_blocks(cols: usize) -> impl Iterator<Item = (usize, usize)> + Clone {
        let whole = cols / QUAD * QUAD;
        let blocks = (0..whole)
            .step_by(COLS)
            .map(move |from| (from, (whole - from).min(COLS)));
        let last = cols.checked_sub(QUAD).filter(|_| whole < cols);
        blocks.chain(last.map(|from| (from, QUAD)))
    }

    /// Says whether products of `cols` columns of `depth` elements are taken, whose output has rows of `stride`.
    #[inline(always)]
    pub fn product(cols: usize, depth: usize, stride: usize) -> bool {
        cols >= QUAD && stride <= STRIDE && depth > 0 && rows(depth) > 0
    }

    /// Says whether a scale that all columns have is taken.
    #[inline(always)]
    pub fn one_scale(scale: Requantize) -> bool {
        shifts_right(scale) && scale.multiplier >= 0
    }

    /// Says whether a scale shifts right by 1..=31, as all that products are requantized with must.
    #[inline(always)]
    pub fn shifts_right(scale: Requantize) -> bool {
        (-31..=-1).contains(&scale.shift)
    }

    /// Says whether [`shifts_right`] holds for the shifts of all channels.
    #[inline]
    pub fn channels_shift_right(shifts: &[i8]) -> bool {
        let (min, max) = shifts
            .iter()
            .fold((0, i8::MIN), |(min, max), &s| (s.min(min), s.max(max)));
        min >= -31 && max <= -1
    }

    /// Says whether a convolution of so many channels and taps is taken.
    #[inline(always)]
    pub fn depthwise_conv(cols: usize, taps: usize) -> bool {
        cols.is_multiple_of(8) && cols <= STRIDE && (1..=TAPS).contains(&taps)
    }

    /// Says whether scores of heads of `size` columns, of which four keys are taken, stay in registers.
    #[inline(always)]
    pub fn scores_of_16(size: usize, scale: Requantize, clamp: Clamp) -> bool {
        let full = [clamp.min, clamp.max] == [i8::MIN, i8::MAX];
        size == 16 && one_scale(scale) && full
    }

    /// Says whether the context of heads of `size` columns, of `cols` in all, over `present` keys is taken.
    #[inline(always)]
    pub fn context(size: usize, cols: usize, present: usize) -> bool {
        size.is_multiple_of(8)
            && (8..=TRANSPOSED).contains(&size)
            && (1..=VALUES).contains(&(present * size))
            && product(size, present, cols)
    }

    /// Says whether an addition is taken whose one operand has the factor 1/2 and whose other has `other`.
    #[inline(always)]
    pub fn add(other: Requantize, to: Requantize) -> bool {
        (other == HALF || one_scale(other)) && one_scale(to)
    }
}

#[cfg(test)]
mod tests {
    use super::dsp::{FACTORS, channels_to_int8, rounds_by_factor, to_int8};
    use super::*;
    use crate::fixed_point::rounding_divide_by_pot;
    use std::format;

    #[test]
    fn factors_take_ties_away_from_zero_and_change_no_other_int8() {
        for shift in (i8::MIN..=0).filter(|&shift| rounds_by_factor(shift)) {
            let bits = u32::from(shift.unsigned_abs());
            let factor = i64::from(FACTORS >> (bits - 1));
            let (half, least, most) = (1 << (bits - 1), i32::MIN + 1, i32::MAX);
            let ties = (-300..300).map(|quotient| quotient * (2 * half) + half);
            for near in ties.chain([least + 1, least / 2, most / 2, most - 1]) {
                for sum in near - 1..=near + 1 {
                    let product = (i64::from(sum) * factor + (1 << 31)) >> 32;
                    for zero_point in [-128, -1, 0, 127] {
                        let expected = rounding_divide_by_pot(sum, bits) + zero_point;
                        let got = product + i64::from(zero_point);
                        let case = format!("{sum} / 2^{bits} + {zero_point}");
                        let int8 = i64::from(expected.clamp(-128, 127));
                        assert_eq!(got.clamp(-128, 127), int8, "{case}");
                    }
                }
            }
        }
    }

    #[test]
    fn scales_of_channels_are_taken_if_each_scale_alone_is() {
        let clamps = [(-128, 127), (-127, 127), (-128, 126)].map(|(min, max)| Clamp { min, max });
        for multiplier in [i32::MIN, -1, 0, 1, (1 << 30) - 1, 1 << 30, i32::MAX] {
            for shift in i8::MIN..=i8::MAX {
                // The other of two channels is taken.
                for (multiplier, shift) in [
                    ([multiplier, 1 << 30], [shift, -31]),
                    ([i32::MAX, multiplier], [-2, shift]),
                ] {
                    let channels = Channels {
                        bias: &[0; 2],
                        multiplier: &multiplier,
                        shift: &shift,
                    };
                    for clamp in clamps {
                        let each = [0, 1].map(|i| Requantize {
                            multiplier: multiplier[i],
                            shift: shift[i],
                        });
                        let taken = each.iter().all(|&scale| to_int8(scale, clamp));
                        let by_factor = each.iter().all(|scale| rounds_by_factor(scale.shift));
                        assert_eq!(
                            channels_to_int8(channels, clamp),
                            taken.then_some(by_factor),
                            "{each:?} {clamp:?}"
                        );
                    }
                }
            }
        }
    }
}
