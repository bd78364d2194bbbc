//! Keeps what was heard around detections, and around what was nearly detected, for people who listen to it and feed it
//! back: as recordings of a folder, each with a JSON file beside it.
//!
//! The folder holds [`MOST`] clips at most, of two seconds each; the oldest go. Their files are private, since they hold
//! what was said near a microphone. What cannot be kept is told once and stops nothing.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value, json};
use zerda_firmware::{Detection, Event, Image};
use zerda_support::audio::{SAMPLE_RATE, wav_bytes};
use zerda_support::error::Result;
use zerda_support::files;
use zerda_support::output::{warn, write_private};

use crate::hearing::Follower;
use crate::level::dbfs;

/// Clips that a folder holds at most, 64 MB.
const MOST: usize = 1000;
/// Samples that a clip has.
const CLIP: u64 = 2 * SAMPLE_RATE as u64;
/// Samples of a clip that come after the frame that decided.
const AFTER: u64 = SAMPLE_RATE as u64 * 6 / 10;
/// Samples that are held: a clip, and the longest time that a command waits for another word.
const HELD: u64 = 2 * CLIP;
/// Tenths of its threshold that a word's smoothed posterior reaches where it is nearly detected.
const NEAR_TENTHS: u16 = 7;

/// A folder of clips, for all streams.
pub struct Folder {
    path: PathBuf,
    most: usize,
    clips: Mutex<Clips>,
}

/// Holds what is known of the clips in a folder.
struct Clips {
    /// Numbers and names, without their endings, of the clips that are there.
    there: BTreeSet<(u64, String)>,
    next: u64,
    /// Says whether something could not be kept, which is told once.
    told: bool,
}

impl Folder {
    /// Opens a folder, and makes it where there is none.
    pub fn open(path: &Path) -> Folder {
        Folder::with(path, MOST)
    }

    fn with(path: &Path, most: usize) -> Folder {
        let there = prepare(path);
        let mut clips = Clips {
            there: BTreeSet::new(),
            next: 1,
            told: false,
        };
        match there {
            Ok(there) => {
                clips.next = there.last().map_or(1, |(last, _)| last.saturating_add(1));
                clips.there = there;
            }
            Err(error) => clips.failed(path, &error),
        }
        Folder {
            path: path.into(),
            most,
            clips: Mutex::new(clips),
        }
    }

    /// Keeps a clip of what was heard, as a WAV file with a JSON file beside it.
    fn keep(&self, heard: &str, samples: &[i16], about: &Value) {
        let mut clips = self.clips.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = self.write(&mut clips, heard, samples, about) {
            clips.failed(&self.path, &error);
        }
        while clips.there.len() > self.most {
            let Some((_, oldest)) = clips.there.pop_first() else {
                return;
            };
            for ending in ["wav", "json"] {
                // One that the user removed, or that is heard right now, is no clip any more.
                let _ = files::remove(&self.path.join(format!("{oldest}.{ending}")));
            }
        }
    }

    fn write(
        &self,
        clips: &mut Clips,
        heard: &str,
        samples: &[i16],
        about: &Value,
    ) -> io::Result<()> {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        let heard: String = heard.chars().take(40).map(plain).collect();
        let wav = wav_bytes(samples)?;
        loop {
            let number = clips.next;
            clips.next += 1;
            let name = format!("zerda-{number:06}-{heard}");
            let at = |ending: &str| self.path.join(format!("{name}.{ending}"));
            match write_private(&at("wav"), &wav) {
                // Another zerda keeps its clips here, too.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                other => other?,
            }
            let written = write_private(&at("json"), format!("{about:#}\n").as_bytes());
            if written.is_err() {
                let _ = fs::remove_file(at("wav"));
            } else {
                clips.there.insert((number, name));
            }
            return written;
        }
    }
}

impl Clips {
    fn failed(&mut self, path: &Path, error: &io::Error) {
        if !self.told {
            warn(&format!(
                "--keep {}: what was heard cannot be kept: {error}; recognition goes on",
                path.display()
            ));
        }
        self.told = true;
    }
}

/// Makes a folder, where there is none, and returns the clips in it.
fn prepare(path: &Path) -> io::Result<BTreeSet<(u64, String)>> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(path)?;
    let mut there = BTreeSet::new();
    for entry in fs::read_dir(path)? {
        let name = entry?.file_name().into_string().unwrap_or_default();
        let stem = name.strip_suffix(".wav").or(name.strip_suffix(".json"));
        let number = stem.and_then(|stem| stem.strip_prefix("zerda-")?.split_once('-'));
        if let (Some(stem), Some((number, _))) = (stem, number)
            && let Ok(number) = number.parse()
        {
            there.insert((number, stem.into()));
        }
    }
    Ok(there)
}

/// Follows one stream, and keeps clips of it.
pub struct Keeper<'a> {
    folder: &'a Folder,
    image: &'a Image<'a>,
    name: &'a str,
    /// Holds the last samples, of which the one after the last has the number `end`.
    samples: Vec<i16>,
    end: u64,
    awake: bool,
    /// The sample at which the last decoded frame ends, and the smoothed posteriors at that frame, Q0.8.
    frame_end: u64,
    smoothed: Vec<u8>,
    /// The rise of each label.
    rises: Vec<Rise>,
    /// The sample before which what rises belongs to a word that was detected.
    taken_until: u64,
    waiting: Vec<Clip>,
}

/// Tells of the time for which a label has been close to its threshold.
#[derive(Clone, Default)]
struct Rise {
    /// The highest smoothed posterior, Q0.8; 0: the label is far from its threshold.
    peak: u8,
    at: u64,
    /// Smoothed posteriors at that time.
    scores: Vec<u8>,
}

/// A clip that waits for its last samples.
struct Clip {
    heard: String,
    end: u64,
    about: Value,
}

impl<'a> Keeper<'a> {
    pub fn new(folder: &'a Folder, image: &'a Image<'a>, name: &'a str) -> Keeper<'a> {
        Keeper {
            folder,
            image,
            name,
            samples: Vec::new(),
            end: 0,
            awake: image.wake().is_none(),
            frame_end: 0,
            smoothed: Vec::new(),
            rises: vec![Rise::default(); image.labels().count()],
            taken_until: 0,
            waiting: Vec::new(),
        }
    }

    /// Writes the clips whose samples are there, or all.
    fn write(&mut self, all: bool) {
        let start = self.end - self.samples.len() as u64;
        for clip in std::mem::take(&mut self.waiting) {
            if clip.end > self.end && !all {
                self.waiting.push(clip);
                continue;
            }
            let from = clip.end.saturating_sub(CLIP).clamp(start, self.end);
            let until = clip.end.clamp(from, self.end);
            let samples = &self.samples[(from - start) as usize..(until - start) as usize];
            let power = samples.iter().map(|&s| f64::from(s).powi(2)).sum::<f64>();
            let peak = samples.iter().map(|s| s.unsigned_abs()).max();
            let mut about = clip.about;
            about["clip_start_ms"] = json!(from * 1000 / u64::from(SAMPLE_RATE));
            about["level_dbfs"] = rounded(dbfs(power / samples.len().max(1) as f64));
            about["peak_dbfs"] = rounded(dbfs(f64::from(peak.unwrap_or(0)).powi(2)));
            self.folder.keep(&clip.heard, samples, &about);
        }
    }

    /// Has the two seconds around a sample kept, with what is known of them and these smoothed posteriors.
    fn wait(&mut self, heard: String, at: u64, scores: &[u8], mut about: Value) {
        let labels: Vec<_> = self.image.labels().map(|label| label.name).collect();
        let each = |values: &mut dyn Iterator<Item = u8>| -> Value {
            let shares = values.map(|q| json!(f64::from(q) / 256.0));
            let named = labels
                .iter()
                .map(std::string::ToString::to_string)
                .zip(shares);
            Value::Object(named.collect::<Map<_, _>>())
        };
        about["file"] = json!(self.name);
        about["awake"] = json!(self.awake);
        about["scores"] = each(&mut scores.iter().copied());
        about["thresholds"] = each(&mut self.image.thresholds());
        self.waiting.push(Clip {
            heard,
            end: at + AFTER,
            about,
        });
    }

    fn frame(&mut self, frame: u64, smoothed: &[u8]) {
        let front_end = self.image.manifest().front_end;
        self.frame_end = frame * u64::from(front_end.hop) + u64::from(front_end.window);
        self.smoothed.clear();
        self.smoothed.extend_from_slice(smoothed);
        let wake_words = self.image.wake().map_or(&[][..], |wake| wake.words);
        let words = self.image.labels().zip(self.image.thresholds());
        let scores = smoothed.iter().copied();
        for (number, ((word, threshold), score)) in words.zip(scores).enumerate() {
            let heard = self.awake || wake_words.iter().any(|&of| usize::from(of) == number);
            let near = (u16::from(threshold) * NEAR_TENTHS / 10).max(1);
            let rise = &mut self.rises[number];
            if threshold > 0 && heard && u16::from(score) >= near {
                if score > rise.peak {
                    (rise.peak, rise.at) = (score, self.frame_end);
                    rise.scores = smoothed.to_vec();
                }
                continue;
            }
            let Rise { peak, at, scores } = std::mem::take(rise);
            if peak > 0 && peak < threshold && at > self.taken_until {
                let about = json!({
                    "kind": "near_miss",
                    "command": word.name,
                    "score": f64::from(peak) / 256.0,
                    "end_ms": at * 1000 / u64::from(SAMPLE_RATE),
                });
                self.wait(format!("near-{}", word.name), at, &scores, about);
            }
        }
    }

    fn detection(&mut self, detection: Detection) {
        let Detection {
            command,
            score,
            start_ms,
            end_ms,
            decided_ms,
        } = detection;
        let heard = self.image.command(command).unwrap_or_default();
        let about = json!({
            "kind": "detection",
            "command": heard,
            "wake_word": self.image.is_wake_word(command),
            "score": f64::from(score) / 256.0,
            "start_ms": start_ms,
            "end_ms": end_ms,
            "decided_ms": decided_ms,
        });
        // A command may have waited for another word.
        let waited = u64::from(decided_ms.saturating_sub(end_ms)) * u64::from(SAMPLE_RATE) / 1000;
        let at = self.frame_end.saturating_sub(waited.min(CLIP - AFTER));
        let scores = std::mem::take(&mut self.smoothed);
        self.wait(heard.into(), at, &scores, about);
        self.smoothed = scores;
    }
}

impl Follower for Keeper<'_> {
    /// Keeps what waits, since the stream is over.
    fn end(&mut self) {
        self.write(true);
    }

    fn samples(&mut self, pcm: &[i16]) -> Result<()> {
        let surplus = self.samples.len().saturating_sub(HELD as usize);
        self.samples.drain(..surplus);
        self.samples.extend_from_slice(pcm);
        self.end += pcm.len() as u64;
        self.write(false);
        Ok(())
    }

    fn event(&mut self, event: &Event<'_>) {
        match *event {
            Event::Frame { frame, smoothed } => self.frame(frame, smoothed),
            Event::Word(_) => {
                let manifest = self.image.manifest();
                let refractory = u64::from(manifest.decoder.refractory);
                self.taken_until = self.frame_end + refractory * u64::from(manifest.front_end.hop);
            }
            Event::Detection(detection) => self.detection(detection),
            Event::Awake(_) => self.awake = true,
            Event::Asleep(_) => self.awake = false,
            Event::Encoded { .. } | Event::Step { .. } | Event::Speech(_) | Event::Quiet(_) => {}
        }
    }
}

/// Returns a level in tenths of a dB; null: digital silence.
fn rounded(db: f64) -> Value {
    json!((db * 10.0).round() / 10.0)
}

#[cfg(test)]
mod tests;
