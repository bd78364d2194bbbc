//! `zerda-compiler` turns a float ONNX of one streaming step into an INT8 image.
//!
//! It serves `zerda compile` and whoever holds an image against its ONNX (`zerda-compare`). It depends on
//! `zerda-quantize`, which makes integers of a graph, on `zerda-support`, and on tract, which reads the ONNX and runs
//! it in float: besides what depends on this crate, nothing else needs tract to run a network.
//!
//! Import ([`Compiler::open`]) makes a [`zerda_quantize::graph`] of the plan's operators, calibration ([`calibrate`])
//! observes the values of every tensor in tract ([`tract_step`]), and `zerda-quantize` makes the image of them.

pub mod calibrate;
pub mod fidelity;
pub mod float;
mod guard;
mod import;
mod judge;
mod metadata;
mod onnx;
mod onnx_builder;
#[cfg(any(test, feature = "test-support"))]
pub mod test_support;
#[cfg(test)]
mod tests;
#[cfg(any(test, feature = "test-support"))]
pub mod tiny_onnx;
pub mod tract_step;
mod view;

use std::fmt;
use std::path::{Path, PathBuf};

use zerda_firmware::Image;
use zerda_quantize::equalize;
use zerda_quantize::graph::Graph;
use zerda_quantize::model::{Calibration, Model};
use zerda_quantize::observations::Observations;
use zerda_quantize::ranges::{self, Method, Range};
use zerda_support::config::{Commands, Config};
use zerda_support::error::{Error, Result};
use zerda_support::escape;
use zerda_support::image_file::ImageFile;
use zerda_support::operators::macs_per_step;
use zerda_support::output;

use fidelity::Fidelity;
use judge::Judge;
use metadata::Metadata;
use tract_step::FloatStep;

pub struct Options {
    pub onnx: PathBuf,
    /// Audio files, or folders of them, that ranges are calibrated on.
    pub calibrate: Vec<PathBuf>,
    pub output: PathBuf,
    pub ranges: Method,
    /// Profile of `models.toml` that the network is checked against, instead of one that the ONNX names.
    pub profile: Option<String>,
}

/// Largest number of recordings on which the integers are compared with the float network.
const COMPARED: usize = 16;

/// Share of the error that a range must stay below to be taken instead of another: a smaller gain is taken
/// for chance.
const WORTH: f64 = 0.98;

/// Number of recordings on which the imported graph is compared with the ONNX.
const CHECKED: usize = 3;

/// Error of a logit that reordered float sums explain, as a share of the largest logit.
const IMPORT_ERROR: f32 = 1e-3;

/// Summary of the image that was made; prints as a few lines.
pub struct Summary {
    pub ops: usize,
    pub macs_per_step: u64,
    pub image_bytes: usize,
    pub cache_bytes: usize,
    pub arena_bytes: usize,
    pub recordings: usize,
    /// Error that INT8 makes in the features and in the output of every operator, with the name of that
    /// output.
    pub fidelities: Vec<(String, Fidelity)>,
    /// Values whose quantization the ONNX gives, but which got another, and why.
    pub left_out: Vec<(String, &'static str)>,
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
                    fidelity.decibels(),
                    name = escape::line(name),
                )?;
            }
        }
        let mut reasons: Vec<_> = self.left_out.iter().map(|(_, why)| *why).collect();
        reasons.sort_unstable();
        reasons.dedup();
        for why in reasons {
            let of_this = || self.left_out.iter().filter(|(_, other)| *other == why);
            let (count, first) = (
                of_this().count(),
                of_this()
                    .next()
                    .map_or_else(String::new, |(name, _)| escape::line(name)),
            );
            write!(
                f,
                "\nquantization in the ONNX not taken over for {count} {why} (`{first}`)"
            )?;
        }
        Ok(())
    }
}

/// Compiles an ONNX and writes the image.
pub fn compile(options: &Options, config: &Config) -> Result<Summary> {
    let path = &options.onnx;
    let compiler = Compiler::open(path, options.profile.as_deref(), config)?;
    let recordings = calibrate::recordings(&options.calibrate)?;
    let (image, fidelities) = compiler.compile(&recordings, options.ranges)?;
    output::write(&options.output, image.bytes())?;
    let parsed = image.image()?;
    let names = float::observed(&compiler.graph).into_iter();
    let logits = compiler.graph.root(compiler.graph.logits);
    let names = names.map(|id| match id == logits {
        true => "logits".into(),
        false => compiler.graph.tensors[id].name.clone(),
    });
    let fidelities = names.zip(fidelities).collect();
    let mut left_out = compiler.graph.left_out.clone();
    left_out.extend(ranges::widened(&compiler.graph, &parsed));
    Ok(Summary {
        ops: parsed.manifest().ops.into(),
        macs_per_step: macs_per_step(&parsed),
        image_bytes: image.bytes().len(),
        cache_bytes: parsed.cache_bytes(),
        arena_bytes: parsed.arena_bytes(),
        recordings: recordings.len(),
        fidelities,
        left_out,
    })
}

/// Image that was compiled, and what each operator of it loses.
type Compiled = (ImageFile, Vec<Fidelity>);

/// Graph that was calibrated, and the ranges that there are to choose from.
struct Calibrated {
    graph: Graph,
    seen: Observations,
    /// Ranges that each tensor may have; `ranges` holds the one that it takes.
    candidates: Vec<Vec<Range>>,
    ranges: Vec<Option<Range>>,
}

impl Calibrated {
    fn calibration(&self) -> Calibration<'_> {
        Calibration {
            seen: &self.seen,
            ranges: &self.ranges,
        }
    }
}

/// Returns a graph in tract, which puts out what [`float::observed`] names.
pub fn observing(graph: &Graph) -> Result<FloatStep> {
    float::step(graph, None, &float::observed(graph))
}

/// Returns at most `count` of the recordings, evenly spread.
fn spread(recordings: &[Vec<i16>], count: usize) -> Vec<&[i16]> {
    let every = recordings.len().div_ceil(count).max(1);
    recordings
        .iter()
        .step_by(every)
        .map(Vec::as_slice)
        .collect()
}

/// Imported network, and what of the configuration goes with it into the image.
pub struct Compiler<'a> {
    path: &'a Path,
    pub graph: Graph,
    metadata: Metadata,
    commands: &'a Commands,
}

impl<'a> Compiler<'a> {
    /// Reads the ONNX and checks it against the configuration.
    pub fn open(path: &'a Path, profile: Option<&str>, config: &'a Config) -> Result<Compiler<'a>> {
        let (graph, metadata) = imported(path)?;
        metadata.check(path, &graph, profile, &config.models)?;
        Ok(Compiler {
            path,
            graph,
            metadata,
            commands: &config.commands,
        })
    }

    /// Calibrates on 16 kHz recordings and quantizes. The logits' error decides whether columns are
    /// equalized, and whether a tensor takes another range than that of least error of its own.
    ///
    /// # Errors
    ///
    /// Fails if the recordings are too short or silent, or if the image answers them as it answers silence.
    pub fn compile(&self, recordings: &[Vec<i16>], method: Method) -> Result<Compiled> {
        calibrate::check(recordings)?;
        let draft = self.image(&self.graph, None)?;
        let draft = draft.image()?;
        let step = observing(&self.graph)?;
        self.check_import(&step, &draft, recordings)?;
        let judge = Judge::new(&self.graph, &step, &draft, spread(recordings, COMPARED))?;
        let plain = self.calibrate(self.graph.clone(), &draft, recordings, method)?;
        let equalized = equalize::equalized(&self.graph, &plain.seen);
        let equalized = self.calibrate(equalized, &draft, recordings, method)?;
        let (plain_error, equalized_error) = (
            judge.error(&self.draw(&plain)?)?,
            judge.error(&self.draw(&equalized)?)?,
        );
        let (mut best, mut error) = match equalized_error < plain_error {
            true => (equalized, equalized_error),
            false => (plain, plain_error),
        };
        for id in 0..best.candidates.len() {
            for range in best.candidates[id].iter().skip(1) {
                let before = best.ranges[id].replace(*range);
                let with = judge.error(&self.draw(&best)?)?;
                if with < error * WORTH {
                    error = with;
                } else {
                    best.ranges[id] = before;
                }
            }
        }
        let image = self.draw(&best)?;
        if !judge.is_answered(&image)? {
            return Err(Error::check(format!(
                "{}: compiled, it computes the same logits of all recordings as of silence; expected a trained network, \
                 and recordings of the words that it knows",
                self.path.display()
            )));
        }
        let step = observing(&best.graph)?;
        let fidelities =
            fidelity::measure(&best.graph, &step, &image.image()?, &judge.recordings())?;
        Ok((image, fidelities))
    }

    /// Observes what a graph's tensors hold in recordings, and takes the ranges of least error.
    fn calibrate(
        &self,
        graph: Graph,
        draft: &Image,
        recordings: &[Vec<i16>],
        method: Method,
    ) -> Result<Calibrated> {
        let step = observing(&graph)?;
        let seen = calibrate::observe(&graph, &step, draft, recordings)?;
        let candidates = ranges::candidates(&graph, &seen, method);
        let first = |ranges: &Vec<Range>| ranges.first().copied();
        let ranges = candidates.iter().map(first).collect();
        Ok(Calibrated {
            graph,
            seen,
            candidates,
            ranges,
        })
    }

    fn draw(&self, calibrated: &Calibrated) -> Result<ImageFile> {
        self.image(&calibrated.graph, Some(calibrated))
    }

    /// Checks that the graph computes what tract computes of the ONNX itself.
    fn check_import(&self, step: &FloatStep, draft: &Image, recordings: &[Vec<i16>]) -> Result<()> {
        let (mut onnx, mut graph) = (FloatStep::load(self.path)?, step.clone());
        let (mut largest, mut error): (f32, f32) = (0.0, 0.0);
        for chunk in recordings
            .iter()
            .take(CHECKED)
            .flat_map(|recording| calibrate::chunks(&self.graph, draft, recording))
        {
            for (onnx, graph) in onnx.step(&chunk)?.iter().zip(graph.step(&chunk)?) {
                // What is no number calibration names.
                if !(onnx.is_finite() || graph.is_finite()) {
                    continue;
                }
                largest = largest.max(onnx.abs());
                let off = (onnx - graph).abs();
                error = if off.is_nan() {
                    f32::INFINITY
                } else {
                    error.max(off)
                };
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

    /// Builds an image; without calibration it serves for its front end only.
    fn image(&self, graph: &Graph, calibrated: Option<&Calibrated>) -> Result<ImageFile> {
        let model = Model {
            path: self.path,
            labels: &self.metadata.labels,
            front_end: &self.metadata.front_end,
            commands: self.commands,
        };
        model.image(graph, calibrated.map(Calibrated::calibration))
    }
}

/// Reads an ONNX as a graph, without checking it against a configuration.
pub fn graph(path: &Path) -> Result<Graph> {
    imported(path).map(|(graph, _)| graph)
}

/// Reads an ONNX as a graph, and what it says of itself.
fn imported(path: &Path) -> Result<(Graph, Metadata)> {
    let onnx = onnx::Onnx::read(path)?;
    let metadata = Metadata::read(path, &onnx.metadata);
    let range = metadata
        .as_ref()
        .map_or(1.0, |metadata| metadata.front_end.range);
    // A network of another kind is said first: whoever brings one need not add metadata to hear that.
    let graph = import::import(path, &onnx, range / 255.0)?;
    Ok((graph, metadata?))
}
