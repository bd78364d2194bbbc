//! Reads `commands.toml`, which says how posteriors become detections.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use toml::Spanned;
use zerda_firmware::grammar::LONGEST_MS;
use zerda_firmware::image::{MAX_COMMANDS, MAX_NAME, MAX_WORDS};

use super::Source;
use super::quiet::QuietSettings;
use super::wake::{Known, WakeSettings, WakeWords};
use crate::error::{Error, Result};

/// Contents of `commands.toml`, which says how posteriors become detections.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commands {
    pub decoder: DecoderSettings,
    #[serde(default)]
    pub thresholds: BTreeMap<String, Threshold>,
    /// Grammar of the commands; if it is missing, each word is a command by itself.
    pub grammar: Option<GrammarSettings>,
    /// Wake words; if they are missing, commands count at any time.
    pub wake: Option<WakeSettings>,
    /// Voice activity gate; if it is missing, the network never rests.
    pub quiet: Option<QuietSettings>,
    #[serde(skip)]
    source: Source,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecoderSettings {
    pub smoothing: Smoothing,
    pub refractory_ms: u16,
    pub threshold: Threshold,
    pub silence: String,
    pub never: Vec<String>,
}

/// Commands of one or several words, which `[grammar]` lists.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrammarSettings {
    /// Commands that are written as words of the model, separated by spaces.
    pub commands: Vec<Spanned<String>>,
    #[serde(default)]
    pub gap_ms: Gap,
}

/// Longest time that may pass from the decision on a word to that on the next; 100 to 5000 ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u16")]
pub struct Gap(pub u16);

impl Default for Gap {
    fn default() -> Self {
        Gap(2000)
    }
}

impl TryFrom<u16> for Gap {
    type Error = String;
    fn try_from(ms: u16) -> Result<Self, String> {
        match u32::from(ms) {
            100..=LONGEST_MS => Ok(Gap(ms)),
            _ => Err(format!(
                "invalid value {ms}, expected 100 to {LONGEST_MS} ms"
            )),
        }
    }
}

/// Command of the grammar, as the image has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phrase {
    /// Words that it consists of, with one space between them.
    pub name: String,
    /// Numbers that its words have among the labels.
    pub words: Vec<u8>,
}

/// Number of frames that a posterior is averaged over, 1 to 32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u8")]
pub struct Smoothing(pub u8);

impl TryFrom<u8> for Smoothing {
    type Error = String;
    fn try_from(frames: u8) -> Result<Self, String> {
        match frames {
            1..=32 => Ok(Smoothing(frames)),
            _ => Err(format!("invalid value {frames}, expected 1 to 32 frames")),
        }
    }
}

/// Threshold that the decoder compares posteriors with, Q0.8; written as 0.01 to 0.99.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "f32")]
pub struct Threshold(pub u8);

impl TryFrom<f32> for Threshold {
    type Error = String;
    fn try_from(posterior: f32) -> Result<Self, String> {
        if (0.01..=0.99).contains(&posterior) {
            Ok(Threshold((posterior * 256.0).round() as u8))
        } else {
            Err(format!(
                "invalid value {posterior}, expected a probability from 0.01 to 0.99"
            ))
        }
    }
}

impl Commands {
    /// Reads `commands.toml` in `directory`, or the one built in.
    pub fn load(directory: Option<&Path>) -> Result<Commands> {
        let source = super::read(directory, super::COMMANDS)?;
        let commands = source.parse()?;
        Ok(Commands { source, ..commands })
    }

    /// Returns the `[wake]` that stands in the built-in file, be it still commented out: what `--wake` says
    /// without words.
    pub fn ready_wake() -> Result<WakeSettings> {
        #[derive(Deserialize)]
        struct Block {
            wake: WakeSettings,
        }
        let text = super::COMMANDS.1;
        if let Some(wake) = Commands::load(None)?.wake {
            return Ok(wake);
        }
        let lines = text.lines().skip_while(|line| *line != "# [wake]");
        let lines = lines.map_while(|line| line.strip_prefix("# "));
        let block: Vec<_> = lines.collect();
        let block: Block = super::parse(Path::new(super::COMMANDS.0), &block.join("\n"))?;
        Ok(block.wake)
    }

    /// Returns the wake words, or `None` where there is no `[wake]`; `labels` are the model's.
    pub fn wake_words(&self, labels: &[&str]) -> Result<Option<WakeWords>> {
        let Some(wake) = &self.wake else {
            return Ok(None);
        };
        let known = Known {
            labels,
            thresholds: &self.thresholds(labels)?,
            phrases: &self.phrases(labels)?,
        };
        let error = |at: usize, problem: &str| self.source.error(at, problem);
        wake.numbers(known, &error).map(Some)
    }

    /// Returns the path of the file, and its text.
    pub fn source(&self) -> (&Path, &str) {
        (&self.source.path, &self.source.text)
    }

    /// Returns the commands of the grammar, none where there is no grammar; `labels` are the model's.
    pub fn phrases(&self, labels: &[&str]) -> Result<Vec<Phrase>> {
        let Some(grammar) = &self.grammar else {
            return Ok(Vec::new());
        };
        let thresholds = self.thresholds(labels)?;
        let words = || labels.iter().zip(&thresholds);
        let mut phrases: Vec<Phrase> = Vec::new();
        for written in &grammar.commands {
            let text = written.get_ref();
            let error = |problem: &str| {
                let at = written.span().start;
                Err(self.source.error(at, &format!("{text:?}: {problem}")))
            };
            let spoken: Vec<_> = text.split_whitespace().collect();
            let name = spoken.join(" ");
            if spoken.is_empty() || spoken.len() > MAX_WORDS || name.len() > MAX_NAME {
                return error(&format!(
                    "expected 1 to {MAX_WORDS} words, {MAX_NAME} bytes in all"
                ));
            }
            let mut numbers = Vec::new();
            for word in spoken {
                let detected = words().position(|(label, &of)| *label == word && of > 0);
                let Some(number) = detected else {
                    let known = words().filter(|(_, of)| **of > 0);
                    let known: Vec<_> = known.map(|(label, _)| *label).collect();
                    return error(&format!(
                        "`{word}` is no word that the model detects, expected some of {}",
                        known.join(" ")
                    ));
                };
                numbers.push(number as u8);
            }
            let words = numbers;
            if phrases.iter().any(|other| other.words == words) {
                return error("is there twice");
            }
            if phrases.len() == MAX_COMMANDS {
                return error(&format!("is one more than the {MAX_COMMANDS} that fit"));
            }
            phrases.push(Phrase { name, words });
        }
        if phrases.is_empty() {
            return Err(Error::usage(format!(
                "{}: [grammar]: `commands` is empty, expected commands; without [grammar] each word \
                 is one",
                self.source.path.display()
            )));
        }
        Ok(phrases)
    }

    /// Returns the Q0.8 threshold of each label; 0 where the label is no command. The labels are the
    /// model's: a name here that it does not have is an error, never silently without effect.
    pub fn thresholds(&self, labels: &[&str]) -> Result<Vec<u8>> {
        let named = self.thresholds.keys().chain(&self.decoder.never);
        for name in named.chain([&self.decoder.silence]) {
            if !labels.contains(&name.as_str()) {
                return Err(Error::usage(format!(
                    "commands.toml: `{name}` is no label of the model, which has {}; \
                     change commands.toml and pass its folder with --config",
                    labels.join(" ")
                )));
            }
        }
        let threshold = |label: &&str| {
            if self.decoder.never.iter().any(|never| never == label) {
                0
            } else {
                self.thresholds
                    .get(*label)
                    .unwrap_or(&self.decoder.threshold)
                    .0
            }
        };
        let thresholds: Vec<_> = labels.iter().map(threshold).collect();
        if thresholds.iter().all(|&threshold| threshold == 0) {
            return Err(Error::usage(format!(
                "{}: [decoder]: `never` names every label of the model, so that nothing would be detected; expected \
                 some of {} to be left out",
                self.source.path.display(),
                labels.join(" ")
            )));
        }
        Ok(thresholds)
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// The built-in file with a grammar.
    fn with_grammar(text: &str) -> Result<Commands> {
        built_in_with(&format!("\n[grammar]\n{text}"))
    }

    /// The built-in file with more at its end.
    pub fn built_in_with(text: &str) -> Result<Commands> {
        let text = format!("{}{text}", crate::config::COMMANDS.1);
        let source = Source {
            path: "some.toml".into(),
            text,
        };
        let commands = source.parse()?;
        Ok(Commands { source, ..commands })
    }

    const LABELS: [&str; 4] = ["go", "stop", "_unknown_", "_silence_"];

    #[test]
    fn commands_are_words_of_the_model_by_their_numbers() {
        let commands = with_grammar("commands = [\"go  stop\", \"stop\"]").unwrap();
        assert_eq!(commands.grammar.as_ref().unwrap().gap_ms, Gap(2000));
        let phrases = commands.phrases(&LABELS).unwrap();
        let phrases = phrases.iter().map(|phrase| (&*phrase.name, &*phrase.words));
        assert!(phrases.eq([("go stop", &[0, 1][..]), ("stop", &[1])]));
        let without = Commands::load(None).unwrap();
        assert_eq!(without.phrases(&LABELS).unwrap(), []);
    }

    #[test]
    fn commands_that_cannot_be_spoken_are_named_with_file_and_line() {
        let lines = crate::config::COMMANDS.1.lines().count();
        let error = |text: &str| {
            let phrases = with_grammar(text).and_then(|commands| commands.phrases(&LABELS));
            phrases.unwrap_err().to_string()
        };
        // One line is empty, one the heading.
        let at = |line: usize, text: &str| format!("some.toml:{}: {text}", lines + 2 + line);
        for (written, problem) in [
            (
                "go lfet",
                "`lfet` is no word that the model detects, expected some of go stop",
            ),
            (
                "_silence_",
                "`_silence_` is no word that the model detects, expected some of go stop",
            ),
            ("", "expected 1 to 4 words, 64 bytes in all"),
            ("go go go go go", "expected 1 to 4 words, 64 bytes in all"),
            ("stop", "is there twice"),
        ] {
            let expected = at(1, &format!("`commands`: {written:?}: {problem}"));
            assert_eq!(
                error(&format!("commands = [\"stop\", {written:?}]")),
                expected
            );
        }
        let second = error("commands = [\n  \"stop\",\n  \"up\",\n]");
        assert!(
            second.starts_with(&at(3, "\"up\",: \"up\": `up` is no word")),
            "{second}"
        );
        let empty = "some.toml: [grammar]: `commands` is empty, expected commands; without [grammar] \
                     each word is one";
        assert_eq!(error("commands = []"), empty);
        let gap = "`gap_ms`: invalid value 99, expected 100 to 5000 ms";
        assert_eq!(error("commands = [\"go\"]\ngap_ms = 99"), at(2, gap));
    }

    #[test]
    fn more_commands_than_fit_are_refused() {
        let words: Vec<_> = (0..33).map(|number| format!("w{number}")).collect();
        let labels = words.iter().map(String::as_str);
        let labels: Vec<_> = labels.chain(["_unknown_", "_silence_"]).collect();
        let phrases = |count: usize| {
            let commands = with_grammar(&format!("commands = {:?}", &words[..count])).unwrap();
            commands.phrases(&labels)
        };
        assert_eq!(phrases(32).unwrap().len(), 32);
        let error = phrases(33).unwrap_err().to_string();
        assert!(
            error.ends_with("\"w32\": is one more than the 32 that fit"),
            "{error}"
        );
    }

    #[test]
    fn a_configuration_that_would_detect_nothing_is_refused() {
        let mut commands = Commands::load(None).unwrap();
        commands.decoder.never.push("go".into());
        let thresholds = |labels: &[&str]| commands.thresholds(labels);
        let error = thresholds(&["go", "_unknown_", "_silence_"]).unwrap_err();
        assert!(
            error.to_string().contains("`never` names every label"),
            "{error}"
        );
        let labels = ["go", "stop", "_unknown_", "_silence_"];
        assert_eq!(thresholds(&labels).unwrap(), [0, 154, 0, 0]);
    }

    #[test]
    fn a_label_that_the_model_does_not_have_is_an_error() {
        let mut commands = Commands::load(None).unwrap();
        let labels = ["go", "_unknown_", "_silence_"];
        assert_eq!(commands.thresholds(&labels).unwrap(), [154, 0, 0]);
        commands.thresholds.insert("og".into(), Threshold(100));
        let error = commands.thresholds(&labels).unwrap_err().to_string();
        assert!(
            error.starts_with("commands.toml: `og` is no label"),
            "{error}"
        );
    }
}
