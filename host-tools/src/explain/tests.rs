//! Each rule on a network made to trip it.

use hound::{SampleFormat, WavSpec, WavWriter};

use super::advice::Rule;
use super::*;
use crate::compiler::Compiler;
use crate::compiler::tests::recording;
use crate::compiler::tiny_onnx::TinyOnnx;
use crate::config::Config;

/// What is said of a network that was calibrated on some recordings and measured on others.
fn report(onnx: &TinyOnnx, calibrate: &[Vec<i16>], measure: &[Vec<i16>]) -> Report {
    let folder = tempfile::tempdir().unwrap();
    let [model, image] = ["tiny.onnx", "tiny.zerda"].map(|name| folder.path().join(name));
    onnx.write(&model);
    let config = Config::load(None).unwrap();
    let compiler = Compiler::open(&model, None, &config).unwrap();
    let (bytes, _) = compiler.compile(calibrate).unwrap();
    std::fs::write(&image, bytes.bytes()).unwrap();
    let audio = folder.path().join("audio");
    std::fs::create_dir(&audio).unwrap();
    for (number, samples) in measure.iter().enumerate() {
        let spec = WavSpec {
            channels: 1,
            sample_rate: SAMPLE_RATE,
            bits_per_sample: 16,
            sample_format: SampleFormat::Int,
        };
        let mut writer = WavWriter::create(audio.join(format!("{number}.wav")), spec).unwrap();
        samples.iter().for_each(|&sample| writer.write_sample(sample).unwrap());
        writer.finalize().unwrap();
    }
    Report::of(&image, &model, &[audio]).unwrap()
}

fn noises() -> Vec<Vec<i16>> {
    (1..10).map(|seed| recording(seed, 16000)).collect()
}

#[test]
fn explore() {
    for k in [2usize, 5] {
    for g in [0.05f32, 0.02] {
    let mut net = TinyOnnx::conformer();
    // Logits that hardly vary, about zero: all noise before them counts as much more.
    let plain = report(&net, &noises(), &noises());
    let _ = plain;
    let means = means(&net);
    for (bias, mean) in net.values("logits.bias").iter_mut().zip(&means) { *bias -= mean; }
    let _ = (k, g);
    let r = report(&net, &noises(), &noises());
    println!("== \n{}", text::table(&r));
    return;
    }}
    let _ = Rule::Saturation;
}

fn means(net: &TinyOnnx) -> Vec<f32> {
    use crate::tract_step::FloatStep;
    let file = tempfile::NamedTempFile::new().unwrap();
    net.write(file.path());
    let config = Config::load(None).unwrap();
    let compiler = Compiler::open(file.path(), None, &config).unwrap();
    let (image, _) = compiler.compile(&noises()).unwrap();
    let image = image.image().unwrap();
    let mut step = FloatStep::load(file.path()).unwrap();
    let mut sums = vec![0.0; 3];
    let mut n = 0.0;
    for r in noises() {
        step.reset();
        for c in crate::compiler::calibrate::chunks(&compiler.graph, &image, &r) {
            for row in step.step(&c).unwrap().chunks(3) { n += 1.0; sums.iter_mut().zip(row).for_each(|(a, b)| *a += b); }
        }
    }
    sums.iter().map(|s| s / n).collect()
}
