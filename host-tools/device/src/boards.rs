//! Builds the firmware of the boards under `firmware/boards`.

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use zerda_support::board::{self, Board};
use zerda_support::error::{Error, Result};
use zerda_support::files;
use zerda_support::image_file::ImageFile;
use zerda_support::output;
use zerda_support::template_file::TemplateFile;
use zerda_update::PublicKey;

use crate::elf;

/// Variable of the environment that names the public key of whoever signs updates.
const UPDATE_KEY: &str = "ZERDA_UPDATE_KEY";

/// Board with firmware: a crate in a folder of `firmware/boards`.
pub struct Project {
    pub board: Board,
    pub directory: PathBuf,
    /// Target triple that Rust builds the firmware for.
    pub target: String,
    /// Says whether the firmware gets a key that belongs to nobody, where the environment names none: updates are linked in.
    pub stand_in_key: bool,
}

/// Firmware that was built. Boards are built in one folder: as long as this lives no other process builds
/// there, so the ELF stays the one with the image that was asked for.
pub struct Firmware {
    pub elf: PathBuf,
    _lock: File,
}

#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    features: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
struct CargoConfig {
    build: Build,
}

#[derive(Deserialize)]
struct Build {
    target: String,
}

impl Project {
    /// Opens the board in the folder `name` of `boards`.
    pub fn open(boards: &Path, name: &str) -> Result<Project> {
        if !boards.is_dir() {
            return Err(Error::usage(format!(
                "{}: no such folder; run in Zerda's repository, or name its firmware/boards with \
                 --boards",
                boards.display()
            )));
        }
        let names = board::names(boards)?;
        if !names.iter().any(|known| known == name) {
            return Err(Error::usage(format!(
                "{name}: no such board, expected one of {}; firmware/boards/README.md says how to \
                 add one",
                names.join(" ")
            )));
        }
        let directory = boards.join(name);
        let config: CargoConfig = read(&directory.join(".cargo/config.toml"))?;
        Ok(Project {
            board: Board::open(boards, name)?,
            directory,
            target: config.build.target,
            stand_in_key: false,
        })
    }

    /// Builds the firmware with the image in it, byte for byte as it was read, with a feature of the board's crate or
    /// none, and gets the target first where it is missing. The compiler's messages go to standard error.
    pub fn build(&self, image: &ImageFile, feature: Option<&str>) -> Result<Firmware> {
        self.build_checked(image, feature, None)
    }

    /// Builds like [`Project::build`], with phrases in it beside the image's words.
    pub fn build_with_phrases(
        &self,
        image: &ImageFile,
        phrases: &TemplateFile,
    ) -> Result<Firmware> {
        self.build_checked(image, Some("templates"), Some(phrases))
    }

    fn build_checked(
        &self,
        image: &ImageFile,
        feature: Option<&str>,
        phrases: Option<&TemplateFile>,
    ) -> Result<Firmware> {
        if let Some(feature) = feature {
            let manifest: Manifest = read(&self.directory.join("Cargo.toml"))?;
            if !manifest.features.contains_key(feature) {
                return Err(Error::usage(format!(
                    "{}: has no feature `{feature}`, which takes a board crate that declares it",
                    self.board.name
                )));
            }
        }
        self.build_with(
            image,
            feature.map(|feature| format!("--features={feature}")),
            phrases,
        )
    }

    /// Builds like [`Project::build`], but without the kernels for the board's core.
    pub fn build_plain(&self, image: &ImageFile) -> Result<Firmware> {
        self.build_with(image, Some("--no-default-features".into()), None)
    }

    fn build_with(
        &self,
        image: &ImageFile,
        option: Option<String>,
        phrases: Option<&TemplateFile>,
    ) -> Result<Firmware> {
        let lock = self.lock()?;
        let image = self.copy("boards.zerda", image.bytes())?;
        let phrases = phrases.map(|phrases| self.copy("boards-phrases.zerda", phrases.bytes()));
        let key = self.update_key()?;
        let key = key.map(|text| self.copy("boards-update-key.pub", &text));
        let output = self
            .script(&["cargo", &self.target, "build", "--release"])?
            .arg("--message-format=json")
            .args(option)
            .env("ZERDA_IMAGE", &image)
            .env_remove(UPDATE_KEY)
            .envs(key.transpose()?.map(|key| (UPDATE_KEY, key)))
            .envs(
                phrases
                    .transpose()?
                    .map(|phrases| ("ZERDA_TEMPLATES", phrases)),
            )
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
                self.board.name
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
            self.board.name
        )))
    }

    /// Returns the public key that the environment names, as its file has it.
    fn update_key(&self) -> Result<Option<Vec<u8>>> {
        let path = match env::var_os(UPDATE_KEY).filter(|path| !path.is_empty()) {
            Some(path) => PathBuf::from(path),
            None => return Ok(self.stand_in_key.then(|| "42".repeat(32).into_bytes())),
        };
        let text = files::read(&path).map_err(|error| Error::read(&path, error))?;
        match PublicKey::parse(&text) {
            Some(_) => Ok(Some(text)),
            None => Err(Error::usage(format!(
                "{}: is no public key, expected the file ending in .pub that `zerda keygen` writes; {UPDATE_KEY} names it",
                path.display()
            ))),
        }
    }

    /// Returns the number of bytes of the flash that updates write: two slots and the journal.
    ///
    /// # Errors
    ///
    /// Fails if the board takes no updates, or the environment names no key, without which firmware takes none.
    pub fn update_flash_bytes(&self) -> Result<u64> {
        let regions = elf::regions(&self.directory.join("memory.x"))?;
        let of = |name: &str| Some(regions.iter().find(|region| region.name == name)?.length);
        let (Some(slot), Some(journal)) = (of(elf::SPARE), of(elf::JOURNAL)) else {
            return Err(Error::usage(format!(
                "{}: takes no updates, so that no flash is kept: its memory.x has no regions {} and {}",
                self.board.name,
                elf::SPARE,
                elf::JOURNAL
            )));
        };
        match self.update_key()? {
            Some(_) => Ok(2 * slot + journal),
            None => Err(Error::usage(format!(
                "{UPDATE_KEY} is not set: firmware that takes updates, and writes a flash, holds a public key; name the file \
                 ending in .pub that `zerda keygen` writes"
            ))),
        }
    }

    /// Copies what the compiler reads to where nobody changes it while the lock is held.
    fn copy(&self, name: &str, bytes: &[u8]) -> Result<PathBuf> {
        let copy = self.root()?.join("target").join(name);
        if !fs::read(&copy).is_ok_and(|there| there == bytes) {
            output::replace(&copy, bytes)?;
        }
        Ok(copy)
    }

    /// Returns QEMU's name of the machine.
    ///
    /// # Errors
    ///
    /// Fails if QEMU does not run the board.
    pub fn qemu_machine(&self) -> Result<&str> {
        self.board.machine.as_deref().ok_or_else(|| {
            Error::usage(format!(
                "{}: QEMU does not run this board: its {} has no [qemu] with `machine = \"...\"`",
                self.board.name,
                board::FILE
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
    pub fn set_up(&self, arguments: &[&str]) -> Result<()> {
        let status = self
            .script(arguments)?
            .stdout(io::stderr())
            .status()
            .map_err(|error| cannot_start("bash", error))?;
        match status.success() {
            true => Ok(()),
            false => Err(Error::usage(format!(
                "{}: `firmware/setup.sh {}` failed; it says above why",
                self.board.name,
                arguments.join(" ")
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

fn read<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = files::read_to_string(path).map_err(|error| Error::read(path, error))?;
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
    use zerda_support::test_support::repository;

    #[test]
    fn a_board_is_a_folder_with_a_board_file() {
        let boards = tempfile::tempdir().unwrap();
        let desk = boards.path().join("desk");
        fs::create_dir_all(desk.join(".cargo")).unwrap();
        fs::create_dir(boards.path().join("library")).unwrap();
        let there = repository("firmware/boards/nucleo-h743zi").join(board::FILE);
        let text = fs::read_to_string(there).unwrap();
        fs::write(
            desk.join(board::FILE),
            text.replace("mps2-an386", "mps3-an547"),
        )
        .unwrap();
        let config = "[build]\ntarget = \"thumbv7em-none-eabihf\"\n";
        fs::write(desk.join(".cargo/config.toml"), config).unwrap();

        let project = Project::open(boards.path(), "desk").unwrap();
        assert_eq!(project.target, "thumbv7em-none-eabihf");
        assert_eq!(
            (&project.board.name[..], project.board.clock_mhz),
            ("desk", 480.0)
        );
        for name in ["library", "other", ".", ""] {
            let message = Project::open(boards.path(), name).err();
            let message = message.unwrap().to_string();
            let expected = format!("{name}: no such board, expected one of desk; firmware");
            assert!(message.starts_with(&expected), "{message}");
        }
    }

    #[test]
    fn a_missing_folder_of_boards_is_named() {
        let message = Project::open(Path::new("none/boards"), "there").err();
        let message = message.unwrap().to_string();
        assert!(
            message.starts_with("none/boards: no such folder; run in Zerda's repository"),
            "{message}"
        );
    }
}
