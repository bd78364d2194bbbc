//! `zerda-evaluate` measures what an image hears, as the device would hear it.
//!
//! It serves `zerda eval --stream` ([`streams`]), `zerda tune` ([`tune`]), `zerda run --explain` ([`misses`]) and
//! `zerda enroll` ([`enroll`]). It depends on `zerda-support` alone: the image runs in the firmware crate, and no float
//! network beside it. What compares an image with its float network, clip by clip or operator by operator, is a crate of
//! its own (`zerda-compare`), so that this one and `run` build without tract.

pub mod enroll;
pub mod misses;
pub mod streams;
pub mod tune;
