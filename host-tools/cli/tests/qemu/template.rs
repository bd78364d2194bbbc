//! The project template is a product outside of the repository, by the lines of its README.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use super::common::outcome;
use super::{root, tools};

/// The text between the marks, after the first of them.
fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let (_, rest) = text.split_once(from).unwrap();
    rest.split_once(to).unwrap().0
}

#[test]
fn the_template_copied_out_of_the_repository_builds_and_raises_its_pin() {
    if !tools() {
        return;
    }
    let readme = fs::read_to_string(root().join("firmware/template/README.md")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    symlink(root().canonicalize().unwrap(), folder.path().join("zerda")).unwrap();
    let mut bash = Command::new("bash");
    let bash = bash.args(["-euc", between(&readme, "```sh\n", "```")]);
    // What it depends on is built once.
    let built = root().canonicalize().unwrap().join("target/template");
    let bash = bash.current_dir(&folder).env("CARGO_TARGET_DIR", built);
    let (code, stdout, stderr) = outcome(bash.output().expect("bash starts"));
    assert_eq!(code, 0, "{stderr}");
    let shown = between(&readme, "is a recording:\n\n", "\n\n");
    let shown: String = shown
        .lines()
        .map(|line| format!("{}\n", line.trim()))
        .collect();
    assert!(stdout.ends_with(&shown), "{stdout}");
}
