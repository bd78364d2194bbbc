//! Zerda's firmware: spoken commands from audio, streaming, in INT8. `no_std`, no allocator, no
//! floating point after the front end.
//!
//! The path of the audio is the list of modules: [`front_end`] makes features of 25 ms of samples
//! each 10 ms, [`cache`] keeps what the next step reads, [`step`] runs the [`plan`] of the
//! [`image`] with [`kernels`] in [`fixed_point`] arithmetic, [`decoder`] turns posteriors into
//! detections, and [`recognizer`] drives them all.
//!
//! # Example
//!
//! ```
#![doc = include_str!("../examples/recognize.rs")]
//! ```
//!
//! # The streaming contract
//!
//! With a chunk of C frames, a step of S and a left context of L, call *n* of the network sees
//! frames `[nS, nS + C)`. The first S of them are committed: they are decoded and enter the
//! caches. The others are look-ahead, and are computed again in the next call. A query attends to
//! at most L committed frames before `nS` and to the chunk, so the cost of a step is bounded. At
//! the start of a stream the frames before it are absent: their keys have probability 0, their
//! rows in convolutions are zero.
//!
//! # Bounds
//!
//! No audio and no image makes anything here panic, loop without end or read out of bounds: what
//! [`Image::parse`] accepts can run, in time bounded by [`image::MAX_WORK`]. A [`Recognizer`] is
//! about 5 KiB; caches and arena are in the memory that it is given, [`memory_bytes`] of it.
#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

#[cfg(test)]
extern crate std;

pub mod cache;
pub mod decoder;
pub mod fixed_point;
pub mod front_end;
pub mod image;
pub mod kernels;
pub mod plan;
pub mod recognizer;
pub mod step;
#[cfg(test)]
mod test_image;

pub use decoder::Detection;
pub use image::{Aligned, Image, ParseError, memory_bytes};
pub use recognizer::{Event, Memory, MemoryTooSmall, Recognizer};

#[cfg(target_endian = "big")]
compile_error!("the image is little-endian and read in place");
