//! Puts thresholds and smoothing into the config and into an image that is compiled already.

use std::collections::BTreeMap;
use std::path::Path;

use toml_edit::{DocumentMut, Item, Table, Value, value};
use zerda_firmware::Image;
use zerda_support::config::{Commands, parse};
use zerda_support::detection::DetectionSettings;
use zerda_support::error::{Error, Result};
use zerda_support::image_file::ImageFile;

use crate::streams::track::Settings;

/// Returns the image with other settings; nothing else of it changes but the checksum.
pub fn image(file: &ImageFile, settings: &Settings) -> Result<ImageFile> {
    let mut detection = DetectionSettings::of(&file.image()?);
    detection.decoder.smoothing = settings.smoothing;
    for label in settings.judged() {
        detection.thresholds[label] = settings.thresholds[label];
    }
    detection.put(file)
}

/// Text that stands at the start of a comment beside a threshold that this module wrote, and may write again.
const MEASURED: &str = "measured: ";

/// Returns the text of a `commands.toml` with other settings, and beside each threshold what was measured at it, by
/// label; other comments and all else stay.
pub fn config(
    path: &Path,
    text: &str,
    image: &Image<'_>,
    settings: &Settings,
    measured: &BTreeMap<String, String>,
) -> Result<String> {
    let failed =
        |error: &dyn std::fmt::Display| Error::usage(format!("{}: {error}", path.display()));
    let mut document: DocumentMut = text
        .parse()
        .map_err(|error: toml_edit::TomlError| failed(&error.message().replace('\n', "; ")))?;
    let smoothing = i64::from(settings.smoothing).into();
    set(&mut document["decoder"]["smoothing"], smoothing);
    let thresholds = document
        .entry("thresholds")
        .or_insert(Item::Table(Table::new()));
    let labels: Vec<_> = image.labels().collect();
    for label in settings.judged() {
        let name = labels[label].name;
        // The nearest thousandth is read back as the same 256th.
        let posterior = (f64::from(settings.thresholds[label]) / 256.0 * 1000.0).round() / 1000.0;
        set(&mut thresholds[name], posterior.into());
        if let (Some(value), Some(measured)) = (thresholds[name].as_value_mut(), measured.get(name))
        {
            remark(value, measured);
        }
    }
    let text = document.to_string();
    parse::<Commands>(path, &text)?;
    Ok(text)
}

/// Sets a value and keeps the comment that stands behind it.
fn set(item: &mut Item, new: Value) {
    let decor = item.as_value().map(|old| old.decor().clone());
    *item = value(new);
    if let (Some(decor), Some(value)) = (decor, item.as_value_mut()) {
        *value.decor_mut() = decor;
    }
}

/// Puts what was measured behind a value, after a comment that somebody else wrote and in place of what stood there of
/// an earlier measurement.
fn remark(value: &mut Value, measured: &str) {
    let suffix = value.decor().suffix().and_then(|suffix| suffix.as_str());
    let old = suffix.unwrap_or_default();
    let kept = old.split(MEASURED).next().unwrap_or_default().trim_end();
    let kept = kept.trim_end_matches(['#', ';']).trim_end();
    let start = if kept.is_empty() { "  # " } else { "; " };
    let suffix = format!("{kept}{start}{MEASURED}{measured}");
    value.decor_mut().set_suffix(suffix);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::streams::track::Track;
    use crate::streams::wake::WakeGate;
    use zerda_support::image_parts::parts;
    use zerda_support::test_support::{COMMANDS, repository, shrunk};

    fn settings(image: &Image<'_>) -> Settings {
        let own = Settings::of(image).thresholds.into_iter().enumerate();
        Settings {
            smoothing: 8,
            thresholds: own
                .map(|(number, own)| if own > 0 { 190 + number as u8 } else { 0 })
                .collect(),
            wake: None,
        }
    }

    #[test]
    fn an_image_gets_other_settings_and_computes_the_same_from_the_same_bytes() {
        let file = shrunk();
        let before = file.image().unwrap();
        let settings = settings(&before);
        let changed = super::image(&file, &settings).unwrap();
        let (after, bytes) = (changed.image().unwrap(), changed.bytes());
        // Read back by the firmware.
        assert_eq!(Settings::of(&after), settings);
        assert_ne!(Settings::of(&before), settings);
        // Smoothing, one byte of each command, and the checksum.
        let differ = file.bytes().iter().zip(bytes).enumerate();
        let differ: Vec<usize> = differ
            .filter(|(_, (a, b))| a != b)
            .map(|(at, _)| at)
            .collect();
        let commands = settings
            .thresholds
            .iter()
            .filter(|&&threshold| threshold > 0);
        assert!(differ.len() <= 1 + commands.count() + 4, "{differ:?}");
        assert_eq!(file.bytes().len(), bytes.len());
        for part in parts(bytes, &after) {
            if !["header", "manifest"].contains(&part.kind) {
                assert_eq!(
                    file.bytes()[part.range.clone()],
                    bytes[part.range],
                    "{}",
                    part.kind
                );
            }
        }
        let samples = zerda_support::audio::read(&repository("models/samples/lift.wav")).unwrap();
        let mut memory = vec![0; after.memory_bytes()];
        let heard = Track::of(&after, &mut memory, &samples).unwrap();
        assert_eq!(heard, Track::of(&before, &mut memory, &samples).unwrap());
    }

    #[test]
    fn a_config_gets_other_settings_and_keeps_the_rest() {
        let file = shrunk();
        let image = file.image().unwrap();
        let settings = settings(&image);
        let text = COMMANDS;
        let path = Path::new("commands.toml");
        let none = BTreeMap::new();
        let changed = config(path, text, &image, &settings, &none).unwrap();
        let labels: Vec<_> = image.labels().map(|label| label.name).collect();
        let commands: Commands = parse(path, &changed).unwrap();
        assert_eq!(commands.decoder.smoothing.0, 8);
        assert_eq!(commands.thresholds(&labels).unwrap(), settings.thresholds);
        // Every line is there as before, but that of the smoothing, which keeps its comment.
        for line in text.lines() {
            let line = line.replace("smoothing = 5 ", "smoothing = 8 ");
            assert!(changed.contains(&line), "{line}");
        }
        // Again with the same is the same.
        let again = config(path, &changed, &image, &settings, &none).unwrap();
        assert_eq!(again, changed);
    }

    #[test]
    fn beside_each_threshold_stands_what_was_measured_at_it_once() {
        let file = shrunk();
        let image = file.image().unwrap();
        let text = COMMANDS;
        let text = format!("{text}go = 0.7\nno = 0.5  # mine\n");
        let path = Path::new("commands.toml");
        let settings = Settings::of(&image).shared(128);
        let with = |text: &str, what: &str| {
            let measured = ["go", "no"].map(|label| (label.to_string(), what.to_string()));
            config(path, text, &image, &settings, &measured.into()).unwrap()
        };
        let once = with(&text, "3 missed");
        assert!(once.contains("go = 0.5  # measured: 3 missed\n"), "{once}");
        assert!(once.contains("no = 0.5  # mine; measured: 3 missed\n"));
        assert!(once.contains("yes = 0.5\n"), "{once}");
        let again = with(&once, "2 missed");
        assert_eq!(again, once.replace("3 missed", "2 missed"));
        // Of a gate only the wake words' thresholds are written.
        let wakes = Settings {
            wake: Some(WakeGate {
                words: image.labels().map(|label| label.name == "stop").collect(),
                window_ms: 6000,
                extend: false,
            }),
            ..settings.clone()
        };
        let gated = config(path, &text, &image, &wakes, &BTreeMap::new()).unwrap();
        assert_eq!(gated, text + "stop = 0.5\n");
    }

    #[test]
    fn every_threshold_is_read_back_from_the_config_as_it_was() {
        let file = shrunk();
        let image = file.image().unwrap();
        let labels: Vec<_> = image.labels().map(|label| label.name).collect();
        let text = COMMANDS;
        let path = Path::new("commands.toml");
        for threshold in 3..=253 {
            let settings = Settings::of(&image).shared(threshold);
            let changed = config(path, text, &image, &settings, &BTreeMap::new()).unwrap();
            let commands: Commands = parse(path, &changed).unwrap();
            assert_eq!(commands.thresholds(&labels).unwrap(), settings.thresholds);
        }
    }

    #[test]
    fn a_folder_without_a_good_config_is_refused_before_anything_is_heard() {
        let folder = tempfile::tempdir().unwrap();
        let error = Commands::load(Some(folder.path())).unwrap_err().to_string();
        assert!(error.contains("commands.toml: cannot be read"), "{error}");
        std::fs::write(
            folder.path().join("commands.toml"),
            "[decoder]\nsmoothing = 0\n",
        )
        .unwrap();
        let error = Commands::load(Some(folder.path())).unwrap_err().to_string();
        assert!(error.contains("commands.toml:2: `smoothing`"), "{error}");
    }
}
