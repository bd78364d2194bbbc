//! Knows which of the user's files this process reads and writes, so that none is both unless that is meant.
//!
//! What reads a file that a user named, or that lies beside such a file or in such a folder, opens it here, and it is
//! remembered. [`crate::output::write`] asks before it replaces a file: one that was read, or was written before, is
//! refused, by whatever name or link it is called. That needs no list of what each command reads.
//!
//! By itself it would refuse only after all the work. So a command begins with [`announce`], once in a process, and then
//! reading one of its outputs fails, which comes before the work on what is read. A file that is changed in place is not
//! announced, and [`crate::output::replace`] writes it.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, Result};

/// The text that Git keeps in place of a large file begins like this.
pub const LFS_POINTER: &[u8] = b"version https://git-lfs";

/// Says what such a text is and what to do, behind the name of the file.
pub const IS_LFS_POINTER: &str =
    "is a Git LFS pointer, which stands for the file itself; fetch that with `git lfs pull`";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Read,
    Announced,
    Written,
}

/// Device and number tell a file from all others as long as it is there.
#[cfg(unix)]
type Identity = (u64, u64);
#[cfg(not(unix))]
type Identity = PathBuf;

/// Holds what each file is to this process, and the name that it has for it.
static FILES: Mutex<BTreeMap<Identity, (Role, PathBuf)>> = Mutex::new(BTreeMap::new());

/// Opens a file of the user's to read it.
///
/// # Errors
/// It fails where the file is one that the command announced to write.
pub fn open(path: &Path) -> io::Result<File> {
    let file = File::open(path)?;
    read_as(path, &file.metadata()?)?;
    Ok(file)
}

/// Reads a file of the user's, as [`open`] does.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads a file of the user's that holds text, as [`open`] does.
pub fn read_to_string(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    open(path)?.read_to_string(&mut text)?;
    Ok(text)
}

/// Remembers an input that is read later, or by another program, or perhaps not at all, as a recording of a folder
/// that is not drawn. A path without a file is left alone.
pub fn note(path: &Path) -> Result<()> {
    match fs::metadata(path) {
        Ok(there) => read_as(path, &there).map_err(|error| Error::read(path, error)),
        Err(_) => Ok(()),
    }
}

/// Says which files the command will write, but for those that it changes in place. It fails where two of them are one
/// file, and where one was read already. Devices and pipes are left alone.
pub fn announce(outputs: &[PathBuf]) -> Result<()> {
    let mut places = BTreeMap::new();
    for output in outputs {
        writable(output)?;
        match fs::metadata(output) {
            Ok(there) if !there.is_file() => continue,
            Ok(there) => remember(output, &there, Role::Announced),
            Err(_) => {}
        }
        if let Some(other) = places.insert(place(output), output) {
            return Err(refused(output, "is to be written twice", other));
        }
    }
    Ok(())
}

/// Refuses a file that was read, or that was written before.
pub(crate) fn writable(path: &Path) -> Result<()> {
    let known = fs::metadata(path).ok().and_then(|there| role(path, &there));
    match known {
        None | Some((Role::Announced, _)) => Ok(()),
        Some((Role::Written, name)) => Err(refused(path, "is to be written twice", &name)),
        Some((Role::Read, name)) => Err(refused(path, "is read", &name)),
    }
}

/// Removes a file, unless this process reads it.
pub fn remove(path: &Path) -> io::Result<()> {
    let known = fs::metadata(path).ok().and_then(|there| role(path, &there));
    match known {
        Some((Role::Read, _)) => Err(io::Error::other("it is read")),
        _ => fs::remove_file(path),
    }
}

/// Remembers a file that was written just now.
pub(crate) fn written(path: &Path) {
    if let Ok(there) = fs::metadata(path) {
        remember(path, &there, Role::Written);
    }
}

/// Returns the path that symbolic links lead to, whether or not there is a file.
pub(crate) fn followed(path: &Path) -> PathBuf {
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

fn refused(output: &Path, why: &str, other: &Path) -> Error {
    let (output, by_name) = (output.display(), by_name(output, other));
    Error::usage(format!(
        "{output}: {why}{by_name}; name another file to write to"
    ))
}

/// Says by which other name the same file is known.
fn by_name(path: &Path, other: &Path) -> String {
    match other == path {
        true => String::new(),
        false => format!(", as {}", other.display()),
    }
}

/// Remembers a file that is read, unless this process wrote it; one that is to be written is an error.
fn read_as(path: &Path, there: &Metadata) -> io::Result<()> {
    let known = role(path, there);
    if let Some((Role::Written, _)) = known {
        return Ok(());
    }
    // An output, too: whoever goes on after the error does not write over it either.
    remember(path, there, Role::Read);
    let Some((Role::Announced, output)) = known else {
        return Ok(());
    };
    let by_name = by_name(path, &output);
    Err(io::Error::other(format!(
        "it would be written over{by_name}; name another file to write to"
    )))
}

fn remember(path: &Path, there: &Metadata, role: Role) {
    if let Some(identity) = identity(path, there) {
        let mut files = FILES.lock().unwrap_or_else(PoisonError::into_inner);
        files.insert(identity, (role, path.into()));
    }
}

/// Returns what a file is to this process. A file that is gone leaves its number to another one, which is not meant.
fn role(path: &Path, there: &Metadata) -> Option<(Role, PathBuf)> {
    let this = identity(path, there)?;
    let files = FILES.lock().unwrap_or_else(PoisonError::into_inner);
    let known = files.get(&this).cloned();
    drop(files);
    known.filter(|(_, name)| {
        let named = fs::metadata(name).ok();
        named.and_then(|there| identity(name, &there)) == Some(this)
    })
}

/// Returns what tells a regular file from all others; `None` for anything else.
#[cfg(unix)]
fn identity(_: &Path, there: &Metadata) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;
    there.is_file().then(|| (there.dev(), there.ino()))
}

/// Returns what tells a regular file from all others; `None` for anything else.
#[cfg(not(unix))]
fn identity(path: &Path, there: &Metadata) -> Option<Identity> {
    path.canonicalize().ok().filter(|_| there.is_file())
}

/// Returns the path of a file that may be still to be made, without links.
fn place(path: &Path) -> PathBuf {
    let path = followed(path);
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return path;
    };
    let folder = Path::new(".").join(folder).canonicalize();
    folder.map_or(path.clone(), |folder| folder.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::{replace, write};

    fn message<T: std::fmt::Debug, E: ToString>(outcome: Result<T, E>) -> String {
        outcome.unwrap_err().to_string()
    }

    /// A folder with a file, and other names of that file.
    fn named() -> (tempfile::TempDir, PathBuf, Vec<PathBuf>) {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("inner")).unwrap();
        fs::write(at("input"), "input").unwrap();
        fs::hard_link(at("input"), at("hard")).unwrap();
        let mut names = vec![at("input"), at("hard"), at("inner/../input")];
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("input", at("link")).unwrap();
            names.push(at("link"));
        }
        let input = at("input");
        (folder, input, names)
    }

    #[test]
    fn a_file_that_was_read_is_not_written_over_by_any_name() {
        let (folder, input, names) = named();
        assert_eq!(read_to_string(&input).unwrap(), "input");
        for name in &names {
            let error = write(name, b"other").unwrap_err();
            assert_eq!(error.exit_code(), 2);
            let error = error.to_string();
            let begins = format!("{}: is read", name.display());
            assert!(error.starts_with(&begins), "{error}");
            assert!(error.ends_with("; name another file to write to"));
            assert_eq!(fs::read(&input).unwrap(), b"input");
        }
        write(&folder.path().join("new"), b"new").unwrap();
        replace(&input, b"in place").unwrap();
        assert_eq!(fs::read(&input).unwrap(), b"in place");
    }

    #[test]
    fn an_output_that_was_announced_is_not_read_by_any_name_and_then_not_written() {
        for (index, name) in named().2.iter().enumerate() {
            let (_folder, input, names) = named();
            let output = &names[index];
            announce(std::slice::from_ref(output)).unwrap();
            let error = message(open(&input));
            let said = match index {
                0 => "it would be written over; name another file to write to".into(),
                _ => format!("it would be written over, as {}; name", output.display()),
            };
            assert!(error.starts_with(&said), "{name:?}: {error}");
            assert!(message(write(output, b"other")).contains("is read"));
            assert_eq!(fs::read(&input).unwrap(), b"input");
        }
    }

    #[test]
    fn what_was_written_may_be_read_and_not_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        announce(&[at("a"), at("b")]).unwrap();
        write(&at("a"), b"first").unwrap();
        assert_eq!(read(&at("a")).unwrap(), b"first");
        assert!(message(write(&at("a"), b"second")).contains("written twice"));
        assert_eq!(fs::read(at("a")).unwrap(), b"first");
        // Another file, though it may get the number of the one that is gone.
        fs::remove_file(at("a")).unwrap();
        fs::write(at("c"), "old").unwrap();
        write(&at("c"), b"new").unwrap();
    }

    #[test]
    fn two_outputs_that_are_one_file_are_refused_before_either_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("inner")).unwrap();
        let mut others = vec![at("new"), at("inner/../new")];
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("new", at("dangling")).unwrap();
            others.push(at("dangling"));
        }
        for other in others {
            let error = message(announce(&[at("new"), other.clone()]));
            let said = format!("{}: is to be written twice", other.display());
            assert!(error.starts_with(&said), "{error}");
        }
        announce(&[at("new"), at("inner/new")]).unwrap();
    }

    #[test]
    fn folders_and_what_is_not_there_are_left_alone_and_so_are_devices() {
        let folder = tempfile::tempdir().unwrap();
        note(folder.path()).unwrap();
        note(&folder.path().join("none")).unwrap();
        #[cfg(unix)]
        {
            let null = PathBuf::from("/dev/null");
            announce(&[null.clone(), null.clone()]).unwrap();
            assert_eq!(read(&null).unwrap(), b"");
            write(&null, b"x").unwrap();
            write(&null, b"x").unwrap();
        }
    }
}
