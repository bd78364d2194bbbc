//! `zerda eval --stream`: misses against false alarms an hour in long streams, as the device hears them.
//!
//! [`make`] places the commands of a labelled folder into noise and other speech, [`track`] runs the network over
//! each stream once and over the negatives, [`score`] says which detections of the firmware's own decoder are right
//! at a grid of thresholds, and [`summary`] what that means.

pub mod bounds;
mod html;
pub mod make;
mod room;
pub mod score;
pub mod sources;
pub mod summary;
pub mod sweep;
mod text;
pub mod track;

use std::io::{self, Write};
use std::path::PathBuf;

use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::image_file::ImageFile;
use crate::output;
use make::{Backgrounds, Condition, Script};
use room::Room;
use score::Spoken;
use sources::{Clips, negatives, progress};
use summary::Summary;
use sweep::Sweep;
use track::{Settings, Track};

pub struct Options {
    /// One folder a label, of WAV and FLAC files.
    pub directory: PathBuf,
    pub image: PathBuf,
    /// Speech and other sound without commands: files, and folders of them.
    pub negatives: Vec<PathBuf>,
    pub noise: Vec<PathBuf>,
    /// dB; none: clean.
    pub snr: Vec<Option<f64>>,
    pub rooms: Vec<bool>,
    /// dBFS.
    pub levels: Vec<f64>,
    pub seed: u64,
    pub fa_per_hour: f64,
    /// A share of 0 to 1 that the misses may be.
    pub max_miss: Option<f64>,
    pub limit: Option<usize>,
    pub json: bool,
    pub report: Option<PathBuf>,
}

/// Words of a stream: a minute of it, about.
const WORDS: usize = 24;
/// Rooms that words are heard in.
const ROOMS: usize = 8;

/// A stream with words, heard.
pub struct Mixed {
    /// Number of the condition.
    pub condition: usize,
    pub words: Vec<Spoken>,
    pub track: Track,
    pub samples: u64,
    pub clipped: u64,
}

/// All of them, and clips that gave no word.
#[derive(Default)]
pub struct Heard {
    pub streams: Vec<Mixed>,
    pub unreadable: usize,
    /// In which nothing is heard.
    pub silent: usize,
}

/// What streams are made of.
pub struct Making<'a> {
    pub clips: &'a Clips,
    pub noise: &'a [PathBuf],
    pub speech: &'a [PathBuf],
    pub conditions: &'a [Condition],
    pub seed: u64,
}

pub fn eval(options: &Options) -> Result<()> {
    let (summary, whole) = summarize(options)?;
    if let Some(path) = &options.report {
        output::write(path, html::page(&summary)?.as_bytes())?;
    }
    let text = match options.json {
        true => format!("{}\n", summary.json()?),
        false => text::text(&summary),
    };
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(text.as_bytes());
    written
        .and_then(|()| stdout.flush())
        .map_err(Error::stdout)?;
    match (&summary.failures[..], whole) {
        ([], true) => Ok(()),
        ([], false) => Err(Error::Reported),
        (failures, _) => Err(Error::check(failures.join("\n"))),
    }
}

/// What was found, and whether every file could be used; those that could not were said.
fn summarize(options: &Options) -> Result<(Summary, bool)> {
    let file = ImageFile::open(&options.image)?;
    let image = file.image()?;
    let clips = Clips::find(&image, &options.directory, options.limit)?;
    let speech = sources::files(&options.negatives)?;
    let noise = sources::files(&options.noise)?;
    let conditions = conditions(options);
    let making = Making {
        clips: &clips,
        noise: &noise,
        speech: &speech,
        conditions: &conditions,
        seed: options.seed,
    };
    let progress = progress(making.scripts().len() + speech.len());
    let memory = || vec![0i8; image.memory_bytes()];
    let heard = making.streams(&image, memory, &progress)?;
    let negatives = negatives(&image, memory, &speech, &progress);
    progress.finish_and_clear();
    if negatives.is_empty() || heard.streams.is_empty() {
        return Err(Error::Reported);
    }
    let whole = negatives.len() == speech.len() && heard.unreadable == 0;
    let own = Settings::of(&image);
    let sweep = Sweep::of(&image, &own, &conditions, &heard, &negatives);
    let summary = Summary::of(options, own, &clips, &heard, &sweep);
    Ok((summary, whole))
}

/// All of SNR, room and level.
fn conditions(options: &Options) -> Vec<Condition> {
    let mut conditions = Vec::new();
    for &level in &options.levels {
        for &reverberant in &options.rooms {
            conditions.extend(options.snr.iter().map(|&snr| Condition {
                snr,
                reverberant,
                level,
            }));
        }
    }
    conditions
}

impl Making<'_> {
    /// The clips of each stream, in an order that the seed gives.
    pub fn scripts(&self) -> Vec<Vec<(usize, usize, PathBuf)>> {
        let clips = self.clips.files.iter().enumerate();
        let mut clips: Vec<_> = clips
            .map(|(number, (label, path))| (*label, number, path.clone()))
            .collect();
        clips.shuffle(&mut Xoshiro256PlusPlus::seed_from_u64(self.seed));
        clips.chunks(WORDS).map(<[_]>::to_vec).collect()
    }

    /// Every stream under every condition: of one script the words, their times and their backgrounds are the
    /// same, so that conditions differ by nothing else.
    pub fn streams(
        &self,
        image: &zerda_firmware::Image<'_>,
        memory: impl Fn() -> Vec<i8> + Send + Sync,
        progress: &indicatif::ProgressBar,
    ) -> Result<Heard> {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(self.seed);
        let rooms: Vec<Room> = (0..ROOMS).map(|_| Room::draw(&mut random)).collect();
        let responses = match self
            .conditions
            .iter()
            .any(|condition| condition.reverberant)
        {
            true => rooms.par_iter().map(Room::response).collect(),
            false => Vec::new(),
        };
        let scripts: Vec<_> = self
            .scripts()
            .into_iter()
            .map(|clips| (clips, random.random()))
            .collect();
        let backgrounds = Backgrounds {
            noise: self.noise,
            speech: self.speech,
        };
        let scripts = scripts
            .par_iter()
            .map_init(memory, |memory, (clips, seed)| {
                let mut random = Xoshiro256PlusPlus::seed_from_u64(*seed);
                let script = Script::draw(clips, &backgrounds, ROOMS, &mut random)?;
                let mut heard = Heard {
                    unreadable: script.unreadable,
                    silent: script.silent,
                    ..Heard::default()
                };
                if !script.is_empty() {
                    for (condition, how) in self.conditions.iter().enumerate() {
                        let made = script.mix(how, &responses)?;
                        heard.streams.push(Mixed {
                            condition,
                            track: Track::of(image, memory, &made.samples)?,
                            words: made.words,
                            samples: made.samples.len() as u64,
                            clipped: made.clipped,
                        });
                    }
                }
                progress.inc(1);
                Ok(heard)
            });
        let mut all = Heard::default();
        for heard in scripts.collect::<Result<Vec<_>>>()? {
            all.unreadable += heard.unreadable;
            all.silent += heard.silent;
            all.streams.extend(heard.streams);
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests;
