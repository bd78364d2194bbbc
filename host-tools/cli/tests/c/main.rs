//! The C interface: programs in C hear what `zerda run` hears, by the commands of `firmware/c/README.md`.
#![cfg(target_os = "linux")] // for the assembler's and the linker's files

use std::fs;
use std::process::Command;
use std::sync::Mutex;

use serde_json::Value;
use zerda_support::test_support::{in_ci, say_skipped};
use zerda_support::{audio, wake};

use common::{objects, outcome, root, run};

#[path = "../common/mod.rs"]
mod common;

/// Programs for this machine are built in one folder, one after the other.
static HOST: Mutex<()> = Mutex::new(());

const SAMPLE: &str = "models/samples/answers.wav";
const IMAGE: &str = "models/shrunk.zerda";

/// The lines of the README's command block that begins so.
fn commands(first: &str) -> String {
    let readme = fs::read_to_string(root().join("firmware/c/README.md")).unwrap();
    let blocks = readme.split("```").find_map(|block| {
        let commands = block.strip_prefix("sh\n")?;
        commands.starts_with(first).then(|| commands.to_string())
    });
    blocks.unwrap_or_else(|| panic!("README has no block that begins with `{first}`"))
}

/// The block that hears on this machine, as far as a program is made.
fn build_on_host() -> String {
    let all = commands("firmware/c/build.sh host");
    all.replace(&format!("target/c/host/recognize {SAMPLE}\n"), "")
}

/// Standard output of commands from the root of the repository, or what they said of an error.
fn shell(commands: &str) -> Result<String, String> {
    let mut bash = Command::new("bash");
    let bash = bash.args(["-euc", commands]).current_dir(root());
    match outcome(bash.output().expect("bash starts")) {
        (0, stdout, _) => Ok(stdout),
        (code, stdout, stderr) => Err(format!("{code}: {stdout}{stderr}")),
    }
}

/// What the program in C should print of a file, from what `zerda run` says.
fn expected(image: &str, file: &str) -> String {
    let (code, stdout, stderr) = run(&["run", "--json", "--image", image, file]);
    assert_eq!(code, 0, "{stderr}");
    let (heard, summary) = objects(&stdout);
    let lines = heard.iter().map(|one| {
        let number = |value: &Value| value.as_u64().expect("a number");
        if let Some(awake) = one.get("awake") {
            return format!("awake until {} ms\n", number(&awake["until_ms"]));
        }
        if let Some(asleep) = one.get("asleep") {
            return format!("asleep at {} ms\n", number(&asleep["at_ms"]));
        }
        for kind in ["speech", "quiet"] {
            if let Some(spell) = one.get(kind) {
                return format!("{kind} from {} ms\n", number(&spell["at_ms"]));
            }
        }
        let kind = match one["wake_word"].is_null() {
            true => "command",
            false => "wake word",
        };
        format!(
            "{kind} {}, score {}/256, from {} to {} ms, decided at {} ms\n",
            one["command"].as_str().expect("a name"),
            one["score"].as_f64().expect("a score") * 256.0,
            number(&one["start_ms"]),
            number(&one["end_ms"]),
            number(&one["decided_ms"]),
        )
    });
    let text: String = lines.collect();
    let (steps, logits) = (&summary["steps"], summary["logits_crc32"].as_str());
    format!(
        "{text}{steps} steps, logits {}\n",
        logits.expect("a checksum")
    )
}

#[test]
fn a_program_in_c_hears_on_the_desktop_what_zerda_run_hears() {
    let _host = HOST.lock();
    shell(&build_on_host()).unwrap();
    for file in audio::list(&root().join("models/samples")).unwrap() {
        let file = file.display().to_string();
        let said = shell(&format!("target/c/host/recognize '{file}'"));
        assert_eq!(said, Ok(expected(IMAGE, &file)), "{file}");
    }
    let error = shell("target/c/host/recognize Cargo.toml").unwrap_err();
    assert!(error.starts_with("1: Cargo.toml: no WAV file"), "{error}");
}

#[test]
fn a_program_in_c_sleeps_wakes_and_rests_as_zerda_run_does() {
    let _host = HOST.lock();
    let folder = tempfile::tempdir().unwrap();
    let gated = folder.path().join("gated.zerda").display().to_string();
    let words = "computer".parse().unwrap();
    let rests = Some(2i64.try_into().unwrap());
    let file = wake::open(&root().join(IMAGE), Some(&words), rests).unwrap();
    fs::write(&gated, file.bytes()).unwrap();
    let build = build_on_host().replace("build.sh host", &format!("build.sh host '{gated}'"));
    shell(&build.replace(IMAGE, &gated)).unwrap();
    let sample = "models/samples/wake.wav";
    let said = shell(&format!("target/c/host/recognize {sample}")).unwrap();
    let kinds = ["wake word computer", "awake until", "asleep at", "command"];
    for kind in kinds.iter().chain(&["speech from", "quiet from"]) {
        assert!(said.contains(kind), "{kind}: {said}");
    }
    assert_eq!(said, expected(&gated, sample));
}

#[test]
fn a_program_in_c_hears_on_boards_in_qemu_what_zerda_run_hears() {
    let folder = tempfile::tempdir().unwrap();
    let short = folder.path().join("short.wav");
    let samples = audio::read(&root().join(SAMPLE)).unwrap();
    audio::write(&short, &samples[..48_000]).unwrap();
    let short = short.display().to_string();
    let on_m55 = "core=cortex-m55 machine=mps3-an547";
    let block = commands(on_m55).replace(SAMPLE, &short);
    let expected = expected(IMAGE, &short);
    assert!(expected.contains("command"), "{expected}");
    for board in [on_m55, "core=cortex-m4 machine=mps2-an386"] {
        match shell(&block.replace(on_m55, board)) {
            // Before it come what set-up and build said.
            Ok(said) => assert!(
                said.ends_with(&format!("in RAM\n{expected}")),
                "{board}: {said}"
            ),
            Err(why) if why.contains("setup: ") && !in_ci() => {
                return say_skipped("C in QEMU", &why);
            }
            Err(why) => panic!("{board}: {why}"),
        }
    }
}

/// Each call of `firmware/c/tests/calls.c`, and how the line that it should print goes on.
const CALLS: &str = include_str!("calls.txt");

#[test]
fn calls_that_are_wrong_return_a_status_with_a_text() {
    let _host = HOST.lock();
    let build = build_on_host();
    let sources = build.replace(
        "firmware/c/examples/{recognize.c,desktop.c,image.S}",
        "firmware/c/tests/calls.c firmware/c/examples/image.S",
    );
    shell(&sources.replace("/recognize", "/calls")).unwrap();
    let said = shell("target/c/host/calls").unwrap();
    for (line, expected) in said.lines().zip(CALLS.lines()) {
        assert!(line.starts_with(expected), "{line}\nexpected {expected}");
    }
    assert_eq!(said.lines().count(), CALLS.lines().count(), "{said}");
}

#[test]
fn the_library_is_refused_for_what_is_no_core_or_no_image() {
    for (arguments, why) in [
        ("", "usage: build.sh CORE [IMAGE]"),
        ("cortex-m99", "cortex-m99: no such core"),
        ("host Cargo.toml", "Cargo.toml: not a Zerda image"),
        ("host nowhere.zerda", "nowhere.zerda: no such file"),
    ] {
        let error = shell(&format!("firmware/c/build.sh {arguments}")).unwrap_err();
        assert!(
            error.starts_with("2: build.sh: ") && error.contains(why),
            "{error}"
        );
    }
}
