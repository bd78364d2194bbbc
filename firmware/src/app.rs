//! The application takes audio from the ring, recognizes commands, sets outputs and sends reports. It is
//! generic over the hardware, which a board crate brings: a [`Processor`], pins of `embedded-hal`, a serial
//! line of `embedded-io`, and an [`crate::audio::AudioSource`] at the other end of the ring.

mod answers;
mod elapsed;
mod fits;
mod output;
mod processor;
mod refusal;
mod reports;
mod scrub;

use core::ops::Range;

use embedded_hal::digital::OutputPin;
use embedded_io::Write;
use heapless::Vec;
use heapless::spsc::Consumer;

use crate::audio::{Block, has_slots};
use crate::crc::{CRC, Digest, update};
use crate::gate::Reason;
use crate::grammar::Detection;
use crate::image::{Problem, milliseconds, samples};
use crate::recognizer::{Event, Recognizer};
use crate::step::{Cpu, Step};
use crate::telemetry::{Report, Status};
use crate::templates::{Match, Phrases};
use elapsed::Elapsed;
pub use fits::assert_fits;
pub use output::Output;
use output::{Until, When};
pub use processor::Processor;
pub use refusal::Refusal;
use scrub::Scrub;

/// The length of audio, in ms, that lies between two reports of the status.
const STATUS_MS: u32 = 1000;

/// The time by the clock, in ms, after which audio that does not come counts as stopped.
const STOPPED_MS: u64 = 1000;

/// The most detections and changes of the gates that one block can bring; any more count as errors. Two
/// commands come within one step only if the refractory time is shorter than the step.
const MAX_OUTCOMES: usize = 16;

/// The application, which runs in the context of the main loop.
pub struct App<'a, S, P, T, C> {
    recognizer: &'a mut Recognizer<'a, S>,
    /// Looks for phrases beside the image's words.
    phrases: Option<&'a mut dyn Phrases<'a>>,
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
    /// Holds the time since audio came last.
    idle: Elapsed,
    /// Says whether audio stopped, and recognition with it.
    stopped: bool,
    status: Status,
    /// Counts the wake words that were detected.
    wake_words: u32,
    /// Says whether the pins show that commands count.
    awake: bool,
    /// Counts the faults of the NPU that were reported.
    npu_faults: u32,
    /// Sums up all logits since the start, as `zerda run` does.
    logits: Digest,
    /// Holds the clock readings before and after the last recognition.
    recognition: Range<u32>,
    /// Holds the clock reading of the last status. `busy` counts the ticks since then in which the processor
    /// did not sleep.
    status_at: u32,
    busy: u32,
    /// Holds the number of the sample that the next status waits for.
    next_status: u64,
    /// Reads the image again and again.
    scrub: Scrub<'a>,
    /// Says what became of the image, if it is not what it was any more.
    damage: Option<Problem>,
}

impl<'a, S, P, T, C> App<'a, S, P, T, C>
where
    S: Step,
    P: OutputPin,
    T: Write,
    C: Processor,
{
    /// Makes the application, sets all outputs low and reports the start, and what made the device start again.
    pub fn new(
        recognizer: &'a mut Recognizer<'a, S>,
        blocks: Consumer<'a, Block>,
        outputs: &'a mut [Output<P>],
        telemetry: T,
        processor: C,
    ) -> Self {
        let now = processor.now();
        let scrub = Scrub::new(recognizer.image());
        let mut app = Self {
            recognizer,
            phrases: None,
            blocks,
            outputs,
            telemetry,
            processor,
            sequence: 0,
            next: 0,
            stream_start: 0,
            idle: Elapsed::new(now),
            stopped: false,
            status: Status::default(),
            wake_words: 0,
            awake: false,
            npu_faults: 0,
            logits: CRC.digest(),
            recognition: now..now,
            status_at: now,
            busy: 0,
            next_status: samples(STATUS_MS),
            scrub,
            damage: None,
        };
        for output in app.outputs.iter_mut() {
            count(&mut app.status.io_errors, output.pin.set_low().is_err());
        }
        // It ends what a restart cut short, so that the first frame is read.
        let ended = app.telemetry.write_all(&[0]);
        count(&mut app.status.io_errors, ended.is_err());
        let image_crc32 = app.recognizer.image().checksum();
        #[cfg(feature = "defmt")]
        defmt::info!(
            "image {=u32:08x}, {=str} kernels",
            image_crc32,
            Cpu::default().kernels().name
        );
        app.report(Report::Start {
            version: env!("CARGO_PKG_VERSION"),
            image_crc32,
            kernels: Cpu::default().kernels().name,
        });
        if let Some(restart) = app.processor.restarted() {
            #[cfg(feature = "defmt")]
            defmt::warn!("restarted: {}", restart);
            app.report(Report::Restart(restart));
        }
        app
    }

    /// Looks for phrases as well, by a [`Matcher`](crate::templates::Matcher) that was made for this recognizer, and reports
    /// each that is said. They count at any time, whether commands do or not, and set no output. Without this call
    /// nothing of templates is linked.
    pub fn listen_for(&mut self, phrases: &'a mut dyn Phrases<'a>) {
        self.phrases = Some(phrases);
    }

    /// Handles all audio as it comes, and sleeps in between. Once the image is damaged, the last output blinks instead, as
    /// [`Refusal`] does it.
    pub fn run(mut self) -> ! {
        loop {
            if let Some(problem) = self.damage {
                self.refuse(problem).run();
            }
            if !self.poll() {
                self.sleep();
            }
        }
    }

    /// Returns what became of the image, which is checked while audio comes, if it is not what it was any more.
    pub fn damage(&self) -> Option<Problem> {
        self.damage
    }

    /// Sleeps until an interrupt, unless a block of audio is waiting.
    pub fn sleep(&mut self) {
        let blocks = &self.blocks;
        self.processor.sleep_unless(|| blocks.ready());
    }

    /// Handles one block of audio. Returns false if there was none, or the image is damaged. The processor's watchdog is fed
    /// if there was one.
    pub fn poll(&mut self) -> bool {
        if self.damage.is_some() {
            return false;
        }
        let begin = self.processor.now();
        let has_slots = has_slots(self.blocks.capacity());
        let Some(block) = has_slots.then(|| self.blocks.dequeue()).flatten() else {
            self.wait(begin);
            return false;
        };
        if core::mem::take(&mut self.stopped) {
            // The load is that of audio.
            (self.status_at, self.busy) = (begin, 0);
        }
        if block.start != self.next {
            self.overrun(&block);
        }
        self.next = block.start.saturating_add(block.samples.len() as u64);
        self.status.audio_ms = milliseconds(self.next);
        let (outcomes, phrase) = self.recognize(&block.samples);
        self.report_npu_fault();
        if let Some(phrase) = phrase {
            self.found(&phrase);
        }
        for &outcome in &outcomes {
            self.came(outcome);
        }
        self.show_awake();
        if !self.scrub.finds_it_whole() {
            self.damaged(Problem::Checksum);
        }
        self.processor.feed_watchdog();
        let end = self.processor.now();
        self.idle = Elapsed::new(end);
        self.release_outputs(end);
        self.busy = self.busy.wrapping_add(end.wrapping_sub(begin));
        if self.next >= self.next_status {
            self.next_status = self.next.saturating_add(samples(STATUS_MS));
            self.report_status();
        }
        true
    }

    /// Releases outputs by the clock while no audio comes. If that lasts, recognition starts afresh: what comes later
    /// does not follow what came before.
    fn wait(&mut self, now: u32) {
        self.idle.look(now, C::CLOCK_HZ);
        self.release_outputs(now);
        if self.stopped || self.idle.ms < STOPPED_MS {
            return;
        }
        self.stopped = true;
        let at_ms = milliseconds(self.next);
        #[cfg(feature = "defmt")]
        defmt::warn!("audio stopped at {=u32} ms", at_ms);
        self.report(Report::AudioStopped { at_ms });
        self.restart(self.next);
        self.show_awake();
    }

    /// Starts recognition afresh at a sample, and says so if that closes the window of a wake word.
    fn restart(&mut self, sample: u64) {
        self.stream_start = sample;
        if self.recognizer.reset().is_some() {
            self.fell_asleep(milliseconds(sample), Reason::Reset);
        }
    }

    /// Returns the clock readings before and after the last block was recognized, without the time that its
    /// reports took.
    pub fn recognition(&self) -> Range<u32> {
        self.recognition.clone()
    }

    /// Returns the counters since the start.
    pub fn status(&self) -> &Status {
        &self.status
    }

    /// Returns what runs the steps.
    pub fn step_mut(&mut self) -> &mut S {
        self.recognizer.step_mut()
    }

    /// Returns what the samples bring, and the phrase that was found: a step decides no more than one.
    fn recognize(
        &mut self,
        samples: &[i16],
    ) -> (Vec<Event<'static>, MAX_OUTCOMES>, Option<Match<'a>>) {
        let (mut outcomes, mut phrase) = (Vec::new(), None);
        let mut came = |outcome, status: &mut Status| {
            count(&mut status.io_errors, outcomes.push(outcome).is_err());
        };
        let (status, logits_crc) = (&mut self.status, &mut self.logits);
        let phrases = &mut self.phrases;
        self.recognition.start = self.processor.now();
        self.recognizer.push_events(samples, |event| {
            let found = phrases.as_mut().and_then(|phrases| phrases.push(&event));
            if found.is_some() {
                count(&mut status.io_errors, phrase.is_some());
                phrase = found;
            }
            match event {
                Event::Step { logits, .. } => {
                    count(&mut status.steps, true);
                    update(logits_crc, bytemuck::cast_slice(logits));
                }
                Event::Encoded { .. } | Event::Frame { .. } | Event::Word(_) => {}
                Event::Detection(detection) => came(Event::Detection(detection), status),
                Event::Awake(awake) => came(Event::Awake(awake), status),
                Event::Asleep(asleep) => came(Event::Asleep(asleep), status),
                Event::Speech(spell) => came(Event::Speech(spell), status),
                Event::Quiet(spell) => came(Event::Quiet(spell), status),
            }
        });
        self.recognition.end = self.processor.now();
        (outcomes, phrase)
    }

    fn overrun(&mut self, block: &Block) {
        let lost = block.start.saturating_sub(self.next);
        let lost_samples = u32::try_from(lost).unwrap_or(u32::MAX);
        let at_ms = milliseconds(block.start);
        count(&mut self.status.overruns, true);
        self.status.lost_samples = self.status.lost_samples.saturating_add(lost_samples);
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
        self.restart(block.start);
    }

    /// Sets the pins that are high while commands count, if that changed.
    fn show_awake(&mut self) {
        let awake = self.recognizer.is_awake() && !self.stopped;
        if core::mem::replace(&mut self.awake, awake) == awake {
            return;
        }
        for output in self.outputs.iter_mut() {
            if matches!(output.when, When::Awake) {
                let set = output.pin.set_state(awake.into());
                count(&mut self.status.io_errors, set.is_err());
            }
        }
    }

    fn detected(&mut self, detection: Detection) {
        let command = self.recognizer.image().command(detection.command);
        let command = command.unwrap_or("?");
        let is_wake_word = self.recognizer.image().is_wake_word(detection.command);
        let counter = if is_wake_word {
            &mut self.wake_words
        } else {
            &mut self.status.detections
        };
        count(counter, true);
        let now = self.processor.now();
        for output in self.outputs.iter_mut() {
            let meant = match output.when {
                When::Said(name) => name == command,
                When::AnyCommand => !is_wake_word,
                When::Awake => false,
            };
            if meant {
                output.until = Some(Until {
                    sample: self.next.saturating_add(samples(output.hold_ms)),
                    high: Elapsed::new(now),
                });
                let set = output.pin.set_high();
                count(&mut self.status.io_errors, set.is_err());
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

    /// Lowers the outputs whose time is over, by the audio or by a reading of the clock.
    fn release_outputs(&mut self, now: u32) {
        for output in self.outputs.iter_mut() {
            if output.is_over(self.next, now, C::CLOCK_HZ) {
                output.until = None;
                let set = output.pin.set_low();
                count(&mut self.status.io_errors, set.is_err());
            }
        }
    }
}

/// Counts what happened, up to the most that the counter can tell.
fn count(counter: &mut u32, happened: bool) {
    *counter = counter.saturating_add(happened.into());
}

#[cfg(test)]
mod tests;
