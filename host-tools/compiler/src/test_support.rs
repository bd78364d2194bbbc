//! Compiles a small network, for the tests of this crate and of those above it.

use zerda_quantize::ranges::Method;
use zerda_support::config::Config;
use zerda_support::error::Result;
use zerda_support::image_file::ImageFile;
use zerda_support::test_support::recording;

use crate::Compiler;
use crate::tiny_onnx::TinyOnnx;

/// Compiles a network, calibrated on noise.
pub fn compiled(onnx: &TinyOnnx) -> Result<ImageFile> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tiny.onnx");
    onnx.write(&path);
    let recordings: Vec<_> = (1..10).map(|seed| recording(seed, 16000)).collect();
    let config = Config::load(None)?;
    let (image, _) = Compiler::open(&path, None, &config)?.compile(&recordings, Method::Auto)?;
    Ok(image)
}
