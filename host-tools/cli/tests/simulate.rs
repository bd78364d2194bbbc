//! `zerda simulate` on boards without an NPU; those with one are in `npu.rs`.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use common::{root, run};

/// `zerda simulate ARGUMENTS` from the root of the repository: exit code, standard output, standard error.
fn simulate(arguments: &[&str]) -> (i32, String, String) {
    run(&[&["simulate"], arguments].concat())
}

fn json(arguments: &[&str]) -> (i32, Value) {
    let (code, stdout, _) = simulate(&[arguments, &["--json"]].concat());
    (code, serde_json::from_str(&stdout).expect("one object"))
}

fn file(board: &str) -> PathBuf {
    root()
        .join("firmware/boards")
        .join(board)
        .join("board.toml")
}

/// A board's file, changed, in a folder of its own.
fn board(folder: &TempDir, from: &str, changes: &[(&str, &str)]) -> String {
    let mut text = fs::read_to_string(file(from)).unwrap();
    for (before, after) in changes {
        assert!(text.contains(before), "{before}");
        text = text.replacen(before, after, 1);
    }
    let path = folder.path().join("desk.toml");
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn the_slow_board_fails_with_what_is_missed_and_what_would_do() {
    let (code, stdout, stderr) = simulate(&["--board", "mps2-an386"]);
    assert_eq!(code, 1);
    assert!(stdout.ends_with("FAIL\n"), "{stdout}");
    let lines: Vec<_> = stderr.lines().collect();
    assert_eq!(lines.len(), 2, "{stderr}");
    assert!(
        lines[0].starts_with("zerda: 500 frames in one piece take "),
        "{stderr}"
    );
    assert!(lines[0].contains("a clock of "), "{stderr}");
    assert!(
        lines[1].contains("missed the deadline of 50 ms"),
        "{stderr}"
    );

    let (code, said) = json(&["--board", "mps2-an386"]);
    assert_eq!((code, &said["verdict"]), (1, &"fail".into()));
    // A step takes longer than its audio, so that blocks are lost and no word can be timed.
    assert!(said["compute_ms"]["max"].as_f64().unwrap() > 50.0);
    assert!(said["overruns"].as_u64().unwrap() > 0);
    assert!(said["word_end_to_detection_ms"].is_null());
    assert!(said["basis"].as_str().unwrap().starts_with("estimated"));
}

#[test]
fn numbers_that_make_no_sense_are_refused_with_their_bounds_and_never_pass() {
    let folder = tempfile::tempdir().unwrap();
    for (line, change, expected) in [
        (
            "clock_mhz = 32",
            "clock_mhz = 5e-324",
            "`clock_mhz`: invalid value 5e-324, expected 0.001 to 1000000",
        ),
        (
            "dma_buffer_ms = 10.0",
            "dma_buffer_ms = 1e-9",
            "`dma_buffer_ms`: invalid value 1e-9, expected 0.0625 to 60000",
        ),
        (
            "cycles_per_instruction = 1.0",
            "cycles_per_instruction = inf",
            "`cycles_per_instruction`: invalid value inf",
        ),
        (
            "output_us = 10.0",
            "output_us = nan",
            "`output_us`: invalid value NaN",
        ),
    ] {
        let path = board(&folder, "mps3-an547", &[(line, change)]);
        let (code, stdout, stderr) = simulate(&["--board", &path]);
        assert_eq!(
            (code, &stdout[..], stderr.lines().count()),
            (2, "", 1),
            "{stderr}"
        );
        assert!(stderr.contains(expected), "{stderr}");
    }
    // A step of 0 cycles at 0 Hz, as the image says of its NPU.
    let image = "tests/data/hostile/npu-clock0-cycles0.zerda";
    let (code, stdout, stderr) = simulate(&["--board", "ethos-u55-256", "--image", image]);
    assert!(
        code != 0 && !stdout.contains("PASS") && !stdout.contains("NaN"),
        "{stdout}"
    );
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}

/// Boards of any numbers are refused, or simulated to an end with a verdict of finite figures.
#[test]
fn boards_of_any_numbers_end_with_finite_figures_or_a_refusal() {
    let folder = tempfile::tempdir().unwrap();
    let numbers = [
        "0", "-1", "5e-324", "1e-9", "0.001", "1", "1e6", "1e12", "1e300", "inf", "nan",
    ];
    let fields = [
        "clock_mhz = 32",
        "cycles_per_instruction = 1.0",
        "flash_cycles_per_byte = 0.0",
        "dma_buffer_ms = 10.0",
        "other_load = 0.0",
        "output_us = 10.0",
    ];
    let (mut refused, mut passed, mut failed) = (0, 0, 0);
    for field in fields {
        for number in numbers {
            let key = field.split(' ').next().unwrap();
            let path = board(
                &folder,
                "mps3-an547",
                &[(field, &format!("{key} = {number}"))],
            );
            let (code, stdout, stderr) = simulate(&[
                "--board",
                &path,
                "--seconds",
                "2",
                "--json",
                "--audio",
                "models/samples/robot.wav",
            ]);
            match code {
                2 => {
                    assert!(
                        stderr.contains(&format!("`{key}`: invalid")),
                        "{key} = {number}: {stderr}"
                    );
                    refused += 1;
                }
                _ => {
                    let said: Value = serde_json::from_str(&stdout).expect("one object");
                    for figure in ["sequence_500_ms", "sequence_300_ms", "real_time_factor"] {
                        assert!(
                            said[figure].is_f64(),
                            "{key} = {number}: {figure} {}",
                            said[figure]
                        );
                    }
                    if code == 0 { passed += 1 } else { failed += 1 }
                }
            }
        }
    }
    println!(
        "{} boards: {refused} refused, {passed} passed, {failed} failed",
        fields.len() * numbers.len()
    );
    assert!(
        refused > 30 && passed > 0 && failed > 3,
        "{refused} {passed} {failed}"
    );
}

#[test]
fn twice_the_clock_takes_half_the_time_and_words_are_only_as_late_as_the_step() {
    let folder = tempfile::tempdir().unwrap();
    let clock = |mhz: &str| {
        let file = board(
            &folder,
            "mps2-an386",
            &[("clock_mhz = 25", &format!("clock_mhz = {mhz}"))],
        );
        json(&["--board", &file]).1
    };
    let (slow, fast) = (clock("200"), clock("400"));
    let of = |said: &Value, key: &str| said[key].as_f64().unwrap();
    for key in [
        "sequence_500_ms",
        "sequence_300_ms",
        "front_end_500_ms",
        "real_time_factor",
    ] {
        let ratio = of(&slow, key) / of(&fast, key);
        assert!((ratio - 2.0).abs() < 1e-3, "{key}: {ratio}");
    }
    // 99 and 59 steps, of which the first are quicker.
    assert!(of(&slow, "sequence_500_ms") > 99.0 / 59.0 * of(&slow, "sequence_300_ms"));
    let [slow_word, fast_word] = [&slow, &fast].map(|said| &said["word_end_to_detection_ms"]);
    assert_eq!(
        (&slow_word["words"], &slow_word["missed"]),
        (&23.into(), &0.into())
    );
    for part in ["framing", "look_ahead", "waiting", "decision", "output"] {
        assert_eq!(slow_word["parts"][part], fast_word["parts"][part]);
    }
    let compute = |word: &Value| word["parts"]["compute"].as_f64().unwrap();
    let later = of(slow_word, "max") - of(fast_word, "max");
    // The mean over words whose steps differ with the caches.
    assert!(
        (later - (compute(slow_word) - compute(fast_word))).abs() < 1.0,
        "{later}"
    );
    // Flat once the caches are full, within what caches move.
    let fill = &slow["fill"];
    assert_eq!(fill["steps"], 20);
    assert!(of(fill, "full_max_ms") < 1.005 * of(fill, "full_min_ms"));
    assert!(of(fill, "first_ms") < 0.9 * of(fill, "full_ms"));
}

#[test]
fn all_forms_are_written_and_say_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("report");
    let output = output.to_str().unwrap();
    let (_, stdout, _) = simulate(&["--board", "mps3-an547", "--markdown", "--output", output]);
    let read = |name: &str| fs::read_to_string(Path::new(output).join(name)).unwrap();
    assert_eq!(read("latency.md").trim_end(), stdout.trim_end());
    let said: Value = serde_json::from_str(&read("latency.json")).unwrap();
    let page = read("latency.html");
    let sequence = format!("{:.1} ms", said["sequence_500_ms"].as_f64().unwrap());
    assert!(
        stdout.contains(&sequence) && page.contains(&sequence),
        "{sequence}"
    );
    assert!(!page.contains("http"), "the page needs nothing else");
}

#[test]
fn a_limit_below_what_is_taken_fails_and_one_above_passes() {
    let folder = tempfile::tempdir().unwrap();
    // Quick enough for the sequence too.
    let file = board(
        &folder,
        "mps3-an547",
        &[("clock_mhz = 32", "clock_mhz = 8000")],
    );
    let (code, said) = json(&["--board", &file]);
    assert_eq!((code, &said["verdict"]), (0, &"pass".into()), "{said}");
    let p95 = said["word_end_to_detection_ms"]["p95"].as_f64().unwrap();
    let budgets = fs::read_to_string(root().join("config/budgets.toml")).unwrap();
    let limit = |ms: u32| {
        let path = folder.path().join("budgets.toml");
        fs::write(
            &path,
            budgets.replace("latency_ms = 160", &format!("latency_ms = {ms}")),
        )
        .unwrap();
        simulate(&["--board", &file, "--budgets", path.to_str().unwrap()])
    };
    let (code, _, stderr) = limit(p95 as u32);
    assert_eq!(code, 1);
    assert!(
        stderr.contains("from the end of a word to its detection p95 is "),
        "{stderr}"
    );
    assert_eq!(limit(p95 as u32 + 1).0, 0);
}

#[test]
fn wrong_use_is_answered_with_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = board(&folder, "mps2-an386", &[("\nAdd = {", "\nAdd = 5 # {")]);
    let lacks = |class: &str| {
        let text = fs::read_to_string(file("mps2-an386")).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with(class));
        let path = folder.path().join("lacks.toml");
        fs::write(
            &path,
            lines.map(|line| format!("{line}\n")).collect::<String>(),
        )
        .unwrap();
        path.display().to_string()
    };
    let budgets = folder.path().join("budgets.toml");
    fs::write(&budgets, "latency_ms = 0").unwrap();
    let silent = folder.path().join("empty");
    fs::create_dir(&silent).unwrap();
    for (arguments, expected) in [
        (
            vec!["--board", "mps4"],
            "mps4: no such board, expected one of esp32-c6 ",
        ),
        (vec!["--board", "none.toml"], "none.toml: cannot be read"),
        (
            vec!["--board", &wrong],
            "desk.toml:24: `Add`: invalid type: integer `5`",
        ),
        (
            vec!["--board", &lacks("Lookup")],
            "lacks.toml:23: [instructions.cost]: expected `Lookup = {",
        ),
        (
            vec![
                "--board",
                "mps2-an386",
                "--budgets",
                budgets.to_str().unwrap(),
            ],
            "budgets.toml:1: `latency_ms`: invalid value",
        ),
        (
            vec!["--board", "mps2-an386", "--audio", "none.wav"],
            "none.wav: cannot be read",
        ),
        (
            vec!["--board", "mps2-an386", "--audio", silent.to_str().unwrap()],
            "no recordings",
        ),
        (
            vec!["--board", "mps2-an386", "--fit", "--wake=yes"],
            "--fit with --wake: wake words change no cost of an operator; leave --wake out",
        ),
        (
            vec!["--board", "mps2-an386", "--sweep", "cache=50", "--wake=yse"],
            "models/shrunk.zerda: --wake: `yse` is no word that the model detects",
        ),
        (
            vec!["--board", "mps2-an386", "--image", "README.md"],
            "README.md: not a Zerda image",
        ),
    ] {
        let (code, stdout, stderr) = simulate(&arguments);
        assert_eq!((code, stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(stderr.contains(expected), "{expected}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
    let (code, _, stderr) = simulate(&["--board", "mps2-an386", "--seconds", "0"]);
    assert_eq!(code, 2);
    assert!(stderr.contains("--seconds"), "{stderr}");
}
