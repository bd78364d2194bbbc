//! Writes what the commands produce: files, whole or not at all, and reports in all their forms.

mod totals;

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

use crate::error::{Error, Result};
pub use totals::{Counts, Totals, print_end};

/// Form in which a report is printed on standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Text,
    Markdown,
    /// JSON is printed with one object a line.
    Json,
}

impl Format {
    /// Returns the form that `--json` and `--markdown` ask for.
    pub fn of(json: bool, markdown: bool) -> Format {
        match (json, markdown) {
            (true, _) => Format::Json,
            (false, true) => Format::Markdown,
            (false, false) => Format::Text,
        }
    }
}

/// Holds a report in every form that it can be shown in.
pub struct Forms<H> {
    pub text: String,
    pub markdown: String,
    /// Holds JSON, one object a line.
    pub json: String,
    /// Makes the HTML page; it is called only where that is written.
    pub html: H,
}

impl<H: FnOnce() -> Result<String>> Forms<H> {
    /// Prints one form; writes NAME.json, NAME.md and NAME.html where a folder is named.
    pub fn show(self, format: Format, folder: Option<&Path>, name: &str) -> Result<()> {
        let printed = match format {
            Format::Text => &self.text,
            Format::Markdown => &self.markdown,
            Format::Json => &self.json,
        };
        print(printed.trim_end())?;
        let Some(folder) = folder else {
            return Ok(());
        };
        fs::create_dir_all(folder).map_err(|error| Error::write(folder, error))?;
        let file =
            |form, text: &str| write(&folder.join(format!("{name}.{form}")), text.as_bytes());
        file("json", &self.json)?;
        file("md", &self.markdown)?;
        file("html", &(self.html)()?)
    }
}

/// Prints a line to standard output at once, since someone may be watching.
pub fn print(line: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{line}")
        .and_then(|()| stdout.flush())
        .map_err(Error::stdout)
}

/// Prints a line on standard error that a person should know, but a program need not.
pub fn note(line: &str) {
    let _ = writeln!(io::stderr(), "zerda: {line}");
}

/// Prints a line on standard error about something that may be wrong, but stops nothing.
pub fn warn(line: &str) {
    note(&format!("warning: {line}"));
}

/// Writes structs of numbers and strings as JSON, one object a line.
pub fn json_lines<T: Serialize>(objects: &[T]) -> String {
    let line = |object| serde_json::to_string(object).expect("numbers and strings as JSON") + "\n";
    objects.iter().map(line).collect()
}

/// Writes a file beside `path`, then renames it, so that nobody ever reads half a file and what was
/// there before stays when the disk is full. Devices and pipes are written to directly.
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
        // Any new file has these; the default of temporary files is 0600.
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
