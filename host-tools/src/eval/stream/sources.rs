//! The recordings that streams are made of, and the negatives.

use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;
use zerda_firmware::Image;

use super::track::Track;
use crate::audio::{self, SAMPLE_RATE};
use crate::error::{Error, Result};
use crate::eval::find;
use crate::run::tail;

/// The commands of a labelled folder.
pub struct Clips {
    /// With the number of the label.
    pub files: Vec<(usize, PathBuf)>,
    /// Of the model.
    pub labels: Vec<String>,
    /// Those that are commands and have clips.
    pub spoken: Vec<usize>,
}

impl Clips {
    pub fn find(image: &Image<'_>, directory: &Path, limit: Option<usize>) -> Result<Clips> {
        let labels: Vec<_> = image.labels().collect();
        let names: Vec<_> = labels.iter().map(|label| label.name).collect();
        let mut files = find(directory, &names, limit)?.files;
        files.retain(|&(label, _)| labels[label].threshold > 0);
        if files.is_empty() {
            return Err(Error::usage(format!(
                "{}: its folders hold no WAV or FLAC file of a command",
                directory.display()
            )));
        }
        let mut spoken: Vec<_> = files.iter().map(|(label, _)| *label).collect();
        spoken.dedup();
        Ok(Clips {
            files,
            labels: names.into_iter().map(String::from).collect(),
            spoken,
        })
    }
}

/// The files that are named, and those of the folders that are.
pub fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let found = audio::list(path)?;
        if found.is_empty() {
            return Err(Error::usage(format!(
                "{}: holds no WAV or FLAC file; convert others to FLAC first",
                path.display()
            )));
        }
        files.extend(found);
    }
    // Of a file that is named twice the hours would count twice.
    files.sort();
    files.dedup();
    Ok(files)
}

/// A recording without commands, heard from its start as it was recorded.
pub struct Negative {
    pub file: PathBuf,
    pub track: Track,
    pub samples: u64,
}

impl Negative {
    pub fn hours(negatives: &[Negative]) -> f64 {
        let samples: u64 = negatives.iter().map(|negative| negative.samples).sum();
        samples as f64 / f64::from(SAMPLE_RATE) / 3600.0
    }
}

/// Runs the network over all that can be read; of what cannot, a line each.
pub fn negatives(
    image: &Image<'_>,
    memory: impl Fn() -> Vec<i8> + Send + Sync,
    files: &[PathBuf],
    progress: &ProgressBar,
) -> Vec<Negative> {
    let tail = tail(image);
    let heard = files.par_iter().map_init(memory, |memory, file| {
        let heard = audio::read(file).and_then(|samples| {
            Ok(Negative {
                file: file.clone(),
                track: Track::of(image, memory, &[&samples[..], &tail].concat())?,
                samples: samples.len() as u64,
            })
        });
        progress.inc(1);
        heard.inspect_err(Error::report).ok()
    });
    heard.flatten().collect()
}

pub fn progress(streams: usize) -> ProgressBar {
    let style = "{wide_bar} {pos}/{len} streams, {eta} left";
    let style =
        ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(streams as u64).with_style(style)
}
