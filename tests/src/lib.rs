//! What the tests across crates share.

pub mod audio;
pub mod bench;
pub mod exports;
pub mod recorder;
pub mod splice;
pub mod tflm;
pub mod whole_stream;

use std::path::{Path, PathBuf};

use zerda_support::image_file::ImageFile;

pub use zerda_support::test_support::{in_ci, say_skipped};

/// A path in the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name(path)
}

/// The image that ships.
pub fn shipped_image() -> ImageFile {
    ImageFile::open(&repository("models/shrunk.zerda")).unwrap()
}
