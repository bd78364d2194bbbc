//! `zerda monitor` prints what a device reports about itself, as it reports it.

use std::fmt::Display;
use std::io::{self, ErrorKind, Read};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use zerda_firmware::telemetry::{FrameDecoder, Report};

use zerda_support::error::{Error, Result, say};
use zerda_support::files;
use zerda_support::interrupt;
use zerda_support::output::{self, print};
use zerda_support::report;

/// Number of bytes without one good frame after which a source counts as no telemetry: a second of
/// a line at 921600 baud, many minutes of reports.
const NO_TELEMETRY: u64 = 64 * 1024;

/// Time that a TCP server that refuses may take to come up: QEMU or a bridge that starts at the
/// same time.
const PATIENCE: Duration = Duration::from_secs(5);

pub struct Options {
    /// Source that is read: a serial port, `tcp:HOST:PORT`, a file, or `-` for standard input.
    pub source: String,
    /// Rate in baud that a serial port is opened at.
    pub baud: u32,
    pub json: bool,
}

/// Prints every report until the source ends, or until the user or another program asks it to.
///
/// A frame that cannot be read is skipped and counted as corrupted. Bytes before the first
/// delimiter are the rest of a frame that began before listening did, unless they happen to be a
/// whole one: they are not counted. Bytes after the last are a frame that was cut short: corrupted.
/// Frames missing between two good ones by their sequence numbers, less the corrupted ones seen
/// there, are lost.
pub fn monitor(options: &Options) -> Result<()> {
    let (source, is_port) = open(&options.source, options.baud)?;
    let mut source = interrupt::Source::new(source);
    let mut session = Session {
        source: &options.source,
        baud: is_port.then_some(options.baud),
        json: options.json,
        counts: Counts::default(),
        last: None,
        corrupted_since: 0,
    };
    let mut decoder = FrameDecoder::new();
    let mut buffer = [0; 4096];
    let (mut bytes, mut delimited, mut within) = (0, false, false);
    let end = loop {
        let read = match source.read(&mut buffer) {
            Ok(0) if interrupt::requested() => break Err(Error::Interrupted),
            Ok(0) if is_port => {
                let gone = io::Error::other("the port is gone");
                break Err(Error::read(&options.source, gone));
            }
            Ok(0) => break Ok(()),
            Ok(read) => read,
            // A serial port times out while it is silent.
            Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::TimedOut) => {
                continue;
            }
            Err(error) => break Err(Error::read(&options.source, error)),
        };
        for &byte in &buffer[..read] {
            match decoder.push(byte) {
                Some(Ok((sequence, report))) => session.report(sequence, &report)?,
                Some(Err(error)) if delimited => session.corrupted(error),
                Some(Err(_)) | None => {}
            }
            within = byte != 0;
            delimited |= byte == 0;
            bytes += 1;
            if bytes == NO_TELEMETRY && session.counts.frames == 0 {
                return Err(Error::check(format!(
                    "{}: {bytes} bytes without one valid frame: this is not Zerda's telemetry{}",
                    session.source,
                    session.baud_hint()
                )));
            }
        }
    };
    if within && delimited && !interrupt::requested() {
        session.corrupted("the source ends within it");
    }
    if bytes > 0 || end.is_ok() || interrupt::requested() {
        session.summary()?;
    }
    end?;
    match session.counts.frames {
        0 => Err(Error::check(format!(
            "{}: ended after {bytes} bytes without a valid telemetry frame",
            session.source
        ))),
        _ => Ok(()),
    }
}

/// Opens a source, and says whether it is a serial port.
fn open(source: &str, baud: u32) -> Result<(Box<dyn Read + Send>, bool)> {
    if source == "-" {
        return Ok((Box::new(io::stdin()), false));
    }
    if let Some(address) = source.strip_prefix("tcp:") {
        return Ok((Box::new(connect(source, address)?), false));
    }
    if is_port(source) {
        return Ok((open_port(source, baud)?, true));
    }
    match files::open(Path::new(source)) {
        Ok(file) => Ok((Box::new(file), false)),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(Error::usage(format!(
            "{source}: no such serial port or file, expected /dev/ttyACM0 or COM3, tcp:HOST:PORT, \
             a file, or -"
        ))),
        Err(error) => Err(Error::read(source, error)),
    }
}

#[cfg(unix)]
fn is_port(source: &str) -> bool {
    use std::os::unix::fs::FileTypeExt;
    Path::new(source)
        .metadata()
        .is_ok_and(|metadata| metadata.file_type().is_char_device())
}

#[cfg(not(unix))]
fn is_port(source: &str) -> bool {
    let name = source.strip_prefix(r"\\.\").unwrap_or(source);
    let number = name.get(..3).filter(|com| com.eq_ignore_ascii_case("COM"));
    number.is_some() && !Path::new(source).is_file()
}

fn open_port(source: &str, baud: u32) -> Result<Box<dyn Read + Send>> {
    // No more than how long the read of a silent port blocks.
    let timeout = Duration::from_secs(1);
    match serialport::new(source, baud).timeout(timeout).open() {
        Ok(port) => Ok(Box::new(port)),
        Err(error) => Err(Error::usage(match error.kind() {
            serialport::ErrorKind::Io(ErrorKind::PermissionDenied) => format!(
                "{source}: permission denied: join the group that owns serial ports (`sudo usermod \
                 -aG dialout $USER`) and log in again"
            ),
            _ => format!("{source}: cannot be opened as a serial port at {baud} baud: {error}"),
        })),
    }
}

fn connect(source: &str, address: &str) -> Result<TcpStream> {
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
        std::thread::sleep(Duration::from_millis(100));
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

#[derive(Default)]
struct Counts {
    frames: u64,
    corrupted: u64,
    lost: u64,
    /// Commands and wake words, which are told where there is a sign of a gate.
    heard: output::Counts,
    windows_opened: u64,
    windows_closed: u64,
    /// Whether the window is open, as far as is known.
    awake: bool,
}

impl Counts {
    /// Counts a report by its kind. A window that stays open for longer opens once.
    fn add(&mut self, report: &Report<'_>) {
        self.frames += 1;
        match *report {
            Report::Start { .. } => self.awake = false,
            Report::Detection { .. } => self.heard.commands += 1,
            Report::WakeWord { .. } => self.heard.wake_words += 1,
            Report::Awake { .. } => {
                self.windows_opened += u64::from(!self.awake);
                self.awake = true;
            }
            Report::Asleep { .. } => {
                self.windows_closed += 1;
                self.awake = false;
            }
            // It knows better, where a report was lost or came before we listened.
            Report::Gate { awake, .. } => self.awake = awake,
            _ => {}
        }
        self.heard.gated |= matches!(
            report,
            Report::WakeWord { .. }
                | Report::Awake { .. }
                | Report::Asleep { .. }
                | Report::Gate { .. }
        );
    }

    fn text(&self) -> String {
        let Counts {
            frames,
            corrupted,
            lost,
            heard,
            windows_opened,
            windows_closed,
            ..
        } = self;
        let windows = match (heard.gated, windows_opened) {
            (false, _) => String::new(),
            (true, 1) => format!("; 1 window opened, {windows_closed} closed"),
            (true, n) => format!("; {n} windows opened, {windows_closed} closed"),
        };
        let (commands, wake_words) = (heard.commands, heard.wake_words_text());
        format!(
            "{frames} frames, {corrupted} corrupted, {lost} lost; {commands} commands{wake_words}{windows}"
        )
    }

    fn json(&self) -> Value {
        let mut summary = json!({
            "frames": self.frames,
            "corrupted": self.corrupted,
            "lost": self.lost,
            "detections": self.heard.commands,
        });
        if self.heard.gated {
            summary["wake_words"] = json!(self.heard.wake_words);
            summary["windows_opened"] = json!(self.windows_opened);
            summary["windows_closed"] = json!(self.windows_closed);
        }
        json!({ "summary": summary })
    }
}

struct Session<'a> {
    source: &'a str,
    /// Rate in baud that a serial port was opened at; `None` for any other source.
    baud: Option<u32>,
    json: bool,
    counts: Counts,
    /// Sequence number that the last good frame had.
    last: Option<u16>,
    /// Number of corrupted frames that came since the last good one.
    corrupted_since: u64,
}

impl Session<'_> {
    fn report(&mut self, sequence: u16, report: &Report<'_>) -> Result<()> {
        if self.counts.frames == 0 && self.counts.corrupted > 0 {
            let corrupted = self.counts.corrupted;
            self.note(&format!("{corrupted} corrupted before the first good one"));
        }
        self.count_lost(sequence, matches!(report, Report::Start { .. }));
        self.counts.add(report);
        match report::line(self.source, report, self.json) {
            Some(line) => print(&line),
            None => Ok(()),
        }
    }

    fn count_lost(&mut self, sequence: u16, start: bool) {
        let corrupted = std::mem::take(&mut self.corrupted_since);
        let Some(last) = self.last.replace(sequence) else {
            return;
        };
        let mut missing = sequence.wrapping_sub(last).wrapping_sub(1);
        if start || missing > u16::MAX / 2 {
            self.note(&format!(
                "the device started again: frame {sequence} after {last}"
            ));
            missing = sequence;
        }
        let lost = u64::from(missing).saturating_sub(corrupted);
        if lost > 0 {
            self.note(&format!("{lost} lost before frame {sequence}"));
        }
        self.counts.lost += lost;
    }

    /// Counts a corrupted frame and says so at once; before the first good frame it is only
    /// counted, for it may be no telemetry at all.
    fn corrupted(&mut self, why: impl Display) {
        self.counts.corrupted += 1;
        self.corrupted_since += 1;
        match self.last {
            Some(last) => self.note(&format!("corrupted frame after frame {last}: {why}")),
            // Nobody should watch a silent terminal because of a wrong setting.
            None if self.baud.is_some() && self.counts.corrupted == 3 => {
                self.note(&format!("no good frame yet{}", self.baud_hint()));
            }
            None => {}
        }
    }

    fn baud_hint(&self) -> String {
        let hint = |baud| format!(": does the device send at {baud} baud?");
        self.baud.map(hint).unwrap_or_default()
    }

    /// Prints a line on standard error, beside the reports.
    fn note(&self, text: &str) {
        say(&format!("{}: {text}", self.source));
    }

    fn summary(&self) -> Result<()> {
        print(&match self.json {
            true => self.counts.json().to_string(),
            false => self.counts.text(),
        })
    }
}
