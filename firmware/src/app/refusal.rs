//! A device whose image cannot be used says so instead of recognizing.

use embedded_hal::digital::OutputPin;
use embedded_io::Write;

use super::Processor;
use super::elapsed::Elapsed;
use crate::image::Problem;
use crate::step::Cpu;
use crate::telemetry::{Report, encode};

/// The time, in ms, for which the LED is on, and then off.
const BLINK_MS: u64 = 250;
/// The number of changes of the LED from one report to the next.
const BLINKS: u8 = 4;

/// The application of a device whose image cannot be used: an LED blinks twice a second, and a report says each
/// second what is wrong. The watchdog is fed: starting again would not mend the image.
pub struct Refusal<P, T, C> {
    problem: Problem,
    led: Option<P>,
    telemetry: T,
    processor: C,
    sequence: u16,
    /// Holds the time since the LED changed.
    changed: Elapsed,
    /// Counts the changes of the LED since the last report.
    blinks: u8,
    lit: bool,
}

impl<P: OutputPin, T: Write, C: Processor> Refusal<P, T, C> {
    /// Makes the application, sets its LED low and reports the start; errors of pin and line are ignored, since there is
    /// nobody else to tell. Other outputs are the board's to set low.
    pub fn new(problem: Problem, led: P, telemetry: T, processor: C) -> Self {
        #[cfg(feature = "defmt")]
        defmt::error!("the image cannot be used: {}", problem);
        let mut refusal = Self::after(problem, Some(led), telemetry, processor, 0);
        let _ = refusal.telemetry.write_all(&[0]);
        let restart = refusal.processor.restarted();
        refusal.report(Report::Start {
            version: env!("CARGO_PKG_VERSION"),
            image_crc32: 0,
            kernels: Cpu::default().kernels().name,
        });
        if let Some(restart) = restart {
            refusal.report(Report::Restart(restart));
        }
        refusal.blinks = BLINKS;
        refusal.poll();
        refusal
    }

    /// Makes the application of a device that listened and has told of the problem; its next report has this sequence
    /// number.
    pub(super) fn after(
        problem: Problem,
        led: Option<P>,
        telemetry: T,
        processor: C,
        sequence: u16,
    ) -> Self {
        let changed = Elapsed::new(processor.now());
        let mut refusal = Self {
            problem,
            led,
            telemetry,
            processor,
            sequence,
            changed,
            blinks: 0,
            lit: false,
        };
        refusal.show(false);
        refusal
    }

    fn show(&mut self, lit: bool) {
        self.lit = lit;
        if let Some(led) = &mut self.led {
            let _ = led.set_state(lit.into());
        }
    }

    /// Blinks and reports for ever.
    pub fn run(mut self) -> ! {
        loop {
            self.poll();
            self.processor.sleep_unless(|| false);
        }
    }

    /// Changes the LED and reports, if it is time to.
    pub fn poll(&mut self) {
        self.processor.feed_watchdog();
        self.changed.look(self.processor.now(), C::CLOCK_HZ);
        if self.blinks >= BLINKS {
            self.blinks = 0;
            self.report(Report::BadImage(self.problem));
        }
        if self.changed.ms >= BLINK_MS {
            self.changed.ms = 0;
            self.blinks = self.blinks.saturating_add(1);
            self.show(!self.lit);
        }
    }

    fn report(&mut self, report: Report<'_>) {
        if let Some(frame) = encode(self.sequence, &report) {
            let _ = self.telemetry.write_all(&frame);
        }
        self.sequence = self.sequence.wrapping_add(1);
    }
}
