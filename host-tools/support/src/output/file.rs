//! Writes files, whole or not at all.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::error::{Error, Result};
use crate::files;

/// Writes a file as [`replace`] does, but never over one that this process read, nor twice.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    files::writable(path)?;
    replace(path, bytes)
}

/// Writes a file, in place of what was read from it where that is meant.
///
/// It is written beside `path`, then renamed, so that nobody ever reads half a file and what was
/// there before stays when the disk is full or the power fails. A file that was there keeps its mode, and a symbolic
/// link its place: what it points to is replaced. Devices and pipes are written to directly.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let written = match fs::metadata(path) {
        Ok(there) if !there.is_file() && !there.is_dir() => fs::write(path, bytes),
        there => rename(&files::followed(path), bytes, there.ok()),
    };
    written.map_err(|error| Error::write(path, error))?;
    files::written(path);
    Ok(())
}

fn rename(path: &Path, bytes: &[u8], there: Option<fs::Metadata>) -> io::Result<()> {
    let mut file = beside(path, 0o666)?;
    file.write_all(bytes)?;
    if let Some(there) = there.filter(fs::Metadata::is_file) {
        file.as_file().set_permissions(there.permissions())?;
    }
    persist(file, path)
}

/// Makes a temporary file beside `path`, with this mode on Unix: 0o666, as any new file has, or 0o600.
fn beside(path: &Path, mode: u32) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".zerda-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(mode));
    }
    #[cfg(not(unix))]
    let _ = mode;
    builder.tempfile_in(folder(path))
}

fn folder(path: &Path) -> &Path {
    let parent = path.parent().filter(|parent| *parent != Path::new(""));
    parent.unwrap_or(Path::new("."))
}

/// Gives a whole file its name, for good.
fn persist(file: NamedTempFile, path: &Path) -> io::Result<()> {
    file.as_file().sync_all()?;
    file.persist(path)?;
    #[cfg(unix)]
    // Lets the new name last, too, where folders can be synced.
    let _ = fs::File::open(folder(path)).and_then(|folder| folder.sync_all());
    Ok(())
}

/// A file that is written piece by piece beside its place, which it takes once it is whole.
pub struct Unfinished {
    file: NamedTempFile,
    path: PathBuf,
}

impl Unfinished {
    /// Begins a file, which must not be in place of a folder, a device or a pipe.
    pub fn begin(path: &Path) -> Result<Unfinished> {
        let failed = |error| Error::write(path, error);
        if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
            return Err(failed(io::Error::other("it is no file; name another")));
        }
        let path = files::followed(path);
        let file = beside(&path, 0o666).map_err(failed)?;
        Ok(Unfinished { file, path })
    }

    /// Returns what writes to the file.
    pub fn writer(&self) -> Result<fs::File> {
        let writer = self.file.reopen();
        writer.map_err(|error| Error::write(&self.path, error))
    }

    pub fn finish(self) -> Result<()> {
        let Unfinished { file, path } = self;
        persist(file, &path).map_err(|error| Error::write(&path, error))?;
        files::written(&path);
        Ok(())
    }
}

/// Writes a new file that only its owner can read, whole or not at all; one that is there is an error.
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = beside(path, 0o600)?;
    file.write_all(bytes)?;
    file.persist_noclobber(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_no_other() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("image");
        fs::write(&path, "old").unwrap();
        write(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");

        let folder = directory.path().join("folder");
        fs::create_dir(&folder).unwrap();
        let error = write(&folder, b"x").unwrap_err().to_string();
        assert!(error.contains("folder: cannot be written"), "{error}");
        assert!(write(&directory.path().join("none/x"), b"x").is_err());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_is_replaced_keeps_its_mode_and_a_link_stays_a_link() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::create_dir(at("store")).unwrap();
        fs::write(at("store/image"), "old").unwrap();
        fs::set_permissions(at("store/image"), fs::Permissions::from_mode(0o640)).unwrap();
        symlink("store/image", at("link")).unwrap();
        symlink("store/later", at("dangling")).unwrap();
        write(&at("link"), b"new").unwrap();
        write(&at("dangling"), b"first").unwrap();
        for (name, expected) in [("store/image", &b"new"[..]), ("store/later", b"first")] {
            assert_eq!(fs::read(at(name)).unwrap(), expected, "{name}");
        }
        for link in ["link", "dangling"] {
            assert!(
                fs::symlink_metadata(at(link)).unwrap().is_symlink(),
                "{link}"
            );
        }
        let mode = fs::metadata(at("store/image"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o640);
    }
}
