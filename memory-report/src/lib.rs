//! Reports what a board's firmware takes of its memory, down to the byte, against the budgets of
//! `config/budgets.toml` and the committed baseline.
//!
//! The report reads the firmware's ELF (sections, symbols, debug information), the regions of `memory.x`,
//! the model image in it, and the stack that it used in QEMU. Nothing is left over: every byte of every
//! region belongs to one part.
//!
//! - Code is counted by crate and module: those of the innermost function that an instruction was inlined
//!   from, but for functions of the language, whose instructions belong to what called them. Fat LTO inlines
//!   across crates, so a symbol alone would tell little.
//! - Read-only data and statics are counted by the crate of their symbol. Literals have none: they are one
//!   part.
//! - The image is counted by operator: weights, biases, multipliers.
//! - The stack counts whole, used or margin; it is measured.

mod arena;
mod baseline;
mod debug_info;
mod firmware;
mod html;
mod markdown;
mod memory;
mod names;
mod part;
mod report;
mod shrinking;
mod stack;
mod text;

use std::path::PathBuf;

use zerda_device::boards::Project;
use zerda_device::elf;
use zerda_support::audio;
use zerda_support::board;
use zerda_support::config::{Budgets, Config};
use zerda_support::error::{Error, Result};
use zerda_support::files;
use zerda_support::image_file::ImageFile;
use zerda_support::output::{self, Format, Forms};
use zerda_support::template_file::TemplateFile;

use baseline::Baseline;
use firmware::Firmware;
pub use report::Footprint;
use shrinking::Row;
use stack::Stacks;

pub struct Options {
    /// Names of the boards that are reported on; if there are none, all are.
    pub names: Vec<String>,
    /// Folder that the boards are in.
    pub boards: PathBuf,
    pub image: PathBuf,
    /// File of phrases that the firmware holds beside the image.
    pub templates: Option<PathBuf>,
    /// Firmware of the one board, which is then not built.
    pub elf: Option<PathBuf>,
    pub budgets: PathBuf,
    pub baseline: PathBuf,
    /// Says whether to write the baseline.
    pub renew: bool,
    /// Audio files, or folders of them, that the stack is measured on.
    pub audio: Vec<PathBuf>,
    /// Folder that all forms are written into.
    pub output: Option<PathBuf>,
    pub format: Format,
}

/// Reports on all boards, and what they have in common.
pub struct Reports {
    pub image: String,
    pub boards: Vec<Footprint>,
    /// Table that compares the profile `baseline` with the image.
    pub shrinking: Vec<Row>,
    pub growth_percent: f64,
}

/// The report's files have this name, before what each ends in.
const NAME: &str = "memory";

/// Reports on each board, writes what is asked for, and fails if any board fails.
pub fn run(options: &Options) -> Result<()> {
    let outputs = options.output.iter();
    let outputs: Vec<_> = outputs
        .flat_map(|folder| output::report_files(folder, NAME))
        .collect();
    files::announce(&outputs)?;
    let reports = reports(options)?;
    let forms = Forms {
        text: text::page(&reports),
        markdown: markdown::page(&reports),
        json: output::json_lines(&reports.boards),
        html: || html::page(&reports),
    };
    forms.show(options.format, options.output.as_deref(), NAME)?;
    reports.verdict()
}

/// Reports on each board, and renews the baseline if that is asked for.
pub fn reports(options: &Options) -> Result<Reports> {
    let there = board::names(&options.boards).unwrap_or_default();
    let names = match options.names.as_slice() {
        [] => &there,
        names => names,
    };
    if options.elf.is_some() && names.len() != 1 {
        return Err(Error::usage(
            "--elf is the firmware of one board: name it with --board",
        ));
    }
    // Says it, too, where there is no such folder or board.
    let opened: Vec<Project> = names
        .iter()
        .map(|name| Project::open(&options.boards, name).map(with_updates))
        .collect::<Result<_>>()?;
    if opened.is_empty() {
        Project::open(&options.boards, "")?;
    }
    let budgets = Budgets::load(Some(&options.budgets))?;
    let mut baseline = Baseline::load(&options.baseline, options.renew)?;
    let file = ImageFile::open(&options.image)?;
    let image = file.image()?;
    let phrases = options.templates.as_deref().map(TemplateFile::open);
    let phrases = phrases.transpose()?;
    if let Some(phrases) = &phrases {
        phrases.fits(&image, &options.image)?;
    }
    let recordings = recordings(&options.audio)?;
    let mut stacks = Stacks::new(&options.boards, &file, &recordings);
    let mut reports = Vec::new();
    for project in &opened {
        let regions = elf::regions(&project.directory.join("memory.x"))?;
        let (firmware, stack) = match &options.elf {
            Some(path) => {
                let firmware = Firmware::read(path, regions, &file)?;
                let stack = stacks.of(project, path, firmware.stack_bytes)?;
                (firmware, stack)
            }
            None => built(project, regions, (&file, phrases.as_ref()), &mut stacks)?,
        };
        let board = &project.board;
        let limits = budgets.of(board.limits);
        let mut report = Footprint::new(&board.name, firmware, stack, &image, limits);
        report.judge(&budgets, &baseline, &options.baseline, options.renew);
        reports.push(report);
    }
    if options.renew {
        baseline.renew(&options.baseline, &reports, &there)?;
    }
    let models = Config::load(None)?.models;
    let shrinking = models
        .profiles
        .get("baseline")
        .map(|profile| shrinking::table(profile, models.front_end.mels, &file, &image));
    Ok(Reports {
        image: options.image.display().to_string(),
        boards: reports,
        shrinking: shrinking.unwrap_or_default(),
        growth_percent: budgets.growth_percent.0,
    })
}

/// Has the board's firmware take updates if it can: they are a part of a product.
fn with_updates(project: Project) -> Project {
    Project {
        stand_in_key: true,
        ..project
    }
}

/// Builds a board and reads what came of it. For as long as it is measured, nobody else builds boards.
fn built(
    project: &Project,
    regions: Vec<elf::Region>,
    (file, phrases): (&ImageFile, Option<&TemplateFile>),
    stacks: &mut Stacks<'_>,
) -> Result<(Firmware, stack::Stack)> {
    let built = match phrases {
        None => project.build(file, None)?,
        Some(phrases) => project.build_with_phrases(file, phrases)?,
    };
    let firmware = Firmware::read(&built.elf, regions, file)?;
    if project.board.machine.is_none() {
        // The stack is that of another board, which may have to be built.
        let elf = built.elf.clone();
        drop(built);
        let stack = stacks.of(project, &elf, firmware.stack_bytes)?;
        return Ok((firmware, stack));
    }
    let stack = stacks.of(project, &built.elf, firmware.stack_bytes)?;
    Ok((firmware, stack))
}

fn recordings(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        match path.is_dir() {
            true => files.extend(audio::list(path)?),
            false => files.push(path.clone()),
        }
    }
    match files.is_empty() {
        true => Err(Error::usage(
            "no recordings to measure the stack on; name some with --audio",
        )),
        false => Ok(files),
    }
}

impl Reports {
    /// Fails with the failures of all boards, a line each.
    fn verdict(&self) -> Result<()> {
        let lines: Vec<_> = self
            .boards
            .iter()
            .flat_map(|report| {
                let failures = report.failures.iter();
                failures.map(|failure| format!("{}: {failure}", report.board))
            })
            .collect();
        match lines.is_empty() {
            true => Ok(()),
            false => Err(Error::Checks(lines)),
        }
    }

    fn passes(&self) -> bool {
        self.boards.iter().all(|report| report.failures.is_empty())
    }
}
