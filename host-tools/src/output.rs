//! Files that the commands write: whole or not at all.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use crate::error::{Error, Result};

/// Writes beside `path`, then renames, so that nobody ever reads half a file and what was there
/// before stays when the disk is full. Devices and pipes are written to directly.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let written = match fs::metadata(path) {
        Ok(there) if !there.is_file() && !there.is_dir() => fs::write(path, bytes),
        _ => replace(path, bytes),
    };
    written.map_err(|error| Error::write(path, error))
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = path.parent().filter(|parent| *parent != Path::new(""));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".zerda-");
    #[cfg(unix)]
    {
        // As any new file has them; the default of temporary files is 0600.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(directory.unwrap_or(Path::new(".")))?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_no_other() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("image");
        write(&path, b"old").unwrap();
        write(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");

        let folder = directory.path().join("folder");
        fs::create_dir(&folder).unwrap();
        let error = write(&folder, b"x").unwrap_err().to_string();
        assert!(error.contains("folder: cannot be written"), "{error}");
        assert!(write(&directory.path().join("none/x"), b"x").is_err());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
    }
}
