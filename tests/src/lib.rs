//! What the tests across crates share.

pub mod audio;
pub mod bench;
pub mod exports;
pub mod recorder;
pub mod splice;
pub mod tflm;
pub mod whole_stream;

use std::path::{Path, PathBuf};

use zerda_support::config::Commands;
use zerda_support::detection::with_commands;
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

/// The image that ships with more at the end of `config/commands.toml`, as `zerda commands` makes it.
pub fn shipped_image_with(more: &str) -> ImageFile {
    let folder = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(repository("config/commands.toml")).unwrap();
    std::fs::write(
        folder.path().join("commands.toml"),
        format!("{text}\n{more}\n"),
    )
    .unwrap();
    let commands = Commands::load(Some(folder.path())).unwrap();
    with_commands(&shipped_image(), &commands).unwrap()
}
