//! The compiler end to end, on a small network: every expected value is tract's.

use zerda_firmware::Recognizer;
use zerda_firmware::recognizer::Event;

use tract_onnx::pb::tensor_proto::DataType;
use zerda_firmware::plan::{Op, Tensor};
use zerda_quantize::graph;
use zerda_support::test_support::recording;

use super::test_support::compiled;
use super::tiny_onnx::TinyOnnx;
use super::*;

mod hostile;
mod world;

fn message(onnx: &TinyOnnx) -> String {
    compiled(onnx).err().expect("an error").to_string()
}

#[test]
fn int8_logits_follow_those_of_tract() {
    let onnx = TinyOnnx::conformer();
    let image = compiled(&onnx).unwrap();
    let image = image.image().unwrap();
    let samples = recording(99, 32000);

    let mut memory = vec![0; image.memory_bytes()];
    let mut recognizer = Recognizer::new(&image, &mut memory).unwrap();
    let logits = image.tensor(image.manifest().logits).unwrap();
    let mut integers = Vec::new();
    recognizer.push_events(&samples, |event| {
        if let Event::Step { logits: values, .. } = event {
            let real = |&q: &i8| logits.scale * (f32::from(q) - f32::from(logits.zero_point));
            integers.extend(values.iter().map(real));
        }
    });

    let file = tempfile::NamedTempFile::new().unwrap();
    onnx.write(file.path());
    let config = Config::load(None).unwrap();
    let compiler = Compiler::open(file.path(), None, &config).unwrap();
    let mut step = FloatStep::load(file.path()).unwrap();
    let chunks = calibrate::chunks(&compiler.graph, &image, &samples);
    let floats: Vec<f32> = chunks
        .iter()
        .flat_map(|chunk| step.step(chunk).unwrap())
        .collect();

    // (198 frames - 4) / 2 + 1 steps of 2 frames of 3 classes.
    assert_eq!((floats.len(), integers.len()), (98 * 6, 98 * 6));
    let signal: f32 = floats.iter().map(|x| x * x).sum();
    let noise: f32 = floats
        .iter()
        .zip(&integers)
        .map(|(x, y)| (x - y) * (x - y))
        .sum();
    let sqnr = 10.0 * (signal / noise).log10();
    assert!(sqnr > 20.0, "signal to quantization noise: {sqnr} dB");
}

#[test]
fn a_float_step_remembers_until_it_is_reset() {
    let file = tempfile::NamedTempFile::new().unwrap();
    TinyOnnx::conformer().write(file.path());
    let mut step = FloatStep::load(file.path()).unwrap();
    let features: Vec<f32> = (0..4 * 40)
        .map(|i| -((i * 37 % 100) as f32) / 10.0)
        .collect();
    let first = step.step(&features).unwrap();
    assert_ne!(step.step(&features).unwrap(), first);
    // 2 of 6 rows are cached a step.
    assert_eq!(step.absent(), 2);
    step.reset();
    assert_eq!(step.absent(), 6);
    assert_eq!(step.step(&features).unwrap(), first);
}

#[test]
fn the_same_onnx_gives_the_same_bytes() {
    let onnx = TinyOnnx::conformer();
    let (a, b) = (compiled(&onnx).unwrap(), compiled(&onnx).unwrap());
    assert_eq!(a.bytes(), b.bytes());
}

#[test]
fn equalization_changes_no_float_and_an_image_tells_its_scales() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tiny.onnx");
    let mut onnx = TinyOnnx::conformer();
    // Columns of the residual stream, and of keys, far apart.
    onnx.scale_rows("in.weight", |row| 1.0 + 6.0 * row as f32);
    onnx.scale_rows("k.weight", |row| 0.2 + row as f32);
    onnx.write(&path);
    let recordings: Vec<_> = (1..10).map(|seed| recording(seed, 16000)).collect();
    let config = Config::load(None).unwrap();
    let compiler = Compiler::open(&path, None, &config).unwrap();
    let draft = compiler.image(&compiler.graph, None).unwrap();
    let draft = draft.image().unwrap();
    let calibrate = |graph| {
        let calibrated = compiler.calibrate(graph, &draft, &recordings, Method::Mse);
        calibrated.unwrap()
    };
    let plain = calibrate(compiler.graph.clone());
    let equal = calibrate(equalize::equalized(&plain.graph, &plain.seen));

    let step = observing(&plain.graph).unwrap();
    let few = recordings.iter().map(Vec::as_slice).collect();
    let judge = Judge::new(&plain.graph, &step, &draft, few).unwrap();
    let (mut a, mut b) = (step, observing(&equal.graph).unwrap());
    for chunk in calibrate::chunks(&plain.graph, &draft, &recordings[0]) {
        for (a, b) in a.step(&chunk).unwrap().iter().zip(b.step(&chunk).unwrap()) {
            assert!((a - b).abs() < 1e-3 * a.abs().max(1.0), "{a} {b}");
        }
    }
    let image = |calibrated| compiler.image(&compiler.graph, Some(calibrated)).unwrap();
    let (before, after) = (
        image(&plain),
        compiler.image(&equal.graph, Some(&equal)).unwrap(),
    );
    let (plain_error, error) = (judge.error(&before).unwrap(), judge.error(&after).unwrap());
    assert!(error < 0.9 * plain_error, "{error} of {plain_error}");

    let recovered = equalize::recovered(&compiler.graph, &after.image().unwrap());
    for (recovered, equal) in recovered.ops.iter().zip(&equal.graph.ops) {
        if let (graph::Op::Linear(a), graph::Op::Linear(b)) = (recovered, equal) {
            for (a, b) in a.weights.iter().zip(&b.weights) {
                assert!((a - b).abs() <= 1e-5 * b.abs(), "{a} {b}");
            }
        }
    }
}

#[test]
fn ranges_that_the_logits_confirm_lose_no_more_than_those_of_one_method() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tiny.onnx");
    TinyOnnx::conformer().write(&path);
    let recordings: Vec<_> = (1..10).map(|seed| recording(seed, 16000)).collect();
    let config = Config::load(None).unwrap();
    let compiler = Compiler::open(&path, None, &config).unwrap();
    let draft = compiler.image(&compiler.graph, None).unwrap();
    let step = observing(&compiler.graph).unwrap();
    let all = recordings.iter().map(Vec::as_slice).collect();
    let judge = Judge::new(&compiler.graph, &step, &draft.image().unwrap(), all).unwrap();
    let error = |method| {
        let (image, _) = compiler.compile(&recordings, method).unwrap();
        judge.error(&image).unwrap()
    };
    let auto = error(Method::Auto);
    let others = [Method::MinMax, Method::Percentile, Method::Mse].map(error);
    assert!(auto <= others[2], "{auto} {others:?}");
    assert!(others[0] != others[2], "{others:?}");
}

#[test]
fn only_committed_frames_are_computed_where_only_they_are_needed() {
    let image = compiled(&TinyOnnx::conformer()).unwrap();
    let image = image.image().unwrap();
    // 4 rows: 40x8 in, 8x16 + 16x8 feed-forward, 2 x 8x8 keys and values. 2 rows: query, out, a, g
    // of 8x8, scores and context of 10 keys x 8, convolution 3x8, logits 8x3.
    let expected = 4 * (320 + 256 + 128) + 2 * (4 * 64 + 2 * 80 + 24 + 24);
    assert_eq!(macs_per_step(&image), expected);
    // One step of slack, since of the largest cache, the features, there is one: features 4+2 rows of
    // 40; keys and values 10+2 of 8; conv 4+2 of 8.
    assert_eq!(image.cache_bytes(), 6 * 40 + 2 * 12 * 8 + 6 * 8);
}

#[test]
fn what_is_not_supported_is_named_with_its_nearest() {
    let mut tanh = TinyOnnx::conformer();
    tanh.edit("up_act").op_type = "Tanh".into();
    let error = message(&tanh);
    assert!(
        error.contains("node `up_act` (Tanh of [4, 16]): no operator"),
        "{error}"
    );
    assert!(error.contains("HardSigmoid"), "{error}");

    let mut dense = TinyOnnx::conformer();
    dense.edit("depthwise").attribute.clear();
    let error = message(&dense);
    assert!(
        error.contains("node `depthwise` (Conv of [1, 8, 4], [8, 1, 3])"),
        "{error}"
    );
    assert!(error.contains("group = channels"), "{error}");

    let mut unmasked = TinyOnnx::conformer();
    unmasked.edit("probs").input[0] = "biased".into();
    let error = message(&unmasked);
    assert!(
        error.contains("node `probs`") && error.contains("`mask` was not added"),
        "{error}"
    );

    let mut wrong_rows = TinyOnnx::conformer();
    wrong_rows.edit("next_keys").input[0] = "all_values".into();
    let error = message(&wrong_rows);
    assert!(
        error.contains("`next_keys`: rows 2..8 of Concat(keys, new rows)"),
        "{error}"
    );
}

/// The tensors and the int8 constants of an image.
fn tensors(image: &Image) -> (Vec<Tensor>, Vec<Vec<i8>>) {
    let weights = image.ops().filter_map(|op| match op {
        Op::FullyConnected(dense) => image.tensor(dense.weights),
        _ => None,
    });
    let weights = weights.map(|tensor| image.constant_i8(tensor).to_vec());
    (image.tensors().collect(), weights.collect())
}

#[test]
fn quantization_of_training_is_the_images() {
    let mut onnx = TinyOnnx::conformer();
    onnx.quantize("v", &[0.031], &[-7], DataType::Int8);
    onnx.quantize("x", &[0.05], &[140], DataType::Uint8);
    let scales: Vec<_> = (1..=8).map(|i| 0.004 * i as f32).collect();
    onnx.quantize("q.weight", &scales, &[0; 8], DataType::Int8);
    let integer = |(i, weight): (usize, &f32)| {
        let steps = weight / scales[i / 8];
        steps.round().clamp(-127.0, 127.0) as i8
    };
    let real = onnx.values("q.weight.real").iter().enumerate();
    let integers: Vec<_> = real.map(integer).collect();
    let image = compiled(&onnx).unwrap();
    let (tensors, weights) = tensors(&image.image().unwrap());
    for given in [(0.031, -7), (0.05, 12)] {
        let is = |tensor: &Tensor| (tensor.scale, tensor.zero_point) == given;
        assert!(tensors.iter().any(is), "{given:?}");
    }
    // The scores' scale, 1/2, is in the scales of the weights alone.
    assert!(weights.contains(&integers), "{integers:?}");
}

#[test]
fn constants_that_are_stored_quantized_are_float_to_the_network() {
    let directory = tempfile::tempdir().unwrap();
    let logits = |stored: bool| {
        let mut onnx = TinyOnnx::conformer();
        onnx.store_quantized("up.weight", 0.02, stored);
        let path = directory.path().join("tiny.onnx");
        onnx.write(&path);
        FloatStep::load(&path).unwrap().step(&[-3.0; 160]).unwrap()
    };
    assert_eq!(logits(true), logits(false));
}

#[test]
fn scores_whose_given_range_does_not_mask_get_another_and_say_so() {
    let mut onnx = TinyOnnx::conformer();
    onnx.quantize("biased", &[0.05], &[0], DataType::Int8);
    let file = tempfile::NamedTempFile::new().unwrap();
    onnx.write(file.path());
    let config = Config::load(None).unwrap();
    let compiler = Compiler::open(file.path(), None, &config).unwrap();
    let (image, _) = compiler
        .compile(&[recording(1, 16000)], Method::Auto)
        .unwrap();
    let widened = ranges::widened(&compiler.graph, &image.image().unwrap());
    let [(name, why)] = &widened[..] else {
        panic!("{widened:?}");
    };
    assert!(
        name == "biased.real" && why.contains("14.5 below"),
        "{name}: {why}"
    );
}

#[test]
fn quantization_that_the_device_does_not_have_is_refused() {
    for (value, count, zero_point, to, expected) in [
        (
            "v",
            1,
            0,
            DataType::Int16,
            "quantizes to int16; supported are int8 and uint8",
        ),
        ("q.weight", 8, 0, DataType::Int4, "quantizes to int4"),
        ("v", 4, 0, DataType::Int8, "values quantized by channel"),
    ] {
        let mut onnx = TinyOnnx::conformer();
        onnx.quantize(value, &vec![0.02; count], &vec![zero_point; count], to);
        let error = message(&onnx);
        assert!(error.contains(expected), "{error}");
        assert!(error.contains(&format!("node `{value}`")), "{error}");
    }
}

#[test]
fn a_configuration_that_contradicts_the_onnx_is_an_error_with_both_values() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tiny.onnx");
    TinyOnnx::conformer().write(&path);
    let mut config = Config::load(None).unwrap();
    let error = Compiler::open(&path, Some("shrunk"), &config)
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.contains("layers is 1 in the ONNX but 2 in [profiles.shrunk]"),
        "{error}"
    );
    config.models.front_end.level_floor = 17.0;
    let error = Compiler::open(&path, None, &config)
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.contains("level_floor is 12 in the ONNX but 17 in [front_end]"),
        "{error}"
    );
}
