//! A serial port: a pseudo-terminal, whose other end the test holds.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::fs::symlink;

use serialport::{SerialPort, TTYPort};

use super::bench::{START, counts, detection, frame, frames, start};
use super::outside::signal;

/// A port, and the device's end of it: when that is dropped, the port is gone.
fn port() -> (TTYPort, File) {
    let (device, port) = TTYPort::pair().expect("a pseudo-terminal");
    // SAFETY: the number is that of an open file, and nobody else has it from now on.
    let device = unsafe { OwnedFd::from_raw_fd(device.into_raw_fd()) };
    // Programs that the test starts do not get the copy: they would hold the device's end open.
    (port, File::from(device.try_clone().unwrap()))
}

#[test]
fn a_serial_port_is_a_source() {
    let (port, mut device) = port();
    let mut child = start(&["--json", &port.name().expect("its name")]);
    let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
    device.write_all(&frames().concat()).unwrap();
    for _ in 0..6 {
        let line = stdout.next().expect("a line").unwrap();
        assert!(line.starts_with('{'), "{line}");
    }
    signal(&child, "INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn a_port_that_goes_away_is_opened_again_when_it_is_back_and_each_is_said_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tty");
    let name = path.to_str().unwrap();
    // As a port of USB has the same name when it is back.
    let plug = || {
        let (port, device) = port();
        symlink(port.name().expect("its name"), &path).unwrap();
        (port, device)
    };
    let (port, mut device) = plug();
    let mut child = start(&["--json", name]);
    let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut said = || stdout.next().expect("a line").unwrap();
    let mut noted = || stderr.next().expect("a line").unwrap();
    let first = [frame(0, &START), frame(1, &detection("yes"))].concat();
    device.write_all(&first).unwrap();
    assert!(said().contains("start") && said().contains("yes"));
    let is_gone = |line: String| {
        let (begin, end) = (format!("zerda: {name}: the port is gone"), "Ctrl-C ends");
        assert!(line.starts_with(&begin) && line.ends_with(end), "{line}");
    };
    fs::remove_file(&path).unwrap();
    drop((port, device));
    is_gone(noted());
    // It is looked for more than once.
    std::thread::sleep(std::time::Duration::from_millis(500));
    let (port, mut device) = plug();
    assert_eq!(noted(), format!("zerda: {name}: the port is back"));
    device.write_all(&frame(3, &detection("no"))).unwrap();
    assert!(said().contains("no"));
    assert!(noted().ends_with(": 1 lost before frame 3"));
    drop((port, device));
    is_gone(noted());
    signal(&child, "INT");
    let summary: serde_json::Value = serde_json::from_str(&said()).unwrap();
    assert_eq!(summary["summary"], counts(3, 0, 1, 2));
    assert_eq!(child.wait().unwrap().code(), Some(130));
}
