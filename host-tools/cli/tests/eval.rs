//! `zerda eval` and `zerda tune` as their users meet them, on folders of clips.

mod common;

use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use common::{root, run};

fn write(folder: &TempDir, name: &str, bytes: &[u8]) {
    let path = folder.path().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, bytes).unwrap();
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

/// The bytes of a sample with several commands.
fn sample() -> Vec<u8> {
    fs::read(root().join("models/samples/robot.wav")).unwrap()
}

#[test]
fn eval_compares_both_networks_and_names_the_folders_it_leaves_out() {
    let clip = sample();
    let folder = folder();
    for name in [
        "yes/1.wav",
        "_unknown_/1.wav",
        "_unknown_/2.wav",
        "marvin/1.wav",
    ] {
        write(&folder, name, &clip);
    }
    let directory = folder.path().display().to_string();
    let (code, stdout, stderr) = run(&["eval", "--json", &directory]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    let report: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(
        (&report["classes"], &report["clips"]),
        (&2.into(), &3.into())
    );
    assert_eq!(report["left_out"], serde_json::json!(["marvin"]));
    for network in ["float", "int8"] {
        let top1 = report[network]["top1"].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&top1));
    }
    assert!(report["macs_per_step"].as_u64().unwrap() <= 2_300_000);

    write(&folder, "yes/2.wav", b"no audio");
    let (code, stdout, stderr) = run(&["eval", &directory]);
    assert_eq!(code, 2);
    assert!(
        stdout.starts_with("3 clips of 2 classes; left out, as no labels of the model: marvin\n")
    );
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}

#[test]
fn eval_of_some_labels_leaves_the_others_out_and_counts_their_answers_as_wrong() {
    let clip = sample();
    let folder = folder();
    for name in ["yes/1.wav", "_silence_/1.wav", "stop/1.wav", "marvin/1.wav"] {
        write(&folder, name, &clip);
    }
    let directory = folder.path().display().to_string();
    let eval = |labels: &str| run(&["eval", "--json", &directory, "--labels", labels]);
    let (code, stdout, stderr) = eval("yes,no,_silence_");
    assert_eq!((code, stderr.as_str()), (0, ""));
    let report: Value = serde_json::from_str(&stdout).unwrap();
    // `no` has no clips.
    assert_eq!(
        (&report["classes"], &report["clips"]),
        (&2.into(), &2.into())
    );
    assert_eq!(report["left_out"], serde_json::json!(["marvin", "stop"]));
    // The same clip has one answer, which is right in one folder at most, though it be a label left out.
    let answer = |label: &str| {
        let (_, stdout, _) = eval(label);
        let report: Value = serde_json::from_str(&stdout).unwrap();
        report["int8"]["top1"].as_f64().unwrap()
    };
    let each = ["yes", "_silence_", "stop"].map(answer);
    assert!(each.iter().sum::<f64>() <= 1.0, "{each:?}");
    assert_eq!(report["int8"]["top1"], (each[0] + each[1]) / 2.0);

    let (_, stdout, _) = run(&["eval", &directory, "--labels", "yes,stop"]);
    let expected = "2 clips of 2 classes; left out, as not among --labels: _silence_ marvin\n";
    assert!(stdout.starts_with(expected), "{stdout}");
    let expected = "zerda: --labels: `marvin` is no label of the model, which has yes no up down left right stop go on off \
                    computer jarvis _unknown_ _silence_\n";
    assert_eq!(eval("yes,marvin"), (2, String::new(), expected.into()));
}

#[test]
fn eval_without_a_folder_of_a_label_says_which_labels_there_are() {
    let folder = folder();
    write(&folder, "marvin/1.wav", b"");
    let directory = folder.path().display().to_string();
    let (code, _, stderr) = run(&["eval", &directory]);
    assert_eq!(code, 2);
    assert!(stderr.contains("no folder in it is named as a label") && stderr.contains("yes no"));
}

/// Clips of two commands, each cut out of a sample where its file says it is spoken.
fn clips(folder: &TempDir) {
    let path = root().join("models/samples/robot.wav");
    let mut reader = hound::WavReader::open(&path).unwrap();
    let samples: Vec<i16> = reader.samples().map(|sample| sample.unwrap()).collect();
    let about = fs::read_to_string(path.with_extension("json")).unwrap();
    let about: Value = serde_json::from_str(&about).unwrap();
    for said in about["commands"].as_array().unwrap() {
        let label = folder.path().join(said["command"].as_str().unwrap());
        fs::create_dir_all(&label).unwrap();
        let at = |key: &str| said[key].as_u64().unwrap() as usize * 16;
        let mut writer = hound::WavWriter::create(label.join("1.wav"), reader.spec()).unwrap();
        for &sample in &samples[at("start_ms")..at("end_ms")] {
            writer.write_sample(sample).unwrap();
        }
        writer.finalize().unwrap();
    }
}

#[test]
fn a_wake_word_gets_its_threshold_and_the_config_says_what_was_measured_at_it() {
    let folder = folder();
    clips(&folder);
    let config = root().join("config/commands.toml");
    write(&folder, "config/commands.toml", &fs::read(&config).unwrap());
    let directory = folder.path().display().to_string();
    let config = folder.path().join("config").display().to_string();
    let tune = |arguments: &[&str]| {
        let negatives = ["--negatives", "models/samples/no_commands.wav"];
        run(&[&["tune", "--json"], &negatives[..], arguments].concat())
    };
    let wake = ["--wake=go", "--wakes-per-hour", "1000"];
    let named = ["--commands", &directory, "--config", &config];
    let (code, stdout, stderr) = tune(&[&wake[..], &named[..]].concat());
    assert_eq!((code, stderr.as_str()), (0, ""));
    let report: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(report["wake_words"], serde_json::json!(["go"]));
    let [before, after] = [&report["before"], &report["after"]];
    assert_eq!(before["thresholds"]["go"], 154.0 / 256.0);
    assert_eq!(before["smoothing"], after["smoothing"]);
    let threshold = after["thresholds"]["go"].as_f64().unwrap();
    let [words, misses] = [0, 1].map(|at| &after["misses_by_command"]["go"][at]);
    let text = fs::read_to_string(folder.path().join("config/commands.toml")).unwrap();
    let expected = format!(
        "go = {}  # measured: {misses} of {words} missed at 10 dB; {} false wakes in ",
        (threshold * 1000.0).round() / 1000.0,
        after["by_command"]["go"]
    );
    assert!(text.contains(&expected), "{text}\n{expected}");

    let error = |arguments: &[&str]| {
        let (code, stdout, stderr) = tune(arguments);
        assert_eq!((code, &stdout[..], stderr.lines().count()), (2, "", 1));
        stderr
    };
    assert_eq!(
        error(&wake),
        "zerda: --commands: expected a folder with clips of each wake word, to tell what is missed\n"
    );
    let stderr = error(&["--wake=down", "--commands", &directory]);
    assert!(
        stderr.ends_with(
            "no recording of the wake word down, expected a folder with clips of each\n"
        ),
        "{stderr}"
    );
    let stderr = error(&["--wake=go", "--commands", &directory]);
    assert!(
        stderr.contains("h of negatives cannot tell 0.5 false wakes an hour"),
        "{stderr}"
    );
}
