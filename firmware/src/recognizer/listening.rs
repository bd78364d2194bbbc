//! What the recognizer does while the network may rest: see [`crate::quiet`].

use super::{Event, Recognizer};
use crate::cache::Windows;
use crate::decoder::{decided_ms, ms};
use crate::image::{Image, MAX_MELS};
use crate::quiet::{Detector, Kept};
use crate::step::Step;

/// The least number of frames that are made up for with each new one.
pub const CATCH_UP: u16 = 3;

/// Says that a spell begins or ended, in which the network runs. Times count from the start of the stream, in ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Spell {
    /// The number of the spell's first frame, or of the first frame after it.
    pub frame: u64,
    /// The time at which that frame starts, in ms.
    pub at_ms: u32,
}

/// Holds what a recognizer has that may rest.
#[derive(Debug)]
pub(super) struct Listening<'a> {
    detector: Detector,
    kept: Kept<'a>,
    network: Network,
}

/// Says what the network does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Network {
    /// The network runs, and may have frames to make up for.
    Runs,
    /// The network rests, and can go on where it is: all frames since then are kept.
    Rests,
    /// The network has to start cold.
    Cold,
}

impl<'a> Listening<'a> {
    /// Makes what listens at the start of a stream; `None` where the image has no gate. `memory` has
    /// [`Image::kept_bytes`] bytes.
    pub fn new(image: &Image<'_>, memory: &'a mut [i8]) -> Option<Self> {
        Some(Self {
            detector: Detector::new(image)?,
            kept: Kept::new(image, memory),
            network: Network::Cold,
        })
    }

    /// Forgets the stream, as at its start.
    pub fn reset(&mut self) {
        self.detector.reset();
        self.kept.reset();
        self.network = Network::Cold;
    }

    /// Says whether the network runs, or can go on without a cold start.
    pub fn in_spell(&self) -> bool {
        self.network != Network::Cold
    }

    /// Returns the number of frames that were heard.
    pub fn heard(&self) -> u64 {
        self.kept.heard()
    }
}

impl<S: Step> Recognizer<'_, S> {
    /// Takes the spectrum of the next frame, and runs the network if somebody speaks.
    pub(super) fn listen(
        &mut self,
        energy: f32,
        mels: &[f32],
        on_event: &mut impl FnMut(Event<'_>),
    ) -> Option<()> {
        let listening = self.listening.as_mut()?;
        listening.kept.push(energy, mels);
        let open = listening.detector.frame(mels);
        self.end_spell(on_event);
        let network = self.listening.as_ref()?.network;
        if network != Network::Runs && !open {
            self.rest(on_event);
            return None;
        }
        match network {
            Network::Runs => {}
            Network::Rests => self.gate.go_on_at(self.frame_index),
            Network::Cold => self.start_cold(on_event)?,
        }
        let ended = self.catch_up(on_event) && !open;
        self.listening.as_mut()?.network = if ended { Network::Rests } else { Network::Runs };
        Some(())
    }

    /// Starts the network afresh at the oldest frame that is kept and begins a step.
    fn start_cold(&mut self, on_event: &mut impl FnMut(Event<'_>)) -> Option<()> {
        let manifest = *self.image.manifest();
        let step = u64::from(manifest.stream.step.max(1));
        let oldest = self.listening.as_ref()?.kept.oldest();
        let frame = oldest.checked_next_multiple_of(step)?;
        self.windows = Windows::reset(&self.image, self.memory);
        self.front_end.reset();
        self.decoder.go_on_at(frame);
        self.gate.go_on_at(frame);
        self.frames = 0;
        self.frame_index = frame;
        self.step_index = frame / step;
        let at_ms = ms(manifest.front_end, frame, 0);
        on_event(Event::Speech(Spell { frame, at_ms }));
        Some(())
    }

    /// Runs the step that is due, or some that are to be made up for. Says whether there is none left.
    fn catch_up(&mut self, on_event: &mut impl FnMut(Event<'_>)) -> bool {
        let stream = self.image.manifest().stream;
        let mut features = [0.0; MAX_MELS];
        let mels = usize::from(self.image.manifest().front_end.mels);
        let features = features.get_mut(..mels).unwrap_or_default();
        for _ in 0..CATCH_UP.div_ceil(stream.step.max(1)) {
            while self.frames < stream.chunk {
                let next = self.frame_index.saturating_add(self.frames.into());
                let kept = self.listening.as_ref().map(|listening| &listening.kept);
                let Some(energy) = kept.and_then(|kept| kept.frame(next, features)) else {
                    return true;
                };
                self.take(energy, features);
            }
            self.step(on_event);
        }
        let next = self.frame_index.saturating_add(self.frames.into());
        next >= self.heard()
    }

    /// Ends the spell once a frame is no longer kept with which the network, which rests, would go on.
    fn end_spell(&mut self, on_event: &mut impl FnMut(Event<'_>)) {
        let next = self.frame_index.saturating_add(self.frames.into());
        let Some(listening) = &mut self.listening else {
            return;
        };
        if listening.network == Network::Rests && listening.kept.oldest() > next {
            listening.network = Network::Cold;
            let frame = self.frame_index;
            let at_ms = ms(self.image.manifest().front_end, frame, 0);
            on_event(Event::Quiet(Spell { frame, at_ms }));
        }
    }

    /// Lets the time of a frame pass without the network.
    fn rest(&mut self, on_event: &mut impl FnMut(Event<'_>)) -> Option<()> {
        let listening = self.listening.as_ref()?;
        let stream = self.image.manifest().stream;
        let due = self.gate.next_frame().saturating_add(stream.chunk.into());
        if due <= listening.heard() {
            for _ in 0..stream.step {
                let on_outcome = |outcome| on_event(super::Event::from(outcome));
                self.gate.push_frame(&self.image, None, on_outcome);
            }
        }
        Some(())
    }

    /// Returns the number of frames that were heard, if the network may rest.
    fn heard(&self) -> u64 {
        self.listening.as_ref().map_or(0, Listening::heard)
    }

    /// Returns the time, in ms, at which the audio ends that the next step needs, or that was heard so far.
    pub(super) fn step_decided_ms(&self) -> u32 {
        let manifest = self.image.manifest();
        let at_ms = decided_ms(manifest.stream, manifest.front_end, self.frame_index);
        self.decided_ms(at_ms)
    }

    /// Returns the time, in ms, at which the audio ends that was heard so far, if that is later than `at_ms`: what is
    /// made up for is decided late.
    pub(super) fn decided_ms(&self, at_ms: u32) -> u32 {
        let Some(last) = self.heard().checked_sub(1) else {
            return at_ms;
        };
        let front_end = self.image.manifest().front_end;
        at_ms.max(ms(front_end, last, front_end.window))
    }
}
