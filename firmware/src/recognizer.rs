//! The recognizer takes samples and tells of the commands that it detects in them.

use core::fmt;

use crate::cache::Windows;
use crate::decoder::{Decoder, Kind, Word};
use crate::front_end::FrontEnd;
use crate::gate::{Asleep, Awake, Gate, Outcome};
use crate::grammar::Detection;
use crate::image::{Image, MAX_MELS};
use crate::kernels::{self, limits::FFT};
use crate::plan::{Cache, TensorId};
use crate::step::{Cpu, Step, byte_range};
use listening::Listening;
pub use listening::{CATCH_UP, Spell};

mod listening;
mod settings;

/// The number of frames, a power of two, whose loudness waits until they are committed. In a longer chunk, which
/// would be no stream to speak commands to, a later frame's stands for it.
const WAITING: usize = 128;

/// The memory that a recognizer works in: `Memory<{ memory_bytes(IMAGE) }>`, 16-byte aligned. Where alignment
/// does not matter, as on a PC, any `[i8]` of [`Image::memory_bytes`] will do as well.
#[repr(C, align(16))]
#[derive(Debug)]
pub struct Memory<const BYTES: usize>([i8; BYTES]);

impl<const BYTES: usize> Memory<BYTES> {
    /// Makes memory that holds zeros.
    pub const fn new() -> Self {
        Self([0; BYTES])
    }
}

impl<const BYTES: usize> Default for Memory<BYTES> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const BYTES: usize> AsMut<[i8]> for Memory<BYTES> {
    fn as_mut(&mut self) -> &mut [i8] {
        &mut self.0
    }
}

/// Says that the memory given is smaller than the image needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MemoryTooSmall {
    /// The number of bytes that the image needs: [`Image::memory_bytes`].
    pub needed: usize,
    /// The number of bytes that were given.
    pub given: usize,
}

impl fmt::Display for MemoryTooSmall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { needed, given } = self;
        write!(f, "memory of {given} bytes, the image needs {needed}")
    }
}

impl core::error::Error for MemoryTooSmall {}

/// Something that happens while audio is pushed. Events come in this order: what the head of a step reads, the step, then
/// its committed frames, each followed by its word, by what that word or its absence decides, and by the window's opening
/// or closing. Numbers count from the start of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Event<'a> {
    /// A step came to its head, which makes logits of what the layers before it say ([`crate::templates`]); on an NPU none does.
    Encoded {
        /// The number that the step has, from 0.
        index: u64,
        /// The time, in ms, at which the audio ends that was needed for the step, or that was heard meanwhile.
        decided_ms: u32,
        /// Holds what the head reads, `[step, columns]`.
        rows: &'a [i8],
    },
    /// A step of the network ran.
    Step {
        /// The number that the step has, from 0.
        index: u64,
        /// Holds the quantized logits, `[step, classes]`.
        logits: &'a [i8],
        /// Holds the posteriors, `[step, classes]`, Q0.8 minus 128.
        posteriors: &'a [i8],
    },
    /// A committed frame was decoded.
    Frame {
        /// The number that the frame has, from 0.
        frame: u64,
        /// Holds the smoothed posteriors, Q0.8, one a class.
        smoothed: &'a [u8],
    },
    /// A word was detected, whether it is part of a command or not; echoes and faint words are left out.
    Word(Word),
    /// A command or a wake word was detected.
    Detection(Detection),
    /// A wake word or a command opened the window in which commands count.
    Awake(Awake),
    /// The window closed because its time was over.
    Asleep(Asleep),
    /// Somebody speaks: the network starts cold, at a frame that was kept. Only images with a gate bring this, and
    /// [`Event::Quiet`].
    Speech(Spell),
    /// The network rests, from a frame on which passed at least [`KEPT_MS`](crate::image::KEPT_MS) ago.
    Quiet(Spell),
}

impl From<Outcome> for Event<'_> {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Detection(detection) => Self::Detection(detection),
            Outcome::Awake(awake) => Self::Awake(awake),
            Outcome::Asleep(asleep) => Self::Asleep(asleep),
        }
    }
}

/// Recognizes the commands of one stream of audio at a time. `S` runs the steps, on the CPU unless it says
/// otherwise.
#[derive(Debug)]
pub struct Recognizer<'a, S = Cpu> {
    image: Image<'a>,
    memory: &'a mut [i8],
    step: S,
    windows: Windows,
    front_end: FrontEnd<'a>,
    decoder: Decoder,
    gate: Gate,
    /// Holds the samples of the next frame's window.
    samples: [i16; FFT],
    /// Counts the samples that are there.
    sample_count: usize,
    /// Counts the frames in the feature window.
    frames: u16,
    /// Holds the loudness of the frames in the feature window; that of frame `n` is at `n` modulo [`WAITING`].
    loudness: [u8; WAITING],
    step_index: u64,
    /// The number of the first frame in the feature window.
    frame_index: u64,
    /// Holds what listens where the network may rest.
    listening: Option<Listening<'a>>,
}

impl<'a> Recognizer<'a> {
    /// Makes a recognizer that runs its steps on the CPU. `memory` is a [`Memory`], or any `[i8]`, and needs
    /// no initial value.
    ///
    /// # Errors
    ///
    /// Returns [`MemoryTooSmall`] if `memory` is smaller than [`Image::memory_bytes`].
    pub fn new(
        image: &Image<'a>,
        memory: &'a mut (impl AsMut<[i8]> + ?Sized),
    ) -> Result<Self, MemoryTooSmall> {
        Self::with_step(image, memory, Cpu::default())
    }
}

impl<'a, S: Step> Recognizer<'a, S> {
    /// Makes a recognizer as [`Recognizer::new`] does, whose steps are run by `step`.
    ///
    /// # Errors
    ///
    /// Returns [`MemoryTooSmall`] if `memory` is smaller than [`Image::memory_bytes`].
    #[inline(never)] // its parts, of some KB, leave the stack once they are put together
    pub fn with_step(
        image: &Image<'a>,
        memory: &'a mut (impl AsMut<[i8]> + ?Sized),
        step: S,
    ) -> Result<Self, MemoryTooSmall> {
        let memory = memory.as_mut();
        let (given, needed) = (memory.len(), image.memory_bytes());
        let memory = memory
            .get_mut(..needed)
            .ok_or(MemoryTooSmall { needed, given })?;
        let (memory, kept) = memory
            .split_at_mut_checked(needed.saturating_sub(image.kept_bytes()))
            .unwrap_or_default();
        Ok(Self {
            windows: Windows::reset(image, memory),
            front_end: FrontEnd::new(image),
            decoder: Decoder::new(image),
            gate: Gate::new(image),
            image: *image,
            memory,
            step,
            samples: [0; FFT],
            sample_count: 0,
            frames: 0,
            loudness: [0; WAITING],
            step_index: 0,
            frame_index: 0,
            listening: Listening::new(image, kept),
        })
    }

    /// Returns the image that runs.
    pub fn image(&self) -> &Image<'a> {
        &self.image
    }

    /// Returns what runs the steps.
    pub fn step_mut(&mut self) -> &mut S {
        &mut self.step
    }

    /// Says whether an NPU runs the steps, as far as it does not fail.
    pub fn runs_on_npu(&self) -> bool {
        self.image.npu().is_some() && self.step.npu().is_some()
    }

    /// Says whether commands count now; they always do where the image names no wake words.
    pub fn is_awake(&self) -> bool {
        self.gate.is_awake()
    }

    /// Says whether the network rests because nobody speaks; it never does where the image has no gate.
    pub fn is_quiet(&self) -> bool {
        let listening = self.listening.as_ref();
        listening.is_some_and(|listening| !listening.in_spell())
    }

    /// Goes on as a stream does that has come to `frame`, which begins a step, but without remembering what came
    /// before.
    #[cfg(test)]
    pub(crate) fn go_on_at(&mut self, frame: u64) {
        self.reset();
        self.decoder.go_on_at(frame);
        self.gate.go_on_at(frame);
        self.frame_index = frame;
        self.step_index = frame / u64::from(self.image.manifest().stream.step);
    }

    /// Starts afresh, as if nothing had been pushed. If the window of a wake word was open, it closes, and
    /// that is returned.
    pub fn reset(&mut self) -> Option<Asleep> {
        self.windows = Windows::reset(&self.image, self.memory);
        self.front_end.reset();
        self.decoder.reset();
        self.sample_count = 0;
        self.frames = 0;
        self.step_index = 0;
        self.frame_index = 0;
        if let Some(listening) = &mut self.listening {
            listening.reset();
        }
        self.gate.reset()
    }

    /// Takes any number of samples (16 kHz, mono, signed 16 bit) and calls `on_detection` for each command or
    /// wake word in them; how a stream is split does not matter. A step runs as soon as its last sample is
    /// there.
    pub fn push(&mut self, pcm: &[i16], mut on_detection: impl FnMut(Detection)) {
        self.push_events(pcm, |event| {
            if let Event::Detection(detection) = event {
                on_detection(detection);
            }
        });
    }

    /// Takes samples as [`Recognizer::push`] does, and calls `on_event` for all that happens.
    pub fn push_events(&mut self, mut pcm: &[i16], mut on_event: impl FnMut(Event<'_>)) {
        let window = usize::from(self.image.manifest().front_end.window);
        loop {
            let space = self
                .samples
                .get_mut(self.sample_count..window)
                .unwrap_or_default();
            let taken = space.len().min(pcm.len());
            let Some((now, later)) = pcm.split_at_checked(taken) else {
                return;
            };
            for (slot, &sample) in space.iter_mut().zip(now) {
                *slot = sample;
            }
            pcm = later;
            self.sample_count += taken;
            if self.sample_count < window {
                return;
            }
            self.frame(&mut on_event);
        }
    }

    /// Computes the spectrum of the window of samples, and has the network hear it.
    fn frame(&mut self, on_event: &mut impl FnMut(Event<'_>)) {
        let config = self.image.manifest().front_end;
        let (window, hop) = (usize::from(config.window), usize::from(config.hop));
        let mut features = [0.0; MAX_MELS];
        let features = features.get_mut(..config.mels.into()).unwrap_or_default();
        let samples = self.samples.get(..window).unwrap_or_default();
        let energy = self.front_end.spectrum(samples, features);
        let size = size_of::<i16>();
        let samples = bytemuck::cast_slice_mut(&mut self.samples);
        kernels::move_to_front(samples, hop * size, window * size);
        self.sample_count = window.saturating_sub(hop);
        if self.listening.is_some() {
            self.listen(energy, features, on_event);
            return;
        }
        self.take(energy, features);
        if self.frames == self.image.manifest().stream.chunk {
            self.step(on_event);
        }
    }

    /// Makes features of a spectrum, and writes them to the next row of the feature window.
    fn take(&mut self, energy: f32, features: &mut [f32]) {
        self.front_end.relate(energy, features);
        let frame = self.frame_index.saturating_add(self.frames.into());
        self.loudness[frame as usize % WAITING] = self.front_end.loudness();
        if let Some(Cache { cols, offset, .. }) = self.image.cache(0) {
            let row = usize::from(self.windows.start(0)) + usize::from(self.frames);
            let start = offset as usize + row * usize::from(cols);
            let row = self.memory.get_mut(start..).unwrap_or_default();
            for (slot, &feature) in row.iter_mut().zip(&*features) {
                *slot = self.front_end.quantize(feature);
            }
        }
        self.frames = self.frames.saturating_add(1);
    }

    /// Runs a step, decodes its committed frames and slides the windows on.
    fn step(&mut self, on_event: &mut impl FnMut(Event<'_>)) {
        let (index, decided_ms) = (self.step_index, self.step_decided_ms());
        self.step
            .step_encoded(&self.image, &self.windows, self.memory, |rows| {
                on_event(Event::Encoded {
                    index,
                    decided_ms,
                    rows,
                });
            });
        let manifest = *self.image.manifest();
        let tensor = |id| tensor(&self.image, &self.windows, self.memory, id);
        let (logits, posteriors) = (tensor(manifest.logits), tensor(manifest.posteriors));
        on_event(Event::Step {
            index,
            logits,
            posteriors,
        });
        self.step_index = index.saturating_add(1);
        for row in posteriors.chunks_exact(usize::from(manifest.classes).max(1)) {
            let frame = self.frame_index;
            let loudness = self.loudness[frame as usize % WAITING];
            let heard = self.gate.listens_to();
            let word = self.decoder.push_frame(row, loudness, heard);
            let word = word.map(|word| Word {
                decided_ms: self.decided_ms(word.decided_ms),
                ..word
            });
            let smoothed = self.decoder.smoothed();
            on_event(Event::Frame { frame, smoothed });
            if let Some(word) = word.filter(|word| word.kind == Kind::Sure) {
                on_event(Event::Word(word));
            }
            let late = self.decided_ms(0);
            self.gate.push_frame(&self.image, word, |mut outcome| {
                if let Outcome::Detection(detection) = &mut outcome {
                    detection.decided_ms = detection.decided_ms.max(late);
                }
                on_event(outcome.into());
            });
            self.frame_index = frame.saturating_add(1);
        }
        self.windows.advance(&self.image, self.memory);
        self.frames = self.frames.saturating_sub(manifest.stream.step);
    }
}

fn tensor<'m>(image: &Image<'_>, windows: &Windows, memory: &'m [i8], id: TensorId) -> &'m [i8] {
    let range = image
        .tensor(id)
        .and_then(|tensor| byte_range(image, windows, tensor));
    range
        .and_then(|range| memory.get(range))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
