//! Writes files, whole or not at all, and never over what a command reads.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::audio;
use crate::error::{Error, Result};

/// Writes a file beside `path`, then renames it, so that nobody ever reads half a file and what was
/// there before stays when the disk is full or the power fails. A file that was there keeps its mode, and a symbolic
/// link its place: what it points to is replaced. Devices and pipes are written to directly.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let written = match fs::metadata(path) {
        Ok(there) if !there.is_file() && !there.is_dir() => fs::write(path, bytes),
        there => replace(&followed(path), bytes, there.ok()),
    };
    written.map_err(|error| Error::write(path, error))
}

/// Refuses outputs that are one of the inputs, by whatever name or link, or audio in a folder of them; and one output
/// that is named twice. Paths that are no regular files are left alone.
pub fn refuse_inputs<P: AsRef<Path>>(outputs: &[P], inputs: &[P]) -> Result<()> {
    let refused = |output: &Path, why: String| {
        let output = output.display();
        Err(Error::usage(format!(
            "{output}: {why}; name another file to write to"
        )))
    };
    for (index, output) in outputs.iter().map(AsRef::as_ref).enumerate() {
        let earlier = outputs[..index].iter().map(AsRef::as_ref);
        if earlier.into_iter().any(|other| other == output) {
            return refused(output, "is to be written twice".into());
        }
        let Some(this) = identity(output) else {
            continue;
        };
        for input in inputs.iter().map(AsRef::as_ref) {
            let of_folder = || -> Result<bool> {
                let within = input
                    .canonicalize()
                    .is_ok_and(|folder| this.1.starts_with(folder));
                let is = |file: &PathBuf| identity(file).is_some_and(|file| file.0 == this.0);
                Ok(within && input.is_dir() && audio::list(input)?.iter().any(is))
            };
            if identity(input).is_some_and(|input| input.0 == this.0) {
                let why = match input == output {
                    true => "is read".into(),
                    false => format!("is read as {}", input.display()),
                };
                return refused(output, why);
            }
            if of_folder()? {
                return refused(
                    output,
                    format!("is read, as a recording in {}", input.display()),
                );
            }
        }
    }
    Ok(())
}

/// Returns what tells a regular file from all others, and its path without links.
fn identity(path: &Path) -> Option<(impl PartialEq + use<>, PathBuf)> {
    let canonical = fs::canonicalize(path).ok()?;
    let there = fs::metadata(&canonical)
        .ok()
        .filter(fs::Metadata::is_file)?;
    #[cfg(unix)]
    let identity = {
        use std::os::unix::fs::MetadataExt;
        (there.dev(), there.ino())
    };
    #[cfg(not(unix))]
    let identity = (there.len(), canonical.clone());
    Some((identity, canonical))
}

/// Returns the path that symbolic links lead to, whether or not there is a file.
fn followed(path: &Path) -> PathBuf {
    let mut path = path.to_path_buf();
    // As many links as Linux follows.
    for _ in 0..40 {
        let Ok(target) = fs::read_link(&path) else {
            break;
        };
        path = path.parent().unwrap_or(Path::new("")).join(target);
    }
    path
}

fn replace(path: &Path, bytes: &[u8], there: Option<fs::Metadata>) -> io::Result<()> {
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

    #[cfg(unix)]
    #[test]
    fn a_file_that_is_replaced_keeps_its_mode_and_a_link_stays_a_link() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::create_dir(at("store")).unwrap();
        write(&at("store/image"), b"old").unwrap();
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

    #[test]
    fn an_output_that_is_read_is_refused_under_any_name() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::create_dir(at("audio")).unwrap();
        for name in ["m.onnx", "audio/a.wav", "audio/note.txt", "other"] {
            fs::write(at(name), name).unwrap();
        }
        fs::hard_link(at("m.onnx"), at("hard")).unwrap();
        let inputs = [at("m.onnx"), at("audio"), "/dev/null".into()];
        let mut names = vec!["m.onnx", "hard", "audio/../m.onnx", "audio/a.wav"];
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("m.onnx", at("link")).unwrap();
            names.push("link");
        }
        for name in names {
            let error = refuse_inputs(&[at(name)], &inputs).unwrap_err();
            let (code, error) = (error.exit_code(), error.to_string());
            assert!(code == 2 && error.contains("is read"), "{name}: {error}");
            assert!(error.contains("name another file"), "{name}: {error}");
        }
        for name in ["other", "new", "audio/note.txt", "audio/new.wav"] {
            refuse_inputs(&[at(name)], &inputs).unwrap();
        }
        refuse_inputs(&["/dev/null".into()], &inputs).unwrap();
        assert!(refuse_inputs(&[at("new"), at("new")], &inputs).is_err());
    }
}
