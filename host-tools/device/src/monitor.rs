//! `zerda monitor` prints what a device reports about itself, as it reports it.

mod counts;
mod settings;

use std::fmt::Display;
use std::io::{self, ErrorKind, Read};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use zerda_firmware::telemetry::{FrameDecoder, Report};
use zerda_support::error::{Error, Result, say};
use zerda_support::files;
use zerda_support::interrupt::{self, Source};
use zerda_support::output::print;
use zerda_support::report;

use crate::line::Line;
use crate::port::{connect, is_port, open_port};
use counts::Counts;
pub use settings::Settings;

/// Number of bytes without one good frame after which a source counts as no telemetry: a second of
/// a line at 921600 baud, many minutes of reports.
const NO_TELEMETRY: u64 = 64 * 1024;

/// Time until a port that is gone is looked for the first time, which doubles with each time up to [`LONGEST`].
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(2);
/// Time between two looks at whether the user asked for the end.
const POLL: Duration = Duration::from_millis(50);

pub struct Options {
    /// Source that is read: a serial port, `tcp:HOST:PORT`, a file, or `-` for standard input.
    pub source: String,
    /// Rate in baud that a serial port is opened at.
    pub baud: u32,
    pub json: bool,
    /// Settings that are changed first, and shown; with `None` the device is asked nothing.
    pub settings: Option<Settings>,
}

/// Prints every report until the source ends, or until the user or another program asks it to.
///
/// A frame that cannot be read is skipped and counted as corrupted. Bytes before the first
/// delimiter are the rest of a frame that began before listening did, unless they happen to be a
/// whole one: they are not counted. Bytes after the last are a frame that was cut short: corrupted.
/// Frames missing between two good ones by their sequence numbers, less the corrupted ones seen
/// there, are lost. A serial port that goes away is opened again when it is back.
pub fn monitor(options: &Options) -> Result<()> {
    let is_port = is_port(&options.source);
    let mut session = Session {
        source: &options.source,
        baud: is_port.then_some(options.baud),
        json: options.json,
        decoder: FrameDecoder::new(),
        counts: Counts::default(),
        last: None,
        corrupted_since: 0,
        bytes: 0,
    };
    let mut reader = Source::new(match &options.settings {
        None => open(&options.source, options.baud)?,
        Some(settings) => {
            let mut line = Line::open(&options.source, options.baud)?;
            settings.show(&mut line, &mut session)?;
            session.decoder = line.decoder;
            line.input
        }
    });
    let mut waiting = Waiting::new();
    let end = loop {
        let before = session.bytes;
        let gone = match session.listen(&mut reader)? {
            _ if interrupt::requested() => break Err(Error::Interrupted),
            Ok(()) => break Ok(()),
            Err(error) if !is_port => break Err(Error::read(&options.source, error)),
            Err(error) => error,
        };
        // It is not opened twice at once.
        drop(reader);
        if session.bytes > before {
            waiting.works();
        }
        session.note(&format!(
            "{gone}; it is opened again when it is back, Ctrl-C ends"
        ));
        let Some(port) = waiting.wait(&options.source, options.baud) else {
            break Err(Error::Interrupted);
        };
        session.note("the port is back");
        reader = Source::new(port);
    };
    if session.bytes > 0 || end.is_ok() || interrupt::requested() {
        session.summary()?;
    }
    end?;
    match session.counts.frames {
        0 => Err(Error::check(format!(
            "{}: ended after {} bytes without a valid telemetry frame",
            session.source, session.bytes
        ))),
        _ => Ok(()),
    }
}

/// Opens a source to be read.
fn open(source: &str, baud: u32) -> Result<Box<dyn Read + Send>> {
    if source == "-" {
        return Ok(Box::new(io::stdin()));
    }
    if let Some(address) = source.strip_prefix("tcp:") {
        return Ok(Box::new(connect(source, address)?));
    }
    if is_port(source) {
        return listen_at(source, baud);
    }
    match files::open(Path::new(source)) {
        Ok(file) => Ok(Box::new(file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(Error::usage(format!(
            "{source}: no such serial port or file, expected /dev/ttyACM0 or COM3, tcp:HOST:PORT, \
             a file, or -"
        ))),
        Err(error) => Err(Error::read(source, error)),
    }
}

fn listen_at(port: &str, baud: u32) -> Result<Box<dyn Read + Send>> {
    // No more than how long the read of a silent port blocks.
    let timeout = Duration::from_secs(1);
    Ok(Box::new(open_port(port, baud, timeout)?))
}

/// Looks for a serial port that is gone, ever more seldom, until it can be opened.
struct Waiting {
    delay: Duration,
}

impl Waiting {
    fn new() -> Waiting {
        Waiting { delay: FIRST }
    }

    /// Notes that the port works, so that it is looked for at once when it goes away again.
    fn works(&mut self) {
        self.delay = FIRST;
    }

    /// Returns the port once it is back; `None` if the user or another program asks for the end before.
    fn wait(&mut self, source: &str, baud: u32) -> Option<Box<dyn Read + Send>> {
        loop {
            let until = Instant::now() + self.delay;
            self.delay = (self.delay * 2).min(LONGEST);
            while Instant::now() < until {
                if interrupt::requested() {
                    return None;
                }
                thread::sleep(POLL);
            }
            if let Some(port) = is_port(source)
                .then(|| listen_at(source, baud).ok())
                .flatten()
            {
                return Some(port);
            }
        }
    }
}

struct Session<'a> {
    source: &'a str,
    /// Rate in baud that a serial port was opened at; `None` for any other source.
    baud: Option<u32>,
    json: bool,
    /// Decoder of the source that is listened to next, which may be within a frame.
    decoder: FrameDecoder,
    counts: Counts,
    /// Sequence number that the last good frame had.
    last: Option<u16>,
    /// Number of corrupted frames that came since the last good one.
    corrupted_since: u64,
    /// Number of bytes that were read.
    bytes: u64,
}

impl Session<'_> {
    /// Takes what the source brings until it ends, and returns why it could not be read any more if that is no end.
    fn listen(&mut self, source: &mut Source) -> Result<io::Result<()>> {
        let mut decoder = std::mem::take(&mut self.decoder);
        let mut buffer = [0; 4096];
        let (mut delimited, mut within) = (false, false);
        let end = loop {
            let read = match source.read(&mut buffer) {
                Ok(0) if self.baud.is_some() => break Err(io::Error::other("the port is gone")),
                Ok(0) => break Ok(()),
                Ok(read) => read,
                // A line times out while it is silent.
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::Interrupted | ErrorKind::TimedOut | ErrorKind::WouldBlock
                    ) =>
                {
                    continue;
                }
                Err(error) if self.baud.is_some() => {
                    break Err(io::Error::other(format!("the port is gone ({error})")));
                }
                Err(error) => break Err(error),
            };
            for &byte in &buffer[..read] {
                match decoder.push(byte) {
                    Some(Ok((sequence, report))) => self.report(sequence, &report)?,
                    Some(Err(error)) if delimited => self.corrupted(error),
                    Some(Err(_)) | None => {}
                }
                within = byte != 0;
                delimited |= byte == 0;
                self.bytes += 1;
                self.is_telemetry()?;
            }
        };
        if within && delimited && !interrupt::requested() {
            self.corrupted("the source ends within it");
        }
        Ok(end)
    }

    fn is_telemetry(&self) -> Result<()> {
        let Session { bytes, source, .. } = self;
        if *bytes != NO_TELEMETRY || self.counts.frames > 0 {
            return Ok(());
        }
        Err(Error::check(format!(
            "{source}: {bytes} bytes without one valid frame: this is not Zerda's telemetry{}",
            self.baud_hint()
        )))
    }

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
