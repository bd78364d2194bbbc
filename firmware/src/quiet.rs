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
//! smoothing that is optimal). What the bands have above floor and margin, each up to a limit, is summed; what is smoothed
//! counts no more than the frame itself. The gate opens after two frames whose sums reach a bound, which the sensitivity
//! sets, and stays open for the hangover after the last frame that does. After a sound that reached the bound for less than
//! eight frames it is wary for two seconds, and opens after six: a clock ticks and ticks, and a word, whose beginning is kept,
//! lasts longer. Nothing here is learnt. The floors start at nothing: what a stream begins with is heard for 1.6 s, until they
//! are known.
//!
//! # Cost
//!
//! Of a minute of an office, 20 % of it speech, 33.2 % of the steps ran at sensitivity 2 (`counted` in QEMU on `shrunk`; the
//! same logits on both boards; the gate and the kept frames by themselves before it was wary of clicks):
//!
//! | board | gate and kept frames, instructions a frame | million instructions a second | without the gate |
//! |---|---|---|---|
//! | `mps2-an386` (Cortex-M4, `dsp`) | 1,258 | 15.76 | 43.59 |
//! | `mps3-an547` (Cortex-M55, `mve`) | 1,473 | 4.32 | 10.86 |
//!
//! The kept frames take 7.2 KiB of `shrunk`'s memory, and only where the image has a gate.
//!
//! # What is lost
//!
//! Three hours were mixed of 400 commands of Speech Commands' `val` each, LibriSpeech read by others, even noise (water, rain,
//! helicopter), a clock that ticks in a third of the time and 80 sounds (dog, sneeze, fire, saw); stretches of speech, pauses
//! of 200 ms closed, are 20 % of the time. Every other command is 10 dB above the noise around it; the noise is at -62 to
//! -42 dBFS, and the others at -10. The constants were chosen on 34 hours like these (`measured` with the shipped image; the last line
//! of `zerda run --quiet=N` says what share of the steps ran):
//!
//! | sensitivity | steps run | commands missed more, in points: 10 dB above noise; in a quiet room |
//! |---|---|---|
//! | 0 | 26, 28, 26 % | 9.8; -0.3 |
//! | 1 | 30, 31, 29 % | 2.0; -0.5 |
//! | 2 | 34, 34, 32 % | 0.7; -0.5 |
//! | 3 | 36, 39, 33 % | 0.8; -0.3 |
//!
//! A sound that begins at once opens the gate in 50 ms; most words begin softly, over noise below the bound, and what is kept makes
//! up for it. Without being wary after clicks, and with sums that fall slowly, two to five points more of the steps ran: a
//! ticking clock opened the gate in a fourth of its time. A lower bound for what keeps the gate open costs a point of the steps, which
//! finds more words where it lowers the one bound, and keeps more (`models/experiments.md`).
//!
//! Six more hours of the same kind are mixed by a test (`tests/tests/quiet`, which takes minutes) of 2400 commands of the test set, every
//! other one 10 dB above the noise, LibriSpeech's test speakers, and sounds that the network was not trained on: 31 to 35 % of the
//! steps run; at 10 dB 12.9 % of the commands are missed with the gate and 13.0 % without, of the others 7.9 and 7.9 %. Of the
//! shortest, `up`, 3 of 319 are lost and one is gained, of the others 6 of 2081, and 9: twice the gate stays shut. In six hours
//! of other seeds 30 to 36 % of the steps run, 12.7 % of the commands at 10 dB are missed with the gate and 12.0 % without; `up`
//! loses 3 of 289 and gains one, the others 6 of 2111, and 6. So `up` is still lost more often than others. The network learnt
//! to answer after a cold start as it does without one (`models/train/losses.py`); before it had, and with a bound of 75 and half
//! of it, `up` lost 8 of the 319, the others 13.
//!
//! WebRTC's detector in place of this one, with the same kept frames and hangover, on an hour of the test set (with an earlier bound 33 %
//! of its steps ran here, and 0.3 points fewer were missed): at its mode 3 36 % of the steps, and 3.8 points more missed; at its mode 2
//! 57 %, and 1.3 points; 37, 55 and 45 %, and 0.0, 0.8 and 4.0 points in the three above.

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
/// The sums that open the gate and keep it open, by sensitivity.
const BOUNDS: [u16; 4] = [150, 100, 65, 45];
/// The number of frames in a row that open the gate.
const ONSET: u8 = 2;
/// The number of frames in a row that open it while it is wary.
const WARY_ONSET: u8 = 6;
/// The number of frames in a row that a sound reaches the bound for, if it is more than a click.
const LASTING: u8 = 8;
/// The number of frames for which the gate is wary after a click: a clock ticks more often.
const WARY: u8 = 200;

/// The detector of one stream, which hears whether somebody speaks.
#[derive(Clone, Copy, Debug)]
pub struct Detector {
    /// The sum that opens the gate, and keeps it open.
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
    /// Counts the frames for which the gate will yet be wary.
    wary: u8,
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
        wary: 0,
        open: 0,
    };
}

impl Band {
    /// Takes the next frame of the band, and returns by how much it counts as speech.
    fn follow(&mut self, now: u16) -> u16 {
        self.smooth = (self.smooth - (self.smooth >> SMOOTHING)).saturating_add(now);
        let smooth = self.smooth >> SMOOTHING;
        self.least = self.least.min(smooth);
        let floor = self.parts.iter().fold(self.least, |a, &b| a.min(b));
        // It rises slowly, and falls at once.
        let now = now.min(smooth);
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
            wary,
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
        *wary = wary.saturating_sub(1);
        if sum >= self.bound {
            *loud = loud.saturating_add(1);
        } else {
            if (1..LASTING).contains(loud) {
                *wary = WARY;
            }
            *loud = 0;
        }
        let onset = match (*open, *wary) {
            (1.., _) => 1,
            (0, 1..) => WARY_ONSET,
            (0, 0) => ONSET,
        };
        *open = if *loud >= onset {
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
