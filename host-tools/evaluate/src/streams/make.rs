//! Makes streams whose commands are known: each word of a labelled folder once, among noise and other speech; or pairs,
//! of a wake word and a command.
//!
//! A word is its clip from the first 10 ms hop within 25 dB of the loudest to the end of the last, with up to
//! 100 ms of the clip around it, faded. From the end of a word to the start of the next there are 0.5 to 3 s, within
//! a pair [`GAP_MS`]. The background of a word is an excerpt of its own, of noise or of other speech in turn or as the
//! condition says, which reaches halfway to the words beside it.
//!
//! The level is that of the word's loudest sample, in dBFS: at no level up to 0 is a word itself clipped. The SNR is
//! the word's root mean square over that of its background, from the word's start to its end. In a room both are those
//! of what reaches the microphone; backgrounds are as they were recorded.

use std::ops::Range;
use std::path::PathBuf;

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::IndexedRandom;
use zerda_support::audio::{self, SAMPLE_RATE};
use zerda_support::error::{Error, Result};
use zerda_support::speech::stretches;

use super::score::{Background, Spoken};

const MS: usize = SAMPLE_RATE as usize / 1000;
/// Number of samples of a clip that are kept before and after its word at most: 100 ms.
const MARGIN: usize = 100 * MS;
/// Number of samples in which one background fades into the next: 50 ms.
const FADE: usize = 50 * MS;
/// Number of samples that come before the first word: 2 s.
const LEAD: usize = 2000 * MS;
/// Number of samples that follow the last word: 1.5 s, time enough to be late.
const REST: usize = 1500 * MS;
/// Range of the number of samples that lie between the end of an utterance, with its rest, and the start of the next:
/// 0.5 to 3 s.
const PAUSE: Range<usize> = 500 * MS..3000 * MS;
/// Time from the end of a wake word to the start of the command that follows it, in ms.
pub const GAP_MS: Range<usize> = 300..1500;
/// Level, in dB, by which an excerpt may be quieter over the word than as a whole; else it is drawn again. A word in a
/// pause of its background would make the rest of that far louder than the SNR says.
const PAUSE_DB: f64 = 10.0;
const DRAWS: usize = 30;

/// Says what is added to the words, and how they sound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Condition {
    /// Signal to noise ratio in dB; with `None` nothing is added.
    pub snr: Option<f64>,
    pub reverberant: bool,
    /// Level in dBFS that the loudest sample of each word is brought to.
    pub level: f64,
    /// Background that all words are heard in; with `None` noise and speech take turns.
    pub background: Option<Background>,
}

impl Condition {
    pub fn room(&self) -> &'static str {
        match self.reverberant {
            true => "reverberant",
            false => "near",
        }
    }

    pub fn name(&self) -> String {
        let mut snr = self.snr.map_or("clean".into(), |snr| format!("{snr} dB"));
        if let Some(background) = self.background {
            snr += &format!(" over {}", background.name());
        }
        format!("{snr}, {}, {} dBFS", self.room(), self.level)
    }
}

/// Words that are said in one breath: one word, or a wake word and a command.
#[derive(Clone, Debug, PartialEq)]
pub struct Utterance {
    pub words: Vec<Clip>,
    /// Time in ms that passes before the next utterance, beyond a pause.
    pub rest_ms: usize,
}

impl Utterance {
    /// Says how many samples it will about take, with the pauses between words of about 600 ms.
    pub fn forecast(&self) -> u64 {
        ((self.words.len() * 1500 + 900 + self.rest_ms) * MS) as u64
    }
}

/// A recording that holds one word.
#[derive(Clone, Debug, PartialEq)]
pub struct Clip {
    pub label: usize,
    /// Number that it has among all clips.
    pub number: usize,
    pub path: PathBuf,
}

/// A word of a script, to which no condition was applied yet.
struct Word {
    label: usize,
    clip: usize,
    /// Samples of the word and of what the clip has around it.
    samples: Vec<f64>,
    /// Range of `samples` that the word takes.
    span: Range<usize>,
    /// Sample of the stream at which the word starts.
    start: usize,
    /// Range of the stream, in samples, that its background fills.
    section: Range<usize>,
    /// Excerpts that it may be heard in, the one whose turn it is first; each is as long as the section and a fade
    /// before and after.
    excerpts: Vec<(Background, Vec<f64>)>,
    room: usize,
}

impl Word {
    fn spoken(&self) -> Range<usize> {
        self.start..self.start + self.span.len()
    }

    /// Returns the excerpt that a condition asks for, or the one whose turn it is.
    fn excerpt(&self, condition: &Condition) -> Option<&(Background, Vec<f64>)> {
        let asked = |(kind, _): &&(Background, Vec<f64>)| Some(*kind) == condition.background;
        let found = self.excerpts.iter().find(asked);
        found.or(self.excerpts.first())
    }
}

/// A stream to which no condition was applied yet; it is the same for all conditions.
pub struct Script {
    words: Vec<Word>,
    length: usize,
    /// Number of clips that could not be read, each of which was reported.
    pub unreadable: usize,
    /// Number of clips in which nothing is heard.
    pub silent: usize,
}

/// A stream that was mixed under one condition.
#[derive(Debug, PartialEq)]
pub struct Made {
    pub samples: Vec<i16>,
    pub words: Vec<Spoken>,
    /// Number of samples that did not fit into 16 bits.
    pub clipped: u64,
}

/// Files that backgrounds are taken from.
pub struct Backgrounds<'a> {
    pub noise: &'a [PathBuf],
    pub speech: &'a [PathBuf],
    /// Says whether each word gets an excerpt of every kind, for conditions that ask for one.
    pub each: bool,
}

/// Number of files of each kind that a stream takes its backgrounds from, and samples of each, the first 5 minutes: few
/// because a stream holds them all.
const FILES: usize = 3;
const START: usize = 5 * 60 * SAMPLE_RATE as usize;

impl Script {
    /// Draws a stream of what is said, in that order. An utterance with a clip that is silent or cannot be read is left
    /// out. Backgrounds that cannot be read or hold only silence are an error.
    pub fn draw(
        utterances: &[Utterance],
        backgrounds: &Backgrounds<'_>,
        rooms: usize,
        random: &mut Xoshiro256PlusPlus,
    ) -> Result<Script> {
        let pool = |files: &[PathBuf], random: &mut Xoshiro256PlusPlus| -> Result<Vec<Vec<i16>>> {
            let files = files.sample(random, FILES);
            let read = files.map(|file| audio::read_start(file, START));
            let mut read = read.collect::<Result<Vec<_>>>()?;
            read.retain(|file| file.iter().any(|&s| s != 0));
            Ok(read)
        };
        let pools = [
            pool(backgrounds.noise, random)?,
            pool(backgrounds.speech, random)?,
        ];
        let kinds: Vec<_> = [Background::Noise, Background::Speech]
            .into_iter()
            .filter(|&kind| !pools[kind as usize].is_empty())
            .collect();
        if kinds.is_empty() {
            return Err(Error::usage(
                "of the noise and the negatives, these hold only silence: no background for a stream",
            ));
        }
        let (mut words, mut turns, mut at) = (Vec::<Word>::new(), Vec::new(), LEAD);
        let (mut unreadable, mut silent) = (0, 0);
        let mut said = 0;
        for utterance in utterances {
            // A pair is said as a whole or not at all.
            let mut cuts = Vec::new();
            for clip in &utterance.words {
                match audio::read(&clip.path) {
                    Ok(samples) => match cut(&samples) {
                        Some(cut) => cuts.push((clip, cut)),
                        None => silent += 1,
                    },
                    Err(error) => {
                        error.report();
                        unreadable += 1;
                    }
                }
            }
            if cuts.len() < utterance.words.len() {
                continue;
            }
            let last = cuts.len() - 1;
            for (number, (clip, (samples, span))) in cuts.into_iter().enumerate() {
                let start = at;
                at += span.len();
                at += match number {
                    _ if number < last => random.random_range(GAP_MS) * MS,
                    _ => random.random_range(PAUSE) + utterance.rest_ms * MS,
                };
                words.push(Word {
                    label: clip.label,
                    clip: clip.number,
                    samples,
                    span,
                    start,
                    section: 0..0,
                    excerpts: Vec::new(),
                    room: random.random_range(0..rooms.max(1)),
                });
                turns.push(said % kinds.len());
            }
            said += 1;
        }
        let ends: Vec<usize> = words.iter().map(|word| word.spoken().end).collect();
        let length = ends.last().map_or(LEAD, |end| end + REST);
        let mut from = 0;
        for (number, end) in ends.iter().enumerate() {
            let next = words.get(number + 1).map(|next| end.midpoint(next.start));
            let section = from..next.unwrap_or(length);
            from = section.end;
            let word = &mut words[number];
            let heard = word.start - section.start + FADE;
            let heard = heard..heard + word.span.len();
            let length = section.len() + 2 * FADE;
            let turn = kinds.iter().cycle().skip(turns[number]);
            for &kind in turn.take(if backgrounds.each { kinds.len() } else { 1 }) {
                let excerpt = excerpt(&pools[kind as usize], length, heard.clone(), random);
                word.excerpts.push((kind, excerpt));
            }
            word.section = section;
        }
        Ok(Script {
            words,
            length,
            unreadable,
            silent,
        })
    }

    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Mixes the stream under a condition; `rooms` are impulse responses.
    pub fn mix(&self, condition: &Condition, rooms: &[Vec<f64>]) -> Result<Made> {
        let mut mix = vec![0.0; self.length];
        for word in &self.words {
            let reverberant = match rooms.get(word.room).filter(|_| condition.reverberant) {
                Some(response) => Some(audio::convolve(&word.samples, response)?),
                None => None,
            };
            let samples = reverberant.as_deref().unwrap_or(&word.samples);
            let level = 32_768.0 * 10f64.powf(condition.level / 20.0);
            let spoken = &samples[word.span.clone()];
            let gain = level / spoken.iter().fold(0.0, |peak: f64, s| peak.max(s.abs()));
            let from = word.start - word.span.start;
            add(&mut mix, from, samples.iter().map(|sample| sample * gain));
            if let (Some(snr), Some((_, excerpt))) = (condition.snr, word.excerpt(condition)) {
                let heard = word.start - word.section.start + FADE;
                let noise = rms(&excerpt[heard..heard + word.span.len()]);
                // Where there are only pauses: see PAUSE_DB.
                let noise = noise.max(rms(excerpt) * 10f64.powf(-PAUSE_DB / 20.0));
                let gain = gain * rms(spoken) / noise * 10f64.powf(-snr / 20.0);
                self.add_background(&mut mix, word, excerpt, gain);
            }
        }
        let clipped = mix.iter().filter(|sample| sample.abs() >= 32_768.0);
        let ms = |sample: usize| sample as f64 / MS as f64;
        let words = self.words.iter().map(|word| Spoken {
            label: word.label,
            start_ms: ms(word.start),
            end_ms: ms(word.spoken().end),
            clip: word.clip,
            background: word
                .excerpt(condition)
                .map_or(Background::Noise, |(kind, _)| *kind),
        });
        Ok(Made {
            clipped: clipped.count() as u64,
            words: words.collect(),
            // `as` saturates, as a converter does.
            samples: mix.iter().map(|sample| sample.round() as i16).collect(),
        })
    }

    /// Adds the excerpt in its section, faded into those of the sections beside it, of constant power.
    fn add_background(&self, mix: &mut [f64], word: &Word, excerpt: &[f64], gain: f64) {
        let (from, to) = (word.section.start, word.section.end);
        let last = to == self.length;
        let faded = excerpt.iter().enumerate().map(|(at, sample)| {
            // Half a fade on either side of the section's bounds.
            let rise = (at as f64 - FADE as f64 / 2.0) / FADE as f64;
            let fall = ((to - from) as f64 + 1.5 * FADE as f64 - at as f64) / FADE as f64;
            let edge = |share: f64, none: bool| match none {
                true => 1.0,
                false => (share.clamp(0.0, 1.0) * std::f64::consts::FRAC_PI_2).sin(),
            };
            sample * gain * edge(rise, from == 0) * edge(fall, last)
        });
        match from.checked_sub(FADE) {
            Some(from) => add(mix, from, faded),
            None => add(mix, 0, faded.skip(FADE - from)),
        }
    }
}

/// Returns the word of a clip and what is around it, faded, and the range of it that the word takes; `None` if the clip
/// is silent.
fn cut(clip: &[i16]) -> Option<(Vec<f64>, Range<usize>)> {
    let stretches = stretches(clip);
    let word = stretches.first()?.start as usize..stretches.last()?.end as usize;
    let from = word.start.saturating_sub(MARGIN);
    let to = (word.end + MARGIN).min(clip.len());
    let fade = |at: usize| {
        let before = (at + 1 - from) as f64 / (word.start - from).max(1) as f64;
        let after = (to - at) as f64 / (to - word.end).max(1) as f64;
        let share = match at {
            _ if at < word.start => before,
            _ if at >= word.end => after,
            _ => 1.0,
        };
        (share * std::f64::consts::FRAC_PI_2).sin().powi(2)
    };
    let samples = (from..to).map(|at| f64::from(clip[at]) * fade(at));
    Some((samples.collect(), word.start - from..word.end - from))
}

/// Returns `length` samples of one of the recordings, repeated where it is shorter. The part in `heard` is no pause,
/// unless `DRAWS` draws find nothing better.
fn excerpt(
    pool: &[Vec<i16>],
    length: usize,
    heard: Range<usize>,
    random: &mut Xoshiro256PlusPlus,
) -> Vec<f64> {
    let mut best = (f64::NEG_INFINITY, Vec::new());
    for _ in 0..DRAWS {
        let Some(recording) = pool.choose(random) else {
            break;
        };
        let from = random.random_range(0..recording.len());
        let samples: Vec<f64> = recording
            .iter()
            .cycle()
            .skip(from)
            .take(length)
            .map(|&sample| sample.into())
            .collect();
        // Nothing at all cannot be brought to any level.
        let ratio = 20.0 * (rms(&samples[heard.clone()]) / rms(&samples)).log10();
        let done = ratio > -PAUSE_DB;
        if ratio > best.0 || best.1.is_empty() {
            best = (ratio, samples);
        }
        if done {
            break;
        }
    }
    best.1
}

fn add(mix: &mut [f64], from: usize, samples: impl Iterator<Item = f64>) {
    let slots = mix.iter_mut().skip(from);
    slots
        .zip(samples)
        .for_each(|(slot, sample)| *slot += sample);
}

/// Returns the root mean square; it is never 0 but a billionth of a step where there is nothing.
fn rms(samples: &[f64]) -> f64 {
    let squares: f64 = samples.iter().map(|sample| sample * sample).sum();
    (squares / samples.len().max(1) as f64).sqrt().max(1e-9)
}

#[cfg(test)]
mod tests;
