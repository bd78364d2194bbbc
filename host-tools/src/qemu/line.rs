//! The telemetry of one boot.

use std::time::Duration;

use zerda_firmware::Image;
use zerda_firmware::telemetry::{Decoder, Report, Status};

use super::machine::{Boot, Machine, Serial};
use crate::audio::SAMPLE_RATE;
use crate::error::{Error, Result};
use crate::report;
use crate::run::print;

pub struct Line<'a> {
    /// Of the file.
    name: &'a str,
    /// How detections are printed, if they and the logs are.
    pub json: Option<bool>,
    /// Of the image that we know.
    image_crc32: u32,
    decoder: Decoder,
    /// So far.
    frames: u16,
    pub kernels: String,
    /// Steps on the NPU, and faults.
    pub npu: Option<(u32, u32)>,
    /// Wake words, where the image has some.
    pub wake_words: u32,
    /// The last one.
    status: Option<Status>,
}

impl<'a> Line<'a> {
    pub fn new(name: &'a str, image: &Image<'_>) -> Self {
        Line {
            name,
            json: None,
            image_crc32: image.checksum(),
            decoder: Decoder::new(),
            frames: 0,
            kernels: String::new(),
            npu: None,
            wake_words: 0,
            status: None,
        }
    }

    /// Boots the machine on so many samples.
    pub fn hear(
        mut self,
        machine: &Machine<'_>,
        samples: usize,
        arguments: Vec<String>,
        realtime: bool,
    ) -> Result<(Self, Status)> {
        let logs = self.json.is_some();
        machine.boot(Boot {
            arguments,
            realtime,
            serial: Serial::Here(&mut |bytes| self.push(bytes)),
            logs,
            // Twenty times real time, where five is what a laptop takes for plain kernels.
            limit: Some(Duration::from_secs(
                60 + 20 * samples as u64 / u64::from(SAMPLE_RATE),
            )),
        })?;
        match self.status {
            Some(status) => Ok((self, status)),
            None => Err(self.damaged("it ended without a status")),
        }
    }

    fn push(&mut self, bytes: &[u8]) -> Result<()> {
        let mut decoder = std::mem::take(&mut self.decoder);
        for &byte in bytes {
            match decoder.push(byte) {
                Some(Ok((sequence, report))) if sequence == self.frames => {
                    self.frames = self.frames.wrapping_add(1);
                    self.report(report)?;
                }
                Some(Ok((sequence, _))) => {
                    let expected = self.frames;
                    return Err(self.damaged(&format!("frame {sequence} follows for {expected}")));
                }
                Some(Err(error)) => return Err(self.damaged(&error.to_string())),
                None => {}
            }
        }
        self.decoder = decoder;
        Ok(())
    }

    fn report(&mut self, report: Report<'_>) -> Result<()> {
        match report {
            Report::Start {
                image_crc32,
                kernels,
                ..
            } => {
                if image_crc32 != self.image_crc32 {
                    return Err(self.damaged("the firmware holds another image"));
                }
                self.kernels = kernels.into();
            }
            Report::Npu { steps, faults } => self.npu = Some((steps, faults)),
            Report::Gate { wake_words, .. } => self.wake_words = wake_words,
            Report::Status(status) => self.status = Some(status),
            _ => {
                if let Some(json) = self.json
                    && let Some(line) = report::line(self.name, &report, json)
                {
                    return print(&line);
                }
            }
        }
        Ok(())
    }

    fn damaged(&self, why: &str) -> Error {
        Error::check(format!("{}: telemetry: {why}", self.name))
    }
}
