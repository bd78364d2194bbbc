//! The depthwise convolution keeps one channel at two times in a word, so that one instruction multiplies two
//! taps.
#![allow(unsafe_code)]

use super::ops::{ToInt8, even_bytes_plus, odd_bytes_plus, smlad};
use crate::kernels::limits::dsp::{ROWS, TAPS};
use crate::kernels::{Channels, finish};
use crate::plan::Clamp;

/// Holds consecutive rows of four columns, as pairs of rows.
pub struct Window {
    /// Holds, for each column, the pairs of rows 0 and 1, 2 and 3 ...; then those of 1 and 2, 3 and 4 ...
    pairs: [[[u32; Self::PAIRS]; 2]; 4],
}

impl Window {
    /// The number of pairs in the rows that twice [`ROWS`] sums of the most taps read.
    const PAIRS: usize = ROWS + TAPS / 2;

    pub const fn new() -> Self {
        Self {
            pairs: [[[0; Self::PAIRS]; 2]; 4],
        }
    }

    /// Takes the first four columns of `rows` rows of `data`, which are `stride` apart. If `rows` is odd,
    /// zeros count as the row after the last. Returns `false` if lengths do not fit.
    #[inline(never)]
    pub fn take(&mut self, data: &[i8], stride: usize, rows: usize) -> bool {
        let slots = rows.div_ceil(2);
        let needed = rows
            .saturating_sub(1)
            .saturating_mul(stride)
            .saturating_add(4);
        if needed > data.len() || rows == 0 || slots > Self::PAIRS {
            return false;
        }
        let halves = |row: usize| {
            // SAFETY: the last row's four bytes end within `data`, as `needed` says.
            let bytes = unsafe {
                data.as_ptr()
                    .add(row * stride)
                    .cast::<u32>()
                    .read_unaligned()
            };
            [even_bytes_plus(0, bytes), odd_bytes_plus(0, bytes)]
        };
        let or_zeros = |row: usize| if row < rows { halves(row) } else { [0; 2] };
        let pair = |[a_even, a_odd]: [u32; 2], [b_even, b_odd]: [u32; 2]| {
            [
                a_even & 0xffff | b_even << 16,
                a_odd & 0xffff | b_odd << 16,
                a_even >> 16 | b_even & 0xffff_0000,
                a_odd >> 16 | b_odd & 0xffff_0000,
            ]
        };
        let mut before = halves(0);
        for slot in 0..slots {
            let (odd, next) = (or_zeros(2 * slot + 1), or_zeros(2 * slot + 2));
            let pairs = pair(before, odd).into_iter().zip(pair(odd, next));
            for (column, (even, odd)) in self.pairs.iter_mut().zip(pairs) {
                [column[0][slot], column[1][slot]] = [even, odd];
            }
            before = next;
        }
        true
    }

    /// Returns `[column][r] = sum over t of self[FIRST + r + t] * taps[t]`.
    pub fn convolve<const FIRST: usize>(&self, taps: &Self) -> [[i32; ROWS]; 4] {
        let mut sums = [[0; ROWS]; 4];
        for ((sums, x), [taps, _]) in sums.iter_mut().zip(&self.pairs).zip(&taps.pairs) {
            *sums = core::array::from_fn(|row| {
                let (odd, slot) = ((FIRST + row) % 2, (FIRST + row) / 2);
                (0..TAPS / 2).fold(0, |sum, tap| smlad(x[odd][slot + tap], taps[tap], sum))
            });
        }
        sums
    }
}

/// Requantizes columns of sums, each with its own bias and scale, and stores them in `y`.
pub fn store_channels(
    sums: &[[i32; ROWS]; 4],
    rows: usize,
    channels: Channels<'_>,
    zero_point: i8,
    clamp: Clamp,
    y: &mut [i8],
    stride: usize,
) {
    for ((column, sums), (bias, scale)) in sums.iter().enumerate().zip(channels.iter()) {
        let places = y.iter_mut().skip(column).step_by(stride.max(1));
        let sums = sums.iter().take(rows).map(|sum| sum.wrapping_add(bias));
        if let Some(fast) = ToInt8::new(scale, zero_point, clamp) {
            for (y, sum) in places.zip(sums) {
                *y = fast.apply(sum);
            }
        } else {
            for (y, sum) in places.zip(sums) {
                *y = finish(sum, scale, zero_point, clamp);
            }
        }
    }
}
