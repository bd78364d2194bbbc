//! Steps by the NPU's driver on the board of Corstone-300, over the model of its registers.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;
use zerda_firmware::image::section::MemoryMode;
use zerda_firmware::image::section::test_section::Parts;
use zerda_support::image_file::ImageFile;

use super::*;

/// The shipped image with a section of a real one's size, whose command stream is noise.
fn image(folder: &TempDir, memory_mode: MemoryMode) -> String {
    let shipped = ImageFile::open(&root().join("models/shrunk.zerda")).unwrap();
    let mut parts = Parts::new(&shipped.image().unwrap());
    parts.constants = vec![3; 240_000];
    parts.section.scratch_bytes = 75_000;
    parts.memory_mode = memory_mode;
    let path = folder.path().join("npu.zerda");
    fs::write(&path, parts.append(shipped.bytes()).get()).unwrap();
    path.display().to_string()
}

/// Detections, faults and summary of the samples, with the model of an NPU.
fn on_npu(image: &str, model: &str, files: &[String]) -> (Vec<Value>, Vec<Value>, Value) {
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let arguments = [
        "qemu",
        "--json",
        "--board",
        "mps3-an547",
        "--image",
        image,
        model,
    ];
    let (code, stdout, stderr) = run(&[&arguments, files.as_slice()].concat());
    assert_eq!(code, 0, "{stderr}");
    let (reports, summary) = objects(&stdout);
    let (faults, detections) = reports
        .into_iter()
        .partition(|report| !report["npu_fault"].is_null());
    (detections, faults, summary)
}

#[test]
fn steps_by_the_npus_driver_give_the_laptops_detections_and_logits_with_faults_and_without() {
    if !tools() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let in_flash = image(&folder, MemoryMode::SharedSram);
    let files = samples();
    let names: Vec<&str> = files.iter().map(String::as_str).collect();
    let (code, stdout, stderr) = run(&[&["run", "--json"], names.as_slice()].concat());
    assert_eq!(code, 0, "{stderr}");
    let (expected, laptop) = objects(&stdout);

    let (detections, faults, summary) = on_npu(&in_flash, "--npu-model", &files);
    assert_eq!((&detections, faults), (&expected, Vec::new()));
    assert_eq!(summary["logits_crc32"], laptop["logits_crc32"]);
    assert_eq!(
        summary["npu"],
        json!({ "steps": laptop["steps"], "faults": 0 })
    );

    let one = &files[..1];
    let (code, stdout, _) = run(&["run", "--json", &one[0]]);
    assert_eq!(code, 0);
    let (expected, laptop) = objects(&stdout);
    // Each with the distance to the next try in between; what is not the NPU's fault ends it.
    let script = "--npu-model=3:bus,10:parse,20:weights,30:ecc,40:incomplete,50:hang,60:silent,\
                  70:stuck,72:stuck,90:identity";
    let in_sram = image(&folder, MemoryMode::SramOnly);
    let (detections, faults, summary) = on_npu(&in_sram, script, one);
    assert_eq!(detections, expected);
    assert_eq!(summary["logits_crc32"], laptop["logits_crc32"]);
    let faults: Vec<_> = faults
        .iter()
        .map(|fault| {
            let fault = &fault["npu_fault"];
            (fault["fault"].as_str().unwrap(), fault["backoff"].as_u64())
        })
        .collect();
    let once = [
        "Bus",
        "Parse",
        "Weights",
        "Ecc",
        "Incomplete",
        "Timeout",
        "Timeout",
        "Reset",
    ];
    let mut all: Vec<_> = once.map(|fault| (fault, Some(1))).into();
    all.extend([("Reset", Some(2)), ("Mismatch", None)]);
    assert_eq!(faults, all);
    // Steps 0 to 89 but for the faults and those after them, one each and two after the second reset.
    let npu = json!({ "steps": 90 - 9 - 8 - 2, "faults": 10 });
    assert_eq!(summary["npu"], npu);
}

#[test]
fn what_has_no_npu_is_answered_in_one_line() {
    let path = samples().remove(0);
    let folder = tempfile::tempdir().unwrap();
    let image = image(&folder, MemoryMode::SharedSram);
    let cases: [(&[&str], &str); 3] = [
        (
            &["--board", "mps3-an547", "--npu-model"],
            "models/shrunk.zerda: holds no step for an NPU; add one with `zerda npu`",
        ),
        (
            &["--board", "mps2-an386", "--npu-model", "--image", &image],
            "mps2-an386: has no feature `npu-model`",
        ),
        (
            &["--board", "mps3-an547", "--npu-model=3:fire"],
            "expected STEP:FAULT,... with a fault of bus, parse,",
        ),
    ];
    for (arguments, expected) in cases {
        let (code, stdout, stderr) = run(&[&["qemu", &path], arguments].concat());
        assert_eq!((code, stdout.as_str()), (2, ""));
        assert!(stderr.contains(expected), "{stderr}");
    }
}
