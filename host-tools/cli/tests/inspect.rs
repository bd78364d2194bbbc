//! `zerda inspect` on the shipped image, and what every command says of a file that is no image.

mod common;

use std::fs;
use std::path::Path;

use serde_json::Value;
use zerda_firmware::image::section::test_section::with_npu;
use zerda_support::image_file::ImageFile;

use common::{root, run};

fn shipped() -> Vec<u8> {
    fs::read(root().join("models/shrunk.zerda")).expect("the shipped image")
}

fn inspected() -> Value {
    let (code, stdout, stderr) = run(&["inspect", "--json"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    serde_json::from_str(&stdout).expect("JSON")
}

fn sum(values: &Value, key: impl Fn(&Value) -> &Value) -> u64 {
    let values = values.as_array().expect("a list").iter();
    values.map(|value| key(value).as_u64().unwrap()).sum()
}

/// All by hand: two layers of hidden 64, feed-forward 256, kernel 15; 40 mels, 14 classes.
#[test]
fn the_shipped_image_holds_what_its_profile_makes_of_it() {
    let image = inspected();
    assert_eq!(image["bytes"], shipped().len());
    assert_eq!(image["format_version"], 2);
    assert_eq!(image["macs_per_step"], 1_873_600);
    assert_eq!(image["memory"]["bytes"], 47_120);
    assert_eq!(image["operators"].as_array().unwrap().len(), 51);
    assert_eq!(image["labels"].as_array().unwrap().len(), 14);
    let layer = |square: u64, feed_forward: u64, taps: u64| 7 * square + 4 * feed_forward + taps;
    let weights = 40 * 64 + 2 * layer(64 * 64, 64 * 256, 15 * 64) + 64 * 14;
    let channels = 64 + 2 * (2 * (256 + 64) + 8 * 64) + 14;
    assert_eq!(image["sections"]["weights"], weights);
    assert_eq!(image["sections"]["biases"], 4 * channels);
    assert_eq!(image["sections"]["multipliers"], 5 * channels);
    // 300 ms of config/commands.toml; 5 frames of 10 ms.
    assert_eq!(image["decoder"]["refractory_ms"], 300.0);
    assert_eq!(image["wake"], serde_json::Value::Null);
    assert_eq!(image["stream"]["step_ms"], 50.0);
    // A probability: scale 1/256 and zero point -128 by TFLite's specification.
    let last = &image["operators"][50];
    assert_eq!(
        (&last["name"], &last["macs"]),
        (&"Softmax".into(), &0.into())
    );
    assert_eq!(
        last["output"]["range"],
        serde_json::json!([0.0, 255.0 / 256.0])
    );
}

#[test]
fn what_stands_in_rows_adds_up_to_what_stands_in_the_head() {
    let image = inspected();
    let sections = image["sections"].as_object().unwrap().values();
    let sections: u64 = sections.map(|bytes| bytes.as_u64().unwrap()).sum();
    assert_eq!(image["bytes"], sections);
    assert_eq!(
        image["macs_per_step"],
        sum(&image["operators"], |op| &op["macs"])
    );
    let caches = sum(&image["caches"], |cache| &cache["bytes"]);
    assert_eq!(image["memory"]["caches"], caches.next_multiple_of(16));
    let memory = &image["memory"];
    let parts = memory["caches"].as_u64().unwrap() + memory["arena"].as_u64().unwrap();
    assert_eq!(memory["bytes"], parts);
}

#[test]
fn an_npu_section_is_counted_and_said() {
    let with_npu = with_npu(&shipped());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("npu.zerda").display().to_string();
    fs::write(&path, with_npu.get()).unwrap();
    let (code, stdout, stderr) = run(&["inspect", "--json", &path]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    let image: Value = serde_json::from_str(&stdout).expect("JSON");
    let sections = image["sections"].as_object().unwrap();
    let total: u64 = sections.values().map(|bytes| bytes.as_u64().unwrap()).sum();
    assert_eq!(total, with_npu.get().len() as u64);
    let added = (with_npu.get().len() - shipped().len()) as u64;
    let npu = sections["npu"].as_u64().unwrap();
    // And up to 15 of padding.
    assert!((added - 15..=added).contains(&npu), "{npu} of {added}");
    assert_eq!(image["npu"]["target"], "ethos-u55-256");
    let (_, text, _) = run(&["inspect", &path]);
    let line = "NPU        ethos-u55-256: commands ";
    assert!(text.contains(line), "{text}");
    assert_eq!(inspected()["npu"], Value::Null);
}

#[test]
fn the_text_has_a_line_for_each_operator() {
    let (code, stdout, stderr) = run(&["inspect", "models/shrunk.zerda"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    let (head, operators) = stdout.split_once("operators\n").expect("a table");
    assert!(head.starts_with("models/shrunk.zerda: format version 2, 230001 bytes, checksum "));
    assert!(
        head.contains("51 operators, 1873600 multiply-accumulates a step"),
        "{head}"
    );
    assert!(
        head.contains("yes 0.60") && head.contains("_silence_ never"),
        "{head}"
    );
    // Under a line of headings.
    assert_eq!(operators.lines().count(), 1 + 51);
}

#[test]
fn a_truncated_a_newer_a_damaged_and_a_foreign_file_are_told_from_each_other() {
    let whole = shipped();
    let changed = |at: usize, value: u8| {
        let mut bytes = whole.clone();
        bytes[at] = value;
        bytes
    };
    let onnx = fs::read(root().join("models/shrunk.onnx")).unwrap();
    let longer = [whole.as_slice(), &[0]].concat();
    let middle = whole.len() / 2;
    let cases: [(&str, &[u8], &str); 18] = [
        (
            "cut",
            &whole[..middle],
            "truncated: 115000 of 230001 bytes; copy",
        ),
        (
            "header",
            &whole[..20],
            "truncated: 20 of at least 64 bytes; copy",
        ),
        (
            "magic",
            &whole[..3],
            "truncated: 3 of at least 64 bytes; copy",
        ),
        ("empty", b"", "truncated: 0 of at least 64 bytes; copy"),
        (
            "newer",
            &changed(4, 7),
            "newer: format version 7, this zerda reads version 2; update",
        ),
        (
            "flip",
            &changed(middle, !whole[middle]),
            "damaged: checksum ",
        ),
        (
            "first",
            &changed(0, b'Z' ^ 1),
            "damaged: an image with its first 4 bytes",
        ),
        (
            "length",
            &changed(10, 0),
            "damaged: its header says 33393 bytes, and it is whole with 230001",
        ),
        (
            "longer",
            &longer,
            "damaged: 230002 bytes where the header says 230001; copy",
        ),
        (
            "zero",
            &changed(4, 0),
            "damaged: format version 0, expected 2; copy",
        ),
        (
            "older",
            &changed(4, 1),
            "older: format version 1, this zerda reads version 2; compile",
        ),
        (
            "png",
            b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
            "not a Zerda image but a PNG picture; expected",
        ),
        (
            "onnx",
            &onnx,
            "not a Zerda image, probably an ONNX model: compile it first; expected",
        ),
        (
            "tflite",
            b"\x1c\0\0\0TFL3",
            "not a Zerda image but a TFLite model",
        ),
        (
            "wav",
            b"RIFF\x24\0\0\0WAVEfmt ",
            "not a Zerda image but a WAV recording; expected",
        ),
        (
            "pointer",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n",
            "is a Git LFS pointer, which stands for the file itself; fetch that with `git lfs pull`",
        ),
        (
            "text",
            b"<html>\n",
            "not a Zerda image but text; expected a file made by `zerda",
        ),
        (
            "zeros",
            &[0; 4096],
            "not a Zerda image; expected a file made by `zerda compile`",
        ),
    ];
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes, expected) in cases {
        let path = folder.path().join(name).display().to_string();
        fs::write(&path, bytes).unwrap();
        for arguments in [vec!["inspect", &path], vec!["run", "-", "--image", &path]] {
            let (code, stdout, stderr) = run(&arguments);
            assert_eq!((code, stdout.as_str()), (2, ""), "{name}");
            assert!(
                stderr.starts_with(&format!("zerda: {path}: {expected}")),
                "{stderr}"
            );
            assert_eq!(stderr.lines().count(), 1, "{stderr}");
        }
    }
}

/// A version that is one bit off may also be a newer one.
#[test]
fn any_flipped_bit_of_the_header_is_called_damage() {
    let whole = shipped();
    for bit in 0..64 * 8 {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let file = ImageFile::new(Path::new("flipped.zerda"), &bytes);
        let message = file.image().unwrap_err().to_string();
        let expected = match bit / 8 {
            4 | 5 if bit != 33 => "it may be damaged",
            _ => "flipped.zerda: damaged",
        };
        assert!(message.contains(expected), "bit {bit}: {message}");
    }
}
