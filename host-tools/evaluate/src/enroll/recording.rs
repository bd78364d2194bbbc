//! Hears a recording as a template needs it: the rows of its phrase, clean and once more over noise.

use std::ops::Range;
use std::path::{Path, PathBuf};

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use zerda_firmware::plan::Tensor;
use zerda_firmware::templates::{MAX_ROWS, MIN_ROWS, heard_by_head, unit_row};
use zerda_firmware::{Event, Image, Recognizer};
use zerda_support::audio::{self, SAMPLE_RATE};
use zerda_support::error::{Error, Result};

use super::alike::{Rows, unit};

/// Number of samples that a hop of 10 ms has.
const HOP: usize = SAMPLE_RATE as usize / 100;
/// Length in ms that a phrase has at most.
const LONGEST_MS: usize = 3_000;
/// Distance from the loudest hop, in dB, beyond which a hop is no part of the phrase.
const BELOW_DB: f64 = 25.0;
/// Distance in dB from a recording's own noise, its quietest tenth, up to which a hop is noise.
const ABOVE_NOISE_DB: f64 = 8.0;
/// Level in dBFS that the loudest hop of a recording has at least.
const SILENT_DBFS: f64 = -60.0;
/// Ratio in dB that phrase and noise have in the copy over noise.
const SNR_DB: f64 = 10.0;
/// Hops before the phrase that belong to the template, and after it.
const MARGINS: [usize; 2] = [2, 6];
/// Hops of silence before a recording: the front end's level settles.
const LEAD: usize = 10;

/// Holds a recording of a phrase, and what was heard of it.
pub struct Take {
    pub path: PathBuf,
    pub samples: Vec<i16>,
    pub phrase_ms: usize,
    /// Rows of the phrase, as it is and over noise.
    pub rows: [Rows; 2],
}

impl Take {
    /// Reads a recording and hears its phrase, from a cold start.
    pub fn hear(ear: &mut Ear<'_>, path: &Path) -> Result<Take> {
        let samples = audio::read(path)?;
        let wrong = |why: String| Error::usage(format!("{}: {why}", path.display()));
        let hops = phrase(&samples).map_err(wrong)?;
        let phrase_ms = hops.len() * 10;
        if phrase_ms > LONGEST_MS {
            return Err(wrong(format!(
                "its phrase lasts {:.1} s, from {:.1} to {:.1} s, expected at most {} s: record a shorter one, or \
                 without noise before and after it",
                phrase_ms as f64 / 1e3,
                hops.start as f64 / 100.0,
                hops.end as f64 / 100.0,
                LONGEST_MS / 1000
            )));
        }
        let rows = ear.phrase(&samples, &hops)?;
        let (most, ms) = (MAX_ROWS, ear.row_ms());
        if rows[0].len() > most {
            return Err(wrong(format!(
                "its phrase lasts {phrase_ms} ms, expected at most the {} ms of {most} rows",
                most * ms
            )));
        }
        Ok(Take {
            path: path.into(),
            samples,
            phrase_ms,
            rows,
        })
    }
}

/// Runs an image on recordings, for what its head reads.
#[derive(Clone)]
pub struct Ear<'a> {
    image: &'a Image<'a>,
    pub head: Tensor,
    memory: Vec<i8>,
}

impl<'a> Ear<'a> {
    /// Takes an image at `path`. One whose head cannot be told is an error.
    pub fn new(image: &'a Image<'a>, path: &Path) -> Result<Ear<'a>> {
        let head = heard_by_head(image).map_err(|misfit| {
            Error::usage(format!(
                "{}: {misfit}; no phrase can be enrolled",
                path.display()
            ))
        })?;
        Ok(Ear {
            image,
            head,
            memory: vec![0; image.memory_bytes()],
        })
    }

    /// Returns the length in ms of what a row stands for.
    pub fn row_ms(&self) -> usize {
        usize::from(self.image.manifest().stream.step) * 10
    }

    /// Returns the rows of a phrase, as it is and over noise, which begin with a step.
    fn phrase(&mut self, samples: &[i16], hops: &Range<usize>) -> Result<[Rows; 2]> {
        let step = usize::from(self.image.manifest().stream.step);
        let [before, after] = MARGINS;
        // The phrase begins where a step does.
        let begin = hops.start + LEAD.next_multiple_of(step);
        let lead = LEAD.next_multiple_of(step) + (begin - before).next_multiple_of(step)
            - (begin - before);
        let first = (hops.start + lead - before) / step;
        let last = ((hops.end + lead + after) / step).max(first + 2 * MIN_ROWS);
        let tail = (last + 1) * step + usize::from(self.image.manifest().stream.chunk);
        let mut padded = vec![0.0; lead * HOP];
        padded.extend(samples.iter().map(|&sample| f64::from(sample)));
        padded.resize(padded.len().max((tail + 3) * HOP), 0.0);
        let spoken = (hops.start + lead) * HOP..(hops.end + lead) * HOP;
        let noise = pink_noise(padded.len());
        let gain = (power(&padded[spoken]) / power(&noise) * 10f64.powf(-SNR_DB / 10.0)).sqrt();
        let mut over = |gain: f64| -> Result<Rows> {
            let noisy = padded
                .iter()
                .zip(&noise)
                .map(|(sample, noise)| sample + gain * noise);
            let pcm: Vec<i16> = noisy.map(|sample| sample.round() as i16).collect();
            let mut rows = Rows::new();
            self.listener()?.push(&pcm, |row| {
                rows.push(unit(row.iter().copied().map(f32::from).collect()));
            });
            Ok(rows.drain(first..last).collect())
        };
        Ok([over(0.0)?, over(gain)?])
    }

    /// Returns what hears a recording from its start.
    pub fn listener(&mut self) -> Result<Listener<'_>> {
        let recognizer = Recognizer::new(self.image, &mut self.memory[..]);
        Ok(Listener {
            recognizer: recognizer.map_err(|error| Error::usage(error.to_string()))?,
            head: self.head,
        })
    }
}

/// Hears a recording that comes in pieces.
pub struct Listener<'e> {
    recognizer: Recognizer<'e>,
    head: Tensor,
}

impl Listener<'_> {
    /// Calls `on_row` for the row of each step that runs, as the firmware makes it.
    pub fn push(&mut self, pcm: &[i16], mut on_row: impl FnMut(&[i8])) {
        let head = self.head;
        let mut row = vec![0; head.cols.into()];
        self.recognizer.push_events(pcm, |event| {
            if let Event::Encoded { rows, .. } = event {
                unit_row(rows, head.zero_point, &mut row);
                on_row(&row);
            }
        });
    }
}

/// Returns the hops of a phrase: from the first to the last that is loud, beside the loudest and beside the recording's own
/// noise; or says why there is none.
fn phrase(samples: &[i16]) -> Result<Range<usize>, String> {
    let level = |hop: &[i16]| {
        let hop: Vec<f64> = hop
            .iter()
            .map(|&sample| f64::from(sample) / 32_768.0)
            .collect();
        10.0 * power(&hop).max(1e-12).log10()
    };
    let levels: Vec<f64> = samples.chunks(HOP).map(level).collect();
    let mut sorted = levels.clone();
    sorted.sort_by(f64::total_cmp);
    let Some(&loudest) = sorted.last().filter(|&&loudest| loudest >= SILENT_DBFS) else {
        return Err(format!(
            "is silent, or nearly so: expected speech whose loudest 10 ms are above {SILENT_DBFS} dBFS"
        ));
    };
    let noise = sorted[sorted.len() / 10] + ABOVE_NOISE_DB;
    let bound = (loudest - BELOW_DB).max(noise.min(loudest - 6.0));
    let loud = |level: &f64| *level >= bound;
    let first = levels.iter().position(loud).unwrap_or(0);
    let last = levels.iter().rposition(loud).unwrap_or(0);
    Ok(first..last + 1)
}

fn power(samples: &[f64]) -> f64 {
    let squares = samples.iter().map(|sample| sample * sample);
    squares.sum::<f64>() / samples.len().max(1) as f64
}

/// Makes noise whose power falls by 3 dB an octave, of one amplitude and always the same: a sum of random numbers, each of
/// which is drawn anew half as often as the one before it (Voss and Clarke, Nature 258, 1975).
fn pink_noise(samples: usize) -> Vec<f64> {
    // The lowest changes 62 times a second, as low as the front end hears.
    const OCTAVES: usize = 8;
    let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
    let mut numbers = [0.0; OCTAVES];
    let sample = |at: usize| {
        for (octave, number) in numbers.iter_mut().enumerate() {
            if at.is_multiple_of(1 << octave) {
                *number = random.random_range(-1.0..1.0);
            }
        }
        numbers.iter().sum()
    };
    (0..samples).map(sample).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerda_support::test_support::{recording, shrunk};

    /// A tone of 0.5 s within silence, or within noise 12 dB below it.
    fn tone(noise: f64) -> Vec<i16> {
        let background = pink_noise(32_000);
        let level = power(&background).sqrt();
        let sample = |at: usize| {
            let tone = 8_000.0
                * (at as f64 * 0.2).sin()
                * f64::from(u8::from((8_000..16_000).contains(&at)));
            (tone + noise * background[at] / level) as i16
        };
        (0..32_000).map(sample).collect()
    }

    #[test]
    fn a_phrase_is_found_in_silence_and_in_noise() {
        assert_eq!(phrase(&tone(0.0)), Ok(50..100));
        // 8000 / sqrt(2) less 16 dB.
        let noisy = phrase(&tone(900.0)).unwrap();
        assert!(
            (48..=50).contains(&noisy.start) && (100..=102).contains(&noisy.end),
            "{noisy:?}"
        );
        for silent in [&[][..], &[0; 16_000], &[3; 16_000]] {
            assert!(phrase(silent).unwrap_err().starts_with("is silent"));
        }
    }

    #[test]
    fn a_phrase_has_the_rows_that_its_steps_have_wherever_it_lies_in_the_recording() {
        let file = shrunk();
        let image = file.image().unwrap();
        let mut ear = Ear::new(&image, Path::new("x")).unwrap();
        let sound = recording(1, 8_000);
        let mut heard = (0..3).map(|hops| {
            let samples = [&vec![0; hops * HOP][..], &sound].concat();
            ear.phrase(&samples, &(hops..hops + 50)).unwrap()
        });
        let first = heard.next().unwrap();
        // 50 hops, two before and six after, in steps of 5.
        assert_eq!(first[0].len(), 11);
        // Only the silence before it is a little longer.
        for other in heard {
            let pairs = first[0].iter().zip(&other[0]);
            let alike = pairs.map(|(a, b)| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>());
            assert!(alike.fold(1.0, f32::min) > 0.95);
        }
    }

    #[test]
    fn pink_noise_has_as_much_power_in_each_octave() {
        let noise = pink_noise(1 << 15);
        // Means of 32 samples leave 0.97 of the five octaves that change within them, and three: by hand.
        let averaged = |n: usize| {
            power(
                &noise
                    .chunks(n)
                    .map(|c| c.iter().sum::<f64>() / n as f64)
                    .collect::<Vec<_>>(),
            )
        };
        let ratio = averaged(2) / averaged(32);
        assert!((1.7..2.1).contains(&ratio), "{ratio}"); // 7.5 / 3.97
    }
}
