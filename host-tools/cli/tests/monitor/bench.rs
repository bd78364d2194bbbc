//! The frames of a device, and what `zerda monitor` makes of them.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use zerda_firmware::telemetry::{Report, Status, encode};

pub const START: Report<'_> = Report::Start {
    version: "1.2.3",
    image_crc32: 0x0012_ABCD,
    kernels: "dsp",
};
pub const OVERRUN: Report<'_> = Report::Overrun {
    at_ms: 4100,
    lost_samples: 1600,
};
pub const STATUS: Report<'_> = Report::Status(Status {
    audio_ms: 5000,
    steps: 99,
    detections: 2,
    overruns: 1,
    lost_samples: 1600,
    io_errors: 0,
    load_permille: 345,
    stack_bytes: 0,
    logits_crc32: 0x0E10_0BD7,
});

pub fn detection(command: &str) -> Report<'_> {
    Report::Detection {
        command,
        score: 192,
        start_ms: 1000,
        end_ms: 1500,
        decided_ms: 1550,
    }
}

pub fn wake_word(word: &str) -> Report<'_> {
    Report::WakeWord {
        word,
        score: 192,
        start_ms: 1000,
        end_ms: 1500,
        decided_ms: 1550,
    }
}

pub fn frame(sequence: u16, report: &Report<'_>) -> Vec<u8> {
    encode(sequence, report).expect("it fits").to_vec()
}

/// The frames of one run: the start, three detections, an overrun and the status.
pub fn frames() -> Vec<Vec<u8>> {
    let [yes, no, stop] = ["yes", "no", "stop"].map(detection);
    numbered(&[START, yes, no, stop, OVERRUN, STATUS])
}

/// The frames of these reports, numbered from 0.
fn numbered(reports: &[Report<'_>]) -> Vec<Vec<u8>> {
    let numbered = (0..).zip(reports);
    numbered
        .map(|(sequence, report)| frame(sequence, report))
        .collect()
}

/// A file of these reports in a folder, and its name.
pub fn recording(reports: &[Report<'_>]) -> (TempDir, String) {
    let (folder, path) = file(&numbered(reports).concat());
    (folder, path.display().to_string())
}

pub struct Outcome {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    /// The objects of `--json` but the last, and the last, the summary.
    pub fn objects(&self) -> (Vec<Value>, Value) {
        let lines = self.stdout.lines();
        let objects = lines.map(|line| serde_json::from_str(line).expect("JSON"));
        let mut objects: Vec<Value> = objects.collect();
        let summary = objects.pop().expect("a summary")["summary"].take();
        (objects, summary)
    }

    /// Commands of the detections.
    pub fn commands(&self) -> Vec<String> {
        let (objects, _) = self.objects();
        let commands = objects
            .iter()
            .filter_map(|object| object["command"].as_str());
        commands.map(String::from).collect()
    }
}

pub fn start(arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_zerda"))
        .arg("monitor")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("zerda starts")
}

pub fn finish(child: Child) -> Outcome {
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Outcome {
        code: output.status.code().expect("an exit code, not a signal"),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

pub fn monitor(arguments: &[&str]) -> Outcome {
    finish(start(arguments))
}

/// `--json` of a file with these bytes.
pub fn recorded(bytes: &[u8]) -> Outcome {
    let (_folder, path) = file(bytes);
    monitor(&["--json", path.to_str().unwrap()])
}

pub fn file(bytes: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("telemetry.bin");
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

pub fn counts(frames: u64, corrupted: u64, lost: u64, detections: u64) -> Value {
    json!({ "frames": frames, "corrupted": corrupted, "lost": lost, "detections": detections })
}
