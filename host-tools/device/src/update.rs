//! `zerda update` sends a signed image to a device, over its telemetry line, and waits until the device confirmed it.

mod keys;

use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use zerda_firmware::telemetry::{FrameDecoder, Report};
use zerda_support::error::{Error, Result};
use zerda_support::files;
use zerda_support::output::print;
use zerda_update::header::{Board, HEADER_BYTES, Header};
use zerda_update::protocol::{Answer, MAX_FRAME, Request, Status};
use zerda_update::{BLOCK, HEALTHY_MS, Refusal};

use crate::port::{connect, is_port, open_port};
pub use keys::{KeyOptions, SignOptions, keygen, sign};

/// Time in which a device answers: it may erase a large sector meanwhile, or start.
const ANSWER: Duration = Duration::from_secs(3);
/// Number of times that a request is sent before the device counts as gone.
const TRIES: usize = 4;
/// Time that a read of a silent line blocks.
const SILENCE: Duration = Duration::from_millis(50);
/// Time between two questions for the state of a trial.
const PAUSE: Duration = Duration::from_millis(500);
/// Time in which a trial must end, start included.
const TRIAL: Duration = Duration::from_secs(60);

pub struct Options {
    /// File that `zerda sign` wrote.
    pub update: PathBuf,
    /// Line of the device: a serial port or `tcp:HOST:PORT`.
    pub port: String,
    /// Rate in baud that a serial port is opened at.
    pub baud: u32,
}

/// Sends an update, or what is missing of it, and waits until the device confirmed it or fell back.
pub fn update(options: &Options) -> Result<()> {
    let bytes = files::read(&options.update);
    let bytes = bytes.map_err(|error| Error::read(&options.update, error))?;
    let update = Update::parse(&options.update, &bytes)?;
    let mut device = Device::open(&options.port, options.baud)?;
    let before = device.status(&update)?;
    if before.version == update.version {
        return device.say(&format!("version {} is confirmed already", update.version));
    }
    if before.trial != Some(update.version) {
        send(&mut device, &update)?;
    }
    trial(&mut device, &update)
}

/// Update that was read from a file.
struct Update<'a> {
    path: &'a Path,
    header: &'a [u8; HEADER_BYTES],
    image: &'a [u8],
    version: u32,
    board: Board,
}

impl<'a> Update<'a> {
    fn parse(path: &'a Path, bytes: &'a [u8]) -> Result<Self> {
        let wrong = |refusal| Error::usage(format!("{}: {refusal}", path.display()));
        let (header, image) = bytes
            .split_first_chunk()
            .ok_or_else(|| wrong(Refusal::NotAnUpdate))?;
        let Header {
            version,
            length,
            board,
            ..
        } = Header::parse(header).map_err(wrong)?;
        if image.len() != length as usize {
            return Err(Error::usage(format!(
                "{}: has {} bytes behind its header, which states {length}: sign it again",
                path.display(),
                image.len()
            )));
        }
        Ok(Self {
            path,
            header,
            image,
            version,
            board,
        })
    }

    fn refused(&self, refusal: Refusal) -> Error {
        match refusal {
            Refusal::Off => Error::check(refusal.to_string()),
            _ => Error::check(format!("{}: {refusal}", self.path.display())),
        }
    }
}

/// Sends all blocks that the device lacks.
fn send(device: &mut Device, update: &Update<'_>) -> Result<()> {
    let (version, length) = (update.version, update.image.len());
    let header = &update.header[..];
    let mut answer = device.ask(&Request::Begin { header })?;
    let (mut begun, mut told) = (false, 0);
    loop {
        let offset = match answer {
            Answer::Expects { offset } => offset as usize,
            Answer::Ready { .. } => {
                return device.say(&format!("version {version} is verified, and tried now"));
            }
            Answer::Refused(refusal) => return Err(update.refused(refusal)),
            _ => return Err(device.astray()),
        };
        let rest = update.image.get(offset..).ok_or_else(|| device.astray())?;
        if !std::mem::replace(&mut begun, true) {
            device.say(&match offset {
                0 => format!("version {version}, {length} bytes"),
                _ => format!("version {version} goes on at byte {offset} of {length}"),
            })?;
            told = offset;
        } else if offset >= told + length.div_ceil(4) {
            device.say(&format!("{} % sent", offset * 100 / length.max(1)))?;
            told = offset;
        }
        answer = match &rest[..rest.len().min(BLOCK)] {
            [] => device.ask(&Request::Finish)?,
            bytes => device.ask(&Request::Block {
                offset: offset as u32,
                bytes,
            })?,
        };
    }
}

/// Waits until the new image is confirmed, or given up.
fn trial(device: &mut Device, update: &Update<'_>) -> Result<()> {
    let (version, port) = (update.version, device.name.clone());
    let start = Instant::now();
    while start.elapsed() < TRIAL {
        let status = device.status(update)?;
        match status.trial {
            Some(_) => thread::sleep(PAUSE),
            None if status.version == version => {
                return device.say(&format!("version {version} ran well and is confirmed"));
            }
            None => {
                return Err(Error::check(format!(
                    "{port}: version {version} did not run well, and the device went back to version {}",
                    status.version
                )));
            }
        }
    }
    Err(Error::check(format!(
        "{port}: version {version} is still on trial after {} s; it is confirmed once it heard {} s of audio",
        TRIAL.as_secs(),
        HEALTHY_MS / 1000
    )))
}

/// Device at the other end of a line.
struct Device {
    name: String,
    input: Box<dyn Read>,
    output: Box<dyn Write>,
    decoder: FrameDecoder,
    number: u16,
}

impl Device {
    fn open(port: &str, baud: u32) -> Result<Self> {
        let (input, output): (Box<dyn Read>, Box<dyn Write>) =
            if let Some(address) = port.strip_prefix("tcp:") {
                let stream = connect(port, address)?;
                let failed = |error| Error::read(port, error);
                stream.set_read_timeout(Some(SILENCE)).map_err(failed)?;
                (
                    Box::new(stream.try_clone().map_err(failed)?),
                    Box::new(stream),
                )
            } else if is_port(port) {
                let serial = open_port(port, baud, SILENCE)?;
                let input = serial.try_clone();
                let input = input.map_err(|error| Error::read(port, error.into()))?;
                (Box::new(input), Box::new(serial))
            } else {
                return Err(Error::usage(format!(
                    "{port}: no such serial port, expected /dev/ttyACM0 or COM3, or tcp:HOST:PORT"
                )));
            };
        let mut device = Self {
            name: port.into(),
            input,
            output,
            decoder: FrameDecoder::new(),
            // Answers to another run may still be under way.
            number: std::process::id() as u16,
        };
        // It ends what another run may have begun to send.
        device.write(&[0])?;
        Ok(device)
    }

    fn say(&self, text: &str) -> Result<()> {
        print(&format!("{}: {text}", self.name))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let written = self
            .output
            .write_all(bytes)
            .and_then(|()| self.output.flush());
        written.map_err(|error| Error::write(&self.name, error))
    }

    fn status(&mut self, update: &Update<'_>) -> Result<Status> {
        match self.ask(&Request::Status)? {
            Answer::Status(status) if status.board != update.board => {
                Err(update.refused(Refusal::Board))
            }
            Answer::Status(status) => Ok(status),
            Answer::Refused(refusal) => Err(update.refused(refusal)),
            _ => Err(self.astray()),
        }
    }

    /// Sends a request until it is answered; the same one may reach the device several times.
    fn ask(&mut self, request: &Request<'_>) -> Result<Answer> {
        self.number = self.number.wrapping_add(1);
        let mut buffer = [0; MAX_FRAME];
        let frame = request.frame(self.number, &mut buffer);
        let frame = frame.expect("a header and a block fit").to_vec();
        for _ in 0..TRIES {
            self.write(&frame)?;
            if let Some(answer) = self.wait()? {
                return Ok(answer);
            }
        }
        Err(Error::check(format!(
            "{}: no answer to {TRIES} requests in {} s: does a device with updates listen there, at this rate?",
            self.name,
            ANSWER.as_secs() * TRIES as u64
        )))
    }

    /// Returns the answer to the last request, if it comes in time.
    fn wait(&mut self) -> Result<Option<Answer>> {
        let (start, mut buffer) = (Instant::now(), [0; 512]);
        while start.elapsed() < ANSWER {
            let read = match self.input.read(&mut buffer) {
                Ok(0) => {
                    let gone = std::io::Error::other("the line is gone; run it again to go on");
                    return Err(Error::read(&self.name, gone));
                }
                Ok(read) => read,
                Err(error) => match error.kind() {
                    ErrorKind::TimedOut | ErrorKind::WouldBlock | ErrorKind::Interrupted => {
                        continue;
                    }
                    _ => return Err(Error::read(&self.name, error)),
                },
            };
            let mut found = None;
            for &byte in &buffer[..read] {
                if let Some(Ok((_, Report::Update(bytes)))) = self.decoder.push(byte)
                    && let Some((number, answer)) = Answer::decode(bytes)
                    && number == self.number
                {
                    found = Some(answer);
                }
            }
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    fn astray(&self) -> Error {
        Error::check(format!(
            "{}: the device answers something else than was asked: is its firmware of another version?",
            self.name
        ))
    }
}
