//! These kernels are for cores with Helium, the M-profile vector extension: Cortex-M55, M85. They need
//! `-C target-cpu=cortex-m55`.
//!
//! VMLADAVA multiplies and sums 16 pairs of int8. Two rows by four are multiplied side by side, so that six loads
//! serve eight multiplications, which overlap with them, and their sums stay in registers. VQRDMULH or VQRDMLAH
//! and VRSHL requantize four sums at a time, and saturating moves narrow eight. Zero points never widen an
//! operand: what they add follows from the sums of its rows. Values of attention and windows of the convolution
//! are transposed by scatter stores. The front end's Fourier transform, mel filters and logarithms take two or
//! four numbers side by side, in the order in which one after the other would be computed. If something does not
//! fit a fast path, such as a scale that does not shift right, it is left to [`plain`].
//!
//! The table shows thousands of instructions of a steady step of `models/shrunk.zerda`, counted in QEMU
//! (`mps3-an547`, Cortex-M55; `plain` with the vectors that LLVM finds). The bound is what the multiplications
//! take, 16 at a time, with a load for each two thirds (fully connected) or each (scores, context); or, of an
//! element, what its loop takes.
//!
//! | operators | plain | mve | bound | left |
//! |---|--:|--:|--:|--:|
//! | fully connected | 1,344 | 297 | 140 | 157 |
//! | scores | 491 | 41 | 13 | 28 |
//! | softmax | 248 | 44 | 22 | 22 |
//! | context | 447 | 38 | 13 | 25 |
//! | depthwise convolution | 104 | 15 | 4 | 11 |
//! | add | 756 | 46 | 36 | 10 |
//! | mul | 30 | 3 | 2 | 1 |
//! | lookup | 72 | 5 | 3 | 2 |
//! | network | 3,492 | 491 | | |
//! | front end, of 5 frames | 134 | 50 | | |
//! | step with front end | 3,640 | 547 | | |
//!
//! [`plain`]: super::plain

mod attention;
mod bands;
mod dense;
mod elementwise;
mod matmul;
mod scores;
mod softmax;
mod spectrum;

use super::Kernels;
use crate::plan::{Clamp, Requantize};

use attention::{context, scores};
use dense::{depthwise_conv, fully_connected};
use elementwise::{add, lookup, mul};

pub use bands::{filter_bank, logarithms};
pub use elementwise::move_to_front;

/// The table of these kernels.
pub const KERNELS: Kernels = Kernels {
    name: "mve",
    here: || true,
    fully_connected,
    depthwise_conv,
    add,
    mul,
    lookup,
    scores,
    softmax,
    context,
};

/// Computes the same as [`plain::softmax`](super::plain::softmax).
fn softmax(
    input: &[i8],
    cols: usize,
    absent: usize,
    input_scale: Requantize,
    diff_min: i32,
    output: &mut [i8],
) {
    super::softmax::softmax::<softmax::Vectors>(input, cols, absent, input_scale, diff_min, output);
}

/// Says whether a clamp is that of int8, which the kernels saturate to; they do others to their output
/// afterwards.
fn is_full(Clamp { min, max }: Clamp) -> bool {
    (min, max) == (i8::MIN, i8::MAX)
}

/// Limits each element of an output, which kernels have saturated to int8.
#[cold]
fn limit(output: &mut [i8], Clamp { min, max }: Clamp) {
    output.iter_mut().for_each(|q| *q = (*q).max(min).min(max));
}
