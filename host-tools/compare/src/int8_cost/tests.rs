//! Each rule on a network made to trip it.

use zerda_compiler::calibrate::chunks;
use zerda_compiler::tiny_onnx::TinyOnnx;
use zerda_compiler::{Compiler, float};
use zerda_quantize::ranges::Method;
use zerda_support::config::Config;
use zerda_support::test_support::recording;

use super::advice::Rule;
use super::*;

/// What is said of a network that was calibrated on some recordings and measured on others.
fn report(onnx: &TinyOnnx, calibrate: &[Vec<i16>], measure: &[Vec<i16>]) -> Int8Cost {
    let folder = tempfile::tempdir().unwrap();
    let [model, image] = ["tiny.onnx", "tiny.zerda"].map(|name| folder.path().join(name));
    onnx.write(&model);
    let config = Config::load(None).unwrap();
    let compiler = Compiler::open(&model, None, &config).unwrap();
    let (bytes, _) = compiler.compile(calibrate, Method::Mse).unwrap();
    std::fs::write(&image, bytes.bytes()).unwrap();
    let folder = folder.path().join("audio");
    std::fs::create_dir(&folder).unwrap();
    for (number, samples) in measure.iter().enumerate() {
        audio::write(&folder.join(format!("{number}.wav")), samples).unwrap();
    }
    Int8Cost::of(&image, &model, &[folder]).unwrap()
}

fn noises() -> Vec<Vec<i16>> {
    (1..10).map(|seed| recording(seed, 16000)).collect()
}

fn rules(report: &Int8Cost) -> Vec<Rule> {
    report.advice.iter().map(|advice| advice.rule).collect()
}

/// The names of the operators that the only advice is about.
fn named(report: &Int8Cost) -> Vec<&str> {
    let [advice] = report.advice.as_slice() else {
        panic!("{} pieces of advice", report.advice.len());
    };
    let names = advice.operators.iter();
    names
        .map(|&number| report.operators[number].name.as_str())
        .collect()
}

#[test]
fn of_a_network_that_quantizes_well_nothing_stands_out() {
    let report = report(&TinyOnnx::conformer(), &noises(), &noises());
    assert_eq!(rules(&report), []);
    assert!(report.operators.iter().all(|row| !row.stands_out));
    assert!(text::table(&report).ends_with("nothing stands out"));
    assert!(html::page(&report).unwrap().contains("Nothing stands out"));
}

#[test]
fn what_tract_says_of_the_logits_is_what_the_integers_are() {
    let end = report(&TinyOnnx::conformer(), &noises(), &noises()).end_to_end;
    let apart = (end.sqnr_db - end.simulated_sqnr_db).abs();
    assert!(apart < 1.5, "{} {}", end.sqnr_db, end.simulated_sqnr_db);
}

#[test]
fn ranges_of_a_tone_saturate_in_speech() {
    let tone = (0..16000).map(|at| if at % 36 < 18 { 8000 } else { -8000 });
    let report = report(&TinyOnnx::conformer(), &[tone.collect()], &noises());
    assert_eq!(rules(&report), [Rule::Saturation]);
    let advice = &report.advice[0];
    let row = &report.operators[advice.operators[0]];
    assert!(row.stands_out && row.saturation > 0.001);
    let [low, high] = row.range;
    assert!(
        row.seen[0] < low || row.seen[1] > high,
        "{:?} {:?}",
        row.seen,
        row.range
    );
    let saturates = format!("{} (and", row.name);
    assert!(advice.text.starts_with(&saturates), "{}", advice.text);
    // Its lines are wrapped.
    let summary = text::summary(&report);
    let words: Vec<_> = summary.split_whitespace().collect();
    assert!(words.join(" ").contains(&advice.text));
    assert!(
        html::page(&report)
            .unwrap()
            .contains(&format!("<li>{}", row.name))
    );
}

/// Between a convolution and its activation, where no scales can be moved to other layers.
#[test]
fn a_channel_far_larger_than_the_rest_is_told() {
    let mut onnx = TinyOnnx::conformer();
    for part in ["scale", "shift"] {
        onnx.values(&format!("depthwise_norm.{part}"))[0] *= 60.0;
    }
    // Taken back, so that the logits need the other channels as much.
    onnx.values("logits.weight")
        .iter_mut()
        .step_by(8)
        .for_each(|weight| *weight /= 60.0);
    let report = report(&onnx, &noises(), &noises());
    assert_eq!(rules(&report), [Rule::UnequalChannels]);
    assert!(
        named(&report).contains(&"depthwise_norm"),
        "{:?}",
        named(&report)
    );
    assert!(report.advice[0].text.contains("QAT"));
}

/// An offset that all classes share changes no posterior, but takes the logits' range.
#[test]
fn one_operator_that_makes_most_of_the_noise_is_told() {
    let mut onnx = TinyOnnx::conformer();
    onnx.values("logits.bias")
        .iter_mut()
        .for_each(|bias| *bias += 100.0);
    let report = report(&onnx, &noises(), &noises());
    assert_eq!(rules(&report), [Rule::CostlyOperator]);
    assert_eq!(named(&report), ["logits"]);
    // Without it, what the network loses otherwise: here far less.
    assert!(report.operators[report.advice[0].operators[0]].regained_db > 10.0);
}

/// Names and labels come from files of anyone.
#[test]
fn names_and_labels_steer_neither_a_browser_nor_a_terminal() {
    let mut onnx = TinyOnnx::conformer();
    let (tag, steering) = ("<img src=x onerror=alert(1)>\"'&", "\u{1b}[2Jx");
    onnx.rename("x", tag);
    onnx.rename("up", steering);
    onnx.metadata[0].1 = "go<script>,_unknown_,_silence_".into();
    let report = report(&onnx, &noises(), &noises()[..2]);
    let json: serde_json::Value = serde_json::from_str(&report.json()).unwrap();
    assert_eq!(json["operators"][4]["name"], tag);
    assert_eq!(json["operators"][1]["name"], steering);
    assert_eq!(json["image"]["labels"][0], "go<script>");

    let page = html::page(&report).unwrap();
    assert!(page.contains("&lt;img src=x onerror=alert(1)&gt;"));
    assert!(page.contains("go&lt;script&gt;"));
    assert!(!page.contains("<img") && !page.contains("go<script>"));
    // The page's own.
    assert_eq!(page.matches("<script>").count(), 1);
    assert!(!text::table(&report).contains('\u{1b}'));
}

#[test]
fn noise_from_everywhere_is_told_of_no_operator() {
    let mut onnx = TinyOnnx::conformer();
    // Logits about zero: the noise of before, and next to no signal.
    let means = mean_logits(&onnx);
    let biases = onnx.values("logits.bias").iter_mut();
    biases.zip(means).for_each(|(bias, mean)| *bias -= mean);
    let report = report(&onnx, &noises(), &noises());
    assert_eq!(rules(&report), [Rule::NoiseEverywhere]);
    assert_eq!(named(&report), [""; 0]);
}

/// Over all frames, in float.
fn mean_logits(onnx: &TinyOnnx) -> Vec<f32> {
    let file = tempfile::NamedTempFile::new().unwrap();
    onnx.write(file.path());
    let config = Config::load(None).unwrap();
    let compiler = Compiler::open(file.path(), None, &config).unwrap();
    let (image, _) = compiler.compile(&noises(), Method::Mse).unwrap();
    let image = image.image().unwrap();
    let mut step = float::step(&compiler.graph, None, &[]).unwrap();
    let chunks: Vec<_> = noises()
        .iter()
        .flat_map(|noise| chunks(&compiler.graph, &image, noise))
        .collect();
    let logits: Vec<f32> = chunks
        .iter()
        .flat_map(|chunk| step.step(chunk).unwrap())
        .collect();
    let mean = |class| {
        let of_class = logits.iter().skip(class).step_by(3);
        of_class.sum::<f32>() * 3.0 / logits.len() as f32
    };
    (0..3).map(mean).collect()
}
