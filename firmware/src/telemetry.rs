//! Telemetry is what the device reports over a serial line.
//!
//! A report has a sequence number, which counts all reports since boot and wraps, and goes out in a [`frame`]: a receiver
//! sees from the numbers what it missed. New kinds of report are added at the end of [`Report`].

use heapless::Vec;
use serde::{Deserialize, Serialize};

use crate::frame;
pub use crate::frame::FrameError;
use crate::gate::Reason;
use crate::grammar::Detection;
use crate::image::{Image, Problem};
use crate::recovery::Restart;
use crate::request::Answer;
use crate::step::Failure;
use crate::templates::Match;

/// The most bytes that a frame has, its zero included.
pub const MAX_FRAME: usize = 128;

/// A report that the device sends. Times are those of the audio, in ms from the first sample captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Report<'a> {
    /// The application starts, as it does once after each boot.
    Start {
        /// The version that this crate has.
        version: &'a str,
        /// The checksum that the image's header states.
        image_crc32: u32,
        /// Names the kernels that run by default: [`Kernels::name`](crate::kernels::Kernels::name).
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
    /// The device started again because it failed, which follows [`Report::Start`].
    Restart(Restart),
    /// No audio came for a second, by the clock; recognition starts afresh when it comes again.
    AudioStopped {
        /// The time, in ms, at which the audio ended.
        at_ms: u32,
    },
    /// The image cannot be used, and nothing is recognized until another is written; sent every second.
    BadImage(Problem),
    /// Somebody speaks: the network, which rested, starts cold with what was kept.
    Speech {
        /// The time, in ms, at which the first frame starts that it hears.
        at_ms: u32,
    },
    /// Nobody speaks, and the network rests. It does at the start, without a report.
    Quiet {
        /// The time, in ms, at which the first frame starts that it did not hear.
        at_ms: u32,
    },
    /// A phrase was heard that is similar to a template, as [`crate::templates::Match`] describes it.
    Phrase {
        /// Names the phrase, as its template does.
        phrase: &'a str,
        /// The similarity of the phrase, Q0.15: 32768 is the same.
        similarity: u16,
        /// The time at which the phrase starts, in ms.
        start_ms: u32,
        /// The time at which the phrase ends, in ms.
        end_ms: u32,
        /// The time, in ms, at which the audio ends that was needed to decide.
        decided_ms: u32,
    },
    /// The device answers a request of the host.
    Answer {
        /// The number that the request had.
        number: u16,
        /// Holds what the device answers.
        #[serde(borrow)]
        answer: Answer<'a>,
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

    /// Reports a phrase that was found, in a stream that began at `stream_ms`.
    pub fn found(found: &Match<'a>, stream_ms: u32) -> Self {
        let at = |ms: u32| stream_ms.saturating_add(ms);
        Self::Phrase {
            phrase: found.name,
            similarity: found.similarity,
            start_ms: at(found.start_ms),
            end_ms: at(found.end_ms),
            decided_ms: at(found.decided_ms),
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
    frame::encode(sequence, report)
}

/// Reads reports byte by byte.
#[derive(Clone, Debug, Default)]
pub struct FrameDecoder(frame::Decoder<MAX_FRAME>);

impl FrameDecoder {
    /// Makes a decoder that waits for the first byte of a frame.
    pub const fn new() -> Self {
        Self(frame::Decoder::new())
    }

    /// Takes the next byte of the line. At the end of a frame it returns the frame's sequence number and
    /// report, or why it cannot be read. Zeros without anything between them are no frame.
    pub fn push(&mut self, byte: u8) -> Option<Result<(u16, Report<'_>), FrameError>> {
        self.0.push(byte)
    }
}

#[cfg(test)]
mod tests;
