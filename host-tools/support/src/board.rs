//! Describes boards: how quick a board is, what it may take, and what runs or flashes it.
//!
//! A board with firmware is a folder of `firmware/boards`, and its `board.toml` holds these facts. Systems for which
//! there is no firmware stand in `config/boards`, which is built in; so is `board.toml` of the one board whose costs
//! they refer to. Any other board is named by the path of its file.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::config::{OwnLimits, parse};
use crate::error::{Error, Result};
use crate::escape;
use crate::ethos_u::Target;
use crate::files;

/// Name of the file that describes a board, in its folder.
pub const FILE: &str = "board.toml";

/// The table of a board's file that holds its costs.
pub const COSTS: &str = "[instructions.cost]";

macro_rules! built_in {
    ($($path:literal = $file:literal)*) => {
        [$(($path, include_str!(concat!("../", $file)))),*]
    };
}

/// Path in the repository and text of each file that is built in.
const BUILT_IN: [(&str, &str); 6] = built_in![
    "config/boards/ethos-u55-128.toml" = "config/boards/ethos-u55-128.toml"
    "config/boards/ethos-u55-256.toml" = "config/boards/ethos-u55-256.toml"
    "config/boards/ethos-u65-256.toml" = "config/boards/ethos-u65-256.toml"
    "config/boards/ethos-u65-512.toml" = "config/boards/ethos-u65-512.toml"
    "config/boards/ethos-u85-256.toml" = "config/boards/ethos-u85-256.toml"
    "firmware/boards/mps3-an547/board.toml" = "boards/mps3-an547.toml"
];

/// Board, or system without firmware, and all that is known of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Board {
    pub name: String,
    /// File that describes it.
    pub path: PathBuf,
    pub core: String,
    pub clock_mhz: f64,
    pub cycles_per_instruction: f64,
    /// Cycles that a byte of constants takes each time that an operator reads it.
    pub flash_cycles_per_byte: f64,
    pub dma_buffer_ms: f64,
    /// Share of the core that other software takes, 0 to less than 0.99.
    pub other_load: f64,
    pub output_us: f64,
    pub limits: OwnLimits,
    /// Name that QEMU has for the machine; `None` for a board that QEMU does not run.
    pub machine: Option<String>,
    /// Name that probe-rs has for the chip; `None` for a board that is not flashed.
    pub chip: Option<String>,
    /// Family in the UF2 files that the board's boot loader takes; `None` for a board that takes none.
    pub uf2_family: Option<u32>,
    pub instructions: Instructions,
    /// File and line that the costs of the instructions begin at.
    pub costs_at: String,
    pub npu: Option<Npu>,
}

/// NPU that a board has, and what it leaves to the core.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Npu {
    pub target: Target,
    /// Bytes of SRAM that the NPU reaches, which hold its scratch memory, and constants where they are copied there;
    /// without a number nothing is held against it.
    pub sram_bytes: Option<NonZeroU32>,
    pub driver_cycles: Cost,
    pub copy_cycles_per_byte: Cost,
}

/// Kernels that a core runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kernels {
    Plain,
    Dsp,
    Mve,
}

/// Instructions that one run of each term of each class takes, `[instructions]` of a board file.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Instructions {
    pub kernels: Kernels,
    pub cost: BTreeMap<String, BTreeMap<String, Cost>>,
}

/// Number of instructions or cycles, which is 0 to 1e12.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(try_from = "f64")]
pub struct Cost(pub f64);

impl Board {
    /// Opens the board of a name: the folder of `boards`, or the system that is built in. Any other name is the path
    /// of a file.
    pub fn open(boards: &Path, name: &str) -> Result<Board> {
        if let Some((path, text)) = find(boards, name)? {
            return Board::read(boards, &path, &text);
        }
        let path = Path::new(name);
        match files::read_to_string(path) {
            Ok(text) => Board::read(boards, path, &text),
            Err(error) if path.extension().is_some() => Err(Error::read(path, error)),
            Err(_) => Err(Error::usage(format!(
                "{name}: no such board, expected one of {}, or the path of a board file (TOML)",
                all(boards).join(" ")
            ))),
        }
    }

    /// Reads the board that the text of a file describes, which may refer to the costs of one in `boards`.
    pub fn read(boards: &Path, path: &Path, text: &str) -> Result<Board> {
        let File {
            core,
            clock_mhz,
            cycles_per_instruction,
            flash_cycles_per_byte,
            dma_buffer_ms,
            other_load,
            output_us,
            limits,
            qemu,
            probe_rs,
            uf2,
            instructions,
            instructions_of,
            npu,
        } = parse(path, text)?;
        let wrong = |key: &str, expected: String| {
            Error::usage(format!("{}: {expected}", at(path, text, key)))
        };
        let (instructions, costs_at) = match (instructions, instructions_of) {
            (Some(instructions), None) => (instructions, at(path, text, COSTS)),
            (None, Some(of)) => instructions_like(boards, &of).ok_or_else(|| {
                let mut with = all(boards);
                with.retain(|name| instructions_like(boards, name).is_some());
                wrong(
                    "instructions_of",
                    format!(
                        "`instructions_of`: no board {of} with [instructions], expected one of {}",
                        with.join(" ")
                    ),
                )
            })?,
            (Some(_), Some(_)) => {
                return Err(wrong(
                    "instructions_of",
                    "`instructions_of`: expected either this or [instructions], not both".into(),
                ));
            }
            (None, None) => {
                return Err(wrong(
                    "",
                    "expected `instructions_of`, a board of the same kernels, or [instructions]"
                        .into(),
                ));
            }
        };
        // Whatever they are, each figure is finite and a simulation ends.
        for (key, value, least, most) in [
            ("clock_mhz", clock_mhz, 1e-3, 1e6),
            ("cycles_per_instruction", cycles_per_instruction, 1e-3, 1e3),
            ("flash_cycles_per_byte", flash_cycles_per_byte, 0.0, 1e6),
            // A sample, to as much audio as a stream is long.
            ("dma_buffer_ms", dma_buffer_ms, 0.0625, 60e3),
            ("output_us", output_us, 0.0, 1e9),
        ] {
            if !(least..=most).contains(&value) {
                let why = format!("`{key}`: invalid value {value:?}, expected {least} to {most}");
                return Err(wrong(key, why));
            }
        }
        Ok(Board {
            name: name(path),
            path: path.into(),
            core: escape::line(&core),
            clock_mhz,
            cycles_per_instruction,
            flash_cycles_per_byte,
            dma_buffer_ms,
            other_load: other_load.0,
            output_us,
            limits,
            machine: qemu.map(|qemu| qemu.machine),
            chip: probe_rs.map(|probe_rs| probe_rs.chip),
            uf2_family: uf2.map(|uf2| uf2.family),
            instructions,
            costs_at,
            npu,
        })
    }

    /// Returns the seconds that the core takes for some cycles, besides other software.
    pub fn seconds(&self, cycles: f64) -> f64 {
        cycles / (self.clock_mhz * 1e6) / (1.0 - self.other_load)
    }
}

/// Returns the sorted names of the boards that have firmware: those of the folders of `boards` with a `board.toml`.
pub fn names(boards: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(boards).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut names: Vec<_> = entries
        .map_err(|error| Error::read(boards, error))?
        .iter()
        .filter(|entry| entry.path().join(FILE).is_file())
        .map(|entry| entry.file_name().display().to_string())
        .collect();
    names.sort();
    Ok(names)
}

/// Returns the sorted names of all boards, in `boards` and built in.
fn all(boards: &Path) -> Vec<String> {
    let built_in = BUILT_IN.iter().map(|(path, _)| name(Path::new(path)));
    let names: BTreeSet<_> = built_in.chain(names(boards).unwrap_or_default()).collect();
    names.into_iter().collect()
}

/// Returns path and text of the file of a name's board.
fn find(boards: &Path, wanted: &str) -> Result<Option<(PathBuf, Cow<'static, str>)>> {
    let path = boards.join(wanted).join(FILE);
    if Path::new(wanted).components().count() == 1 && path.is_file() {
        let text = files::read_to_string(&path).map_err(|error| Error::read(&path, error))?;
        return Ok(Some((path, text.into())));
    }
    let mut built_in = BUILT_IN
        .iter()
        .map(|&(path, text)| (PathBuf::from(path), text));
    let found = built_in.find(|(path, _)| name(path) == wanted);
    Ok(found.map(|(path, text)| (path, text.into())))
}

/// Returns the name of a file's board: that of its folder if it is a `board.toml`, or else its own.
fn name(path: &Path) -> String {
    let folder = path.parent().and_then(Path::file_name);
    let name = folder.filter(|_| path.ends_with(FILE)).or(path.file_stem());
    escape::path(name.unwrap_or_default().as_ref())
}

/// Returns the instructions of a board that has its own, and where their costs are.
fn instructions_like(boards: &Path, name: &str) -> Option<(Instructions, String)> {
    let (path, text) = find(boards, name).ok()??;
    let instructions = toml::from_str::<File>(&text).ok()?.instructions?;
    Some((instructions, at(&path, &text, COSTS)))
}

/// Returns the file, and the line that begins with a key; the first line if none does.
fn at(path: &Path, text: &str, key: &str) -> String {
    let line = text
        .lines()
        .position(|line| line.starts_with(key))
        .unwrap_or(0);
    format!("{}:{}", path.display(), line + 1)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    core: String,
    clock_mhz: f64,
    cycles_per_instruction: f64,
    flash_cycles_per_byte: f64,
    dma_buffer_ms: f64,
    other_load: Share,
    output_us: f64,
    #[serde(default)]
    limits: OwnLimits,
    qemu: Option<Qemu>,
    #[serde(rename = "probe-rs")]
    probe_rs: Option<ProbeRs>,
    uf2: Option<Uf2>,
    instructions: Option<Instructions>,
    instructions_of: Option<String>,
    npu: Option<Npu>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Qemu {
    machine: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProbeRs {
    chip: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Uf2 {
    family: u32,
}

impl TryFrom<f64> for Cost {
    type Error = String;
    fn try_from(value: f64) -> Result<Self, String> {
        match (0.0..=1e12).contains(&value) {
            true => Ok(Cost(value)),
            false => Err(format!("invalid value {value:?}, expected 0 to 1e12")),
        }
    }
}

#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "f64")]
struct Share(f64);

impl TryFrom<f64> for Share {
    type Error = String;
    fn try_from(value: f64) -> Result<Self, String> {
        match (0.0..0.99).contains(&value) {
            true => Ok(Share(value)),
            false => Err(format!(
                "invalid value {value}, expected 0 to less than 0.99"
            )),
        }
    }
}

#[cfg(test)]
mod tests;
