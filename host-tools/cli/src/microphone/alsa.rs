//! Captures audio through ALSA's library, which is loaded when it is needed.
//!
//! A device is opened as it is, without ALSA's conversions of rate and channels: the resampler and mixer of all recordings
//! do better. The signatures are those of alsa-lib's `pcm.h`, `control.h` and `error.h`, of the interface that has been
//! stable since 2003.

mod library;

use std::ffi::{CStr, CString};
use std::io::{self, Read};
use std::thread;
use std::time::Duration;

use zerda_support::audio::{Raw, RawFormat, SAMPLE_RATE};
use zerda_support::error::{Error, Result};

use super::{Device, Overruns, PIPE};
use library::{Code, Library, Params, Pcm};

/// Time in microseconds that ALSA keeps for a reader that is late.
const BUFFER_US: u32 = 500_000;
/// Time in microseconds after which what was heard is handed out.
const PERIOD_US: u32 = 20_000;
/// Overruns in a row, and reads in a row that give nothing, after which a device counts as broken.
const PATIENCE: u32 = 500;
/// Formats that are asked for, the best first, by ALSA's numbers and by their names here.
const FORMATS: [(i32, &str); 6] = [
    (2, "s16le"),
    (10, "s32le"),
    (32, "s24le"),
    (14, "f32le"),
    (1, "u8"),
    (0, "s8"),
];
// Numbers of errno.h, which ALSA returns negated.
const EINTR: Code = 4;
const EAGAIN: Code = 11;
const EBUSY: Code = 16;
const EPIPE: Code = 32;
const ESTRPIPE: Code = 86;

/// A device that captures.
pub struct Capture {
    pcm: Pcm,
    raw: Raw,
    /// Bytes that a frame, a sample of each channel, has.
    frame: usize,
    /// Bytes that are asked for at once: those of a period.
    period: usize,
    overruns: Overruns,
}

impl Capture {
    /// Opens a device by the name that ALSA knows, with the channel that is asked for, or as few as it has.
    pub fn open(device: &str, channel: Option<usize>, overruns: &Overruns) -> Result<Capture> {
        let library = library()?;
        let failed = |code: Code| {
            let why = library.message(code);
            let hint = match code {
                code if code == -EBUSY => "another program has it: end that, or name another",
                _ => "plug it in, or name another",
            };
            Error::usage(format!(
                "microphone `{device}`: cannot be opened: {why}; {hint} by --device (`zerda listen --list` shows them), or \
                 pipe audio in, {PIPE}"
            ))
        };
        let name = CString::new(device).map_err(|_| failed(0))?;
        let pcm = library.open(&name).map_err(failed)?;
        let setting = negotiate(&pcm, channel.unwrap_or(1)).map_err(failed)?;
        let sample = setting.format.bytes();
        let frame = sample * setting.channels as usize;
        let period = u64::from(setting.rate) * u64::from(setting.period_us) / 1_000_000;
        Ok(Capture {
            pcm,
            raw: Raw {
                rate: Some(setting.rate),
                channels: u16::try_from(setting.channels).ok(),
                format: Some(setting.format),
            },
            frame,
            period: (period.max(1) as usize) * frame,
            overruns: overruns.clone(),
        })
    }

    /// Returns what the samples are like.
    pub fn raw(&self) -> Raw {
        self.raw
    }
}

/// What a device and this program agree on.
struct Setting {
    format: RawFormat,
    channels: u32,
    rate: u32,
    period_us: u32,
}

/// Agrees with a device on its own rate, the nearest to 16 kHz from there on, and on at least so many channels. Fails with
/// ALSA's code.
fn negotiate(pcm: &Pcm, channels: usize) -> std::result::Result<Setting, Code> {
    let mut params = Params::any(pcm)?;
    params.interleaved()?;
    let formats = FORMATS.iter();
    let mut formats = formats.filter(|(number, _)| params.format(*number).is_ok());
    let (_, name) = formats.next().ok_or(-22)?;
    // What cannot be had is left as it is: the device's own rates, and none below 16 kHz.
    let _ = params.own_rates();
    let channels = params.channels_near(u32::try_from(channels).unwrap_or(u32::MAX))?;
    let _ = params.rate_from(SAMPLE_RATE);
    let rate = params.rate_near(SAMPLE_RATE)?;
    let _ = params.buffer_us_near(BUFFER_US);
    let period_us = params.period_us_near(PERIOD_US).unwrap_or(PERIOD_US);
    params.finish()?;
    Ok(Setting {
        format: name.parse().map_err(|_| -22)?,
        channels,
        rate,
        period_us: period_us.min(10 * PERIOD_US),
    })
}

impl Read for Capture {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(self.period) / self.frame * self.frame;
        let Some(buffer) = buffer.get_mut(..most).filter(|buffer| !buffer.is_empty()) else {
            return Err(io::Error::other("it has more channels than can be read"));
        };
        let library = self.pcm.library();
        library.quiet();
        let gone = |code: Code| {
            io::Error::other(format!(
                "{}: it was unplugged, or whoever serves it has ended; plug it in and start again, or name another by \
                 --device (`zerda listen --list` shows them)",
                library.message(code)
            ))
        };
        for _ in 0..PATIENCE {
            match self.pcm.read(buffer) {
                frames @ 1.. => return Ok((frames as usize * self.frame).min(most)),
                code if code == 0 || code == -EAGAIN || code == -EINTR => {
                    thread::sleep(Duration::from_micros(PERIOD_US.into()));
                }
                code if code == -EPIPE || code == -ESTRPIPE => {
                    self.overruns.add();
                    self.pcm.recover(code).map_err(gone)?;
                }
                code => return Err(gone(code)),
            }
        }
        Err(io::Error::other(
            "it gives no audio: look whether it is switched on, or name another by --device",
        ))
    }
}

/// Lists the devices that ALSA tells of and that capture, but for the one that gives silence.
pub fn list() -> Result<Vec<Device>> {
    let mut devices = library()?.devices();
    devices.retain(|device| device.name != "null");
    Ok(devices)
}

/// Loads ALSA's library, once.
fn library() -> Result<&'static Library> {
    let library = Library::get().ok_or_else(|| {
        Error::usage(format!(
            "this system has no ALSA library (libasound.so.2), through which microphones are heard: install it (Debian and \
             Ubuntu: libasound2, in new releases libasound2t64; others: alsa-lib), or pipe audio in, {PIPE}"
        ))
    })?;
    library.quiet();
    Ok(library)
}

/// Returns the first line of a text of ALSA's, as a line of ours.
fn first_line(text: &CStr) -> String {
    let text = text.to_string_lossy();
    text.lines().next().unwrap_or_default().to_string()
}
