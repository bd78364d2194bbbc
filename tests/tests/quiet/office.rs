//! A time like an office's, mixed of recordings: commands, people who talk, even noise, a ticking clock, and sounds.

use std::ops::Range;
use std::path::{Path, PathBuf};

use fastrand::Rng;
use zerda_support::audio;
use zerda_tests::splice::{HOP, word};

const SECOND: usize = 16_000;
/// The noise is another, and another loud, after so long.
const NOISE: usize = 120 * SECOND;
/// Of so many samples somebody speaks in one.
const SPOKEN: usize = 5;
/// A command is said so often, on average.
const COMMAND: usize = 9 * SECOND;
/// And a sound is heard so often.
const SOUND: usize = 45 * SECOND;
/// Pauses within speech up to so many hops are part of it.
const PAUSE: usize = 20;
pub const WORDS: [&str; 8] = ["yes", "no", "up", "down", "left", "right", "stop", "go"];

/// A command that is said.
pub struct Said {
    pub word: &'static str,
    /// Whether it is 10 dB above the noise around it; else its peak is at -10 dBFS.
    pub over_noise: bool,
    pub samples: Range<usize>,
}

/// Mixes so many seconds of the test folders of `data`; the noises are every fifth of each kind, which the network was not trained on.
pub fn office(data: &Path, seconds: usize, seed: u64) -> (Vec<i16>, Vec<Said>) {
    let random = &mut Rng::with_seed(seed);
    let count = seconds * SECOND;
    let mut mixed = background(&data.join("noise"), count, random);
    let mut items = commands(&data.join("speech_commands/test"), count / COMMAND, random);
    let more = (count / SPOKEN).saturating_sub(spoken(&items));
    items.extend(talk(&data.join("librispeech/test"), more, random));
    random.shuffle(&mut items);
    let free = count - items.iter().map(|item| item.pcm.len()).sum::<usize>();
    let gap = free / items.len();
    let mut said = Vec::new();
    let mut at = 0;
    for mut item in items {
        let start = at + random.usize(0..gap);
        let place = &mut mixed[start..start + item.pcm.len()];
        if let Some(word) = item.word {
            let over_noise = said.len() % 2 == 0;
            let samples = item.spoken.clone();
            if over_noise {
                let louder = rms(&place[samples.clone()]) / rms(&item.pcm[samples.clone()]);
                amplify(&mut item.pcm, louder * decibels(10.0));
            }
            let samples = start + samples.start..start + samples.end;
            said.push(Said {
                word,
                over_noise,
                samples,
            });
        }
        at += item.pcm.len() + gap;
        add(place, &item.pcm);
    }
    let pcm = mixed.iter().map(|&sample| sample.round() as i16);
    (pcm.collect(), said)
}

/// A command, or what somebody reads.
struct Item {
    word: Option<&'static str>,
    pcm: Vec<f32>,
    /// The samples in which somebody speaks, pauses and all.
    spoken: Range<usize>,
}

fn commands(folder: &Path, count: usize, random: &mut Rng) -> Vec<Item> {
    let of = |word: &'static str| {
        audio::list(&folder.join(word))
            .unwrap()
            .into_iter()
            .map(move |file| (word, file))
    };
    let mut files: Vec<_> = WORDS.into_iter().flat_map(of).collect();
    random.shuffle(&mut files);
    let items = files.into_iter().take(count).map(|(label, file)| {
        let pcm = audio::read(&file).unwrap();
        let spoken = word(&pcm);
        // A tenth of a second around the word, which comes and goes softly.
        let (from, to) = (
            spoken.start.saturating_sub(SECOND / 10),
            (spoken.end + SECOND / 10).min(pcm.len()),
        );
        let mut cut = loud_as(&pcm[from..to], -10.0);
        let spoken = spoken.start - from..spoken.end - from;
        let behind = cut.len() - spoken.end;
        fade(cut[..spoken.start].iter_mut(), spoken.start);
        fade(cut.iter_mut().rev().take(behind), behind);
        Item {
            word: Some(label),
            pcm: cut,
            spoken,
        }
    });
    items.collect()
}

/// What others read, until they have spoken for `count` samples.
fn talk(folder: &Path, count: usize, random: &mut Rng) -> Vec<Item> {
    let mut files = audio::expand(&[folder.to_path_buf()]).unwrap();
    random.shuffle(&mut files);
    let mut spoken = 0;
    let items = files.iter().map_while(|file| {
        let pcm = (spoken < count).then(|| audio::read(file).unwrap())?;
        let pcm = loud_as(&pcm, random.f32() * 18.0 - 26.0);
        let item = Item {
            word: None,
            spoken: 0..pcm.len(),
            pcm,
        };
        spoken += self::spoken(std::slice::from_ref(&item));
        Some(item)
    });
    items.collect()
}

/// The samples in which somebody speaks: hops within 25 dB of the loudest, and pauses up to [`PAUSE`].
fn spoken(items: &[Item]) -> usize {
    let of = |item: &Item| {
        let levels: Vec<f32> = item.pcm.chunks_exact(HOP).map(rms).collect();
        let loudest = levels.iter().fold(0.0f32, |a, &b| a.max(b));
        let loud: Vec<_> = (0..levels.len())
            .filter(|&hop| levels[hop] >= loudest * decibels(-25.0))
            .collect();
        let pauses = loud.windows(2).map(|pair| pair[1] - pair[0] - 1);
        (loud.len() + pauses.filter(|&pause| pause <= PAUSE).sum::<usize>()) * HOP
    };
    items.iter().map(of).sum()
}

/// Even noise at -62 to -42 dBFS, in a third of the time a clock that ticks, and sounds.
fn background(folder: &Path, count: usize, random: &mut Rng) -> Vec<f32> {
    let kinds = |kinds: &[&str]| -> Vec<PathBuf> {
        let of = |kind: &&str| audio::list(&folder.join("esc10").join(kind)).unwrap();
        let files = kinds.iter().map(of);
        files
            .flat_map(|files| files.into_iter().skip(4).step_by(5))
            .collect()
    };
    let any = |files: &[PathBuf], random: &mut Rng| {
        samples(&audio::read(&files[random.usize(0..files.len())]).unwrap())
    };
    let mut noises = kinds(&["rain", "sea_waves", "helicopter"]);
    noises.push(folder.join("running_tap.flac"));
    let clocks = kinds(&["clock_tick"]);
    let sounds = kinds(&[
        "dog_bark",
        "person_sneeze",
        "fire_crackling",
        "rooster",
        "baby_cry",
        "chainsaw",
    ]);
    let mut mixed = Vec::with_capacity(count + NOISE);
    while mixed.len() < count {
        let noise = std::iter::repeat_with(|| any(&noises, random))
            .find(|noise| is_even(noise))
            .unwrap();
        let level = decibels(random.f32() * 20.0 - 62.0) * 32768.0 / rms(&noise);
        let mut part = looped(&noise, NOISE);
        amplify(&mut part, level);
        if random.u8(0..3) == 0 {
            let clock = any(&clocks, random);
            let mut ticking = looped(&clock, NOISE);
            amplify(
                &mut ticking,
                decibels(random.f32() * 15.0 - 45.0) * 32768.0 / peak(&clock),
            );
            add(&mut part, &ticking);
        }
        mixed.extend(part);
    }
    mixed.truncate(count);
    for _ in 0..count / SOUND {
        let mut sound = any(&sounds, random);
        sound.truncate(random.usize(SECOND / 4..2 * SECOND));
        let level = decibels(random.f32() * 25.0 - 45.0) * 32768.0 / peak(&sound);
        amplify(&mut sound, level);
        let end = sound.len() / 8;
        fade(sound.iter_mut().rev().take(end), end);
        let start = random.usize(0..count - sound.len());
        add(&mut mixed[start..], &sound);
    }
    mixed
}

/// Whether a noise is as even as ventilation: its level in 200 ms stays within 5 dB for nine tenths of the time.
fn is_even(noise: &[f32]) -> bool {
    let mut levels: Vec<f32> = noise.chunks_exact(SECOND / 5).map(rms).collect();
    levels.sort_by(f32::total_cmp);
    let at = |share: usize| levels[(levels.len() - 1) * share / 20];
    at(19) < at(1) * decibels(5.0)
}

/// So many samples of a recording again and again, each time faded into the next.
fn looped(recording: &[f32], count: usize) -> Vec<f32> {
    let ends = (recording.len() / 2).min(SECOND / 2);
    let mut faded = recording.to_vec();
    let ramp = |step: usize| (std::f32::consts::FRAC_PI_2 * step as f32 / ends as f32).sin();
    for step in 0..ends {
        faded[step] *= ramp(step);
        faded[recording.len() - 1 - step] *= ramp(step);
    }
    let mut looped = vec![0.0; count + ends];
    // The first time is begun before the start.
    let mut from = 0;
    add(&mut looped, &faded[ends..]);
    from += recording.len() - 2 * ends;
    while from < count {
        add(&mut looped[from..], &faded);
        from += recording.len() - ends;
    }
    looped.truncate(count);
    looped
}

fn samples(pcm: &[i16]) -> Vec<f32> {
    pcm.iter().map(|&sample| sample.into()).collect()
}

/// A recording whose peak is at so many dBFS.
fn loud_as(pcm: &[i16], dbfs: f32) -> Vec<f32> {
    let mut pcm = samples(pcm);
    let level = decibels(dbfs) * 32768.0 / peak(&pcm);
    amplify(&mut pcm, level);
    pcm
}

/// Lets the first `count` samples come softly.
fn fade<'a>(pcm: impl Iterator<Item = &'a mut f32>, count: usize) {
    for (step, sample) in pcm.enumerate() {
        *sample *= (step as f32 / count as f32).powi(2);
    }
}

fn amplify(pcm: &mut [f32], factor: f32) {
    for sample in pcm {
        *sample *= factor;
    }
}

fn add(mixed: &mut [f32], pcm: &[f32]) {
    for (sum, sample) in mixed.iter_mut().zip(pcm) {
        *sum += sample;
    }
}

fn rms(pcm: &[f32]) -> f32 {
    let squares: f32 = pcm.iter().map(|sample| sample * sample).sum();
    (squares / pcm.len() as f32).sqrt().max(1e-3)
}

fn peak(pcm: &[f32]) -> f32 {
    pcm.iter().fold(1e-3, |peak, sample| peak.max(sample.abs()))
}

/// The factor of an amplitude.
fn decibels(level: f32) -> f32 {
    10f32.powf(level / 20.0)
}
