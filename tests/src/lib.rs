//! What the tests across crates share.

pub mod audio;
pub mod bench;
pub mod exports;
pub mod recorder;
pub mod splice;
pub mod tflm;
pub mod whole_stream;

use std::io::Write;
use std::path::{Path, PathBuf};

use zerda_support::image_file::ImageFile;

/// A path in the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name(path)
}

/// The image that ships.
pub fn shipped_image() -> ImageFile {
    ImageFile::open(&repository("models/shrunk.zerda")).unwrap()
}

/// Says that a test did not run, and why, past the test harness, which hides the output of tests
/// that pass.
pub fn say_skipped(what: &str, why: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED {what}: {why}");
}

/// Whether a continuous integration system runs this: what it can install may not be missing.
pub fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|ci| !matches!(ci.as_str(), "" | "0" | "false"))
}
