//! `zerda compile`: a float ONNX of one streaming step to an INT8 image.
//!
//! Import ([`import`]) makes a [`graph`] of the plan's operators, calibration ([`calibrate`]) gives
//! every tensor its range, [`quantize`] makes integers of it, and [`image_writer`] the image.

pub mod calibrate;
pub mod fidelity;
mod front_end;
pub mod graph;
pub mod hard_swish;
mod histogram;
mod image_writer;
mod import;
mod memory;
mod metadata;
mod onnx;
mod quantize;
#[cfg(test)]
mod tests;
pub mod tflite_params;
#[cfg(test)]
mod tiny_onnx;
mod view;

use std::fmt;
use std::path::{Path, PathBuf};

use indicatif::ProgressIterator;
use zerda_firmware::image::{Decoder, FrontEnd, Label, Manifest};
use zerda_firmware::plan::TensorId;

use crate::audio;
use crate::config::{Commands, Config};
use crate::error::{Error, Result};
use crate::image_file::ImageFile;
use crate::operators::macs_per_step;
use crate::output;
use crate::tract_step::FloatStep;

use calibrate::Observations;
use fidelity::Fidelity;
use graph::Graph;
use memory::{Memory, Reuse};
use metadata::Metadata;
use quantize::Quantizer;

/// Recordings that are read of a folder, evenly spread over it. More change no range by much.
const RECORDINGS: usize = 500;

pub struct Options {
    pub onnx: PathBuf,
    /// Audio files, or folders of them.
    pub calibrate: Vec<PathBuf>,
    pub output: PathBuf,
    /// A profile of `models.toml`, where the ONNX does not name its own.
    pub profile: Option<String>,
}

/// Recordings on which the integers are compared with the float network.
const COMPARED: usize = 20;

/// What was made; prints as a few lines.
pub struct Summary {
    pub ops: usize,
    pub macs_per_step: u64,
    pub image_bytes: usize,
    pub cache_bytes: usize,
    pub arena_bytes: usize,
    pub recordings: usize,
    /// Of every tensor that the float network has too.
    pub fidelities: Vec<Fidelity>,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        writeln!(
            f,
            "{} operators, {:.2} M multiply-accumulates a step, calibrated on {} recordings",
            self.ops,
            self.macs_per_step as f64 / 1e6,
            self.recordings
        )?;
        write!(
            f,
            "flash {} bytes; memory {} bytes: caches {}, arena {}",
            self.image_bytes,
            self.cache_bytes + self.arena_bytes,
            self.cache_bytes,
            self.arena_bytes
        )?;
        let of = |value| {
            self.fidelities
                .iter()
                .find(|fidelity| fidelity.value == value)
        };
        let worst = self
            .fidelities
            .iter()
            .min_by(|a, b| a.decibels.total_cmp(&b.decibels));
        for (what, fidelity) in [("logits", of("logits")), ("worst", worst)] {
            if let Some(Fidelity { value, decibels }) = fidelity {
                write!(
                    f,
                    "\nsignal to quantization noise, {what}: {decibels:.1} dB ({value})"
                )?;
            }
        }
        Ok(())
    }
}

/// Compiles an ONNX and writes the image.
pub fn compile(options: &Options, config: &Config) -> Result<Summary> {
    let path = &options.onnx;
    let compiler = Compiler::open(path, options.profile.as_deref(), config)?;
    let recordings = recordings(&options.calibrate)?;
    let (image, fidelities) = compiler.compile(&recordings)?;
    output::write(&options.output, image.bytes())?;
    let parsed = image.image()?;
    Ok(Summary {
        ops: parsed.manifest().ops.into(),
        macs_per_step: macs_per_step(&parsed),
        image_bytes: image.bytes().len(),
        cache_bytes: parsed.cache_bytes(),
        arena_bytes: parsed.arena_bytes(),
        recordings: recordings.len(),
        fidelities,
    })
}

/// An image and its records of the graph's tensors.
type Drafted = (ImageFile, Vec<Option<TensorId>>);

/// An imported network and what of the configuration goes with it into the image.
pub struct Compiler<'a> {
    path: &'a Path,
    pub graph: Graph,
    metadata: Metadata,
    commands: &'a Commands,
}

impl<'a> Compiler<'a> {
    /// Reads the ONNX and checks it against the configuration.
    pub fn open(path: &'a Path, profile: Option<&str>, config: &'a Config) -> Result<Compiler<'a>> {
        let onnx = onnx::Onnx::read(path)?;
        let metadata = Metadata::read(path, &onnx.metadata)?;
        let graph = import::import(path, &onnx, metadata.front_end.range / 255.0)?;
        metadata.check(path, &graph, profile, &config.models)?;
        Ok(Compiler {
            path,
            graph,
            metadata,
            commands: &config.commands,
        })
    }

    /// Calibrates on 16 kHz recordings and quantizes.
    pub fn compile(&self, recordings: &[Vec<i16>]) -> Result<(ImageFile, Vec<Fidelity>)> {
        let names = calibrate::observed_values(&self.graph);
        let step = FloatStep::observing(self.path, &names)?;
        let (draft, _) = self.image(None, Reuse::Always)?;
        let seen = calibrate::observe(&self.graph, &step, &draft.image()?, recordings)?;
        let (image, _) = self.image(Some(&seen), Reuse::Always)?;
        image.image()?;
        let (whole, ids) = self.image(Some(&seen), Reuse::Never)?;
        let few = &recordings[..recordings.len().min(COMPARED)];
        let fidelities = fidelity::measure(&self.graph, &step, &whole.image()?, &ids, few)?;
        Ok((image, fidelities))
    }

    /// An image; without observations one that serves for its front end only.
    fn image(&self, seen: Option<&Observations>, reuse: Reuse) -> Result<Drafted> {
        let quantizations = calibrate::quantizations(&self.graph, seen);
        let memory = Memory::plan(&self.graph, &quantizations, reuse);
        let mut quantizer = Quantizer::new(&self.graph, &quantizations, seen, &memory);
        quantizer.ops();
        let (logits, posteriors) = (
            quantizer.id(self.graph.logits),
            quantizer.id(self.graph.posteriors),
        );
        let Quantizer {
            mut writer, ids, ..
        } = quantizer;
        let front_end = &self.metadata.front_end;
        let (bands, weights) = front_end::mel_filters(front_end);
        let unit = graph::Quantization {
            scale: 1.0,
            zero_point: 0,
        };
        let front_end = FrontEnd {
            sample_rate: front_end.sample_rate,
            window: front_end.window,
            hop: front_end.hop,
            mels: front_end.mels,
            level_decay: front_end.level_decay,
            level_floor: front_end.level_floor,
            range: front_end.range,
            window_table: writer.f32(&front_end::window(front_end)),
            mel_weight: writer.f32(&weights),
            mel_band: writer.i8(&bands, bands.len(), unit),
        };
        let names: Vec<_> = self.metadata.labels.iter().map(String::as_str).collect();
        let thresholds = self.commands.thresholds(&names)?;
        let label = |(&name, threshold)| Label { name, threshold };
        let labels: Vec<_> = names.iter().zip(thresholds).map(label).collect();
        let silence = names
            .iter()
            .position(|&name| name == self.commands.decoder.silence);
        let decoder = &self.commands.decoder;
        // Frames, the last of them whole.
        let frame_ms = 1000 * u32::from(front_end.hop) / front_end.sample_rate;
        let refractory = u32::from(decoder.refractory_ms).div_ceil(frame_ms.max(1));
        let manifest = Manifest {
            stream: self.graph.stream,
            front_end,
            decoder: Decoder {
                smoothing: decoder.smoothing.0,
                refractory: refractory as u16,
                silence: silence.unwrap_or_default() as u8,
            },
            classes: labels.len() as u8,
            caches: memory.caches.len() as u8,
            tensors: writer.tensors.len() as u16,
            ops: writer.ops.len() as u16,
            logits,
            posteriors,
        };
        let Memory {
            caches,
            cache_bytes,
            arena_bytes,
            ..
        } = &memory;
        let bytes = writer.finish(manifest, &labels, caches, *cache_bytes, *arena_bytes);
        Ok((ImageFile::new(self.path, &bytes), ids))
    }
}

/// The recordings to calibrate on.
pub fn recordings(paths: &[PathBuf]) -> Result<Vec<Vec<i16>>> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let listed = audio::list(path)?;
        let every = listed.len().div_ceil(RECORDINGS).max(1);
        files.extend(listed.into_iter().step_by(every));
    }
    if files.is_empty() {
        return Err(Error::usage(
            "no WAV or FLAC files to calibrate on; name some with --calibrate",
        ));
    }
    files
        .iter()
        .progress()
        .map(|file| audio::read(file))
        .collect()
}
