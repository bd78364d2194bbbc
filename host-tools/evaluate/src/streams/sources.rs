//! Finds the recordings that streams are made of, and the negatives.

use std::path::PathBuf;

use zerda_firmware::Image;
use zerda_support::audio::{self, Recording, SAMPLE_RATE, tail};
use zerda_support::batch::{Batch, Turn};
use zerda_support::clips::{Found, Wanted, find};
use zerda_support::error::{Error, Result};

use super::make::Clip;
use super::track::{Hearing, Track};
use super::wake::WakeGate;

/// Holds the clips of commands in labelled folders; with a gate, those of wake words and commands.
pub struct Clips {
    /// Files of the clips, each of which comes with the number of its label.
    pub files: Vec<(usize, PathBuf)>,
    /// Names of all labels that the model has.
    pub labels: Vec<String>,
    /// Labels whose words are said by themselves: the commands that have clips, with a gate the wake words.
    pub spoken: Vec<usize>,
    /// Labels that are said after a wake word, if there is a gate: the commands that have clips.
    pub commands: Vec<usize>,
    /// Folders whose clips do not count.
    pub left_out: Vec<String>,
}

impl Clips {
    pub fn find(image: &Image<'_>, directories: &[PathBuf], wanted: &Wanted) -> Result<Clips> {
        let labels: Vec<_> = image.labels().collect();
        let names: Vec<_> = labels.iter().map(|label| label.name).collect();
        let Found {
            mut files,
            left_out,
        } = find(directories, &names, wanted)?;
        files.retain(|&(label, _)| labels[label].threshold > 0);
        if files.is_empty() {
            return Err(Error::usage(format!(
                "{}: the folders hold no recording of a command",
                named(directories)
            )));
        }
        let mut spoken: Vec<_> = files.iter().map(|(label, _)| *label).collect();
        spoken.dedup();
        Ok(Clips {
            files,
            labels: names.into_iter().map(String::from).collect(),
            spoken,
            commands: Vec::new(),
            left_out,
        })
    }

    /// Returns the same clips as a gate sees them: wake words apart from commands. A wake word without a clip is an
    /// error.
    pub fn gated(self, wake: &WakeGate, directories: &[PathBuf]) -> Result<Clips> {
        let (spoken, commands): (Vec<_>, Vec<_>) = self
            .spoken
            .iter()
            .partition(|&&label| wake.is_wake_word(label));
        let words = (0..self.labels.len()).filter(|&label| wake.is_wake_word(label));
        let missing: Vec<_> = words
            .filter(|label| !spoken.contains(label))
            .map(|label| self.labels[label].as_str())
            .collect();
        if !missing.is_empty() {
            return Err(Error::usage(format!(
                "{}: no recording of the wake word {}, expected a folder with clips of each",
                named(directories),
                missing.join(" or ")
            )));
        }
        Ok(Clips {
            spoken,
            commands,
            ..self
        })
    }

    pub fn clip(&self, number: usize) -> Clip {
        let (label, path) = &self.files[number];
        Clip {
            label: *label,
            number,
            path: path.clone(),
        }
    }

    /// Returns the numbers of the clips that are said by themselves.
    pub fn alone(&self) -> impl Iterator<Item = usize> {
        let numbers = 0..self.files.len();
        numbers.filter(|&number| self.spoken.contains(&self.files[number].0))
    }
}

fn named(directories: &[PathBuf]) -> String {
    let names = directories.iter().map(|path| path.display().to_string());
    names.collect::<Vec<_>>().join(", ")
}

/// Lists the files that are named, and the recordings of the folders that are, sorted and each once.
pub fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = audio::expand(paths)?;
    // A file that is named twice would have its hours counted twice.
    files.sort();
    files.dedup();
    Ok(files)
}

/// A recording without commands that was heard from its start, as it was recorded.
pub struct Negative {
    pub file: PathBuf,
    pub track: Track,
    pub samples: u64,
}

impl Negative {
    /// Runs the network over a recording as it is decoded, however long it is.
    fn hear(
        image: &Image<'_>,
        memory: &mut [i8],
        turn: &Turn<'_, PathBuf, Result<Negative>>,
        tail: &[i16],
    ) -> Result<Negative> {
        let mut recording = Recording::open(turn.item, None)?;
        let mut hearing = Hearing::new(image, memory)?;
        let mut samples = 0;
        while let Some(piece) = recording.next_piece()? {
            samples += piece.len() as u64;
            hearing.push(piece);
            turn.heard(piece.len());
        }
        hearing.push(tail);
        Ok(Negative {
            file: turn.item.clone(),
            track: hearing.track,
            samples,
        })
    }

    pub fn hours(negatives: &[Negative]) -> f64 {
        let samples: u64 = negatives.iter().map(|negative| negative.samples).sum();
        samples as f64 / f64::from(SAMPLE_RATE) / 3600.0
    }
}

/// Runs the network over all files that can be read, and prints an error line for each of the others.
pub fn negatives(image: &Image<'_>, files: &[PathBuf]) -> Result<Vec<Negative>> {
    let tail = tail(image);
    let mut negatives = Vec::new();
    let batch = Batch::new(files).shown("files", |file| audio::forecast(file));
    batch.each(
        vec![0; image.memory_bytes()],
        |memory, turn| Negative::hear(image, memory, turn, &tail),
        |heard| {
            negatives.extend(heard.inspect_err(Error::report).ok());
            Ok(())
        },
    )?;
    Ok(negatives)
}
