//! The voice activity gate lets the network rest while nobody speaks.
//!
//! If the image has one ([`Quiet`](crate::image::Quiet)), the front end alone hears every frame, and [`Detector`] looks
//! at the spectrum that it has computed anyway. When somebody speaks, the network starts cold at the first of the frames
//! that were kept ([`KEPT_MS`](crate::image::KEPT_MS) and more), so that no onset is lost: from there to the next quiet
//! time its steps have the bits of a stream that begins there. That is a spell. It ends when neither speech nor anything
//! like it was heard for the hangover, and what came next can no longer be kept; until then the network goes on where it
//! rested, without a cold start. A stream begins quiet.
//!
//! The kept frames are made up for as they would have come, only faster: with each new frame one step, or as many as
//! take three frames. So a device computes no more at once than it does anyway, and the ring of samples before it fills
//! only if a step takes longer than a frame.
//!
//! Frames are numbered as if the network had run on. In the quiet the [gate](crate::gate) is told of every frame when a
//! step would have committed it, so that a held command is decided, and a window and a refractory time end, when they
//! would have ended.
//!
//! # What is speech
//!
//! The logarithms of the mel powers are averaged in ten bands, become integers, in sixteenths of a nat, and are smoothed
//! over about four frames. Each band has a floor, the least that it had in 1.3 to 1.6 s (minimum statistics: R. Martin,
//! "Noise Power Spectral Density Estimation Based on Optimal Smoothing and Minimum Statistics", 2001, without the
//! smoothing that is optimal). What the bands have above floor and margin, each up to a limit, is summed. The gate opens
//! after two frames whose sums reach a bound, which the sensitivity sets, and stays open for the hangover after the last
//! frame that reaches half of it. Nothing here is learnt. The floors start at nothing: what a stream begins with is heard
//! for 1.6 s, until they are known.
//!
//! # Cost
//!
//! Of 30 s of an office, 20 % of them speech, 31.8 % of the steps run at sensitivity 2 (`counted` in QEMU on `shrunk`; the same
//! logits on both boards and on a PC):
//!
//! | board | gate and kept frames, instructions a frame | million instructions a second | without the gate |
//! |---|---|---|---|
//! | `mps2-an386` (Cortex-M4, `dsp`) | 1,258 | 14.97 | 43.61 |
//! | `mps3-an547` (Cortex-M55, `mve`) | 1,473 | 4.12 | 10.86 |
//!
//! The kept frames take 5.6 KiB of `shrunk`'s memory, and only where the image has a gate.
//!
//! # What is lost
//!
//! Three hours were mixed of 400, 400 and 150 commands of Speech Commands' `val`, LibriSpeech read by others, even noise (water,
//! rain, helicopter), a clock that ticks in a third of the time and 80 sounds (dog, sneeze, fire, saw); stretches of speech,
//! pauses of 200 ms closed, are 20 % of the time. In the first each command is 10 dB above the noise, in the others the noise
//! is at -62 to -42 dBFS and commands at -10. The constants were chosen on hours made likewise, from other seeds (`measured` with
//! the shipped image):
//!
//! | sensitivity | steps run | commands missed more, in points |
//! |---|---|---|
//! | 0 | 14, 29, 23 % | 16.8, 0.5, 1.3 |
//! | 1 | 19, 33, 29 % | 4.3, 0.3, 0.7 |
//! | 2 | 24, 38, 31 % | 0.5, 0.5, 0.7 |
//! | 3 | 29, 42, 35 % | 0.3, 0.3, 0.0 |
//!
//! WebRTC's detector with the same kept frames and hangover, by a model of this module in Python: at its mode 3, 28 and 33 % of
//! the steps of the first two hours, and 18 and 11 % of the frames of speech lost, where sensitivity 2 has 24 and 39 %, and 19
//! and 4 % lost; at its mode 2, 39 and 57 % of the steps, and 6 and 0.2 % lost.

use crate::image::Image;

mod kept;

pub(crate) use kept::Kept;

/// The number of bands that the mel filters are averaged in.
const BANDS: usize = 10;
/// The number of parts into which the time is divided in which a band's floor is looked for.
const PARTS: usize = 4;
/// The number of frames of one part.
const PART_FRAMES: u8 = 32;
/// The steps that make one nat.
const STEPS: f32 = 16.0;
/// The binary logarithm of the number of frames over which a band is smoothed.
const SMOOTHING: u32 = 2;
/// Says how far above its floor a band must be to count, in sixteenths of a nat (6.5 dB): noise is mostly below.
const MARGIN: u16 = 24;
/// The most that a band counts, in sixteenths of a nat (17 dB), so that a hum that begins does not open the gate alone.
const MOST: u16 = 64;
/// The sums that open the gate, by sensitivity; half of it keeps it open.
const BOUNDS: [u16; 4] = [210, 140, 95, 60];
/// The number of frames in a row that open the gate: a click, which is smoothed, has fewer.
const ONSET: u8 = 2;

/// The detector of one stream, which hears whether somebody speaks.
#[derive(Clone, Copy, Debug)]
pub struct Detector {
    /// The sum that opens the gate.
    bound: u16,
    /// The number of frames for which the gate stays open after the last sound.
    hangover: u16,
    state: State,
}

#[derive(Clone, Copy, Debug)]
struct State {
    bands: [Band; BANDS],
    /// Counts the frames of the part of time that goes on.
    frames: u8,
    /// The part whose place the next one takes.
    part: u8,
    /// Counts the frames in a row that reached the bound.
    loud: u8,
    /// Counts the frames for which the gate will yet stay open.
    open: u16,
}

/// What one band was like, in sixteenths of a nat.
#[derive(Clone, Copy, Debug)]
struct Band {
    /// The band's average over the last frames, times their number.
    smooth: u16,
    /// The least average in the part of time that goes on.
    least: u16,
    /// The least averages of the parts before.
    parts: [u16; PARTS],
}

impl State {
    const START: Self = Self {
        bands: [Band {
            smooth: 0,
            least: 0,
            parts: [0; PARTS],
        }; BANDS],
        frames: 0,
        part: 0,
        loud: 0,
        open: 0,
    };
}

impl Band {
    /// Takes the next frame of the band, and returns by how much it counts as speech.
    fn follow(&mut self, now: u16) -> u16 {
        self.smooth = (self.smooth - (self.smooth >> SMOOTHING)).saturating_add(now);
        let now = self.smooth >> SMOOTHING;
        self.least = self.least.min(now);
        let floor = self.parts.iter().fold(self.least, |a, &b| a.min(b));
        now.saturating_sub(floor.saturating_add(MARGIN)).min(MOST)
    }
}

impl Detector {
    /// Makes a detector at the start of a stream; `None` where the image has no gate.
    pub fn new(image: &Image<'_>) -> Option<Self> {
        let quiet = image.quiet()?;
        let hop = u64::from(image.manifest().front_end.hop.max(1));
        let hangover = crate::image::samples(quiet.hangover_ms.into()).div_ceil(hop);
        Some(Self {
            bound: *BOUNDS.get(usize::from(quiet.sensitivity))?,
            hangover: u16::try_from(hangover).unwrap_or(u16::MAX),
            state: State::START,
        })
    }

    /// Forgets the stream, as at its start.
    pub fn reset(&mut self) {
        self.state = State::START;
    }

    /// Takes the next frame, the logarithms of its mel powers in nats, and says whether the gate is open.
    pub fn frame(&mut self, mels: &[f32]) -> bool {
        let State {
            bands,
            frames,
            part,
            loud,
            open,
        } = &mut self.state;
        let (mut sum, mut from) = (0u16, 0);
        for (number, band) in (1..).zip(bands.iter_mut()) {
            let to = number * mels.len() / BANDS;
            let average = average(mels.get(from..to).unwrap_or_default());
            sum = sum.saturating_add(band.follow(average));
            from = to;
        }
        *frames += 1;
        if *frames == PART_FRAMES {
            *frames = 0;
            for band in bands {
                if let Some(slot) = band.parts.get_mut(usize::from(*part)) {
                    *slot = core::mem::replace(&mut band.least, u16::MAX);
                }
            }
            *part = (*part + 1) % PARTS as u8;
        }
        let reached = sum >= self.bound;
        *loud = if reached { loud.saturating_add(1) } else { 0 };
        let goes_on = *open > 0 && sum >= self.bound / 2;
        *open = if *loud >= ONSET || goes_on {
            self.hangover
        } else {
            open.saturating_sub(1)
        };
        *open > 0
    }
}

/// Returns the average of a band's mels, in sixteenths of a nat; 0 for a band without mels.
fn average(mels: &[f32]) -> u16 {
    let sum = mels.iter().fold(0.0, |sum, mel| sum + mel);
    // The numbers are small, and `as` takes none for more than fits.
    let sum = (sum * STEPS) as u16;
    sum.checked_div(mels.len() as u16).unwrap_or(0)
}

#[cfg(test)]
mod tests;
