//! Hardware made of shared cells: a clock that drifts, a line that stalls, a microphone that loses samples.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::rc::Rc;

use embedded_hal::digital::{ErrorType, OutputPin};
use zerda_firmware::app::Processor;
use zerda_firmware::audio::{AudioSource, BLOCK};
use zerda_firmware::request::Answer;
use zerda_firmware::telemetry::{FrameDecoder, Report};

/// Time by the processor's clock, in us, which wraps.
#[derive(Clone, Default)]
pub struct Clock {
    pub us: Rc<Cell<u64>>,
    /// Holds the time at which the watchdog was fed, when audio was recognized.
    pub fed: Rc<Cell<u64>>,
}

impl Processor for Clock {
    const CLOCK_HZ: u32 = 1_000_000;

    fn now(&self) -> u32 {
        self.us.get() as u32
    }

    fn sleep_unless(&mut self, _: impl FnOnce() -> bool) {}

    fn feed_watchdog(&mut self) {
        self.fed.set(self.us.get());
    }
}

/// What reached the line, and what it does.
#[derive(Default)]
pub struct Telemetry {
    /// Holds the detections that were reported, those that the line did not take too.
    pub detections: Vec<String>,
    pub overruns: u64,
    pub lost_samples: u64,
    pub stops: u64,
    pub npu_faults: u32,
    /// Holds the answers of the updater.
    pub answers: Vec<Vec<u8>>,
    pub refused: u64,
    /// Says how many us the next report takes.
    pub stall_us: u64,
    /// Says that the line takes nothing.
    pub fails: bool,
}

#[derive(Clone)]
pub struct Line {
    decoder: FrameDecoder,
    pub telemetry: Rc<RefCell<Telemetry>>,
    clock: Clock,
}

impl Line {
    pub fn new(clock: &Clock) -> Self {
        Self {
            decoder: FrameDecoder::new(),
            telemetry: Rc::default(),
            clock: clock.clone(),
        }
    }
}

impl embedded_io::ErrorType for Line {
    type Error = embedded_io::ErrorKind;
}

impl embedded_io::Write for Line {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, embedded_io::ErrorKind> {
        let mut telemetry = self.telemetry.borrow_mut();
        for &byte in bytes {
            let Some(frame) = self.decoder.push(byte) else {
                continue;
            };
            match frame.expect("a frame").1 {
                report @ (Report::Detection { .. } | Report::WakeWord { .. }) => {
                    telemetry.detections.push(format!("{report:?}"));
                }
                Report::Overrun { lost_samples, .. } => {
                    telemetry.overruns += 1;
                    telemetry.lost_samples += u64::from(lost_samples);
                }
                Report::AudioStopped { .. } => telemetry.stops += 1,
                Report::NpuFault { faults, .. } => telemetry.npu_faults = faults,
                Report::Answer {
                    answer: Answer::Update(answer),
                    ..
                } => telemetry.answers.push(answer.to_vec()),
                _ => {}
            }
        }
        let stall = std::mem::take(&mut telemetry.stall_us);
        self.clock.us.set(self.clock.us.get() + stall);
        if telemetry.fails {
            telemetry.refused += 1;
            return Err(embedded_io::ErrorKind::Other);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), embedded_io::ErrorKind> {
        Ok(())
    }
}

/// A pin that knows its level.
#[derive(Clone, Default)]
pub struct Pin(pub Rc<Cell<bool>>);

impl ErrorType for Pin {
    type Error = Infallible;
}

impl OutputPin for Pin {
    fn set_low(&mut self) -> Result<(), Infallible> {
        self.0.set(false);
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        self.0.set(true);
        Ok(())
    }
}

/// What the microphone's interface has, in samples.
#[derive(Clone, Default)]
pub struct Source {
    pub samples: Rc<RefCell<VecDeque<i16>>>,
    pub lost: Rc<Cell<u32>>,
}

impl AudioSource for Source {
    fn read(&mut self, samples: &mut [i16; BLOCK]) -> usize {
        let mut there = self.samples.borrow_mut();
        let count = there.len().min(BLOCK);
        for (slot, sample) in samples.iter_mut().zip(there.drain(..count)) {
            *slot = sample;
        }
        count
    }

    fn lost(&mut self) -> u32 {
        self.lost.take()
    }
}
