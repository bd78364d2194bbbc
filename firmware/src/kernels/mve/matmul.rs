//! Matrix products: sums of 2 x 2 elements side by side, then their requantization.
#![allow(unsafe_code)]

use core::arch::{asm, naked_asm};
use core::mem::MaybeUninit;

use crate::plan::{Clamp, Requantize};

/// Rows and columns of sums that are kept at a time.
pub const ROWS: usize = 10;
pub const COLS: usize = 32;

/// Most taps of a convolution, which are a vector.
pub const TAPS: usize = 16;

/// Input rows of a convolution of [`ROWS`] rows, and what a vector reads behind the last.
pub const WINDOW: usize = ROWS + 2 * TAPS - 10;

/// Sums of products, before requantization.
pub struct Sums([MaybeUninit<[i32; COLS]>; ROWS]);

/// Rows of elements, `stride` apart.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    data: &'a [i8],
    stride: usize,
    rows: usize,
    depth: usize,
}

impl<'a> Matrix<'a> {
    /// None where `data` has not all of it.
    pub fn new(data: &'a [i8], stride: usize, rows: usize, depth: usize) -> Option<Self> {
        let last = rows.checked_sub(1)?.checked_mul(stride)?;
        (last.checked_add(depth)? <= data.len()).then_some(Self {
            data,
            stride,
            rows,
            depth,
        })
    }

    /// Sum of each row, times `factor`, plus `add`.
    pub fn row_sums(&self, factor: i32, add: i32, sums: &mut [i32]) {
        for (row, sum) in sums.iter_mut().enumerate().take(self.rows) {
            // SAFETY: `new` found this row in `data`.
            let row = unsafe { row_sum(self.data.as_ptr().add(row * self.stride), self.depth) };
            *sum = row.wrapping_mul(factor).wrapping_add(add);
        }
    }
}

/// What is done to each column of sums: a bias and a scale each, or one scale for all.
pub struct Columns<'a> {
    pub bias: &'a [i32],
    multiplier: &'a [i32],
    shift: &'a [i8],
    /// Bytes to the multipliers of the next four columns.
    step: usize,
}

impl<'a> Columns<'a> {
    /// None where the lengths differ, or a shift is not to the right by 1..=31.
    pub fn new(bias: &'a [i32], multiplier: &'a [i32], shift: &'a [i8]) -> Option<Self> {
        let (min, max) = shift
            .iter()
            .fold((0, i8::MIN), |(min, max), &s| (s.min(min), s.max(max)));
        let fits = bias.len() == multiplier.len() && bias.len() == shift.len();
        (fits && min >= -31 && max <= -1).then_some(Self {
            bias,
            multiplier,
            shift,
            step: 16,
        })
    }

    /// Columns `from..to`.
    pub fn part(&self, from: usize, to: usize) -> Option<Self> {
        Some(Self {
            bias: self.bias.get(from..to)?,
            multiplier: self.multiplier.get(from..to)?,
            shift: self.shift.get(from..to)?,
            step: 16,
        })
    }
}

/// One scale, four times.
pub struct Scale {
    multiplier: [i32; 4],
    shift: [i8; 4],
}

impl Scale {
    /// None where the shift is not to the right by 1..=31.
    pub fn new(scale: Requantize) -> Option<Self> {
        (-31..=-1).contains(&scale.shift).then_some(Self {
            multiplier: [scale.multiplier; 4],
            shift: [scale.shift; 4],
        })
    }

    /// Columns of this scale.
    pub fn columns<'a>(&'a self, bias: &'a [i32]) -> Columns<'a> {
        Columns {
            bias,
            multiplier: &self.multiplier,
            shift: &self.shift,
            step: 0,
        }
    }
}

/// Rows of the output.
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

    /// `to[r, c] = requantized(init[r] + bias[c] + sum over k of left[r, k] * right[c, k])`.
    ///
    /// Lengths that do not fit: nothing is computed.
    pub fn product(
        &mut self,
        left: Matrix<'_>,
        right: Matrix<'_>,
        init: &[i32; ROWS],
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
        let sums: *mut i32 = self.0.as_mut_ptr().cast();
        let (x, w) = (left.data.as_ptr(), right.data.as_ptr());
        // A last row or column without a pair is paired with itself. Its twin's sums land in the
        // row or column after it, which is there, as `ROWS` and `COLS` are even.
        for (row, row_pairs, x_stride) in [(0, rows / 2, left.stride), (rows & !1, rows & 1, 0)] {
            for (col, pairs, w_stride) in [(0, cols / 2, right.stride), (cols & !1, cols & 1, 0)] {
                if row_pairs == 0 || pairs == 0 {
                    continue;
                }
                // SAFETY: `Matrix::new` found these rows, `self` has room for the sums, and `init`
                // for their rows.
                unsafe {
                    let product = Product {
                        x: x.add(row * left.stride),
                        x_stride,
                        sums: sums.add(row * COLS + col),
                        row_pairs,
                        w: w.add(col * right.stride),
                        w_stride,
                        pairs,
                        depth: left.depth,
                        init: init.as_ptr().add(row),
                    };
                    let whole = left.depth % 64 == 0 && init.iter().all(|&init| init == 0);
                    if whole {
                        multiply_by_64(&product);
                    } else {
                        multiply(&product);
                    }
                }
            }
        }
        // SAFETY: the sums were written, and the output's length was checked.
        unsafe { self.requantize(rows, columns, to) };
    }

    /// `to[r, c] = requantized(bias[c] + sum over t of x[c, r + t] * w[c, t])`: `x` of rows of
    /// [`WINDOW`], `w` of rows of [`TAPS`].
    ///
    /// Lengths that do not fit: nothing is computed.
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
        unsafe { self.requantize(rows, columns, to) };
    }

    /// # Safety
    ///
    /// `rows` rows of as many sums as there are columns were written, and `to` has as many rows
    /// and columns.
    unsafe fn requantize(&self, rows: usize, columns: &Columns<'_>, to: Destination<'_>) {
        let (sums, cols) = (self.0.as_ptr().cast(), columns.bias.len());
        // SAFETY: the caller's; whoever made `Columns` checked the lengths of its slices.
        unsafe {
            requantize(&Requantization {
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
            });
        }
    }
}

/// Pairs of rows times pairs of rows. Read by assembly: the order is part of it.
#[repr(C)]
struct Product {
    x: *const i8,
    x_stride: usize,
    sums: *mut i32,
    row_pairs: usize,
    w: *const i8,
    w_stride: usize,
    pairs: usize,
    depth: usize,
    init: *const i32,
}

/// Sixteen elements of two rows times those of two others, into r0, r2, r4, r6. Loads and
/// multiplications alternate, which overlap on the M55.
macro_rules! quad {
    ($mul:literal) => {
        concat!(
            "vldrb.u8 q0, [r1], #16\n",
            "vldrb.u8 q1, [r5], #16\n",
            $mul,
            " r0, q0, q1\n",
            "vldrb.u8 q2, [r7], #16\n",
            $mul,
            " r2, q0, q2\n",
            "vldrb.u8 q3, [r3], #16\n",
            $mul,
            " r4, q3, q1\n",
            $mul,
            " r6, q3, q2\n",
        )
    };
}

/// Products of a depth that is a multiple of 64.
///
/// # Safety
///
/// All that `product` points at is there.
#[unsafe(naked)]
unsafe extern "C" fn multiply_by_64(product: &Product) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4-r11, lr}}",
        "sub sp, #20",
        "ldrd r1, r9, [r0]",       // x, x_stride
        "ldrd r8, r12, [r0, #8]",  // sums, row_pairs
        "ldrd r5, r7, [r0, #16]",  // w, w_stride
        "ldrd r4, r10, [r0, #24]", // pairs, depth
        "add r3, r1, r9",
        "lsl r6, r7, #1",
        "strd r4, r6, [sp]",     // pairs, 2 w_stride
        "strd r1, r3, [sp, #8]", // x of the first two rows
        "str r12, [sp, #16]",
        "add r7, r5",
        "rsb r9, r10, r9, lsl #1", // from the end of a row to the next but one
        "lsr r11, r10, #6",
        "sub r11, #1",
        "1:",
        "2:",
        quad!("vmladav.s8"),
        quad!("vmladava.s8"),
        quad!("vmladava.s8"),
        quad!("vmladava.s8"),
        "wls lr, r11, 4f",
        "3:",
        quad!("vmladava.s8"),
        quad!("vmladava.s8"),
        quad!("vmladava.s8"),
        quad!("vmladava.s8"),
        "le lr, 3b",
        "4:",
        "strd r0, r2, [r8], #128",
        "strd r4, r6, [r8], #128",
        "add r1, r9",
        "add r3, r9",
        "sub r5, r10",
        "sub r7, r10",
        "subs r12, #1",
        "bne 2b",
        "ldrd r0, r2, [sp]",
        "ldrd r1, r3, [sp, #8]",
        "ldr r12, [sp, #16]",
        "add r5, r2",
        "add r7, r2",
        "sub r8, r8, r12, lsl #8",
        "add r8, #8",
        "subs r0, #1",
        "str r0, [sp]",
        "bne 1b",
        "add sp, #20",
        "pop {{r4-r11, pc}}",
    )
}

/// Products of any depth.
///
/// # Safety
///
/// All that `product` points at is there.
#[unsafe(naked)]
unsafe extern "C" fn multiply(product: &Product) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4-r11, lr}}",
        "sub sp, #20",
        "ldrd r1, r9, [r0]",       // x, x_stride
        "ldrd r8, r12, [r0, #8]",  // sums, row_pairs
        "ldrd r5, r7, [r0, #16]",  // w, w_stride
        "ldrd r4, r10, [r0, #24]", // pairs, depth
        "ldr r11, [r0, #32]",      // init
        "add r3, r1, r9",
        "lsl r6, r7, #1",
        "strd r4, r6, [sp]",     // pairs, 2 w_stride
        "strd r1, r3, [sp, #8]", // x of the first two rows
        "str r12, [sp, #16]",
        "add r7, r5",
        "add r6, r10, #15",
        "bic r6, #15",
        "rsb r9, r6, r9, lsl #1", // from behind a row's last vector to the next row but one
        "1:",
        "2:",
        "ldrd r0, r4, [r11], #8",
        "mov r2, r0",
        "mov r6, r4",
        "dlstp.8 lr, r10",
        "3:",
        quad!("vmladava.s8"),
        "letp lr, 3b",
        "strd r0, r2, [r8], #128",
        "strd r4, r6, [r8], #128",
        "add r0, r10, #15",
        "bic r0, #15",
        "add r1, r9",
        "add r3, r9",
        "sub r5, r0",
        "sub r7, r0",
        "subs r12, #1",
        "bne 2b",
        "ldrd r0, r2, [sp]",
        "ldrd r1, r3, [sp, #8]",
        "ldr r12, [sp, #16]",
        "add r5, r2",
        "add r7, r2",
        "sub r8, r8, r12, lsl #8",
        "sub r11, r11, r12, lsl #3",
        "add r8, #8",
        "subs r0, #1",
        "str r0, [sp]",
        "bne 1b",
        "add sp, #20",
        "pop {{r4-r11, pc}}",
    )
}

/// The first `cols` columns (a multiple of 8) of `rows` rows of `data`, which are `stride` apart,
/// into rows that are `to_stride` apart.
///
/// Lengths that do not fit: nothing happens.
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
    if from.is_none() || !fits || cols % 8 != 0 || to_stride > 4096 {
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

/// Sum of `depth` elements.
///
/// # Safety
///
/// They are there.
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

/// Read by assembly: the order is part of it.
#[repr(C)]
struct Requantization {
    sums: *const i32,
    bias: *const i32,
    multiplier: *const i32,
    shift: *const i8,
    y: *mut i8,
    stride: usize,
    rows: usize,
    cols: usize,
    step: usize,
    zero_point: i32,
    min: i32,
    max: i32,
}

/// Four sums of a row at r11, requantized into q4: bias q0, multiplier q1, shift q2, zero point
/// r10, clamp q6 to q7.
macro_rules! requantize {
    () => {
        "vldrw.u32 q4, [r11], #128
        vadd.i32 q4, q4, q0
        vqrdmulh.s32 q4, q4, q1
        vshr.s32 q5, q4, #31
        vqadd.s32 q4, q4, q5
        vrshl.s32 q4, q4, q2
        vadd.i32 q4, q4, r10
        vmax.s32 q4, q4, q6
        vmin.s32 q4, q4, q7"
    };
}

/// `finish` of sums: VQRDMULH is TFLite's doubling high multiplication; VRSHL rounds ties up, so
/// that what is negative starts one lower.
///
/// # Safety
///
/// All that it points at is there.
#[unsafe(naked)]
unsafe extern "C" fn requantize(of: &Requantization) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4-r11, lr}}",
        "vpush {{d8-d15}}",
        "ldrd r10, r11, [r0, #36]", // zero_point, min
        "ldr r12, [r0, #44]",       // max
        "vdup.32 q6, r11",
        "vdup.32 q7, r12",
        "ldrd r1, r2, [r0]",      // sums, bias
        "ldrd r3, r4, [r0, #8]",  // multiplier, shift
        "ldrd r5, r6, [r0, #16]", // y, stride
        "ldrd r7, r8, [r0, #24]", // rows, cols
        "ldr r9, [r0, #32]",      // step
        "1:",
        "mov r11, r1",
        "mov r0, r5",
        "cmp r8, #4",
        "blt 4f",
        "vldrw.u32 q0, [r2], #16",
        "vldrw.u32 q1, [r3]",
        "vldrb.s32 q2, [r4]",
        "dls lr, r7",
        "2:",
        requantize!(),
        "vstrb.32 q4, [r0]",
        "add r0, r6",
        "le lr, 2b",
        "add r1, #16",
        "add r5, #4",
        "add r3, r9",
        "add r4, r4, r9, lsr #2",
        "subs r8, #4",
        "bne 1b",
        "3:",
        "vpop {{d8-d15}}",
        "pop {{r4-r11, pc}}",
        "4:", // fewer than four columns are left
        "vctp.32 r8",
        "vpsttt",
        "vldrwt.u32 q0, [r2]",
        "vldrwt.u32 q1, [r3]",
        "vldrbt.s32 q2, [r4]",
        "dls lr, r7",
        "5:",
        requantize!(),
        "vpst",
        "vstrbt.32 q4, [r0]",
        "add r0, r6",
        "le lr, 5b",
        "b 3b",
    )
}
