//! What values the tensors take: the float network runs over recorded speech, and each tensor's
//! range is chosen so that rounding and clipping together lose least.

use rayon::prelude::*;
use zerda_firmware::{Image, plan};

use super::float::observed;
use super::graph::{Function, Graph, Id, Op, Place, Quantization};
use super::histogram::Histogram;
use super::inverse_root;
use crate::error::Result;
use crate::tract_step::{FloatStep, features};

/// Distance below a row's maximum at which TFLite's int8 softmax gives exactly 0.
const SOFTMAX_ZERO: f32 = 14.5;

/// How far below all that calibration saw the maximum of a row may lie in use.
const SOFTMAX_MARGIN: f32 = 1.0;

/// Recordings between two cold starts: caches fill in about as many steps as one recording has, so
/// that both warm-up and old context are seen.
const RECORDINGS_A_STREAM: usize = 3;

/// Streams are observed in so many parts, merged in order: the same sums on any number of cores.
const PARTS: usize = 8;

/// What was seen of one tensor.
#[derive(Clone)]
pub struct Observation {
    pub histogram: Histogram,
    /// Sum of each column.
    sums: Vec<f64>,
    rows: u64,
    /// Smallest maximum of a row, over present keys.
    lowest_peak: f32,
}

impl Observation {
    fn new(cols: usize) -> Observation {
        let (histogram, sums) = (Histogram::default(), vec![0.0; cols]);
        Observation {
            histogram,
            sums,
            rows: 0,
            lowest_peak: f32::MAX,
        }
    }

    fn row(&mut self, row: &[f32], absent: usize) {
        let present = &row[absent..];
        present.iter().for_each(|&value| self.histogram.add(value));
        for (sum, &value) in self.sums[absent..].iter_mut().zip(present) {
            *sum += f64::from(value);
        }
        self.rows += 1;
        self.lowest_peak = self
            .lowest_peak
            .min(present.iter().copied().fold(f32::MIN, f32::max));
    }

    fn merge(&mut self, other: &Observation) {
        self.histogram.merge(&other.histogram);
        self.sums
            .iter_mut()
            .zip(&other.sums)
            .for_each(|(sum, other)| *sum += other);
        self.rows += other.rows;
        self.lowest_peak = self.lowest_peak.min(other.lowest_peak);
    }

    /// Mean of each column.
    pub fn means(&self) -> Vec<f32> {
        let rows = self.rows.max(1) as f64;
        self.sums.iter().map(|sum| (sum / rows) as f32).collect()
    }
}

/// Observations by tensor; `None` of views and constants.
pub type Observations = Vec<Option<Observation>>;

/// Runs the float network over `recordings` (16 kHz): `step` tells what [`observed`] names. `draft` is
/// an image with the front end.
pub fn observe(
    graph: &Graph,
    step: &FloatStep,
    draft: &Image,
    recordings: &[Vec<i16>],
) -> Result<Observations> {
    let streams: Vec<Vec<i16>> = recordings
        .chunks(RECORDINGS_A_STREAM)
        .map(<[_]>::concat)
        .collect();
    let part = |step: &mut FloatStep, streams: &[Vec<i16>]| {
        let mut seen = empty(graph);
        for stream in streams {
            step.reset();
            for chunk in chunks(graph, draft, stream) {
                let absent = step.absent();
                let outputs = step.step_observed(&chunk)?;
                record(graph, &mut seen, &outputs[1..], absent);
            }
        }
        Ok(seen)
    };
    let parts = streams
        .par_chunks(streams.len().div_ceil(PARTS).max(1))
        .map_with(step.clone(), part);
    let mut total = empty(graph);
    for seen in parts.collect::<Result<Vec<_>>>()? {
        for (total, seen) in total.iter_mut().flatten().zip(seen.iter().flatten()) {
            total.merge(seen);
        }
    }
    Ok(total)
}

fn empty(graph: &Graph) -> Observations {
    let mut seen = vec![None; graph.tensors.len()];
    for id in observed(graph) {
        seen[id] = Some(Observation::new(graph.tensors[id].cols));
    }
    seen
}

/// The features of each step of a stream, [C, mels].
pub fn chunks(graph: &Graph, draft: &Image, samples: &[i16]) -> Vec<Vec<f32>> {
    let mels = usize::from(draft.manifest().front_end.mels);
    let (chunk, step) = (
        usize::from(graph.stream.chunk),
        usize::from(graph.stream.step),
    );
    features(draft, samples)
        .windows(chunk * mels)
        .step_by(step * mels)
        .map(<[f32]>::to_vec)
        .collect()
}

fn record(graph: &Graph, seen: &mut Observations, outputs: &[Vec<f32>], absent: usize) {
    for (id, rows) in observed(graph).into_iter().zip(outputs) {
        let tensor = &graph.tensors[id];
        let absent = if tensor.keys { absent } else { 0 };
        let Some(seen) = &mut seen[id] else { continue };
        rows.chunks(tensor.cols)
            .for_each(|row| seen.row(row, absent));
    }
}

/// The quantization of each tensor. Without observations (`None`), a draft with ranges of no meaning.
pub fn quantizations(graph: &Graph, seen: Option<&Observations>) -> Vec<Quantization> {
    let mut quantizations: Vec<_> = (0..graph.tensors.len())
        .map(|id| own(graph, seen, id))
        .collect();
    for op in &graph.ops {
        let Op::Function {
            function,
            input,
            output,
        } = *op
        else {
            continue;
        };
        let (input, output) = (graph.root(input), graph.root(output));
        let seen = seen.and_then(|seen| seen[input].as_ref());
        match (function, seen) {
            (Function::HardSwish, _) => {
                // TFLite's kernel needs an output scale above 1/128 of the input's.
                let least = quantizations[input].scale / 127.0;
                let output = &mut quantizations[output];
                output.scale = output.scale.max(least);
            }
            (Function::Rsqrt, Some(seen)) => {
                let divided = normalized(graph, input).map(|id| quantizations[graph.root(id)]);
                let step = divided.map_or(0.0, |divided| divided.scale);
                [quantizations[input], quantizations[output]] =
                    inverse_root::quantizations(&seen.histogram, step);
            }
            _ => {}
        }
    }
    (0..quantizations.len())
        .map(|id| quantizations[graph.root(id)])
        .collect()
}

/// What a mean square is of.
fn normalized(graph: &Graph, mean_square: Id) -> Option<Id> {
    let op = |id: Id| graph.ops.iter().find(|op| op.output() == id);
    let squares = op(mean_square)?.inputs();
    op(squares[0])?.inputs().first().copied()
}

fn own(graph: &Graph, seen: Option<&Observations>, id: Id) -> Quantization {
    let tensor = &graph.tensors[id];
    if let Some(fixed) = tensor.fixed.filter(|fixed| masks(graph, seen, id, *fixed)) {
        return fixed;
    }
    if let Place::Constant(values) = &tensor.place {
        let fold = |f: fn(f32, f32) -> f32| values.iter().copied().fold(0.0, f);
        return Quantization::of_range(fold(f32::min), fold(f32::max));
    }
    let Some(seen) = seen.and_then(|seen| seen[id].as_ref()) else {
        return Quantization::of_range(-1.0, 1.0);
    };
    if masked(graph, id) {
        // The minimum stands for absent keys, and must be out of reach of any row's maximum.
        let (_, high) = seen.histogram.bounds();
        return Quantization::of_range(seen.lowest_peak - SOFTMAX_MARGIN - SOFTMAX_ZERO, high);
    }
    let (low, high) = seen.histogram.best_range();
    Quantization::of_range(low, high)
}

/// Whether absent keys are masked in a tensor: the scores that a softmax reads.
fn masked(graph: &Graph, id: Id) -> bool {
    let softmax_input = |op: &Op| matches!(op, Op::Softmax { input, .. } if *input == id);
    graph.tensors[id].keys && graph.ops.iter().any(softmax_input)
}

/// Whether the minimum of a given quantization can stand for absent keys, where it has to: calibration
/// takes another otherwise.
fn masks(graph: &Graph, seen: Option<&Observations>, id: Id, given: Quantization) -> bool {
    let minimum = given.scale * (-128.0 - f32::from(given.zero_point));
    let seen = seen.and_then(|seen| seen[id].as_ref());
    !masked(graph, id) || seen.is_none_or(|seen| minimum <= seen.lowest_peak - SOFTMAX_ZERO)
}

/// The scores whose given quantization an image does not have for that reason.
pub fn widened(graph: &Graph, image: &Image) -> Vec<(String, &'static str)> {
    let why = "scores, of which the least must lie 14.5 below the maximum of any row: it stands for absent keys";
    let mut widened = Vec::new();
    for (op, planned) in graph.ops.iter().zip(image.ops()) {
        let (Op::Softmax { input, .. }, plan::Op::Softmax { input: scores, .. }) = (op, planned)
        else {
            continue;
        };
        let (given, scale) = (
            graph.tensors[*input].fixed,
            image.tensor(scores).map(|q| q.scale),
        );
        if given.is_some_and(|given| Some(given.scale) != scale) {
            widened.push((graph.tensors[*input].name.clone(), why));
        }
    }
    widened
}

impl Quantization {
    /// The int8 quantization of [low, high], widened to hold 0, which is exact.
    pub fn of_range(low: f32, high: f32) -> Quantization {
        let (low, high) = (low.min(0.0), high.max(0.0));
        let scale = ((high - low) / 255.0).max(1e-9);
        let zero_point = (-128.0 - low / scale).round().clamp(-128.0, 127.0) as i8;
        Quantization { scale, zero_point }
    }
}
