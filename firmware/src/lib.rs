//! Zerda's firmware recognizes spoken commands in a stream of audio, in INT8. It is `no_std`, has no
//! allocator, and uses no floating point after the front end.
//!
//! The modules follow the path of the audio. [`audio`] brings it from an interrupt to the main loop,
//! [`front_end`] makes features of 25 ms of samples every 10 ms, [`quiet`] says whether anybody speaks, [`cache`] keeps what the next step reads,
//! [`step`] runs the [`plan`] of the [`image`] with [`kernels`] in [`fixed_point`] arithmetic, [`decoder`]
//! turns posteriors into words, [`gate`] says which of them count, and [`grammar`] turns these into commands.
//! [`templates`] find phrases that the network was not taught.
//! [`recognizer`] drives them all, and [`app`] sets pins, reports by [`telemetry`] and answers each [`request`] of a host, both in
//! a [`frame`]; [`recovery`] starts a device again that failed. A product takes the whole of it, or the recognizer alone.
//!
//! # Features
//!
//! The features `dsp` and `mve` choose faster kernels with the same results, for cores with Arm's DSP
//! extension (Cortex-M4, M7, M33) and with Helium (Cortex-M55, M85; needs `-C target-cpu`). On x86-64 and AArch64
//! the processor decides, which `std` looks at; without it, the target does, as on WebAssembly with `simd128`. `defmt` adds
//! logging.
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
//! [`Image::parse`] accepts can run, in time bounded by [`image::MAX_WORK`]. The page
//! `docs/untrusted-models.md` says what that means for models that you do not trust, and what it does not
//! mean. A [`Recognizer`] takes about 5 KiB; caches and arena lie in the memory that it is given,
//! [`memory_bytes`] of it.
#![no_std]
#![deny(unsafe_code)] // but in the kernels for one kind of core
#![deny(missing_docs)]

#[cfg(any(test, feature = "std"))]
extern crate std;

pub mod app;
pub mod audio;
pub mod cache;
mod crc;
pub mod decoder;
pub mod fixed_point;
pub mod frame;
pub mod front_end;
pub mod gate;
pub mod grammar;
#[cfg(any(test, feature = "test-image"))]
#[doc(hidden)]
pub mod hostile;
pub mod image;
pub mod kernels;
pub mod npu;
pub mod plan;
pub mod quiet;
pub mod recognizer;
pub mod recovery;
pub mod request;
pub mod step;
pub mod telemetry;
pub mod templates;
#[cfg(any(test, feature = "test-image"))]
#[cfg_attr(not(test), allow(dead_code))] // the fuzz target needs a part
mod test_image;

pub use decoder::Word;
pub use grammar::Detection;
pub use image::{Aligned, Image, ParseError, memory_bytes, npu_scratch_bytes};
pub use recognizer::{Event, Memory, MemoryTooSmall, Recognizer};

#[cfg(target_endian = "big")]
compile_error!("the image is little-endian and read in place");
