//! What the application tells of: its status, faults, and what was heard.

use embedded_hal::digital::OutputPin;
use embedded_io::Write;

use super::{App, Processor, count};
use crate::gate::{Awake, Reason};
use crate::image::milliseconds;
use crate::recognizer::Event;
use crate::step::{Counters, Step};
use crate::telemetry::{Report, encode};
use crate::templates::Match;

impl<S, P, T, C> App<'_, S, P, T, C>
where
    S: Step,
    P: OutputPin,
    T: Write,
    C: Processor,
{
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

    /// Says whether the image names wake words.
    fn is_gated(&self) -> bool {
        self.recognizer.image().wake().is_some()
    }

    pub(super) fn came(&mut self, event: Event<'_>) {
        let since_start = milliseconds(self.stream_start);
        let at = |ms: u32| since_start.saturating_add(ms);
        match event {
            Event::Detection(detection) => self.detected(detection),
            Event::Awake(Awake {
                at_ms, until_ms, ..
            }) => {
                let (at_ms, until_ms) = (at(at_ms), at(until_ms));
                #[cfg(feature = "defmt")]
                defmt::info!("awake until {=u32} ms", until_ms);
                self.report(Report::Awake { at_ms, until_ms });
            }
            Event::Asleep(asleep) => self.fell_asleep(at(asleep.at_ms), asleep.reason),
            Event::Speech(spell) => self.report(Report::Speech {
                at_ms: at(spell.at_ms),
            }),
            Event::Quiet(spell) => self.report(Report::Quiet {
                at_ms: at(spell.at_ms),
            }),
            Event::Encoded { .. } | Event::Step { .. } | Event::Frame { .. } | Event::Word(_) => {}
        }
    }

    pub(super) fn fell_asleep(&mut self, at_ms: u32, reason: Reason) {
        #[cfg(feature = "defmt")]
        defmt::info!("asleep at {=u32} ms: {}", at_ms, reason);
        self.report(Report::Asleep { at_ms, reason });
    }

    /// Reports a phrase that a template told of.
    pub(super) fn found(&mut self, phrase: &Match<'_>) {
        let report = Report::found(phrase, milliseconds(self.stream_start));
        #[cfg(feature = "defmt")]
        defmt::info!("{}", report);
        self.report(report);
    }

    /// Reports the last fault of the NPU in this block, if there was one.
    pub(super) fn report_npu_fault(&mut self) {
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

    /// Sends a report, as the application does with its own.
    pub fn report(&mut self, report: Report<'_>) {
        let frame = encode(self.sequence, &report);
        self.sequence = self.sequence.wrapping_add(1);
        let sent = frame.is_some_and(|frame| self.telemetry.write_all(&frame).is_ok());
        count(&mut self.status.io_errors, !sent);
    }
}
