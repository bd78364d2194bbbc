//! What the training recipe computes in PyTorch, from the vectors that it wrote to `tests/data`, and the recipe's own
//! tests.

use std::fs;
use std::process::Command;

use zerda_compiler::tract_step::FloatStep;
use zerda_firmware::front_end::FrontEnd;
use zerda_support::audio;
use zerda_support::venv::venv;
use zerda_tests::{in_ci, repository, say_skipped, shipped_image};

fn vector(name: &str) -> Vec<f32> {
    let bytes = fs::read(repository("tests/data").join(name)).unwrap();
    let (floats, rest) = bytes.as_chunks();
    assert!(rest.is_empty());
    floats
        .iter()
        .map(|&bytes| f32::from_le_bytes(bytes))
        .collect()
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max)
}

#[test]
fn stepped_onnx_in_tract_equals_the_whole_stream_forward_of_training() {
    let features = vector("front_end_features.f32");
    let expected = vector("shrunk_logits.f32");
    let file = shipped_image();
    let image = file.image().unwrap();
    let stream = image.manifest().stream;
    let mels = usize::from(image.manifest().front_end.mels);
    let chunks = features.windows(mels * usize::from(stream.chunk));
    let mut step = FloatStep::load(&repository("models/shrunk.onnx")).unwrap();
    let chunks = chunks.step_by(mels * usize::from(stream.step));
    let logits: Vec<f32> = chunks.flat_map(|chunk| step.step(chunk).unwrap()).collect();
    let difference = largest_difference(&logits, &expected);
    assert!(difference < 1e-4, "logits differ by {difference}");
}

#[test]
fn front_end_equals_that_of_training() {
    let pcm = audio::read(&repository("tests/data/front_end.wav")).unwrap();
    let file = shipped_image();
    let image = file.image().unwrap();
    let config = image.manifest().front_end;
    let mut front_end = FrontEnd::new(&image);
    let windows = pcm.windows(config.window.into()).step_by(config.hop.into());
    let frames = windows.flat_map(|window| {
        let mut features = vec![0.0; config.mels.into()];
        front_end.frame(window, &mut features);
        features
    });
    let features: Vec<f32> = frames.collect();
    let difference = largest_difference(&features, &vector("front_end_features.f32"));
    assert!(difference < 1e-3, "features differ by {difference}");
}

/// The packages that they need take 5 GB, so only continuous integration installs them unasked.
#[test]
fn the_recipes_own_tests_pass() {
    let folder = repository("target/recipe-venv");
    if !in_ci() && !folder.is_dir() {
        let why = "PyTorch takes 5 GB; with CI=true in the environment it is installed";
        return say_skipped("the_recipes_own_tests_pass", why);
    }
    let packages = fs::read_to_string(repository("models/train/requirements.txt")).unwrap();
    let bin = venv(&folder, &packages, "PyTorch for the recipe's tests").unwrap();
    let tests = Command::new(bin.join("python"))
        .args(["-m", "unittest", "discover", "models/train"])
        .current_dir(repository(""))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&tests.stderr);
    assert!(tests.status.success(), "{said}");
}
