//! The line to a device, over which it reports and answers what it is asked.

use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use zerda_firmware::frame::FrameError;
use zerda_firmware::request::{Answer, Request};
use zerda_firmware::telemetry::{FrameDecoder, Report};
use zerda_support::error::{Error, Result};

use crate::port::{connect, is_port, open_port};

/// Time in which a device answers: it may erase a large sector meanwhile, or start.
const ANSWER: Duration = Duration::from_secs(3);
/// Number of times that a request is sent before the device counts as gone.
const TRIES: usize = 4;
/// Time that a read of a silent line blocks.
const SILENCE: Duration = Duration::from_millis(50);

/// What came over a line: a report and its sequence number, or what is wrong with a frame.
pub(crate) type Frame<'a> = std::result::Result<(u16, Report<'a>), FrameError>;

pub(crate) struct Line {
    pub name: String,
    pub input: Box<dyn Read + Send>,
    output: Box<dyn Write>,
    /// Decoder that may be within a frame.
    pub decoder: FrameDecoder,
    number: u16,
}

impl Line {
    /// Opens a serial port or `tcp:HOST:PORT`.
    pub fn open(port: &str, baud: u32) -> Result<Self> {
        let (input, output): (Box<dyn Read + Send>, Box<dyn Write>) =
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
        let mut line = Self {
            name: port.into(),
            input,
            output,
            decoder: FrameDecoder::new(),
            // Answers to another run may still be under way.
            number: std::process::id() as u16,
        };
        // It ends what another run may have begun to send.
        line.write(&[0])?;
        Ok(line)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let written = self
            .output
            .write_all(bytes)
            .and_then(|()| self.output.flush());
        written.map_err(|error| Error::write(&self.name, error))
    }

    /// Sends a request until it is answered, by an answer that `read` takes; the same one may reach the device several
    /// times. Every frame that comes meanwhile goes to `seen`.
    pub fn ask<T>(
        &mut self,
        request: &Request<'_>,
        read: impl Fn(Answer<'_>) -> Option<T>,
        mut seen: impl FnMut(Frame<'_>) -> Result<()>,
    ) -> Result<T> {
        self.number = self.number.wrapping_add(1);
        let frame = request.frame(self.number).expect("a request fits");
        for _ in 0..TRIES {
            self.write(&frame)?;
            if let Some(answer) = self.wait(&read, &mut seen)? {
                return Ok(answer);
            }
        }
        Err(Error::check(format!(
            "{}: no answer to {TRIES} requests in {} s: does a device with an input line listen there, at this rate?",
            self.name,
            ANSWER.as_secs() * TRIES as u64
        )))
    }

    /// Returns the answer to the last request, if it comes in time.
    fn wait<T>(
        &mut self,
        read: impl Fn(Answer<'_>) -> Option<T>,
        seen: &mut impl FnMut(Frame<'_>) -> Result<()>,
    ) -> Result<Option<T>> {
        let (start, mut buffer) = (Instant::now(), [0; 512]);
        while start.elapsed() < ANSWER {
            let length = match self.input.read(&mut buffer) {
                Ok(0) => {
                    let gone = std::io::Error::other("the line is gone; run it again to go on");
                    return Err(Error::read(&self.name, gone));
                }
                Ok(length) => length,
                Err(error) => match error.kind() {
                    ErrorKind::TimedOut | ErrorKind::WouldBlock | ErrorKind::Interrupted => {
                        continue;
                    }
                    _ => return Err(Error::read(&self.name, error)),
                },
            };
            let mut found = None;
            for &byte in &buffer[..length] {
                let Some(frame) = self.decoder.push(byte) else {
                    continue;
                };
                match frame {
                    Ok((_, Report::Answer { number, answer })) if number == self.number => {
                        found = found.or(read(answer));
                    }
                    _ => {}
                }
                seen(frame)?;
            }
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    pub fn astray(&self) -> Error {
        Error::check(format!(
            "{}: the device answers something else than was asked: is its firmware of another version?",
            self.name
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerda_firmware::telemetry::{Status, encode};

    #[test]
    fn what_comes_damaged_while_an_answer_is_awaited_is_seen_too() {
        let status = Report::Status(Status::default());
        let answer = Report::Answer {
            number: 1,
            answer: Answer::Unserved,
        };
        let frames = [(7, &status), (8, &status), (9, &answer)];
        let [first, mut damaged, answer] =
            frames.map(|(sequence, report)| encode(sequence, report).unwrap().to_vec());
        damaged[3] ^= 2; // no zero, which ends a frame
        let mut line = Line {
            name: "line".into(),
            input: Box::new(std::io::Cursor::new([first, damaged, answer].concat())),
            output: Box::new(std::io::sink()),
            decoder: FrameDecoder::new(),
            number: 0,
        };
        let mut seen = Vec::new();
        let request = Request::Settings { label: 0 };
        let answered = line.ask(
            &request,
            |answer| Some(answer == Answer::Unserved),
            |frame| {
                seen.push(frame.map(|(sequence, _)| sequence).ok());
                Ok(())
            },
        );
        assert!(answered.unwrap());
        assert_eq!(seen, [Some(7), None, Some(9)]);
    }
}
