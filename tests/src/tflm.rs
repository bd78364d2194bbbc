//! TFLite Micro's reference interpreter, the golden reference of every operator: the pinned
//! `tflite-micro` wheel in a virtual environment that the first test makes under `target/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use zerda_support::venv::venv;

use crate::{in_ci, repository, say_skipped};

/// A model and what to run it on.
pub struct Case {
    pub model: Vec<u8>,
    /// Bytes of each input, run by run. All runs have the same inputs.
    pub runs: Vec<Vec<Vec<i8>>>,
    /// Outputs of the model.
    pub outputs: usize,
}

/// An installed interpreter.
pub struct Tflm {
    /// Python with the packages of `requirements.txt`.
    pub python: PathBuf,
}

impl Tflm {
    /// The interpreter, installed by the first call. `None`, and SKIPPED is said, where that fails
    /// (no Python, no network).
    ///
    /// # Panics
    ///
    /// In continuous integration, instead of `None`.
    pub fn get(test: &str) -> Option<&'static Tflm> {
        static TFLM: OnceLock<Result<Tflm, String>> = OnceLock::new();
        match TFLM.get_or_init(install) {
            Ok(tflm) => Some(tflm),
            Err(why) if in_ci() => {
                panic!("TFLite Micro and the runtimes beside it are needed in CI: {why}")
            }
            Err(why) => {
                say_skipped(test, why);
                None
            }
        }
    }

    /// The bytes of each output, case by case and run by run.
    pub fn run(&self, cases: &[Case]) -> Vec<Vec<Vec<Vec<i8>>>> {
        let folder = tempfile::tempdir().unwrap();
        let (input, output) = (folder.path().join("cases"), folder.path().join("results"));
        fs::write(&input, encode(cases)).unwrap();
        let script = manifest_dir().join("tflm.py");
        let command = Command::new(&self.python)
            .arg(script)
            .args([&input, &output])
            .output();
        let command = command.unwrap();
        let said = String::from_utf8_lossy(&command.stderr);
        assert!(command.status.success(), "{said}");
        decode(&fs::read(&output).unwrap(), cases)
    }
}

fn encode(cases: &[Case]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let number = |bytes: &mut Vec<u8>, n: usize| bytes.extend((n as u32).to_le_bytes());
    number(&mut bytes, cases.len());
    for case in cases {
        number(&mut bytes, case.model.len());
        bytes.extend(&case.model);
        number(&mut bytes, case.runs.first().map_or(0, Vec::len));
        number(&mut bytes, case.outputs);
        number(&mut bytes, case.runs.len());
        for input in case.runs.iter().flatten() {
            number(&mut bytes, input.len());
            bytes.extend(input.iter().map(|&value| value as u8));
        }
    }
    bytes
}

fn decode(bytes: &[u8], cases: &[Case]) -> Vec<Vec<Vec<Vec<i8>>>> {
    let mut rest = bytes;
    let mut blob = || {
        let (length, bytes) = rest.split_first_chunk().expect("results end early");
        let (blob, bytes) = bytes.split_at(u32::from_le_bytes(*length) as usize);
        rest = bytes;
        blob.iter().map(|&byte| byte as i8).collect()
    };
    let mut outputs = |case: &Case| (0..case.outputs).map(|_| blob()).collect();
    let mut runs = |case: &Case| case.runs.iter().map(|_| outputs(case)).collect();
    cases.iter().map(&mut runs).collect()
}

fn manifest_dir() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The virtual environment with what `requirements.txt` asks for, made unless it is there.
fn install() -> Result<Tflm, String> {
    let wanted = fs::read_to_string(manifest_dir().join("requirements.txt")).unwrap();
    let folder = repository("target").join("tflm-venv");
    let bin = venv(
        &folder,
        &wanted,
        "TFLite Micro, LiteRT and onnxruntime for the tests",
    )?;
    Ok(Tflm {
        python: bin.join("python"),
    })
}
