//! `zerda keygen`, `sign` and `update`, as their users meet them: with a device at the other end of a pseudo-terminal.
#![cfg(unix)]

mod bench;
#[path = "../common/mod.rs"]
mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use bench::{Bench, Device, Habits, shipped, update};
use common::run;

/// The one line on standard error.
fn one_line(stderr: &str) -> &str {
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    stderr.trim_end()
}

#[test]
fn a_secret_key_is_its_owners_alone_and_no_key_is_replaced() {
    let bench = Bench::new();
    let mode = fs::metadata(bench.at("key.pem"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let before = [bench.at("key.pem"), bench.at("key.pem.pub")].map(|path| fs::read(path).unwrap());
    let (code, stdout, stderr) = run(&["keygen", "-o", &bench.at("key.pem")]);
    assert_eq!((code, stdout.as_str()), (2, ""));
    assert!(one_line(&stderr).contains("key.pem.pub: cannot be written: it is there already"));
    // The public half is gone: the secret one is kept, too.
    fs::remove_file(bench.at("key.pem.pub")).unwrap();
    let (code, _, stderr) = run(&["keygen", "-o", &bench.at("key.pem")]);
    assert_eq!(code, 2);
    assert!(one_line(&stderr).contains("key.pem: cannot be written: it is there already"));
    assert_eq!(fs::read(bench.at("key.pem")).unwrap(), before[0]);
    assert!(!fs::exists(bench.at("key.pem.pub")).unwrap());
}

#[test]
fn an_update_is_sent_tried_and_confirmed_and_then_there_is_nothing_to_do() {
    let bench = Bench::new();
    let device = Device::new(Some(bench.key()), Habits::default());
    let second = bench.sign(2, "desk");
    let (code, stdout, stderr) = update(&second, &device.port);
    assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
    let last = stdout.lines().last().unwrap();
    assert!(
        last.ends_with("version 2 ran well and is confirmed"),
        "{stdout}"
    );
    let (code, stdout, _) = update(&second, &device.port);
    assert_eq!(code, 0);
    assert!(
        stdout.ends_with("version 2 is confirmed already\n"),
        "{stdout}"
    );
    let (code, _, stderr) = update(&bench.sign(1, "desk"), &device.port);
    assert_eq!(code, 1);
    let said = "has version 1, and 2 is confirmed: sign it with a higher one";
    assert!(one_line(&stderr).ends_with(said), "{stderr}");
    let flash = device.stop();
    let image = fs::read(shipped()).unwrap();
    let second = flash.range(0..(2 << 19) + 8192);
    assert_eq!(
        second
            .windows(image.len())
            .filter(|at| *at == image)
            .count(),
        2
    );
}

#[test]
fn a_line_that_loses_bytes_and_power_that_goes_only_take_longer() {
    let bench = Bench::new();
    let habits = Habits {
        loses: 40_009,
        power_goes_after: 3000,
        hangs: false,
    };
    let device = Device::new(Some(bench.key()), habits);
    let file = bench.sign(2, "desk");
    // The device forgets what it was sent, but for whole sectors.
    let (code, _, stderr) = update(&file, &device.port);
    assert_eq!(code, 1);
    let said = "the device restarted meanwhile: send it again";
    assert!(one_line(&stderr).ends_with(said), "{stderr}");
    let (code, stdout, stderr) = update(&file, &device.port);
    assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
    assert!(stdout.contains("version 2 goes on at byte "), "{stdout}");
    assert!(
        stdout.contains("version 2 ran well and is confirmed"),
        "{stdout}"
    );
    assert!(!device.stop().violation());
}

#[test]
fn a_version_that_does_not_run_well_is_told() {
    let bench = Bench::new();
    let habits = Habits {
        hangs: true,
        ..Habits::default()
    };
    let device = Device::new(Some(bench.key()), habits);
    let (code, _, stderr) = update(&bench.sign(2, "desk"), &device.port);
    assert_eq!(code, 1);
    let said = "version 2 did not run well, and the device went back to version 1";
    assert!(one_line(&stderr).ends_with(said), "{stderr}");
    device.stop();
}

#[test]
fn each_wrong_update_is_told_in_one_line() {
    let bench = Bench::new();
    let device = Device::new(Some(bench.key()), Habits::default());
    let told = |file: &str, code: i32, said: &str| {
        let (found, stdout, stderr) = update(file, &device.port);
        assert_eq!((found, stdout.as_str()), (code, ""), "{stderr}");
        assert!(one_line(&stderr).ends_with(said), "{stderr}");
    };
    told(
        &bench.sign(2, "kitchen"),
        1,
        "kitchen.zup: was signed for another board",
    );
    let other = Bench::new();
    told(
        &other.sign(2, "desk"),
        1,
        "is not signed with the key that belongs to the public one in the firmware",
    );
    told(
        &shipped().display().to_string(),
        2,
        "is no update, expected what `zerda sign` writes",
    );
    let whole = fs::read(bench.sign(2, "desk")).unwrap();
    fs::write(bench.at("short.zup"), &whole[..whole.len() - 1]).unwrap();
    told(&bench.at("short.zup"), 2, ": sign it again");
    let mut damaged = whole;
    damaged[5000] ^= 1;
    fs::write(bench.at("damaged.zup"), &damaged).unwrap();
    let (code, _, stderr) = update(&bench.at("damaged.zup"), &device.port);
    assert_eq!(code, 1);
    let said = "holds another image than the one that was signed";
    assert!(one_line(&stderr).ends_with(said), "{stderr}");
    device.stop();

    let off = Device::new(None, Habits::default());
    let (code, _, stderr) = update(&bench.sign(2, "desk"), &off.port);
    assert_eq!(code, 1);
    assert!(
        one_line(&stderr).starts_with("zerda: updates are off: "),
        "{stderr}"
    );
    off.stop();
    let (code, _, stderr) = update(&bench.sign(3, "desk"), "/dev/no-such-port");
    assert_eq!(code, 2);
    assert!(
        one_line(&stderr).contains("no such serial port"),
        "{stderr}"
    );
}

#[test]
fn what_is_no_image_or_no_key_is_not_signed() {
    let bench = Bench::new();
    let sign = |image: &str, key: &str| {
        let output = bench.at("out.zup");
        let arguments = [
            "sign",
            image,
            "--key",
            key,
            "--version",
            "2",
            "--board",
            "desk",
        ];
        let (code, _, stderr) = run(&[&arguments[..], &["-o", &output]].concat());
        assert_eq!(code, 2);
        assert!(!fs::exists(&output).unwrap());
        one_line(&stderr).to_string()
    };
    let (key, image) = (bench.at("key.pem"), shipped().display().to_string());
    assert!(sign(&key, &key).contains("key.pem"));
    assert!(sign(&image, &image).contains("shrunk.zerda"));
    let public = sign(&image, &bench.at("key.pem.pub"));
    assert!(
        public.ends_with("expected what `zerda keygen` writes"),
        "{public}"
    );
}
