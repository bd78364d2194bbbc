//! Reads boards as the simulator knows them, `config/boards/*.toml`. The files are built in; any other is
//! named by its path.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde::{Deserialize, Deserializer};
use zerda_support::config::parse;
use zerda_support::error::{Error, Result};
use zerda_tflite::npu::Target;

use super::cost::{Cost, Instructions};

macro_rules! built_in {
    ($($name:literal)*) => {
        [$(($name, include_str!(concat!("../config/boards/", $name, ".toml")))),*]
    };
}

const BUILT_IN: [(&str, &str); 8] = built_in![
    "ethos-u55-128" "ethos-u55-256" "ethos-u65-256" "ethos-u65-512" "ethos-u85-256" "mps2-an386"
    "mps3-an547" "nucleo-h743zi"
];

/// The table of a board's file that holds its costs.
pub const COSTS: &str = "[instructions.cost]";

/// Board that is simulated, and what its core and NPU take.
#[derive(Clone, Debug, PartialEq)]
pub struct Board {
    pub name: String,
    pub core: String,
    pub clock_mhz: f64,
    pub cycles_per_instruction: f64,
    /// Cycles that a byte of constants takes each time that an operator reads it.
    pub flash_cycles_per_byte: f64,
    pub dma_buffer_ms: f64,
    /// Share of the core that other software takes, 0 to less than 0.99.
    pub other_load: f64,
    pub output_us: f64,
    pub instructions: Instructions,
    /// File and line where the costs of the instructions stand.
    pub costs_at: String,
    pub npu: Option<Npu>,
}

/// NPU that a board has, and what it leaves to the core.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Npu {
    #[serde(deserialize_with = "target")]
    pub target: Target,
    pub driver_cycles: Cost,
    pub copy_cycles_per_byte: Cost,
}

impl Board {
    /// Opens the built-in board of a name, or the one in a file.
    pub fn open(name: &str) -> Result<Board> {
        if let Some((name, text)) = BUILT_IN.iter().find(|(built_in, _)| *built_in == name) {
            return Board::read(&path(name), text);
        }
        let path = Path::new(name);
        match std::fs::read_to_string(path) {
            Ok(text) => Board::read(path, &text),
            Err(error) if path.extension().is_some() => Err(Error::read(path, error)),
            Err(_) => Err(Error::usage(format!(
                "{name}: no such board, expected one of {}, or the path of a board file (TOML)",
                names().join(" ")
            ))),
        }
    }

    /// Reads the board that the text of a file describes.
    pub fn read(path: &Path, text: &str) -> Result<Board> {
        let File {
            core,
            clock_mhz,
            cycles_per_instruction,
            flash_cycles_per_byte,
            dma_buffer_ms,
            other_load,
            output_us,
            instructions,
            instructions_of,
            npu,
        } = parse(path, text)?;
        let wrong =
            |key: &str, why: String| Error::usage(format!("{}: {why}", at(path, text, key)));
        let (instructions, costs_at) = match (instructions, instructions_of) {
            (Some(instructions), None) => (instructions, at(path, text, COSTS)),
            (None, Some(of)) => instructions_like(&of).ok_or_else(|| {
                let with: Vec<_> = names()
                    .into_iter()
                    .filter(|name| instructions_like(name).is_some())
                    .collect();
                wrong(
                    "instructions_of",
                    format!(
                        "`instructions_of`: no built-in board {of} with [instructions], expected one of {}",
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
                    "expected `instructions_of`, a board of the same kernels, or [instructions]".into(),
                ));
            }
        };
        let name = path.file_stem().unwrap_or_default();
        Ok(Board {
            name: name.display().to_string(),
            core,
            clock_mhz: clock_mhz.0,
            cycles_per_instruction: cycles_per_instruction.0,
            flash_cycles_per_byte: flash_cycles_per_byte.0,
            dma_buffer_ms: dma_buffer_ms.0,
            other_load: other_load.0,
            output_us: output_us.0,
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

/// Returns the names of the built-in boards.
pub fn names() -> Vec<&'static str> {
    BUILT_IN.iter().map(|(name, _)| *name).collect()
}

/// Returns the instructions of a built-in board that has its own, and where their costs are.
fn instructions_like(name: &str) -> Option<(Instructions, String)> {
    let (name, text) = BUILT_IN.iter().find(|(built_in, _)| *built_in == name)?;
    let instructions = toml::from_str::<File>(text).ok()?.instructions?;
    Some((instructions, at(&path(name), text, COSTS)))
}

/// Returns the path of a built-in board's file.
fn path(name: &str) -> PathBuf {
    format!("config/boards/{name}.toml").into()
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
    clock_mhz: Positive,
    cycles_per_instruction: Positive,
    flash_cycles_per_byte: Cost,
    dma_buffer_ms: Positive,
    other_load: Share,
    output_us: Cost,
    instructions: Option<Instructions>,
    instructions_of: Option<String>,
    npu: Option<Npu>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "f64")]
struct Positive(f64);

impl TryFrom<f64> for Positive {
    type Error = String;
    fn try_from(value: f64) -> Result<Self, String> {
        match value.is_finite() && value > 0.0 {
            true => Ok(Positive(value)),
            false => Err(format!("invalid value {value}, expected more than 0")),
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

fn target<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Target, D::Error> {
    let name = String::deserialize(deserializer)?;
    Target::from_str(&name, false).map_err(|_| {
        let names = Target::value_variants().iter().map(|target| target.name());
        let names = names.collect::<Vec<_>>().join(" ");
        serde::de::Error::custom(format!("no NPU {name}, expected one of {names}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerda_device::boards;
    use zerda_support::test_support::repository;

    #[test]
    fn each_file_is_built_in_and_can_be_read() {
        let files = std::fs::read_dir(repository("config/boards")).unwrap();
        let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        files.sort();
        let stems = files
            .iter()
            .map(|file| file.file_stem().unwrap().to_str().unwrap());
        assert_eq!(stems.collect::<Vec<_>>(), names());
        for name in names() {
            assert_eq!(Board::open(name).unwrap().name, name);
        }
    }

    #[test]
    fn a_board_with_a_firmware_has_the_same_clock_in_both() {
        let firmwares = repository("firmware/boards");
        for name in boards::names(&firmwares).unwrap() {
            let firmware = boards::Board::open(&firmwares, &name).unwrap();
            assert_eq!(
                Board::open(&name).unwrap().clock_mhz,
                firmware.clock_mhz,
                "{name}"
            );
        }
    }

    #[test]
    fn a_mistake_in_a_file_is_answered_with_line_field_and_what_was_expected() {
        let (_, good) = BUILT_IN[1];
        let message = |from: &str, to: &str| {
            assert!(good.contains(from), "{from}");
            let text = good.replacen(from, to, 1);
            Board::read(Path::new("desk.toml"), &text)
                .unwrap_err()
                .to_string()
        };
        for (from, to, expected) in [
            (
                "clock_mhz = 500",
                "clock_mhz = 0",
                "desk.toml:5: `clock_mhz`: invalid value 0, expected more than 0",
            ),
            (
                "clock_mhz = 500",
                "clock_mhz = \"fast\"",
                "desk.toml:5: `clock_mhz`: invalid type: string",
            ),
            (
                "other_load = 0.2",
                "other_load = 1",
                "desk.toml:9: `other_load`: invalid value 1, expected 0 to less",
            ),
            (
                "output_us",
                "output_ns",
                "desk.toml:10: `output_ns`: unknown field `output_ns`, expected one of `core`",
            ),
            (
                "\"mps3-an547\"",
                "\"mps9\"",
                "desk.toml:11: `instructions_of`: no built-in board mps9",
            ),
            (
                "instructions_of = \"mps3-an547\"",
                "",
                "desk.toml:1: expected `instructions_of`",
            ),
            (
                "ethos-u55-256\"",
                "ethos-u9\"",
                "desk.toml:14: `target`: no NPU ethos-u9, expected one of ethos-u55-128",
            ),
            (
                "driver_cycles = 5000",
                "driver_cycles = -1",
                "desk.toml:15: `driver_cycles`: invalid value -1, expected 0",
            ),
            ("[npu]", "[npu", "desk.toml:13: "),
        ] {
            let message = message(from, to);
            assert!(message.starts_with(expected), "{message}");
            assert_eq!(message.lines().count(), 1, "{message}");
        }
    }
}
