//! Says why one word was not detected.

use std::ops::Range;

use super::{Why, why};
use crate::misses::heard::{Frame, Replay};
use crate::misses::{CLIPPED, LATE_MS, posterior};

/// Level above the background, in dB, below which noise is a reason.
const LOW_SNR_DB: f64 = 6.0;
/// Level in dBFS, RMS, below which quietness is a reason: what 16 bits leave of such a word, a
/// microphone's own noise covers.
const QUIET_DBFS: f64 = -65.0;
/// Level in dB by which something shortly before a word must be louder than it to be a reason.
const LOUDER_DB: f64 = 10.0;
/// Distance from its threshold, in Q0.8, up to which an average missed it by little.
const NEAR: u8 = 26;

/// Says why a word was not detected from its start until [`LATE_MS`] after its end.
pub(super) fn word_missed(
    heard: &Replay<'_>,
    label: u8,
    needed: u8,
    start_ms: u32,
    end_ms: u32,
) -> Why {
    let span = heard.span(start_ms, end_ms + LATE_MS);
    let word = Missed {
        heard,
        label,
        needed,
        start_ms,
        end_ms,
        peak: heard.peak(label, span.clone()),
        span,
    };
    let reasons = [
        Missed::never,
        Missed::asleep,
        Missed::at_another_time,
        Missed::not_yet,
        Missed::taken_for_another,
        Missed::too_short,
        Missed::clipped,
        Missed::near,
        Missed::unheard,
        Missed::after_louder,
    ];
    let mut reasons = reasons.iter().filter_map(|reason| reason(&word));
    reasons.next().unwrap_or_else(|| word.no_command())
}

struct Missed<'a> {
    heard: &'a Replay<'a>,
    label: u8,
    /// Average that would have been enough, Q0.8.
    needed: u8,
    start_ms: u32,
    end_ms: u32,
    /// Frames in which it may be detected.
    span: Range<usize>,
    /// Frame in which its average is highest, and that average (Q0.8).
    peak: (usize, u8),
}

impl Missed<'_> {
    fn threshold(&self) -> u8 {
        self.heard.threshold(self.label)
    }

    fn name(&self) -> &str {
        self.heard.name(self.label)
    }

    /// Says how high the average was, as "`go` reached 0.48 of the 0.60 needed".
    fn reached(&self) -> String {
        let (peak, needed) = (posterior(self.peak.1), posterior(self.needed));
        format!(
            "`{}` reached {peak:.2} of the {needed:.2} needed",
            self.name()
        )
    }

    fn never(&self) -> Option<Why> {
        if self.threshold() > 0 {
            return None;
        }
        Some(why(
            "never",
            format!(
                "`{}` is a label that is never detected (`never` of commands.toml)",
                self.name()
            ),
        ))
    }

    /// Tells that the average was high enough, but no wake word had opened the window, or it had
    /// closed.
    fn asleep(&self) -> Option<Why> {
        if self.heard.wake_words().contains(&self.label) {
            return None;
        }
        let frames = &self.heard.frames[self.span.clone()];
        let (label, threshold) = (usize::from(self.label), self.threshold());
        let unheard = |frame: &&Frame| !frame.awake && frame.smoothed[label] >= threshold;
        let at_ms = frames.iter().find(unheard)?.end_ms;
        let reached = posterior(self.peak.1);
        let name = self.name();
        let window_ms = self.heard.image.wake()?.window_ms;
        let closed = self.heard.closed.iter().rfind(|&&ms| ms < at_ms);
        let just = closed.filter(|&&ms| at_ms - ms <= window_ms.into());
        Some(match (just, closed) {
            (Some(closed), _) => why(
                "window_over",
                format!(
                    "`{name}` reached {reached:.2} at {at_ms} ms, but the window had closed at {closed} ms, {} ms before \
                     (`window_ms`)",
                    at_ms - closed
                ),
            ),
            (None, Some(closed)) => why(
                "asleep",
                format!(
                    "`{name}` reached {reached:.2} at {at_ms} ms, but no wake word had been heard since {closed} ms"
                ),
            ),
            (None, None) => why(
                "asleep",
                format!(
                    "`{name}` reached {reached:.2} at {at_ms} ms, but no wake word had been heard before it"
                ),
            ),
        })
    }

    fn at_another_time(&self) -> Option<Why> {
        let near = self.start_ms.saturating_sub(1000)..=self.end_ms + 2 * LATE_MS;
        let mut words = self.heard.frames.iter().filter_map(Frame::detected);
        let word =
            words.find(|word| word.label == self.label && near.contains(&word.decided_ms))?;
        let inside = (self.start_ms..=self.end_ms + LATE_MS).contains(&word.decided_ms);
        if inside {
            return None;
        }
        Some(why(
            "another_time",
            format!(
                "`{}` was detected, but at {} ms: it counts from {} ms to {LATE_MS} ms after {} ms, so look at the label \
             file's times",
                self.name(),
                word.decided_ms,
                self.start_ms,
                self.end_ms
            ),
        ))
    }

    /// Tells that the average was high enough, but shortly after another detection.
    fn not_yet(&self) -> Option<Why> {
        let (label, threshold) = (usize::from(self.label), self.threshold());
        let high = |&frame: &usize| self.heard.frames[frame].smoothed[label] >= threshold;
        let at = self.span.clone().find(high)?;
        let frame = &self.heard.frames[at];
        let before = self.heard.frames[..=at]
            .iter()
            .rev()
            .find_map(Frame::detected)?;
        let (name, was, ms) = (self.name(), self.heard.name(before.label), before.end_ms);
        let reached = posterior(self.peak.1);
        let refractory_ms = self
            .heard
            .ms(self.heard.image.manifest().decoder.refractory);
        if frame.detected().is_some() {
            Some(why(
                "another_label",
                format!(
                    "`{was}` was likelier in the same frame at {ms} ms, {:.2}",
                    posterior(before.score)
                ),
            ))
        } else if frame.refractory {
            Some(why(
                "refractory",
                format!(
                    "`{name}` reached {reached:.2}, but within the {refractory_ms} ms after `{was}` was detected at {ms} ms, \
                 in which nothing is (`refractory_ms`)"
                ),
            ))
        } else {
            Some(why(
                "not_armed",
                format!(
                    "`{name}` reached {reached:.2}, but its average had not fallen to half of its threshold since it was \
                 detected at {ms} ms"
                ),
            ))
        }
    }

    fn taken_for_another(&self) -> Option<Why> {
        let frames = &self.heard.frames[self.span.clone()];
        let word = frames.iter().find_map(Frame::detected)?;
        let (name, score) = (self.heard.name(word.label), posterior(word.score));
        Some(why(
            "another_label",
            format!(
                "it was taken for `{name}`, {score:.2} at {} ms; {}",
                word.end_ms,
                self.reached()
            ),
        ))
    }

    /// Tells that the posterior was high, but its average was not.
    fn too_short(&self) -> Option<Why> {
        let (label, threshold) = (usize::from(self.label), self.threshold());
        let frames = &self.heard.frames[self.span.clone()];
        let high = frames
            .iter()
            .filter(|frame| frame.posteriors[label] >= threshold)
            .count();
        if high == 0 {
            return None;
        }
        let smoothing = self.heard.image.manifest().decoder.smoothing;
        Some(why(
            "too_short",
            format!(
                "its posterior was high for {high} frames only, and its average over {smoothing} was not: {}",
                self.reached()
            ),
        ))
    }

    fn near(&self) -> Option<Why> {
        if self.peak.1 + NEAR < self.needed {
            return None;
        }
        Some(why(
            "near",
            format!(
                "it was a near miss, {}: a threshold of {:.2} would have done",
                self.reached(),
                posterior(self.peak.1)
            ),
        ))
    }

    /// Tells that something louder came before: the level that features are measured against falls
    /// slowly.
    fn after_louder(&self) -> Option<Why> {
        let louder = self.heard.louder_before(self.start_ms, self.end_ms);
        if louder < LOUDER_DB {
            return None;
        }
        Some(why(
            "after_louder",
            format!(
                "what was heard before it was so loud that the front end still measured it against {louder:.0} dB more; {}",
                self.reached()
            ),
        ))
    }

    fn clipped(&self) -> Option<Why> {
        let clipped = self.heard.clipped(self.start_ms, self.end_ms);
        if clipped < CLIPPED {
            return None;
        }
        Some(why(
            "clipped",
            format!(
                "{:.0} % of its samples are clipped, so record it with less gain; {}",
                100.0 * clipped,
                self.reached()
            ),
        ))
    }

    fn unheard(&self) -> Option<Why> {
        let (level, snr) = self.heard.level(self.start_ms, self.end_ms);
        match snr {
            Some(snr) if snr < LOW_SNR_DB => Some(why(
                "noise",
                format!(
                    "it is only {snr:.0} dB above its background; {}",
                    self.reached()
                ),
            )),
            _ if level < QUIET_DBFS => Some(why(
                "quiet",
                format!("it is very quiet, {level:.0} dBFS; {}", self.reached()),
            )),
            _ => None,
        }
    }

    /// Tells what was likeliest where the average was highest.
    fn no_command(&self) -> Why {
        let frame = self.heard.frames.get(self.peak.0);
        let all = (0..).zip(frame.map_or(&[][..], |frame| &frame.smoothed));
        // A word detected before may still be fading.
        let counts = |label: u8| frame.is_some_and(|frame| frame.armed[usize::from(label)]);
        let highest = all
            .filter(|(label, _)| counts(*label))
            .max_by_key(|(_, q)| **q);
        let (other, &high) = highest.unwrap_or((self.label, &0));
        let (name, high) = (self.heard.name(other), posterior(high));
        let silence = other == self.heard.image.manifest().decoder.silence;
        match () {
            () if other == self.label => why(
                "doubt",
                format!(
                    "the model leaned to it and was not sure: {}",
                    self.reached()
                ),
            ),
            () if silence => why(
                "silence",
                format!(
                    "the model heard no word, `{name}` {high:.2}: {}",
                    self.reached()
                ),
            ),
            () => why(
                "other_speech",
                format!(
                    "the model heard another word, `{name}` {high:.2}: {}",
                    self.reached()
                ),
            ),
        }
    }
}
