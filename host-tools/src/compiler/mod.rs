//! `zerda compile`: a float ONNX of one streaming step to an INT8 image.
//!
//! Import ([`import`]) makes a [`graph`] of the plan's operators, calibration ([`calibrate`]) gives
//! every tensor its range, [`quantize`] makes integers of it, and [`image_writer`] the image.

pub mod calibrate;
pub mod fidelity;
pub mod float;
mod front_end;
pub mod graph;
pub mod hard_swish;
mod histogram;
mod image_writer;
mod import;
mod memory;
mod metadata;
mod onnx;
mod onnx_builder;
pub mod pair;
mod quantize;
#[cfg(test)]
pub(crate) mod tests;
pub mod tflite_params;
#[cfg(test)]
pub(crate) mod tiny_onnx;
mod view;

use std::fmt;
use std::path::{Path, PathBuf};

use indicatif::ProgressIterator;
use zerda_firmware::Image;
use zerda_firmware::image::{Decoder, FrontEnd, Label, Manifest};

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
use memory::Memory;
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

/// Recordings on which the imported graph is compared with the ONNX.
const CHECKED: usize = 3;

/// Error of a logit that reordered float sums explain, of the largest logit.
const IMPORT_ERROR: f32 = 1e-3;

/// What was made; prints as a few lines.
pub struct Summary {
    pub ops: usize,
    pub macs_per_step: u64,
    pub image_bytes: usize,
    pub cache_bytes: usize,
    pub arena_bytes: usize,
    pub recordings: usize,
    /// Of the features and of every operator, with the name of its output.
    pub fidelities: Vec<(String, Fidelity)>,
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
        let decibels = |(_, fidelity): &&(String, Fidelity)| fidelity.decibels();
        let logits = self.fidelities.iter().rfind(|(name, _)| name == "logits");
        let worst = self
            .fidelities
            .iter()
            .min_by(|a, b| decibels(a).total_cmp(&decibels(b)));
        for (what, one) in [("logits", logits), ("worst", worst)] {
            if let Some((name, fidelity)) = one {
                write!(
                    f,
                    "\nsignal to quantization noise, {what}: {:.1} dB ({name})",
                    fidelity.decibels()
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
    let names = float::observed(&compiler.graph).into_iter();
    let names = names.map(|id| compiler.graph.tensors[id].name.clone());
    let fidelities = names.zip(fidelities).collect();
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
        let step = float::step(&self.graph, None, &float::observed(&self.graph))?;
        let draft = self.image(None)?;
        self.check_import(&step, &draft.image()?, recordings)?;
        let seen = calibrate::observe(&self.graph, &step, &draft.image()?, recordings)?;
        let image = self.image(Some(&seen))?;
        let few = &recordings[..recordings.len().min(COMPARED)];
        let fidelities = fidelity::measure(&self.graph, &step, &image.image()?, few)?;
        Ok((image, fidelities))
    }

    /// The graph must compute what tract computes of the ONNX itself.
    fn check_import(&self, step: &FloatStep, draft: &Image, recordings: &[Vec<i16>]) -> Result<()> {
        let (mut onnx, mut graph) = (FloatStep::load(self.path)?, step.clone());
        let (mut largest, mut error): (f32, f32) = (0.0, 0.0);
        for chunk in recordings
            .iter()
            .take(CHECKED)
            .flat_map(|recording| calibrate::chunks(&self.graph, draft, recording))
        {
            for (onnx, graph) in onnx.step(&chunk)?.iter().zip(graph.step(&chunk)?) {
                largest = largest.max(onnx.abs());
                error = error.max((onnx - graph).abs());
            }
        }
        match error <= IMPORT_ERROR * largest {
            true => Ok(()),
            false => Err(Error::check(format!(
                "{}: imported, it computes logits that are off by {error} of {largest}; please report this, with the file",
                self.path.display()
            ))),
        }
    }

    /// An image; without observations one that serves for its front end only.
    fn image(&self, seen: Option<&Observations>) -> Result<ImageFile> {
        let quantizations = calibrate::quantizations(&self.graph, seen);
        let memory = Memory::plan(&self.graph, &quantizations);
        let mut quantizer = Quantizer::new(&self.graph, &quantizations, seen, &memory);
        quantizer.ops();
        let (logits, posteriors) = (
            quantizer.id(self.graph.logits),
            quantizer.id(self.graph.posteriors),
        );
        let Quantizer { mut writer, .. } = quantizer;
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
        Ok(ImageFile::new(self.path, &bytes))
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
