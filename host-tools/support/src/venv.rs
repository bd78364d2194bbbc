//! Installs Python packages at pinned versions and with known hashes, each set of them in a virtual environment of
//! its own.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::say;

/// Returns the `bin` folder of the environment `folder` with `packages` in it: a requirements file of pip's, with the
/// hash of every package and of all that these need. It is made unless it is there, by one process at a time.
///
/// # Errors
///
/// Says in one line why it cannot be made (no Python, no network).
pub fn venv(folder: &Path, packages: &str, what: &str) -> Result<PathBuf, String> {
    let failed = |error: io::Error| format!("{}: cannot be written: {error}", folder.display());
    let bin = folder.join(match cfg!(windows) {
        true => "Scripts",
        false => "bin",
    });
    fs::create_dir_all(folder.parent().unwrap_or(folder)).map_err(failed)?;
    // The lock ends with this file.
    let lock = File::create(folder.with_added_extension("lock")).map_err(failed)?;
    lock.lock().map_err(failed)?;
    let stamp = folder.join("installed.txt");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == packages) {
        return Ok(bin);
    }
    say(&format!("installing {what} into {}", folder.display()));
    let python = match cfg!(windows) {
        true => "python",
        false => "python3",
    };
    // Isolated: Python would look for modules where the user stands.
    let make = ["-I", "-m", "venv", "--clear"].into_iter().map(OsStr::new);
    run(python.as_ref(), make.chain([folder.as_ref()]))?;
    let list = folder.join("packages.txt");
    fs::write(&list, packages).map_err(failed)?;
    let install = [
        "-I",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        // Python compiles what it imports, which is little of what there is.
        "--no-compile",
        "--require-hashes",
        "--requirement",
    ];
    let install = install.into_iter().map(OsStr::new);
    run(&bin.join("python"), install.chain([list.as_ref()]))?;
    fs::write(stamp, packages).map_err(failed)?;
    Ok(bin)
}

fn run<'a>(program: &Path, arguments: impl Iterator<Item = &'a OsStr>) -> Result<(), String> {
    let name = program.display();
    let mut command = Command::new(program);
    let output = command.args(arguments).output().map_err(|error| {
        format!("{name} cannot be started ({error}): install Python 3.10 to 3.13 with venv and pip")
    })?;
    if output.status.success() {
        return Ok(());
    }
    // python3 -m venv says what is missing on stdout, pip on stderr, the reason last.
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let reason = last_line(&said);
    let arguments: Vec<_> = command.get_args().collect();
    let arguments = arguments.join(" ".as_ref());
    Err(format!("{name} {} failed: {reason}", arguments.display()))
}

/// Returns the last line that is not blank: where Python programs say what went wrong.
pub fn last_line(text: &str) -> &str {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.next_back().unwrap_or("it said nothing")
}
