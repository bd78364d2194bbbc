//! `zerda run` recognises commands in audio files or in a live stream, as they are said.

use std::path::{Path, PathBuf};

use zerda_evaluate::misses;
use zerda_support::audio::{self, Raw, Recording};
use zerda_support::batch::{Batch, Turn};
use zerda_support::config::Sensitivity;
use zerda_support::error::{Error, Result};
use zerda_support::escape;
use zerda_support::interrupt;
use zerda_support::output::{self, end_line, print};
use zerda_support::wake;

use crate::hearing::{Follower, Hearing, Outlet, Sums, open_stdin};
use crate::keep::{Folder, Keeper};
use crate::trace::{Panel, Trace};

pub struct Options {
    /// Recordings that are heard, and folders of them; `-` is standard input.
    pub inputs: Vec<PathBuf>,
    /// Channel that is heard, counted from 1; `None` averages all.
    pub channel: Option<usize>,
    /// Says what raw samples on standard input are like.
    pub raw: Raw,
    pub image: PathBuf,
    pub wake: Option<wake::Words>,
    /// Sensitivity of a voice activity gate that takes the place of the image's own.
    pub quiet: Option<Sensitivity>,
    /// Name of the kernels that compute; `None` takes the fastest that this processor has.
    pub kernels: Option<String>,
    pub json: bool,
    /// File of phrases that are looked for beside the image's commands.
    pub templates: Option<PathBuf>,
    /// SVG file that the posteriors are drawn into.
    pub trace: Option<PathBuf>,
    /// Folder that what was detected, or nearly, is kept in.
    pub keep: Option<PathBuf>,
    /// Says whether to explain, by the label file beside each input, what was missed and what else was detected.
    pub explain: bool,
}

/// Hears the inputs, one a core, and prints what is detected in the order in which they are named. An input that cannot be
/// read is reported in its place and fails the run at the end, after the others.
pub fn run(options: &Options) -> Result<()> {
    let file = wake::open(&options.image, options.wake.as_ref(), options.quiet)?;
    let image = file.image()?;
    let hearing = Hearing::new(image, options.kernels.as_deref(), options.json)?;
    let hearing = hearing.with_phrases(options.templates.as_deref(), &options.image)?;
    let paths = audio::expand(&options.inputs)?;
    if options.explain {
        misses::check_inputs(&paths)?;
    }
    let inputs = Inputs {
        hearing,
        keep: options.keep.as_deref().map(Folder::open),
        options,
    };
    let mut session = Session {
        trace: options.trace.is_some().then(|| Trace::new(&image)),
        all: inputs.hearing.sums(),
        failed: 0,
    };
    // Standard input, which may be live, is heard by itself.
    for paths in paths.chunk_by(|a, b| !is_stdin(a) && !is_stdin(b)) {
        let batch = Batch::new(paths).shown("files", |path| audio::forecast(path));
        batch.each(
            vec![0; image.memory_bytes()],
            |memory, turn| inputs.input(memory, turn),
            |part| session.take(part),
        )?;
        if interrupt::requested() {
            break;
        }
    }
    let heard = paths.len() - session.failed;
    inputs.hearing.summary(&session.all, heard, None)?;
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

/// An input gives lines as they are said, the reason why it could not be read, and at its end its sums, and its picture
/// where one is drawn.
enum Part {
    Line(String),
    Failed(Error),
    Ended(Box<(Sums, Option<Panel>)>),
}

/// Holds what the hearing of all inputs has in common.
struct Inputs<'a> {
    hearing: Hearing<'a>,
    keep: Option<Folder>,
    options: &'a Options,
}

impl Inputs<'_> {
    /// Hears an input in memory that needs no initial value.
    fn input(&self, memory: &mut [i8], turn: &Turn<'_, PathBuf, Part>) -> Part {
        let name = turn.item.display().to_string();
        let mut sums = self.hearing.sums();
        let mut panel = self.options.trace.is_some().then(|| Panel::new(&name));
        if let Err(error) = self.hear(&name, memory, turn, (&mut sums, &mut panel)) {
            // It is not taken where the error is that nothing is.
            let _ = turn.give(Part::Failed(error));
        }
        Part::Ended(Box::new((sums, panel)))
    }

    fn hear(
        &self,
        name: &str,
        memory: &mut [i8],
        turn: &Turn<'_, PathBuf, Part>,
        (sums, panel): (&mut Sums, &mut Option<Panel>),
    ) -> Result<()> {
        let Inputs {
            hearing, options, ..
        } = self;
        let path = turn.item;
        let Some(mut recording) = self.open(path)? else {
            return Ok(());
        };
        let mut progress = Heard(turn);
        let mut held = options.explain.then(|| Held(path, Vec::new()));
        let keep = self.keep.as_ref();
        let mut keeper = keep.map(|folder| Keeper::new(folder, &hearing.image, name));
        let followers: [Option<&mut dyn Follower>; 4] = [
            Some(&mut progress),
            held.as_mut().map(|held| held as _),
            panel.as_mut().map(|panel| panel as _),
            keeper.as_mut().map(|keeper| keeper as _),
        ];
        let outlet = Outlet {
            name,
            say: &mut |line| turn.give(Part::Line(line)),
            followers: followers.into_iter().flatten().collect(),
            sums,
        };
        hearing.hear(&mut recording, u64::MAX, memory, outlet)?;
        if !hearing.json {
            turn.give(Part::Line(end_line(name, sums.heard, sums.samples)))?;
        }
        if let Some(Held(_, all)) = held {
            for line in misses::explain(&hearing.image, path, &all, hearing.json)? {
                turn.give(Part::Line(line))?;
            }
        }
        Ok(())
    }

    /// Opens an input; `None` means that the end was asked for before anything came.
    fn open(&self, path: &Path) -> Result<Option<Recording>> {
        let Options { channel, raw, .. } = *self.options;
        match is_stdin(path) {
            true => open_stdin(channel, raw),
            false => Recording::open(path, channel).map(Some),
        }
    }
}

/// Shows how much of an input was heard.
struct Heard<'a>(&'a Turn<'a, PathBuf, Part>);

impl Follower for Heard<'_> {
    fn samples(&mut self, pcm: &[i16]) -> Result<()> {
        self.0.heard(pcm.len());
        Ok(())
    }
}

/// Holds all samples of an input, by its path, as they are explained afterwards.
struct Held<'a>(&'a Path, Vec<i16>);

impl Follower for Held<'_> {
    fn samples(&mut self, pcm: &[i16]) -> Result<()> {
        audio::hold(&mut self.1, pcm, self.0)
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
            Part::Ended(ended) => {
                let (sums, panel) = *ended;
                self.all.add(&sums);
                if let Some(trace) = &mut self.trace {
                    trace.panels.extend(panel);
                }
            }
        }
        Ok(())
    }
}
