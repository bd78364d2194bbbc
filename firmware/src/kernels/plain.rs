//! These are the operators in plain Rust, for every target: the fast kernels must equal them, bit for bit.
//!
//! Inner loops are zipped iterators over `i8`, which LLVM vectorises where it can.

use super::Kernels;

mod attention;
mod dense;
mod elementwise;
mod spectrum;

pub use attention::{context, scores, softmax};
pub use dense::{depthwise_conv, fully_connected};
pub use elementwise::{add, lookup, move_to_front, mul};
#[cfg(all(feature = "dsp", not(feature = "mve"), target_abi = "eabihf"))]
pub use spectrum::sum_bands;
pub use spectrum::{filter_bank, logarithms};

/// The table of these kernels.
pub const KERNELS: Kernels = Kernels {
    name: "plain",
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

/// Returns the sum of products of `a` and `b`.
#[inline]
fn dot(a: &[i8], b: &[i8]) -> i32 {
    a.iter()
        .zip(b)
        .map(|(&a, &b)| i32::from(a) * i32::from(b))
        .fold(0, i32::wrapping_add)
}

/// The number of elements that are accumulated side by side when a sum runs down columns.
const BLOCK: usize = 16;
