//! The commands that need the float network: `compile`, `eval` and `inspect --onnx`.
//!
//! The engine that runs it takes two thirds of the time that all of `zerda` takes to build. So it is a feature,
//! `float`, which a binary may lack: `cargo run --release -- run ...` is then soon done on a machine where nothing is
//! built yet, and the first command that needs the float network has cargo build the rest.

#[cfg(feature = "float")]
mod with;
#[cfg(not(feature = "float"))]
mod without;

#[cfg(feature = "float")]
pub(crate) use with::{compile, eval, inspect};
#[cfg(not(feature = "float"))]
pub(crate) use without::forward;
