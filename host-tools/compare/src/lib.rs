//! `zerda-compare` holds an image against the float network that it was compiled from.
//!
//! It serves `zerda eval`, which says how many clips each of the two answers right ([`accuracy`]), and `zerda inspect
//! --onnx` and `zerda compile --report`, which say what INT8 cost, operator by operator ([`int8_cost`]). It depends on
//! `zerda-compiler`, which reads the ONNX and runs it in tract, and on what that depends on.

pub mod accuracy;
pub mod answer;
pub mod int8_cost;
mod pair;
