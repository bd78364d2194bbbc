//! `zerda listen` recognises commands from the microphone, as they are said.

use std::io::{self, IsTerminal};
use std::path::PathBuf;

use serde_json::json;
use zerda_support::audio::{Raw, Recording, SAMPLE_RATE, Wav};
use zerda_support::config::Sensitivity;
use zerda_support::error::{Error, Result, say};
use zerda_support::escape;
use zerda_support::interrupt;
use zerda_support::output::{end_line, print};
use zerda_support::wake;

use crate::hearing::{Follower, Hearing, Outlet, Sums, open_stdin};
use crate::keep::{Folder, Keeper};
use crate::microphone::{self, Overruns};
use crate::view::View;

pub struct Options {
    /// Name of the microphone; `None` stands for standard input.
    pub device: Option<String>,
    /// Channel that is heard, counted from 1; `None` averages all.
    pub channel: Option<usize>,
    /// Says what raw samples on standard input are like.
    pub raw: Raw,
    /// Seconds of audio after which listening ends.
    pub seconds: Option<f64>,
    /// WAV file that records what the recognizer is fed.
    pub record: Option<PathBuf>,
    pub image: PathBuf,
    pub wake: Option<wake::Words>,
    /// Sensitivity of a voice activity gate that takes the place of the image's own.
    pub quiet: Option<Sensitivity>,
    /// Name of the kernels that compute; `None` takes the fastest that this processor has.
    pub kernels: Option<String>,
    /// File of phrases that are looked for beside the image's commands.
    pub templates: Option<PathBuf>,
    /// Folder that what was detected, or nearly, is kept in.
    pub keep: Option<PathBuf>,
    pub json: bool,
}

/// Hears the microphone until the user asks it to end, or for so many seconds, and prints what is detected.
pub fn listen(options: &Options) -> Result<()> {
    let file = wake::open(&options.image, options.wake.as_ref(), options.quiet)?;
    let hearing = Hearing::new(file.image()?, options.kernels.as_deref(), options.json)?;
    let hearing = hearing.with_phrases(options.templates.as_deref(), &options.image)?;
    let mut wav = options.record.as_deref().map(Wav::create).transpose()?;
    let overruns = Overruns::default();
    interrupt::watch();
    let Some(mut recording) = open(options, &overruns)? else {
        return Err(Error::Interrupted);
    };
    let mut sums = hearing.sums();
    let session = Session {
        options,
        hearing: &hearing,
        overruns: &overruns,
    };
    let heard = session.hear(&mut recording, wav.as_mut(), &mut sums);
    if sums.samples == 0 && heard.is_err() {
        return heard;
    }
    let recorded = match (&heard, wav) {
        // What could not be written is not whole.
        (Err(Error::Write { path, .. }), _) if Some(path) == options.record.as_ref() => Ok(()),
        (_, wav) => wav.map_or(Ok(()), Wav::finish),
    };
    if let Err(error) = &heard {
        error.report();
    }
    if !options.json {
        print(&end_line(options.name(), sums.heard, sums.samples))?;
    }
    let lost = options.device.is_some().then(|| overruns.count());
    hearing.summary(&sums, 1, lost)?;
    recorded?;
    match heard {
        Err(Error::OutputClosed) => Err(Error::OutputClosed),
        Err(_) => Err(Error::Reported),
        Ok(()) if interrupt::requested() => Err(Error::Interrupted),
        Ok(()) => Ok(()),
    }
}

impl Options {
    /// Returns the name that lines call the stream by.
    fn name(&self) -> &'static str {
        self.device.as_ref().map_or("-", |_| "microphone")
    }
}

/// Holds what listening takes beside the stream itself.
struct Session<'a> {
    options: &'a Options,
    hearing: &'a Hearing<'a>,
    overruns: &'a Overruns,
}

impl Session<'_> {
    /// Hears the stream to its end, records it, keeps clips of it, and shows it where there is a terminal.
    fn hear(
        &self,
        recording: &mut Recording,
        wav: Option<&mut Wav>,
        sums: &mut Sums,
    ) -> Result<()> {
        let Session {
            options,
            hearing,
            overruns,
        } = *self;
        let (image, name) = (&hearing.image, options.name());
        let folder = options.keep.as_deref().map(Folder::open);
        let keeper = folder.as_ref();
        let mut keeper = keeper.map(|folder| Keeper::new(folder, image, name));
        let terminal = !options.json && io::stdout().is_terminal();
        let view = terminal.then(|| View::begin(image, overruns));
        let mut view = view.flatten();
        let mut losses = Losses {
            overruns,
            told: 0,
            samples: 0,
            name,
            json: options.json,
        };
        let followers: [Option<&mut dyn Follower>; 4] = [
            Some(&mut losses),
            wav.map(|wav| wav as _),
            keeper.as_mut().map(|keeper| keeper as _),
            view.as_mut().map(|view| view as _),
        ];
        let outlet = Outlet {
            name,
            say: &mut |line| print(&line),
            followers: followers.into_iter().flatten().collect(),
            sums,
        };
        let seconds = options.seconds.unwrap_or(f64::INFINITY);
        // The conversion saturates.
        let most = (seconds * f64::from(SAMPLE_RATE)) as u64;
        hearing.hear(recording, most, &mut vec![0; image.memory_bytes()], outlet)
    }
}

/// Opens the microphone or standard input; `None` means that the end was asked for before anything came.
fn open(options: &Options, overruns: &Overruns) -> Result<Option<Recording>> {
    let Some(device) = &options.device else {
        return open_stdin(options.channel, options.raw);
    };
    let (recording, raw) = microphone::open(device, options.channel, overruns)?;
    if io::stderr().is_terminal() {
        say(&format!(
            "listening to the microphone `{device}`, {raw}; Ctrl-C ends it"
        ));
    }
    Ok(Some(recording))
}

/// Prints the microphones, one a line.
pub fn list(json: bool) -> Result<()> {
    let width = 24;
    for microphone::Device { name, description } in microphone::list()? {
        let (name, description) = (escape::line(&name), escape::line(&description));
        print(&match json {
            true => json!({ "device": name, "description": description }).to_string(),
            false => format!("{name:<width$} {description}")
                .trim_end()
                .to_string(),
        })?;
    }
    Ok(())
}

impl Follower for Wav {
    fn samples(&mut self, pcm: &[i16]) -> Result<()> {
        self.append(pcm)
    }
}

/// Tells of overruns, between what is detected.
struct Losses<'a> {
    overruns: &'a Overruns,
    told: u64,
    samples: u64,
    name: &'a str,
    json: bool,
}

impl Follower for Losses<'_> {
    fn samples(&mut self, pcm: &[i16]) -> Result<()> {
        let count = self.overruns.count();
        if count > self.told {
            self.told = count;
            let at_ms = self.samples * 1000 / u64::from(SAMPLE_RATE);
            print(&match self.json {
                true => json!({ "file": self.name, "overrun": { "at_ms": at_ms } }).to_string(),
                false => format!(
                    "{}: overrun {count}, audio was lost at about {at_ms} ms: this machine was too slow",
                    self.name
                ),
            })?;
        }
        self.samples += pcm.len() as u64;
        Ok(())
    }
}
