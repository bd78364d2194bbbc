//! `zerda run` recognises commands in audio files or in a live stream, as they are said.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;
use zerda_evaluate::misses;
use zerda_firmware::gate::{Asleep, Awake};
use zerda_firmware::kernels::choice::available;
use zerda_firmware::step::Cpu;
use zerda_firmware::telemetry::Report;
use zerda_firmware::{Event, Image, Recognizer};
use zerda_support::audio::{self, Recording, SAMPLE_RATE, tail};
use zerda_support::batch::{Batch, Turn};
use zerda_support::error::{Error, Result, say};
use zerda_support::escape;
use zerda_support::files;
use zerda_support::interrupt;
use zerda_support::output::{self, Counts, Totals, end_line, print};
use zerda_support::report;
use zerda_support::wake;

use crate::trace::{Panel, Trace};

pub struct Options {
    /// Recordings that are heard, and folders of them; `-` is standard input.
    pub inputs: Vec<PathBuf>,
    /// Channel that is heard, counted from 1; `None` averages all.
    pub channel: Option<usize>,
    pub image: PathBuf,
    pub wake: Option<wake::Words>,
    /// Name of the kernels that compute; `None` takes the fastest that this processor has.
    pub kernels: Option<String>,
    pub json: bool,
    /// SVG file that the posteriors are drawn into.
    pub trace: Option<PathBuf>,
    /// Says whether to explain, by the label file beside each input, what was missed and what else was detected.
    pub explain: bool,
}

/// Hears the inputs, one a core, and prints what is detected in the order in which they are named. An input that cannot be
/// read is reported in its place and fails the run at the end, after the others.
pub fn run(options: &Options) -> Result<()> {
    let file = wake::open(&options.image, options.wake.as_ref())?;
    let image = file.image()?;
    let cpu = cpu(options.kernels.as_deref())?;
    let inputs = audio::expand(&options.inputs)?;
    if options.explain {
        misses::check_inputs(&inputs)?;
    }
    let hearing = Hearing {
        image,
        tail: tail(&image),
        cpu,
        options,
    };
    let mut session = Session {
        trace: options.trace.is_some().then(|| Trace::new(&image)),
        all: Sums::of(&image),
        failed: 0,
    };
    // Standard input, which may be live, is heard by itself.
    for inputs in inputs.chunk_by(|a, b| !is_stdin(a) && !is_stdin(b)) {
        let batch = Batch::new(inputs).shown("files", |input| audio::forecast(input));
        batch.each(
            vec![0; image.memory_bytes()],
            |memory, turn| hearing.input(memory, turn),
            |part| session.take(part),
        )?;
        if interrupt::requested() {
            break;
        }
    }
    session.summary(inputs.len(), cpu, options.json)?;
    if let (Some(path), Some(trace)) = (&options.trace, &session.trace) {
        output::write(path, escape::text(&trace.svg()).as_bytes())?;
    }
    match session.failed {
        _ if interrupt::requested() => Err(Error::Interrupted),
        0 => Ok(()),
        _ => Err(Error::Reported),
    }
}

fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
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

/// An input gives lines as they are said, the reason why it could not be read, and sums at its end.
enum Part {
    Line(String),
    Failed(Error),
    Ended(Box<Sums>),
}

/// Sums up what was heard, in one input or in all.
struct Sums {
    heard: Counts,
    samples: u64,
    steps: u64,
    crc: crc32fast::Hasher,
    /// Time that the recognizer took: reading and decoding files is the host's business.
    processing: Duration,
    /// Picture of the one input, where one is drawn.
    panel: Option<Panel>,
}

impl Sums {
    fn of(image: &Image<'_>) -> Sums {
        Sums {
            heard: Counts::of(image),
            samples: 0,
            steps: 0,
            crc: crc32fast::Hasher::new(),
            processing: Duration::ZERO,
            panel: None,
        }
    }
}

/// Holds what the hearing of all inputs has in common.
struct Hearing<'a> {
    image: Image<'a>,
    tail: Vec<i16>,
    cpu: Cpu,
    options: &'a Options,
}

impl Hearing<'_> {
    /// Hears an input in memory that needs no initial value.
    fn input(&self, memory: &mut [i8], turn: &Turn<'_, PathBuf, Part>) -> Part {
        let name = turn.item.display().to_string();
        let mut sums = Sums::of(&self.image);
        sums.panel = self.options.trace.is_some().then(|| Panel::new(&name));
        if let Err(error) = self.hear(&name, memory, turn, &mut sums) {
            // It is not taken where the error is that nothing is.
            let _ = turn.give(Part::Failed(error));
        }
        Part::Ended(Box::new(sums))
    }

    fn hear(
        &self,
        name: &str,
        memory: &mut [i8],
        turn: &Turn<'_, PathBuf, Part>,
        sums: &mut Sums,
    ) -> Result<()> {
        let path = turn.item;
        let Some(mut recording) = self.open(path)? else {
            return Ok(());
        };
        let recognizer = Recognizer::with_step(&self.image, memory, self.cpu);
        let mut stream = Stream {
            recognizer: recognizer.map_err(|error| Error::usage(error.to_string()))?,
            image: &self.image,
            name,
            json: self.options.json,
            turn,
            sums,
        };
        let (mut samples, mut all) = (0, Vec::new());
        loop {
            let piece = match recording.next_piece() {
                Ok(Some(piece)) => piece,
                Ok(None) => break,
                // It may have been cut off within a sample.
                Err(_) if interrupt::requested() => break,
                // What was heard until then is decided.
                Err(error) if samples > 0 => return stream.push(&self.tail).and(Err(error)),
                Err(error) => return Err(error),
            };
            samples += piece.len() as u64;
            if self.options.explain {
                audio::hold(&mut all, piece, path)?;
            }
            stream.push(piece)?;
            turn.heard(piece.len());
            if interrupt::requested() {
                break;
            }
        }
        stream.push(&self.tail)?;
        sums.samples = samples;
        let json = self.options.json;
        if !json {
            turn.give(Part::Line(end_line(name, sums.heard, samples)))?;
        }
        if self.options.explain {
            for line in misses::explain(&self.image, path, &all, json)? {
                turn.give(Part::Line(line))?;
            }
        }
        Ok(())
    }

    /// Opens an input; `None` means that the end was asked for before anything came.
    fn open(&self, path: &Path) -> Result<Option<Recording>> {
        let channel = self.options.channel;
        if !is_stdin(path) {
            return Recording::open(path, channel).map(Some);
        }
        // Standard input may be a file, whose name is not known.
        files::note(Path::new("/dev/stdin"))?;
        let stdin = io::stdin();
        if stdin.is_terminal() {
            say(&format!(
                "waiting for raw 16 kHz mono s16le, or a file of {}, on standard input, as from \
                 `arecord -r 16000 -f S16_LE | zerda run -`; Ctrl-D ends it",
                audio::KINDS
            ));
        }
        let stdin = interrupt::Source::new(stdin);
        match Recording::of_stream("standard input", stdin, channel) {
            Err(_) if interrupt::requested() => Ok(None),
            recording => recording.map(Some),
        }
    }
}

/// An input while it is heard.
struct Stream<'a> {
    recognizer: Recognizer<'a>,
    image: &'a Image<'a>,
    name: &'a str,
    json: bool,
    turn: &'a Turn<'a, PathBuf, Part>,
    sums: &'a mut Sums,
}

impl Stream<'_> {
    fn push(&mut self, pcm: &[i16]) -> Result<()> {
        let Stream {
            recognizer,
            image,
            name,
            json,
            turn,
            sums,
        } = self;
        let Sums {
            heard,
            steps,
            crc,
            panel,
            ..
        } = &mut **sums;
        if let Some(panel) = panel {
            panel.samples(pcm);
        }
        let mut printing = Duration::ZERO;
        let mut printed = Ok(());
        let mut say = |report: Report<'_>| {
            let start = Instant::now();
            if printed.is_ok() {
                let line = report::line(name, &report, *json);
                printed = line.map_or(Ok(()), |line| turn.give(Part::Line(line)));
            }
            printing += start.elapsed();
        };
        let start = Instant::now();
        recognizer.push_events(pcm, |event| match event {
            Event::Step { logits, .. } => {
                crc.update(bytemuck::cast_slice(logits));
                *steps += 1;
            }
            Event::Frame { smoothed, .. } => {
                if let Some(panel) = panel {
                    panel.frame(smoothed);
                }
            }
            Event::Word(word) => {
                if let Some(panel) = panel {
                    panel.words.push(word);
                }
            }
            Event::Detection(detection) => {
                if image.is_wake_word(detection.command) {
                    heard.wake_words += 1;
                } else {
                    heard.commands += 1;
                }
                if let Some(panel) = panel {
                    panel.detections.push(detection);
                }
                say(Report::heard(image, &detection, 0));
            }
            Event::Awake(Awake {
                at_ms, until_ms, ..
            }) => {
                if let Some(panel) = panel {
                    panel.windows.push((at_ms, until_ms));
                }
                say(Report::Awake { at_ms, until_ms });
            }
            Event::Asleep(Asleep { at_ms, reason, .. }) => {
                say(Report::Asleep { at_ms, reason });
            }
        });
        sums.processing += start.elapsed().saturating_sub(printing);
        printed
    }
}

/// Holds what is told of all inputs together.
struct Session {
    all: Sums,
    trace: Option<Trace>,
    /// Number of inputs that could not be used.
    failed: usize,
}

impl Session {
    fn take(&mut self, part: Part) -> Result<()> {
        match part {
            Part::Line(line) => return print(&line),
            Part::Failed(error) => {
                self.failed += 1;
                error.report();
            }
            Part::Ended(sums) => {
                self.all.heard.commands += sums.heard.commands;
                self.all.heard.wake_words += sums.heard.wake_words;
                self.all.samples += sums.samples;
                self.all.steps += sums.steps;
                self.all.crc.combine(&sums.crc);
                self.all.processing += sums.processing;
                if let Some(trace) = &mut self.trace {
                    trace.panels.extend(sums.panel);
                }
            }
        }
        Ok(())
    }

    fn summary(&self, inputs: usize, cpu: Cpu, json: bool) -> Result<()> {
        let kernels = cpu.kernels().name;
        let processing = self.all.processing.as_secs_f64();
        let audio = self.all.samples as f64 / f64::from(SAMPLE_RATE);
        let rtf = (self.all.samples > 0).then(|| processing / audio);
        let totals = Totals {
            files: inputs - self.failed,
            heard: self.all.heard,
            samples: self.all.samples,
            steps: self.all.steps,
            logits_crc32: self.all.crc.clone().finalize(),
        };
        let text = rtf.map_or("-".into(), |rtf| format!("{rtf:.4}"));
        totals.print(
            &format!("in {processing:.3} s, real-time factor {text}, {kernels} kernels"),
            json!({ "processing_s": processing, "rtf": rtf, "kernels": kernels }),
            json,
        )
    }
}
