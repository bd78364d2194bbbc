//! `zerda eval` measures accuracy on a folder of clips, of the float network in tract and of the
//! INT8 image in the firmware crate, on the same clips.
//!
//! A clip's answer is what `zerda run` would go by: the label with the highest smoothed posterior
//! over the clip, silence if none reaches one half.

mod answer;
mod report;
pub mod stream;

use std::fs;
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;

use crate::audio::{self, SAMPLE_RATE};
use crate::error::{Error, Result};
use crate::image_file::ImageFile;
use crate::operators::macs_per_step;
pub(crate) use answer::Answerer;
use report::Report;

pub struct Options {
    /// Folders that have one folder a label, of WAV and FLAC files.
    pub directories: Vec<PathBuf>,
    pub image: PathBuf,
    pub onnx: PathBuf,
    pub json: bool,
    pub wanted: Wanted,
}

/// Says which clips of a labelled folder count.
#[derive(Default)]
pub struct Wanted {
    /// Labels whose folders are read; if it is empty, all of the model's.
    pub labels: Vec<String>,
    /// Number of clips that count of each label in each directory, the first by name; `None` counts
    /// all.
    pub limit: Option<usize>,
}

/// Label whose clips serve as other speech before a clip.
const OTHER_SPEECH: &str = "_unknown_";
/// Number of samples of other speech that come before a clip: 1.2 s, which fills the attention
/// cache.
const CONTEXT: usize = SAMPLE_RATE as usize * 12 / 10;

struct Clip {
    label: usize,
    samples: Vec<i16>,
}

/// Labels that a clip was answered with, each by its number.
struct Outcome {
    label: usize,
    float: usize,
    int8: usize,
    /// Answer of INT8 after other speech; `None` where there is none to put before the clip.
    int8_after_speech: Option<usize>,
}

pub fn eval(options: &Options) -> Result<()> {
    let file = ImageFile::open(&options.image)?;
    let image = file.image()?;
    let labels: Vec<&str> = image.labels().map(|label| label.name).collect();
    let Found { files, left_out } = find(&options.directories, &labels, &options.wanted)?;
    let answerer = Answerer::new(&image, &options.onnx)?;
    if files.is_empty() {
        let names = options.directories.iter().map(|path| path.display());
        let names: Vec<_> = names.map(|name| name.to_string()).collect();
        return Err(Error::usage(format!(
            "{}: the folders hold no WAV or FLAC file",
            names.join(", ")
        )));
    }
    let clips = read(&files);
    let errors = clips.len() < files.len();
    if clips.is_empty() {
        return Err(Error::Reported);
    }
    let outcomes = answer_all(answerer, &labels, &clips)?;
    let report = Report {
        labels: &labels,
        commands: image.labels().map(|label| label.threshold > 0).collect(),
        left_out,
        why_left_out: options.wanted.why_left_out(),
        macs_per_step: macs_per_step(&image),
        outcomes: &outcomes,
    };
    report.print(options.json)?;
    if errors {
        return Err(Error::Reported);
    }
    Ok(())
}

/// Holds what was found in the directories.
#[derive(Default)]
pub(crate) struct Found {
    /// Clips that count, each of which comes with the number of its label.
    pub files: Vec<(usize, PathBuf)>,
    /// Folders whose clips do not count.
    pub left_out: Vec<String>,
}

impl Wanted {
    /// Says what the folders that are left out have in common.
    pub(crate) fn why_left_out(&self) -> &'static str {
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
pub(crate) fn find(directories: &[PathBuf], labels: &[&str], wanted: &Wanted) -> Result<Found> {
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
            let Some(name) = path.file_name().filter(|_| path.is_dir()) else {
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

/// Reads the clips that can be read, and prints an error line for each of the others.
fn read(files: &[(usize, PathBuf)]) -> Vec<Clip> {
    let read = |(label, path): &(usize, PathBuf)| {
        let samples = audio::read(path).inspect_err(Error::report).ok()?;
        Some(Clip {
            label: *label,
            samples,
        })
    };
    files.par_iter().filter_map(read).collect()
}

/// Answers every clip on all cores; the outcomes keep the order of the clips.
fn answer_all(answerer: Answerer<'_>, labels: &[&str], clips: &[Clip]) -> Result<Vec<Outcome>> {
    let speech = labels.iter().position(|label| *label == OTHER_SPEECH);
    let speech: Vec<usize> = (0..clips.len())
        .filter(|&i| Some(clips[i].label) == speech)
        .collect();
    let style = "{wide_bar} {pos}/{len} clips, {eta} left";
    let style =
        ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar());
    let progress = ProgressBar::new(clips.len() as u64).with_style(style);
    let answer = |answerer: &mut Answerer<'_>, (index, clip): (usize, &Clip)| {
        let context = context(clips, &speech, index);
        let after_speech = context.map(|context| answerer.int8(&context, &clip.samples));
        let outcome = Outcome {
            label: clip.label,
            float: answerer.float(&clip.samples)?,
            int8: answerer.int8(&[], &clip.samples)?,
            int8_after_speech: after_speech.transpose()?,
        };
        progress.inc(1);
        Ok(outcome)
    };
    let outcomes = clips.par_iter().enumerate();
    let outcomes = outcomes.map_with(answerer, answer).collect();
    progress.finish_and_clear();
    outcomes
}

/// Returns the other speech that comes before a clip: the last [`CONTEXT`] samples of several clips
/// of unknown words, never of the clip itself, which ones depending on nothing but the clip's
/// number. It ends as its last clip ends, not within a word that would rightly be recognised late.
/// `None` means that there is no other clip of unknown words.
fn context(clips: &[Clip], speech: &[usize], index: usize) -> Option<Vec<i16>> {
    if !speech.iter().any(|&other| other != index) {
        return None;
    }
    let mut context = Vec::new();
    // Coprime to most counts, so that neighbours get different speech.
    let mut others = speech.iter().cycle().skip(index * 37 % speech.len());
    while context.len() < CONTEXT {
        let other = *others.next()?;
        if other != index {
            context.extend_from_slice(&clips[other].samples);
        }
    }
    Some(context.split_off(context.len() - CONTEXT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_speech_before_a_clip_is_never_the_clip_and_ends_with_a_whole_one() {
        let clip = |value| Clip {
            label: 0,
            samples: vec![value; 16_000],
        };
        let clips = [clip(0), clip(1), clip(2)];
        for index in 0..3 {
            let context = context(&clips, &[1, 2], index).unwrap();
            assert_eq!(context.len(), 19_200);
            assert!(!context.contains(&(index as i16)), "clip {index}");
            let last = &context[3_200..];
            assert!(last.iter().all(|sample| *sample == last[0]));
        }
        assert!(context(&clips, &[1], 1).is_none());
    }
}
