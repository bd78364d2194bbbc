//! What PyTorch's exporters write is taken in: the same network in float, and close to it in INT8; or it is
//! refused with what, where, and what there is instead.

use rayon::prelude::*;
use zerda_compiler::tract_step::FloatStep;
use zerda_compiler::{Compiler, calibrate};
use zerda_firmware::step::Cpu;
use zerda_tests::audio::{noise, shipped_samples};
use zerda_tests::exports::{
    Fed, compiled, config, decibels, logits, names, onnx, stored_features, stored_logits,
};

/// To calibrate on: speech, 8 s, and noise, from silence to full scale, 2 s.
fn recordings() -> Vec<Vec<i16>> {
    vec![shipped_samples(128_000), noise(3, 32_000)]
}

/// Variants that must be taken in, quantized in training or not.
fn supported(fake: bool) -> Vec<String> {
    let mut names = names();
    names.retain(|name| !name.contains("unsupported") && name.contains("fake") == fake);
    assert!(
        names.len() > if fake { 3 } else { 30 },
        "{} variants",
        names.len()
    );
    names
}

/// The float network that INT8 is held against is PyTorch's.
#[test]
fn the_float_step_gives_the_logits_that_pytorch_gave() {
    supported(false).par_iter().for_each(|name| {
        let (path, config, expected) = (onnx(name), config(name), stored_logits(name));
        let graph = Compiler::open(&path, None, &config).unwrap().graph;
        let mels = usize::from(config.models.front_end.mels);
        let [chunk, step] = [graph.stream.chunk, graph.stream.step].map(usize::from);
        let steps = expected.len() / (step * graph.tensors[graph.logits].cols);
        let features = stored_features((chunk + step * (steps - 1)) * mels);
        let chunks = features.windows(chunk * mels).step_by(step * mels);
        let mut float = FloatStep::load(&path).unwrap();
        let found: Vec<f32> = chunks
            .flat_map(|chunk| float.step(chunk).unwrap())
            .collect();
        let apart = decibels(&expected, &found);
        assert!(apart > 80.0, "{name}: {apart:.1} dB");
    });
}

/// Least signal to quantization noise of the logits, dB. Measured: 31 to 41 with batch norms, 28 to 39 with
/// layer and RMS norms; 17 and 22 with a layer norm of the features themselves, which makes frames of
/// silence, that vary by less than a step of the features, as loud as speech.
fn least(name: &str) -> f64 {
    match name {
        "script18-layernorm-sdpa" | "dynamo21-one-frame" => 14.0,
        _ if name.contains("batchnorm") => 27.0,
        _ => 24.0,
    }
}

#[test]
fn int8_logits_follow_the_float_networks() {
    let (recordings, pcm) = (recordings(), shipped_samples(96_000));
    supported(false).par_iter().for_each(|name| {
        let image = compiled(name, &recordings).unwrap_or_else(|error| panic!("{error}"));
        let image = image.image().unwrap();
        let (path, config) = (onnx(name), config(name));
        let graph = Compiler::open(&path, None, &config).unwrap().graph;
        let mut float = FloatStep::load(&path).unwrap();
        let chunks = calibrate::chunks(&graph, &image, &pcm).into_iter();
        let expected: Vec<f32> = chunks
            .flat_map(|chunk| float.step(&chunk).unwrap())
            .collect();
        let found = decibels(&expected, &logits(&image, &pcm, Cpu::default()));
        println!("{name}: {found:.1} dB");
        assert!(found > least(name), "{name}: {found:.1} dB");
    });
}

/// With the quantization that training had, on the features whose ranges it has: what PyTorch computed with
/// fake quantization. What training did not quantize has ranges of other features, those of audio.
/// Measured: 22 to 32 dB.
#[test]
fn fake_quantization_is_what_the_device_computes() {
    let recordings = recordings();
    supported(true).par_iter().for_each(|name| {
        let image = compiled(name, &recordings).unwrap_or_else(|error| panic!("{error}"));
        let image = image.image().unwrap();
        let (manifest, expected) = (image.manifest(), stored_logits(name));
        let [chunk, step] = [manifest.stream.chunk, manifest.stream.step].map(usize::from);
        let steps = expected.len() / (step * usize::from(manifest.classes));
        let frames = chunk + step * (steps - 1);
        let front_end = manifest.front_end;
        let features = stored_features(frames * usize::from(front_end.mels));
        let fed = Fed { features, steps: 0 };
        let [window, hop] = [front_end.window, front_end.hop].map(usize::from);
        let silence = vec![0; window + (frames - 1) * hop];
        let found = decibels(&expected, &logits(&image, &silence, fed));
        println!("{name}: {found:.1} dB");
        assert!(found > 18.0, "{name}: {found:.1} dB");
    });
}

#[test]
fn what_is_not_supported_is_named_with_node_shapes_and_the_nearest() {
    let conv2d = [
        "(Conv of [1, 1, 4, 40], [1, 1, 7, 7]",
        "Conv over frames",
        "pointwise",
    ];
    let lstm = [
        "(LSTM of [4, 1, 40],",
        "are caches",
        "that a Concat puts before",
    ];
    for (name, words) in [
        (
            "script17-unsupported-lstm",
            ["`/front/lstm/LSTM`", lstm[0], lstm[1]],
        ),
        ("dynamo18-unsupported-lstm", lstm),
        ("script17-unsupported-conv2d", conv2d),
        ("dynamo18-unsupported-conv2d", conv2d),
        (
            "script17-unsupported-gelu",
            ["/Erf` (Erf of [4, 16])", "SiLU", "HardSwish"],
        ),
        (
            "dynamo20-unsupported-gelu",
            ["`node_gelu` (Gelu of [4, 16])", "SiLU", "HardSwish"],
        ),
        (
            "dynamo18-unsupported-padded-conv",
            [
                "(Conv of [1, 8, 4], [8, 1, 3], [8])",
                "padded [1, 1]",
                "from a cache",
            ],
        ),
        (
            "script17-unsupported-dynamic-axes",
            [
                "input `features` has a dynamic axis 0 (`frames`)",
                "without `dynamic_axes`",
                "static",
            ],
        ),
    ] {
        let error = Compiler::open(&onnx(name), None, &config(name))
            .err()
            .unwrap();
        let (code, error) = (error.exit_code(), error.to_string());
        assert_eq!(code, 2, "{error}");
        assert!(error.contains(&format!("{name}.onnx: ")), "{error}");
        for word in words {
            assert!(error.contains(word), "{name}, `{word}`: {error}");
        }
        assert_eq!(error.lines().count(), 1, "{error}");
    }
    let refused = names()
        .into_iter()
        .filter(|name| name.contains("unsupported"));
    assert_eq!(refused.count(), 8, "variants that are refused");
}
