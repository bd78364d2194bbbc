//! Decoder: posteriors of committed frames to detections.
//!
//! Posteriors are averaged over the last few frames. A command is detected where its average
//! reaches its threshold, if it is armed and no command was detected shortly before; it is armed
//! again when its average falls below half of the threshold. Of two at once the likelier counts.

use crate::image::{
    Decoder as Config, FrontEnd, Image, MAX_CLASSES, MAX_SMOOTHING, SAMPLE_RATE, Stream,
};

/// Frames that a word lasts at most, for all that its start is looked for: 1.5 s.
const LONGEST_WORD: u64 = 150;
/// Frames of a pause within a word at most.
const LONGEST_PAUSE: u32 = 12;

/// A spoken command. Times count from the start of the stream and stop counting after 49 days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Detection {
    /// Number of the label.
    pub label: u8,
    /// Smoothed posterior, Q0.8.
    pub score: u8,
    /// Start of the first loud frame of the word: see [`Decoder::push_loudness`].
    pub start_ms: u32,
    /// End of the frame that decided.
    pub end_ms: u32,
    /// End of the audio that deciding took, look-ahead included.
    pub decided_ms: u32,
}

/// Decoder of one stream.
#[derive(Clone, Debug)]
pub struct Decoder {
    config: Config,
    stream: Stream,
    front_end: FrontEnd,
    classes: usize,
    /// Q0.8; 0: not a command.
    threshold: [u8; MAX_CLASSES],
    state: State,
}

#[derive(Clone, Debug)]
struct State {
    /// Posteriors of the last frames.
    history: [[u8; MAX_CLASSES]; MAX_SMOOTHING],
    /// The row of the history that the next frame replaces.
    next_row: u8,
    /// Of the history, one a class.
    sums: [u16; MAX_CLASSES],
    smoothed: [u8; MAX_CLASSES],
    disarmed: [bool; MAX_CLASSES],
    /// Of the frame to come.
    frame: u64,
    /// The first frame of its step.
    step_start: u64,
    /// Loudness of the last frames, frame `n` at `n % 256`.
    loudness: [u8; 256],
    /// Frames whose loudness came.
    heard: u64,
    /// The frame after the last detection.
    after: u64,
    /// Frames left in which nothing is detected.
    refractory: u16,
}

impl State {
    const START: Self = Self {
        history: [[0; MAX_CLASSES]; MAX_SMOOTHING],
        next_row: 0,
        sums: [0; MAX_CLASSES],
        smoothed: [0; MAX_CLASSES],
        disarmed: [false; MAX_CLASSES],
        loudness: [0; 256],
        heard: 0,
        after: 0,
        frame: 0,
        step_start: 0,
        refractory: 0,
    };
}

impl Decoder {
    /// At the start of a stream, with every command armed.
    pub fn new(image: &Image<'_>) -> Self {
        let manifest = image.manifest();
        let mut threshold = [0; MAX_CLASSES];
        for (slot, label) in threshold.iter_mut().zip(image.labels()) {
            *slot = label.threshold;
        }
        Self {
            config: manifest.decoder,
            stream: manifest.stream,
            front_end: manifest.front_end,
            classes: manifest.classes.into(),
            threshold,
            state: State::START,
        }
    }

    /// As [`Decoder::new`], but with another smoothing than the image's (1 to [`MAX_SMOOTHING`] frames) and
    /// other thresholds (Q0.8, one a label; 0: never detected): to hear what they would do.
    pub fn with(image: &Image<'_>, smoothing: u8, thresholds: &[u8]) -> Self {
        let mut decoder = Self::new(image);
        decoder.config.smoothing = smoothing.clamp(1, MAX_SMOOTHING as u8);
        let all = thresholds.iter().chain(core::iter::repeat(&0));
        for (slot, &threshold) in decoder.threshold.iter_mut().zip(all) {
            *slot = threshold;
        }
        decoder
    }

    /// Forgets the stream.
    pub fn reset(&mut self) {
        self.state = State::START;
    }

    /// Smoothed posteriors of the last frame, Q0.8, one a class.
    pub fn smoothed(&self) -> &[u8] {
        self.state.smoothed.get(..self.classes).unwrap_or_default()
    }

    /// Loudness of the next frame, in any logarithmic unit, before [`Decoder::push_frame`] of it:
    /// frames have a loudness before they are committed. It serves to tell where a word started.
    pub fn push_loudness(&mut self, loudness: u8) {
        let State {
            loudness: history,
            heard,
            ..
        } = &mut self.state;
        history[usize::from(*heard as u8)] = loudness;
        *heard = heard.wrapping_add(1);
    }

    /// The next committed frame: its posteriors, Q0.8 minus 128, one a class.
    pub fn push_frame(&mut self, posteriors: &[i8]) -> Option<Detection> {
        let frame = self.state.frame;
        self.state.frame += 1;
        if frame >= self.state.step_start + u64::from(self.stream.step) {
            self.state.step_start = frame;
        }
        let step_start = self.state.step_start;
        self.smooth(posteriors);
        let quiet = self.state.refractory > 0;
        self.state.refractory = self.state.refractory.saturating_sub(1);
        let (label, score) = self.likeliest().filter(|_| !quiet)?;
        self.state.refractory = self.config.refractory;
        *self.state.disarmed.get_mut(usize::from(label))? = true;
        let onset = self.onset(frame);
        self.state.after = frame + 1;
        let last = step_start + u64::from(self.stream.chunk.saturating_sub(1));
        Some(Detection {
            label,
            score,
            start_ms: self.ms(onset, 0),
            end_ms: self.ms(frame, self.front_end.window),
            decided_ms: self.ms(last, self.front_end.window),
        })
    }

    /// The first loud frame of the word that a frame ends: louder than halfway, in dB, between the
    /// quietest and the loudest of the time looked back at, pauses as short as a stop consonant's
    /// included.
    fn onset(&self, frame: u64) -> u64 {
        let count = (frame.saturating_sub(self.state.after) + 1).min(LONGEST_WORD) as usize;
        // The two parts of the ring.
        let (newer, older) = self.state.loudness.split_at(usize::from(frame as u8) + 1);
        let newer = last(newer, count);
        let older = last(older, count.saturating_sub(newer.len()));
        let all = || older.iter().chain(newer).copied();
        let (quietest, loudest) = (all().fold(u8::MAX, u8::min), all().fold(0, u8::max));
        let bound = quietest.midpoint(loudest);
        let mut onset = 0u32;
        for (age, loudness) in (0..).zip(all().rev()) {
            if loudness >= bound {
                onset = age;
            } else if onset > 0 && age - onset > LONGEST_PAUSE {
                break;
            }
        }
        frame.saturating_sub(onset.into())
    }

    /// Averages the last frames, this one included.
    fn smooth(&mut self, posteriors: &[i8]) {
        let State {
            history,
            next_row,
            sums,
            smoothed,
            ..
        } = &mut self.state;
        let frames = self.config.smoothing;
        let Some(row) = history.get_mut(usize::from(*next_row)) else {
            return;
        };
        *next_row = if *next_row + 1 < frames {
            *next_row + 1
        } else {
            0
        };
        let classes = row.iter_mut().zip(sums).zip(smoothed);
        for (((slot, sum), smoothed), &q) in classes.zip(posteriors.iter().take(self.classes)) {
            let oldest = core::mem::replace(slot, q as u8 ^ 0x80);
            *sum = sum.wrapping_sub(oldest.into()).wrapping_add((*slot).into());
            *smoothed = sum.checked_div(frames.into()).unwrap_or(0) as u8;
        }
    }

    /// Arms the commands that have faded; of those armed that reach their threshold the likeliest.
    fn likeliest(&mut self) -> Option<(u8, u8)> {
        let State {
            smoothed, disarmed, ..
        } = &mut self.state;
        let commands = self.threshold.iter().zip(smoothed.iter()).zip(disarmed);
        let commands = commands.take(self.classes);
        let mut best: Option<(u8, u8)> = None;
        for (label, ((&threshold, &score), disarmed)) in (0..).zip(commands) {
            *disarmed &= u16::from(score) * 2 >= u16::from(threshold);
            let detected = threshold > 0 && score >= threshold && !*disarmed;
            if detected && best.is_none_or(|(_, highest)| score > highest) {
                best = Some((label, score));
            }
        }
        best
    }

    /// Milliseconds from the start of the stream to a sample of a frame.
    fn ms(&self, frame: u64, sample: u16) -> u32 {
        let samples = frame
            .saturating_mul(self.front_end.hop.into())
            .saturating_add(sample.into());
        u32::try_from(samples / u64::from(SAMPLE_RATE / 1000)).unwrap_or(u32::MAX)
    }
}

/// The last elements of a slice, or all.
fn last(slice: &[u8], count: usize) -> &[u8] {
    let from = slice.len().saturating_sub(count);
    slice.get(from..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_image::{Bytes, tiny};
    use std::vec::Vec;

    // Labels of the tiny image: go (threshold 100), stop (120), silence. Smoothing 5, refractory
    // 30 frames, chunk 3, step 2. Without loudness every frame is as loud as the loudest.
    const GO: [u8; 3] = [250, 0, 5];
    const STOP: [u8; 3] = [0, 250, 5];
    const SILENCE: [u8; 3] = [0, 0, 255];

    fn decode(parts: &[([u8; 3], usize)]) -> Vec<(usize, Detection)> {
        let image: Bytes = tiny(2);
        let mut decoder = Decoder::new(&Image::parse(image.get()).unwrap());
        let frames = parts
            .iter()
            .flat_map(|&(p, count)| core::iter::repeat_n(p, count));
        let detected = frames.enumerate().filter_map(|(frame, p)| {
            let posteriors = p.map(|p| (i16::from(p) - 128) as i8);
            decoder
                .push_frame(&posteriors)
                .map(|detection| (frame, detection))
        });
        detected.collect()
    }

    #[test]
    fn a_command_is_detected_when_its_average_reaches_the_threshold_with_its_times() {
        let found = decode(&[(SILENCE, 20), (GO, 10), (SILENCE, 20)]);
        // Two of five frames at 250 average to 100.
        let detection = Detection {
            label: 0,
            score: 100,
            start_ms: 0,
            end_ms: 21 * 10 + 25,
            decided_ms: (20 + 2) * 10 + 25,
        };
        assert_eq!(found, [(21, detection)]);
    }

    /// Start of the word that frame 99 decides, of frames as loud as `loudness` says, in frames.
    fn start(loudness: impl Fn(u64) -> u8) -> u32 {
        let image = tiny(2);
        let mut decoder = Decoder::new(&Image::parse(image.get()).unwrap());
        (0..103).for_each(|frame| decoder.push_loudness(loudness(frame)));
        decoder.state.frame = 98;
        decoder.push_frame(&[122, -128, -128]);
        decoder.push_frame(&[122, -128, -128]).unwrap().start_ms / 10
    }

    #[test]
    fn a_word_starts_where_it_becomes_loud() {
        let within = |from: u64, to: u64, frame| (from..to).contains(&frame);
        assert_eq!(start(|f| if within(60, 103, f) { 180 } else { 90 }), 60);
        // It faded before it was decided, and noise is no word.
        assert_eq!(
            start(|f| if within(60, 95, f) {
                180
            } else {
                90 + (f % 20) as u8
            }),
            60
        );
        // The pause before the burst of a stop consonant belongs to it, a longer one does not.
        assert_eq!(
            start(|f| if within(60, 70, f) || within(80, 97, f) {
                180
            } else {
                90
            }),
            60
        );
        assert_eq!(
            start(|f| if within(40, 60, f) || within(80, 97, f) {
                180
            } else {
                90
            }),
            80
        );
    }

    #[test]
    fn a_long_command_is_detected_once_and_again_only_after_it_faded() {
        let found = decode(&[(SILENCE, 9), (GO, 90), (SILENCE, 9), (GO, 9)]);
        let frames: Vec<_> = found.iter().map(|(frame, _)| *frame).collect();
        assert_eq!(frames, [10, 109]);
    }

    #[test]
    fn another_command_waits_for_the_refractory_time() {
        let found = decode(&[(SILENCE, 9), (GO, 9), (STOP, 90)]);
        let found: Vec<_> = found.iter().map(|(frame, d)| (*frame, d.label)).collect();
        assert_eq!(found, [(10, 0), (41, 1)]);
    }

    #[test]
    fn of_two_commands_at_once_the_likelier_is_detected() {
        let found = decode(&[([120, 130, 5], 20)]);
        // 130 reaches 120 only with five frames, 120 reaches 100 with five frames too (4: 96).
        assert_eq!((found[0].0, found[0].1.label), (4, 1));
    }

    #[test]
    fn silence_is_never_detected() {
        assert_eq!(decode(&[(SILENCE, 500)]), []);
    }

    #[test]
    fn times_stop_counting_after_49_days() {
        let image = tiny(2);
        let mut decoder = Decoder::new(&Image::parse(image.get()).unwrap());
        decoder.state.frame = u64::from(u32::MAX) * 3;
        let found = core::iter::repeat_n([127, -128, -128], 5).find_map(|p| decoder.push_frame(&p));
        assert_eq!(found.unwrap().end_ms, u32::MAX);
    }
}
