//! Left rows of products are packed: copied into the order in which a loop reads them, and summed meanwhile.
#![allow(unsafe_code)]

use core::marker::PhantomData;
use core::mem::MaybeUninit;

use super::matrix::Matrix;
use super::products::{Copy, copy_rows};
use crate::kernels::limits::mve::{self as limits, Loop, PACKED, ROWS};

/// Holds rows in the order in which products read them.
pub struct Packed([MaybeUninit<i8>; PACKED]);

/// Rows that are ready to be multiplied, in pairs; a last one without another is paired with anything.
pub struct Left<'a> {
    pub(super) data: *const i8,
    pub(super) rows: usize,
    pub(super) depth: usize,
    pub(super) by: Loop,
    /// The memory that `data` points into.
    lent: PhantomData<&'a [i8]>,
}

impl Left<'_> {
    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Returns where the rows are, in their order.
    pub fn as_ptr(&self) -> *const i8 {
        self.data
    }
}

impl Packed {
    pub const fn new() -> Self {
        Self([const { MaybeUninit::uninit() }; PACKED])
    }

    /// Makes rows ready to be multiplied with rows that are `stride` apart. Returns `None` if there are more
    /// than [`limits::rows`], or none.
    pub fn pack<'a>(&'a mut self, rows: Matrix<'a>, stride: usize) -> Option<Left<'a>> {
        if Loop::of(rows.depth, stride) == Loop::Whole && rows.stride == rows.depth {
            return Some(Left {
                data: rows.data.as_ptr(),
                rows: rows.rows,
                depth: rows.depth,
                by: Loop::Whole,
                lent: PhantomData,
            });
        }
        self.pack_and_sum(rows, stride, &mut [0; ROWS])
    }

    /// Makes rows ready as [`Packed::pack`] does, and writes the sum of each to `sums`.
    pub fn pack_and_sum<'a>(
        &'a mut self,
        rows: Matrix<'a>,
        stride: usize,
        sums: &mut [i32; ROWS],
    ) -> Option<Left<'a>> {
        let Matrix {
            data,
            stride: x_stride,
            rows,
            depth,
        } = rows;
        if rows == 0 || depth == 0 || rows > limits::rows(depth) {
            return None;
        }
        let by = Loop::of(depth, stride);
        let padded = depth.next_multiple_of(16);
        let (to_second, to_third, step) = match by {
            Loop::Whole => (padded, padded, 16),
            Loop::Any => (16, 2 * padded - 16, 32),
        };
        let to: *mut i8 = self.0.as_mut_ptr().cast();
        // SAFETY: `Matrix::new` found the rows, and there is room for so many of such a depth.
        unsafe {
            copy_rows(&Copy {
                x: data.as_ptr(),
                stride: x_stride,
                rows,
                count: depth,
                to,
                to_second,
                to_third,
                step,
                sums: sums.as_mut_ptr(),
                last: (padded / 16 - 1) * step,
            });
        }
        Some(Left {
            data: to,
            rows,
            depth,
            by,
            lent: PhantomData,
        })
    }
}
