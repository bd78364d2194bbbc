//! Reads the telemetry of one boot.

use std::path::Path;
use std::time::Duration;

use zerda_firmware::Image;
use zerda_firmware::telemetry::{FrameDecoder, Report, Status};
use zerda_support::audio::SAMPLE_RATE;
use zerda_support::error::{Error, Result};
use zerda_support::output::print;
use zerda_support::report;

use super::machine::{Boot, Machine, Serial};

pub struct Line<'a> {
    /// Name of the file that is heard.
    name: &'a str,
    /// Says whether detections are printed as JSON or as text; with `None` neither they nor the
    /// logs are.
    pub json: Option<bool>,
    /// Says whether the firmware is to fail, and to start again once.
    pub fails: bool,
    /// Checksum that the image in the firmware must have; with `None` it may be any, by an update.
    pub image_crc32: Option<u32>,
    decoder: FrameDecoder,
    /// Number of frames that have come so far, which is the sequence number of the next.
    frames: u16,
    pub kernels: String,
    /// Number of steps that ran on the NPU, and of faults.
    pub npu: Option<(u32, u32)>,
    /// Number of phrases that templates told of.
    pub phrases: u64,
    /// Number of wake words that were heard, where the image has some.
    pub wake_words: u32,
    /// Status that came last.
    status: Option<Status>,
}

impl<'a> Line<'a> {
    pub fn new(name: &'a str, image: &Image<'_>) -> Self {
        Line {
            name,
            json: None,
            fails: false,
            image_crc32: Some(image.checksum()),
            decoder: FrameDecoder::new(),
            frames: 0,
            kernels: String::new(),
            npu: None,
            wake_words: 0,
            phrases: 0,
            status: None,
        }
    }

    /// Boots the machine on so many samples of 16 kHz audio, and returns the last status as well. A
    /// boot that ends without one, or whose telemetry is damaged, is an error.
    pub fn hear(
        mut self,
        machine: &Machine<'_>,
        folder: &Path,
        samples: u64,
        arguments: Vec<String>,
        realtime: bool,
    ) -> Result<(Self, Status)> {
        let logs = self.json.is_some();
        machine.boot(Boot {
            folder,
            arguments,
            realtime,
            serial: Serial::Here(&mut |bytes| self.push(bytes)),
            logs,
            // Twenty times real time, where five is what a laptop takes for plain kernels.
            limit: Some(Duration::from_secs(
                60 + 20 * samples / u64::from(SAMPLE_RATE),
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
                Some(Ok((0, report @ Report::Start { .. }))) if self.fails => {
                    self.fails = false;
                    self.frames = 1;
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
                if self
                    .image_crc32
                    .is_some_and(|of_image| of_image != image_crc32)
                {
                    return Err(self.damaged("the firmware holds another image"));
                }
                self.kernels = kernels.into();
            }
            Report::Npu { steps, faults } => self.npu = Some((steps, faults)),
            Report::Gate { wake_words, .. } => self.wake_words = wake_words,
            Report::Status(status) => self.status = Some(status),
            _ => {
                self.phrases += u64::from(matches!(report, Report::Phrase { .. }));
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

#[cfg(test)]
mod tests {
    use super::*;
    use zerda_firmware::telemetry::encode;
    use zerda_support::wake;

    #[test]
    fn a_second_start_is_taken_once_and_only_after_a_failure_that_was_asked_for() {
        let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/shrunk.zerda");
        let file = wake::open(Path::new(shipped), None, None).unwrap();
        let image = file.image().unwrap();
        let start = Report::Start {
            version: "",
            image_crc32: image.checksum(),
            kernels: "plain",
        };
        let status = Report::Status(Status::default());
        let [start, status] = [(0, start), (1, status)].map(|(n, report)| encode(n, &report));
        let boot = [start.unwrap(), status.unwrap()].concat();
        let mut line = Line::new("a.wav", &image);
        assert!(line.push(&boot).is_ok());
        let error = line.push(&boot).unwrap_err().to_string();
        assert!(error.contains("frame 0 follows for 2"), "{error}");
        let mut line = Line::new("a.wav", &image);
        line.fails = true;
        assert!(line.push(&boot).is_ok() && line.push(&boot).is_ok());
        assert!(line.push(&boot).is_err());
    }
}
