//! `zerda npu` on the shipped image, with the Vela that it installs.

#[path = "../common/mod.rs"]
mod common;
mod memory_mode;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;
use tempfile::TempDir;
use zerda_firmware::image::{checksum, field};
use zerda_firmware::plan::Op;
use zerda_support::image_file::ImageFile;
use zerda_support::image_parts::number;
use zerda_support::test_support::{in_ci, say_skipped};

use common::{outcome, root, run};

const TARGETS: [&str; 5] = [
    "ethos-u55-128",
    "ethos-u55-256",
    "ethos-u65-256",
    "ethos-u65-512",
    "ethos-u85-256",
];

fn shipped() -> PathBuf {
    root().join("models/shrunk.zerda")
}

/// The Vela that zerda installs. `None`, and SKIPPED is said past the test harness, where that fails
/// (no Python, no network); in continuous integration that is a failure.
fn vela(test: &str) -> Option<PathBuf> {
    static INSTALLED: OnceLock<Result<(), String>> = OnceLock::new();
    let install = || match run(&["npu", "--target", "ethos-u85-256"]) {
        (0, ..) => Ok(()),
        (_, _, why) => Err(why),
    };
    match INSTALLED.get_or_init(install) {
        Ok(()) => Some(root().join("target/tools/vela-5.2.0/bin/vela")),
        Err(why) if !why.contains("cannot be installed") => panic!("{why}"),
        Err(why) if in_ci() => panic!("Vela is needed in CI: {why}"),
        Err(why) => {
            say_skipped(test, why);
            None
        }
    }
}

/// What `zerda npu` says of an image for a target; the image with the section is `output`.
fn compile(image: &Path, target: &str, output: &Path) -> Value {
    let image = image.to_str().unwrap();
    let output = output.to_str().unwrap();
    let (code, stdout, stderr) = run(&["npu", image, "--target", target, "--json", "-o", output]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    serde_json::from_str(&stdout).expect("JSON")
}

#[test]
fn the_step_runs_on_each_npu_as_a_whole_and_within_its_limits() {
    if vela("npu on each target").is_none() {
        return;
    }
    let folder = TempDir::new().unwrap();
    for target in TARGETS {
        let output = folder.path().join(target);
        let driven = target != "ethos-u85-256";
        let said = match driven {
            true => compile(&shipped(), target, &output),
            false => {
                let (code, stdout, _) = run(&["npu", "--target", target, "--json"]);
                assert_eq!(code, 0);
                serde_json::from_str(&stdout).unwrap()
            }
        };
        assert_eq!(said["target"], target);
        assert_eq!(said["npu_percent"], 100.0);
        let basis = said["basis"].as_str().unwrap();
        assert!(
            basis.starts_with("estimated, Vela 5.2.0, Ethos_U"),
            "{basis}"
        );
        assert!(said["sram_bytes"].as_u64().unwrap() <= 96 * 1024, "{said}");
        let step_ms = said["step_ms"].as_f64().unwrap();
        assert!(step_ms > 0.0 && said["npu_cycles"].as_u64() <= said["cycles"].as_u64());
        if target == "ethos-u55-256" {
            assert!(step_ms <= 1.35 && 99.0 * step_ms <= 140.0, "{said}");
        }
        if driven {
            section_is(&output, &said);
        }
    }
}

/// The image runs as before, and its section is what Vela's summary said besides.
fn section_is(output: &Path, said: &Value) {
    let image = output.to_str().unwrap();
    let (code, stdout, stderr) = run(&["inspect", image, "--json"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    let inspected: Value = serde_json::from_str(&stdout).unwrap();
    let npu = &inspected["npu"];
    assert_eq!(npu["target"], said["target"]);
    assert_eq!(npu["estimated"]["cycles"], said["cycles"]);
    // The summary's figures, and the sizes of what is there.
    assert_eq!(npu["constants"], said["flash_bytes"]);
    let bytes = |key: &str| npu[key].as_u64().unwrap();
    let buffer = match npu["memory_mode"].as_str().unwrap() {
        // Constants begin at a cache line.
        "sram-only" => bytes("scratch").next_multiple_of(32) + bytes("constants"),
        _ => bytes("scratch"),
    };
    assert_eq!(buffer, said["sram_bytes"]);
    let (_, text, _) = run(&["inspect", image]);
    let line = format!("NPU        {}: ", said["target"].as_str().unwrap());
    assert!(text.contains(&line), "{text}");

    let logits = |image: &str| {
        let (code, stdout, _) = run(&[
            "run",
            "models/samples/answers.wav",
            "--json",
            "--image",
            image,
        ]);
        assert_eq!(code, 0);
        let summary: Value = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
        summary["summary"]["logits_crc32"].clone()
    };
    assert_eq!(logits(image), logits("models/shrunk.zerda"));
}

/// Layer normalization and SiLU as PyTorch writes them; the logits are rows of a larger result.
#[test]
fn an_imported_network_runs_on_an_npu_as_a_whole() {
    if vela("npu on an imported network").is_none() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let image = folder.path().join("imported.zerda");
    let onnx = "tests/data/exports/script13-layernorm-silu.onnx";
    let path = image.to_str().unwrap();
    let (code, _, why) = run(&["compile", onnx, "--calibrate", "models/samples", "-o", path]);
    assert_eq!(code, 0, "{why}");
    let said = compile(&image, "ethos-u55-256", &folder.path().join("with.zerda"));
    assert_eq!(said["npu_percent"], 100.0);
}

#[test]
fn the_same_bytes_come_from_two_runs_and_in_place_of_another_section() {
    if vela("npu twice").is_none() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let [first, second] = ["first", "second"].map(|name| folder.path().join(name));
    compile(&shipped(), "ethos-u55-256", &first);
    compile(&shipped(), "ethos-u55-256", &second);
    let bytes = fs::read(&first).unwrap();
    assert!(bytes == fs::read(&second).unwrap());
    compile(&first, "ethos-u65-512", &second);
    assert!(bytes != fs::read(&second).unwrap());
    // Without --output a new file; the image itself where that is meant.
    let (image, other) = (second.to_str().unwrap(), fs::read(&second).unwrap());
    let (code, stdout, _) = run(&["npu", image, "--target", "ethos-u55-256"]);
    let new = folder.path().join("second.ethos-u55-256.zerda");
    assert!(
        code == 0 && stdout.contains(new.to_str().unwrap()),
        "{stdout}"
    );
    assert!(bytes == fs::read(&new).unwrap() && other == fs::read(&second).unwrap());
    let (code, ..) = run(&["npu", image, "--target", "ethos-u55-256", "--in-place"]);
    assert_eq!(code, 0);
    assert!(bytes == fs::read(&second).unwrap());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
}

/// `zerda npu` that is to fail, for an output that must not be there then; its exit code and the one
/// line that it says.
fn refusal(image: &Path, vela: &Path) -> (i32, String) {
    let folder = TempDir::new().unwrap();
    let output = folder.path().join("out.zerda");
    let (code, stdout, stderr) = run(&[
        "npu",
        image.to_str().unwrap(),
        "--target",
        "ethos-u55-256",
        "-o",
        output.to_str().unwrap(),
        "--vela",
        vela.to_str().unwrap(),
    ]);
    assert_eq!(stdout, "");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(!output.exists());
    (code, stderr)
}

#[test]
fn an_operator_that_cannot_be_exported_is_named() {
    let file = ImageFile::open(&shipped()).unwrap();
    let image = file.image().unwrap();
    let table = image.ops().find_map(|op| match op {
        Op::Lookup { table, .. } => image.tensor(table),
        _ => None,
    });
    let mut bytes = file.bytes().to_vec();
    let segment = number(&bytes, field::SEGMENT_OFFSET);
    bytes[segment + table.unwrap().byte_range().unwrap().start] ^= 1;
    let sum = checksum(&bytes).to_le_bytes();
    bytes[field::CHECKSUM].copy_from_slice(&sum);
    let folder = TempDir::new().unwrap();
    let image = folder.path().join("changed.zerda");
    fs::write(&image, bytes).unwrap();
    let (code, why) = refusal(&image, Path::new("not needed"));
    assert_eq!(code, 1);
    assert!(
        why.contains("changed.zerda: operator 2 (lookup): "),
        "{why}"
    );
}

#[test]
fn a_vela_that_is_not_there_is_said() {
    let (code, why) = refusal(&shipped(), Path::new("/no/vela"));
    assert_eq!(code, 2);
    assert!(why.contains("/no/vela: Vela cannot be started"), "{why}");
}

#[test]
fn an_output_that_cannot_be_written_is_said() {
    if vela("npu without an output").is_none() {
        return;
    }
    let (code, _, why) = run(&[
        "npu",
        "--target",
        "ethos-u55-256",
        "-o",
        "/no/folder/x.zerda",
    ]);
    assert_eq!((code, why.lines().count()), (2, 1));
    assert!(
        why.contains("/no/folder/x.zerda: cannot be written"),
        "{why}"
    );
}

#[test]
fn an_npu_without_a_driver_gets_no_section() {
    let (code, _, why) = run(&["npu", "--target", "ethos-u85-256", "-o", "x.zerda"]);
    assert_eq!((code, why.lines().count()), (2, 1));
    assert!(why.contains("ethos-u85-256: the firmware drives"), "{why}");
}

#[cfg(unix)]
mod in_place_of_vela {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A program in a folder.
    fn script(folder: &TempDir, text: &str) -> PathBuf {
        let path = folder.path().join("vela");
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn another_version_is_refused() {
        let folder = TempDir::new().unwrap();
        let (code, why) = refusal(&shipped(), &script(&folder, "echo 4.5.0"));
        assert_eq!(code, 2);
        assert!(
            why.contains("expected Vela 5.2.0, `--version` says \"4.5.0\""),
            "{why}"
        );
    }

    #[test]
    fn what_vela_says_of_its_failure_is_passed_on() {
        let folder = TempDir::new().unwrap();
        let fails = "[ $1 = --version ] && echo 5.2.0 || { echo trace >&2; echo 'Error: why' >&2; exit 1; }";
        let (code, why) = refusal(&shipped(), &script(&folder, fails));
        assert_eq!(code, 1);
        assert!(why.contains("for ethos-u55-256: Error: why"), "{why}");
        let (code, why) = refusal(&shipped(), &script(&folder, "echo 5.2.0"));
        assert_eq!(code, 1);
        assert!(why.contains("it left no step_vela.tflite"), "{why}");
    }

    /// Vela itself is told to leave an operator to the CPU.
    #[test]
    fn an_operator_left_to_the_cpu_is_named() {
        let Some(vela) = vela("npu with operators on the CPU") else {
            return;
        };
        let folder = TempDir::new().unwrap();
        let vela = vela.canonicalize().unwrap();
        let leaves = format!(
            "[ $1 = --version ] && exec {0} $1 || exec {0} \"$@\" --ignore-ops SOFTMAX",
            vela.display()
        );
        let (code, why) = refusal(&shipped(), &script(&folder, &leaves));
        assert_eq!(code, 1);
        // Two attentions and the posteriors.
        assert!(
            why.contains("3 of the step's operators would be left to the CPU: SOFTMAX ("),
            "{why}"
        );
        assert!(why.trim_end().ends_with("SOFTMAX (posteriors)"), "{why}");
    }

    #[test]
    fn without_python_it_says_what_to_install_and_runs_nothing_of_the_folder_where_one_stands() {
        let folder = TempDir::new().unwrap();
        // What looks like a checkout, with a Vela of its own.
        let bin = folder.path().join("target/tools/vela-5.2.0/bin");
        for folder in [&bin, &folder.path().join("firmware")] {
            fs::create_dir_all(folder).unwrap();
        }
        fs::write(folder.path().join("firmware/setup.sh"), "").unwrap();
        let witness = folder.path().join("it ran");
        let vela = script(&folder, &format!("touch '{}'", witness.display()));
        fs::rename(vela, bin.join("vela")).unwrap();
        let stands = bin.parent().unwrap();
        let packages = root().join("host-tools/tflite/src/npu/vela.txt");
        fs::copy(packages, stands.join("installed.txt")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_zerda"));
        command
            .args(["npu", shipped().canonicalize().unwrap().to_str().unwrap()])
            .args(["--target", "ethos-u85-256"])
            .current_dir(stands)
            .env("PATH", "")
            .env("ZERDA_TOOLS", folder.path().join("tools"));
        let (code, _, stderr) = outcome(command.output().expect("zerda starts"));
        assert_eq!(code, 2);
        assert!(!witness.exists());
        let why = stderr.lines().last().unwrap();
        assert!(
            why.contains("Vela 5.2.0 cannot be installed: python3 cannot be started")
                && why.contains("install Python 3.10 to 3.13"),
            "{why}"
        );
    }
}

#[test]
fn the_reference_npu_keeps_160_ms_for_500_frames_and_from_a_words_end_to_its_detection() {
    if vela("the simulated reference").is_none() {
        return;
    }
    let (code, stdout, stderr) = run(&["simulate", "--board", "ethos-u55-256", "--json"]);
    assert_eq!(code, 0, "{stderr}");
    let said: Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!(said["verdict"], "pass");
    assert!(
        said["basis"]
            .as_str()
            .unwrap()
            .starts_with("estimated, Vela")
    );
    let folder = TempDir::new().unwrap();
    let image = folder.path().join("npu.zerda");
    let step_ms = compile(&shipped(), "ethos-u55-256", &image)["step_ms"]
        .as_f64()
        .unwrap();
    let sequence = said["sequence_500_ms"].as_f64().unwrap();
    // 99 steps, of which the core has its part.
    assert!(99.0 * step_ms < sequence && sequence < 160.0, "{sequence}");
    let words = &said["word_end_to_detection_ms"];
    assert_eq!((&words["words"], &words["missed"]), (&23.into(), &0.into()));
    assert!(words["p95"].as_f64().unwrap() < 160.0, "{words}");
    // The estimate that an image carries is taken as it is, without Vela.
    let image = image.to_str().unwrap();
    let arguments = [
        "simulate",
        "--board",
        "ethos-u55-256",
        "--json",
        "--vela",
        "none",
        "--image",
        image,
    ];
    let (_, stdout, _) = run(&arguments);
    let carried: Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!(carried["sequence_500_ms"], said["sequence_500_ms"]);
}
