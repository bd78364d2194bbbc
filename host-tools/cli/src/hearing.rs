//! Hears one stream of audio: what `run` does with each input, and `listen` with the microphone.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;
use zerda_firmware::gate::{Asleep, Awake};
use zerda_firmware::kernels::choice::available;
use zerda_firmware::recognizer::Spell;
use zerda_firmware::step::Cpu;
use zerda_firmware::telemetry::Report;
use zerda_firmware::templates::Matcher;
use zerda_firmware::{Event, Image, Recognizer};
use zerda_support::audio::{self, Raw, Recording, SAMPLE_RATE, tail};
use zerda_support::error::{Error, Result, say};
use zerda_support::files;
use zerda_support::interrupt;
use zerda_support::output::{Counts, Totals};
use zerda_support::report;
use zerda_support::template_file::TemplateFile;

/// Follows what is heard of one stream, beside the lines that are said of it.
pub trait Follower {
    /// Takes samples (16 kHz) before they are recognized.
    fn samples(&mut self, _pcm: &[i16]) -> Result<()> {
        Ok(())
    }

    /// Takes the number of samples of silence that follow the stream, so that its last word is decided.
    fn silence(&mut self, _samples: usize) {}

    /// Takes what the recognizer made of them.
    fn event(&mut self, _event: &Event<'_>) {}

    /// Takes that the stream is over, whether it could be heard to its end or not.
    fn end(&mut self) {}
}

/// Sums up what was heard, in one stream or in all.
pub struct Sums {
    pub heard: Counts,
    /// Samples (16 kHz) without the silence after them.
    pub samples: u64,
    pub steps: u64,
    /// Number of steps that would have run if the network never rested.
    pub possible: u64,
    pub crc: crc32fast::Hasher,
    /// Time that the recognizer took: reading and decoding files is the host's business.
    pub processing: Duration,
}

impl Sums {
    /// Adds those of another stream, which comes after all before.
    pub fn add(&mut self, other: &Sums) {
        self.heard.commands += other.heard.commands;
        self.heard.wake_words += other.heard.wake_words;
        let phrases = self.heard.phrases.zip(other.heard.phrases);
        self.heard.phrases = phrases.map(|(phrases, more)| phrases + more);
        self.samples += other.samples;
        self.steps += other.steps;
        self.possible += other.possible;
        self.crc.combine(&other.crc);
        self.processing += other.processing;
    }
}

/// Holds what the hearing of all streams has in common.
pub struct Hearing<'a> {
    pub image: Image<'a>,
    pub json: bool,
    /// File of phrases that are looked for, and that of the image, which errors name.
    phrases: Option<(TemplateFile, PathBuf)>,
    tail: Vec<i16>,
    cpu: Cpu,
}

/// Says where a stream goes: its name, what takes its lines and its events, and its sums.
pub struct Outlet<'a> {
    pub name: &'a str,
    pub say: &'a mut dyn FnMut(String) -> Result<()>,
    pub followers: Vec<&'a mut dyn Follower>,
    pub sums: &'a mut Sums,
}

impl<'a> Hearing<'a> {
    /// Prepares to hear with the kernels of this name, or with the fastest.
    pub fn new(image: Image<'a>, kernels: Option<&str>, json: bool) -> Result<Hearing<'a>> {
        Ok(Hearing {
            image,
            json,
            phrases: None,
            tail: tail(&image),
            cpu: cpu(kernels)?,
        })
    }

    /// Looks for the phrases of a file as well, if one is given. It must fit the image, which was read from `image`.
    pub fn with_phrases(mut self, file: Option<&Path>, image: &Path) -> Result<Hearing<'a>> {
        if let Some(file) = file {
            let phrases = TemplateFile::open(file)?;
            phrases.fits(&self.image, image)?;
            self.phrases = Some((phrases, image.into()));
        }
        Ok(self)
    }

    /// Returns sums of nothing yet.
    pub fn sums(&self) -> Sums {
        Sums {
            heard: Counts {
                phrases: self.phrases.as_ref().map(|_| 0),
                ..Counts::of(&self.image)
            },
            samples: 0,
            steps: 0,
            possible: 0,
            crc: crc32fast::Hasher::new(),
            processing: Duration::ZERO,
        }
    }

    /// Hears a recording, or as many samples of it as `most`, in memory that needs no initial value. Where it fails after
    /// its first samples, what was heard until then is decided.
    pub fn hear(
        &self,
        recording: &mut Recording,
        most: u64,
        memory: &mut [i8],
        outlet: Outlet<'_>,
    ) -> Result<()> {
        let recognizer = Recognizer::with_step(&self.image, memory, self.cpu);
        let recognizer = recognizer.map_err(|error| Error::usage(error.to_string()))?;
        let mut cells = Vec::new();
        let phrases = self.phrases.as_ref();
        let phrases = phrases.map(|(file, image)| file.matcher(&recognizer, &mut cells, image));
        let mut stream = Stream {
            phrases: phrases.transpose()?,
            recognizer,
            hearing: self,
            outlet,
        };
        let heard = stream.hear(recording, most);
        for follower in &mut stream.outlet.followers {
            follower.end();
        }
        heard
    }

    /// Prints the last line of all streams, of which `files` could be heard; a live one has overruns. People are told nothing where
    /// nothing could be heard: why not is said.
    pub fn summary(&self, sums: &Sums, files: usize, overruns: Option<u64>) -> Result<()> {
        if files == 0 && sums.samples == 0 && !self.json {
            return Ok(());
        }
        let kernels = self.cpu.kernels().name;
        let processing = sums.processing.as_secs_f64();
        let audio = sums.samples as f64 / f64::from(SAMPLE_RATE);
        let rtf = (sums.samples > 0).then(|| processing / audio);
        let totals = Totals {
            files,
            heard: sums.heard,
            samples: sums.samples,
            steps: sums.steps,
            possible: self.image.quiet().map(|_| sums.possible),
            logits_crc32: sums.crc.clone().finalize(),
        };
        let text = rtf.map_or("-".into(), |rtf| format!("{rtf:.4}"));
        let mut how = format!("in {processing:.3} s, real-time factor {text}, {kernels} kernels");
        let mut fields = json!({ "processing_s": processing, "rtf": rtf, "kernels": kernels });
        if let Some(overruns) = overruns {
            how += &format!(", {overruns} overruns");
            fields["overruns"] = json!(overruns);
        }
        totals.print(&how, fields, self.json)
    }
}

/// Returns what runs the steps: with the kernels of this name, or with the fastest.
fn cpu(name: Option<&str>) -> Result<Cpu> {
    let Some(name) = name else {
        return Ok(Cpu::default());
    };
    let found = available().find(|kernels| kernels.name == name);
    found.map(Cpu::with).ok_or_else(|| {
        let names: Vec<_> = available().map(|kernels| kernels.name).collect();
        Error::usage(format!(
            "--kernels: this processor has no `{name}`, expected one of {}",
            names.join(" ")
        ))
    })
}

/// Opens standard input; `None` means that the end was asked for before anything came.
pub fn open_stdin(channel: Option<usize>, raw: Raw) -> Result<Option<Recording>> {
    // Standard input may be a file, whose name is not known.
    files::note(Path::new("/dev/stdin"))?;
    let stdin = io::stdin();
    if stdin.is_terminal() {
        say(&format!(
            "waiting for raw {raw}, or a file of {}, on standard input, as from \
             `arecord -r 16000 -f S16_LE | zerda run -`; Ctrl-D ends it",
            audio::KINDS
        ));
    }
    let stdin = interrupt::Source::new(stdin);
    match Recording::of_stream("standard input", stdin, channel, raw) {
        Err(_) if interrupt::requested() => Ok(None),
        recording => recording.map(Some),
    }
}

/// A stream while it is heard.
struct Stream<'a, 'o> {
    recognizer: Recognizer<'a>,
    phrases: Option<Matcher<'a, 'a>>,
    hearing: &'a Hearing<'a>,
    outlet: Outlet<'o>,
}

impl Stream<'_, '_> {
    /// Hears the recording, or as many samples of it as `most`, and decides what was heard last.
    fn hear(&mut self, recording: &mut Recording, most: u64) -> Result<()> {
        loop {
            let left = most - self.outlet.sums.samples;
            if left == 0 || interrupt::requested() {
                break;
            }
            let piece = match recording.next_piece() {
                Ok(Some(piece)) => piece,
                Ok(None) => break,
                // It may have been cut off within a sample.
                Err(_) if interrupt::requested() => break,
                Err(error) if self.outlet.sums.samples > 0 => {
                    return self.end().and(Err(error));
                }
                Err(error) => return Err(error),
            };
            let piece = &piece[..piece.len().min(left.try_into().unwrap_or(usize::MAX))];
            for follower in &mut self.outlet.followers {
                follower.samples(piece)?;
            }
            self.push(piece)?;
            self.outlet.sums.samples += piece.len() as u64;
        }
        self.end()
    }

    /// Decides what was heard last.
    fn end(&mut self) -> Result<()> {
        for follower in &mut self.outlet.followers {
            follower.silence(self.hearing.tail.len());
        }
        let Hearing { image, tail, .. } = self.hearing;
        let samples = self.outlet.sums.samples + tail.len() as u64;
        self.outlet.sums.possible = audio::steps(image, samples);
        self.push(tail)
    }

    fn push(&mut self, pcm: &[i16]) -> Result<()> {
        let Hearing { image, json, .. } = self.hearing;
        let Outlet {
            name,
            say,
            followers,
            sums,
        } = &mut self.outlet;
        let Sums {
            heard, steps, crc, ..
        } = &mut **sums;
        let phrases = &mut self.phrases;
        let mut aside = Duration::ZERO;
        let mut said = Ok(());
        let mut say = |report: Report<'_>| {
            if said.is_ok() {
                let line = report::line(name, &report, *json);
                said = line.map_or(Ok(()), &mut **say);
            }
        };
        let start = Instant::now();
        self.recognizer.push_events(pcm, |event| {
            if let Event::Step { logits, .. } = event {
                crc.update(bytemuck::cast_slice(logits));
                *steps += 1;
                return;
            }
            let phrase = phrases.as_mut().and_then(|phrases| phrases.push(&event));
            let start = Instant::now();
            if let Some(phrase) = phrase {
                heard.phrases = heard.phrases.map(|phrases| phrases + 1);
                say(Report::found(&phrase, 0));
            }
            for follower in followers.iter_mut() {
                follower.event(&event);
            }
            match event {
                Event::Detection(detection) => {
                    if image.is_wake_word(detection.command) {
                        heard.wake_words += 1;
                    } else {
                        heard.commands += 1;
                    }
                    say(Report::heard(image, &detection, 0));
                }
                Event::Awake(Awake {
                    at_ms, until_ms, ..
                }) => say(Report::Awake { at_ms, until_ms }),
                Event::Asleep(Asleep { at_ms, reason, .. }) => {
                    say(Report::Asleep { at_ms, reason });
                }
                Event::Speech(Spell { at_ms, .. }) => say(Report::Speech { at_ms }),
                Event::Quiet(Spell { at_ms, .. }) => say(Report::Quiet { at_ms }),
                Event::Encoded { .. }
                | Event::Step { .. }
                | Event::Frame { .. }
                | Event::Word(_) => {}
            }
            aside += start.elapsed();
        });
        sums.processing += start.elapsed().saturating_sub(aside);
        said
    }
}
