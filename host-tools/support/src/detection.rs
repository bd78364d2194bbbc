//! Puts `commands.toml` into an image: thresholds, smoothing, refractory time, commands, wake words and the gate for the
//! quiet.
//! `zerda commands` does so with an image that is compiled already.

use std::path::PathBuf;

use zerda_firmware::Image;
use zerda_firmware::image::{
    Command, DecoderConfig, FrontEndConfig, GrammarConfig, Label, Manifest, Quiet, Wake, field,
};
use zerda_firmware::plan::Cache;

use crate::config::{self, Commands, Known, Phrase, WakeWords};
use crate::error::{Error, Result};
use crate::image_file::ImageFile;
use crate::image_parts::number;
use crate::image_writer::{ImageWriter, attach_npu};
use crate::output;

pub struct Options {
    pub image: PathBuf,
    pub output: PathBuf,
    /// Says whether the output is the image itself.
    pub in_place: bool,
}

/// Writes the image with these commands instead of those that it has.
pub fn commands(options: &Options, commands: &Commands) -> Result<()> {
    let file = with_commands(&ImageFile::open(&options.image)?, commands)?;
    match options.in_place {
        true => output::replace(&options.output, file.bytes()),
        false => output::write(&options.output, file.bytes()),
    }
}

/// Returns the image with other thresholds, smoothing, refractory time, commands, wake words and gate. Everything
/// else stays, and so do the bits of the network.
pub fn with_commands(file: &ImageFile, commands: &Commands) -> Result<ImageFile> {
    let image = file.image()?;
    let names: Vec<_> = image.labels().map(|label| label.name).collect();
    DetectionSettings::new(commands, &names, image.manifest().front_end)?.put(file)
}

/// Settings of detection in the integers that an image holds.
pub struct DetectionSettings {
    pub decoder: DecoderConfig,
    /// Threshold of each label in Q0.8; a label whose threshold is 0 is never detected.
    pub thresholds: Vec<u8>,
    gap: u16,
    phrases: Vec<Phrase>,
    wake: Option<WakeWords>,
    /// Voice activity gate; with `None` the network never rests.
    pub quiet: Option<Quiet>,
}

impl DetectionSettings {
    /// Converts `commands` to the integers of an image; `names` are the model's labels. Refractory time and
    /// gap become frames, rounded up.
    pub fn new(
        commands: &Commands,
        names: &[&str],
        front_end: FrontEndConfig,
    ) -> Result<DetectionSettings> {
        let decoder = &commands.decoder;
        // Rounded up to whole frames.
        let frame_ms = (1000 * u32::from(front_end.hop) / front_end.sample_rate).max(1);
        let frames = |ms: u16| u32::from(ms).div_ceil(frame_ms) as u16;
        let silence = names.iter().position(|&name| name == decoder.silence);
        let gap = commands.grammar.as_ref().map_or(0, |of| of.gap_ms.0);
        Ok(DetectionSettings {
            thresholds: commands.thresholds(names)?,
            decoder: DecoderConfig {
                smoothing: decoder.smoothing.0,
                refractory: frames(decoder.refractory_ms),
                silence: silence.unwrap_or_default() as u8,
            },
            gap: frames(gap),
            phrases: commands.phrases(names)?,
            wake: commands.wake_words(names)?,
            quiet: commands.quiet.map(config::QuietSettings::gate),
        })
    }

    /// Reads the settings that an image has.
    pub fn of(image: &Image<'_>) -> DetectionSettings {
        let phrases = image.commands().map(|command| Phrase {
            name: command.name.into(),
            words: command.words.into(),
        });
        let wake = image.wake().map(|wake| WakeWords {
            window_ms: wake.window_ms,
            extend: wake.extend,
            words: wake.words.into(),
            thresholds: wake.thresholds.into(),
        });
        DetectionSettings {
            decoder: image.manifest().decoder,
            thresholds: image.labels().map(|label| label.threshold).collect(),
            gap: image.grammar().gap,
            phrases: phrases.collect(),
            wake,
            quiet: image.quiet(),
        }
    }

    /// Replaces the wake words by those of a `[wake]` section; `names` are the model's labels. `error`
    /// makes an error of the description of what is wrong with the section.
    pub fn set_wake(
        &mut self,
        wake: &config::WakeSettings,
        names: &[&str],
        error: impl Fn(&str) -> Error,
    ) -> Result<()> {
        let known = Known {
            labels: names,
            thresholds: &self.thresholds,
            phrases: &self.phrases,
        };
        self.wake = Some(wake.numbers(known, &|_, problem| error(problem))?);
        Ok(())
    }

    /// Returns the image with these settings instead of those that it has.
    pub fn put(&self, file: &ImageFile) -> Result<ImageFile> {
        let (image, bytes) = (file.image()?, file.bytes());
        let names: Vec<_> = image.labels().map(|label| label.name).collect();
        let manifest = Manifest {
            decoder: self.decoder,
            ..*image.manifest()
        };
        let caches: Vec<_> = image.caches().collect();
        let tensors = image.arena_bytes() - image.kept_bytes();
        let memory = [image.cache_bytes(), tensors];
        let writer = ImageWriter::of(&image, bytes);
        let mut written = self.finish(writer, manifest, &names, &caches, memory);
        // The step for the NPU is the end of the image.
        if let Some(program) = image.npu() {
            let section = &bytes[number(bytes, field::NPU_OFFSET)..];
            attach_npu(&mut written, section, program.memory_mode);
        }
        let written = ImageFile::new(file.path(), &written);
        written.image()?;
        Ok(written)
    }

    /// Finishes the image with these settings. `manifest` states the counts of what the image holds;
    /// `memory` holds the bytes of caches, and of the tensors in the arena.
    pub fn finish(
        &self,
        writer: ImageWriter,
        manifest: Manifest,
        names: &[&str],
        caches: &[Cache],
        memory: [usize; 2],
    ) -> Vec<u8> {
        let labels = names.iter().zip(&self.thresholds);
        let labels: Vec<_> = labels
            .map(|(&name, &threshold)| Label { name, threshold })
            .collect();
        let commands = self.phrases.iter().map(|phrase| Command {
            name: &phrase.name,
            words: &phrase.words,
        });
        let commands: Vec<_> = commands.collect();
        let grammar = GrammarConfig {
            gap: self.gap,
            commands: commands.len() as u8,
        };
        let wake = self.wake.as_ref().map(|wake| Wake {
            window_ms: wake.window_ms,
            extend: wake.extend,
            words: &wake.words,
            thresholds: &wake.thresholds,
        });
        writer.finish(
            manifest,
            &labels,
            (grammar, &commands),
            (wake, self.quiet),
            caches,
            memory,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{commands as config, shrunk};
    use std::path::Path;
    use zerda_firmware::image::section::test_section::with_npu;

    #[test]
    fn a_step_for_an_npu_stays_in_the_image() {
        let shipped = shrunk();
        let bytes = with_npu(shipped.bytes());
        let with_step = ImageFile::new(Path::new("npu"), bytes.get());
        let commands = config(|text| text.to_string() + "[grammar]\ncommands = [\"go left\"]\n");
        let changed = with_commands(&with_step, &commands).unwrap();
        let image = changed.image().unwrap();
        assert_eq!(image.grammar().commands, 1);
        let (before, after) = (with_step.image().unwrap(), image);
        let (before, after) = (before.npu().unwrap(), after.npu().unwrap());
        assert_eq!(before.section, after.section);
        assert_eq!(
            (before.payload, before.constants),
            (after.payload, after.constants)
        );
    }

    #[test]
    fn the_built_in_commands_are_those_of_the_shipped_image() {
        let shipped = shrunk();
        let same = with_commands(&shipped, &Commands::load(None).unwrap()).unwrap();
        assert!(same.bytes() == shipped.bytes());
    }

    #[test]
    fn other_commands_leave_the_network_as_it_is_and_can_be_taken_back() {
        let shipped = shrunk();
        let commands = config(|text| {
            let text = text.replace("refractory_ms = 300", "refractory_ms = 205");
            text + "go = 0.75\n[grammar]\ncommands = [\"go left\", \"stop\"]\ngap_ms = 1201\n"
        });
        let changed = with_commands(&shipped, &commands).unwrap();
        let (before, after) = (shipped.image().unwrap(), changed.image().unwrap());
        assert!(after.tensors().eq(before.tensors()) && after.ops().eq(before.ops()));
        let constants = |image: &Image<'_>| {
            let tensors = image
                .tensors()
                .map(|tensor| image.constant_i8(tensor).to_vec());
            tensors.collect::<Vec<_>>()
        };
        assert!(constants(&after) == constants(&before));
        assert_eq!(after.manifest().decoder.refractory, 21);
        let labels: Vec<_> = after.labels().collect();
        let number = |name| labels.iter().position(|label| label.name == name).unwrap();
        assert_eq!(labels[number("go")].threshold, 192);
        assert_eq!(
            (after.grammar().gap, after.command(0)),
            (121, Some("go left"))
        );
        let words = [number("go") as u8, number("left") as u8];
        assert_eq!(after.commands().next().unwrap().words, words);
        let back = with_commands(&changed, &Commands::load(None).unwrap()).unwrap();
        assert!(back.bytes() == shipped.bytes());
    }
}
