//! `zerda eval --stream` measures misses against false alarms an hour in long streams, as the device hears them.
//!
//! [`make`] places the commands of a labelled folder into noise and other speech, [`track`] runs the network over each
//! stream once and over the negatives, [`score`] says which detections of the firmware's own decoder are right at a
//! grid of thresholds, and [`summary`] says what that means. With [`wake`] words these are what is judged, and
//! [`pairs`] of a wake word and a command.

pub mod bounds;
mod html;
pub mod make;
pub mod pairs;
mod room;
pub mod score;
pub mod sources;
pub mod summary;
pub mod sweep;
mod text;
pub mod track;
pub mod wake;

use std::path::PathBuf;

use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rayon::prelude::*;
use zerda_firmware::Image;
use zerda_support::batch::{Batch, Turn};
use zerda_support::clips::Wanted;
use zerda_support::config::Sensitivity;
use zerda_support::error::{Error, Result};
use zerda_support::output;
use zerda_support::wake::Words;

use make::{Backgrounds, Condition, Script, Utterance};
use room::Room;
use score::{Background, Spoken};
use sources::{Clips, Negative, negatives};
use summary::Summary;
use sweep::Sweep;
use track::{Settings, Track};
use wake::WakeGate;

pub struct Options {
    /// Folders that have one folder a label, of recordings.
    pub directories: Vec<PathBuf>,
    pub image: PathBuf,
    /// Files, and folders of them, of speech and other sound that has no command in it.
    pub negatives: Vec<PathBuf>,
    pub noise: Vec<PathBuf>,
    /// Signal to noise ratios in dB; `None` adds nothing.
    pub snr: Vec<Option<f64>>,
    pub rooms: Vec<bool>,
    /// Levels in dBFS that the loudest samples of the words are brought to.
    pub levels: Vec<f64>,
    pub seed: u64,
    /// Wake words that take the place of the image's own; `None` leaves those of the image, if it has any.
    pub wake: Option<Words>,
    /// Sensitivity of a voice activity gate that takes the place of the image's own.
    pub quiet: Option<Sensitivity>,
    /// Number of pairs of a wake word and a command that are said in each condition.
    pub pairs: usize,
    /// False alarms an hour, or false wakes an hour of each wake word, at which misses are reported.
    pub fa_per_hour: f64,
    /// Share of 0 to 1 that may be missed at most.
    pub max_miss: Option<f64>,
    pub wanted: Wanted,
    pub json: bool,
    pub report: Option<PathBuf>,
}

/// Number of words that a stream has: about a minute of it.
const WORDS: usize = 24;
/// Number of pairs that a stream has: about two minutes of it.
const PAIRS: usize = 12;
/// Number of rooms that words are heard in.
const ROOMS: usize = 8;

/// A stream with words that was heard under one condition.
pub struct Mixed {
    /// Number of the condition that it was heard under.
    pub condition: usize,
    /// Says whether its words are pairs, of a wake word and a command.
    pub pairs: bool,
    pub words: Vec<Spoken>,
    pub track: Track,
    pub samples: u64,
    pub clipped: u64,
}

/// Holds all streams that were heard, and counts the clips that gave no word.
#[derive(Default)]
pub struct Heard {
    pub streams: Vec<Mixed>,
    pub unreadable: usize,
    /// Number of clips in which nothing is heard.
    pub silent: usize,
}

/// Holds all that streams are made of: scripts, backgrounds, conditions and a seed.
pub struct Making<'a> {
    /// Utterances that are said in each stream.
    pub scripts: Vec<Vec<Utterance>>,
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
    output::print(text.trim_end_matches('\n'))?;
    match (&summary.failures[..], whole) {
        ([], true) => Ok(()),
        ([], false) => Err(Error::Reported),
        (failures, _) => Err(Error::Checks(failures.to_vec())),
    }
}

/// Measures everything and says whether every file could be used; those that could not were reported.
fn summarize(options: &Options) -> Result<(Summary, bool)> {
    let file = zerda_support::wake::open(&options.image, options.wake.as_ref(), options.quiet)?;
    let image = file.image()?;
    let mut clips = Clips::find(&image, &options.directories, &options.wanted)?;
    let own = Settings::of(&image);
    if let Some(wake) = &own.wake {
        clips = clips.gated(wake, &options.directories)?;
    }
    let speech = sources::files(&options.negatives)?;
    let noise = sources::files(&options.noise)?;
    let conditions = conditions(options, own.wake.is_some(), !noise.is_empty());
    let mut scripts = clips.scripts(options.seed, own.wake.as_ref());
    if let Some(wake) = &own.wake {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(options.seed);
        let pairs = pairs::draw(&clips, wake, options.pairs, &mut random);
        scripts.extend(pairs.chunks(PAIRS).map(<[_]>::to_vec));
    }
    let making = Making {
        scripts,
        noise: &noise,
        speech: &speech,
        conditions: &conditions,
        seed: options.seed,
    };
    let negatives = negatives(&image, &speech)?;
    if own.wake.is_some() && !negatives.is_empty() {
        bounds::resolved("wakes", options.fa_per_hour, Negative::hours(&negatives))?;
    }
    let heard = making.streams(&image)?;
    if negatives.is_empty() || heard.streams.is_empty() {
        return Err(Error::Reported);
    }
    let whole = negatives.len() == speech.len() && heard.unreadable == 0;
    let sweep = Sweep::of(&image, &own, &conditions, &heard, &negatives);
    let summary = Summary::of(options, own, &clips, &heard, &sweep);
    Ok((summary, whole))
}

/// Returns all combinations of SNR, room and level; with a gate each background is a condition of its own.
fn conditions(options: &Options, gated: bool, noise: bool) -> Vec<Condition> {
    let backgrounds = |snr: Option<f64>| match snr {
        None => vec![None],
        Some(_) if !gated => vec![None],
        Some(_) if noise => vec![Some(Background::Noise), Some(Background::Speech)],
        Some(_) => vec![Some(Background::Speech)],
    };
    let mut conditions = Vec::new();
    for &level in &options.levels {
        for &reverberant in &options.rooms {
            for &snr in &options.snr {
                let each = backgrounds(snr).into_iter();
                conditions.extend(each.map(|background| Condition {
                    snr,
                    reverberant,
                    level,
                    background,
                }));
            }
        }
    }
    conditions
}

impl Clips {
    /// Returns what is said in each stream: the words that are said by themselves, in an order that the seed gives;
    /// wake words are said to a device that sleeps.
    pub fn scripts(&self, seed: u64, wake: Option<&WakeGate>) -> Vec<Vec<Utterance>> {
        let words = self.alone().map(|number| Utterance {
            words: vec![self.clip(number)],
            rest_ms: wake.map_or(0, |wake| wake.window_ms.into()),
        });
        let mut words: Vec<_> = words.collect();
        words.shuffle(&mut Xoshiro256PlusPlus::seed_from_u64(seed));
        words.chunks(WORDS).map(<[_]>::to_vec).collect()
    }
}

impl Making<'_> {
    /// Makes every stream under every condition and runs the network over it. The words of one script, their times and
    /// their backgrounds are the same under all, so that conditions differ by nothing else.
    pub fn streams(&self, image: &Image<'_>) -> Result<Heard> {
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
            .scripts
            .iter()
            .map(|said| (said, random.random()))
            .collect();
        let backgrounds = Backgrounds {
            noise: self.noise,
            speech: self.speech,
            each: (self.conditions.iter()).any(|condition| condition.background.is_some()),
        };
        let mut all = Heard::default();
        let batch = Batch::new(&scripts).shown("streams", |(said, _)| {
            self.conditions.len() as u64 * said.iter().map(Utterance::forecast).sum::<u64>()
        });
        batch.each(
            vec![0; image.memory_bytes()],
            |memory, turn| self.stream(image, memory, turn, &backgrounds, &responses),
            |heard| {
                let heard = heard?;
                all.unreadable += heard.unreadable;
                all.silent += heard.silent;
                all.streams.extend(heard.streams);
                Ok(())
            },
        )?;
        Ok(all)
    }

    /// Makes the stream of one script under every condition and runs the network over it.
    fn stream(
        &self,
        image: &Image<'_>,
        memory: &mut [i8],
        turn: &Turn<'_, (&Vec<Utterance>, u64), Result<Heard>>,
        backgrounds: &Backgrounds<'_>,
        responses: &[Vec<f64>],
    ) -> Result<Heard> {
        let &(said, seed) = turn.item;
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let script = Script::draw(said, backgrounds, ROOMS, &mut random)?;
        let mut heard = Heard {
            unreadable: script.unreadable,
            silent: script.silent,
            ..Heard::default()
        };
        if script.is_empty() {
            return Ok(heard);
        }
        for (condition, how) in self.conditions.iter().enumerate() {
            let made = script.mix(how, responses)?;
            turn.heard(made.samples.len());
            heard.streams.push(Mixed {
                condition,
                pairs: said.iter().any(|said| said.words.len() > 1),
                track: Track::of(image, memory, &made.samples)?,
                words: made.words,
                samples: made.samples.len() as u64,
                clipped: made.clipped,
            });
        }
        Ok(heard)
    }
}

#[cfg(test)]
mod tests;
