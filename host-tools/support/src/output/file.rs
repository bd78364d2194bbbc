//! Writes files, whole or not at all.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

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
    let directory = path.parent().filter(|parent| *parent != Path::new(""));
    let directory = directory.unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".zerda-");
    #[cfg(unix)]
    {
        // Any new file has these; the default of temporary files is 0600.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(directory)?;
    file.write_all(bytes)?;
    if let Some(there) = there.filter(fs::Metadata::is_file) {
        file.as_file().set_permissions(there.permissions())?;
    }
    file.as_file().sync_all()?;
    file.persist(path)?;
    #[cfg(unix)]
    // Lets the new name last, too, where folders can be synced.
    let _ = fs::File::open(directory).and_then(|directory| directory.sync_all());
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
