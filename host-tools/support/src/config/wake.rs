//! Reads `[wake]` of `commands.toml`, which says after which words the device listens to commands.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;
use zerda_firmware::image::{MAX_WAKE_WORDS, WINDOW_MS};

use super::{Phrase, Threshold};
use crate::error::{Error, Result};

/// Wake words that `[wake]` lists: commands count in the time after one of them only.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WakeSettings {
    pub words: Spanned<Vec<Spanned<String>>>,
    #[serde(default)]
    pub window_ms: Window,
    #[serde(default = "yes")]
    pub extend: bool,
    /// Thresholds of words of commands that are to have others than without `[wake]`.
    #[serde(default)]
    pub thresholds: BTreeMap<Spanned<String>, Threshold>,
}

fn yes() -> bool {
    true
}

/// Time for which commands count after a wake word, 500 to 60,000 ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "i64")]
pub struct Window(pub u16);

impl Default for Window {
    fn default() -> Self {
        Window(6000)
    }
}

impl TryFrom<i64> for Window {
    type Error = String;
    fn try_from(ms: i64) -> Result<Self, String> {
        let window = u16::try_from(ms).ok().filter(|ms| WINDOW_MS.contains(ms));
        let (least, most) = (WINDOW_MS.start(), WINDOW_MS.end());
        let error = format!("invalid value {ms}, expected {least} to {most} ms");
        window.map(Window).ok_or(error)
    }
}

/// Wake words as an image has them: [`zerda_firmware::image::Wake`], owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WakeWords {
    pub window_ms: u16,
    pub extend: bool,
    /// Numbers that the wake words have among the labels.
    pub words: Vec<u8>,
    /// Q0.8 thresholds at which the commands' words are detected, one a label, and 0 for that of the label;
    /// empty where `[wake]` gives none.
    pub thresholds: Vec<u8>,
}

/// Names that the words of `[wake]` must be among: the model's labels with their thresholds, and the
/// commands.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    pub labels: &'a [&'a str],
    /// Q0.8 threshold of each label; a label whose threshold is 0 is never detected.
    pub thresholds: &'a [u8],
    pub phrases: &'a [Phrase],
}

impl Known<'_> {
    /// Returns the number of a word that can be detected; any other word is an error.
    fn number(self, word: &str) -> Result<u8, String> {
        let mut labels = self.labels.iter().zip(self.thresholds);
        let found = labels.position(|(label, &of)| *label == word && of > 0);
        found.map(|number| number as u8).ok_or_else(|| {
            let known = self.labels.iter().zip(self.thresholds);
            let known = known.filter(|(_, of)| **of > 0).map(|(label, _)| *label);
            let known: Vec<_> = known.collect();
            format!(
                "`{word}` is no word that the model detects, expected some of {}",
                known.join(" ")
            )
        })
    }
}

impl WakeSettings {
    /// Turns the words into the numbers of a model. `error` makes an error of a place in the file, in
    /// bytes, and of what is wrong there.
    pub fn numbers(
        &self,
        known: Known<'_>,
        error: &dyn Fn(usize, &str) -> Error,
    ) -> Result<WakeWords> {
        let (all, list_at) = (self.words.get_ref(), self.words.span().start);
        let mut words: Vec<u8> = Vec::new();
        for written in all {
            let (word, at) = (written.get_ref(), written.span().start);
            let number = known.number(word).map_err(|problem| error(at, &problem))?;
            let mut phrases = known.phrases.iter();
            if let Some(command) = phrases.find(|phrase| phrase.words.contains(&number)) {
                return Err(error(
                    at,
                    &format!(
                        "`{word}` is part of the command {:?}, expected a word that is in none",
                        command.name
                    ),
                ));
            }
            if words.contains(&number) {
                return Err(error(at, &format!("`{word}` is there twice")));
            }
            if words.len() == MAX_WAKE_WORDS {
                let problem = format!("`{word}` is one more than the {MAX_WAKE_WORDS} that fit");
                return Err(error(at, &problem));
            }
            words.push(number);
        }
        if words.is_empty() {
            let problem = format!(
                "there is no wake word, expected 1 to {MAX_WAKE_WORDS}; without [wake] every word counts at any time"
            );
            return Err(error(list_at, &problem));
        }
        Ok(WakeWords {
            window_ms: self.window_ms.0,
            extend: self.extend,
            thresholds: self.thresholds(known, &words, error)?,
            words,
        })
    }

    /// Returns the thresholds of commands, one a label, or none.
    fn thresholds(
        &self,
        known: Known<'_>,
        wake_words: &[u8],
        error: &dyn Fn(usize, &str) -> Error,
    ) -> Result<Vec<u8>> {
        let mut thresholds = Vec::new();
        for (written, threshold) in &self.thresholds {
            let (word, at) = (written.get_ref(), written.span().start);
            let number = known.number(word).map_err(|problem| error(at, &problem))?;
            if wake_words.contains(&number) {
                let problem = format!(
                    "`{word}` is a wake word, expected words of commands; thresholds of wake words stand in [thresholds]"
                );
                return Err(error(at, &problem));
            }
            let mut phrases = known.phrases.iter();
            if !known.phrases.is_empty() && !phrases.any(|phrase| phrase.words.contains(&number)) {
                return Err(error(at, &format!("`{word}` is in no command")));
            }
            thresholds.resize(known.labels.len(), 0);
            thresholds[usize::from(number)] = threshold.0;
        }
        Ok(thresholds)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Commands;
    use super::super::commands::tests::built_in_with;
    use super::*;

    const LABELS: [&str; 6] = ["go", "stop", "computer", "jarvis", "_unknown_", "_silence_"];

    /// What the built-in file says of wake words with this in front of its thresholds.
    fn wake_words(text: &str) -> Result<Option<WakeWords>> {
        let commands = built_in_with(text)?;
        commands.wake_words(&LABELS)
    }

    #[test]
    fn without_wake_there_are_none_and_the_block_ready_to_uncomment_is_valid() {
        assert_eq!(wake_words("").unwrap(), None);
        let ready = Commands::ready_wake().unwrap();
        let words = ready
            .words
            .get_ref()
            .iter()
            .map(|word| word.get_ref().as_str());
        assert!(words.eq(["computer", "jarvis"]));
        assert_eq!((ready.window_ms, ready.extend), (Window(6000), true));
        assert!(ready.thresholds.is_empty());
    }

    #[test]
    fn wake_words_are_labels_by_their_numbers() {
        let found = wake_words("[wake]\nwords = [\"jarvis\"]").unwrap();
        let expected = WakeWords {
            window_ms: 6000,
            extend: true,
            words: vec![3],
            thresholds: vec![],
        };
        assert_eq!(found, Some(expected));
        let text = "[wake]\nwords = [\"computer\", \"jarvis\"]\nwindow_ms = 500\nextend = false\n\
                    [wake.thresholds]\ngo = 0.5";
        let expected = WakeWords {
            window_ms: 500,
            extend: false,
            words: vec![2, 3],
            thresholds: vec![128, 0, 0, 0, 0, 0],
        };
        assert_eq!(wake_words(text).unwrap(), Some(expected));
    }

    #[test]
    fn what_is_wrong_with_wake_is_said_in_a_line_of_file_line_and_bounds() {
        let known = "is no word that the model detects, expected some of go stop computer jarvis";
        let grammar = "[grammar]\ncommands = [\"stop\", \"go stop\"]\n";
        for (text, line, problem) in [
            ("[wake]\nwords = [\"jarvs\"]", 2, format!("`words`: `jarvs` {known}")),
            ("[wake]\nwords = [\"_unknown_\"]", 2, format!("`words`: `_unknown_` {known}")),
            (
                "[wake]\nwords = []",
                2,
                "`words`: there is no wake word, expected 1 to 8; without [wake] every word counts at any time".into(),
            ),
            ("[wake]\nwords = [\"go\", \"go\"]", 2, "`words`: `go` is there twice".into()),
            (
                &format!("{grammar}[wake]\nwords = [\"go\"]"),
                4,
                "`words`: `go` is part of the command \"go stop\", expected a word that is in none".into(),
            ),
            (
                "[wake]\nwords = [\"go\"]\nwindow_ms = 499",
                3,
                "`window_ms`: invalid value 499, expected 500 to 60000 ms".into(),
            ),
            (
                "[wake]\nwords = [\"go\"]\nwindow_ms = 60001",
                3,
                "`window_ms`: invalid value 60001, expected 500 to 60000 ms".into(),
            ),
            (
                "[wake]\nwords = [\"go\"]\nwindow_ms = 70000",
                3,
                "`window_ms`: invalid value 70000, expected 500 to 60000 ms".into(),
            ),
            (
                "[wake]\nwords = [\"go\"]\n[wake.thresholds]\nstop = 1.5",
                4,
                "`stop`: invalid value 1.5, expected a probability from 0.01 to 0.99".into(),
            ),
            (
                "[wake]\nwords = [\"go\"]\n[wake.thresholds]\nlfet = 0.5",
                4,
                format!("`lfet`: `lfet` {known}"),
            ),
            (
                "[wake]\nwords = [\"go\"]\n[wake.thresholds]\ngo = 0.5",
                4,
                "`go`: `go` is a wake word, expected words of commands; thresholds of wake words stand in [thresholds]"
                    .into(),
            ),
            (
                &format!("{grammar}[wake]\nwords = [\"jarvis\"]\n[wake.thresholds]\ncomputer = 0.5"),
                6,
                "`computer`: `computer` is in no command".into(),
            ),
        ] {
            let error = wake_words(text).unwrap_err().to_string();
            let before = built_in_with("").unwrap().source().1.lines().count();
            let expected = format!("some.toml:{}: {problem}", before + line);
            assert_eq!(error, expected);
        }
        let unknown = wake_words("[wake]\nwords = [\"go\"]\nwidow_ms = 1").unwrap_err();
        assert!(
            unknown.to_string().contains("unknown field `widow_ms`"),
            "{unknown}"
        );
    }
}
