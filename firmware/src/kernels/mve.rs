//! Kernels for cores with the M-profile vector extension, Helium (Cortex-M55, M85).

mod attention;
mod dense;
mod elementwise;
mod matmul;
mod softmax;

pub use attention::{context, scores};
pub use dense::{depthwise_conv, fully_connected};
pub use elementwise::{add, lookup, mul};
pub use softmax::softmax;
