//! Telemetry is what the device reports over a serial line.
//!
//! # Frames
//!
//! A report and its sequence number (u16, counting all reports since boot, wrapping) are encoded by postcard
//! as one tuple, followed by the CRC-32 (ISO-HDLC, little-endian) of these bytes. All of it is stuffed by
//! COBS (consistent overhead byte stuffing) and ended by a zero byte. A receiver can begin to listen at any
//! time, loses no more than the frame that was damaged, and sees from the numbers what it missed. New kinds
//! of report are added at the end of [`Report`].

use heapless::Vec;
use serde::{Deserialize, Serialize};

use crate::CRC;
use crate::gate::Reason;
use crate::grammar::Detection;
use crate::image::Image;
use crate::npu::Failure;

/// The most bytes that a frame has, its zero included.
pub const MAX_FRAME: usize = 128;

/// The number of bytes that a frame's CRC takes.
const CRC_BYTES: usize = 4;

/// A report that the device sends. Times are those of the audio, in ms from the first sample captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Report<'a> {
    /// The application starts, as it does once after each boot.
    Start {
        /// The version that this crate has.
        version: &'a str,
        /// The checksum that the image's header states.
        image_crc32: u32,
        /// Names the kernels that were built: [`crate::kernels::NAME`].
        kernels: &'a str,
    },
    /// A command was detected, as [`crate::Detection`] describes it.
    Detection {
        /// Names the command, or its one word where the image lists no commands.
        command: &'a str,
        /// The lowest smoothed posterior that one of its words has, Q0.8.
        score: u8,
        /// The time at which the first word starts, in ms.
        start_ms: u32,
        /// The time at which the frame ends that decided the last word, in ms.
        end_ms: u32,
        /// The time, in ms, at which the audio ends that was needed to decide.
        decided_ms: u32,
    },
    /// Samples were lost, by the ring or the hardware; recognition started afresh behind them.
    Overrun {
        /// The time, in ms, at which the audio goes on after the gap.
        at_ms: u32,
        /// The number of samples that are missing.
        lost_samples: u32,
    },
    /// The status, which is sent every second of audio.
    Status(Status),
    /// A step failed on the NPU and ran on the CPU.
    NpuFault {
        /// The time, in ms, at which the audio ends that was recognized so far.
        at_ms: u32,
        /// Says why the step failed, and holds the register that says more.
        failure: Failure,
        /// Counts the failures since boot, this one included.
        faults: u32,
        /// The number of steps that run on the CPU before the NPU is tried again; 0: it is not tried again.
        backoff: u16,
    },
    /// Counters of the NPU since boot, which are sent before each status where there is an NPU.
    Npu {
        /// Counts the steps that ran on the NPU.
        steps: u32,
        /// Counts the steps that failed on the NPU and ran on the CPU.
        faults: u32,
    },
    /// A wake word or a command opened the window in which commands count.
    Awake {
        /// The time, in ms, at which the frame ends that opened the window.
        at_ms: u32,
        /// The time, in ms, at which the window closes if nothing is said.
        until_ms: u32,
    },
    /// The window in which commands count closed.
    Asleep {
        /// The time, in ms, at which the window closed.
        at_ms: u32,
        /// Says why the window closed.
        reason: Reason,
    },
    /// The state of the gate, which is sent before each status where the image names wake words.
    Gate {
        /// Says whether commands count now.
        awake: bool,
        /// Counts the wake words since boot.
        wake_words: u32,
    },
    /// A wake word was detected, as [`crate::Detection`] describes it; [`Report::Awake`] follows.
    WakeWord {
        /// Names the wake word.
        word: &'a str,
        /// The smoothed posterior that the word has, Q0.8.
        score: u8,
        /// The time at which the word starts, in ms.
        start_ms: u32,
        /// The time at which the frame ends that decided the word, in ms.
        end_ms: u32,
        /// The time, in ms, at which the audio ends that was needed to decide.
        decided_ms: u32,
    },
}

impl<'a> Report<'a> {
    /// Reports a detection, of a command or of a wake word as `image` tells, in a stream that began at `stream_ms`.
    pub fn heard(image: &Image<'a>, detection: &Detection, stream_ms: u32) -> Self {
        let name = image.command(detection.command).unwrap_or("?");
        let score = detection.score;
        let at = |ms: u32| stream_ms.saturating_add(ms);
        let (start_ms, end_ms) = (at(detection.start_ms), at(detection.end_ms));
        let decided_ms = at(detection.decided_ms);
        if image.is_wake_word(detection.command) {
            return Self::WakeWord {
                word: name,
                score,
                start_ms,
                end_ms,
                decided_ms,
            };
        }
        Self::Detection {
            command: name,
            score,
            start_ms,
            end_ms,
            decided_ms,
        }
    }
}

/// Holds counters since boot, and the load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Status {
    /// Says how much audio was captured until the last sample recognized, in ms, lost samples included.
    pub audio_ms: u32,
    /// Counts the steps of the network.
    pub steps: u32,
    /// Counts the commands that were detected; wake words do not count.
    pub detections: u32,
    /// Counts the gaps in the audio.
    pub overruns: u32,
    /// Counts the samples that were lost in these gaps.
    pub lost_samples: u32,
    /// Counts reports that the serial line did not take, outputs that could not be set, and detections that
    /// were too many for one block.
    pub io_errors: u32,
    /// Says how much of the time since the last status the processor did not sleep, in thousandths.
    pub load_permille: u16,
    /// The most stack that was used so far, in bytes; 0 where the board does not measure it.
    pub stack_bytes: u32,
    /// Holds the CRC-32 (ISO-HDLC) over every logit of every step: the same audio gives the same value on
    /// every target, and in `zerda run`.
    pub logits_crc32: u32,
}

/// Returns the frame of a report, or `None` if it is longer than [`MAX_FRAME`].
pub fn encode(sequence: u16, report: &Report<'_>) -> Option<Vec<u8, MAX_FRAME>> {
    // A frame is shorter than 254 bytes, so that no COBS run needs to be split.
    let mut buffer = [0; MAX_FRAME - 2];
    let length = postcard::to_slice(&(sequence, report), &mut buffer)
        .ok()?
        .len();
    let (content, rest) = buffer.split_at_mut_checked(length)?;
    let mut sum = CRC.digest();
    crate::update(&mut sum, content);
    *rest.first_chunk_mut()? = sum.finalize().to_le_bytes();
    let content = buffer.get(..length + CRC_BYTES)?;
    let mut frame = Vec::new();
    for run in content.split(|&byte| byte == 0) {
        frame.push(run.len() as u8 + 1).ok()?;
        frame.extend_from_slice(run).ok()?;
    }
    frame.push(0).ok()?;
    Some(frame)
}

/// Says why a frame cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrameError {
    /// The frame is longer than [`MAX_FRAME`].
    TooLong,
    /// The frame is not COBS.
    Stuffing,
    /// The checksum of the frame does not fit, or it is no report that this version knows.
    Content,
}

impl core::fmt::Display for FrameError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::TooLong => "longer than any frame",
            Self::Stuffing => "not COBS",
            Self::Content => "its checksum does not fit, or it is of an unknown kind",
        })
    }
}

impl core::error::Error for FrameError {}

/// Reads frames byte by byte.
#[derive(Clone, Debug)]
pub struct Decoder {
    buffer: [u8; MAX_FRAME],
    /// Counts the bytes of the frame so far, including those that do not fit.
    length: usize,
    /// Says whether the frame was handed out.
    done: bool,
}

impl Decoder {
    /// Makes a decoder that waits for the first byte of a frame.
    pub const fn new() -> Self {
        Self {
            buffer: [0; MAX_FRAME],
            length: 0,
            done: false,
        }
    }

    /// Takes the next byte of the line. At the end of a frame it returns the frame's sequence number and
    /// report, or why it cannot be read. Zeros without anything between them are no frame.
    pub fn push(&mut self, byte: u8) -> Option<Result<(u16, Report<'_>), FrameError>> {
        if core::mem::take(&mut self.done) {
            self.length = 0;
        }
        if byte != 0 {
            if let Some(slot) = self.buffer.get_mut(self.length) {
                *slot = byte;
            }
            self.length = self.length.saturating_add(1);
            return None;
        }
        self.done = true;
        if self.length == 0 {
            return None;
        }
        let Some(frame) = self.buffer.get_mut(..self.length) else {
            return Some(Err(FrameError::TooLong));
        };
        let Some(length) = unstuff(frame) else {
            return Some(Err(FrameError::Stuffing));
        };
        let bytes = frame.get(..length).unwrap_or_default();
        Some(parse(bytes).ok_or(FrameError::Content))
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

/// Returns the content of a frame, if its checksum fits.
fn parse(bytes: &[u8]) -> Option<(u16, Report<'_>)> {
    let (content, crc) = bytes.split_last_chunk::<CRC_BYTES>()?;
    if CRC.checksum(content) != u32::from_le_bytes(*crc) {
        return None;
    }
    match postcard::take_from_bytes(content) {
        Ok((report, [])) => Some(report),
        _ => None,
    }
}

/// Turns COBS back into plain bytes, in place, and returns how many there are; `None` if it is not COBS.
fn unstuff(frame: &mut [u8]) -> Option<usize> {
    let (mut from, mut to) = (0, 0);
    while let Some(&code) = frame.get(from) {
        from += 1;
        for _ in 1..code {
            *frame.get_mut(to)? = *frame.get(from)?;
            (from, to) = (from + 1, to + 1);
        }
        if code == 0 {
            return None;
        }
        if from < frame.len() && code < u8::MAX {
            *frame.get_mut(to)? = 0;
            to += 1;
        }
    }
    Some(to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_image::{GO_GO, WAKE, tiny, with_wake};
    use std::{vec, vec::Vec};

    const STATUS: Report<'_> = Report::Status(Status {
        audio_ms: 256_000,
        steps: 0,
        detections: 3,
        overruns: 0,
        lost_samples: 160,
        io_errors: 0,
        load_permille: 310,
        stack_bytes: 4096,
        logits_crc32: 0xE100_BD73,
    });
    const DETECTION: Report<'_> = Report::Detection {
        command: "stop",
        score: 200,
        start_ms: 0,
        end_ms: 1234,
        decided_ms: 1280,
    };
    const WAKE_WORD: Report<'_> = Report::WakeWord {
        word: "stop",
        score: 200,
        start_ms: 0,
        end_ms: 1234,
        decided_ms: 1280,
    };

    fn frame(sequence: u16, report: &Report<'_>) -> Vec<u8> {
        encode(sequence, report).unwrap().to_vec()
    }

    /// What each frame of a line says, as text.
    fn decode(line: &[u8]) -> Vec<Result<(u16, std::string::String), FrameError>> {
        let mut decoder = Decoder::new();
        let mut frames = Vec::new();
        for &byte in line {
            if let Some(result) = decoder.push(byte) {
                frames
                    .push(result.map(|(sequence, report)| (sequence, std::format!("{report:?}"))));
            }
        }
        frames
    }

    fn ok(sequence: u16, report: &Report<'_>) -> Result<(u16, std::string::String), FrameError> {
        Ok((sequence, std::format!("{report:?}")))
    }

    #[test]
    fn reports_come_through_one_after_the_other() {
        let line = [frame(0, &STATUS), frame(65_535, &DETECTION)].concat();
        assert_eq!(decode(&line), [ok(0, &STATUS), ok(65_535, &DETECTION)]);
    }

    #[test]
    fn a_frame_is_postcard_and_its_crc_in_cobs() {
        let mut line = frame(7, &DETECTION);
        assert_eq!(
            line.iter().position(|&byte| byte == 0),
            Some(line.len() - 1)
        );
        let length = cobs::decode_in_place(&mut line).unwrap();
        let (bytes, crc) = line[..length].split_at(length - 4);
        assert_eq!(crc, CRC.checksum(bytes).to_le_bytes());
        let (sequence, report): (u16, Report<'_>) = postcard::from_bytes(bytes).unwrap();
        assert_eq!((sequence, report), (7, DETECTION));
    }

    /// What receivers of an earlier version know stays where it was: kinds are numbered in order.
    #[test]
    fn kinds_of_report_keep_their_numbers() {
        let fault = Report::NpuFault {
            at_ms: 0,
            failure: Failure {
                fault: crate::npu::Fault::Bus,
                detail: u32::MAX,
            },
            faults: u32::MAX,
            backoff: u16::MAX,
        };
        let (steps, faults) = (1, 2);
        let (at_ms, until_ms, reason) = (u32::MAX, u32::MAX, Reason::Reset);
        let (awake, wake_words) = (true, 3);
        let reports = [
            STATUS,
            fault,
            Report::Npu { steps, faults },
            Report::Awake { at_ms, until_ms },
            Report::Asleep { at_ms, reason },
            Report::Gate { awake, wake_words },
            WAKE_WORD,
        ];
        let kind = |report: &Report<'_>| postcard::to_slice(report, &mut [0; 64]).unwrap()[0];
        assert_eq!(reports.each_ref().map(kind), [3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(kind(&DETECTION), 1);
        let sent = (0..).zip(&reports[1..]);
        let line: Vec<_> = sent.clone().map(|(n, report)| frame(n, report)).collect();
        let expected: Vec<_> = sent.map(|(n, report)| ok(n, report)).collect();
        assert_eq!(decode(&line.concat()), expected);
    }

    #[test]
    fn a_detection_is_reported_as_the_command_or_the_wake_word_that_it_is() {
        let detection = |command| Detection {
            command,
            score: 200,
            start_ms: 0,
            end_ms: 1234,
            decided_ms: 1280,
        };
        let bytes = with_wake(tiny(2).get(), 30, &GO_GO, &WAKE);
        let gated = Image::parse(bytes.get()).unwrap();
        // Numbered after the two commands.
        assert_eq!(Report::heard(&gated, &detection(2), 0), WAKE_WORD);
        // The same label, where it is none.
        let bytes = tiny(2);
        let plain = Image::parse(bytes.get()).unwrap();
        assert_eq!(Report::heard(&plain, &detection(1), 0), DETECTION);
        let later = Report::heard(&gated, &detection(1), u32::MAX - 1000);
        let expected = Report::Detection {
            command: "go go",
            score: 200,
            start_ms: u32::MAX - 1000,
            end_ms: u32::MAX,
            decided_ms: u32::MAX,
        };
        assert_eq!(later, expected);
    }

    #[test]
    fn one_damaged_byte_costs_one_frame() {
        let (first, last) = (frame(1, &STATUS), frame(3, &DETECTION));
        for at in 0..frame(2, &STATUS).len() {
            for flip in [1, 0x10, 0x80] {
                let mut damaged = frame(2, &STATUS);
                damaged[at] ^= flip;
                let frames = decode(&[first.clone(), damaged, last.clone(), vec![0]].concat());
                assert_eq!(frames[0], ok(1, &STATUS));
                // A lost delimiter joins the frame to the next one.
                let good: Vec<_> = frames.iter().flatten().collect();
                assert!(
                    good.len() <= 2 && frames.len() > good.len(),
                    "{at} {frames:?}"
                );
            }
        }
    }

    #[test]
    fn stuffing_equals_that_of_the_cobs_crate() {
        for zeros in 0..1u32 << 10 {
            let plain: Vec<u8> = (0..10).map(|bit| (zeros >> bit & 1) as u8 * 9).collect();
            let mut stuffed = cobs::encode_vec(&plain);
            let length = unstuff(&mut stuffed).unwrap();
            assert_eq!(stuffed[..length], plain);
        }
    }

    #[test]
    fn noise_is_no_report() {
        let mut random = crate::test_image::Random(1);
        let noise: Vec<u8> = (0..100_000).map(|_| random.next() as u8).collect();
        assert!(decode(&noise).iter().all(Result::is_err));
        assert_eq!(decode(&[9; 1000]), []);
        assert_eq!(
            decode(&[&[9; 1000][..], &[0]].concat()),
            [Err(FrameError::TooLong)]
        );
    }

    #[test]
    fn a_report_that_is_too_long_is_not_sent() {
        let report = Report::Detection {
            command: &"x".repeat(MAX_FRAME),
            score: 0,
            start_ms: 0,
            end_ms: 0,
            decided_ms: 0,
        };
        assert!(encode(0, &report).is_none());
    }
}
