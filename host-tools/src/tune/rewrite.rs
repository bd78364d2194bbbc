//! Puts thresholds and smoothing into the config and into an image that is compiled already.

use std::path::Path;

use toml_edit::{DocumentMut, Item, Table, Value, value};
use zerda_firmware::Image;

use crate::compiler::detection::Detection;
use crate::config::{Commands, parse};
use crate::error::{Error, Result};
use crate::eval::stream::track::Settings;
use crate::image_file::ImageFile;

/// The image with other settings; nothing else of it changes but the checksum.
pub fn image(file: &ImageFile, settings: &Settings) -> Result<ImageFile> {
    let mut detection = Detection::of(&file.image()?);
    detection.decoder.smoothing = settings.smoothing;
    detection.thresholds.clone_from(&settings.thresholds);
    detection.put(file)
}

/// The text of a `commands.toml` with other settings; comments and all else stay.
pub fn config(path: &Path, text: &str, image: &Image<'_>, settings: &Settings) -> Result<String> {
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
    for (label, &threshold) in image.labels().zip(&settings.thresholds) {
        if threshold > 0 {
            // The nearest thousandth is read back as the same 256th.
            let posterior = (f64::from(threshold) / 256.0 * 1000.0).round() / 1000.0;
            set(&mut thresholds[label.name], posterior.into());
        }
    }
    let text = document.to_string();
    parse::<Commands>(path, &text)?;
    Ok(text)
}

/// Sets a value, with the comment that stands behind it.
fn set(item: &mut Item, new: Value) {
    let decor = item.as_value().map(|old| old.decor().clone());
    *item = value(new);
    if let (Some(decor), Some(value)) = (decor, item.as_value_mut()) {
        *value.decor_mut() = decor;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::stream::track::Track;
    use crate::eval::stream::track::tests::shrunk;
    use crate::image_parts::parts;

    fn settings(image: &Image<'_>) -> Settings {
        let own = Settings::of(image).thresholds.into_iter().enumerate();
        Settings {
            smoothing: 8,
            thresholds: own
                .map(|(number, own)| if own > 0 { 190 + number as u8 } else { 0 })
                .collect(),
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
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let samples = crate::audio::read(&root.join("models/samples/lift.wav")).unwrap();
        let mut memory = vec![0; after.memory_bytes()];
        let heard = Track::of(&after, &mut memory, &samples).unwrap();
        assert_eq!(heard, Track::of(&before, &mut memory, &samples).unwrap());
    }

    #[test]
    fn a_config_gets_other_settings_and_keeps_the_rest() {
        let file = shrunk();
        let image = file.image().unwrap();
        let settings = settings(&image);
        let text = include_str!("../../../config/commands.toml");
        let path = Path::new("commands.toml");
        let changed = config(path, text, &image, &settings).unwrap();
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
        assert_eq!(config(path, &changed, &image, &settings).unwrap(), changed);
    }

    #[test]
    fn every_threshold_is_read_back_from_the_config_as_it_was() {
        let file = shrunk();
        let image = file.image().unwrap();
        let labels: Vec<_> = image.labels().map(|label| label.name).collect();
        let text = include_str!("../../../config/commands.toml");
        let path = Path::new("commands.toml");
        for threshold in 3..=253 {
            let settings = Settings::of(&image).shared(threshold);
            let changed = config(path, text, &image, &settings).unwrap();
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
