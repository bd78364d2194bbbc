//! `zerda-support` is the ground that all of Zerda's host tools stand on.
//!
//! It serves the other crates of `host-tools` and `memory-report`, which share one way to report errors, to print and
//! write, to read audio and configuration, and to read and write images. It depends on `zerda-firmware`, which
//! specifies the image, and on no other crate of this repository; nothing here runs a float network, so it builds
//! without tract.
//!
//! | what | where |
//! |---|---|
//! | errors and output | [`error`], [`output`], [`report`], [`html`], [`charts`], [`escape`] |
//! | files that are read, and are not written over | [`files`] |
//! | requests to end | [`interrupt`] |
//! | many recordings at once, and how far they are | [`batch`], [`progress`] |
//! | audio and its folders | [`audio`], [`speech`], [`clips`] |
//! | configuration | [`config`] |
//! | boards and NPUs | [`board`], [`ethos_u`] |
//! | images | [`image_file`], [`image_parts`], [`image_writer`], [`operators`], [`quantization`] |
//! | settings in an image | [`detection`], [`wake`] |
//! | phrases beside an image | [`template_file`] |
//! | figures | [`statistics`] |
//! | tools in Python | [`venv`] |
//!
//! Settings (thresholds, commands, wake words, the gate for the quiet) are put into an image here, below the compiler:
//! they leave the network as it is, and `run` and `qemu`, which compile nothing, need them for `--wake` and `--quiet`.
//!
//! The package's folder `config` is a link to the repository's, so that it holds the files that are built in; `boards`
//! has such a link for each file of `firmware/boards` that is.

pub mod audio;
pub mod batch;
pub mod board;
pub mod charts;
pub mod clips;
pub mod config;
pub mod detection;
pub mod error;
pub mod escape;
pub mod ethos_u;
pub mod files;
pub mod html;
pub mod image_file;
pub mod image_parts;
pub mod image_writer;
pub mod interrupt;
pub mod operators;
pub mod output;
pub mod progress;
pub mod quantization;
pub mod report;
pub mod speech;
pub mod statistics;
pub mod template_file;
#[cfg(any(test, feature = "test-support"))]
pub mod test_support;
pub mod venv;
pub mod wake;
