//! Nothing in the firmware's libraries can panic, on any core and with any kernels: `tests/no-panic`
//! links.

use std::process::Command;
use std::thread;

use zerda_tests::{in_ci, repository, say_skipped};

/// Builds `tests/no-panic`; the linker's words.
fn link(target: &str, kernels: Option<&str>, cpu: &str) -> Result<(), String> {
    // Where the hardware is does not matter to the linker.
    let linker = ["--entry=entry", "--defsym=hardware=0x1000"].map(|a| format!("-Clink-arg={a}"));
    let flags = [&format!("-Ctarget-cpu={cpu}"), &linker[0], &linker[1]];
    let mut cargo = Command::new("bash");
    cargo
        .arg(repository("firmware/setup.sh"))
        .args(["cargo", target, "--config"])
        .arg(format!("target.{target}.rustflags={flags:?}"))
        .args(["build", "--release", "--target", target])
        .args(kernels.map(|kernels| format!("--features={kernels}")))
        .current_dir(repository("tests/no-panic"))
        // A folder for each, as of boards: with `--remap-path-prefix`, which the script adds, cargo's file
        // names do not tell flags apart.
        .env("CARGO_TARGET_DIR", repository("target/no-panic").join(cpu));
    let output = cargo.output().expect("bash starts");
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

#[test]
fn the_library_links_where_a_panic_could_not() {
    // One thread a core, as each has a folder of its own.
    let cores: [(&str, &str, &[Option<&str>]); 4] = [
        ("thumbv7em-none-eabihf", "cortex-m4", &[None, Some("dsp")]),
        ("thumbv7em-none-eabihf", "cortex-m7", &[Some("dsp")]),
        (
            "thumbv8m.main-none-eabihf",
            "cortex-m55",
            &[None, Some("mve")],
        ),
        ("riscv32imac-unknown-none-elf", "generic-rv32", &[None]),
    ];
    let links = |(target, cpu, features): (_, _, &[Option<&str>])| {
        features.iter().try_for_each(|&kernels| {
            link(target, kernels, cpu)
                .map_err(|error| format!("{target}, {cpu}, {kernels:?}: {error}"))
        })
    };
    let linked = thread::scope(|scope| {
        let threads = cores.map(|core| scope.spawn(move || links(core)));
        let mut threads = threads.into_iter();
        threads.try_for_each(|thread| thread.join().expect("it only links"))
    });
    if let Err(error) = linked {
        if error.contains("setup: ") && !error.contains("zerda_firmware_can_panic") && !in_ci() {
            return say_skipped("no-panic", &error);
        }
        panic!("{error}");
    }
}

/// The proof can fail.
#[test]
fn a_library_that_can_panic_does_not_link() {
    let error = link("thumbv7em-none-eabihf", Some("panic"), "cortex-m4").unwrap_err();
    if error.contains("setup: ") && !in_ci() {
        return say_skipped("no-panic", &error);
    }
    assert!(
        error.contains("undefined symbol: zerda_firmware_can_panic"),
        "{error}"
    );
}

/// The crate that verifies signatures is exempt, as the page of `zerda-update` says, because this proof fails.
#[test]
fn ed25519_is_exempt_because_the_compiler_does_not_see_that_its_indexes_hold() {
    let error = link("thumbv7em-none-eabihf", Some("ed25519"), "cortex-m4").unwrap_err();
    if error.contains("setup: ") && !in_ci() {
        return say_skipped("no-panic", &error);
    }
    assert!(
        error.contains("undefined symbol: zerda_firmware_can_panic"),
        "{error}"
    );
}
