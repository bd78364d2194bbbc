//! Holds the commands of `zerda` as a library, so that the tests across crates call what users
//! call.

pub mod audio;
pub mod boards;
pub mod compiler;
pub mod config;
pub mod elf;
pub mod error;
pub mod eval;
pub mod explain;
pub mod export;
pub mod flash;
pub mod html;
pub mod image_file;
pub mod image_parts;
pub mod inspect;
pub mod monitor;
pub mod npu;
pub mod operators;
pub mod output;
pub mod qemu;
pub mod report;
pub mod run;
pub mod simulate;
pub mod tflite;
pub mod trace;
pub mod tract_step;
pub mod tune;
pub mod venv;
pub mod wake;
