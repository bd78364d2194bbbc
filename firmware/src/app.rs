//! The application takes audio from the ring, recognizes commands, sets outputs and sends reports. It is
//! generic over the hardware, which a board crate brings: a [`Processor`], pins of `embedded-hal`, a serial
//! line of `embedded-io`, and an [`crate::audio::AudioSource`] at the other end of the ring.

mod fits;
mod output;

use core::ops::Range;

use embedded_hal::digital::OutputPin;
use embedded_io::Write;
use heapless::Vec;
use heapless::spsc::Consumer;

use crate::audio::{Block, has_slots};
use crate::crc::{CRC, update};
use crate::gate::{Awake, Outcome, Reason};
use crate::grammar::Detection;
use crate::image::{milliseconds, samples};
use crate::kernels;
use crate::recognizer::{Event, Recognizer};
use crate::step::{Counters, Step};
use crate::telemetry::{Report, Status, encode};
pub use fits::assert_fits;
pub use output::Output;
use output::When;

/// The length of audio, in ms, that lies between two reports of the status.
const STATUS_MS: u32 = 1000;

/// The most detections and changes of the gate that one block can bring; any more count as errors. Two
/// commands come within one step only if the refractory time is shorter than the step.
const MAX_OUTCOMES: usize = 16;

/// The services that the application needs from the processor.
pub trait Processor {
    /// The rate, in Hz, at which [`Processor::now`] counts. The counter must not wrap within a few seconds.
    const CLOCK_HZ: u32;

    /// Returns a counter that runs freely and wraps. It must go on while the processor sleeps.
    fn now(&self) -> u32;

    /// Sleeps until an interrupt (`wfi`), unless `ready` says, with interrupts masked, that there is work
    /// already.
    fn sleep_unless(&mut self, ready: impl FnOnce() -> bool);

    /// Returns the most stack used so far, in bytes, or 0 where it is not measured.
    fn stack_bytes(&self) -> u32 {
        0
    }
}

/// The application, which runs in the context of the main loop.
pub struct App<'a, S, P, T, C> {
    recognizer: Recognizer<'a, S>,
    blocks: Consumer<'a, Block>,
    outputs: &'a mut [Output<P>],
    telemetry: T,
    processor: C,
    /// Holds the sequence number that the next report gets.
    sequence: u16,
    /// Holds the number of the sample that comes next if none is lost.
    next: u64,
    /// Holds the number of the sample at which the recognizer's stream began.
    stream_start: u64,
    status: Status,
    /// Counts the wake words that were detected.
    wake_words: u32,
    /// Says whether the pins show that commands count.
    awake: bool,
    /// Counts the faults of the NPU that were reported.
    npu_faults: u32,
    /// Sums up all logits since the start, as `zerda run` does.
    logits: crc::Digest<'static, u32>,
    /// Holds the clock readings before and after the last recognition.
    recognition: Range<u32>,
    /// Holds the clock reading of the last status. `busy` counts the ticks since then in which the processor
    /// did not sleep.
    status_at: u32,
    busy: u32,
    /// Holds the number of the sample that the next status waits for.
    next_status: u64,
}

impl<'a, S, P, T, C> App<'a, S, P, T, C>
where
    S: Step,
    P: OutputPin,
    T: Write,
    C: Processor,
{
    /// Makes the application, sets all outputs low and reports the start.
    pub fn new(
        recognizer: Recognizer<'a, S>,
        blocks: Consumer<'a, Block>,
        outputs: &'a mut [Output<P>],
        telemetry: T,
        processor: C,
    ) -> Self {
        let now = processor.now();
        let mut app = Self {
            recognizer,
            blocks,
            outputs,
            telemetry,
            processor,
            sequence: 0,
            next: 0,
            stream_start: 0,
            status: Status::default(),
            wake_words: 0,
            awake: false,
            npu_faults: 0,
            logits: CRC.digest(),
            recognition: now..now,
            status_at: now,
            busy: 0,
            next_status: samples(STATUS_MS),
        };
        for output in app.outputs.iter_mut() {
            app.status.io_errors += u32::from(output.pin.set_low().is_err());
        }
        let image_crc32 = app.recognizer.image().checksum();
        #[cfg(feature = "defmt")]
        defmt::info!(
            "image {=u32:08x}, {=str} kernels",
            image_crc32,
            kernels::NAME
        );
        app.report(Report::Start {
            version: env!("CARGO_PKG_VERSION"),
            image_crc32,
            kernels: kernels::NAME,
        });
        app
    }

    /// Handles all audio as it comes, and sleeps in between.
    pub fn run(mut self) -> ! {
        loop {
            if !self.poll() {
                self.sleep();
            }
        }
    }

    /// Sleeps until an interrupt, unless a block of audio is waiting.
    pub fn sleep(&mut self) {
        let blocks = &self.blocks;
        self.processor.sleep_unless(|| blocks.ready());
    }

    /// Handles one block of audio. Returns false if there was none.
    pub fn poll(&mut self) -> bool {
        let begin = self.processor.now();
        let has_slots = has_slots(self.blocks.capacity());
        let Some(block) = has_slots.then(|| self.blocks.dequeue()).flatten() else {
            return false;
        };
        if block.start != self.next {
            self.overrun(&block);
        }
        self.next = block.start.saturating_add(block.samples.len() as u64);
        self.status.audio_ms = milliseconds(self.next);
        let outcomes = self.recognize(&block.samples);
        self.report_npu_fault();
        for &outcome in &outcomes {
            self.came(outcome);
        }
        self.show_awake();
        self.release_outputs();
        self.busy = self
            .busy
            .wrapping_add(self.processor.now().wrapping_sub(begin));
        if self.next >= self.next_status {
            self.next_status = self.next.saturating_add(samples(STATUS_MS));
            self.report_status();
        }
        true
    }

    /// Reports the status now, in addition to the report after each second of audio.
    pub fn report_status(&mut self) {
        let now = self.processor.now();
        let elapsed = now.wrapping_sub(self.status_at);
        // The last bits are dropped, so that 22 are left: a division of 64 bits takes 900 bytes of flash.
        let shift = 10u32.saturating_sub(self.busy.leading_zeros());
        let load = (self.busy >> shift) * 1000 / (elapsed >> shift).max(1);
        self.status.load_permille = u16::try_from(load).unwrap_or(u16::MAX);
        self.status.stack_bytes = self.processor.stack_bytes();
        self.status.logits_crc32 = self.logits.clone().finalize();
        (self.status_at, self.busy) = (now, 0);
        if let Some(Counters { steps, faults, .. }) = self.recognizer.step_mut().npu() {
            self.report(Report::Npu { steps, faults });
        }
        if self.is_gated() {
            let (awake, wake_words) = (self.recognizer.is_awake(), self.wake_words);
            self.report(Report::Gate { awake, wake_words });
        }
        self.report(Report::Status(self.status));
    }

    /// Returns the clock readings before and after the last block was recognized, without the time that its
    /// reports took.
    pub fn recognition(&self) -> Range<u32> {
        self.recognition.clone()
    }

    /// Returns what runs the steps.
    pub fn step_mut(&mut self) -> &mut S {
        self.recognizer.step_mut()
    }

    fn recognize(&mut self, samples: &[i16]) -> Vec<Outcome, MAX_OUTCOMES> {
        let mut outcomes = Vec::new();
        let mut came = |outcome, status: &mut Status| {
            if outcomes.push(outcome).is_err() {
                status.io_errors = status.io_errors.wrapping_add(1);
            }
        };
        let (status, logits_crc) = (&mut self.status, &mut self.logits);
        self.recognition.start = self.processor.now();
        self.recognizer.push_events(samples, |event| match event {
            Event::Step { logits, .. } => {
                status.steps = status.steps.wrapping_add(1);
                update(logits_crc, bytemuck::cast_slice(logits));
            }
            Event::Frame { .. } | Event::Word(_) => {}
            Event::Detection(detection) => came(Outcome::Detection(detection), status),
            Event::Awake(awake) => came(Outcome::Awake(awake), status),
            Event::Asleep(asleep) => came(Outcome::Asleep(asleep), status),
        });
        self.recognition.end = self.processor.now();
        outcomes
    }

    fn overrun(&mut self, block: &Block) {
        let lost = block.start.saturating_sub(self.next);
        let lost_samples = u32::try_from(lost).unwrap_or(u32::MAX);
        let at_ms = milliseconds(block.start);
        let closed = self.recognizer.reset();
        self.stream_start = block.start;
        self.status.overruns = self.status.overruns.wrapping_add(1);
        self.status.lost_samples = self.status.lost_samples.wrapping_add(lost_samples);
        #[cfg(feature = "defmt")]
        defmt::warn!(
            "overrun: {=u32} samples lost before {=u32} ms",
            lost_samples,
            at_ms
        );
        self.report(Report::Overrun {
            at_ms,
            lost_samples,
        });
        if closed.is_some() {
            self.fell_asleep(at_ms, Reason::Reset);
        }
    }

    /// Says whether the image names wake words.
    fn is_gated(&self) -> bool {
        self.recognizer.image().wake().is_some()
    }

    fn came(&mut self, outcome: Outcome) {
        let since_start = milliseconds(self.stream_start);
        let at = |ms: u32| since_start.saturating_add(ms);
        match outcome {
            Outcome::Detection(detection) => self.detected(detection),
            Outcome::Awake(Awake {
                at_ms, until_ms, ..
            }) => {
                let (at_ms, until_ms) = (at(at_ms), at(until_ms));
                #[cfg(feature = "defmt")]
                defmt::info!("awake until {=u32} ms", until_ms);
                self.report(Report::Awake { at_ms, until_ms });
            }
            Outcome::Asleep(asleep) => self.fell_asleep(at(asleep.at_ms), asleep.reason),
        }
    }

    fn fell_asleep(&mut self, at_ms: u32, reason: Reason) {
        #[cfg(feature = "defmt")]
        defmt::info!("asleep at {=u32} ms: {}", at_ms, reason);
        self.report(Report::Asleep { at_ms, reason });
    }

    /// Sets the pins that are high while commands count, if that changed.
    fn show_awake(&mut self) {
        let awake = self.recognizer.is_awake();
        if core::mem::replace(&mut self.awake, awake) == awake {
            return;
        }
        for output in self.outputs.iter_mut() {
            if matches!(output.when, When::Awake) {
                let set = output.pin.set_state(awake.into());
                self.status.io_errors += u32::from(set.is_err());
            }
        }
    }

    /// Reports the last fault of the NPU in this block, if there was one.
    fn report_npu_fault(&mut self) {
        let Some(counters) = self.recognizer.step_mut().npu() else {
            return;
        };
        let faults = counters.faults;
        let Some(failure) = counters.last.filter(|_| faults != self.npu_faults) else {
            return;
        };
        self.npu_faults = faults;
        self.report(Report::NpuFault {
            at_ms: self.status.audio_ms,
            failure,
            faults,
            backoff: counters.backoff,
        });
    }

    fn detected(&mut self, detection: Detection) {
        let command = self.recognizer.image().command(detection.command);
        let command = command.unwrap_or("?");
        let is_wake_word = self.recognizer.image().is_wake_word(detection.command);
        let count = if is_wake_word {
            &mut self.wake_words
        } else {
            &mut self.status.detections
        };
        *count = count.wrapping_add(1);
        for output in self.outputs.iter_mut() {
            let meant = match output.when {
                When::Said(name) => name == command,
                When::AnyCommand => !is_wake_word,
                When::Awake => false,
            };
            if meant {
                output.until = Some(self.next.saturating_add(samples(output.hold_ms)));
                self.status.io_errors += u32::from(output.pin.set_high().is_err());
            }
        }
        #[cfg(feature = "defmt")]
        defmt::info!("{=str}, score {=u8}/256", command, detection.score);
        let since_start = milliseconds(self.stream_start);
        self.report(Report::heard(
            self.recognizer.image(),
            &detection,
            since_start,
        ));
    }

    fn release_outputs(&mut self) {
        for output in self.outputs.iter_mut() {
            if output.until.is_some_and(|until| self.next >= until) {
                output.until = None;
                self.status.io_errors += u32::from(output.pin.set_low().is_err());
            }
        }
    }

    fn report(&mut self, report: Report<'_>) {
        let frame = encode(self.sequence, &report);
        self.sequence = self.sequence.wrapping_add(1);
        let sent = frame.is_some_and(|frame| self.telemetry.write_all(&frame).is_ok());
        self.status.io_errors = self.status.io_errors.wrapping_add(u32::from(!sent));
    }
}
