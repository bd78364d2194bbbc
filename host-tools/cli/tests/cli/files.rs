//! What a command reads stays as it is, unless it is asked to change it.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{folder, outcome, root, run, write, zerda};

/// The inputs of most commands, in a folder of their own.
fn inputs() -> (TempDir, [String; 4]) {
    let folder = folder();
    let copy = |from: &str, name: &str| write(&folder, name, &fs::read(root().join(from)).unwrap());
    let files = [
        copy("models/shrunk.onnx", "m.onnx"),
        copy("models/shrunk.zerda", "m.zerda"),
        copy("models/samples/robot.wav", "audio/t.wav"),
        copy("models/samples/robot.json", "audio/t.json"),
    ];
    (folder, files)
}

#[test]
fn a_file_that_a_command_reads_is_not_written_over() {
    let (folder, files) = inputs();
    let [onnx, image, wav, label] = files.each_ref().map(String::as_str);
    let audio = folder.path().join("audio").display().to_string();
    let link = folder.path().join("link").display().to_string();
    fs::hard_link(onnx, &link).unwrap();
    let latency = write(&folder, "latency.json", b"a board, by an odd name");
    let simulated = folder.path().display().to_string();
    let before: Vec<_> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    let compile = ["compile", onnx, "--calibrate", &audio];
    let cases: Vec<(Vec<&str>, &str, &str)> = vec![
        (compile.to_vec(), "-o", onnx),
        (compile.to_vec(), "-o", &link),
        (compile.to_vec(), "-o", wav),
        (
            [&compile[..], &["--report", "x.json"]].concat(),
            "-o",
            "x.json",
        ),
        (vec!["export", image], "-o", image),
        (vec!["commands", image], "-o", image),
        (vec!["npu", image, "--target", "ethos-u55-256"], "-o", image),
        (vec!["run", "--image", image, wav], "--trace", wav),
        (
            vec!["run", "--image", image, wav, "--explain"],
            "--trace",
            label,
        ),
        (
            vec!["tune", "--image", image, "--negatives", &audio],
            "--output",
            image,
        ),
        (
            vec!["eval", &audio, "--stream", "--negatives", &audio],
            "--report",
            wav,
        ),
        (
            vec!["simulate", "--image", image, "--board", &latency],
            "--output",
            &simulated,
        ),
    ];
    for (arguments, option, output) in &cases {
        let (code, stdout, stderr) = run(&[&arguments[..], &[option, output]].concat());
        assert_eq!((code, &stdout[..]), (2, ""), "{arguments:?}: {stderr}");
        let said =
            stderr.starts_with(&format!("zerda: {output}")) && stderr.contains("name another file");
        assert!(
            said && stderr.lines().count() == 1,
            "{arguments:?}: {stderr}"
        );
    }
    let after: Vec<_> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    assert!(before == after);
}

#[test]
fn commands_go_into_a_new_file_whose_name_is_said_or_in_place_where_that_is_meant() {
    let (folder, [_, image, ..]) = inputs();
    let before = fs::read(&image).unwrap();
    let config = folder.path().join("my-config");
    let text = fs::read_to_string(root().join("config/commands.toml")).unwrap();
    write(
        &folder,
        "my-config/commands.toml",
        text.replace("smoothing = 5", "smoothing = 7").as_bytes(),
    );
    let commands = ["commands", &image, "--config", config.to_str().unwrap()];
    let new = folder.path().join("m.commands.zerda");
    let said = (0, format!("{}\n", new.display()), String::new());
    assert_eq!(run(&commands), said);
    assert!(before == fs::read(&image).unwrap() && before != fs::read(&new).unwrap());
    let (code, stdout, _) = run(&[&commands[..], &["--in-place"]].concat());
    assert_eq!((code, stdout), (0, format!("{image}\n")));
    assert!(fs::read(&image).unwrap() == fs::read(new).unwrap());
}

/// The pages that show commands of `zerda`.
const PAGES: [&str; 8] = [
    "README.md",
    "config/README.md",
    "host-tools/compare/README.md",
    "host-tools/evaluate/README.md",
    "host-tools/simulate/README.md",
    "memory-report/README.md",
    "models/train/README.md",
    "firmware/boards/README.md",
];

/// The commands of the pages and of `--help`, without `cargo run --release --` or `zerda` before them.
fn documented() -> Vec<String> {
    let pages = PAGES.map(|page| fs::read_to_string(root().join(page)).unwrap());
    let pages = pages.concat();
    let help = run(&["--help"]).1;
    let commands = pages
        .lines()
        .filter_map(|line| line.split_once("cargo run --release -- "));
    let examples = help.lines().filter_map(|line| line.split_once("  zerda "));
    let commands = commands.chain(examples).map(|(_, command)| command);
    commands
        .map(|command| command.split(" #").next().unwrap().trim().to_string())
        .collect()
}

#[test]
fn what_the_documents_write_is_under_target() {
    let commands = documented();
    assert!(commands.len() > 35, "{} commands", commands.len());
    for command in &commands {
        let words: Vec<_> = command.split(' ').collect();
        let mut written = words
            .windows(2)
            .filter(|pair| matches!(pair[0], "-o" | "--output" | "--report" | "--trace"));
        assert!(
            written.all(|pair| pair[1].starts_with("target/")),
            "{command}"
        );
        let beside = matches!(words[0], "compile" | "export" | "npu" | "commands");
        let read = |word: &&str| word.starts_with("target/");
        assert!(!beside || words.iter().any(read), "{command}");
    }
}

/// Every file below a folder with its bytes, but for `target`.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true if path.ends_with("target") => {}
            true => files.extend(self::files(&path)),
            false => files.push((path.clone(), fs::read(path).unwrap())),
        }
    }
    files.sort();
    files
}

/// Those that take seconds and nothing but this repository; in a folder like it.
#[test]
fn quick_commands_of_the_documents_run_as_written_and_change_nothing_outside_of_target() {
    let (folder, config) = (folder(), root().join("config"));
    for name in [
        "models/shrunk.zerda",
        "models/samples/wake.wav",
        "models/samples/robot.wav",
        "models/samples/robot.json",
    ] {
        write(&folder, name, &fs::read(root().join(name)).unwrap());
    }
    fs::create_dir(folder.path().join("target")).unwrap();
    let text = fs::read_to_string(config.join("commands.toml")).unwrap();
    write(&folder, "my-config/commands.toml", text.as_bytes());
    let before = files(folder.path());
    let mut ran = 0;
    for command in documented() {
        let words: Vec<_> = command.split(' ').collect();
        let quick = matches!(words[0], "run" | "commands" | "export" | "inspect");
        let here =
            |word: &&str| ["recording.wav", "-", "--onnx"].contains(word) || word.contains('*');
        if !quick || words.iter().any(here) {
            continue;
        }
        let output = zerda(&words).current_dir(folder.path()).output().unwrap();
        let (code, _, stderr) = outcome(output);
        assert_eq!((code, stderr.as_str()), (0, ""), "{command}");
        ran += 1;
    }
    assert!(ran >= 7, "{ran} commands");
    assert!(before == files(folder.path()));
}
