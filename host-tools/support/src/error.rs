//! Defines what can go wrong in the command line, and the exit code that says so to a script.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::escape;
use crate::progress;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Tells the person who must act, in one line, what went wrong, where, what was expected and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The arguments or an input cannot be used; the exit code is 2.
    #[error("{0}")]
    Usage(String),
    /// The input was good, but a check on it failed; the exit code is 1.
    #[error("{0}")]
    Check(String),
    /// The input was good, but several checks on it failed, of which each is a line; the exit code is 1.
    #[error("{}", .0.join("\n"))]
    Checks(Vec<String>),
    #[error("{}: cannot be read: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{}: cannot be written: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    /// Whoever read the output is gone (`zerda run ... | head`), which is no fault of the user.
    #[error("nobody reads the output any more")]
    OutputClosed,
    /// Inputs could not be used, each of which was reported when it was met.
    #[error("some inputs could not be used")]
    Reported,
    /// The user (Ctrl-C) or another program asked it to end; the exit code is 130, as in shells.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    pub fn usage(message: impl Into<String>) -> Self {
        Error::Usage(message.into())
    }

    pub fn check(message: impl Into<String>) -> Self {
        Error::Check(message.into())
    }

    pub fn read(path: impl AsRef<Path>, source: io::Error) -> Self {
        Error::Read {
            path: path.as_ref().into(),
            source,
        }
    }

    pub fn write(path: impl AsRef<Path>, source: io::Error) -> Self {
        Error::Write {
            path: path.as_ref().into(),
            source,
        }
    }

    /// Turns an error of writing to standard output into [`Error::OutputClosed`] if nobody reads it any more, else into
    /// [`Error::Write`].
    pub fn stdout(source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::BrokenPipe => Error::OutputClosed,
            _ => Error::write("standard output", source),
        }
    }

    pub fn report(&self) {
        self.report_by("zerda");
    }

    /// Prints the error on standard error, behind the name of the program: one line, or one for each of several checks.
    /// What could change a terminal or forge a line is escaped. Nothing is printed if the error was reported before,
    /// the output was closed or the user interrupted. Unlike `eprintln!` it never panics where there is no standard
    /// error.
    pub fn report_by(&self, program: &str) {
        if !matches!(
            self,
            Error::OutputClosed | Error::Reported | Error::Interrupted
        ) {
            match self {
                Error::Checks(lines) => lines.iter().for_each(|line| say_by(program, line)),
                error => say_by(program, &error.to_string()),
            }
        }
    }

    pub fn exit_code(&self) -> u8 {
        match self {
            Error::OutputClosed => 0,
            Error::Check(_) | Error::Checks(_) => 1,
            Error::Interrupted => 130,
            Error::Usage(_) | Error::Read { .. } | Error::Write { .. } | Error::Reported => 2,
        }
    }
}

/// Prints a line on standard error, behind the name of this program; what could change a terminal or forge a line is
/// escaped.
pub fn say(line: &str) {
    say_by("zerda", line);
}

fn say_by(program: &str, line: &str) {
    let line = escape::line(line);
    let _ = progress::above(|| writeln!(io::stderr(), "{program}: {line}"));
}
