//! Reads the manifests of the boards under `firmware/boards`, and builds their firmware.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use zerda_support::error::{Error, Result};

/// A board crate, as `[package.metadata.zerda]` of its manifest describes it.
pub struct Board {
    pub name: String,
    pub directory: PathBuf,
    /// Target triple that Rust builds the firmware for.
    pub target: String,
    pub clock_mhz: f64,
    /// Name that QEMU has for the machine; `None` for a board that QEMU does not run.
    pub machine: Option<String>,
    /// Name that probe-rs has for the chip; `None` for a board that is not flashed.
    pub chip: Option<String>,
    /// Features that the board's crate declares.
    features: Vec<String>,
}

/// Firmware that was built. Boards are built in one folder: as long as this lives no other process builds
/// there, so the ELF stays the one with the image that was asked for.
pub struct Firmware {
    pub elf: PathBuf,
    _lock: File,
}

#[derive(Deserialize)]
struct Manifest {
    package: Package,
    #[serde(default)]
    features: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
struct Package {
    #[serde(default)]
    metadata: Sections,
}

#[derive(Default, Deserialize)]
struct Sections {
    zerda: Option<Metadata>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Metadata {
    #[serde(rename = "clock_mhz")]
    clock_mhz: f64,
    qemu: Option<Qemu>,
    probe_rs: Option<ProbeRs>,
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
struct CargoConfig {
    build: Build,
}

#[derive(Deserialize)]
struct Build {
    target: String,
}

impl Board {
    /// Opens the board in the folder `name` of `boards`.
    pub fn open(boards: &Path, name: &str) -> Result<Board> {
        if !boards.is_dir() {
            return Err(Error::usage(format!(
                "{}: no such folder; run in Zerda's repository, or name its firmware/boards with \
                 --boards",
                boards.display()
            )));
        }
        let directory = boards.join(name);
        let manifest = match Path::new(name).components().count() {
            1 => manifest(&directory)?,
            _ => None,
        };
        let Some((metadata, features)) = manifest else {
            return Err(Error::usage(format!(
                "{name}: no such board, expected one of {}; firmware/boards/README.md says how to \
                 add one",
                names(boards)?.join(" ")
            )));
        };
        let config: CargoConfig = read(&directory.join(".cargo/config.toml"))?;
        Ok(Board {
            name: name.into(),
            directory,
            target: config.build.target,
            clock_mhz: metadata.clock_mhz,
            machine: metadata.qemu.map(|qemu| qemu.machine),
            chip: metadata.probe_rs.map(|probe_rs| probe_rs.chip),
            features,
        })
    }

    /// Builds the firmware with the image in it, with a feature of the board's crate or none, and gets the
    /// target first where it is missing. The compiler's messages go to standard error.
    pub fn build(&self, image: &Path, feature: Option<&str>) -> Result<Firmware> {
        if let Some(feature) = feature.filter(|&name| self.features.iter().all(|own| own != name)) {
            return Err(Error::usage(format!(
                "{}: has no feature `{feature}`, which takes a board crate that declares it",
                self.name
            )));
        }
        self.build_with(
            image,
            feature.map(|feature| format!("--features={feature}")),
        )
    }

    /// Builds like [`Board::build`], but without the kernels for the board's core.
    pub fn build_plain(&self, image: &Path) -> Result<Firmware> {
        self.build_with(image, Some("--no-default-features".into()))
    }

    fn build_with(&self, image: &Path, option: Option<String>) -> Result<Firmware> {
        let image = absolute(image)?;
        let lock = self.lock()?;
        let output = self
            .script(&["cargo", &self.target, "build", "--release"])?
            .arg("--message-format=json")
            .args(option)
            .env("ZERDA_IMAGE", &image)
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| cannot_start("bash", error))?;
        let stdout = String::from_utf8_lossy(&output.stdout);
        let messages: Vec<Value> = stdout
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect();
        let mut diagnostics = messages
            .iter()
            .filter_map(|message| message["message"]["rendered"].as_str());
        if let Some(overflow) = diagnostics.clone().find_map(overflow) {
            return Err(Error::check(format!(
                "{}: the firmware does not fit: {overflow}",
                self.name
            )));
        }
        let _ = diagnostics.try_for_each(|text| write!(io::stderr(), "{text}"));
        let executable = |message: &Value| message["executable"].as_str().map(PathBuf::from);
        let elf = messages.iter().rev().find_map(executable);
        if let Some(elf) = elf.filter(|_| output.status.success()) {
            return Ok(Firmware { elf, _lock: lock });
        }
        Err(Error::usage(format!(
            "{}: does not build; the compiler says above why",
            self.name
        )))
    }

    /// Returns QEMU's name of the machine.
    ///
    /// # Errors
    ///
    /// Fails if QEMU does not run the board.
    pub fn qemu_machine(&self) -> Result<&str> {
        self.machine.as_deref().ok_or_else(|| {
            Error::usage(format!(
                "{}: QEMU does not run this board: its Cargo.toml has no `qemu = {{ machine = \
                 \"...\" }}` in [package.metadata.zerda]",
                self.name
            ))
        })
    }

    /// Waits until no other process builds boards.
    fn lock(&self) -> Result<File> {
        let path = self.root()?.join("target/boards.lock");
        let lock = || {
            fs::create_dir_all(path.parent().unwrap_or(&path))?;
            let file = File::create(&path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let _ = writeln!(
                        io::stderr(),
                        "waiting for another zerda that builds a board"
                    );
                    file.lock()?;
                }
                Err(TryLockError::Error(error)) => return Err(error),
            }
            Ok(file)
        };
        lock().map_err(|error| Error::write(&path, error))
    }

    /// Runs the set-up script and sends its output to standard error.
    pub fn set_up(&self, argument: &str) -> Result<()> {
        let status = self
            .script(&[argument])?
            .stdout(io::stderr())
            .status()
            .map_err(|error| cannot_start("bash", error))?;
        match status.success() {
            true => Ok(()),
            false => Err(Error::usage(format!(
                "{}: `firmware/setup.sh {argument}` failed; it says above why",
                self.name
            ))),
        }
    }

    /// Returns a command that runs the set-up script in the board's folder.
    fn script(&self, arguments: &[&str]) -> Result<Command> {
        let mut bash = Command::new("bash");
        bash.arg(self.root()?.join("firmware/setup.sh"))
            .args(arguments)
            .current_dir(&self.directory);
        Ok(bash)
    }

    /// Returns the folder that the set-up script puts fetched tools in.
    pub fn tools(&self) -> Result<PathBuf> {
        Ok(self.root()?.join("target/tools"))
    }

    /// Returns the root of the repository: boards are in `firmware/boards`.
    fn root(&self) -> Result<PathBuf> {
        absolute(&self.directory.join("../../.."))
    }
}

/// Reads a board's manifest: returns its metadata and the names of its features, or `None` if the folder
/// holds no board.
fn manifest(directory: &Path) -> Result<Option<(Metadata, Vec<String>)>> {
    let path = directory.join("Cargo.toml");
    if !path.is_file() {
        return Ok(None);
    }
    let Manifest { package, features } = read(&path)?;
    let zerda = package.metadata.zerda;
    Ok(zerda.map(|metadata| (metadata, features.into_keys().collect())))
}

/// Returns the sorted names of the boards in the folder `boards`.
pub fn names(boards: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(boards).map_err(|error| Error::read(boards, error))? {
        let entry = entry.map_err(|error| Error::read(boards, error))?;
        if manifest(&entry.path()).is_ok_and(|manifest| manifest.is_some()) {
            names.push(entry.file_name().display().to_string());
        }
    }
    names.sort();
    Ok(names)
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = fs::read_to_string(path).map_err(|error| Error::read(path, error))?;
    zerda_support::config::parse(path, &text)
}

/// Finds the linker's message about a region that overflows, without its command line, which takes some
/// pages.
fn overflow(diagnostic: &str) -> Option<&str> {
    let mut lines = diagnostic.lines();
    let line = lines.find(|line| line.contains("will not fit in region"))?;
    Some(line.split_once("error: ").map_or(line, |(_, text)| text))
}

fn absolute(path: &Path) -> Result<PathBuf> {
    fs::canonicalize(path).map_err(|error| Error::read(path, error))
}

fn cannot_start(program: &str, error: io::Error) -> Error {
    Error::usage(format!(
        "{program} cannot be started: {error}; building a board needs it on the path"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board(manifest: &str) -> Result<Board> {
        let boards = tempfile::tempdir().unwrap();
        for (name, text) in [("there", manifest), ("library", "[package]\n")] {
            fs::create_dir_all(boards.path().join(name).join(".cargo")).unwrap();
            fs::write(boards.path().join(name).join("Cargo.toml"), text).unwrap();
        }
        let config = boards.path().join("there/.cargo/config.toml");
        fs::write(config, "[build]\ntarget = \"thumbv7em-none-eabihf\"\n").unwrap();
        let good = "[package.metadata.zerda]\nclock_mhz = 25\n";
        for name in ["other", "another"] {
            fs::create_dir(boards.path().join(name)).unwrap();
            fs::write(boards.path().join(name).join("Cargo.toml"), good).unwrap();
        }
        Board::open(boards.path(), "there")
    }

    #[test]
    fn a_manifest_says_what_a_board_is() {
        let text = "[package.metadata.zerda]\nclock_mhz = 480\nprobe-rs = { chip = \"STM32\" }\n";
        let board = board(text).unwrap();
        assert_eq!(board.target, "thumbv7em-none-eabihf");
        assert_eq!(board.clock_mhz, 480.0);
        assert_eq!((board.machine, board.chip), (None, Some("STM32".into())));
    }

    #[test]
    fn a_mistake_in_a_manifest_is_answered_with_file_line_and_field() {
        let text = "[package.metadata.zerda]\nclock_mhz = \"25\"\n";
        let message = board(text).err().unwrap().to_string();
        assert!(
            message.contains("there/Cargo.toml:2: `clock_mhz`: invalid type"),
            "{message}"
        );
    }

    #[test]
    fn an_unknown_board_is_answered_with_those_there_are() {
        let message = board("[package]\n").err().unwrap().to_string();
        assert!(
            message.starts_with("there: no such board, expected one of another other;"),
            "{message}"
        );
    }

    #[test]
    fn a_missing_folder_of_boards_is_named() {
        let message = Board::open(Path::new("none/boards"), "there").err();
        let message = message.unwrap().to_string();
        assert!(
            message.starts_with("none/boards: no such folder; run in Zerda's repository"),
            "{message}"
        );
    }
}
