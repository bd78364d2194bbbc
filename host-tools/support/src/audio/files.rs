//! Finds the recordings in a folder.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::KINDS;
use crate::error::{Error, Result};
use crate::files;

/// Ends of the names of files that are taken for recordings.
const EXTENSIONS: [&str; 16] = [
    "wav", "wave", "rf64", "flac", "mp3", "aac", "ogg", "oga", "opus", "m4a", "m4b", "mp4", "aif",
    "aiff", "aifc", "caf",
];

/// Lists the recordings under `directory`, folders within it included, in the order of their paths. Hidden files and
/// folders are left out, and what links lead to is listed once. All of them are inputs, whether or not they are heard.
pub fn list(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut known = HashSet::new();
    // Links come after everything else, so that a file is called by its own name where it has one here.
    let (mut folders, mut links) = (vec![directory.to_path_buf()], Vec::new());
    while let Some(path) = folders.pop().or_else(|| links.pop()) {
        let real = path.canonicalize();
        if !known.insert(real.unwrap_or_else(|_| path.clone())) {
            continue;
        }
        if !path.is_dir() {
            found.push(path);
            continue;
        }
        let failed = |error| Error::read(&path, error);
        let mut names = Vec::new();
        for entry in fs::read_dir(&path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if !is_hidden(&entry.path()) {
                names.push((entry.path(), entry.file_type().map_err(failed)?));
            }
        }
        names.sort_by(|(a, _), (b, _)| b.cmp(a));
        for (path, kind) in names {
            if kind.is_symlink() {
                links.push(path);
            } else if kind.is_dir() || is_recording(&path) {
                folders.push(path);
            }
        }
    }
    found.retain(|path| is_recording(path));
    found.sort();
    found.iter().try_for_each(|path| files::note(path))?;
    Ok(found)
}

/// Returns the files that are named, and the recordings of the folders that are. A folder without any is an error.
pub fn expand(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut named = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files::note(path)?;
            named.push(path.clone());
            continue;
        }
        let found = list(path)?;
        if found.is_empty() {
            return Err(Error::usage(format!(
                "{}: holds no recording, expected files of {KINDS}",
                path.display()
            )));
        }
        named.extend(found);
    }
    Ok(named)
}

/// Says whether a file or folder is hidden, as those are that systems and tools put beside one's own.
pub fn is_hidden(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

fn is_recording(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default();
    EXTENSIONS
        .iter()
        .any(|known| extension.eq_ignore_ascii_case(known))
}
