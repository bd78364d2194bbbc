//! `zerda qemu` runs a board's firmware on audio files, in QEMU.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rayon::prelude::*;
use serde_json::json;
use tempfile::TempDir;
use zerda_firmware::Image;
use zerda_firmware::telemetry::Status;
use zerda_support::audio::{self, tail};
use zerda_support::board::Board;
use zerda_support::config::Sensitivity;
use zerda_support::error::{Error, Result, say};
use zerda_support::output::{Counts, Totals, end_line, print};
use zerda_support::template_file::TemplateFile;
use zerda_support::wake;

use crate::boards::{Firmware, Project};

mod flash;
mod line;
mod machine;
mod profile;

use flash::Flash;
use line::Line;
use machine::{Boot, Machine, Serial};
use profile::Profile;
pub use profile::Step;

/// Names of what may make the firmware fail.
pub const FAULTS: [&str; 4] = ["panic", "hardfault", "overflow", "image"];

/// Files in the folder in which QEMU runs.
const AUDIO: &str = "audio.wav";
const FLASH: &str = "flash";
const PROFILE: &str = "profile";

pub struct Options {
    pub board: String,
    /// Folder that holds the boards.
    pub boards: PathBuf,
    pub image: PathBuf,
    pub wake: Option<wake::Words>,
    /// Sensitivity of a voice activity gate that takes the place of the image's own.
    pub quiet: Option<Sensitivity>,
    /// File of phrases that are looked for beside the image's commands.
    pub templates: Option<PathBuf>,
    pub inputs: Vec<PathBuf>,
    pub json: bool,
    /// Says whether instructions are counted on the first input.
    pub profile: bool,
    /// Clock in MHz that the profile's verdict is for; `None` is the board's.
    pub mhz: Option<f64>,
    /// Says whether samples come by the clock, from an interrupt.
    pub realtime: bool,
    /// Time in ms of audio after which the main loop is held up, and for how many ms that is.
    pub stall: Option<(u32, u32)>,
    /// Time in ms of audio after which the firmware fails, and how: one of [`FAULTS`].
    pub fault: Option<(u32, String)>,
    /// Address that the serial port is served on.
    pub serve: Option<SocketAddr>,
    /// File of the flash that updates write, which is new or of an earlier run.
    pub flash: Option<PathBuf>,
    /// Faults, as `STEP:FAULT,...`, with which a model of the NPU's registers fails; steps then run by the NPU driver,
    /// over that model. With `None` they run on the CPU.
    pub npu_model: Option<String>,
    /// Says whether the board compares its kernels with the plain ones instead of hearing audio.
    pub kernels: bool,
}

/// Boots the board once for each input. An input that cannot be read is reported at once and fails the run at the end,
/// after the others; a failure in QEMU ends the run.
pub fn qemu(options: &Options) -> Result<()> {
    let project = Project::open(&options.boards, &options.board)?;
    project.qemu_machine()?;
    let file = wake::open(&options.image, options.wake.as_ref(), options.quiet)?;
    let image = file.image()?;
    let flash = options.flash.as_deref();
    let flash = flash.map(|path| Flash::of(&project, path)).transpose()?;
    let feature = options.npu_model.as_ref().map(|_| "npu-model");
    if feature.is_some() && image.npu().is_none() {
        return Err(Error::usage(format!(
            "{}: holds no step for an NPU; add one with `zerda npu`",
            options.image.display()
        )));
    }
    let folder = tempfile::tempdir().map_err(|error| Error::write("a temporary folder", error))?;
    let phrases = options.templates.as_deref().map(TemplateFile::open);
    let phrases = phrases.transpose()?;
    let firmware = match &phrases {
        None => project.build(&file, feature)?,
        Some(phrases) => {
            phrases.fits(&image, &options.image)?;
            project.build_with_phrases(&file, phrases)?
        }
    };
    let machine = Machine::new(&project, &firmware.elf)?;
    drop(firmware);
    if options.kernels {
        // Its log says how many cases there were.
        return machine.boot(Boot {
            folder: folder.path(),
            arguments: vec!["kernels".into()],
            realtime: true,
            serial: Serial::Here(&mut |_| Ok(())),
            logs: true,
            limit: Some(Duration::from_secs(300)),
        });
    }
    let mut session = Session {
        options,
        flash,
        machine,
        image: &image,
        folder,
        totals: Totals {
            files: 0,
            heard: Counts {
                phrases: phrases.as_ref().map(|_| 0),
                ..Counts::of(&image)
            },
            samples: 0,
            steps: 0,
            possible: image.quiet().map(|_| 0),
            logits_crc32: 0,
        },
        crc: crc32fast::Hasher::new(),
        overruns: 0,
        lost_samples: 0,
        stack_bytes: 0,
        kernels: String::new(),
        npu: None,
        profile: None,
    };
    let mut failed = false;
    for input in &options.inputs {
        let wav = session.folder.path().join(AUDIO);
        match audio::convert(input, &wav, &tail(&image)) {
            Ok(samples) => session.file(&input.display().to_string(), samples)?,
            Err(error @ Error::Write { .. }) => return Err(error),
            Err(error) => {
                failed = true;
                error.report();
            }
        }
    }
    session.finish(&project.board)?;
    match failed {
        false => Ok(()),
        true => Err(Error::Reported),
    }
}

/// Returns the most stack, in bytes, that the board's firmware in `elf` takes in QEMU on the recordings, with audio
/// from the main loop and from an interrupt. These boots run side by side.
pub fn stack_bytes(
    project: &Project,
    elf: &Path,
    image: &Image<'_>,
    recordings: &[PathBuf],
) -> Result<u32> {
    let machine = Machine::new(project, elf)?;
    let folder = tempfile::tempdir().map_err(|error| Error::write("a temporary folder", error))?;
    let heard = recordings
        .par_iter()
        .enumerate()
        .map(|(number, recording)| {
            let name = recording.display().to_string();
            let wav = format!("{number}.wav");
            let samples = audio::convert(recording, &folder.path().join(&wav), &tail(image))?;
            let boot = |realtime: bool| {
                let mut arguments = vec![wav.clone()];
                arguments.extend(realtime.then(|| "realtime".into()));
                let line = Line::new(&name, image);
                let (_, status) =
                    line.hear(&machine, folder.path(), samples, arguments, realtime)?;
                Ok(status.stack_bytes)
            };
            let (from_main, from_interrupt) = rayon::join(|| boot(false), || boot(true));
            Ok(from_main?.max(from_interrupt?))
        });
    heard.try_reduce(|| 0, |a, b| Ok(a.max(b)))
}

/// Counts the instructions of each step of some audio, from the first on, with a firmware that holds the image.
pub fn count(
    project: &Project,
    firmware: Firmware,
    image: &Image<'_>,
    samples: &[i16],
) -> Result<Vec<Step>> {
    let machine = Machine::new(project, &firmware.elf)?;
    drop(firmware);
    let folder = tempfile::tempdir().map_err(|error| Error::write("a temporary folder", error))?;
    let [wav, counts] = [AUDIO, PROFILE].map(|name| folder.path().join(name));
    audio::write(&wav, samples)?;
    let arguments = vec![AUDIO.into(), format!("profile={PROFILE}")];
    let line = Line::new(&project.board.name, image);
    let length = samples.len() as u64;
    line.hear(&machine, folder.path(), length, arguments, false)?;
    profile::read(&counts, image, length)
}

/// Holds what the boots have in common.
struct Session<'a> {
    options: &'a Options,
    flash: Option<Flash<'a>>,
    machine: Machine<'a>,
    image: &'a Image<'a>,
    folder: TempDir,
    totals: Totals,
    crc: crc32fast::Hasher,
    overruns: u32,
    lost_samples: u32,
    /// Most stack, in bytes, that any of the boots took.
    stack_bytes: u32,
    kernels: String,
    /// Number of steps that ran on the NPU, and of faults.
    npu: Option<(u64, u64)>,
    /// Steps that were counted, and the samples in which they ran.
    profile: Option<(Vec<profile::Step>, u64)>,
}

impl Session<'_> {
    /// Boots the board on the file [`AUDIO`], which holds so many samples of the recording `name`, with the flash that is
    /// kept, if one is.
    fn file(&mut self, name: &str, samples: u64) -> Result<()> {
        let Some(flash) = self.flash else {
            return self.boot(name, samples);
        };
        let here = self.folder.path().join(FLASH);
        flash.bring(&here)?;
        let done = self.boot(name, samples);
        flash.keep(&here)?;
        done
    }

    fn boot(&mut self, name: &str, samples: u64) -> Result<()> {
        let counts = self.folder.path().join(PROFILE);
        let mut arguments = vec![AUDIO.into()];
        let counting = self.options.profile && self.profile.is_none();
        if counting {
            arguments.push(format!("profile={PROFILE}"));
        }
        if self.options.realtime {
            arguments.push("realtime".into());
        }
        if let Some((at, ms)) = self.options.stall {
            // A comma would end an option of QEMU's.
            arguments.push(format!("stall={at}:{ms}"));
        }
        if let Some((at, kind)) = &self.options.fault {
            arguments.push(format!("fault={at}:{kind}"));
        }
        if let Some(faults) = self
            .options
            .npu_model
            .as_ref()
            .filter(|list| !list.is_empty())
        {
            arguments.push(format!("npu-faults={faults}"));
        }
        if self.options.flash.is_some() {
            arguments.push(format!("flash={FLASH}"));
        }
        let realtime = self.options.realtime;
        self.totals.files += 1;
        self.totals.samples += samples;
        if let Some(possible) = &mut self.totals.possible {
            *possible += audio::steps(self.image, samples + tail(self.image).len() as u64);
        }
        if let Some(address) = self.options.serve {
            say(&format!("{name} waits for `zerda monitor tcp:{address}`"));
            return self.machine.boot(Boot {
                folder: self.folder.path(),
                arguments,
                realtime,
                serial: Serial::Served(address),
                logs: true,
                limit: None,
            });
        }

        let mut line = Line::new(name, self.image);
        line.json = Some(self.options.json);
        line.fails = self.options.fault.is_some() || self.options.stall.is_some();
        if self.options.flash.is_some() {
            line.image_crc32 = None;
        }
        let (line, status) = line.hear(
            &self.machine,
            self.folder.path(),
            samples,
            arguments,
            realtime,
        )?;
        self.kernels = line.kernels;
        if let Some((steps, faults)) = line.npu {
            let (all, failed) = self.npu.unwrap_or_default();
            self.npu = Some((all + u64::from(steps), failed + u64::from(faults)));
        }
        let heard = Counts {
            commands: status.detections.into(),
            wake_words: line.wake_words.into(),
            phrases: self.totals.heard.phrases.map(|_| line.phrases),
            ..self.totals.heard
        };
        self.add(status, heard);
        if counting {
            let heard = samples + tail(self.image).len() as u64;
            self.profile = Some((profile::read(&counts, self.image, heard)?, heard));
        }
        match self.options.json {
            true => Ok(()),
            false => print(&end_line(name, heard, samples)),
        }
    }

    /// Adds the counters of one boot.
    fn add(&mut self, status: Status, heard: Counts) {
        let step = u64::from(self.image.manifest().stream.step);
        let logits = u64::from(status.steps) * step * self.image.labels().count() as u64;
        let boot = crc32fast::Hasher::new_with_initial_len(status.logits_crc32, logits);
        self.crc.combine(&boot);
        self.totals.steps += u64::from(status.steps);
        self.totals.heard.commands += heard.commands;
        self.totals.heard.wake_words += heard.wake_words;
        let phrases = self.totals.heard.phrases.zip(heard.phrases);
        self.totals.heard.phrases = phrases.map(|(all, of)| all + of);
        self.overruns += status.overruns;
        self.lost_samples += status.lost_samples;
        self.stack_bytes = self.stack_bytes.max(status.stack_bytes);
    }

    fn finish(mut self, board: &Board) -> Result<()> {
        // The telemetry was somebody else's.
        if self.options.serve.is_some() {
            return Ok(());
        }
        let profile = self.profile.take().map(|(steps, samples)| Profile {
            board: &board.name,
            kernels: &self.kernels,
            image: self.image,
            stack_bytes: self.stack_bytes,
            clock_mhz: self.options.mhz.unwrap_or(board.clock_mhz),
            steps,
            possible: (self.image.quiet()).map(|_| audio::steps(self.image, samples)),
        });
        let verdict = match &profile {
            Some(profile) => profile.print(self.options.json)?,
            None => Ok(()),
        };
        self.totals.logits_crc32 = self.crc.finalize();
        let lost = match self.overruns {
            0 => String::new(),
            n => format!(", {n} overruns, {} samples lost", self.lost_samples),
        };
        let npu = match self.npu {
            Some((steps, faults)) => {
                format!(", {steps} steps by the NPU's driver over a model, {faults} faults")
            }
            None => String::new(),
        };
        self.totals.print(
            &format!(
                "on {} in QEMU, {} kernels{npu}{lost}",
                board.name, self.kernels
            ),
            json!({
                "board": board.name,
                "kernels": self.kernels,
                "stack_bytes": self.stack_bytes,
                "overruns": self.overruns,
                "lost_samples": self.lost_samples,
                "npu": self.npu.map(|(steps, faults)| json!({ "steps": steps, "faults": faults })),
            }),
            self.options.json,
        )?;
        verdict
    }
}
