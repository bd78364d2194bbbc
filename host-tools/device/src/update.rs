//! `zerda update` sends a signed image to a device, over its telemetry line, and waits until the device confirmed it.

mod keys;

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use zerda_firmware::request;
use zerda_support::error::{Error, Result};
use zerda_support::files;
use zerda_support::output::print;
use zerda_update::header::{Board, HEADER_BYTES, Header};
use zerda_update::protocol::{Answer, MAX_REQUEST, Request, Status};
use zerda_update::{BLOCK, HEALTHY_MS, Refusal};

use crate::line::{Frame, Line};
pub use keys::{KeyOptions, SignOptions, keygen, sign};

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
            _ => return Err(device.0.astray()),
        };
        let rest = update
            .image
            .get(offset..)
            .ok_or_else(|| device.0.astray())?;
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
    let (version, port) = (update.version, device.0.name.clone());
    let start = Instant::now();
    while start.elapsed() < TRIAL {
        // The first one is left to the device to start, which may lose what comes meanwhile.
        thread::sleep(PAUSE);
        let status = device.status(update)?;
        match status.trial {
            Some(_) => {}
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

/// Device at the other end of a line, which takes updates.
struct Device(Line);

impl Device {
    fn open(port: &str, baud: u32) -> Result<Self> {
        Ok(Self(Line::open(port, baud)?))
    }

    fn say(&self, text: &str) -> Result<()> {
        print(&format!("{}: {text}", self.0.name))
    }

    fn status(&mut self, update: &Update<'_>) -> Result<Status> {
        match self.ask(&Request::Status)? {
            Answer::Status(status) if status.board != update.board => {
                Err(update.refused(Refusal::Board))
            }
            Answer::Status(status) => Ok(status),
            Answer::Refused(refusal) => Err(update.refused(refusal)),
            _ => Err(self.0.astray()),
        }
    }

    fn ask(&mut self, request: &Request<'_>) -> Result<Answer> {
        let mut buffer = [0; MAX_REQUEST];
        let bytes = request.encode(&mut buffer);
        let bytes = bytes.expect("a header and a block fit");
        let read = |answer: request::Answer<'_>| match answer {
            request::Answer::Update(bytes) => Answer::decode(bytes),
            request::Answer::Unserved => Some(Answer::Refused(Refusal::Off)),
            _ => None,
        };
        let seen = |_: Frame<'_>| Ok(());
        self.0.ask(&request::Request::Update(bytes), read, seen)
    }
}
