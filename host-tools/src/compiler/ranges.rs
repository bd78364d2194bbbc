//! The range of each tensor, of what calibration saw: from it come scale and zero point.

use clap::ValueEnum;

use super::calibrate::{Observation, Observations};
use super::graph::{Function, Graph, Id, Op, Place, Quantization};
use super::histogram::Histogram;

/// Distance below a row's maximum at which TFLite's int8 softmax gives exactly 0.
const SOFTMAX_ZERO: f32 = 14.5;

/// How far below all that calibration saw the maximum of a row may lie in use.
const SOFTMAX_MARGIN: f32 = 1.0;

/// Share of the values beyond either end of a percentile's range.
const TAIL: f64 = 5e-5;

/// How ranges are taken from the values that were seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Method {
    /// For each tensor that of least error, and another where the output's error falls by it
    Auto,
    /// All values: nothing is clipped
    MinMax,
    /// All but 1 of 20,000 at either end
    Percentile,
    /// Where rounding and clipping together lose least
    Mse,
}

/// A real range; 0 may lie outside.
pub type Range = (f32, f32);

/// The ranges that a tensor may have: the first is that of least error, or the only one.
/// None for a tensor whose quantization is fixed, or not its own.
pub fn candidates(graph: &Graph, seen: &Observations, method: Method) -> Vec<Vec<Range>> {
    let one = |(id, seen): (Id, &Option<Observation>)| match seen {
        Some(seen) if graph.tensors[id].fixed.is_none() => match is_masked(graph, id) {
            // The minimum stands for absent keys, and must be out of reach of any row's maximum.
            true => {
                let (_, high) = seen.histogram.bounds();
                vec![(seen.lowest_peak - SOFTMAX_MARGIN - SOFTMAX_ZERO, high)]
            }
            false => ranges(&seen.histogram, method),
        },
        _ => Vec::new(),
    };
    seen.iter().enumerate().map(one).collect()
}

/// Whether a tensor holds the scores that a softmax over keys reads.
fn is_masked(graph: &Graph, id: Id) -> bool {
    let reads = |op: &Op| matches!(op, Op::Softmax { input, .. } if *input == id);
    graph.tensors[id].keys && graph.ops.iter().any(reads)
}

fn ranges(seen: &Histogram, method: Method) -> Vec<Range> {
    match method {
        Method::MinMax => vec![seen.bounds()],
        Method::Percentile => vec![seen.percentile_range(TAIL)],
        Method::Mse => vec![seen.best_range()],
        Method::Auto => {
            let all = [
                seen.best_range(),
                seen.percentile_range(TAIL),
                seen.bounds(),
            ];
            let mut ranges: Vec<_> = all.map(|range| (seen.error(range), range)).into();
            ranges.sort_by(|a, b| a.0.total_cmp(&b.0));
            ranges.dedup_by_key(|(_, range)| *range);
            ranges.into_iter().map(|(_, range)| range).collect()
        }
    }
}

/// The quantization of each tensor. Without ranges, a draft of no meaning.
pub fn quantizations(graph: &Graph, ranges: Option<&[Range]>) -> Vec<Quantization> {
    let own = |id: Id| {
        let tensor = &graph.tensors[id];
        match (tensor.fixed, &tensor.place, ranges) {
            (Some(fixed), ..) => fixed,
            (None, Place::Constant(values), _) => {
                let fold = |f: fn(f32, f32) -> f32| values.iter().copied().fold(0.0, f);
                Quantization::of_range(fold(f32::min), fold(f32::max))
            }
            (None, _, Some(ranges)) => Quantization::of_range(ranges[id].0, ranges[id].1),
            (None, _, None) => Quantization::of_range(-1.0, 1.0),
        }
    };
    let mut quantizations: Vec<_> = (0..graph.tensors.len()).map(own).collect();
    for op in &graph.ops {
        if let Op::Function {
            function: Function::HardSwish,
            input,
            output,
        } = *op
        {
            // TFLite's kernel needs an output scale above 1/128 of the input's.
            let least = quantizations[graph.root(input)].scale / 127.0;
            let output = &mut quantizations[graph.root(output)];
            output.scale = output.scale.max(least);
        }
    }
    (0..quantizations.len())
        .map(|id| quantizations[graph.root(id)])
        .collect()
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
