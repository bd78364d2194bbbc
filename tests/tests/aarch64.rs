//! The kernels for AArch64 equal the plain ones, and the whole recognizer computes there what it does here:
//! `tests/aarch64` says so in QEMU.

use std::path::PathBuf;
use std::process::Command;

use zerda_firmware::kernels::choice::available;
use zerda_firmware::step::Cpu;
use zerda_firmware::{Event, Recognizer};
use zerda_support::audio;
use zerda_tests::{in_ci, repository, say_skipped, shipped_image};

const TARGET: &str = "aarch64-unknown-none";

/// Runs a script's step, and returns what it says on standard error if it fails.
fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// Returns the program and QEMU's, or why they cannot be had. Beside what every AArch64 has, the program may use these
/// features.
fn build(features: &str) -> Result<(PathBuf, PathBuf), String> {
    let setup = repository("firmware/setup.sh");
    run(Command::new("bash").arg(&setup).args(["qemu", "aarch64"]))?;
    let unpacked = repository("target/tools/bin/qemu-system-aarch64");
    let qemu = match unpacked.exists() {
        true => unpacked,
        false => "qemu-system-aarch64".into(),
    };
    let flags = [
        "-Clink-arg=--image-base=0x40100000".into(),
        format!("-Ctarget-feature={features}"),
    ];
    let folder = repository("target/aarch64").join(features);
    run(Command::new("bash")
        .arg(&setup)
        .args(["cargo", TARGET, "--config"])
        .arg(format!("target.{TARGET}.rustflags={flags:?}"))
        .args(["build", "--release", "--target", TARGET])
        .current_dir(repository("tests/aarch64"))
        .env("CARGO_TARGET_DIR", &folder))?;
    Ok((folder.join(TARGET).join("release/aarch64"), qemu))
}

/// Returns the CRC-32 of all logits of the sample, with the plain kernels on this machine.
fn logits() -> u32 {
    let file = shipped_image();
    let image = file.image().unwrap();
    let mut memory = vec![0; image.memory_bytes()];
    let plain = available().last().unwrap();
    let mut recognizer =
        Recognizer::with_step(&image, memory.as_mut_slice(), Cpu::with(plain)).unwrap();
    let samples = audio::read(&repository("models/samples/answers.wav")).unwrap();
    let mut crc = crc32fast::Hasher::new();
    recognizer.push_events(&samples, |event| {
        if let Event::Step { logits, .. } = event {
            crc.update(&logits.iter().map(|&logit| logit as u8).collect::<Vec<_>>());
        }
    });
    crc.finalize()
}

#[test]
fn kernels_for_aarch64_equal_the_plain_ones_and_hear_the_same() {
    for (features, cpu, kernels) in [
        ("+neon", "cortex-a72", &["neon", "plain"][..]),
        ("+dotprod", "cortex-a76", &["dotprod", "neon", "plain"]),
    ] {
        let (program, qemu) = match build(features) {
            Ok(built) => built,
            Err(why) if why.contains("setup: ") && !in_ci() => return say_skipped("AArch64", &why),
            Err(why) => panic!("{why}"),
        };
        let said = run(Command::new(qemu)
            .args(["-M", "virt", "-cpu", cpu, "-nic", "none", "-nographic"])
            .args(["-monitor", "none", "-serial", "none", "-semihosting-config"])
            .args(["enable=on,target=native", "-kernel"])
            .arg(program));
        let line = |name| format!("{name}: logits {:08x}\n", logits());
        let expected: String = kernels.iter().map(line).collect();
        assert_eq!(said, Ok(expected), "{cpu}");
    }
}
