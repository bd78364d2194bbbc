//! How the tests start `zerda`, and read what it says.
#![allow(dead_code)] // each of the tests takes what it needs

pub mod phrase;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// `zerda ARGUMENTS`, from the root of the repository, where boards and the shipped image are found.
pub fn zerda(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zerda"));
    command.args(arguments).current_dir(root());
    command
}

/// Exit code, standard output, standard error.
pub fn outcome(output: Output) -> (i32, String, String) {
    let code = output.status.code().expect("an exit code, not a signal");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (code, text(output.stdout), text(output.stderr))
}

/// The outcome of `zerda ARGUMENTS`.
pub fn run(arguments: &[&str]) -> (i32, String, String) {
    outcome(zerda(arguments).output().expect("zerda starts"))
}

/// Objects of `--json`, the last apart: the summary.
pub fn objects(stdout: &str) -> (Vec<Value>, Value) {
    let lines = stdout.lines();
    let lines = lines.map(|line| serde_json::from_str(line).expect("JSON"));
    let mut lines: Vec<Value> = lines.collect();
    let summary = lines.pop().expect("a summary")["summary"].take();
    (lines, summary)
}
