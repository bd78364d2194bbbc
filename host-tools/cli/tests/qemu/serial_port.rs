//! The serial port that QEMU serves: who listens to it, over a line that may damage a frame.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::{BOARDS, objects, root, run, samples, tools, zerda};

#[test]
fn monitor_sees_on_the_served_port_what_run_detects_but_for_what_is_damaged() {
    if !tools() {
        return;
    }
    let path = root().join("models/samples/lift.wav").display().to_string();
    let commands = |stdout: &str| {
        let reports = objects(stdout).0.into_iter();
        let commands = reports.map(|one| one["command"].clone());
        let commands = commands.filter(|command| !command.is_null());
        commands.collect::<Vec<_>>()
    };
    let mut expected = commands(&run(&["run", "--json", &path]).1);
    // An empty frame comes first, which would end what a restart cut off; then the start, and the first command, within
    // the first second.
    for damaged in [None, Some(2)] {
        let (mut qemu, _stderr, address) = serve(&path);
        let address = match damaged {
            Some(frame) => damaging_line(address, frame),
            None => address,
        };
        let (code, stdout, stderr) = run(&["monitor", "--json", &format!("tcp:{address}")]);
        assert_eq!(code, 0, "{stderr}");
        assert_eq!(
            objects(&stdout).1["corrupted"],
            u32::from(damaged.is_some())
        );
        if damaged.is_some() {
            expected.remove(0);
        }
        assert_eq!(commands(&stdout), expected);
        assert!(qemu.wait().unwrap().success());
    }
}

/// Waits for QEMU to listen.
fn connect(address: &str) -> TcpStream {
    let begin = Instant::now();
    loop {
        match TcpStream::connect(address) {
            Ok(line) => return line,
            Err(error) => assert!(begin.elapsed() < Duration::from_secs(60), "{error}"),
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// A line to this address that flips a bit in the middle of one frame.
fn damaging_line(address: String, frame: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let here = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        let (mut monitor, _) = listener.accept().unwrap();
        let mut qemu = connect(&address);
        let mut bytes = Vec::new();
        qemu.read_to_end(&mut bytes).unwrap();
        let frame = bytes.split_mut(|&byte| byte == 0).nth(frame).unwrap();
        frame[frame.len() / 2] ^= 0x80;
        monitor.write_all(&bytes).unwrap();
    });
    here
}

/// `zerda qemu --serve` when it waits to be connected to: itself, its standard error, the address.
fn serve(path: &str) -> (Child, impl Read, String) {
    served(|address| zerda(&["qemu", "--board", BOARDS[0].0, "--serve", address, path]))
}

/// The same of the command for an address.
pub fn served(command: impl FnOnce(&str) -> Command) -> (Child, impl Read, String) {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let mut qemu = command(&address).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = BufReader::new(qemu.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains(&address) {
        line.clear();
        assert!(stderr.read_line(&mut line).unwrap() > 0, "it ends");
    }
    (qemu, stderr, address)
}

#[cfg(unix)]
#[test]
fn who_ends_zerda_ends_qemu() {
    if !tools() {
        return;
    }
    let path = samples().remove(0);
    let (mut qemu, _stderr, address) = serve(&path);
    let mut line = connect(&address);
    let id = qemu.id().to_string();
    assert!(Command::new("kill").arg(&id).status().unwrap().success());
    assert_eq!(qemu.wait().unwrap().code(), Some(130));
    // QEMU's end of the line is closed, and it no longer listens.
    line.set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    // What it had not read yet when it ended resets the line.
    let closed = line.read_to_end(&mut Vec::new());
    let reset = |error: io::Error| error.kind() == io::ErrorKind::ConnectionReset;
    assert!(closed.is_ok() || closed.is_err_and(reset));
    assert!(TcpStream::connect(&address).is_err());
}
