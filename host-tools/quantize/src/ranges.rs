//! Chooses the range of each tensor from what calibration saw; scale and zero point come from it.

use clap::ValueEnum;
use zerda_firmware::{Image, plan};

use super::graph::{Function, Graph, Id, Op, Place, Quantization};
use super::histogram::Histogram;
use super::inverse_root;
use super::observations::{Observation, Observations};

/// Distance below a row's maximum at which TFLite's int8 softmax gives exactly 0.
const SOFTMAX_ZERO: f32 = 14.5;

/// Distance by which, in use, the maximum of a row may lie below all that calibration saw.
const SOFTMAX_MARGIN: f32 = 1.0;

/// Share of the values that lies beyond either end of a percentile's range.
const TAIL: f64 = 5e-5;

/// Method by which ranges are taken from the values that were seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Method {
    /// Takes for each tensor the range of least error, or another where the output's error falls by it
    Auto,
    /// Takes in all values: nothing is clipped
    MinMax,
    /// Leaves out 1 of 20,000 values at either end
    Percentile,
    /// Takes the range in which rounding and clipping together lose least
    Mse,
}

/// Range that goes from the first real value to the second; 0 may lie outside.
pub type Range = (f32, f32);

/// Returns the ranges that each tensor may have: the first is that of least error, or the only one. There
/// are none for a tensor whose quantization is fixed, or not its own.
pub fn candidates(graph: &Graph, seen: &Observations, method: Method) -> Vec<Vec<Range>> {
    let one = |(id, seen): (Id, &Option<Observation>)| {
        let (Some(seen), masked) = (seen, masked(graph, id)) else {
            return Vec::new();
        };
        match graph.tensors[id].fixed {
            Some(fixed) if !masked || masks(fixed, seen) => Vec::new(),
            _ if masked => {
                // The minimum stands for absent keys, and must be out of reach of any row's maximum.
                let (_, high) = seen.histogram.bounds();
                vec![(seen.lowest_peak - SOFTMAX_MARGIN - SOFTMAX_ZERO, high)]
            }
            _ => ranges(&seen.histogram, method),
        }
    };
    seen.iter().enumerate().map(one).collect()
}

/// Says whether absent keys are masked in a tensor: the scores that a softmax reads.
fn masked(graph: &Graph, id: Id) -> bool {
    let reads = |op: &Op| matches!(op, Op::Softmax { input, .. } if *input == id);
    graph.tensors[id].keys && graph.ops.iter().any(reads)
}

/// Says whether the minimum of a given quantization can stand for absent keys.
fn masks(given: Quantization, seen: &Observation) -> bool {
    let minimum = given.scale * (-128.0 - f32::from(given.zero_point));
    minimum <= seen.lowest_peak - SOFTMAX_ZERO
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

/// Returns the quantization of each tensor: that of its range, or where it has none, the fixed one. Without
/// observations it is a draft of no meaning.
pub fn quantizations(
    graph: &Graph,
    seen: Option<&Observations>,
    ranges: Option<&[Option<Range>]>,
) -> Vec<Quantization> {
    let own = |id: Id| {
        let tensor = &graph.tensors[id];
        match (
            ranges.and_then(|ranges| ranges[id]),
            tensor.fixed,
            &tensor.place,
        ) {
            (Some((low, high)), ..) => Quantization::of_range(low, high),
            (None, Some(fixed), _) => fixed,
            (None, None, Place::Constant(values)) => {
                let fold = |f: fn(f32, f32) -> f32| values.iter().copied().fold(0.0, f);
                Quantization::of_range(fold(f32::min), fold(f32::max))
            }
            (None, None, _) => Quantization::of_range(-1.0, 1.0),
        }
    };
    let mut quantizations: Vec<_> = (0..graph.tensors.len()).map(own).collect();
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

/// Returns the tensor that a mean square is computed of.
fn normalized(graph: &Graph, mean_square: Id) -> Option<Id> {
    let op = |id: Id| graph.ops.iter().find(|op| op.output() == id);
    let squares = op(mean_square)?.inputs();
    op(squares[0])?.inputs().first().copied()
}

/// Returns the scores whose given quantization an image does not have, and why.
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
