//! Puts the wake words of `--wake` and the gate of `--quiet` into an image that is compiled already, and says what any
//! image's are.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde_json::{Value, json};
use toml::Spanned;
use zerda_firmware::Image;
use zerda_firmware::image::Quiet;

use crate::config::{Commands, QuietSettings, Sensitivity};
use crate::detection::DetectionSettings;
use crate::error::{Error, Result};
use crate::image_file::ImageFile;

/// Holds what `--wake` says: the words, or `None` for those of the `[wake]` that stands ready in `commands.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words(Option<Vec<String>>);

impl FromStr for Words {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let words = text.split(',').map(|word| word.trim().to_string());
        Ok(Words((!text.is_empty()).then(|| words.collect())))
    }
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            &self
                .0
                .as_ref()
                .map_or(String::new(), |words| words.join(",")),
        )
    }
}

/// Opens an image, and puts the words of `--wake` and the gate of `--quiet` into it where there are any.
pub fn open(path: &Path, words: Option<&Words>, quiet: Option<Sensitivity>) -> Result<ImageFile> {
    put(ImageFile::open(path)?, words, quiet)
}

/// Puts the words of `--wake` and the gate of `--quiet` into an image where there are any.
pub fn put(
    mut file: ImageFile,
    words: Option<&Words>,
    quiet: Option<Sensitivity>,
) -> Result<ImageFile> {
    if let Some(words) = words {
        file = with_wake(&file, words)?;
    }
    match quiet {
        Some(sensitivity) => with_quiet(&file, sensitivity),
        None => Ok(file),
    }
}

/// Returns the image with a voice activity gate of this sensitivity in place of any that it has.
pub fn with_quiet(file: &ImageFile, sensitivity: Sensitivity) -> Result<ImageFile> {
    let quiet = QuietSettings {
        sensitivity,
        ..QuietSettings::default()
    };
    with_gate(file, quiet.gate())
}

/// Returns the image with this voice activity gate in place of any that it has.
pub fn with_gate(file: &ImageFile, quiet: Quiet) -> Result<ImageFile> {
    let mut detection = DetectionSettings::of(&file.image()?);
    detection.quiet = Some(quiet);
    detection.put(file)
}

/// Returns the image with these wake words in place of those that it has; all else of `[wake]` is as `commands.toml`
/// has it.
pub fn with_wake(file: &ImageFile, words: &Words) -> Result<ImageFile> {
    let image = file.image()?;
    let mut wake = Commands::ready_wake()?;
    if let Words(Some(words)) = words {
        let spanned = words.iter().map(|word| Spanned::new(0..0, word.clone()));
        wake.words = Spanned::new(0..0, spanned.collect());
    }
    let names: Vec<_> = image.labels().map(|label| label.name).collect();
    let mut detection = DetectionSettings::of(&image);
    detection.set_wake(&wake, &names, |problem| {
        Error::usage(format!("{}: --wake: {problem}", file.path().display()))
    })?;
    detection.put(file)
}

/// Says in a line whether an image's commands count after a wake word only.
pub fn describe(image: &Image<'_>) -> String {
    let Some(wake) = image.wake() else {
        return "not gated, every command counts at any time".into();
    };
    let names = words(image);
    // A label of an image from anywhere must not steer the terminal.
    let names: Vec<_> = names.map(|name| name.escape_debug().to_string()).collect();
    let anew = match wake.extend {
        true => "after it and after each command",
        false => "after it",
    };
    format!(
        "gated, asleep until {}; commands count for {} ms {anew}",
        names.join(" or "),
        wake.window_ms
    )
}

/// Says in a line whether an image's network rests while nobody speaks.
pub fn describe_quiet(image: &Image<'_>) -> String {
    image.quiet().map_or_else(
        || "none, the network never rests".into(),
        |quiet| {
            format!(
                "sensitivity {}, open for {} ms after the last sound",
                quiet.sensitivity, quiet.hangover_ms
            )
        },
    )
}

/// Returns the image's voice activity gate as JSON; null where it has none.
pub fn quiet_json(image: &Image<'_>) -> Value {
    image.quiet().map_or(
        Value::Null,
        |quiet| json!({ "sensitivity": quiet.sensitivity, "hangover_ms": quiet.hangover_ms }),
    )
}

/// Returns the image's wake words as JSON; null where the image is not gated.
pub fn json(image: &Image<'_>) -> Value {
    let Some(wake) = image.wake() else {
        return Value::Null;
    };
    let own = image.labels().zip(wake.thresholds);
    let own = own.filter(|(_, threshold)| **threshold > 0);
    let own = own.map(|(label, &q)| (label.name.to_string(), json!(f64::from(q) / 256.0)));
    json!({
        "words": words(image).collect::<Vec<_>>(),
        "window_ms": wake.window_ms,
        "extend": wake.extend,
        "thresholds": own.collect::<serde_json::Map<_, _>>(),
    })
}

/// Returns the names of the wake words.
fn words<'a>(image: &Image<'a>) -> impl Iterator<Item = &'a str> {
    let labels: Vec<_> = image.labels().map(|label| label.name).collect();
    let wake = image.wake().map_or(&[][..], |wake| wake.words);
    wake.iter()
        .filter_map(move |&word| labels.get(usize::from(word)).copied())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detection::with_commands;
    use crate::test_support::commands as config;
    use crate::test_support::shrunk;

    fn words(text: &str) -> Words {
        text.parse().unwrap()
    }

    #[test]
    fn wake_words_of_the_command_line_are_put_into_the_image_and_the_network_stays() {
        let shipped = shrunk();
        let gated = with_wake(&shipped, &words("yes, no")).unwrap();
        let (before, after) = (shipped.image().unwrap(), gated.image().unwrap());
        assert!(after.tensors().eq(before.tensors()) && after.ops().eq(before.ops()));
        assert!(after.labels().eq(before.labels()));
        assert!(before.wake().is_none());
        let expected = "gated, asleep until yes or no; commands count for 6000 ms after it and after each command";
        assert_eq!(describe(&after), expected);
        assert_eq!(json(&after)["words"], json!(["yes", "no"]));
        // Others take their place, and commands.toml takes them away.
        let other = with_wake(&gated, &words("stop")).unwrap();
        assert_eq!(json(&other.image().unwrap())["words"], json!(["stop"]));
        let back = with_commands(&other, &Commands::load(None).unwrap()).unwrap();
        assert!(back.bytes() == shipped.bytes());
        assert_eq!(json(&back.image().unwrap()), Value::Null);
    }

    #[test]
    fn a_gate_for_the_quiet_takes_memory_for_400_ms_and_a_step_and_can_be_taken_away() {
        let shipped = shrunk();
        let gated = with_quiet(&shipped, 1i64.try_into().unwrap()).unwrap();
        let (before, after) = (shipped.image().unwrap(), gated.image().unwrap());
        let quiet = after.quiet().unwrap();
        assert_eq!((quiet.sensitivity, quiet.hangover_ms), (1, 300));
        assert_eq!(before.quiet(), None);
        // 45 frames of 40 filters and their sum, in four bytes each.
        let more = after.memory_bytes() - before.memory_bytes();
        assert_eq!(more, (45usize * 41 * 4).next_multiple_of(16));
        assert!(after.tensors().eq(before.tensors()) && after.ops().eq(before.ops()));
        let written = config(|text| text.to_string() + "[quiet]\nsensitivity = 1\n");
        assert!(with_commands(&shipped, &written).unwrap().bytes() == gated.bytes());
        // Both gates stay when the other one comes.
        let both = with_wake(&gated, &words("yes")).unwrap();
        assert_eq!(both.image().unwrap().quiet(), Some(quiet));
        let both = with_quiet(&both, 3i64.try_into().unwrap()).unwrap();
        assert_eq!(json(&both.image().unwrap())["words"], json!(["yes"]));
        assert_eq!(quiet_json(&both.image().unwrap())["sensitivity"], 3);
        let back = with_commands(&both, &Commands::load(None).unwrap()).unwrap();
        assert!(back.bytes() == shipped.bytes());
    }

    #[test]
    fn the_command_line_says_the_same_as_commands_toml() {
        let shipped = shrunk();
        let commands = config(|text| {
            let ready = text.replace(
                "# [wake]\n# words = [\"computer\", \"jarvis\"]",
                "[wake]\nwords = [\"yes\"]",
            );
            assert_ne!(ready, text);
            ready
        });
        let written = with_commands(&shipped, &commands).unwrap();
        assert!(written.bytes() == with_wake(&shipped, &words("yes")).unwrap().bytes());
    }

    #[test]
    fn a_wake_word_that_the_image_does_not_have_or_that_is_part_of_a_command_is_an_error_of_one_line()
     {
        let shipped = shrunk();
        let message = |file: &ImageFile, text: &str| {
            let error = with_wake(file, &words(text)).err().unwrap();
            error.to_string()
        };
        for (text, problem) in [
            (
                "jarvs",
                "--wake: `jarvs` is no word that the model detects, expected some of yes no",
            ),
            (
                "_silence_",
                "--wake: `_silence_` is no word that the model detects",
            ),
            ("yes,", "--wake: `` is no word that the model detects"),
            ("yes,yes", "--wake: `yes` is there twice"),
        ] {
            let message = message(&shipped, text);
            assert!(
                message.contains(problem) && !message.contains('\n'),
                "{message}"
            );
        }
        let commands = config(|text| text.to_string() + "[grammar]\ncommands = [\"go left\"]\n");
        let pairs = with_commands(&shipped, &commands).unwrap();
        let message = message(&pairs, "left");
        assert!(
            message.contains("`left` is part of the command \"go left\""),
            "{message}"
        );
        assert!(with_wake(&pairs, &words("yes")).is_ok());
    }
}
