//! This module multiplies rows by rows: those whose results lie side by side are packed first, a vector of them at a
//! time, and then as many others as there are use them.

use core::mem::MaybeUninit;

use super::{Simd, blocks};
use crate::kernels::limits::simd::{DEPTH, PREPARED, ROWS};

/// The number of rows whose sums are kept at a time.
const TILE: usize = 5;

/// Holds rows that are prepared to be multiplied.
pub struct Prepared {
    first: *const i8,
}

/// Has room for what [`Simd::prepare`] makes.
pub type Room = [MaybeUninit<i16>; PREPARED];

impl Prepared {
    /// Prepares the bytes `x`, a multiple of 8 and at most [`PREPARED`]. They and the room stay as they are while this is
    /// used.
    #[inline(always)]
    pub unsafe fn new<S: Simd>(x: &[i8], room: &mut Room) -> Self {
        // SAFETY: the caller's.
        let first = unsafe { S::prepare(x.as_ptr(), x.len(), room.as_mut_ptr().cast()) };
        Self { first }
    }

    /// Returns the row that begins at byte `at`.
    #[inline(always)]
    unsafe fn at<S: Simd>(&self, at: usize) -> *const i8 {
        // SAFETY: the caller's.
        unsafe { self.first.add(at * S::PREPARED) }
    }
}

/// Holds `LANES` rows that are packed to be multiplied.
pub struct Packed<S: Simd> {
    vectors: [MaybeUninit<S::I32>; DEPTH / 2],
    depth: usize,
}

impl<S: Simd> Packed<S> {
    /// Makes room for rows of `depth` bytes, a multiple of 8 and at most [`DEPTH`].
    #[inline(always)]
    pub fn new(depth: usize) -> Self {
        let vectors = [const { MaybeUninit::uninit() }; _];
        Self { vectors, depth }
    }

    /// Packs the `LANES` rows that lie `stride` bytes apart, from `rows` on.
    #[inline(always)]
    pub unsafe fn pack(&mut self, rows: *const i8, stride: usize) {
        // SAFETY: the caller's; two vectors take four bytes of all rows, so that there is room.
        unsafe { S::pack(rows, stride, self.depth, self.vectors.as_mut_ptr().cast()) };
    }

    /// Multiplies `rows` rows (1 to [`ROWS`]), of which the first begins at byte `from` and which lie `stride` bytes apart,
    /// with what was packed, and puts each one's sums into `sums`.
    #[inline(always)]
    pub unsafe fn multiply(
        &self,
        x: &Prepared,
        from: usize,
        stride: usize,
        rows: usize,
        sums: &mut [S::I32; ROWS],
    ) {
        let packed = self.vectors.as_ptr().cast();
        // SAFETY: the caller's.
        unsafe {
            if rows < TILE {
                for (row, sum) in sums.iter_mut().enumerate().take(rows) {
                    let x = x.at::<S>(from + row * stride);
                    [*sum] = S::products::<1>(x, 0, packed, self.depth);
                }
                return;
            }
            for first in blocks(rows, TILE) {
                let x = x.at::<S>(from + first * stride);
                let tile = S::products::<TILE>(x, stride * S::PREPARED, packed, self.depth);
                for (sums, tile) in sums.iter_mut().skip(first).zip(tile) {
                    *sums = tile;
                }
            }
        }
    }

    /// Returns the sums of the bytes of each row that was packed, each byte plus [`Simd::OFFSET`].
    #[inline(always)]
    pub unsafe fn sums(&self) -> S::I32 {
        // Ones are the same whether prepared in one byte or two.
        const BYTES: [i8; DEPTH] = [1; DEPTH];
        const WORDS: [i16; DEPTH] = [1; DEPTH];
        let ones = match S::PREPARED {
            1 => BYTES.as_ptr(),
            _ => WORDS.as_ptr().cast(),
        };
        // SAFETY: the caller's; there are as many ones as the depth may be.
        let [sums] = unsafe { S::products::<1>(ones, 0, self.vectors.as_ptr().cast(), self.depth) };
        sums
    }
}
