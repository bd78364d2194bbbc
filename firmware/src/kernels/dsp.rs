//! These kernels are for cores with Arm's DSP extension: Cortex-M4, M7, M33.
//!
//! A 16-bit SMLAD multiplies two pairs of int8 that SXTB16 widens. Ten rows are multiplied two by two columns, which
//! are widened once for all of them; five rows share each word that is widened as it is loaded. Sums stay in
//! registers. One SMMLAR is TFLite's doubling high multiplication, and a second is the shift, its rounding and the
//! zero point: `2^(32 - shift)` is its factor, and a 2^20th more lets ties go away from zero where the shift is 12 or
//! less; else an addition does. The softmax has one table of exponentials, the convolution pairs taps, and the
//! Fourier transform does two stages at a time. If something does not fit a fast path, such as a scale that shifts
//! left, it is left to [`plain`].
//!
//! Naked functions name a core to the assembler (`.cpu`), which otherwise knows the target's architecture alone: that of
//! Armv8-M has no such instructions.
//!
//! The table shows thousands of instructions of a steady step of `models/shrunk.zerda`, counted in QEMU
//! (`mps2-an386`, Cortex-M4). The limit is the arithmetic alone: two products an SMLAD, or, of an element, what its
//! loop takes without a branch; what is left are loads, widening, requantization and the operators' own overhead.
//!
//! | operators | plain | dsp | limit | left |
//! |---|--:|--:|--:|--:|
//! | fully connected | 9,122 | 1,409 | 824 | 585 |
//! | scores | 1,271 | 133 | 53 | 80 |
//! | softmax | 352 | 122 | 67 | 55 |
//! | context | 1,253 | 142 | 53 | 89 |
//! | depthwise convolution | 160 | 61 | 7 | 54 |
//! | add | 876 | 128 | 109 | 19 |
//! | mul | 31 | 11 | 10 | 1 |
//! | lookup | 60 | 35 | 30 | 5 |
//! | network | 13,126 | 2,040 | | |
//! | front end, of 5 frames | 199 | 124 | | |
//! | step with front end | 13,340 | 2,180 | | |
//!
//! Of what is left of fully connected layers, 284 is what tiles of 2 rows x 2 columns load and widen beside their
//! products (`matmul` has a table of tiles), and 68 what those of 5 rows x 1 column do; 81 requantizes 19,270 sums, and
//! 152 begins sums, ends loops, widens rows and checks scales. Weights of 16 bits, packed before, would spare 112 and
//! take 190 KiB more of flash.
//!
//! [`plain`]: super::plain

mod attention;
mod conv;
mod dense;
mod elements;
mod elementwise;
mod matmul;
mod ops;
mod softmax;
#[cfg(target_abi = "eabihf")]
mod spectrum;

use super::Kernels;
use crate::plan::Requantize;

use attention::{context, scores};
use dense::{depthwise_conv, fully_connected};
use elementwise::{add, lookup, mul};

#[cfg(target_abi = "eabihf")]
pub use spectrum::filter_bank;

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
