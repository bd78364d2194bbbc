//! Hardware made of vectors, and what reached its pins and its serial line.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::rc::Rc;
use std::string::String;
use std::{format, vec::Vec};

use embedded_hal::digital::{ErrorType, OutputPin};

use crate::app::Processor;
use crate::recovery::Restart;
use crate::telemetry::FrameDecoder;
use crate::{Aligned, memory_bytes};

pub static IMAGE: &Aligned<[u8]> = &Aligned(*include_bytes!("../../../../models/shrunk.zerda"));
pub const MEMORY: usize = memory_bytes(&IMAGE.0);

/// What happened, in order; the line and the pins write to it.
pub type Log = Rc<RefCell<Vec<String>>>;

pub struct Line {
    decoder: FrameDecoder,
    log: Log,
}

impl Line {
    pub fn new(log: &Log) -> Self {
        let (decoder, log) = (FrameDecoder::new(), log.clone());
        Self { decoder, log }
    }
}

impl embedded_io::ErrorType for Line {
    type Error = Infallible;
}

impl embedded_io::Write for Line {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        for &byte in bytes {
            if let Some(frame) = self.decoder.push(byte) {
                let (_, report) = frame.unwrap();
                self.log.borrow_mut().push(format!("{report:?}"));
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

pub struct Pin(pub &'static str, pub Log);

impl ErrorType for Pin {
    type Error = Infallible;
}

impl OutputPin for Pin {
    fn set_low(&mut self) -> Result<(), Infallible> {
        self.1.borrow_mut().push(format!("{} low", self.0));
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        self.1.borrow_mut().push(format!("{} high", self.0));
        Ok(())
    }
}

/// A processor whose clock ticks at each look.
#[derive(Clone, Default)]
pub struct Clock {
    pub ticks: Rc<Cell<u32>>,
    /// Counts how often the watchdog was fed.
    pub fed: Rc<Cell<u32>>,
    pub restart: Option<Restart>,
}

impl Clock {
    /// Lets time pass, in ms.
    pub fn skip(&self, ms: u32) {
        self.ticks.set(self.ticks.get().wrapping_add(ms));
    }
}

impl Processor for Clock {
    const CLOCK_HZ: u32 = 1000;

    fn now(&self) -> u32 {
        self.ticks.replace(self.ticks.get().wrapping_add(1))
    }

    fn sleep_unless(&mut self, _: impl FnOnce() -> bool) {}

    fn stack_bytes(&self) -> u32 {
        77
    }

    fn feed_watchdog(&mut self) {
        self.fed.set(self.fed.get() + 1);
    }

    fn restarted(&mut self) -> Option<Restart> {
        self.restart
    }
}

pub fn answers() -> Vec<i16> {
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/samples/answers.wav");
    let samples = hound::WavReader::open(sample).unwrap().into_samples();
    samples.collect::<Result<_, _>>().unwrap()
}

pub fn with<'l>(log: &'l [String], start: &str) -> Vec<&'l str> {
    let lines = log.iter().map(String::as_str);
    lines.filter(|line| line.starts_with(start)).collect()
}
