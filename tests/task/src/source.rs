//! Finds the Rust sources that git knows, and tells tests from the rest.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

/// A Rust file of the repository.
pub struct Source {
    /// The path from the repository's root, with `/`.
    pub path: String,
    pub text: String,
}

impl Source {
    /// Says whether the whole file serves for tests only.
    pub fn is_test(&self) -> bool {
        let folder = |name: &str| self.path.contains(&format!("{name}/"));
        let stem = self.path.rsplit('/').next().unwrap_or_default();
        folder("tests") || stem.contains("test") || stem == "tiny_onnx.rs"
    }

    /// Returns the text before the tests that end many files.
    pub fn product(&self) -> &str {
        let end = self.text.find("#[cfg(test)]\nmod tests {");
        &self.text[..end.unwrap_or(self.text.len())]
    }
}

/// Reads all Rust files that git knows, from any folder of the repository.
pub fn all() -> Result<Vec<Source>, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let listed = Command::new("git")
        .arg("-C")
        .arg(&root)
        .args(["ls-files", "*.rs"])
        .output();
    let listed = listed.map_err(|error| format!("git ls-files: {error}"))?;
    if !listed.status.success() {
        return Err(format!(
            "git ls-files: {}",
            String::from_utf8_lossy(&listed.stderr).trim()
        ));
    }
    let paths = String::from_utf8_lossy(&listed.stdout);
    let read = |path: &str| {
        let text =
            fs::read_to_string(root.join(path)).map_err(|error| format!("{path}: {error}"))?;
        Ok(Source {
            path: path.into(),
            text,
        })
    };
    // A file that was removed, and git does not know yet, is none.
    paths
        .lines()
        .filter(|path| root.join(path).exists())
        .map(read)
        .collect()
}
