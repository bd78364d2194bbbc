//! `zerda run` recognises commands in audio files or in a live stream, as they are said.

mod explain;

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use zerda_firmware::gate::{Asleep, Awake};
use zerda_firmware::telemetry::Report;
use zerda_firmware::{Event, Image, Recognizer};

use crate::audio::{self, SAMPLE_RATE};
use crate::error::{Error, Result};
use crate::output;
use crate::report;
use crate::trace::{Panel, Trace};
use crate::wake;

pub struct Options {
    /// Audio files that are heard; `-` is raw 16 kHz mono s16le on standard input.
    pub inputs: Vec<PathBuf>,
    pub image: PathBuf,
    pub wake: Option<wake::Words>,
    pub json: bool,
    /// SVG file that the posteriors are drawn into.
    pub trace: Option<PathBuf>,
    /// Says whether to explain, by the label file beside each input, what was missed and what else was detected.
    pub explain: bool,
}

/// Processes every input. An input that cannot be read is reported at once and fails the run at the end, after the
/// others.
pub fn run(options: &Options) -> Result<()> {
    let file = wake::open(&options.image, options.wake.as_ref())?;
    let image = file.image()?;
    let mut memory = vec![0i8; image.memory_bytes()];
    let recognizer = Recognizer::new(&image, memory.as_mut_slice())
        .map_err(|error| Error::usage(error.to_string()))?;
    if options.explain {
        explain::refuse_stdin(&options.inputs)?;
    }
    let mut session = Session {
        image,
        tail: tail(&image),
        recognizer,
        json: options.json,
        explain: options.explain,
        crc: crc32fast::Hasher::new(),
        samples: 0,
        processing: Duration::ZERO,
        steps: 0,
        heard: Counts::of(&image),
    };
    let mut trace = options.trace.is_some().then(|| Trace::new(&image));
    let mut failed = 0;
    for input in &options.inputs {
        let name = input.display().to_string();
        let mut panel = trace.as_ref().map(|_| Panel::new(&name));
        let result = if input == Path::new("-") {
            session.stdin(&mut io::stdin().lock(), &mut panel)
        } else {
            session.file(input, &mut panel)
        };
        match result {
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
    }
    session.summary(options.inputs.len() - failed)?;
    if let (Some(path), Some(trace)) = (&options.trace, &trace) {
        output::write(path, trace.svg()?.as_bytes())?;
    }
    match failed {
        0 => Ok(()),
        _ => Err(Error::Reported),
    }
}

/// Returns the silence that follows a stream: one chunk, so that the last word is committed and decided, and where
/// there are commands of several words the gap in which another could follow.
pub fn tail(image: &Image<'_>) -> Vec<i16> {
    let (stream, front_end) = (image.manifest().stream, image.manifest().front_end);
    let frames = usize::from(stream.chunk) + usize::from(image.grammar().gap);
    vec![0; frames * usize::from(front_end.hop)]
}

/// Holds what the inputs have in common.
struct Session<'a> {
    recognizer: Recognizer<'a>,
    image: Image<'a>,
    tail: Vec<i16>,
    json: bool,
    explain: bool,
    crc: crc32fast::Hasher,
    samples: u64,
    /// Time that the recognizer took: reading and decoding files is the host's business.
    processing: Duration,
    steps: u64,
    heard: Counts,
}

impl Session<'_> {
    fn file(&mut self, path: &Path, panel: &mut Option<Panel>) -> Result<()> {
        let samples = audio::read(path)?;
        let name = path.display().to_string();
        let before = self.heard;
        self.recognizer.reset();
        // A second at a time, so that detections of a long file are seen as they happen.
        for part in samples.chunks(SAMPLE_RATE as usize) {
            self.push(&name, part, panel)?;
        }
        self.finish(&name, samples.len() as u64, before, panel)?;
        match self.explain {
            true => explain::explain(&self.image, path, &samples, self.json),
            false => Ok(()),
        }
    }

    fn stdin(&mut self, stdin: &mut impl Read, panel: &mut Option<Panel>) -> Result<()> {
        let before = self.heard;
        let mut samples = 0u64;
        let mut buffer = [0u8; 4096];
        // At most one byte of a sample whose other half has not come yet.
        let mut kept = 0;
        self.recognizer.reset();
        loop {
            let read = match stdin.read(&mut buffer[kept..]) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Error::read("standard input", error)),
            };
            let (pairs, rest) = buffer[..kept + read].as_chunks::<2>();
            let pcm: Vec<i16> = pairs.iter().map(|&pair| i16::from_le_bytes(pair)).collect();
            let last = rest.first().copied();
            samples += pcm.len() as u64;
            self.push("-", &pcm, panel)?;
            kept = rest.len();
            buffer[0] = last.unwrap_or_default();
        }
        if samples == 0 {
            return Err(Error::usage(
                "standard input holds no samples, expected raw 16 kHz mono s16le",
            ));
        }
        self.finish("-", samples, before, panel)?;
        match kept {
            0 => Ok(()),
            _ => Err(Error::usage(
                "standard input ends within a sample, expected raw 16 kHz mono s16le",
            )),
        }
    }

    /// Ends one input, and prints the line about it.
    fn finish(
        &mut self,
        name: &str,
        samples: u64,
        before: Counts,
        panel: &mut Option<Panel>,
    ) -> Result<()> {
        let tail = std::mem::take(&mut self.tail);
        let result = self.push(name, &tail, panel);
        self.tail = tail;
        result?;
        self.samples += samples;
        print_end(name, self.heard.since(before), samples, self.json)
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

    fn summary(self, files: usize) -> Result<()> {
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
            &format!("in {processing:.3} s, real-time factor {text}"),
            json!({ "processing_s": processing, "rtf": rtf }),
            self.json,
        )
    }
}

/// Holds sums over all inputs, wherever they were recognized.
pub struct Totals {
    pub files: usize,
    pub heard: Counts,
    pub samples: u64,
    pub steps: u64,
    pub logits_crc32: u32,
}

impl Totals {
    /// Prints the last line; `how` (as text) and `fields` (as JSON) say where and how fast it was.
    pub fn print(&self, how: &str, fields: Value, json: bool) -> Result<()> {
        let audio = self.samples as f64 / f64::from(SAMPLE_RATE);
        let (steps, Counts { commands, .. }) = (self.steps, self.heard);
        let wakes = self.heard.wake_words_text();
        let crc = format!("{:08x}", self.logits_crc32);
        if !json {
            return print(&format!(
                "{audio:.2} s of audio {how}; {commands} commands{wakes}, {steps} steps, logits {crc}"
            ));
        }
        let mut summary = json!({
            "files": self.files,
            "detections": commands,
            "audio_s": audio,
        });
        for (key, value) in fields.as_object().into_iter().flatten() {
            summary[key] = value.clone();
        }
        if self.heard.gated {
            summary["wake_words"] = json!(self.heard.wake_words);
        }
        summary["steps"] = json!(steps);
        summary["logits_crc32"] = json!(crc);
        print(&json!({ "summary": summary }).to_string())
    }
}

/// Counts what was heard, in all inputs or in one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub commands: u64,
    pub wake_words: u64,
    /// Says whether the image names wake words; if not, none are told.
    pub gated: bool,
}

impl Counts {
    /// Returns counts of zero for an image.
    pub fn of(image: &Image<'_>) -> Counts {
        Counts {
            gated: image.wake().is_some(),
            ..Counts::default()
        }
    }

    fn since(self, before: Counts) -> Counts {
        Counts {
            commands: self.commands - before.commands,
            wake_words: self.wake_words - before.wake_words,
            ..self
        }
    }

    /// Returns the text about wake words that follows the number of commands.
    pub fn wake_words_text(self) -> String {
        match (self.gated, self.wake_words) {
            (false, _) => String::new(),
            (true, 1) => ", 1 wake word".into(),
            (true, n) => format!(", {n} wake words"),
        }
    }
}

/// Prints the line that follows an input's detections; as JSON there is none.
pub fn print_end(name: &str, heard: Counts, samples: u64, json: bool) -> Result<()> {
    if json {
        return Ok(());
    }
    let seconds = samples as f64 / f64::from(SAMPLE_RATE);
    let commands = match heard.commands {
        0 => "no command".to_string(),
        1 => "1 command".to_string(),
        n => format!("{n} commands"),
    };
    let wakes = heard.wake_words_text();
    print(&format!("{name}: {commands}{wakes} in {seconds:.2} s"))
}

/// Prints a line to standard output at once, since someone may be watching.
pub fn print(line: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{line}")
        .and_then(|()| stdout.flush())
        .map_err(Error::stdout)
}
