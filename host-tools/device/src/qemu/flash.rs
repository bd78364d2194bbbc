//! Keeps the flash that updates write in a file, from boot to boot.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use zerda_support::error::{Error, Result};
use zerda_support::output;

use crate::boards::Project;

/// File that holds the flash of a board, or will.
#[derive(Clone, Copy)]
pub struct Flash<'a> {
    path: &'a Path,
    /// Number of bytes of the flash.
    bytes: u64,
}

impl<'a> Flash<'a> {
    /// Takes a file that is not there yet, or holds the flash of such a board; anything else is left alone.
    pub fn of(project: &Project, path: &'a Path) -> Result<Self> {
        let bytes = project.update_flash_bytes()?;
        match fs::metadata(path) {
            Ok(there) if there.len() == bytes => {}
            Ok(there) => {
                return Err(Error::usage(format!(
                    "{}: has {} bytes, expected the {bytes} of a flash of {}, or no file: name another",
                    path.display(),
                    there.len(),
                    project.board.name
                )));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(Error::read(path, error)),
        }
        Ok(Self { path, bytes })
    }

    /// Puts what the file holds to `here`, where the board reads and writes it.
    pub fn bring(&self, here: &Path) -> Result<()> {
        match fs::copy(self.path, here) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::read(self.path, error)),
            _ => Ok(()),
        }
    }

    /// Takes what the board left, however it ended, as a flash is left that loses its power; but not one that was still being
    /// made.
    pub fn keep(&self, here: &Path) -> Result<()> {
        match fs::read(here) {
            Ok(flash) if flash.len() as u64 == self.bytes => output::replace(self.path, &flash),
            _ => Ok(()),
        }
    }
}
