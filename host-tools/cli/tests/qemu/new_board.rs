//! A new board is one new folder: made in a workspace of its own, it is built, run, reported on and simulated.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::Value;
use zerda_support::output::Format;

use super::{noise, objects, root, run, tools, write_wav};

/// Makes a folder with links to what lies in `from`, but for `without`.
fn link(from: &Path, to: &Path, without: &[&str]) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let name = entry.unwrap().file_name();
        if !without.iter().any(|other| name == *other) {
            symlink(from.join(&name), to.join(&name)).unwrap();
        }
    }
}

/// Makes a workspace that shares all files with the repository, but for the list of locked crates, which cargo writes.
/// Returns its folder of boards. It is where it was the last time, so that cargo builds little anew.
fn workspace() -> PathBuf {
    let root = root().canonicalize().unwrap();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("new-board");
    if folder.exists() {
        fs::remove_dir_all(&folder).unwrap();
    }
    link(&root, &folder, &["firmware"]);
    link(
        &root.join("firmware"),
        &folder.join("firmware"),
        &["boards"],
    );
    let [from, boards] = [&root, &folder].map(|root| root.join("firmware/boards"));
    link(&from, &boards, &["Cargo.lock"]);
    fs::copy(from.join("Cargo.lock"), boards.join("Cargo.lock")).unwrap();
    boards
}

/// Adds a board like another, under a name of its own and with four times the clock. It shares the other's folder under
/// `target`, so that crates are built once.
fn add(boards: &Path, like: &str, name: &str) {
    let (from, to) = (boards.join(like), boards.join(name));
    link(&from, &to, &["Cargo.toml", "board.toml"]);
    for (file, there, instead) in [
        (
            "Cargo.toml",
            format!("name = \"{like}\""),
            format!("name = \"{name}\""),
        ),
        (
            "board.toml",
            "clock_mhz = 25\n".into(),
            "clock_mhz = 100\n".into(),
        ),
    ] {
        let text = fs::read_to_string(from.join(file)).unwrap();
        assert!(text.contains(&there), "{file}: {there}");
        fs::write(to.join(file), text.replace(&there, &instead)).unwrap();
    }
}

#[test]
fn a_new_board_is_one_new_folder() {
    if !tools() {
        return;
    }
    let boards = workspace();
    add(&boards, "mps2-an386", "desk");
    let in_boards = boards.to_str().unwrap();
    let folder = tempfile::tempdir().unwrap();
    // Two steps.
    let audio = write_wav(&folder, "short.wav", &noise(16_000 / 5, 300));

    let (code, stdout, stderr) = run(&[
        "qemu", "--json", "--board", "desk", "--boards", in_boards, &audio,
    ]);
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(objects(&stdout).1["board"], "desk");

    let reports = memory_report::reports(&memory_report::Options {
        names: vec!["desk".into()],
        boards: boards.clone(),
        image: root().join("models/shrunk.zerda"),
        templates: None,
        elf: None,
        budgets: root().join("config/budgets.toml"),
        baseline: root().join("memory-report/baseline.toml"),
        renew: false,
        audio: vec![audio.into()],
        output: None,
        format: Format::Text,
    });
    let report = &reports.unwrap().boards[0];
    assert_eq!((report.verdict, &report.baseline), ("pass", &None));
    assert!(report.notes[0].starts_with("NEW: "), "{:?}", report.notes);
    assert_eq!(report.stack.basis, "measured in QEMU");
    assert_eq!(report.flash.budget, 425_984);

    let sequence_ms = |board: &str| {
        let arguments = ["simulate", "--json", "--seconds", "1", "--board", board];
        let (_, stdout, stderr) = run(&[&arguments[..], &["--boards", in_boards]].concat());
        let said: Value = serde_json::from_str(&stdout).expect(&stderr);
        assert_eq!(said["board"], board);
        said["sequence_500_ms"].as_f64().unwrap()
    };
    let ratio = sequence_ms("mps2-an386") / sequence_ms("desk");
    assert!((ratio - 4.0).abs() < 1e-9, "{ratio}");
}
