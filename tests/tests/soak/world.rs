//! The world decides what happens when, and counts it.

use std::fmt;
use std::str::FromStr;

use fastrand::Rng;
use zerda_firmware::image::section::test_section::with_npu;
use zerda_support::wake;
use zerda_tests::repository;
use zerda_update::SecretKey;

use super::audio::Microphone;
use super::device::live;
use super::update::{FACTORY, Flash, Transfer, factory};

/// Something that goes wrong, or changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    HeldUp,
    LostSamples,
    Npu,
    AudioStops,
    LineStalls,
    LineFails,
    Update,
    Restart,
}

const FAULTS: [(Fault, &str); 8] = [
    (Fault::HeldUp, "the main loop held up"),
    (Fault::LostSamples, "samples lost by the hardware"),
    (Fault::Npu, "NPU faults"),
    (Fault::AudioStops, "audio stopped"),
    (Fault::LineStalls, "the line stalled"),
    (Fault::LineFails, "the line took nothing"),
    (Fault::Update, "updates begun"),
    (Fault::Restart, "the plug pulled"),
];

/// What happened, and what was survived.
#[derive(Default)]
pub struct Counts {
    pub begun: [u64; FAULTS.len()],
    pub survived: [u64; FAULTS.len()],
    pub segments: u64,
    pub detections: u64,
    pub npu_recoveries: u64,
    pub watchdogs: u64,
    pub starts: u64,
    pub trials: u64,
    pub verified: u64,
    pub confirmed: u64,
    pub fell_back: u64,
    pub refused: u64,
    pub power_cuts: u64,
    pub damaged_frames: u64,
    /// The most us that the audio's clock was off the processor's.
    pub drift_us: u64,
}

impl Counts {
    /// Checks that each kind of fault came, and that all were survived but those that came last.
    pub fn assert_all_survived(&self) {
        for ((begun, survived), (_, name)) in self.begun.iter().zip(self.survived).zip(FAULTS) {
            assert!(*begun > 0 && survived > 0, "{name}: {survived} of {begun}");
            assert!(begun - survived <= 8, "{name}: {survived} of {begun}");
        }
        assert!(self.detections > 0 && self.verified + self.refused > 0 && self.drift_us > 0);
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let survived = FAULTS.iter().zip(self.survived).zip(self.begun);
        let survived: Vec<_> = survived
            .map(|(((_, name), survived), begun)| format!("{name} {survived} of {begun}"))
            .collect();
        let Self {
            segments,
            detections,
            npu_recoveries,
            watchdogs,
            starts,
            trials,
            verified,
            confirmed,
            fell_back,
            refused,
            power_cuts,
            damaged_frames,
            drift_us,
            ..
        } = self;
        write!(
            f,
            "survived: {}; {detections} detections in {segments} pieces, all those of a fresh run; the NPU ran again \
             {npu_recoveries} times; {watchdogs} resets by the watchdog; {starts} starts, {trials} on trial; updates: \
             {verified} verified, {confirmed} confirmed, {fell_back} given up, {refused} refused, {power_cuts} power \
             cuts, {damaged_frames} damaged frames; the clocks drifted by {} ms",
            survived.join(", "),
            drift_us / 1000
        )
    }
}

pub struct World {
    pub random: Rng,
    pub microphone: Microphone,
    /// The time in 10 ms of audio.
    pub tick: u64,
    due: u64,
    /// Holds the faults that are still to come in this round, in which each comes once.
    round: Vec<Fault>,
    drift_ns: i64,
    pub flash: Option<Flash>,
    pub key: SecretKey,
    images: Vec<Vec<u8>>,
    /// The highest version that was confirmed.
    pub confirmed: u32,
    /// The highest version that was signed.
    pub newest: u32,
    /// Says that the image on trial will not run well.
    pub hangs: bool,
    pub transfer: Option<Transfer>,
    pub counts: Counts,
    /// Holds memory that lives share.
    pub pcm: Vec<i16>,
    /// Holds faults of a life before.
    pub faults: Vec<Fault>,
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let images = images();
        let flash = factory(&images[FACTORY as usize % images.len()], random.u64(..));
        Self {
            microphone: Microphone::new(random.u64(..)),
            tick: 0,
            due: 50,
            round: Vec::new(),
            drift_ns: 0,
            flash: Some(flash),
            key: SecretKey::from_seed(core::array::from_fn(|_| random.u8(..))),
            images,
            confirmed: FACTORY,
            newest: FACTORY,
            hangs: false,
            transfer: None,
            counts: Counts::default(),
            pcm: Vec::with_capacity(200 * 16_000),
            faults: Vec::new(),
            random,
        }
    }

    /// Runs lives of the device until this tick.
    pub fn run_until(&mut self, tick: u64) {
        while self.tick < tick {
            live(self, tick);
        }
    }

    pub fn tick(&self) -> u64 {
        self.tick
    }

    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    pub fn what_is_heard(&self) -> &'static str {
        match self.microphone.recorded {
            true => "recorded speech with gaps, noise and silence",
            false => "the repository's samples with gaps, noise and silence",
        }
    }

    /// Returns the image of a version: one without wake words, one with, one whose network rests.
    pub fn image(&self, version: u32) -> &[u8] {
        &self.images[version as usize % self.images.len()]
    }

    /// Returns the fault that begins now, if one does.
    pub fn due(&mut self) -> Option<Fault> {
        if self.tick < self.due {
            return None;
        }
        // The first minute has all that can happen, and then pieces are longer.
        let most = if self.tick < 6_000 { 300 } else { 4_000 };
        self.due = self.tick + self.random.u64(50..most);
        if self.round.is_empty() {
            self.round = FAULTS.map(|(fault, _)| fault).to_vec();
            self.random.shuffle(&mut self.round);
        }
        let fault = self.round.pop()?;
        self.counts.begun[fault as usize] += 1;
        Some(fault)
    }

    /// Returns how long 10 ms of audio are by the processor's clock, in ns: up to 200 ppm too long or too short.
    pub fn tick_ns(&mut self) -> u64 {
        let ppm = 200.0 * (self.tick as f64 / 36_000.0).cos();
        let off = (ppm * 10.0) as i64;
        self.drift_ns += off;
        self.counts.drift_us = self
            .counts
            .drift_us
            .max(self.drift_ns.unsigned_abs() / 1000);
        10_000_000u64.saturating_add_signed(off)
    }
}

fn images() -> Vec<Vec<u8>> {
    let path = repository("models/shrunk.zerda");
    let computer = wake::Words::from_str("computer").expect("a word");
    let quiet = "2".parse().expect("a sensitivity");
    let ways = [(None, None), (Some(&computer), None), (None, Some(quiet))];
    let image = |(words, quiet)| {
        let file = wake::open(&path, words, quiet).expect("the shipped image");
        with_npu(file.bytes()).get().to_vec()
    };
    ways.map(image).to_vec()
}
