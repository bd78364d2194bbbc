//! `zerda-tflite` brings an image's step to the tools of the field: as TFLite, and through Vela onto an NPU.
//!
//! It serves `zerda export` ([`export`]) and `zerda npu` ([`npu`]), the simulator, which takes an NPU's time from Vela,
//! and the tests that hold operators against TensorFlow Lite Micro ([`writer`]). It depends on `zerda-quantize`, whose
//! functions and scales are those of TFLite's operators, and on `zerda-support`. It is not a part of the compiler,
//! since it reads a finished image and no ONNX.

pub mod export;
pub mod npu;
mod schema;
pub mod writer;
