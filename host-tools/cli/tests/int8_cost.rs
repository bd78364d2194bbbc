//! `zerda inspect --onnx` and `zerda compile --report`, on the shipped model and its samples.

mod common;

use std::fs;
use std::path::Path;

use prost::Message;
use serde_json::Value;
use tract_onnx::pb::ModelProto;

use common::{root, run};

const AUDIO: &str = "models/samples/robot.wav";

/// `zerda inspect` of the shipped image beside an ONNX.
fn inspected(onnx: &str, more: &[&str]) -> (i32, String, String) {
    run(&[&["inspect", "--onnx", onnx, "--audio", AUDIO], more].concat())
}

fn figure(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

#[test]
fn the_json_has_every_operator_of_the_shipped_image_and_how_far_it_is_from_float() {
    let (code, stdout, stderr) = inspected("models/shrunk.onnx", &["--json"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    let report: Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!(report["report_version"], 1);
    assert_eq!(report["audio"]["recordings"], 1);
    let operators = report["operators"].as_array().expect("a list");
    assert_eq!(operators.len(), 51);
    for (number, operator) in operators.iter().enumerate() {
        assert_eq!(operator["number"], number);
        assert!(!operator["name"].as_str().unwrap().is_empty(), "{operator}");
        assert!(figure(&operator["sqnr_db"]) > 10.0, "{operator}");
        assert!((0.0..=1.0).contains(&figure(&operator["saturation"])));
        assert!(figure(&operator["regained_db"]).abs() < 10.0, "{operator}");
        let [low, high] = [0, 1].map(|end| figure(&operator["range"][end]));
        assert!(low <= 0.0 && high > low, "{operator}");
    }
    let macs = operators.iter().map(|operator| figure(&operator["macs"]));
    assert_eq!(macs.sum::<f64>(), figure(&report["image"]["macs_per_step"]));
    // 64 x 256 weights, and bias, multiplier and shift of 256 channels.
    let up = &operators[1];
    assert_eq!(
        (&up["kind"], &up["bytes"]),
        (&"FullyConnected".into(), &(64 * 256 + 9 * 256).into())
    );
    assert_eq!(report["input"]["shape"], "10x40");

    let end = &report["end_to_end"];
    let (integers, simulated) = (figure(&end["sqnr_db"]), figure(&end["simulated_sqnr_db"]));
    assert_eq!(integers, figure(&operators[49]["sqnr_db"]));
    assert!((integers - simulated).abs() < 1.5, "{integers} {simulated}");
    let [mean, largest] =
        ["mean", "largest"].map(|which| figure(&end[format!("posterior_{which}_difference")]));
    assert!(
        0.0 < mean && mean < largest && largest < 1.0,
        "{mean} {largest}"
    );
    assert_eq!(end["answers_differ"], 0.0);
    for (figure, word) in [
        ("sqnr_db", "measured"),
        ("regained_db", "measured"),
        ("macs", "counted"),
    ] {
        let says = report["figures"][figure].as_str().unwrap();
        assert!(says.starts_with(word), "{figure}: {says}");
    }
}

#[test]
fn the_table_fits_a_terminal_and_ends_with_what_to_do() {
    let (code, stdout, stderr) = inspected("models/shrunk.onnx", &[]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    let lines: Vec<_> = stdout.lines().collect();
    assert!(
        lines.iter().all(|line| line.chars().count() <= 120),
        "{stdout}"
    );
    let numbered = |line: &&&str| {
        line.get(2..5)
            .is_some_and(|number| number.trim().parse::<u8>().is_ok())
    };
    assert_eq!(lines.iter().filter(numbered).count(), 51);
    // The worst are marked.
    let mut rows = lines.iter().filter(numbered);
    assert!(rows.any(|line| line.starts_with("> ")), "{stdout}");
    let mut rest = lines
        .iter()
        .rev()
        .skip_while(|line| line.starts_with("            "));
    assert!(rest.next().unwrap().starts_with("advice "));
}

#[test]
fn the_page_needs_nothing_but_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.html").display().to_string();
    let (code, stdout, stderr) = inspected("models/shrunk.onnx", &["--report", &path]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert!(
        stdout.ends_with(&format!("report      {path}\n")),
        "{stdout}"
    );
    let page = fs::read_to_string(&path).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.trim_end().ends_with("</html>"));
    for reference in [
        "http:",
        "https:",
        "//cdn",
        "<script src",
        "<link rel=\"stylesheet",
        "@import",
        "url(",
    ] {
        assert!(!page.contains(reference), "{reference}");
    }
    assert_eq!(page.matches("<tr id=\"op-").count(), 51);
    assert_eq!(page.matches("<circle ").count(), 51);
    assert!(page.contains("title=\"&#x2f;attention.0&#x2f;key&#x2f;Gemm_output_0\""));
}

/// The same mechanism: what is compiled is then inspected.
#[test]
fn compile_reports_what_inspect_says_of_its_image() {
    let folder = tempfile::tempdir().unwrap();
    let [image, report] =
        ["a.zerda", "a.json"].map(|name| folder.path().join(name).display().to_string());
    let compile = [
        "compile",
        "models/shrunk.onnx",
        "--calibrate",
        AUDIO,
        "--output",
        &image,
        "--ranges",
        "mse",
    ];
    let (code, stdout, stderr) = run(&[&compile[..], &["--report", &report]].concat());
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert!(
        stdout.starts_with(&format!("{image}: 51 operators")),
        "{stdout}"
    );
    let (code, inspected, _) = run(&[
        "inspect",
        &image,
        "--onnx",
        "models/shrunk.onnx",
        "--audio",
        AUDIO,
        "--json",
    ]);
    assert_eq!(code, 0);
    assert_eq!(fs::read_to_string(&report).unwrap(), inspected);
}

#[test]
fn an_onnx_that_the_image_was_not_compiled_from_is_an_error_that_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.onnx").display().to_string();
    let bytes = fs::read(root().join("models/shrunk.onnx")).unwrap();
    let mut model = ModelProto::decode(bytes.as_slice()).unwrap();
    // As after a little more training: one layer's weights are others.
    let graph = model.graph.as_mut().unwrap();
    let weights = graph.initializer.iter_mut();
    let mut weights = weights.filter(|tensor| tensor.dims == [64, 64]);
    let weights = weights.next().expect("a square layer");
    for value in weights.raw_data.chunks_exact_mut(4) {
        let real = f32::from_le_bytes(value.try_into().unwrap());
        value.copy_from_slice(&(real + 0.01).to_le_bytes());
    }
    fs::write(&path, model.encode_to_vec()).unwrap();
    let (code, stdout, stderr) = inspected(&path, &[]);
    assert_eq!((code, stdout.as_str()), (2, ""));
    let expected = format!("zerda: {path}: the image was not compiled from it: operator ");
    assert!(stderr.starts_with(&expected), "{stderr}");
    assert!(stderr.contains(" has other weights, "), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}

#[test]
fn what_cannot_be_reported_is_said_before_anything_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let image = path("image.zerda");
    let compile = [
        "compile",
        "models/shrunk.onnx",
        "--calibrate",
        AUDIO,
        "-o",
        &image,
        "--report",
        "report.pdf",
    ];
    let short = path("short.wav");
    // 100 samples: less than a window.
    let mut wav = fs::read(root().join(AUDIO)).unwrap();
    wav.truncate(44 + 200);
    wav[40..44].copy_from_slice(&200u32.to_le_bytes());
    wav[4..8].copy_from_slice(&236u32.to_le_bytes());
    fs::write(&short, wav).unwrap();
    let onnx = "models/shrunk.onnx";
    let cases: [(&[&str], &str); 6] = [
        (&compile, "ends in .html or .json"),
        (
            &[
                "inspect",
                "--onnx",
                onnx,
                "--audio",
                AUDIO,
                "--report",
                "report.txt",
            ],
            "ends in .html or .json",
        ),
        (&["inspect", "--onnx", onnx], "--audio"),
        (&["inspect", "--audio", AUDIO], "--onnx"),
        (
            &["inspect", "--onnx", onnx, "--audio", &short],
            "no recording is as long as one step",
        ),
        (
            &["inspect", "--onnx", "none.onnx", "--audio", AUDIO],
            "none.onnx",
        ),
    ];
    for (arguments, expected) in cases {
        let (code, stdout, stderr) = run(arguments);
        assert_eq!((code, stdout.as_str()), (2, ""), "{arguments:?}: {stderr}");
        assert!(stderr.contains(expected), "{arguments:?}: {stderr}");
    }
    assert!(!Path::new(&image).exists());
}
