//! Matrix products are computed as sums of 2 x 2 elements side by side, and then requantized.
#![allow(unsafe_code)]

mod products;
mod requantize;

use core::arch::asm;
use core::mem::MaybeUninit;

use products::{Product, multiply_by_16, multiply_by_64, multiply_by_any};
use requantize::{Requantization, requantize_columns, requantize_rows};

use crate::kernels::Channels;
use crate::kernels::limits::mve::{self as limits, COLS, Loop, ROWS, TAPS};
use crate::plan::{Clamp, Requantize};

/// The number of input rows that a convolution of [`ROWS`] rows keeps, with what a vector reads behind the
/// last.
pub const WINDOW: usize = ROWS + 2 * TAPS - 10;

/// Holds sums of products before they are requantized.
pub struct Sums([MaybeUninit<[i32; COLS]>; ROWS]);

/// A matrix whose rows of elements are `stride` apart.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    data: &'a [i8],
    stride: usize,
    rows: usize,
    depth: usize,
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

    /// Writes the sum of each row, times `factor`, plus `add`, to `sums`.
    pub fn row_sums(&self, factor: i32, add: i32, sums: &mut [i32]) {
        for (row, sum) in sums.iter_mut().enumerate().take(self.rows) {
            // SAFETY: `new` found this row in `data`.
            let row = unsafe { row_sum(self.data.as_ptr().add(row * self.stride), self.depth) };
            *sum = row.wrapping_mul(factor).wrapping_add(add);
        }
    }
}

/// Says what is done to each column of sums: either each column has a bias and a scale, or all have one
/// scale.
pub struct Columns<'a> {
    bias: &'a [i32],
    multiplier: &'a [i32],
    shift: &'a [i8],
    /// Gives the distance in bytes to the multipliers of the next four columns; 0 if all have one scale.
    step: usize,
}

impl<'a> Columns<'a> {
    /// Makes columns with a scale each. Returns `None` if the lengths differ, or a shift is not to the right
    /// by 1..=31.
    pub fn new(channels: Channels<'a>) -> Option<Self> {
        let fits = limits::channels_shift_right(channels.shift) && channels.are_of_one_length();
        fits.then_some(Self {
            bias: channels.bias,
            multiplier: channels.multiplier,
            shift: channels.shift,
            step: 16,
        })
    }

    /// Returns the columns `from..to`, or `None` if there are not so many.
    pub fn part(&self, from: usize, to: usize) -> Option<Self> {
        Some(Self {
            bias: self.bias.get(from..to)?,
            multiplier: self.multiplier.get(from..to)?,
            shift: self.shift.get(from..to)?,
            step: 16,
        })
    }
}

/// Holds one scale four times, as a vector reads it.
pub struct Scale {
    multiplier: [i32; 4],
    shift: [i8; 4],
}

impl Scale {
    /// Makes a scale; returns `None` if its shift is not to the right by 1..=31.
    pub fn new(scale: Requantize) -> Option<Self> {
        limits::shifts_right(scale).then_some(Self {
            multiplier: [scale.multiplier; 4],
            shift: [scale.shift; 4],
        })
    }

    /// Returns columns that all have this scale.
    pub fn columns<'a>(&'a self, bias: &'a [i32]) -> Columns<'a> {
        Columns {
            bias,
            multiplier: &self.multiplier,
            shift: &self.shift,
            step: 0,
        }
    }
}

/// Says where the rows of the output go, and how sums become int8.
pub struct Destination<'a> {
    pub data: &'a mut [i8],
    pub stride: usize,
    pub zero_point: i8,
    pub clamp: Clamp,
}

impl Sums {
    pub const fn new() -> Self {
        Self([const { MaybeUninit::uninit() }; ROWS])
    }

    /// Computes `to[r, c] = requantized(init[r] + bias[c] + sum over k of left[r, k] * right[c, k])`. If
    /// there is an `init`, columns must be of one scale.
    ///
    /// Nothing is computed if lengths do not fit.
    pub fn product(
        &mut self,
        left: Matrix<'_>,
        right: Matrix<'_>,
        init: Option<&[i32; ROWS]>,
        columns: &Columns<'_>,
        to: Destination<'_>,
    ) {
        let (rows, cols) = (left.rows, right.rows);
        let fits = left.depth == right.depth
            && left.depth > 0
            && (1..=ROWS).contains(&rows)
            && (1..=COLS).contains(&cols)
            && columns.bias.len() == cols
            && (rows - 1).saturating_mul(to.stride).saturating_add(cols) <= to.data.len();
        if !fits {
            return;
        }
        match Loop::of(left.depth) {
            Loop::OneVector => self.multiply_by_16(left, right),
            Loop::FourVectors => self.multiply(left, right, multiply_by_64),
            Loop::Any => self.multiply(left, right, multiply_by_any),
        }
        // SAFETY: the sums were written, and the output's length was checked.
        unsafe { self.requantize(rows, init, columns, to) };
    }

    /// Computes all sums of products, by pairs of rows.
    fn multiply(
        &mut self,
        left: Matrix<'_>,
        right: Matrix<'_>,
        by: unsafe extern "C" fn(&Product),
    ) {
        let (rows, cols) = (left.rows, right.rows);
        let sums: *mut i32 = self.0.as_mut_ptr().cast();
        let (x, w) = (left.data.as_ptr(), right.data.as_ptr());
        // A last row or column without a pair is paired with itself. Its twin's sums land in the
        // row or column after it, which is there, as `ROWS` and `COLS` are even.
        for (row, row_pairs, x_stride) in [(0, rows / 2, left.stride), (rows & !1, rows & 1, 0)] {
            for (col, pairs, w_stride) in [(0, cols / 2, right.stride), (cols & !1, cols & 1, 0)] {
                if row_pairs == 0 || pairs == 0 {
                    continue;
                }
                // SAFETY: `Matrix::new` found these rows, and `self` has room for the sums.
                unsafe {
                    by(&Product {
                        x: x.add(row * left.stride),
                        x_stride,
                        sums: sums.add(row * COLS + col),
                        rows: row_pairs,
                        w: w.add(col * right.stride),
                        w_stride,
                        cols: pairs,
                        depth: left.depth,
                    });
                }
            }
        }
    }

    /// Computes all sums of products of depth 16, by five rows.
    fn multiply_by_16(&mut self, left: Matrix<'_>, right: Matrix<'_>) {
        let sums: *mut i32 = self.0.as_mut_ptr().cast();
        for row in (0..left.rows).step_by(5) {
            // SAFETY: `Matrix::new` found these rows, and `self` has room for five rows of sums.
            unsafe {
                multiply_by_16(&Product {
                    x: left.data.as_ptr().add(row * left.stride),
                    x_stride: left.stride,
                    sums: sums.add(row * COLS),
                    rows: left.rows - row,
                    w: right.data.as_ptr(),
                    w_stride: right.stride,
                    cols: right.rows,
                    depth: 16,
                });
            }
        }
    }

    /// Computes `to[r, c] = requantized(bias[c] + sum over t of x[c, r + t] * w[c, t])`. Rows of `x` have
    /// [`WINDOW`] elements, those of `w` [`TAPS`].
    ///
    /// Nothing is computed if lengths do not fit.
    pub fn convolution(
        &mut self,
        x: &[i8; COLS * WINDOW],
        w: &[i8; COLS * TAPS],
        rows: usize,
        columns: &Columns<'_>,
        to: Destination<'_>,
    ) {
        let cols = columns.bias.len();
        let fits = (1..=ROWS).contains(&rows)
            && (1..=COLS).contains(&cols)
            && (rows - 1).saturating_mul(to.stride).saturating_add(cols) <= to.data.len();
        if !fits {
            return;
        }
        for ((x, w), col) in x
            .chunks_exact(WINDOW)
            .zip(w.chunks_exact(TAPS))
            .zip(0..cols)
        {
            let sums: *mut i32 = self.0.as_mut_ptr().cast();
            // SAFETY: reads a vector at each of `rows <= ROWS` places of a window, writes a column
            // of as many sums.
            unsafe {
                asm!(
                    "vldrb.u8 q0, [{w}]",
                    "dls lr, {rows}",
                    "2:",
                    "vldrb.u8 q1, [{x}], #1",
                    "vmladav.s8 r0, q0, q1",
                    "str r0, [{sums}], #128",
                    "le lr, 2b",
                    w = in(reg) w.as_ptr(),
                    x = inout(reg) x.as_ptr() => _,
                    sums = inout(reg) sums.add(col) => _,
                    rows = in(reg) rows,
                    out("r0") _,
                    out("lr") _,
                    out("d0") _, out("d1") _, out("d2") _, out("d3") _,
                    options(nostack),
                );
            }
        }
        // SAFETY: the sums were written, and the output's length was checked.
        unsafe { self.requantize(rows, None, columns, to) };
    }

    /// Requantizes the sums that were written, and stores them in `to`.
    ///
    /// # Safety
    ///
    /// `rows` rows of as many sums as there are columns were written, and `to` has as many rows
    /// and columns.
    unsafe fn requantize(
        &self,
        rows: usize,
        init: Option<&[i32; ROWS]>,
        columns: &Columns<'_>,
        to: Destination<'_>,
    ) {
        let (sums, cols) = (self.0.as_ptr().cast(), columns.bias.len());
        // SAFETY: the caller's; whoever made `Columns` checked the lengths of its slices.
        let of = Requantization {
            sums,
            bias: columns.bias.as_ptr(),
            multiplier: columns.multiplier.as_ptr(),
            shift: columns.shift.as_ptr(),
            y: to.data.as_mut_ptr(),
            stride: to.stride,
            rows,
            cols,
            step: columns.step,
            zero_point: to.zero_point.into(),
            min: to.clamp.min.into(),
            max: to.clamp.max.into(),
        };
        unsafe {
            match init {
                Some(init) => requantize_rows(&of, init),
                None => requantize_columns(&of),
            }
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
    to: &mut [i8],
    to_stride: usize,
) {
    let from = Matrix::new(data, stride, rows, cols);
    let fits = rows <= to_stride && cols.saturating_mul(to_stride) <= to.len();
    if from.is_none() || !fits || !cols.is_multiple_of(8) || to_stride > 4096 {
        return;
    }
    for col in (0..cols).step_by(8) {
        // SAFETY: reads eight columns of each row of the matrix that was made, and scatters them
        // over eight rows of `to`, the last of which ends within it.
        unsafe {
            asm!(
                "vidup.u16 q1, r0, #1",
                "vmul.i16 q1, q1, {to_stride}",
                "dls lr, {rows}",
                "2:",
                "vldrb.u16 q0, [r1]",
                "add r1, {stride}",
                "vstrb.16 q0, [{to}, q1]",
                "add {to}, #1",
                "le lr, 2b",
                stride = in(reg) stride,
                rows = in(reg) rows,
                to = inout(reg) to.as_mut_ptr().add(col * to_stride) => _,
                to_stride = in(reg) to_stride,
                inout("r0") 0 => _,
                inout("r1") data.as_ptr().add(col) => _,
                out("lr") _,
                out("d0") _, out("d1") _, out("d2") _, out("d3") _,
                options(nostack),
            );
        }
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
