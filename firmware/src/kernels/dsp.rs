//! These kernels are for cores with Arm's DSP extension: Cortex-M4, M7, M33.
//!
//! A 16-bit SMLAD multiplies two pairs of int8 that SXTB16 widens; one SMMLAR is TFLite's doubling high
//! multiplication, and five instructions requantize. Five rows share each loaded weight, with their sums in
//! registers. The softmax has one table of exponentials, the convolution pairs taps. If something does not
//! fit a fast path, such as a scale that shifts left, it is left to [`plain`].
//!
//! The table shows thousands of instructions of a steady step of `models/shrunk.zerda`, counted in QEMU
//! (`mps2-an386`, Cortex-M4):
//!
//! | operators | plain | dsp |
//! |---|--:|--:|
//! | fully connected | 9,122 | 1,627 |
//! | scores | 1,271 | 159 |
//! | softmax | 352 | 159 |
//! | context | 1,253 | 175 |
//! | depthwise convolution | 160 | 100 |
//! | add | 876 | 176 |
//! | mul | 31 | 13 |
//! | lookup | 60 | 48 |
//! | network | 13,126 | 2,456 |
//! | step with front end | 13,340 | 2,670 |
//!
//! [`plain`]: super::plain

mod attention;
mod conv;
mod dense;
mod elementwise;
mod matmul;
mod ops;
mod softmax;

use super::Kernels;
use crate::plan::Requantize;

use attention::{context, scores};
use dense::{depthwise_conv, fully_connected};
use elementwise::{add, lookup, mul};

/// The table of these kernels.
pub const KERNELS: Kernels = Kernels {
    name: "dsp",
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
    super::softmax::softmax::<softmax::Words>(input, cols, absent, input_scale, diff_min, output);
}
