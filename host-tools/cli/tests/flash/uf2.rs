//! `zerda flash --uf2`, on an ELF of known content.

use std::fs;

use serde_json::{Value, json};

use super::{Bench, firmware, image, one_line};

/// A board whose boot loader takes UF2 files.
fn with_uf2() -> Bench {
    let bench = Bench::new(&firmware(0x2000_0040), true);
    let path = bench.path("firmware/boards/desk/board.toml");
    let facts = fs::read_to_string(&path).unwrap();
    fs::write(path, facts + "\n[uf2]\nfamily = 0xE48BFF59\n").unwrap();
    bench
}

/// Address and family of each block, by the specification's offsets.
fn blocks(file: &[u8]) -> Vec<(u32, u32)> {
    assert_eq!(file.len() % 512, 0);
    let word = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().unwrap());
    let blocks = file.chunks(512);
    blocks
        .map(|block| (word(&block[12..16]), word(&block[28..32])))
        .collect()
}

#[test]
fn a_uf2_file_holds_the_firmware_and_needs_no_probe() {
    let bench = with_uf2();
    let file = bench.path("desk.uf2");
    let path = file.display().to_string();
    let (code, stdout, stderr) = bench.flash(&["--uf2", &path, "--dry-run"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    let last = stdout.lines().last().unwrap();
    assert!(
        last.ends_with("for family 0xe48bff59, would be written"),
        "{last}"
    );
    assert!(!file.exists());
    let json = |arguments: &[&str]| {
        let (code, stdout, _) = bench.flash(&[&["--uf2", &path, "--json"], arguments].concat());
        assert_eq!(code, 0);
        let report: Value = serde_json::from_str(&stdout).unwrap();
        report["uf2"].clone()
    };
    // From the vectors to the end of the initial values of RAM, without a gap: blocks of 512 bytes, for 256 each.
    let pages = (1024 + 8192 + 32 + image().len() + 2053 + 64).div_ceil(256);
    let told = |written| {
        let (bytes, family) = (512 * pages, 0xE48B_FF59_u32);
        json!({ "path": path, "bytes": bytes, "family": family, "written": written })
    };
    assert_eq!(json(&["--dry-run"]), told(false));
    assert!(!file.exists());
    assert_eq!(json(&[]), told(true));
    fs::remove_file(&file).unwrap();

    let (code, stdout, stderr) = bench.flash(&["--uf2", &path]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    let last = stdout.lines().last().unwrap();
    assert!(
        last.starts_with(&path) && last.ends_with(", written"),
        "{last}"
    );
    let written = fs::read(&file).unwrap();
    let blocks = blocks(&written);
    assert_eq!(blocks.len(), pages);
    let expected = (0..).map(|number| (0x0800_0000 + 256 * number, 0xE48B_FF59));
    assert!(blocks.into_iter().eq(expected.take(pages)));
    assert_eq!(bench.calls("probe-rs"), [] as [&str; 0]);
}

#[test]
fn a_uf2_drive_gets_the_file_and_what_is_none_is_said_before_the_build() {
    let bench = with_uf2();
    let drive = bench.path("drive");
    fs::create_dir(&drive).unwrap();
    let path = drive.display().to_string();
    let (code, stdout, stderr) = bench.flash(&["--uf2", &path]);
    assert_eq!((code, stdout.as_str()), (2, ""));
    one_line(
        &stderr,
        &format!("{path}: a folder without INFO_UF2.TXT, expected "),
    );
    assert_eq!(bench.calls("bash"), [] as [&str; 0]);

    fs::write(drive.join("INFO_UF2.TXT"), "UF2 Bootloader v1.0\n").unwrap();
    let (code, _, stderr) = bench.flash(&["--uf2", &path]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert!(!blocks(&fs::read(drive.join("desk.uf2")).unwrap()).is_empty());

    let bench = Bench::new(&firmware(0x2000_0040), true);
    let (code, stdout, stderr) = bench.flash(&["--uf2", "desk.uf2"]);
    assert_eq!((code, stdout.as_str()), (2, ""));
    one_line(
        &stderr,
        "desk: takes no UF2 file: its board.toml has no [uf2]",
    );
}
