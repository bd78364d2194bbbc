//! Kernels for cores with the DSP extension (Cortex-M4, M7, M33 ...).

mod attention;
mod dense;
mod elementwise;
mod ops;

pub use attention::{context, scores, softmax};
pub use dense::{depthwise_conv, fully_connected};
pub use elementwise::{add, lookup, mul};
