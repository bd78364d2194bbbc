//! One life of the device, from a start to whatever ends it: the application on the NPU's driver, as a board runs it.

use std::collections::VecDeque;

use zerda_firmware::app::{App, Output};
use zerda_firmware::audio::{Capture, Ring};
use zerda_firmware::hostile::Bytes;
use zerda_firmware::npu::model::{Injection, Model};
use zerda_firmware::npu::{MAX_BACKOFF, Npu, Scratch};
use zerda_firmware::request;
use zerda_firmware::step::Step;
use zerda_firmware::telemetry::Report;
use zerda_firmware::{Image, Recognizer};
use zerda_update::protocol::{Answer, MAX_ANSWER};

use super::hardware::{Clock, Line, Pin, Source};
use super::update::{Updates, start};
use super::world::{Fault, World};

/// The time, in us, after which a watchdog that is not fed starts the device again.
const WATCHDOG_US: u64 = 2_500_000;
/// The time, in us, that the main loop takes for 10 ms of audio.
const WORK_US: u64 = 2_000;
/// The most audio, in samples, that is compared in one piece; then somebody pulls the plug.
const LONGEST: usize = 180 * 16_000;

type Application<'a> = App<'a, Npu<'a, Model<'a>>, Pin, Line, Clock>;

/// Audio without a gap, from one fresh start of recognition to the next one.
struct Segment {
    start: u64,
    pcm: Vec<i16>,
    /// Holds the faults that happened in it, and those before it, which are survived once it is compared.
    faults: Vec<Fault>,
    before: Vec<Fault>,
}

/// What the test knows of a life, by its own count.
struct Life<'w> {
    world: &'w mut World,
    clock: Clock,
    line: Line,
    segment: Segment,
    /// Holds the blocks in the ring, by the number of their first sample.
    ring: VecDeque<(u64, [i16; 160])>,
    captured: u64,
    audio_ns: u64,
    stopped: bool,
    overruns: u64,
    lost: u64,
    stops: u64,
    /// The ticks for which no audio comes any more.
    silent: u64,
    /// The tick at which the line takes reports again.
    line_heals: u64,
    /// The steps for which the NPU fails still, and how.
    injection: Option<(Injection, u32)>,
    /// The steps, all and those of the NPU, since the NPU failed last.
    failed_at: Option<(u32, u32)>,
}

/// Runs the device until it starts again, or until `ticks` of 10 ms passed in all.
pub fn live(world: &mut World, ticks: u64) {
    let flash = world.flash.take().expect("the flash");
    let (updates, started) = start(flash, world);
    let Some((updates, started)) = updates.zip(started) else {
        return;
    };
    let image = Bytes::new(updates.image(&started));
    let image = Image::parse(image.get()).expect("the image that was started");
    let mut memory = vec![0; image.memory_bytes()];
    let mut models = vec![0; image.memory_bytes()];
    let mut scratch = Box::new(Scratch::<{ 1 << 16 }>::new());
    let npu = Npu::new(Model::new(&image, &mut models), &mut scratch);
    let mut recognizer = Recognizer::with_step(&image, &mut memory, npu).expect("its memory");
    let mut ring = Ring::<16>::new();
    let (producer, consumer) = ring.split();
    let source = Source::default();
    let mut capture = Capture::new(source.clone(), producer);
    let (clock, pins) = (Clock::default(), [Pin::default(), Pin::default()]);
    clock.us.set(world.random.u64(0..1 << 33));
    clock.fed.set(clock.us.get());
    let line = Line::new(&clock);
    let mut outputs = [
        Output::new(pins[0].clone(), None, 300),
        Output::while_awake(pins[1].clone()),
    ];
    let mut app = App::new(
        &mut recognizer,
        consumer,
        &mut outputs,
        line.clone(),
        clock.clone(),
    );
    let mut life = Life {
        segment: Segment {
            start: 0,
            pcm: std::mem::take(&mut world.pcm),
            faults: Vec::new(),
            before: std::mem::take(&mut world.faults),
        },
        world,
        audio_ns: clock.us.get() * 1000,
        clock,
        line,
        ring: VecDeque::new(),
        captured: 0,
        stopped: false,
        overruns: 0,
        lost: 0,
        stops: 0,
        silent: 0,
        line_heals: 0,
        injection: None,
        failed_at: None,
    };
    life.segment.pcm.clear();
    let mut updates = life.run(ticks, &image, &mut app, &source, &mut capture, updates);
    life.compare(&image, &app);
    drop(app);
    let Life { world, segment, .. } = life;
    world.pcm = segment.pcm;
    world.faults = segment.before;
    // Pins of a device that starts again fall; the board does that first.
    updates.turn_on(world);
    world.flash = Some(updates.into_flash());
}

impl Life<'_> {
    fn run(
        &mut self,
        ticks: u64,
        image: &Image<'_>,
        app: &mut Application<'_>,
        source: &Source,
        capture: &mut Capture<'_, Source>,
        mut updates: Updates,
    ) -> Updates {
        // Some images hang soon after their start, or so it seems.
        let hangs = updates.on_trial && self.world.hangs;
        while self.world.tick < ticks {
            self.world.tick += 1;
            let fault = self.world.due();
            if let Some(fault) = fault {
                self.begin(fault, app, source, &mut updates);
            }
            self.capture(source, capture);
            self.poll(image, app);
            if !updates.is_idle() {
                self.update(app, &mut updates);
            }
            if self.world.tick >= self.line_heals {
                self.line.telemetry.borrow_mut().fails = false;
            }
            let audio_ms = app.status().audio_ms;
            let starved = self.clock.us.get().saturating_sub(self.clock.fed.get()) > WATCHDOG_US;
            if starved {
                self.world.counts.watchdogs += 1;
            }
            let hung = hangs && audio_ms > 4_000;
            let unplugged = fault == Some(Fault::Restart) || self.segment.pcm.len() > LONGEST;
            if starved || hung || unplugged || updates.starts_again() {
                return updates;
            }
            updates.ran(audio_ms, self.world);
        }
        updates
    }

    /// Lets a fault happen, or begin.
    fn begin(
        &mut self,
        fault: Fault,
        app: &mut Application<'_>,
        source: &Source,
        updates: &mut Updates,
    ) {
        let random = &mut self.world.random;
        match fault {
            Fault::HeldUp => {
                let us = random.u64(200_000..1_500_000);
                self.clock.us.set(self.clock.us.get() + us);
            }
            Fault::LostSamples => {
                let lost = random.u32(1..4000);
                source.lost.set(source.lost.get() + lost);
                self.captured += u64::from(lost);
            }
            Fault::Npu => {
                let (_, kind) = Injection::NAMED[random.usize(0..Injection::NAMED.len() - 1)];
                assert!(kind != Injection::Identity, "that is for good, by design");
                self.injection = Some((kind, app.status().steps + random.u32(1..20)));
                app.step_mut().bus().inject(Some(kind));
            }
            Fault::AudioStops => self.silent = random.u64(120..400),
            Fault::LineStalls => {
                let us = random.u64(20_000..1_500_000);
                self.line.telemetry.borrow_mut().stall_us = us;
            }
            Fault::LineFails => {
                self.line_heals = self.world.tick + random.u64(10..300);
                self.line.telemetry.borrow_mut().fails = true;
            }
            Fault::Update => updates.begin(self.world),
            Fault::Restart => {}
        }
        self.segment.faults.push(fault);
    }

    /// Captures the next 10 ms, by a clock that is off by up to 200 ppm.
    fn capture(&mut self, source: &Source, capture: &mut Capture<'_, Source>) {
        self.audio_ns += self.world.tick_ns();
        let us = self.audio_ns / 1000;
        self.clock.us.set(self.clock.us.get().max(us));
        if self.silent > 0 {
            self.silent -= 1;
            return;
        }
        let samples = self.world.microphone.next();
        source.samples.borrow_mut().extend(samples);
        assert_eq!(capture.run(), 160);
        if self.ring.len() < 15 {
            self.ring.push_back((self.captured, samples));
        }
        self.captured += 160;
        assert_eq!(capture.captured(), self.captured);
    }

    /// Lets the main loop run, unless it is still busy with what came before.
    fn poll(&mut self, image: &Image<'_>, app: &mut Application<'_>) {
        while self.clock.us.get() < self.audio_ns / 1000 + 10_000 {
            self.watch_npu(app);
            let expected = self.segment.start + self.segment.pcm.len() as u64;
            let next = self.ring.front().map(|(start, _)| *start);
            let idle_us = self.clock.us.get() - self.clock.fed.get();
            let stops = next.is_none() && !self.stopped && idle_us / 1000 >= 1000;
            if let Some(start) = next.filter(|start| *start != expected) {
                self.begin_segment(start, image, app);
                self.overruns += 1;
                self.lost += start - expected;
            } else if stops {
                self.begin_segment(expected, image, app);
                self.stops += 1;
                self.stopped = true;
            }
            assert_eq!(app.poll(), next.is_some());
            let Some((_, samples)) = self.ring.pop_front() else {
                return;
            };
            self.segment.pcm.extend(samples);
            self.stopped = false;
            self.clock.us.set(self.clock.us.get() + WORK_US);
        }
    }

    /// Heals the NPU after a while, and checks that it works again some time later.
    fn watch_npu(&mut self, app: &mut Application<'_>) {
        let steps = app.status().steps;
        let on_npu = app.step_mut().npu().expect("an NPU").steps;
        if self.injection.is_some_and(|(_, until)| steps >= until) {
            self.injection = None;
            app.step_mut().bus().inject(None);
            self.failed_at = Some((steps, on_npu));
        }
        if let Some((at, before)) = self.failed_at
            && self.injection.is_none()
            && steps > at + u32::from(MAX_BACKOFF) + 1
        {
            assert!(on_npu > before, "the NPU was never tried again");
            assert_eq!(app.step_mut().bus().violation(), None);
            self.world.counts.npu_recoveries += 1;
            self.failed_at = None;
        }
    }

    /// Ends a segment, and begins the next one at a sample.
    fn begin_segment(&mut self, start: u64, image: &Image<'_>, app: &Application<'_>) {
        self.compare(image, app);
        self.segment.start = start;
        self.segment.pcm.clear();
    }

    /// Compares what was detected in a segment with what a fresh recognizer detects in it, and what was reported of faults
    /// with our own count.
    fn compare(&mut self, image: &Image<'_>, app: &Application<'_>) {
        let since_ms = (self.segment.start / 16) as u32;
        let mut expected = Vec::new();
        let mut memory = vec![0; image.memory_bytes()];
        let mut fresh = Recognizer::new(image, &mut memory).expect("its memory");
        fresh.push(&self.segment.pcm, |detection| {
            expected.push(format!("{:?}", Report::heard(image, &detection, since_ms)));
        });
        let mut telemetry = self.line.telemetry.borrow_mut();
        let counts = &mut self.world.counts;
        assert_eq!(
            std::mem::take(&mut telemetry.detections),
            expected,
            "tick {}, after {:?}",
            self.world.tick,
            self.segment.faults
        );
        counts.segments += 1;
        counts.detections += expected.len() as u64;
        assert_eq!(
            (telemetry.overruns, telemetry.lost_samples, telemetry.stops),
            (self.overruns, self.lost, self.stops),
            "reported and true"
        );
        assert_eq!(u64::from(app.status().io_errors), telemetry.refused);
        for &fault in &self.segment.before {
            counts.survived[fault as usize] += 1;
        }
        self.segment.before = std::mem::take(&mut self.segment.faults);
    }

    /// Sends a part of an update, and has the application report what the updater answers.
    fn update(&mut self, app: &mut Application<'_>, updates: &mut Updates) {
        for _ in 0..8 {
            let Some((number, answer)) = updates.next(self.world) else {
                return;
            };
            let mut bytes = [0; MAX_ANSWER];
            let sent = self.line.telemetry.borrow().answers.len();
            app.report_answer(number, request::Answer::Update(answer.encode(&mut bytes)));
            let mut telemetry = self.line.telemetry.borrow_mut();
            assert_eq!(telemetry.answers.len(), sent + 1);
            let came = Answer::decode(&telemetry.answers.pop().expect("an answer"));
            // An answer that the line did not take never came.
            let came = came.filter(|_| !telemetry.fails);
            updates.came(came, self.world);
        }
    }
}
