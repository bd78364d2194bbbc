//! `zerda flash`, on an ELF of known content and stand-ins for the tools that it calls, which say
//! what the real ones say; and on the board that is flashed.
#![cfg(unix)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use zerda_device::test_support::{elf, section};
use zerda_support::test_support::{in_ci, say_skipped};
use zerda_support::wake;

mod bench;
mod uf2;

use bench::Bench;

const STACK: u32 = 16 * 1024;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn image() -> Vec<u8> {
    fs::read(root().join("models/shrunk.zerda")).expect("the shipped image")
}

/// Vectors, code, constants with the image and a table, data, zeroed data that starts at `bss` with
/// 8 KiB of model memory, debug information. The stack has the last 16 KiB of 64.
fn firmware(bss: u32) -> Vec<u8> {
    let (text, rodata) = (0x0800_0400, 0x0800_2400);
    let constants = [vec![1; 32], image(), vec![2; 2048 + 5]].concat();
    let table = rodata + 32 + image().len() as u32;
    let data = rodata + constants.len() as u32;
    let mut debug = section(".debug_info", 0, None, vec![0; 9999]);
    debug.flags = 0;
    let sections = [
        section(
            ".vector_table",
            0x0800_0000,
            Some(0x0800_0000),
            vec![0; 1024],
        ),
        section(".text", text, Some(text), vec![0; 0x2000]),
        section(".rodata", rodata, Some(rodata), constants),
        section(".data", 0x2000_0000, Some(data), vec![0; 64]),
        section(".bss", bss, None, vec![0; 8192 + 300]),
        debug,
    ];
    let symbols = [
        ("__INTERRUPTS", 0x0800_0000, 1024, 1),
        ("_ZN5board5TABLE17h0123456789abcdefE", table, 2048, 3),
        ("_ZN5board6MEMORY17h0123456789abcdefE", bss, 8192, 5),
        ("_ZN5board5SMALL17h0123456789abcdefE", bss + 8192, 300, 5),
        ("_stack_start", 0x2001_0000, 0, 0xfff1),
        ("_stack_end", 0x2001_0000 - STACK, 0, 0xfff1),
    ];
    elf(&sections, &symbols)
}

fn one_line(stderr: &str, expected: &str) {
    assert!(
        stderr.starts_with(&format!("zerda: {expected}")),
        "{stderr}"
    );
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}

#[test]
fn a_dry_run_shows_regions_and_calls_and_touches_no_probe() {
    let bench = Bench::new(&firmware(0x2000_0040), true);
    let (code, stdout, stderr) = bench.flash(&["--dry-run"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    let image = image().len();
    let flash = 1024 + 8192 + image + 2048 + 37 + 64;
    let expected = [
        "model image: not gated, every command counts at any time".into(),
        "quiet gate: none, the network never rests".into(),
        format!(
            "FLASH at 0x08000000: {:.1} of 512 KiB, {:.1} %",
            flash as f64 / 1024.0,
            flash as f64 / 5242.88
        ),
        "      1024 .vector_table".into(),
        "      8192 .text".into(),
        format!("{image:>10} model image"),
        "      2048 .rodata board::TABLE".into(),
        "        37 .rodata".into(),
        "        64 .data, initial values".into(),
        // 64 + 8492 + 16384.
        "RAM at 0x20000000: 24.4 of 64 KiB, 38.1 %".into(),
        "        64 .data".into(),
        "      8192 .bss board::MEMORY".into(),
        "       300 .bss".into(),
        "     16384 stack, reserved".into(),
        format!(
            "probe-rs download --non-interactive --disable-progressbars --verify --chip \
             STM32H743ZITx {}",
            bench.elf()
        ),
        "probe-rs reset --non-interactive --chip STM32H743ZITx".into(),
    ];
    assert_eq!(stdout.lines().collect::<Vec<_>>(), expected);
    assert_eq!(bench.calls("probe-rs"), [] as [&str; 0]);

    let (_, stdout, _) = bench.flash(&["--dry-run", "--json"]);
    let report: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(report["wake"], Value::Null);
    assert_eq!(report["quiet"], Value::Null);
    assert_eq!(
        (&report["board"], &report["elf"]),
        (&json!("desk"), &json!(bench.elf()))
    );
    let regions = report["regions"].as_array().unwrap();
    assert_eq!(
        (&regions[0]["name"], &regions[0]["used"]),
        (&json!("FLASH"), &json!(flash))
    );
    assert_eq!(regions[1]["origin"], 0x2000_0000);
    assert_eq!(
        (&regions[1]["length"], &regions[1]["used"]),
        (&json!(65_536), &json!(24_940))
    );
    assert_eq!(
        regions[1]["parts"][1],
        json!({ "name": ".bss board::MEMORY", "bytes": 8192 })
    );
    assert_eq!(report["commands"].as_array().unwrap().len(), 2);

    // An image whose network rests while nobody speaks.
    let shipped = root().join("models/shrunk.zerda");
    let quiet = wake::open(&shipped, None, Some(1i64.try_into().unwrap())).unwrap();
    let path = bench.path("quiet.zerda").display().to_string();
    fs::write(&path, quiet.bytes()).unwrap();
    let (_, stdout, _) = bench.flash(&["--dry-run", "--image", &path]);
    let line = "quiet gate: sensitivity 1, open for 300 ms after the last sound";
    assert_eq!(stdout.lines().nth(1), Some(line));
    let (_, stdout, _) = bench.flash(&["--dry-run", "--json", "--image", &path]);
    let report: Value = serde_json::from_str(&stdout).unwrap();
    let expected = json!({ "sensitivity": 1, "hangover_ms": 300 });
    assert_eq!(report["quiet"], expected);
}

#[test]
fn the_firmware_is_built_written_verified_and_started() {
    let bench = Bench::new(&firmware(0x2000_0040), true);
    let (code, stdout, stderr) = bench.flash(&[]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert_eq!(stdout.lines().last(), Some("desk is flashed and runs"));
    let download = "download --non-interactive --disable-progressbars --verify";
    let expected = [
        "chip info STM32H743ZITx".into(),
        format!("{download} --chip STM32H743ZITx {}", bench.elf()),
        "reset --non-interactive --chip STM32H743ZITx".into(),
    ];
    assert_eq!(bench.calls("probe-rs"), expected);
}

#[test]
fn a_missing_tool_or_an_unknown_chip_is_said_before_the_build() {
    let bench = Bench::new(&firmware(0x2000_0040), true);
    fs::remove_file(bench.path("bin/probe-rs")).unwrap();
    let (code, stdout, stderr) = bench.flash(&[]);
    assert_eq!((code, stdout.as_str()), (2, ""));
    one_line(
        &stderr,
        "probe-rs is not installed, or not in PATH: `cargo install probe-rs-tools",
    );

    let unknown =
        "Error: The requested chip 'STM32H743ZITx' was not found in the list of known targets.\n";
    bench.tool("probe-rs", 1, "STM32H743ZITx\n", unknown);
    let (code, stdout, stderr) = bench.flash(&[]);
    assert_eq!((code, stdout.as_str()), (2, ""));
    one_line(
        &stderr,
        "STM32H743ZITx: probe-rs does not know one chip of this name",
    );
    assert_eq!(bench.calls("bash"), [] as [&str; 0]);
    assert_eq!(bench.flash(&["--dry-run"]).0, 0);
}

/// What probe-rs 0.32 prints.
#[test]
fn each_failure_of_probe_rs_is_one_line() {
    let hint = " WARN probe_rs::util::setup_hints::linux: See https://probe.rs/docs for how to set \
        up the required udev rules and group membership.\n";
    let no_probe = format!("{hint}Error: No connected probes were found.\n");
    let no_power = " WARN probe_rs::probe::stlink: Target voltage (VAPP) is 0.01 V. Is your target \
        device powered?\nError: Connecting to the chip was unsuccessful.\n\nCaused by:\n    \
        0: An ARM specific error occurred.\n    1: Target device did not respond to request.\n";
    let probes = "Available Probes:\n0: STLink V3 -- 0483:374e:0031 (ST-LINK)\n1: J-Link -- \
        1366:0101:0007 (J-Link)\nSelection: \n";
    let index = "Error: Failed to parse probe index\n\nCaused by:\n    cannot parse integer from \
        empty string\n";
    let old = "error: unexpected argument '--verify' found\n\n  tip: to pass '--verify' as a \
        value, use '-- --verify'\n\nUsage: probe-rs download <PATH>\n";
    let bench = Bench::new(&firmware(0x2000_0040), true);
    for (call, stdout, stderr, expected) in [
        (
            "download",
            "",
            no_probe.as_str(),
            "no debug probe found: connect the board's debug USB",
        ),
        (
            "download",
            "",
            no_power,
            "STM32H743ZITx: probe-rs: Connecting to the chip was unsuccessful. Target device did \
             not respond to request. Target voltage (VAPP) is 0.01 V. Is your target device \
             powered? Is the board powered, and has it this chip?\n",
        ),
        (
            "download",
            probes,
            index,
            "several debug probes, set PROBE_RS_PROBE to VID:PID:SERIAL of one: 0: STLink V3 -- \
             0483:374e:0031 (ST-LINK), 1: J-Link -- 1366:0101:0007 (J-Link)\n",
        ),
        (
            "reset",
            "",
            "Error: Probe is already in use\n",
            "STM32H743ZITx: probe-rs: Probe is already in use\n",
        ),
        (
            "download",
            "",
            old,
            "STM32H743ZITx: probe-rs: unexpected argument '--verify' found\n",
        ),
        (
            "download",
            "",
            "",
            "STM32H743ZITx: probe-rs: it failed without a word\n",
        ),
    ] {
        bench.tool_failing_at(call, "probe-rs", 1, stdout, stderr);
        let (code, stdout, stderr) = bench.flash(&[]);
        assert_eq!(code, 2);
        assert!(!stdout.contains("is flashed"), "{stdout}");
        one_line(&stderr, expected);
    }
}

#[test]
fn a_board_without_a_chip_is_not_flashed_but_its_regions_are_shown() {
    let bench = Bench::new(&firmware(0x2000_0040), false);
    let (code, stdout, stderr) = bench.flash(&[]);
    assert_eq!((code, stdout.as_str()), (2, ""));
    one_line(&stderr, "desk: not a board to flash: ");
    let (code, stdout, _) = bench.flash(&["--dry-run"]);
    assert_eq!(code, 0);
    assert_eq!(
        stdout.lines().last(),
        Some("desk: no board to flash, QEMU runs it")
    );
}

#[test]
fn a_firmware_that_does_not_fit_is_one_line() {
    let into_stack = 0x2001_0000 - STACK - 8192;
    let bench = Bench::new(&firmware(into_stack), true);
    let (code, _, stderr) = bench.flash(&["--dry-run"]);
    assert_eq!(code, 1);
    let expected = "300 bytes of .bss lie in the 16384 bytes reserved for the stack";
    one_line(&stderr, &format!("{}: {expected}", bench.elf()));

    let bench = Bench::new(&firmware(0x3000_0000), true);
    let (code, _, stderr) = bench.flash(&["--dry-run"]);
    assert_eq!(code, 2);
    let expected = ".bss at 0x30000000 to 0x3000212c lies in no region of memory.x";
    one_line(&stderr, &format!("{}: {expected}", bench.elf()));

    let rendered = "error: linking with `rust-lld` failed: exit status: 1\n  |\n  = note:  \
        \"rust-lld\" \"-flavor\" \"gnu\"\n  = note: rust-lld: error: section '.rodata' will not \
        fit in region 'FLASH': overflowed by 50456 bytes\n          rust-lld: error: section \
        '.data' will not fit in region 'FLASH': overflowed by 50512 bytes\n\n";
    let message = json!({ "reason": "compiler-message", "message": { "rendered": rendered }});
    bench.tool("bash", 101, &format!("{message}\n"), "");
    let (code, _, stderr) = bench.flash(&["--dry-run"]);
    assert_eq!(code, 1);
    one_line(
        &stderr,
        "desk: the firmware does not fit: section '.rodata' will not fit in region 'FLASH': \
         overflowed by 50456 bytes\n",
    );
}

#[test]
fn what_is_no_firmware_is_said_in_one_line() {
    let whole = firmware(0x2000_0040);
    for damaged in [
        b"no ELF".as_slice(),
        &[],
        &whole[..100],
        &whole[..whole.len() - 100],
    ] {
        let bench = Bench::new(damaged, true);
        let (code, stdout, stderr) = bench.flash(&["--dry-run"]);
        assert_eq!((code, stdout.as_str()), (2, ""));
        one_line(&stderr, &format!("{}: not a 32-bit ELF", bench.elf()));
    }
}

/// Boards that ship: SKIPPED without their targets, but not in CI.
#[test]
fn the_boards_fit_their_flash_and_ram() {
    // The product's own limits: 384 KiB of flash, 96 KiB of RAM; the image in RAM comes on top.
    for (board, target, ram) in [
        ("nucleo-h743zi", "thumbv7em-none-eabihf", 96 * 1024),
        (
            "raspberry-pi-pico-2",
            "thumbv8m.main-none-eabihf",
            96 * 1024 + image().len() as u64,
        ),
        (
            "esp32-c6",
            "riscv32imac-unknown-none-elf",
            // Its own limit: two buffers of DMA, too.
            352 * 1024,
        ),
    ] {
        let script = root().join("firmware/setup.sh");
        let set_up = Command::new("bash")
            .arg(script)
            .args(["targets", target])
            .output();
        let why = match &set_up {
            Ok(output) if output.status.success() => None,
            Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().to_string()),
            Err(error) => Some(format!("bash: {error}")),
        };
        if let Some(why) = why {
            assert!(!in_ci(), "{target} is needed in CI: {why}");
            say_skipped(&format!("the regions of {board}"), &why);
            continue;
        }
        fits(board, ram);
    }
}

fn fits(board: &str, ram: u64) {
    let output = Command::new(env!("CARGO_BIN_EXE_zerda"))
        .args(["flash", "--board", board, "--dry-run", "--json"])
        .current_dir(root())
        .output()
        .expect("zerda starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let regions = report["regions"].as_array().unwrap();
    let used = |region: &Value| region["used"].as_u64().unwrap();
    let flash = regions
        .iter()
        .find(|region| region["name"] == "FLASH")
        .unwrap();
    let image = json!({ "name": "model image", "bytes": image().len() });
    let holds = |region: &Value| region["parts"].as_array().unwrap().contains(&image);
    assert!(regions.iter().any(holds), "{report}");
    assert!(used(flash) <= 384 * 1024, "{flash}");
    let others = regions.iter().filter(|region| region["name"] != "FLASH");
    assert!(others.map(used).sum::<u64>() <= ram, "{report}");
}
