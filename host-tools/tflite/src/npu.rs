//! `zerda npu` compiles an image's step for an Arm Ethos-U, by Arm's Vela.
//!
//! The step is exported as `zerda export` does it, Vela makes a command stream and constants of it,
//! and both go into the image as its NPU section ([`zerda_firmware::image::section`]), where the
//! firmware's driver finds them. The plan stays: the CPU runs it where there is no NPU, or it fails.
//!
//! # What the figures are
//!
//! The figures are Vela's estimates, from its own model of the NPU and of the memories of a system
//! configuration; nothing is run. Activations are in SRAM. Constants are behind the other port, as the table says (memory
//! mode `shared-sram`, Vela's `Shared_Sram`), or in SRAM as well (`sram-only`, `Sram_Only`), which takes 244 KiB more of it
//! for `shrunk` and, by Vela, 0.6 of the time on `ethos-u55-256`; the driver copies them there.
//!
//! | target | system configuration | NPU clock | constants in |
//! |---|---|---|---|
//! | `ethos-u55-128`, `ethos-u55-256` | `Ethos_U55_High_End_Embedded` | 500 MHz | flash, 0.5 GB/s |
//! | `ethos-u65-256` | `Ethos_U65_Embedded` | 500 MHz | flash, 0.5 GB/s |
//! | `ethos-u65-512` | `Ethos_U65_High_End` | 1 GHz | DRAM, 3.75 GB/s |
//! | `ethos-u85-256` | `Ethos_U85_SYS_Flash_High` | 500 MHz | flash |
//!
//! What was tried to make them small is in `host-tools/tflite/docs/npu-formulations.md`.

mod compiled;
pub mod section;
mod tools;
mod vela;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use zerda_firmware::Image;
use zerda_firmware::image::section::{MemoryMode, Product, Program, Section};
use zerda_support::board::{Board, Npu};
use zerda_support::error::{Error, Result};
use zerda_support::escape;
use zerda_support::ethos_u::Target;
use zerda_support::image_file::ImageFile;
use zerda_support::output;
use zerda_support::output::print;

use crate::export;
use vela::{Estimate, Vela};

/// Number of frames that 5 s of audio have.
const SEQUENCE: u16 = 500;

/// Returns what a section says of itself as JSON, for `zerda inspect`.
pub fn json(program: &Program<'_>) -> Value {
    let section = program.section;
    let Section { estimate, .. } = section;
    json!({
        "target": name(&section),
        "payload": section.payload.bytes,
        "constants": section.constants.bytes,
        "scratch": section.scratch_bytes,
        "memory_mode": mode_name(program.memory_mode),
        "estimated": {
            "clock_hz": estimate.clock_hz,
            "cycles": estimate.cycles,
            "npu_cycles": estimate.npu_cycles,
            "step_ms": step_ms(&section),
            "sram_bytes": estimate.sram_bytes,
            "flash_bytes": estimate.flash_bytes,
        },
    })
}

/// Returns what a section says of itself in words.
pub fn describe(program: &Program<'_>) -> String {
    let section = program.section;
    format!(
        "{}: commands {}, constants {}, scratch memory {} bytes, {}; a step {:.3} ms at {} MHz, \
         estimated by Vela",
        name(&section),
        section.payload.bytes,
        section.constants.bytes,
        section.scratch_bytes,
        mode_name(program.memory_mode),
        step_ms(&section),
        f64::from(section.estimate.clock_hz) / 1e6,
    )
}

fn step_ms(section: &Section) -> f64 {
    let Section { estimate, .. } = section;
    f64::from(estimate.cycles) * 1000.0 / f64::from(estimate.clock_hz)
}

/// Returns the name of a section's NPU, as targets are named.
fn name(section: &Section) -> String {
    let product = match section.product {
        Product::U55 => "u55",
        Product::U65 => "u65",
        Product::U85 => "u85",
    };
    format!("ethos-{product}-{}", 1u64 << section.macs_log2.min(63))
}

/// Memory modes by the names that users know.
pub const MEMORY_MODES: [(&str, MemoryMode); 2] = [
    ("shared-sram", MemoryMode::SharedSram),
    ("sram-only", MemoryMode::SramOnly),
];

fn mode_name(memory_mode: MemoryMode) -> &'static str {
    let known = MEMORY_MODES.iter().find(|(_, mode)| *mode == memory_mode);
    known.map_or("", |(name, _)| name)
}

pub struct Options {
    pub image: PathBuf,
    pub target: Target,
    pub memory_mode: MemoryMode,
    /// Path that the image with the section goes to; without one there is the estimate only.
    pub output: Option<PathBuf>,
    /// Says whether the output is the image itself.
    pub in_place: bool,
    pub json: bool,
    /// Path of a Vela that is used instead of the one that zerda installs.
    pub vela: Option<PathBuf>,
}

/// Returns the estimated seconds of a step on an NPU: as the image says, if it holds the step for that one,
/// or as Vela says now, which is told on standard error.
pub fn step_seconds(image: &Image<'_>, target: Target, vela: Option<&Path>) -> Result<f64> {
    if stored_seconds(image, target)?.is_none() {
        let _ = writeln!(
            io::stderr(),
            "the image holds no step for {}: Vela compiles it, for its estimate",
            target.name()
        );
    }
    quiet_step_seconds(image, target, vela)
}

/// Returns the estimated seconds of a step like [`step_seconds`], and tells nothing.
pub fn quiet_step_seconds(image: &Image<'_>, target: Target, vela: Option<&Path>) -> Result<f64> {
    if let Some(seconds) = stored_seconds(image, target)? {
        return Ok(seconds);
    }
    let step = export::step(image).map_err(Error::check)?;
    let (_, estimate) = Vela::find(vela)?.compile(&step, target, MemoryMode::SharedSram)?;
    Ok(estimate.step_ms() / 1000.0)
}

/// Returns the step for a target that an image holds.
fn stored<'a>(image: &Image<'a>, target: Target) -> Option<Program<'a>> {
    let program = image.npu();
    program.filter(|program| name(&program.section) == target.name())
}

fn stored_seconds(image: &Image<'_>, target: Target) -> Result<Option<f64>> {
    let Some(Program { section, .. }) = stored(image, target) else {
        return Ok(None);
    };
    let seconds = step_ms(&section) / 1000.0;
    match seconds.is_finite() {
        true => Ok(Some(seconds)),
        false => Err(Error::usage(format!(
            "the image's step for {} has an estimate without a clock; put it in anew with `zerda npu`",
            target.name()
        ))),
    }
}

/// Returns the memory mode in which a step runs: that of the image's step for this target, or else `shared-sram`.
pub fn memory_mode(image: &Image<'_>, target: Target) -> MemoryMode {
    stored(image, target).map_or(MemoryMode::SharedSram, |program| program.memory_mode)
}

/// Checks that the step for an NPU that an image holds fits the SRAM of that NPU.
///
/// # Errors
///
/// Says how many bytes are needed, and how many there are.
pub fn fits(image: &Image<'_>, npu: &Npu) -> std::result::Result<(), String> {
    let (Some(program), Some(there)) = (stored(image, npu.target), npu.sram_bytes) else {
        return Ok(());
    };
    let (needed, there) = (program.buffer_bytes(), there.get() as usize);
    match needed <= there {
        true => Ok(()),
        false => Err(format!(
            "a step for {} in memory mode {} needs {needed} bytes of SRAM, and there are {there}; compile it with \
             `zerda npu --memory-mode shared-sram`, or for an NPU with more SRAM",
            npu.target.name(),
            mode_name(program.memory_mode),
        )),
    }
}

/// Says whose estimates they are: the version of Vela, the system configuration and the memory mode.
pub fn basis(target: Target, memory_mode: MemoryMode) -> String {
    let (version, mode) = (vela::VERSION, vela::name(memory_mode));
    format!("estimated, Vela {version}, {}, {mode}", target.system())
}

/// Compiles the step, writes the image with it, and prints what Vela estimates.
pub fn npu(options: &Options) -> Result<()> {
    let (path, target, memory_mode) = (&options.image, options.target, options.memory_mode);
    if options.output.is_some() && !target.is_driven() {
        return Err(Error::usage(format!(
            "{}: the firmware drives Ethos-U55 and U65 only; without --output there is the estimate",
            target.name()
        )));
    }
    let file = ImageFile::open(path)?;
    let image = file.image()?;
    let failed = |why: String| Error::check(format!("{}: {why}", path.display()));
    let step = export::step(&image).map_err(failed)?;
    let vela = Vela::find(options.vela.as_deref())?;
    let (compiled, estimate) = vela.compile(&step, target, memory_mode)?;
    let written = match &options.output {
        Some(output) => {
            let packed = section::pack(file.bytes(), &image, &compiled, &estimate, memory_mode);
            let packed = packed.map_err(failed)?;
            let board = Board::open(Path::new(""), target.name())?;
            if let Some(npu) = &board.npu {
                let refused = |why| Error::usage(format!("{}: {why}", board.path.display()));
                fits(&packed.image()?, npu).map_err(refused)?;
            }
            match options.in_place {
                true => output::replace(output, packed.bytes())?,
                false => output::write(output, packed.bytes())?,
            }
            Some((output, packed.bytes().len()))
        }
        None => None,
    };

    let basis = basis(target, memory_mode);
    let step_ms = estimate.step_ms();
    let Estimate {
        npu_percent,
        clock_hz,
        cycles,
        npu_cycles,
        sram_bytes,
        flash_bytes,
    } = estimate;
    if options.json {
        let object = json!({
            "target": target.name(),
            "npu_percent": npu_percent,
            "step_ms": step_ms,
            "cycles": cycles as u64,
            "npu_cycles": npu_cycles as u64,
            "clock_hz": clock_hz as u64,
            "sram_bytes": sram_bytes as u64,
            "flash_bytes": flash_bytes as u64,
            "basis": basis,
            "output": written.map(|(path, _)| path.display().to_string()),
        });
        return print(&object.to_string());
    }
    let stream = image.manifest().stream;
    let steps = SEQUENCE.saturating_sub(stream.chunk) / stream.step.max(1) + 1;
    let note = match written {
        Some((path, bytes)) => format!("{}: {bytes} bytes, with it", escape::path(path)),
        None => "not in the image: the firmware drives Ethos-U55 and U65 only".into(),
    };
    print(&format!(
        "{}: {npu_percent} % of the operators on the NPU\n  \
         a step      {step_ms:.3} ms, {cycles} cycles at {} MHz, {npu_cycles} if memory were no limit\n  \
         {SEQUENCE} frames  {:.1} ms, {steps} steps\n  \
         memory      SRAM {sram_bytes} bytes, constants {flash_bytes} bytes\n  \
         basis       {basis}\n\
         {note}",
        target.name(),
        clock_hz / 1e6,
        step_ms * f64::from(steps),
    ))
}
