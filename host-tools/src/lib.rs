//! The commands of `zerda` as a library, so that the tests across crates call what users call.

pub mod audio;
pub mod compiler;
pub mod config;
pub mod error;
pub mod eval;
pub mod export;
pub mod image_file;
pub mod output;
pub mod run;
pub mod tflite;
pub mod trace;
pub mod tract_step;
