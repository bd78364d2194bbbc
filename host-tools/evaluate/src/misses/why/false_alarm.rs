//! Finds what made a command that nobody said.

use zerda_firmware::grammar::Detection;

use super::{Why, needed, why};
use crate::misses::heard::Replay;
use crate::misses::labels::Annotation;
use crate::misses::{LATE_MS, posterior};

/// Says why a command was detected that was not said, or not said again.
pub fn false_alarm(
    heard: &Replay<'_>,
    detection: &Detection,
    (label, faint): (u8, bool),
    spoken: Option<&Annotation>,
    command: &str,
) -> Why {
    let threshold = needed(heard, label, faint);
    let span = heard.span(detection.start_ms, detection.end_ms + LATE_MS);
    let (at, high) = heard.peak(label, span.clone());
    let name = heard.name(label);
    let reached = format!(
        "`{name}` reached {:.2}, and {:.2} was enough",
        posterior(high),
        posterior(threshold)
    );
    match spoken {
        Some(spoken) if spoken.command == command => why(
            "repetition",
            format!(
                "said once, it was detected again: its average fell below {:.2} in between and rose once more",
                posterior(heard.threshold(label)) / 2.0
            ),
        ),
        Some(spoken) => {
            let said = spoken
                .words
                .iter()
                .map(|&word| heard.peak(word, span.clone()).1)
                .max();
            why(
                "another_label",
                format!(
                    "`{}` was said, which reached {:.2}, and was taken for it: {reached}",
                    spoken.command,
                    posterior(said.unwrap_or(0))
                ),
            )
        }
        None => {
            let above =
                span.filter(|&frame| heard.frames[frame].smoothed[usize::from(label)] >= threshold);
            let ms = heard.ms(above.count() as u16);
            let others = heard
                .frames
                .get(at)
                .map_or(&[][..], |frame| &frame.smoothed);
            let others = others.iter().zip(0..).filter(|&(_, other)| other != label);
            let (next, other) = others.max_by_key(|(q, _)| **q).unwrap_or((&0, label));
            why(
                "sounded_like",
                format!(
                    "no command was said, and for {ms} ms it sounded like one to the model: {reached}; next to it was `{}`, {:.2}",
                    heard.name(other),
                    posterior(*next)
                ),
            )
        }
    }
}
