//! Constants of the NPU in SRAM, to which the firmware copies them.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;
use zerda_support::image_file::ImageFile;

use super::common::{root, run};
use super::{section_is, vela};

/// In flash, behind 0.5 GB/s, it is 91 ms by the same estimate.
#[test]
fn constants_in_sram_make_a_step_faster_and_count_as_sram() {
    if vela("npu with constants in SRAM").is_none() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let [output, other] = ["sram.zerda", "shared.zerda"].map(|name| folder.path().join(name));
    let path = output.to_str().unwrap();
    let arguments = [
        "npu",
        "--target",
        "ethos-u55-256",
        "--json",
        "--memory-mode",
    ];
    let said = |mode, output| {
        let (code, stdout, stderr) = run(&[&arguments[..], &[mode, "-o", output]].concat());
        assert_eq!((code, stderr.as_str()), (0, ""));
        serde_json::from_str::<Value>(&stdout).expect("JSON")
    };
    let shared = said("shared-sram", other.to_str().unwrap());
    let said = said("sram-only", path);
    assert!(99.0 * said["step_ms"].as_f64().unwrap() <= 55.0, "{said}");
    let bytes = |of: &Value, key: &str| of[key].as_u64().unwrap();
    let more = bytes(&said, "sram_bytes") - bytes(&shared, "sram_bytes");
    assert!(
        more.abs_diff(bytes(&shared, "flash_bytes")) < 1024,
        "{said} {shared}"
    );
    section_is(&output, &said);

    // A board whose SRAM holds one byte less than is needed is told so; one without a figure is not.
    let file = fs::read_to_string(root().join("config/boards/ethos-u55-256.toml")).unwrap();
    let image = ImageFile::open(&output).unwrap();
    let needed = image.image().unwrap().npu().unwrap().buffer_bytes();
    let board = folder.path().join("desk.toml");
    fs::write(&board, file.replace("2_097_152", &(needed - 1).to_string())).unwrap();
    let board = board.to_str().unwrap();
    let (code, _, why) = run(&["simulate", "--board", board, "--image", path]);
    assert_eq!((code, why.lines().count()), (1, 1), "{why}");
    let expected = format!("needs {needed} bytes of SRAM, and there are {}", needed - 1);
    assert!(why.contains(&expected), "{why}");
}
