//! Holds what the tests of all crates share: the repository's samples, its image, and changed settings.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::config::Commands;
use crate::image_file::ImageFile;

/// Text of the built-in `commands.toml`.
pub const COMMANDS: &str = include_str!("../config/commands.toml");

/// Returns a path in the repository.
///
/// # Panics
///
/// Panics where this crate is not in the repository, as in one that was downloaded from a registry.
pub fn repository(path: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().unwrap().join(path)
}

/// Says that a test did not run, and why, past the test harness, which hides the output of tests that pass.
pub fn say_skipped(what: &str, why: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED {what}: {why}");
}

/// Says whether a continuous integration system runs this: what it can install may not be missing.
pub fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|ci| !matches!(ci.as_str(), "" | "0" | "false"))
}

/// Returns the image that ships.
pub fn shrunk() -> ImageFile {
    ImageFile::open(&repository("models/shrunk.zerda")).unwrap()
}

/// Returns the built-in `commands.toml`, changed.
pub fn commands(change: impl FnOnce(&str) -> String) -> Commands {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("commands.toml"), change(COMMANDS)).unwrap();
    Commands::load(Some(folder.path())).unwrap()
}

/// Returns noise that swells and fades, 16 kHz.
pub fn recording(seed: u32, samples: usize) -> Vec<i16> {
    let mut random = seed;
    let sample = |i: usize| {
        random = random.wrapping_mul(1664525).wrapping_add(1013904223);
        let level = (i as f32 / 3000.0).sin().abs() * 8000.0;
        let noise = (random >> 16) as f32 / 32768.0 - 1.0;
        let tone = (i as f32 * 0.05 * (1.0 + seed as f32 / 7.0)).sin();
        ((noise * 0.3 + tone * 0.7) * level) as i16
    };
    (0..samples).map(sample).collect()
}

/// Returns the day, as 2026-11-30.
pub fn today() -> String {
    let date = Command::new("date").arg("+%F").output();
    let date = date.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_string());
    date.unwrap_or_else(|_| "an unknown day".into())
}

/// Returns the name of this machine's processor where Linux tells it, else of its architecture.
pub fn processor() -> String {
    let told = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = told
        .lines()
        .find_map(|line| line.strip_prefix("model name\t: "));
    name.unwrap_or(std::env::consts::ARCH).into()
}
