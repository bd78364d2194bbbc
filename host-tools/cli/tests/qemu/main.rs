//! `zerda qemu` on the boards that QEMU runs: the firmware computes what `zerda run` computes.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::thread;

use serde_json::{Value, json};
use tempfile::TempDir;
use zerda_support::audio;
use zerda_support::test_support::{in_ci, say_skipped};

use common::{objects, root, run, zerda};

mod commands;
#[path = "../common/mod.rs"]
mod common;
mod flat;
#[cfg(unix)] // for its links
mod new_board;
mod npu;
mod phrases;
mod prediction;
mod recovery;
mod risc_v;
mod serial_port;
mod soak;
#[cfg(unix)] // for its links
mod template;
mod updates;
mod wake;

/// Board, and the instructions that a step with its front end may take.
const BOARDS: [(&str, u64); 2] = [("mps2-an386", 6_000_000), ("mps3-an547", 1_200_000)];

/// Targets and QEMU, fetched by the first call. `false`, and SKIPPED is said, where they are not to
/// be had.
fn tools() -> bool {
    static TOOLS: OnceLock<Result<(), String>> = OnceLock::new();
    let set_up = |arguments: &[&str]| {
        let mut bash = Command::new("bash");
        let script = bash.arg(root().join("firmware/setup.sh")).args(arguments);
        match script.output() {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_string()),
            Err(error) => Err(format!("bash: {error}")),
        }
    };
    let all: [&[&str]; 3] = [&["targets"], &["qemu"], &["qemu", "riscv32"]];
    let tools = TOOLS.get_or_init(|| all.into_iter().try_for_each(set_up));
    let Err(why) = tools else { return true };
    assert!(!in_ci(), "targets and QEMU are needed in CI: {why}");
    skip(why);
    false
}

/// Says that the test of this thread did not run.
fn skip(why: &str) {
    say_skipped(thread::current().name().unwrap_or_default(), why);
}

fn samples() -> Vec<String> {
    let files = audio::list(&root().join("models/samples")).expect("the samples");
    files
        .iter()
        .map(|path| path.display().to_string())
        .collect()
}

fn write_wav(folder: &TempDir, name: &str, samples: &[i16]) -> String {
    let path = folder.path().join(name);
    audio::write(&path, samples).unwrap();
    path.display().to_string()
}

/// 2.6 s in which a word is said.
fn word(folder: &TempDir) -> String {
    let pcm = audio::read(&root().join("models/samples/answers.wav")).unwrap();
    write_wav(folder, "word.wav", &pcm[..41_600])
}

/// Noise from -amplitude to amplitude.
fn noise(length: usize, amplitude: i32) -> Vec<i16> {
    let mut state = 1u32;
    let mut sample = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        ((state >> 8) % (2 * amplitude as u32 + 1)) as i32 - amplitude
    };
    (0..length).map(|_| sample() as i16).collect()
}

/// 60 s of recordings, with noise of three levels after them.
fn minute(folder: &TempDir, name: &str, files: Vec<PathBuf>) -> String {
    seconds(60, folder, name, files)
}

/// As many seconds of the same.
fn seconds(seconds: usize, folder: &TempDir, name: &str, files: Vec<PathBuf>) -> String {
    let (mut pcm, length) = (Vec::new(), seconds * 16_000);
    for (file, level) in files.iter().cycle().zip([30, 300, 3000].iter().cycle()) {
        pcm.extend(audio::read(file).unwrap());
        pcm.extend(noise(16_000, *level));
        if pcm.len() >= length {
            break;
        }
    }
    pcm.truncate(length);
    write_wav(folder, name, &pcm)
}

/// Detections and logits on both boards are those of `zerda run`; the detections.
fn equals_the_laptop(files: &[String]) -> Vec<Value> {
    equals_the_laptop_on(&BOARDS, files)
}

/// The same on some of the boards, with arguments that `zerda run` takes as well.
fn equals_the_laptop_on(boards: &[(&str, u64)], files: &[String]) -> Vec<Value> {
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let (code, stdout, stderr) = run(&[&["run", "--json"], files.as_slice()].concat());
    assert_eq!(code, 0, "{stderr}");
    let (expected, laptop) = objects(&stdout);
    for &(board, _) in boards {
        let arguments = ["qemu", "--json", "--board", board];
        let (code, stdout, stderr) = run(&[&arguments, files.as_slice()].concat());
        assert_eq!(code, 0, "{stderr}");
        let (detections, summary) = objects(&stdout);
        assert_eq!(detections, expected, "{board}");
        let fields = ["files", "detections", "audio_s", "steps", "logits_crc32"];
        // Null for both where the image has no wake words, or there are no templates.
        for field in fields.into_iter().chain(["wake_words", "phrases"]) {
            assert_eq!(summary[field], laptop[field], "{board}: {field}");
        }
        assert_eq!(summary["board"], board);
        assert_eq!(summary["overruns"], 0);
    }
    expected
}

#[test]
fn the_samples_give_the_detections_and_logits_of_the_laptop() {
    if tools() {
        assert!(!equals_the_laptop(&samples()).is_empty());
    }
}

/// MVE flushes subnormal numbers to zero; the front end must not come near them.
#[test]
fn near_silence_gives_the_logits_of_the_laptop() {
    if tools() {
        let folder = tempfile::tempdir().unwrap();
        let path = write_wav(&folder, "near-silence.wav", &noise(48_000, 1));
        assert!(equals_the_laptop(&[path]).is_empty());
    }
}

/// 60 s of recorded speech with noise in between.
#[test]
fn a_minute_of_recorded_speech_and_noise_gives_the_detections_and_logits_of_the_laptop() {
    if !tools() {
        return;
    }
    let Some(data) = std::env::var_os("ZERDA_DATA") else {
        return skip("ZERDA_DATA names no folder of recorded speech");
    };
    let clips = audio::list(&PathBuf::from(data).join("speech_commands/val")).unwrap();
    // From all labels, which are folders one after the other.
    let clips = clips.iter().step_by(clips.len() / 40 + 1).cloned();
    let folder = tempfile::tempdir().unwrap();
    let minute = minute(&folder, "recorded.wav", clips.collect());
    assert!(equals_the_laptop(&[minute]).len() > 10);
}

#[test]
fn a_profile_is_the_same_twice_steady_and_within_the_limits() {
    if !tools() {
        return;
    }
    // 2.6 s, no command in it.
    let folder = tempfile::tempdir().unwrap();
    let pcm = audio::read(&root().join("models/samples/no_commands.wav")).unwrap();
    let path = write_wav(&folder, "speech.wav", &pcm[..41_600]);
    for (board, limit) in BOARDS {
        let profile = |mhz: &str| {
            let arguments = ["qemu", "--json", "--profile", "--mhz", mhz, "--board"];
            let (code, stdout, stderr) = run(&[arguments.as_slice(), &[board, &path]].concat());
            (code, objects(&stdout).0.remove(0)["profile"].take(), stderr)
        };
        let (code, profile_1000, stderr) = profile("1000");
        assert_eq!(code, 0, "{stderr}");
        assert_eq!(profile("1000").1, profile_1000, "{board}");
        assert_eq!(profile_1000["verdict"], "PASS");
        let number = |key: &str| profile_1000[key].as_u64().expect(key);
        let step = number("step");
        assert!(step <= limit, "{board}: {step} instructions a step");
        assert!(number("stack_bytes") > 0);

        let stages = profile_1000["operators"].as_array().unwrap().iter();
        let operators: u64 = stages
            .map(|one| one["instructions"].as_u64().unwrap())
            .sum();
        assert_eq!(number("front_end") + operators + number("decoder"), step);
        let steps = profile_1000["steps"].as_array().unwrap();
        let steps: Vec<u64> = steps.iter().map(|one| one.as_u64().unwrap()).collect();
        // 268 frames of 25 ms each 10 ms, silence at the end included; 10 for the first step, 5 for
        // each other.
        assert_eq!(steps.len(), 52);
        let steady = &steps[20..];
        let (least, most) = (steady.iter().min().unwrap(), steady.iter().max().unwrap());
        let spread = (most - least) as f64 / *least as f64;
        assert!(spread < 0.005, "{board}: steady steps differ by {spread}");

        let (code, slow, stderr) = profile("0.01");
        assert_eq!((code, &slow["verdict"]), (1, &json!("FAIL")));
        assert_eq!(slow["step"], profile_1000["step"]);
        let line = stderr.lines().last().unwrap();
        let expected =
            "load at 0.01 MHz, limit 70 %; no profile of models.toml would fit; this one";
        assert!(line.contains(board) && line.contains(expected), "{line}");
        // `low-power` takes less than `shrunk`: at a clock between the two, it is named.
        let load = |name: &str| {
            let profiles = profile_1000["profiles"].as_array().unwrap();
            let profile = profiles.iter().find(|one| one["profile"] == name).unwrap();
            profile["load"].as_f64().unwrap()
        };
        assert!((load("shrunk") / profile_1000["load"].as_f64().unwrap() - 1.0).abs() < 1e-9);
        let between = (load("shrunk") + load("low-power")) / 2.0 * 1000.0 / 0.7;
        let (code, _, stderr) = profile(&between.to_string());
        let line = stderr.lines().last().unwrap();
        let expected = "of models.toml would fit, estimated: low-power (about ";
        assert!(code == 1 && line.contains(expected), "{line}");
    }
}

#[test]
fn an_overrun_is_reported_and_the_next_command_is_recognised() {
    if !tools() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let sample = audio::read(&root().join("models/samples/robot.wav")).unwrap();
    // Four commands, of which the last is said until 5160 ms.
    let path = write_wav(&folder, "robot.wav", &sample[..96_000]);
    let (undisturbed, _) = objects(&run(&["run", "--json", &path]).1);
    for (board, _) in BOARDS {
        let arguments = ["qemu", "--json", "--realtime", "--board", board, &path];
        let (code, stdout, stderr) = run(&arguments);
        assert_eq!(code, 0, "{stderr}");
        assert_eq!(objects(&stdout).0, undisturbed, "{board}");

        // After `stop`, which is said until 3830 ms; `right` begins at 4730 ms.
        let stalled = [arguments.as_slice(), &["--stall", "4000,500"]].concat();
        let (code, stdout, stderr) = run(&stalled);
        assert_eq!(code, 0, "{stderr}");
        let (mut reports, summary) = objects(&stdout);
        let at = reports.iter().position(|one| !one["overrun"].is_null());
        let overrun = reports.remove(at.expect("an overrun"))["overrun"].take();
        let ms = |key: &str| overrun[key].as_u64().expect(key);
        // The ring holds 150 ms of the 500.
        assert!((4400..=4600).contains(&ms("at_ms")), "{overrun}");
        assert!((4800..=6400).contains(&ms("lost_samples")), "{overrun}");
        assert_eq!((&summary["overruns"], at), (&json!(1), Some(3)));
        assert_eq!(summary["lost_samples"], overrun["lost_samples"]);
        let commands = |reports: &[Value]| {
            let commands = reports.iter().map(|one| one["command"].clone());
            commands.collect::<Vec<_>>()
        };
        assert_eq!(commands(&reports), commands(&undisturbed), "{board}");
    }
}

#[test]
fn the_kernels_of_each_core_equal_the_plain_ones() {
    if !tools() {
        return;
    }
    for (board, _) in BOARDS {
        let (code, _, stderr) = run(&["qemu", "--kernels", "--board", board]);
        assert_eq!(code, 0, "{stderr}");
        let line = stderr.lines().last().unwrap();
        let cases = line.trim_start_matches("INFO ").split(' ').next().unwrap();
        assert!(cases.parse::<u32>().unwrap() > 500, "{line}");
    }
}

#[test]
fn a_board_that_is_not_to_be_had_is_answered_in_one_line() {
    let cases: [(&[&str], &str); 6] = [
        (
            &["--board", "mps2"],
            "mps2: no such board, expected one of esp32-c6 ",
        ),
        (
            &["--board", "mps2-an386", "--boards", "none"],
            "none: no such folder; run in Zerda's repository, or name",
        ),
        (
            &["--board", "nucleo-h743zi"],
            "nucleo-h743zi: QEMU does not run this board",
        ),
        (
            &["--board", "mps2-an386", "--image", "none.zerda"],
            "none.zerda: there is no image",
        ),
        (
            &["--board", "mps2-an386", "--flash", "flash"],
            "mps2-an386: takes no updates, so that no flash is kept",
        ),
        (
            &["--board", "mps3-an547", "--flash", "flash"],
            "ZERDA_UPDATE_KEY is not set: firmware that takes updates",
        ),
    ];
    for (arguments, expected) in cases {
        let path = samples().remove(0);
        let (code, stdout, stderr) = run(&[&["qemu", &path], arguments].concat());
        assert_eq!((code, stdout.as_str()), (2, ""));
        assert!(
            stderr.starts_with(&format!("zerda: {expected}")),
            "{stderr}"
        );
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
}

#[test]
fn what_cannot_be_read_gets_one_line_and_the_rest_is_still_processed() {
    if !tools() {
        return;
    }
    let good = samples().remove(0);
    let arguments = ["qemu", "--board", BOARDS[1].0, "none.wav", &good];
    let (code, stdout, stderr) = run(&arguments);
    assert_eq!(code, 2);
    assert!(
        stderr.contains("zerda: none.wav: cannot be read"),
        "{stderr}"
    );
    assert!(stdout.contains("5 commands in 8.64 s"), "{stdout}");
}
