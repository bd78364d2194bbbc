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
use zerda_support::error::{Error, Result, say};
use zerda_support::escape;
use zerda_support::files;
use zerda_support::interrupt;
use zerda_support::output::{self, Counts, Totals, print, print_end};
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

/// Processes the inputs one by one. An input that cannot be read is reported at once and fails the run at the end, after the
/// others.
pub fn run(options: &Options) -> Result<()> {
    let file = wake::open(&options.image, options.wake.as_ref())?;
    let image = file.image()?;
    let mut memory = vec![0i8; image.memory_bytes()];
    let cpu = cpu(options.kernels.as_deref())?;
    let recognizer = Recognizer::with_step(&image, memory.as_mut_slice(), cpu)
        .map_err(|error| Error::usage(error.to_string()))?;
    let inputs = audio::expand(&options.inputs)?;
    if options.explain {
        misses::check_inputs(&inputs)?;
    }
    let mut session = Session {
        image,
        tail: tail(&image),
        recognizer,
        json: options.json,
        channel: options.channel,
        explain: options.explain,
        crc: crc32fast::Hasher::new(),
        samples: 0,
        processing: Duration::ZERO,
        steps: 0,
        heard: Counts::of(&image),
    };
    let mut trace = options.trace.is_some().then(|| Trace::new(&image));
    let mut failed = 0;
    for input in &inputs {
        let name = input.display().to_string();
        let mut panel = trace.as_ref().map(|_| Panel::new(&name));
        match session.input(input, &mut panel) {
            Ok(()) => {}
            // Standard output is the only thing written to here.
            Err(output @ (Error::OutputClosed | Error::Write { .. })) => return Err(output),
            Err(error) => {
                failed += 1;
                error.report();
            }
        }
        if let (Some(trace), Some(panel)) = (&mut trace, panel) {
            trace.panels.push(panel);
        }
        if interrupt::requested() {
            break;
        }
    }
    session.summary(inputs.len() - failed)?;
    if let (Some(path), Some(trace)) = (&options.trace, &trace) {
        output::write(path, escape::text(&trace.svg()).as_bytes())?;
    }
    match failed {
        _ if interrupt::requested() => Err(Error::Interrupted),
        0 => Ok(()),
        _ => Err(Error::Reported),
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

/// Holds what the inputs have in common.
struct Session<'a> {
    recognizer: Recognizer<'a>,
    image: Image<'a>,
    tail: Vec<i16>,
    json: bool,
    channel: Option<usize>,
    explain: bool,
    crc: crc32fast::Hasher,
    samples: u64,
    /// Time that the recognizer took: reading and decoding files is the host's business.
    processing: Duration,
    steps: u64,
    heard: Counts,
}

impl Session<'_> {
    fn input(&mut self, path: &Path, panel: &mut Option<Panel>) -> Result<()> {
        let mut recording = if path == Path::new("-") {
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
            match Recording::of_stream("standard input", stdin, self.channel) {
                // Whoever asked for the end did so before anything came.
                Err(_) if interrupt::requested() => return Ok(()),
                recording => recording?,
            }
        } else {
            Recording::open(path, self.channel)?
        };
        let name = path.display().to_string();
        let (before, mut samples, mut all) = (self.heard, 0, Vec::new());
        self.recognizer.reset();
        loop {
            let piece = match recording.next_piece() {
                Ok(Some(piece)) => piece,
                Ok(None) => break,
                // It may have been cut off within a sample.
                Err(_) if interrupt::requested() => break,
                // What was heard until then is decided.
                Err(error) if samples > 0 => return self.push_tail(&name, panel).and(Err(error)),
                Err(error) => return Err(error),
            };
            samples += piece.len() as u64;
            if self.explain {
                audio::hold(&mut all, piece, path)?;
            }
            self.push(&name, piece, panel)?;
            if interrupt::requested() {
                break;
            }
        }
        self.push_tail(&name, panel)?;
        self.samples += samples;
        print_end(&name, self.heard.since(before), samples, self.json)?;
        match self.explain {
            true => misses::explain(&self.image, path, &all, self.json),
            false => Ok(()),
        }
    }

    fn push_tail(&mut self, name: &str, panel: &mut Option<Panel>) -> Result<()> {
        let tail = std::mem::take(&mut self.tail);
        let result = self.push(name, &tail, panel);
        self.tail = tail;
        result
    }

    fn push(&mut self, name: &str, pcm: &[i16], panel: &mut Option<Panel>) -> Result<()> {
        let Session {
            recognizer,
            image,
            json,
            crc,
            steps,
            heard,
            ..
        } = self;
        if let Some(panel) = panel {
            panel.samples(pcm);
        }
        let mut printing = Duration::ZERO;
        let mut printed = Ok(());
        let mut say = |report: Report<'_>| {
            let start = Instant::now();
            if printed.is_ok() {
                printed = report::line(name, &report, *json).map_or(Ok(()), |line| print(&line));
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
        self.processing += start.elapsed().saturating_sub(printing);
        printed
    }

    fn summary(mut self, files: usize) -> Result<()> {
        let kernels = self.recognizer.step_mut().kernels().name;
        let processing = self.processing.as_secs_f64();
        let audio = self.samples as f64 / f64::from(SAMPLE_RATE);
        let rtf = (self.samples > 0).then(|| processing / audio);
        let totals = Totals {
            files,
            heard: self.heard,
            samples: self.samples,
            steps: self.steps,
            logits_crc32: self.crc.finalize(),
        };
        let text = rtf.map_or("-".into(), |rtf| format!("{rtf:.4}"));
        totals.print(
            &format!("in {processing:.3} s, real-time factor {text}, {kernels} kernels"),
            json!({ "processing_s": processing, "rtf": rtf, "kernels": kernels }),
            self.json,
        )
    }
}
