//! Writes what the commands produce: files, whole or not at all, and reports in all their forms.

mod file;
mod totals;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::error::{Error, Result, say};
use crate::escape;
use crate::progress;
pub use file::{Unfinished, replace, write, write_private};
pub use totals::{Counts, Totals, end_line};

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
        let [json, markdown, html] = report_files(folder, name);
        write(&json, self.json.as_bytes())?;
        write(&markdown, self.markdown.as_bytes())?;
        write(&html, (self.html)()?.as_bytes())
    }
}

/// Returns the files that a report is written to in all its forms.
pub fn report_files(folder: &Path, name: &str) -> [PathBuf; 3] {
    ["json", "md", "html"].map(|form| folder.join(format!("{name}.{form}")))
}

/// Prints a line, or lines, to standard output at once, since someone may be watching; what could change a terminal
/// is escaped.
pub fn print(line: &str) -> Result<()> {
    let printed = progress::above(|| {
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "{}", escape::text(line)).and_then(|()| stdout.flush())
    });
    printed.map_err(Error::stdout)
}

/// Prints a line on standard error about something that may be wrong, but stops nothing.
pub fn warn(line: &str) {
    say(&format!("warning: {line}"));
}

/// Writes structs of numbers and strings as JSON, one object a line.
pub fn json_lines<T: Serialize>(objects: &[T]) -> String {
    let line = |object| serde_json::to_string(object).expect("numbers and strings as JSON") + "\n";
    objects.iter().map(line).collect()
}
