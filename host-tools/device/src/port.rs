//! Opens the lines to devices: serial ports and TCP servers.

use std::io::{self, ErrorKind};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serialport::SerialPort;

use zerda_support::error::{Error, Result};

/// Time that a TCP server that refuses may take to come up: QEMU or a bridge that starts at the
/// same time.
const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(unix)]
pub(crate) fn is_port(source: &str) -> bool {
    use std::os::unix::fs::FileTypeExt;
    Path::new(source)
        .metadata()
        .is_ok_and(|metadata| metadata.file_type().is_char_device())
}

#[cfg(not(unix))]
pub(crate) fn is_port(source: &str) -> bool {
    let name = source.strip_prefix(r"\\.\").unwrap_or(source);
    let number = name.get(..3).filter(|com| com.eq_ignore_ascii_case("COM"));
    number.is_some() && !Path::new(source).is_file()
}

/// Opens a serial port, of which a read blocks for `timeout` while it is silent.
pub(crate) fn open_port(source: &str, baud: u32, timeout: Duration) -> Result<Box<dyn SerialPort>> {
    match serialport::new(source, baud).timeout(timeout).open() {
        Ok(port) => Ok(port),
        Err(error) => Err(Error::usage(match error.kind() {
            serialport::ErrorKind::Io(ErrorKind::PermissionDenied) => format!(
                "{source}: permission denied: join the group that owns serial ports (`sudo usermod \
                 -aG dialout $USER`) and log in again"
            ),
            _ => format!("{source}: cannot be opened as a serial port at {baud} baud: {error}"),
        })),
    }
}

/// Connects to the TCP server of `source`, and waits for a while where it refuses.
pub(crate) fn connect(source: &str, address: &str) -> Result<TcpStream> {
    let start = Instant::now();
    loop {
        let error = match connect_once(address) {
            Ok(stream) => return Ok(stream),
            Err(error) => error,
        };
        if error.kind() != ErrorKind::ConnectionRefused || start.elapsed() >= PATIENCE {
            return Err(Error::usage(match error.kind() {
                ErrorKind::InvalidInput => format!("{source}: {error}, expected tcp:HOST:PORT"),
                ErrorKind::ConnectionRefused => format!(
                    "{source}: connection refused for {} s: nothing listens there",
                    PATIENCE.as_secs()
                ),
                _ => format!("{source}: cannot connect: {error}"),
            }));
        }
        thread::sleep(Duration::from_millis(100));
    }
}

fn connect_once(address: &str) -> io::Result<TcpStream> {
    let mut result = Err(ErrorKind::AddrNotAvailable.into());
    for address in address.to_socket_addrs()? {
        result = TcpStream::connect_timeout(&address, PATIENCE);
        if result.is_ok() {
            break;
        }
    }
    result
}
