//! Matrix products are computed as sums of 2 x 4 elements side by side, and then requantized.
#![allow(unsafe_code)]

mod matrix;
mod packed;
mod products;
mod requantize;

use core::arch::asm;
use core::mem::MaybeUninit;
use core::ptr;

pub use matrix::{Matrix, transpose};
pub use packed::{Left, Packed};
use products::{Product, multiply_by_64, multiply_by_any};
use requantize::{Requantization, requantize_columns, requantize_rows};

use super::{is_full, limit};
use crate::kernels::Channels;
use crate::kernels::limits::mve::{self as limits, COLS, Loop, QUAD, ROWS, TAPS, TRANSPOSED};
use crate::plan::{Clamp, Requantize};

/// The number of input rows that a convolution of [`ROWS`] rows keeps, with what a vector reads behind the
/// last.
pub const WINDOW: usize = ROWS + 2 * TAPS - 10;

/// Holds sums of products before they are requantized: those of four columns, row by row, then those of the
/// next four.
pub struct Sums([MaybeUninit<[i32; QUAD]>; ROWS * COLS / QUAD]);

/// Says what is added to sums, and the factors that they are multiplied by.
pub enum Scales<'a> {
    /// Each column has a bias and a scale.
    Columns(Columns<'a>),
    /// All have one scale, which [`limits::one_scale`] takes; to each column and to each row something is
    /// added.
    One {
        scale: Requantize,
        bias: &'a [i32],
        init: &'a [i32; ROWS],
    },
}

/// Columns that have a bias and a scale each.
pub struct Columns<'a>(Channels<'a>);

impl<'a> Columns<'a> {
    /// Makes columns with a scale each. Returns `None` if the lengths differ, or a shift is not to the right
    /// by 1..=31.
    pub fn new(channels: Channels<'a>) -> Option<Self> {
        (channels.are_of_one_length() && shift_right(channels.shift)).then_some(Self(channels))
    }

    /// Returns `count` columns from `from` on, or `None` if there are not so many.
    pub fn part(&self, from: usize, count: usize) -> Option<Self> {
        Some(Self(Channels {
            bias: self.0.bias.get(from..)?.get(..count)?,
            multiplier: self.0.multiplier.get(from..)?.get(..count)?,
            shift: self.0.shift.get(from..)?.get(..count)?,
        }))
    }
}

impl Scales<'_> {
    /// Returns the number of columns.
    fn cols(&self) -> usize {
        match self {
            Self::Columns(Columns(channels)) => channels.bias.len(),
            Self::One { bias, .. } => bias.len(),
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
        Self([const { MaybeUninit::uninit() }; ROWS * COLS / QUAD])
    }

    /// Computes `to[r, c] = requantized(init[r] + bias[c] + sum over k of left[r, k] * right[c, k])`. The
    /// number of columns is a multiple of four.
    ///
    /// Nothing is computed if lengths do not fit.
    pub fn product(
        &mut self,
        left: &Left<'_>,
        right: Matrix<'_>,
        scales: &Scales<'_>,
        to: Destination<'_>,
    ) {
        let (rows, cols) = (left.rows, right.rows);
        let fits = left.depth == right.depth
            && left.by == Loop::of(right.depth, right.stride)
            && scales.cols() == cols
            && fits_blocks(rows, cols, &to);
        if !fits {
            return;
        }
        let (read, tail) = match left.by {
            Loop::Whole => (rows / 2 * 2 * left.depth, rows % 2),
            Loop::Any => {
                let padded = left.depth.next_multiple_of(16);
                (rows.next_multiple_of(2) * padded, left.depth % 16)
            }
        };
        let first = right.data.as_ptr();
        // SAFETY: `Matrix::new` found the columns and `Packed::pack` the rows, and `self` has room for an even
        // number of rows.
        unsafe {
            let product = Product {
                w: [0, 1, 2, 3].map(|col| first.add(col * right.stride)),
                x: left.data,
                x_end: left.data.add(read),
                sums: self.0.as_mut_ptr().cast(),
                quads: cols / QUAD,
                blocks: left.depth / 64,
                vectors: left.depth % 64 / 16,
                tail,
                w_step: QUAD * right.stride,
            };
            match left.by {
                Loop::Whole => multiply_by_64(&product),
                Loop::Any => multiply_by_any(&product),
            }
        }
        // SAFETY: the sums were written, and the output's length was checked.
        unsafe { self.requantize(rows, scales, to) };
    }

    /// Computes `to[r, c] = requantized(bias[c] + sum over t of x[c, r + t] * w[c, t])`. Rows of `x` have
    /// [`WINDOW`] elements, those of `w` [`TAPS`], which are 0 where there are fewer; there `x` may be anything.
    ///
    /// Nothing is computed if lengths do not fit.
    pub fn convolution(
        &mut self,
        x: &[MaybeUninit<i8>; TRANSPOSED * WINDOW],
        w: &[MaybeUninit<i8>; TRANSPOSED * TAPS],
        rows: usize,
        scales: &Scales<'_>,
        to: Destination<'_>,
    ) {
        let cols = scales.cols();
        if !fits_blocks(rows, cols, &to) {
            return;
        }
        for ((x, w), col) in x
            .chunks_exact(WINDOW)
            .zip(w.chunks_exact(TAPS))
            .zip(0..cols)
        {
            let sums: *mut i32 = self.0.as_mut_ptr().cast();
            let first = (col / QUAD * rows.next_multiple_of(2)) * QUAD + col % QUAD;
            // SAFETY: reads a vector at each of `rows <= ROWS` places of a window, writes a column
            // of as many sums.
            unsafe {
                asm!(
                    "vldrb.u8 q0, [{w}]",
                    "dls lr, {rows}",
                    "2:",
                    "vldrb.u8 q1, [{x}], #1",
                    "vmladav.s8 r0, q0, q1",
                    "str r0, [{sums}], #16",
                    "le lr, 2b",
                    w = in(reg) w.as_ptr(),
                    x = inout(reg) x.as_ptr() => _,
                    sums = inout(reg) sums.add(first) => _,
                    rows = in(reg) rows,
                    out("r0") _,
                    out("lr") _,
                    out("d0") _, out("d1") _, out("d2") _, out("d3") _,
                    options(nostack),
                );
            }
        }
        // SAFETY: the sums were written, and the output's length was checked.
        unsafe { self.requantize(rows, scales, to) };
    }

    /// Requantizes the sums that were written, and stores them in `to`.
    ///
    /// # Safety
    ///
    /// `rows` rows of as many sums as there are columns were written, in an even number of places, and `to`
    /// has as many rows and columns.
    unsafe fn requantize(&self, rows: usize, scales: &Scales<'_>, to: Destination<'_>) {
        let cols = scales.cols();
        let mut of = Requantization {
            sums: self.0.as_ptr().cast(),
            bias: ptr::null(),
            multiplier_or_init: ptr::null(),
            shift: ptr::null(),
            y: to.data.as_mut_ptr(),
            stride: to.stride,
            rows,
            cols,
            zero_point: to.zero_point.into(),
            one_multiplier: 0,
            one_shift: 0,
        };
        // SAFETY: the caller's; whoever made `Columns` checked the lengths of its slices.
        unsafe {
            match scales {
                Scales::Columns(Columns(channels)) => {
                    of.bias = channels.bias.as_ptr();
                    of.multiplier_or_init = channels.multiplier.as_ptr();
                    of.shift = channels.shift.as_ptr();
                    requantize_columns(&of);
                }
                Scales::One { scale, bias, init } => {
                    of.bias = bias.as_ptr();
                    of.multiplier_or_init = init.as_ptr();
                    of.one_multiplier = scale.multiplier;
                    of.one_shift = scale.shift.into();
                    requantize_rows(&of);
                }
            }
        }
        if !is_full(to.clamp) {
            for row in to.data.chunks_mut(to.stride.max(1)).take(rows) {
                limit(row.get_mut(..cols).unwrap_or_default(), to.clamp);
            }
        }
    }
}

/// Says whether there is room for sums of so many rows and columns, which come by four, and in `to`.
fn fits_blocks(rows: usize, cols: usize, to: &Destination<'_>) -> bool {
    (1..=ROWS).contains(&rows)
        && (1..=COLS).contains(&cols)
        && cols.is_multiple_of(QUAD)
        && to.stride <= limits::STRIDE
        && (rows - 1).saturating_mul(to.stride).saturating_add(cols) <= to.data.len()
}

/// Says whether all shifts are to the right by 1..=31, as [`limits::channels_shift_right`] does.
fn shift_right(shifts: &[i8]) -> bool {
    let (mut min, mut max) = (-1, -31);
    // SAFETY: reads the shifts; the tail is predicated.
    unsafe {
        asm!(
            "wlstp.8 lr, {count}, 3f",
            "2:",
            "vldrb.u8 q0, [{shifts}], #16",
            "vminv.s8 {min}, q0",
            "vmaxv.s8 {max}, q0",
            "letp lr, 2b",
            "3:",
            "sxtb {min}, {min}",
            "sxtb {max}, {max}",
            count = in(reg) shifts.len(),
            shifts = inout(reg) shifts.as_ptr() => _,
            min = inout(reg) min,
            max = inout(reg) max,
            out("lr") _,
            out("d0") _, out("d1") _,
            options(nostack, readonly, pure),
        );
    }
    min >= -31 && max <= -1
}
