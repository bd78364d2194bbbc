//! Chooses the similarity at which a phrase is detected, by how alike its recordings are and by other speech.

use std::path::PathBuf;

use zerda_firmware::Image;
use zerda_firmware::templates::{Cell, SAME, Template};
use zerda_support::audio::{self, Recording, SAMPLE_RATE, tail};
use zerda_support::batch::{Batch, Turn};
use zerda_support::error::{Error, Result};

use super::Alike;
use super::recording::Ear;

/// Bounds each threshold from below.
const LEAST: f64 = 0.75;
/// Hours of other speech below which the threshold is not lower than without any.
const ENOUGH_HOURS: f64 = 0.1;
/// Threshold that a phrase has without other speech: words gave about one false alarm an hour at it.
pub const ALONE: f64 = 0.83;
/// How much more alike recordings are than other speech is to their template, at least.
const APART: f64 = 0.06;

/// Says which stretch of other speech is most similar.
pub struct Nearest {
    pub similarity: f64,
    pub file: PathBuf,
    pub at_ms: u64,
}

/// Other speech that was heard, file by file: the similarity at the end of each row.
pub struct Negatives {
    similarities: Vec<(PathBuf, Vec<u16>)>,
    samples: u64,
    row_ms: usize,
}

impl Negatives {
    /// Hears recordings, and those of folders, in which the phrase is not said. One that cannot be read is an error.
    pub fn hear(
        image: &Image<'_>,
        ear: &Ear<'_>,
        template: &Template<'_>,
        paths: &[PathBuf],
    ) -> Result<Negatives> {
        let mut files = audio::expand(paths)?;
        files.sort();
        files.dedup();
        let tail = tail(image);
        let mut negatives = Negatives {
            similarities: Vec::new(),
            samples: 0,
            row_ms: ear.row_ms(),
        };
        let batch = Batch::new(&files).shown("files", |file| audio::forecast(file));
        let hear =
            |ear: &mut Ear<'_>, turn: &Turn<'_, PathBuf, _>| -> Result<(PathBuf, Vec<u16>, u64)> {
                let (mut similarities, mut samples) = (Vec::new(), 0);
                let mut recording = Recording::open(turn.item, None)?;
                let mut listener = ear.listener()?;
                let mut cells = vec![Cell::START; template.elements.len()];
                let mut push = |pcm: &[i16]| {
                    listener.push(pcm, |row| {
                        similarities.push(template.follow(row, &mut cells).similarity);
                    });
                };
                while let Some(piece) = recording.next_piece()? {
                    samples += piece.len() as u64;
                    push(piece);
                    turn.heard(piece.len());
                }
                push(&tail);
                Ok((turn.item.clone(), similarities, samples))
            };
        batch.each(ear.clone(), hear, |heard| {
            let (file, similarities, samples) = heard?;
            negatives.similarities.push((file, similarities));
            negatives.samples += samples;
            Ok(())
        })?;
        Ok(negatives)
    }

    /// Makes those of one file of so many hours, whose rows are 50 ms long.
    #[cfg(test)]
    pub fn of(file: &str, similarities: Vec<u16>, hours: u64) -> Negatives {
        Negatives {
            samples: hours * 3600 * u64::from(SAMPLE_RATE),
            similarities: vec![(file.into(), similarities)],
            row_ms: 50,
        }
    }

    pub fn hours(&self) -> f64 {
        self.samples as f64 / f64::from(SAMPLE_RATE) / 3600.0
    }

    /// Returns the most similar stretch.
    pub fn nearest(&self) -> Option<Nearest> {
        let rows = self.similarities.iter().flat_map(|(file, similarities)| {
            let rows = similarities.iter().enumerate();
            rows.map(move |(row, &similarity)| (similarity, file, row))
        });
        let (similarity, file, row) = rows.max_by_key(|(similarity, ..)| *similarity)?;
        Some(Nearest {
            similarity: f64::from(similarity) / f64::from(SAME),
            file: file.clone(),
            at_ms: (row + 1) as u64 * self.row_ms as u64,
        })
    }
}

/// A threshold, and what it was chosen by.
pub struct Chosen {
    pub similarity: f64,
    pub why: String,
}

/// Chooses the threshold of a phrase. Recordings that are hardly more alike than other speech is are an error, and so are
/// those that are less alike than the threshold.
pub fn choose(name: &str, alike: &Alike, negatives: Option<&Negatives>) -> Result<Chosen> {
    let mean = alike.mean();
    let heard = negatives.and_then(|negatives| Some((negatives.hours(), negatives.nearest()?)));
    let chosen = match heard {
        None => Chosen {
            similarity: ALONE,
            why: format!("threshold {ALONE}, as no --negatives are given"),
        },
        Some((hours, nearest)) => {
            let (file, at) = (nearest.file.display(), nearest.at_ms as f64 / 1e3);
            if mean - nearest.similarity < APART {
                return Err(Error::usage(format!(
                    "{name}: its recordings are {mean:.2} alike, and {file} at {at:.1} s is {:.2} similar: if the phrase \
                     is said there, take it out of --negatives, otherwise choose a longer phrase",
                    nearest.similarity
                )));
            }
            let least = if hours < ENOUGH_HOURS { ALONE } else { LEAST };
            let similarity = f64::midpoint(mean, nearest.similarity).max(least);
            let why = format!(
                "threshold {similarity:.2}: the most similar of {hours:.2} h without it is {:.2} ({file} at {at:.1} s)",
                nearest.similarity
            );
            Chosen { similarity, why }
        }
    };
    if mean < chosen.similarity {
        return Err(Error::usage(format!(
            "{name}: its recordings are {mean:.2} alike, less than the threshold {:.2}: say the phrase more alike, choose a \
             longer one, or name {ENOUGH_HOURS} h of other speech, or more, by --negatives",
            chosen.similarity
        )));
    }
    Ok(chosen)
}
