//! Says what INT8 cost an image, layer by layer, for `zerda compile --report` and `zerda inspect --onnx`.
//!
//! The image runs in the firmware crate beside its float ONNX in tract, on recordings. For each operator the report
//! says how far its output is from float, and what the logits would regain if it alone had stayed in float; for the
//! whole, how far logits, posteriors and answers are apart; and what to do where an operator stands out.

mod advice;
mod html;
#[cfg(test)]
mod tests;
mod text;

use std::path::{Path, PathBuf};

use serde::Serialize;
use zerda_compiler::fidelity::Fidelity;
use zerda_compiler::float::observed;
use zerda_firmware::Image;
use zerda_quantize::graph::{Op, Place};
use zerda_support::audio::{self, SAMPLE_RATE};
use zerda_support::error::{Error, Result};
use zerda_support::escape;
use zerda_support::image_file::ImageFile;
use zerda_support::operators::{bytes, constants, describe, macs, macs_per_step};
use zerda_support::output;
use zerda_support::output::print;

use crate::answer::Answerer;
use crate::pair::Pair;
use advice::Advice;

/// Number of recordings that are measured on at most, evenly spread over those given.
const RECORDINGS: usize = 20;
/// Number of samples of each recording that are measured on at most: 5 s.
const SAMPLES: usize = 5 * SAMPLE_RATE as usize;

pub struct Options {
    pub image: PathBuf,
    /// Float model that the image was compiled from.
    pub onnx: PathBuf,
    /// Audio files that are measured on, or folders of them.
    pub audio: Vec<PathBuf>,
    pub output: Output,
}

pub enum Output {
    /// Prints a table on the terminal.
    Table,
    /// Prints JSON on standard output.
    Json,
    /// Writes a file: a page if its name ends in `.html`, else JSON.
    File(PathBuf),
}

pub fn measure(options: &Options) -> Result<()> {
    let report = Int8Cost::of(&options.image, &options.onnx, &options.audio)?;
    let path = match &options.output {
        Output::Table => return print(&text::table(&report)),
        Output::Json => return print(&report.json()),
        Output::File(path) => path,
    };
    let contents = match path.extension() {
        Some(extension) if extension == "html" => html::page(&report)?,
        _ => report.json() + "\n",
    };
    output::write(path, contents.as_bytes())?;
    let summary = text::summary(&report);
    print(&format!("{summary}\nreport      {}", escape::path(path)))
}

/// Holds what the JSON says, which is described in the help of `zerda inspect`. Figures are `null` where they are not
/// finite: the SQNR of a tensor without error.
#[derive(Serialize)]
pub struct Int8Cost {
    report_version: u32,
    /// Says what each figure is, and whether it is measured or counted.
    figures: Figures,
    image: ImageFacts,
    onnx: String,
    audio: Audio,
    end_to_end: EndToEnd,
    /// Advice on what stands out; it is empty where nothing does.
    advice: Vec<Advice>,
    /// Row of the features, which are neither an operator nor ever advised on.
    input: Row,
    /// Rows of the operators, which are in the order of the plan.
    operators: Vec<Row>,
}

#[derive(Serialize)]
struct Figures {
    sqnr_db: &'static str,
    saturation: &'static str,
    regained_db: &'static str,
    end_to_end: &'static str,
    macs: &'static str,
    bytes: &'static str,
}

const FIGURES: Figures = Figures {
    sqnr_db: "measured: the firmware's integers against float in tract",
    saturation: "measured: share of float values beyond the range by more than half a step",
    regained_db: "measured: SQNR of the logits in tract with fake quantization, this operator \
                  spared, less that without",
    end_to_end: "measured: the firmware's integers against float in tract",
    macs: "counted: multiply-accumulates of a step with full caches",
    bytes: "counted: constants that the operator reads",
};

#[derive(Serialize)]
struct ImageFacts {
    file: String,
    checksum: String,
    bytes: usize,
    memory_bytes: usize,
    macs_per_step: u64,
    /// Number of frames that a step sees, committed or only looked ahead to; `step` of them are committed, and
    /// `left_context` frames are cached.
    chunk: u16,
    step: u16,
    left_context: u16,
    step_ms: f64,
    labels: Vec<String>,
}

#[derive(Serialize)]
struct Audio {
    recordings: usize,
    /// Number of recordings that were given, of which `recordings` were taken.
    given: usize,
    seconds: f64,
}

#[derive(Serialize)]
struct EndToEnd {
    /// Ratio of signal to quantization noise that the logits have, in dB.
    sqnr_db: f64,
    /// Ratio of signal to quantization noise that the logits have in tract with fake quantization, in dB, from which
    /// the regained figures start.
    simulated_sqnr_db: f64,
    /// Mean absolute difference that posteriors (0 to 1) have from float, before smoothing.
    posterior_mean_difference: f64,
    posterior_largest_difference: f64,
    /// Share of the recordings, 0 to 1, that INT8 answers otherwise than float; an answer is the label of the highest
    /// smoothed posterior.
    answers_differ: f64,
    differing: Vec<Differing>,
}

#[derive(Serialize)]
struct Differing {
    file: String,
    float: String,
    int8: String,
}

/// A tensor and the operator that makes it.
#[derive(Clone, Serialize)]
struct Row {
    number: Option<usize>,
    /// Name of the ONNX value that the tensor is.
    name: String,
    kind: &'static str,
    shape: String,
    macs: u64,
    bytes: usize,
    /// Real values that the lowest and the highest int8 stand for.
    range: [f64; 2],
    /// Lowest and highest value that was seen in float; 0 always counts as seen.
    seen: [f64; 2],
    sqnr_db: f64,
    saturation: f64,
    /// Share of the noise power, 0 to 1, that values beyond the range make.
    saturation_noise: f64,
    /// Ratio of the largest magnitude of a channel to that of the median channel; `None` for scores, whose columns are
    /// keys.
    channel_ratio: Option<f64>,
    regained_db: f64,
    /// Says whether the quantization is chosen by calibration, not given by arithmetic.
    calibrated: bool,
    stands_out: bool,
}

impl Int8Cost {
    fn of(path: &Path, onnx: &Path, audio: &[PathBuf]) -> Result<Int8Cost> {
        let file = ImageFile::open(path)?;
        let image = file.image()?;
        let pair = Pair::open(onnx, &image)?;
        let (files, given) = spread(audio)?;
        let recordings = files.iter().map(|file| audio::read_start(file, SAMPLES));
        let recordings = recordings.collect::<Result<Vec<_>>>()?;
        let fidelities = pair.fidelities(&recordings)?;
        if fidelities.iter().all(|fidelity| fidelity.values == 0) {
            return Err(Error::usage(
                "no recording is as long as one step of the network; name longer ones",
            ));
        }
        let simulated = pair.simulate(&recordings)?;
        let mut rows = rows(&pair, &fidelities);
        for (row, spared) in rows.iter_mut().zip(&simulated.spared) {
            row.regained_db = spared - simulated.decibels;
        }
        let input = rows.remove(0);
        let of_output = |id| {
            let op = pair.graph.ops.iter().position(|op| op.output() == id);
            op.map_or_else(Fidelity::default, |op| fidelities[1 + op].clone())
        };
        let logits = of_output(pair.graph.logits);
        let posteriors = of_output(pair.graph.posteriors);
        let differing = differing(&image, onnx, &files, &recordings)?;
        let samples: usize = recordings.iter().map(Vec::len).sum();
        let mut report = Int8Cost {
            report_version: 1,
            figures: FIGURES,
            image: ImageFacts::of(path, file.bytes().len(), &image),
            onnx: onnx.display().to_string(),
            audio: Audio {
                recordings: recordings.len(),
                given,
                seconds: samples as f64 / f64::from(SAMPLE_RATE),
            },
            end_to_end: EndToEnd {
                sqnr_db: logits.decibels(),
                simulated_sqnr_db: simulated.decibels,
                posterior_mean_difference: posteriors.absolute / posteriors.values as f64,
                posterior_largest_difference: posteriors.largest,
                answers_differ: differing.len() as f64 / recordings.len() as f64,
                differing,
            },
            advice: Vec::new(),
            input,
            operators: rows,
        };
        report.advice = advice::advice(&report);
        for number in report.advice.iter().flat_map(|advice| &advice.operators) {
            report.operators[*number].stands_out = true;
        }
        Ok(report)
    }

    fn json(&self) -> String {
        // A struct of numbers and strings cannot fail.
        serde_json::to_string(self).expect("a report as JSON")
    }
}

impl ImageFacts {
    fn of(path: &Path, bytes: usize, image: &Image) -> ImageFacts {
        let (stream, front_end) = (image.manifest().stream, image.manifest().front_end);
        let samples = u32::from(stream.step) * u32::from(front_end.hop);
        ImageFacts {
            file: path.display().to_string(),
            checksum: format!("{:08x}", image.checksum()),
            bytes,
            memory_bytes: image.memory_bytes(),
            macs_per_step: macs_per_step(image),
            chunk: stream.chunk,
            step: stream.step,
            left_context: stream.left_context,
            step_ms: f64::from(samples) * 1000.0 / f64::from(front_end.sample_rate),
            labels: image.labels().map(|label| label.name.into()).collect(),
        }
    }
}

/// Returns at most [`RECORDINGS`] files of those given, evenly spread, and how many those are. No file at all is an
/// error.
fn spread(audio: &[PathBuf]) -> Result<(Vec<PathBuf>, usize)> {
    let mut given = Vec::new();
    for path in audio {
        match path.is_dir() {
            true => given.extend(audio::list(path)?),
            false => given.push(path.clone()),
        }
    }
    let count = given.len().min(RECORDINGS);
    if count == 0 {
        return Err(Error::usage("no recordings to measure on; name some"));
    }
    let taken = (0..count).map(|i| given[i * given.len() / count].clone());
    Ok((taken.collect(), given.len()))
}

/// Makes the row of the features, then that of each operator; what is regained is not yet known.
fn rows(pair: &Pair, fidelities: &[Fidelity]) -> Vec<Row> {
    let (graph, image) = (&pair.graph, pair.image);
    let scores = |id| {
        graph
            .ops
            .iter()
            .any(|op| matches!(op, Op::Softmax { input, .. } if *input == id))
    };
    let row = |(index, (id, fidelity)): (usize, (usize, &Fidelity))| {
        let (tensor, quantization) = (&graph.tensors[id], pair.quantizations[id]);
        let number = index.checked_sub(1);
        let op = number.and_then(|number| image.ops().nth(number));
        let (kind, shape) = match op {
            Some(op) => describe(image, op),
            None => ("Input", format!("{}x{}", tensor.rows, tensor.cols)),
        };
        let constants = op.map_or_else(Vec::new, |op| constants(image, op));
        let real = |q: i8| {
            f64::from(quantization.scale)
                * f64::from(i32::from(q) - i32::from(quantization.zero_point))
        };
        Row {
            number,
            name: match tensor.name.as_str() {
                "" if id == graph.posteriors => "posteriors".into(),
                name => name.into(),
            },
            kind,
            shape,
            macs: op.map_or(0, |op| macs(image, op)),
            bytes: constants.iter().map(|&(_, tensor)| bytes(tensor)).sum(),
            range: [real(i8::MIN), real(i8::MAX)],
            seen: [fidelity.low.into(), fidelity.high.into()],
            sqnr_db: fidelity.decibels(),
            saturation: fidelity.clipped as f64 / fidelity.values as f64,
            saturation_noise: fidelity.excess / fidelity.noise.max(f64::MIN_POSITIVE),
            channel_ratio: (!tensor.keys).then(|| channel_ratio(&fidelity.peaks)),
            regained_db: 0.0,
            calibrated: tensor.fixed.is_none()
                && !matches!(tensor.place, Place::Constant(_))
                && !(tensor.keys && scores(id)),
            stands_out: false,
        }
    };
    let ids = observed(graph).into_iter().zip(fidelities);
    ids.enumerate().map(row).collect()
}

/// Returns the largest peak over the median one; 1 if the median is 0.
fn channel_ratio(peaks: &[f32]) -> f64 {
    let mut peaks = peaks.to_vec();
    peaks.sort_by(f32::total_cmp);
    let largest = peaks.last().copied().unwrap_or_default();
    let median = peaks.get(peaks.len() / 2).copied().unwrap_or_default();
    match median > 0.0 {
        true => f64::from(largest / median),
        false => 1.0,
    }
}

/// Returns the recordings that have another answer in INT8 than in float.
fn differing(
    image: &Image,
    onnx: &Path,
    files: &[PathBuf],
    recordings: &[Vec<i16>],
) -> Result<Vec<Differing>> {
    let labels: Vec<_> = image.labels().map(|label| label.name).collect();
    let mut answerer = Answerer::new(image, onnx)?;
    let mut differing = Vec::new();
    for (file, samples) in files.iter().zip(recordings) {
        let (float, int8) = (answerer.float(samples)?, answerer.int8(&[], samples)?);
        if float != int8 {
            let name = |label: usize| labels.get(label).copied().unwrap_or_default().to_string();
            differing.push(Differing {
                file: file.display().to_string(),
                float: name(float),
                int8: name(int8),
            });
        }
    }
    Ok(differing)
}
