//! These kernels are for cores with Helium, the M-profile vector extension: Cortex-M55, M85. They need
//! `-C target-cpu=cortex-m55`.
//!
//! VMLADAVA multiplies and sums 16 pairs of int8; two rows by two share their loads, so that loads and
//! multiplications, which overlap, are as many. VQRDMULH and VRSHL requantize four sums at a time. Zero
//! points never widen an operand: what they add follows from the sums of its rows. Values of attention and
//! windows of the convolution are transposed by scatter stores. If something does not fit a fast path, such
//! as a scale that does not shift right, it is left to [`plain`].
//!
//! The table shows thousands of instructions of a steady step of `models/shrunk.zerda`, counted in QEMU
//! (`mps3-an547`, Cortex-M55; `plain` with the vectors that LLVM finds):
//!
//! | operators | plain | mve |
//! |---|--:|--:|
//! | fully connected | 1,327 | 389 |
//! | scores | 459 | 78 |
//! | softmax | 235 | 45 |
//! | context | 410 | 46 |
//! | depthwise convolution | 115 | 16 |
//! | add | 828 | 62 |
//! | mul | 24 | 5 |
//! | lookup | 73 | 6 |
//! | network | 3,469 | 646 |
//! | step with front end | 3,632 | 809 |
//!
//! [`plain`]: super::plain

mod attention;
mod dense;
mod elementwise;
mod matmul;
mod softmax;

use super::Kernels;
use crate::plan::Requantize;

use attention::{context, scores};
use dense::{depthwise_conv, fully_connected};
use elementwise::{add, lookup, mul};

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
