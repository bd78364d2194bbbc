//! Finds the clips of labelled folders: directories that have one folder a label.

use std::fs;
use std::path::{Path, PathBuf};

use crate::audio;
use crate::error::{Error, Result};

/// Says which clips of a labelled folder count.
#[derive(Default)]
pub struct Wanted {
    /// Labels whose folders are read; if it is empty, all of the model's.
    pub labels: Vec<String>,
    /// Number of clips that count of each label in each directory, the first by name; `None` counts
    /// all.
    pub limit: Option<usize>,
}

/// Holds what was found in the directories.
#[derive(Default)]
pub struct Found {
    /// Clips that count, each of which comes with the number of its label.
    pub files: Vec<(usize, PathBuf)>,
    /// Folders whose clips do not count.
    pub left_out: Vec<String>,
}

impl Wanted {
    /// Says what the folders that are left out have in common.
    pub fn why_left_out(&self) -> &'static str {
        match &self.labels[..] {
            [] => "as no labels of the model",
            _ => "as not among --labels",
        }
    }

    /// Returns the labels of the model, or those of them that were asked for. An unknown label is
    /// an error.
    fn among<'a>(&'a self, labels: &[&'a str]) -> Result<Vec<&'a str>> {
        let unknown = |label: &&String| !labels.contains(&label.as_str());
        if let Some(label) = self.labels.iter().find(unknown) {
            return Err(Error::usage(format!(
                "--labels: `{label}` is no label of the model, which has {}",
                labels.join(" ")
            )));
        }
        Ok(match &self.labels[..] {
            [] => labels.to_vec(),
            wanted => wanted.iter().map(String::as_str).collect(),
        })
    }
}

/// Finds the wanted clips in directories that have one folder a label.
pub fn find(directories: &[PathBuf], labels: &[&str], wanted: &Wanted) -> Result<Found> {
    let among = wanted.among(labels)?;
    let mut found = Found::default();
    for directory in directories {
        found.add(directory, labels, &among, wanted)?;
    }
    // The order of a folder's entries is the file system's own; what is named twice does not count twice.
    found.files.sort();
    found.files.dedup();
    found.left_out.sort();
    found.left_out.dedup();
    Ok(found)
}

impl Found {
    fn add(
        &mut self,
        directory: &Path,
        labels: &[&str],
        among: &[&str],
        wanted: &Wanted,
    ) -> Result<()> {
        let failed = |error| Error::read(directory, error);
        let mut labelled = false;
        for entry in fs::read_dir(directory).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let folder = path.is_dir() && !audio::is_hidden(&path);
            let Some(name) = path.file_name().filter(|_| folder) else {
                continue;
            };
            let name = name.to_string_lossy();
            let label = labels.iter().position(|label| *label == name);
            match label.filter(|_| among.contains(&&*name)) {
                Some(label) => {
                    labelled = true;
                    let clips = audio::list(&path)?.into_iter().map(|clip| (label, clip));
                    let most = wanted.limit.unwrap_or(usize::MAX);
                    self.files.extend(clips.take(most));
                }
                None => self.left_out.push(name.into_owned()),
            }
        }
        if labelled {
            return Ok(());
        }
        Err(Error::usage(format!(
            "{}: no folder in it is named as a label of {}: {}",
            directory.display(),
            match &wanted.labels[..] {
                [] => "the model",
                _ => "--labels",
            },
            among.join(" ")
        )))
    }
}
