//! Opens and lists the microphones of this machine.
//!
//! On Linux that is ALSA, through which PipeWire and PulseAudio are reached as well, and which is loaded when it is needed:
//! building takes no development package. A microphone is a stream of raw samples, in its own format and at its own rate,
//! and read as one from a pipe is.

#[cfg(target_os = "linux")]
mod alsa;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use zerda_support::audio::{Raw, Recording};
use zerda_support::error::{Error, Result};
use zerda_support::interrupt;

/// Pieces of up to 20 ms that wait for a recognizer that is late, as while a file is written: two seconds.
const QUEUE: usize = 100;

/// Counts how often audio was lost, since nobody took it in time.
#[derive(Clone, Default)]
pub struct Overruns(Arc<AtomicU64>);

impl Overruns {
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    #[cfg(target_os = "linux")]
    fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A microphone that can be heard: its name, which opens it, and what it says of itself.
pub struct Device {
    pub name: String,
    pub description: String,
}

/// Opens a microphone, of which all channels are averaged or one, counted from 1, is taken. Returns what is heard in it
/// and what its samples are like.
pub fn open(device: &str, channel: Option<usize>, overruns: &Overruns) -> Result<(Recording, Raw)> {
    let capture = system::Capture::open(device, channel, overruns)?;
    let raw = capture.raw();
    let source = interrupt::Source::queued(capture, QUEUE);
    let name = format!("microphone `{device}`");
    Ok((Recording::of_raw(&name, source, channel, raw)?, raw))
}

/// Lists the microphones that can be opened.
pub fn list() -> Result<Vec<Device>> {
    let devices = system::list()?;
    match devices.is_empty() {
        true => Err(Error::usage(format!(
            "no microphone is found: plug one in, or pipe audio in, {PIPE}"
        ))),
        false => Ok(devices),
    }
}

#[cfg(target_os = "linux")]
use alsa as system;
/// Shows how audio comes from elsewhere.
#[cfg(target_os = "linux")]
const PIPE: &str =
    "as with `ffmpeg -f pulse -i default -f s16le -ac 1 -ar 16000 - | zerda listen -`";
#[cfg(target_os = "macos")]
const PIPE: &str =
    "as with `ffmpeg -f avfoundation -i :default -f s16le -ac 1 -ar 16000 - | zerda listen -`";
#[cfg(not(any(target_os = "linux", target_os = "macos")))]
const PIPE: &str =
    "as with `ffmpeg -f dshow -i audio=NAME -f s16le -ac 1 -ar 16000 - | zerda listen -`";

/// Stands for the microphones of systems on which zerda opens none.
#[cfg(not(target_os = "linux"))]
mod system {
    use std::io::{self, Read};

    use super::{Device, Error, Overruns, PIPE, Raw, Result};

    pub enum Capture {}

    impl Capture {
        pub fn open(_: &str, _: Option<usize>, _: &Overruns) -> Result<Capture> {
            Err(unknown())
        }

        pub fn raw(&self) -> Raw {
            match *self {}
        }
    }

    impl Read for Capture {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            match *self {}
        }
    }

    pub fn list() -> Result<Vec<Device>> {
        Err(unknown())
    }

    fn unknown() -> Error {
        Error::usage(format!(
            "microphones are opened on Linux only: pipe audio in, {PIPE}"
        ))
    }
}
