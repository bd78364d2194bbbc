//! `zerda-quantize` makes an INT8 image of a float network whose values were observed.
//!
//! It serves the compiler, which observes what the values are, and the simulator, which makes images of shapes that
//! nobody has trained ([`skeleton`]). It depends on `zerda-support` alone: it computes ranges, integers and places
//! in memory, and runs no float network. That is why it is not a part of the compiler: the simulator needs this half
//! of it, and builds without the other half, and tract.
//!
//! A [`graph`] holds the network in the vocabulary of the plan, [`observations`] say which values it saw, [`ranges`]
//! chooses from them what the integers stand for, [`equalize`] evens out its columns, `memory.rs` gives every tensor its
//! place, [`quantizer`] makes the operators, and a [`model::Model`] writes the image.

pub mod equalize;
mod front_end;
pub mod functions;
pub mod graph;
pub mod histogram;
mod inverse_root;
mod memory;
pub mod model;
pub mod observations;
pub mod quantizer;
pub mod ranges;
pub mod skeleton;
pub mod tflite_params;
