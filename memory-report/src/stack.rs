//! Measures how much of its stack a firmware uses: it is painted before `main`, and looked at after the
//! firmware has heard the recordings, in QEMU.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::Serialize;
use zerda_device::boards::Project;
use zerda_device::qemu;
use zerda_support::board;
use zerda_support::error::Result;
use zerda_support::image_file::ImageFile;

/// Stack that is reserved, and how much of it is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stack {
    /// Largest number of bytes that were used; `None` if that could not be measured.
    pub bytes: Option<u64>,
    /// Bytes that are reserved beyond that; they count as used.
    pub margin: u64,
    pub basis: String,
}

/// Measures the stack of each board once.
pub struct Stacks<'a> {
    pub boards: &'a Path,
    pub file: &'a ImageFile,
    pub recordings: &'a [PathBuf],
    measured: HashMap<String, u64>,
}

impl<'a> Stacks<'a> {
    pub fn new(boards: &'a Path, file: &'a ImageFile, recordings: &'a [PathBuf]) -> Self {
        Stacks {
            boards,
            file,
            recordings,
            measured: HashMap::new(),
        }
    }

    /// Returns the stack of a board's firmware: measured where QEMU runs the board, else taken from a board
    /// with the same kernels. That one is built where need be,
    /// for which the caller holds no firmware of its own. `reserved` is in bytes.
    pub fn of(&mut self, project: &Project, elf: &Path, reserved: u64) -> Result<Stack> {
        let (bytes, basis) = match project.board.machine {
            Some(_) => (
                Some(self.measure(project, elf)?),
                "measured in QEMU".to_string(),
            ),
            None => match self.like(project)? {
                Some(other) => {
                    let basis = format!("estimated, as measured on {} in QEMU", other.board.name);
                    let bytes = match self.measured.get(&other.board.name) {
                        Some(&bytes) => bytes,
                        None => {
                            let firmware = other.build(self.file, None)?;
                            self.measure(&other, &firmware.elf)?
                        }
                    };
                    (Some(bytes), basis)
                }
                None => (
                    None,
                    "not measured: QEMU runs no board with its kernels".to_string(),
                ),
            },
        };
        Ok(Stack {
            bytes,
            margin: reserved.saturating_sub(bytes.unwrap_or(0)),
            basis,
        })
    }

    fn measure(&mut self, project: &Project, elf: &Path) -> Result<u64> {
        let image = self.file.image()?;
        let bytes = qemu::stack_bytes(project, elf, &image, self.recordings)?.into();
        self.measured.insert(project.board.name.clone(), bytes);
        Ok(bytes)
    }

    /// Finds a board with the same kernels that QEMU runs.
    fn like(&self, project: &Project) -> Result<Option<Project>> {
        for name in board::names(self.boards)? {
            let other = Project::open(self.boards, &name)?;
            let kernels = |project: &Project| project.board.instructions.kernels;
            if kernels(&other) == kernels(project) && other.board.machine.is_some() {
                return Ok(Some(other));
            }
        }
        Ok(None)
    }
}
