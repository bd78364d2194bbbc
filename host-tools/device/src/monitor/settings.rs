//! `zerda monitor --set` changes thresholds and smoothing of a device while it listens, and shows what is in force.

use serde_json::json;
use zerda_firmware::request::{self, Answer, Request};
use zerda_support::error::{Error, Result};
use zerda_support::escape;
use zerda_support::output::print;

use super::Session;
use crate::line::{Frame, Line};

/// Settings that are changed; none is a question alone.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Words, and the threshold that each gets, Q0.8; 0 switches it off.
    pub thresholds: Vec<(String, u8)>,
    /// Number of frames that posteriors are averaged over.
    pub smoothing: Option<u8>,
}

/// Word with its threshold in force and the image's, Q0.8.
struct Word {
    label: u8,
    name: String,
    threshold: u8,
    of_image: u8,
}

/// What is in force.
struct InForce {
    smoothing: u8,
    smoothing_of_image: u8,
    labels: u8,
    words: Vec<Word>,
}

impl Settings {
    /// Changes the settings of the device, and prints what is in force then.
    pub(super) fn show(&self, line: &mut Line, session: &mut Session<'_>) -> Result<()> {
        let first = ask(line, session, 0, Request::Settings { label: 0 })?;
        let mut all = (1..first.labels).try_fold(first, |mut all, label| {
            let one = ask(line, session, label, Request::Settings { label })?;
            all.words.extend(one.words);
            Ok::<_, Error>(all)
        })?;
        // All names are known before anything is changed.
        let changes = self.thresholds.iter().map(|(name, threshold)| {
            let word = all.words.iter().find(|word| &word.name == name);
            let word = word.ok_or_else(|| unknown(&line.name, name, &all.words))?;
            Ok((word.label, *threshold))
        });
        for (label, threshold) in changes.collect::<Result<Vec<_>>>()? {
            let request = Request::SetThreshold { label, threshold };
            let now = ask(line, session, label, request)?.words;
            all.words.retain(|word| word.label != label);
            all.words.extend(now);
        }
        all.words.sort_by_key(|word| word.label);
        if let Some(frames) = self.smoothing {
            all.smoothing = ask(line, session, 0, Request::SetSmoothing { frames })?.smoothing;
        }
        print(&match session.json {
            true => all.json(),
            false => format!(
                "{}: {}",
                escape::line(&line.name),
                escape::line(&all.text())
            ),
        })
    }
}

/// Asks for what is in force, of a label as well.
fn ask(
    line: &mut Line,
    session: &mut Session<'_>,
    label: u8,
    request: Request<'_>,
) -> Result<InForce> {
    let read = |answer: Answer<'_>| match answer {
        Answer::Settings(settings) => Some(Ok(InForce::of(settings, label))),
        Answer::Refused(error) => Some(Err(error)),
        _ => None,
    };
    let seen = |frame: Frame<'_>| match frame {
        Ok((sequence, report)) => session.report(sequence, &report),
        // It may have begun before the line was opened.
        Err(_) if session.counts.frames == 0 => Ok(()),
        Err(error) => {
            session.corrupted(error);
            Ok(())
        }
    };
    let answer = line.ask(&request, read, seen)?;
    answer.map_err(|error| Error::check(format!("{}: {error}", line.name)))
}

fn unknown(source: &str, name: &str, words: &[Word]) -> Error {
    let words: Vec<_> = words.iter().map(|word| word.name.as_str()).collect();
    Error::usage(format!(
        "{source}: {name}: the device detects no such word, expected one of {}",
        words.join(", ")
    ))
}

impl InForce {
    fn of(settings: request::Settings<'_>, label: u8) -> Self {
        let word = settings.word.map(|word| Word {
            label,
            name: word.name.into(),
            threshold: word.threshold,
            of_image: word.of_image,
        });
        Self {
            smoothing: settings.smoothing,
            smoothing_of_image: settings.smoothing_of_image,
            labels: settings.labels,
            words: word.into_iter().collect(),
        }
    }

    fn text(&self) -> String {
        let value = |threshold: u8| match threshold {
            0 => "off".to_string(),
            threshold => format!("{:.2}", posterior(threshold)),
        };
        let image = |differs: bool, text: String| match differs {
            true => format!(" (image {text})"),
            false => String::new(),
        };
        let words = self.words.iter().map(|word| {
            let differs = word.threshold != word.of_image;
            let of_image = image(differs, value(word.of_image));
            format!("{} {}{of_image}", word.name, value(word.threshold))
        });
        let Self {
            smoothing,
            smoothing_of_image,
            ..
        } = self;
        let of_image = image(
            smoothing != smoothing_of_image,
            smoothing_of_image.to_string(),
        );
        let words: Vec<_> = words.collect();
        format!(
            "in force: smoothing {smoothing} frames{of_image}; {}",
            words.join(", ")
        )
    }

    fn json(&self) -> String {
        let words = self.words.iter().map(|word| {
            let (threshold, image) = (posterior(word.threshold), posterior(word.of_image));
            (
                word.name.clone(),
                json!({ "threshold": threshold, "image": image }),
            )
        });
        let words: serde_json::Map<_, _> = words.collect();
        let smoothing = json!({ "frames": self.smoothing, "image": self.smoothing_of_image });
        json!({ "settings": { "smoothing": smoothing, "words": words } }).to_string()
    }
}

/// Returns the smoothed posterior, 0 to 1, of a threshold, Q0.8.
fn posterior(threshold: u8) -> f64 {
    f64::from(threshold) / 256.0
}
