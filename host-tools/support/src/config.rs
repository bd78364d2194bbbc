//! Reads what a person may tune, `config/*.toml`.
//!
//! The files are built in, so that the installed binary works anywhere; `--config DIR` reads
//! others. Every message says file, line, field and what was expected there.

mod budgets;
mod commands;
mod profile;
mod quiet;
mod wake;

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use zerda_firmware::image::MAX_LEVEL_FRAMES;

use crate::error::{Error, Result};
use crate::files;
pub use budgets::{Budgets, Limits, OwnLimits};
pub use commands::{Commands, DecoderSettings, Phrase, Smoothing, Threshold};
pub use quiet::{QuietSettings, Sensitivity};
pub use wake::{Known, WakeSettings, WakeWords};

const MODELS: (&str, &str) = ("models.toml", include_str!("../config/models.toml"));
const COMMANDS: (&str, &str) = ("commands.toml", include_str!("../config/commands.toml"));

#[derive(Clone, Debug)]
pub struct Config {
    pub models: Models,
    pub commands: Commands,
}

impl Config {
    /// Reads `models.toml` and `commands.toml` in `directory`, or the built-in ones.
    pub fn load(directory: Option<&Path>) -> Result<Config> {
        Ok(Config {
            models: read(directory, MODELS)?.parse()?,
            commands: Commands::load(directory)?,
        })
    }
}

/// Contents of `models.toml`, which holds the front end, the words and the shapes of the models.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Models {
    pub front_end: FrontEnd,
    #[serde(default)]
    pub words: TrainedWords,
    pub profiles: BTreeMap<String, Profile>,
}

/// Words that the recipe trains, in the order of the labels: commands, those of them that are learnt from synthetic
/// speech alone, and wake words.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainedWords {
    pub commands: Vec<String>,
    pub from_text: Vec<String>,
    pub wake: Vec<String>,
}

/// Front end that `[front_end]` and the JSON in the ONNX's `zerda.front_end` describe. Units stand in
/// `models.toml`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "raw::FrontEnd")]
pub struct FrontEnd {
    pub sample_rate: u32,
    pub window: u16,
    pub hop: u16,
    pub fft: u16,
    pub mels: u16,
    pub fmin: f32,
    pub fmax: f32,
    pub level_decay: f32,
    pub level_floor: f32,
    pub level_frames: u16,
    pub range: f32,
}

/// Shape of a model and of its stream, which `[profiles.NAME]` describes. `cached` is the left context L.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "raw::Profile")]
pub struct Profile {
    pub layers: u16,
    pub heads: u16,
    pub hidden: u16,
    pub feed_forward: u16,
    pub kernel: u16,
    pub chunk: u16,
    pub cached: u16,
    pub step: u16,
}

/// Fields as they are written, before the checks that look at several of them.
mod raw {
    use super::*;

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct FrontEnd {
        sample_rate: u32,
        window: NonZeroU16,
        hop: NonZeroU16,
        fft: NonZeroU16,
        mels: NonZeroU16,
        fmin: f32,
        fmax: f32,
        level_decay: f32,
        level_floor: f32,
        /// Number of frames that a sound must last to be remembered in the level; it is 1 in older models,
        /// which do not have it.
        #[serde(default = "one")]
        level_frames: u16,
        range: f32,
    }

    fn one() -> u16 {
        1
    }

    impl TryFrom<FrontEnd> for super::FrontEnd {
        type Error = String;
        fn try_from(raw: FrontEnd) -> Result<Self, String> {
            let nyquist = raw.sample_rate as f32 / 2.0;
            expect(
                raw.fft >= raw.window && raw.fft.is_power_of_two(),
                "fft",
                "a power of two, at least window",
            )?;
            expect(raw.hop <= raw.window, "hop", "at most window")?;
            expect(
                0.0 <= raw.fmin && raw.fmin < raw.fmax && raw.fmax <= nyquist,
                "fmin and fmax",
                "0 <= fmin < fmax <= sample_rate / 2",
            )?;
            expect(
                raw.level_decay >= 0.0 && raw.level_decay.is_finite(),
                "level_decay",
                "0 or more",
            )?;
            expect(
                raw.level_floor >= 0.0 && raw.level_floor.is_finite(),
                "level_floor",
                "0 or more",
            )?;
            expect(
                (1..=MAX_LEVEL_FRAMES).contains(&raw.level_frames.into()),
                "level_frames",
                "1 to 16",
            )?;
            expect(
                raw.range > 0.0 && raw.range.is_finite(),
                "range",
                "more than 0",
            )?;
            Ok(super::FrontEnd {
                sample_rate: raw.sample_rate,
                window: raw.window.get(),
                hop: raw.hop.get(),
                fft: raw.fft.get(),
                mels: raw.mels.get(),
                fmin: raw.fmin,
                fmax: raw.fmax,
                level_decay: raw.level_decay,
                level_floor: raw.level_floor,
                level_frames: raw.level_frames,
                range: raw.range,
            })
        }
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Profile {
        layers: NonZeroU16,
        heads: NonZeroU16,
        hidden: NonZeroU16,
        feed_forward: NonZeroU16,
        kernel: NonZeroU16,
        chunk: NonZeroU16,
        cached: u16,
        step: NonZeroU16,
    }

    impl TryFrom<Profile> for super::Profile {
        type Error = String;
        fn try_from(raw: Profile) -> Result<Self, String> {
            expect(
                raw.hidden.get() % raw.heads == 0,
                "heads",
                "a divisor of hidden",
            )?;
            expect(raw.step <= raw.chunk, "step", "at most chunk")?;
            Ok(super::Profile {
                layers: raw.layers.get(),
                heads: raw.heads.get(),
                hidden: raw.hidden.get(),
                feed_forward: raw.feed_forward.get(),
                kernel: raw.kernel.get(),
                chunk: raw.chunk.get(),
                cached: raw.cached,
                step: raw.step.get(),
            })
        }
    }

    fn expect(holds: bool, field: &str, expected: &str) -> Result<(), String> {
        holds
            .then_some(())
            .ok_or_else(|| format!("{field}: expected {expected}"))
    }
}

/// File of the configuration, which is read or built in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Source {
    path: PathBuf,
    text: String,
}

/// Reads the file in `directory`, or the one built in.
fn read(directory: Option<&Path>, (name, text): (&str, &str)) -> Result<Source> {
    let (path, text) = match directory {
        None => (name.into(), text.into()),
        Some(directory) => {
            let path = directory.join(name);
            let text = files::read_to_string(&path).map_err(|e| Error::read(&path, e))?;
            (path, text)
        }
    };
    Ok(Source { path, text })
}

/// Reads TOML; what is wrong is said in a line of file, line and field.
pub fn parse<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T> {
    let (path, text) = (path.into(), text.into());
    Source { path, text }.parse()
}

impl Source {
    fn parse<T: DeserializeOwned>(&self) -> Result<T> {
        toml::from_str(&self.text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            self.error(at, error.message())
        })
    }

    /// Makes an error of one line where the parser would print five: editors and CI logs link `file:line`.
    /// `at` is the position in the text, in bytes.
    fn error(&self, at: usize, message: &str) -> Error {
        let before = &self.text.as_bytes()[..at.min(self.text.len())];
        let number = before.iter().filter(|&&byte| byte == b'\n').count();
        let line = self.text.lines().nth(number).unwrap_or_default();
        let field = match line.split_once('=') {
            Some((key, _)) => format!("`{}`: ", key.trim()),
            None if line.trim().is_empty() => String::new(),
            None => format!("{}: ", line.trim()),
        };
        let message = message.replace('\n', "; ");
        let (path, line) = (self.path.display(), number + 1);
        Error::usage(format!("{path}:{line}: {field}{message}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message<T: DeserializeOwned>(text: &str) -> String {
        let result: Result<T> = parse(Path::new("some.toml"), text);
        result.err().expect("an error").to_string()
    }

    #[test]
    fn the_built_in_files_say_what_the_design_says() {
        let config = Config::load(None).unwrap();
        let front_end = &config.models.front_end;
        assert_eq!((front_end.window, front_end.hop), (400, 160));
        let shrunk = &config.models.profiles["shrunk"];
        assert_eq!((shrunk.chunk, shrunk.cached, shrunk.step), (10, 100, 5));
        // 0.6 in Q0.8 is 153.6.
        assert_eq!(config.commands.decoder.threshold, Threshold(154));
    }

    /// 1,873,600 is by hand, layer by layer, and the shipped image's own sum.
    #[test]
    fn a_profile_says_what_a_step_of_it_multiplies() {
        let shrunk = Config::load(None).unwrap().models.profiles["shrunk"];
        assert_eq!(shrunk.macs_per_step(40, 14), 1_873_600);
        let file = crate::test_support::shrunk();
        let image = file.image().unwrap();
        assert_eq!(crate::operators::macs_per_step(&image), 1_873_600);
    }

    #[test]
    fn a_mistake_is_answered_with_file_line_field_and_what_was_expected() {
        const DECODER: &str = "[decoder]\nsmoothing = 5\nrefractory_ms = 300\nthreshold = 0.6\n\
                               silence = \"s\"\nnever = []\n";
        let cases = [
            (
                DECODER.replace("0.6", "1.6"),
                "some.toml:4: `threshold`: invalid value 1.6, expected a probability from 0.01 to 0.99",
            ),
            (
                DECODER.replace("= 5", "= \"5\""),
                "some.toml:2: `smoothing`: invalid type: string \"5\", expected u8",
            ),
            (
                DECODER.replace("silence", "silense"),
                "some.toml:5: `silense`: unknown field `silense`, expected one of \
                 `smoothing`, `refractory_ms`, `threshold`, `silence`, `never`",
            ),
            (
                DECODER.replace("never = []\n", ""),
                "some.toml:1: [decoder]: missing field `never`",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(message::<Commands>(&text), expected);
        }
    }

    #[test]
    fn fields_that_contradict_each_other_are_named() {
        let text = MODELS.1.replacen("step = 5", "step = 11", 1);
        let message = message::<Models>(&text);
        assert!(message.contains("[profiles.baseline]"), "{message}");
        assert!(
            message.ends_with("step: expected at most chunk"),
            "{message}"
        );
    }
}
