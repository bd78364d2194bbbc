//! Reads the label file of a recording: what is said in it, and when.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use zerda_firmware::Image;

use zerda_support::audio::SAMPLE_RATE;
use zerda_support::error::{Error, Result};
use zerda_support::files;

/// A label file as `models/samples` has them: what else is in it does not matter here.
#[derive(Deserialize)]
struct File {
    commands: Vec<Annotation>,
}

/// A command that is spoken.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Annotation {
    /// Text of the command: a word, or several that have spaces between them.
    pub command: String,
    /// Time in ms at which it starts, from the start of the recording.
    #[serde(deserialize_with = "ms")]
    pub start_ms: u32,
    #[serde(deserialize_with = "ms")]
    pub end_ms: u32,
    /// Numbers of the labels that its words have.
    #[serde(skip)]
    pub words: Vec<u8>,
}

/// Reads a time in ms, which programs that label recordings write with fractions.
fn ms<'de, D: serde::Deserializer<'de>>(number: D) -> std::result::Result<u32, D::Error> {
    let ms = f64::deserialize(number)?.round();
    if !(0.0..=f64::from(u32::MAX)).contains(&ms) {
        return Err(serde::de::Error::custom(format!(
            "{ms} is no time in ms from the recording's start"
        )));
    }
    Ok(ms as u32)
}

/// Returns the path of the label file beside a recording.
pub fn file(recording: &Path) -> PathBuf {
    recording.with_extension("json")
}

/// Reads the label file beside a recording, and returns its commands in the order of their starts; one that would end
/// after the recording ends with it. A file that is missing, has a word that is no label, or has times that cannot be
/// is an error.
pub fn beside(recording: &Path, samples: &[i16], image: &Image<'_>) -> Result<Vec<Annotation>> {
    let path = file(recording);
    let bad = |problem: &dyn std::fmt::Display| {
        Error::usage(format!(
            "{}: {problem}; expected what is said in {}: {{\"commands\": [{{\"command\": \"go\", \"start_ms\": 700, \
             \"end_ms\": 1180}}]}}",
            path.display(),
            recording.display()
        ))
    };
    let text = files::read_to_string(&path)
        .map_err(|error| bad(&format!("the label file cannot be read ({error})")))?;
    let mut spoken = serde_json::from_str::<File>(text.trim_start_matches('\u{feff}'))
        .map_err(|error| bad(&error))?
        .commands;
    let recording_ms = (samples.len() as u64 * 1000 / u64::from(SAMPLE_RATE)) as u32;
    for command in &mut spoken {
        let name = &command.command;
        if command.start_ms >= recording_ms {
            let at = command.start_ms;
            return Err(bad(&format!(
                "`{name}` at {at} ms starts after the recording's {recording_ms} ms"
            )));
        }
        if command.end_ms <= command.start_ms {
            let at = command.start_ms;
            return Err(bad(&format!("`{name}` at {at} ms ends before it starts")));
        }
        command.end_ms = command.end_ms.min(recording_ms);
        let number = |word: &str| image.labels().position(|label| label.name == word);
        for word in name.split_whitespace() {
            let number = number(word).ok_or_else(|| {
                let labels: Vec<_> = image.labels().map(|label| label.name).collect();
                let labels = labels.join(" ");
                bad(&format!(
                    "`{word}` is no label of the image, which has {labels}"
                ))
            })?;
            command.words.push(number as u8);
        }
        if command.words.is_empty() {
            return Err(bad(&"a command has no name"));
        }
    }
    spoken.sort_by_key(|command| command.start_ms);
    Ok(spoken)
}
