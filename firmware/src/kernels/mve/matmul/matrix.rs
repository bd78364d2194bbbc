//! Matrices are views of rows that lie apart; they are transposed by scatter stores.
#![allow(unsafe_code)]

use core::arch::asm;
use core::mem::MaybeUninit;
use core::slice;

use crate::kernels::limits::mve::TRANSPOSED;

/// A matrix whose rows of elements are `stride` apart.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    pub(super) data: &'a [i8],
    pub(super) stride: usize,
    pub(super) rows: usize,
    pub(super) depth: usize,
}

/// Transposes sixteen columns of a matrix, from `$col` on, into rows at `$to` that are `$to_stride` apart, or
/// eight of them twice if there are no more. Returns the sums that `$add` and `$add_second` make in q3 and q4 of
/// the rows in q0 and q1.
///
/// # Safety
///
/// There is room for as many rows as the matrix has columns, and `$to_stride` is not less than its rows.
macro_rules! transpose {
    ($from:expr, $col:expr, $to:expr, $to_stride:expr, $add:literal, $add_second:literal) => {{
        let Matrix {
            data,
            stride,
            rows,
            depth,
        } = $from;
        let second = $col + if depth - $col < 16 { 0 } else { 8 };
        let mut sums = [[0i16; 8]; 2];
        asm!(
            "vidup.u16 q2, r0, #1",
            "vmul.i16 q2, q2, {to_stride}",
            "vmov.i32 q3, #0",
            "vmov.i32 q4, #0",
            "dls lr, {rows}",
            "2:",
            "vldrb.s16 q0, [r1]",
            "add r1, {stride}",
            "vldrb.s16 q1, [r2]",
            "add r2, {stride}",
            "vstrb.16 q0, [{to}, q2]",
            "add {to}, #1",
            $add,
            "vstrb.16 q1, [{to_second}, q2]",
            "add {to_second}, #1",
            $add_second,
            "le lr, 2b",
            "vstrh.16 q3, [{sums}]",
            "vstrh.16 q4, [{sums}, #16]",
            sums = in(reg) sums.as_mut_ptr(),
            stride = in(reg) stride,
            rows = in(reg) rows,
            to = inout(reg) $to.add($col * $to_stride) => _,
            to_second = inout(reg) $to.add(second * $to_stride) => _,
            to_stride = in(reg) $to_stride,
            inout("r0") 0 => _,
            inout("r1") data.as_ptr().add($col) => _,
            inout("r2") data.as_ptr().add(second) => _,
            out("lr") _,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _, out("d4") _, out("d5") _,
            out("d6") _, out("d7") _, out("d8") _, out("d9") _,
            options(nostack),
        );
        sums
    }};
}

impl<'a> Matrix<'a> {
    /// Makes a matrix of `rows` rows of `depth` elements, or returns `None` if `data` has not all of it.
    pub fn new(data: &'a [i8], stride: usize, rows: usize, depth: usize) -> Option<Self> {
        let last = rows.checked_sub(1)?.checked_mul(stride)?;
        (last.checked_add(depth)? <= data.len()).then_some(Self {
            data,
            stride,
            rows,
            depth,
        })
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn depth(&self) -> usize {
        self.depth
    }

    pub fn stride(&self) -> usize {
        self.stride
    }

    /// Returns where a row begins; `row` is less than the number of rows.
    pub fn row(&self, row: usize) -> *const i8 {
        self.data.as_ptr().wrapping_add(row * self.stride)
    }

    /// Writes the sum of each row, times `factor`, plus `add`, to `sums`.
    pub fn row_sums(&self, factor: i32, add: i32, sums: &mut [i32]) {
        for (row, sum) in sums.iter_mut().enumerate().take(self.rows) {
            // SAFETY: `new` found this row in `data`.
            let row = unsafe { row_sum(self.data.as_ptr().add(row * self.stride), self.depth) };
            *sum = row.wrapping_mul(factor).wrapping_add(add);
        }
    }
}

/// Transposes the first `cols` columns (a multiple of 8) of `rows` rows of `data`, which are `stride` apart,
/// into rows that are `to_stride` apart.
///
/// Nothing happens if lengths do not fit.
pub fn transpose(
    data: &[i8],
    stride: usize,
    rows: usize,
    cols: usize,
    to: &mut [MaybeUninit<i8>],
    to_stride: usize,
) {
    let from = Matrix::new(data, stride, rows, cols);
    let room = rows <= to_stride && cols.saturating_mul(to_stride) <= to.len();
    if let Some(from) = from.filter(|_| room && cols.is_multiple_of(8) && to_stride <= 4096) {
        for col in (0..cols).step_by(16) {
            // SAFETY: there is room for so many rows and columns.
            unsafe { transpose!(from, col, to.as_mut_ptr().cast::<i8>(), to_stride, "", "") };
        }
    }
}

impl<'a> Matrix<'a> {
    /// Transposes the matrix, of [`TRANSPOSED`] columns or fewer and 256 rows or fewer, into rows that follow each
    /// other, and returns the sums of columns with it. Returns `None` if there is no room, or if columns do not
    /// come by eight.
    pub fn transpose<'t>(
        self,
        to: &'t mut [MaybeUninit<i8>],
    ) -> Option<(Matrix<'t>, [i32; TRANSPOSED])> {
        let (rows, cols) = (self.rows, self.depth);
        let room = rows <= 256 && cols <= TRANSPOSED && cols * rows <= to.len();
        if !room || !cols.is_multiple_of(8) {
            return None;
        }
        let mut sums = [0i16; TRANSPOSED];
        let start: *mut i8 = to.as_mut_ptr().cast();
        for col in (0..cols).step_by(16) {
            // SAFETY: there is room for so many rows and columns. The sums of 256 int8 fit in 16 bits.
            let [first, second] = unsafe {
                transpose!(
                    self,
                    col,
                    start,
                    rows,
                    "vadd.i16 q3, q3, q0",
                    "vadd.i16 q4, q4, q1"
                )
            };
            for (from, eight) in [(col, first), (col + 8, second)] {
                let places = sums.get_mut(from..).unwrap_or_default();
                places
                    .iter_mut()
                    .zip(eight)
                    .for_each(|(place, sum)| *place = sum);
            }
        }
        // SAFETY: so many elements were written.
        let data = unsafe { slice::from_raw_parts(start, cols * rows) };
        Some((Matrix::new(data, rows, cols, rows)?, sums.map(i32::from)))
    }
}

/// Returns the sum of `depth` elements from `row` on.
///
/// # Safety
///
/// All `depth` elements are there.
#[inline]
unsafe fn row_sum(row: *const i8, depth: usize) -> i32 {
    let sum;
    // SAFETY: the caller's; the tail is predicated.
    unsafe {
        asm!(
            "wlstp.8 lr, {depth}, 3f",
            "2:",
            "vldrb.u8 q0, [{row}], #16",
            "vaddva.s8 r0, q0",
            "letp lr, 2b",
            "3:",
            depth = in(reg) depth,
            row = inout(reg) row => _,
            inout("r0") 0 => sum,
            out("lr") _,
            out("d0") _, out("d1") _,
            options(nostack, readonly, pure),
        );
    }
    sum
}
