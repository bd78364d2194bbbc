//! The exported step in TFLite Micro equals the firmware, warm-up included.

use std::path::Path;

use zerda_firmware::image::section::inputs_and_outputs;
use zerda_firmware::image::{checksum, field};
use zerda_firmware::plan::{Op, TensorId};
use zerda_support::image_file::ImageFile;
use zerda_support::image_parts::number;
use zerda_tests::audio::{noise, recorded_speech, shipped_samples};
use zerda_tests::exports::compiled;
use zerda_tests::recorder::Recorder;
use zerda_tests::shipped_image;
use zerda_tests::tflm::{Case, Tflm};
use zerda_tflite::export;

/// Samples that make at least so many steps: of 5 frames of 160 samples, the first of 10.
const fn samples(steps: usize) -> usize {
    (steps * 5 + 4) * 160 + 400
}

/// The exported step, outputs and caches, on what the firmware gave to each of at least so many steps,
/// from the start of a stream on.
fn exported_step_equals_the_firmware(test: &str, file: &ImageFile, pcm: &[i16], least: usize) {
    let Some(tflm) = Tflm::get(test) else {
        return;
    };
    let image = file.image().unwrap();
    let Recorder { inputs, outputs } = Recorder::of(&image, pcm);
    assert!(outputs.len() >= least, "{} steps", outputs.len());

    let case = Case {
        model: export::step(&image).unwrap(),
        runs: inputs,
        outputs: outputs[0].len(),
    };
    let caches = (1..image.caches().count()).map(|cache| format!("rows of cache {cache}"));
    let names: Vec<_> = ["logits", "posteriors"]
        .map(String::from)
        .into_iter()
        .chain(caches)
        .collect();
    for (step, (tflm, firmware)) in tflm.run(&[case])[0].iter().zip(&outputs).enumerate() {
        for ((tflm, firmware), name) in tflm.iter().zip(firmware).zip(&names) {
            assert_eq!(tflm, firmware, "step {step}: {name}");
        }
    }
}

#[test]
fn exported_step_equals_the_firmware_on_the_shipped_samples() {
    let pcm = shipped_samples(samples(2000));
    exported_step_equals_the_firmware("step on the samples", &shipped_image(), &pcm, 2000);
}

#[test]
fn exported_step_equals_the_firmware_on_recorded_speech() {
    let test = "step on recorded speech";
    if let Some(pcm) = recorded_speech(test, samples(2000)) {
        exported_step_equals_the_firmware(test, &shipped_image(), &pcm, 2000);
    }
}

#[test]
fn exported_step_equals_the_firmware_on_noise() {
    exported_step_equals_the_firmware(
        "step on noise",
        &shipped_image(),
        &noise(2, samples(240)),
        240,
    );
}

/// Norms, SiLU, GLU, quantization of training: the step of what PyTorch's exporters write.
#[test]
fn exported_steps_of_imported_variants_equal_the_firmware() {
    let recordings = [shipped_samples(64_000), noise(3, 16_000)];
    for name in [
        "script13-layernorm-silu",
        "script17-pointwise-conv-sdpa",
        "dynamo18-fake-uint8-channels",
        "dynamo23-rmsnorm-attention",
        "script18-layernorm-sdpa",
    ] {
        let image = compiled(name, &recordings).unwrap();
        exported_step_equals_the_firmware(name, &image, &shipped_samples(32_000), 60);
        exported_step_equals_the_firmware(name, &image, &noise(4, 32_000), 60);
    }
}

/// What an NPU section must hold, the firmware says by itself; Vela compiles what is exported.
#[test]
fn the_exported_inputs_and_outputs_are_those_that_the_firmware_expects_of_an_npu_section() {
    let file = shipped_image();
    let image = file.image().unwrap();
    let recorder = Recorder::of(&image, &noise(1, 4000));
    let exported = recorder.inputs[0].iter().chain(&recorder.outputs[0]);
    let expected = inputs_and_outputs(&image).map(|(_, bytes)| bytes as usize);
    assert!(exported.map(Vec::len).eq(expected));
    let outputs = inputs_and_outputs(&image).filter(|(role, _)| role.is_output());
    assert_eq!(outputs.count(), recorder.outputs[0].len());
}

/// Why the shipped image is not exported after a change to a constant of its first operator of a
/// kind.
fn refusal(constant: impl Fn(Op) -> Option<TensorId>, change: impl Fn(&mut u8)) -> String {
    let file = shipped_image();
    let image = file.image().unwrap();
    let constant = image
        .tensor(image.ops().find_map(constant).unwrap())
        .unwrap();
    let mut bytes = file.bytes().to_vec();
    let segment = number(&bytes, field::SEGMENT_OFFSET);
    change(&mut bytes[segment + constant.byte_range().unwrap().start]);
    let sum = checksum(&bytes).to_le_bytes();
    bytes[field::CHECKSUM].copy_from_slice(&sum);
    let changed = ImageFile::new(Path::new("changed.zerda"), &bytes);
    export::step(&changed.image().unwrap()).unwrap_err()
}

#[test]
fn a_lookup_that_is_not_hard_swish_is_not_exported() {
    let table = |op| match op {
        Op::Lookup { table, .. } => Some(table),
        _ => None,
    };
    let why = refusal(table, |byte| *byte ^= 1);
    assert!(
        why.contains("(lookup): table") && why.contains("is not HARD_SWISH"),
        "{why}"
    );
}

#[test]
fn a_multiplier_that_no_scale_gives_is_not_exported() {
    let multiplier = |op| match op {
        Op::FullyConnected(dense) => Some(dense.multiplier),
        _ => None,
    };
    // The lowest bits: a float of 24 bits cannot lead to both numbers.
    let why = refusal(multiplier, |byte| *byte ^= 0x15);
    assert!(
        why.contains("operator 0 (fully connected): TFLite computes"),
        "{why}"
    );
}
