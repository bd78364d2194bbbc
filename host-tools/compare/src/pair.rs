//! Compares an image with the ONNX that it was compiled from, to tell what INT8 cost: the image's integers
//! are held against float tensor by tensor, and tract tells what sparing each operator would regain.

use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;
use zerda_firmware::Image;
use zerda_firmware::plan;

use zerda_compiler::calibrate::chunks;
use zerda_compiler::fidelity::{self, Fidelity};
use zerda_compiler::float::{self, Fake};
use zerda_quantize::equalize;
use zerda_quantize::graph::{Graph, Id, Linear, LinearKind, Op, Place, Quantization};
use zerda_quantize::quantizer::quantized_weights;
use zerda_support::error::{Error, Result};
use zerda_support::operators::{describe, operands};
use zerda_support::statistics;

pub struct Pair<'a> {
    pub graph: Graph,
    pub image: &'a Image<'a>,
    /// Quantization that the image gives each tensor of the graph.
    pub quantizations: Vec<Quantization>,
    /// Biases of each operator in real values, as the image holds them; empty for an operator without any.
    biases: Vec<Vec<f32>>,
}

/// Ratio of signal to quantization noise, in dB, that the logits have in tract with fake quantization.
pub struct Simulated {
    /// Ratio in dB that is left with everything rounded.
    pub decibels: f64,
    /// Ratios in dB, each with one of [`float::observed`] that stays in float while all else is rounded.
    pub spared: Vec<f64>,
}

/// Features that each step of each recording sees.
type Streams = Vec<Vec<Vec<f32>>>;

impl<'a> Pair<'a> {
    /// Reads an ONNX and matches it with the image.
    ///
    /// # Errors
    ///
    /// Where the image was not compiled from the ONNX: other operators, shapes, or weights.
    pub fn open(path: &Path, image: &'a Image<'a>) -> Result<Pair<'a>> {
        let graph = zerda_compiler::graph(path)?;
        Pair::matched(graph, image).map_err(|difference| {
            Error::usage(format!(
                "{}: the image was not compiled from it: {difference}; name the ONNX that it was \
                 compiled from, or compile this one",
                path.display()
            ))
        })
    }

    fn matched(graph: Graph, image: &'a Image<'a>) -> Result<Pair<'a>, String> {
        let (ours, theirs) = (graph.ops.len(), image.ops().count());
        if ours != theirs {
            return Err(format!("it has {ours} operators, the image {theirs}"));
        }
        let (ours, theirs) = (graph.stream, image.manifest().stream);
        if ours != theirs {
            return Err(format!("it has {ours:?}, the image {theirs:?}"));
        }
        let mut found = vec![None; graph.tensors.len()];
        for (number, (op, plan)) in graph.ops.iter().zip(image.ops()).enumerate() {
            let of_op = |difference| named(&graph, number, difference);
            same_kind(op, image, plan).map_err(of_op)?;
            let ids = op.inputs().into_iter().chain([op.output()]);
            for (id, tensor) in ids.zip(operands(plan)) {
                let quantization = same_tensor(&graph, id, image, tensor).map_err(of_op)?;
                found[graph.root(id)].get_or_insert(quantization);
            }
        }
        // The shapes are the same, so the scales of each can be told from the other.
        let graph = equalize::recovered(&graph, image);
        let mut biases = Vec::new();
        for (number, (op, plan)) in graph.ops.iter().zip(image.ops()).enumerate() {
            let of_op = |difference| named(&graph, number, difference);
            biases.push(match (op, plan) {
                (
                    Op::Linear(linear),
                    plan::Op::FullyConnected(dense) | plan::Op::DepthwiseConv(dense),
                ) => same_weights(linear, image, dense).map_err(of_op)?,
                _ => Vec::new(),
            });
        }
        // What no operator touches is never read.
        let unread = Quantization {
            scale: 1.0,
            zero_point: 0,
        };
        let of = |id| found[graph.root(id)].unwrap_or(unread);
        let quantizations = (0..graph.tensors.len()).map(of).collect();
        Ok(Pair {
            graph,
            image,
            quantizations,
            biases,
        })
    }

    /// Compares the firmware's own integers with float; returns one result for each of [`float::observed`].
    pub fn fidelities(&self, recordings: &[Vec<i16>]) -> Result<Vec<Fidelity>> {
        let step = zerda_compiler::observing(&self.graph)?;
        let recordings: Vec<_> = recordings.iter().map(Vec::as_slice).collect();
        fidelity::measure(&self.graph, &step, self.image, &recordings)
    }

    /// Runs `recordings` in tract with everything rounded, and once for each of [`float::observed`] that is
    /// spared.
    pub fn simulate(&self, recordings: &[Vec<i16>]) -> Result<Simulated> {
        let exact: Streams = recordings
            .iter()
            .map(|recording| chunks(&self.graph, self.image, recording))
            .collect();
        let features = self.quantizations[self.graph.features];
        let mut rounded = exact.clone();
        for value in rounded.iter_mut().flatten().flatten() {
            *value = features.round(*value);
        }
        let float = self.logits(None, &exact)?;
        let signal: f64 = float.iter().map(|&x| f64::from(x).powi(2)).sum();
        let decibels = |spared: &[usize], streams: &Streams| {
            let logits = self.logits(Some(self.fake(spared)), streams)?;
            let errors = float.iter().zip(&logits).map(|(x, y)| f64::from(x - y));
            let noise: f64 = errors.map(|error| error.powi(2)).sum();
            Ok(statistics::decibels(signal / noise))
        };
        let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} operators, {eta} left");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        let ops = self.graph.ops.len();
        let progress = ProgressBar::new(ops as u64).with_style(style);
        let one = |op| {
            let decibels = decibels(&[op], &rounded);
            progress.inc(1);
            decibels
        };
        let ops: Result<Vec<_>> = (0..ops).into_par_iter().map(one).collect();
        progress.finish_and_clear();
        let features = decibels(&[], &exact)?;
        Ok(Simulated {
            decibels: decibels(&[], &rounded)?,
            spared: std::iter::once(features).chain(ops?).collect(),
        })
    }

    fn fake<'b>(&'b self, spared: &'b [usize]) -> Fake<'b> {
        Fake {
            quantizations: &self.quantizations,
            biases: &self.biases,
            spared,
        }
    }

    /// Returns the logits of every step of every stream.
    fn logits(&self, fake: Option<Fake>, streams: &Streams) -> Result<Vec<f32>> {
        let mut step = float::step(&self.graph, fake, &[])?;
        let mut logits = Vec::new();
        for chunks in streams {
            step.reset();
            for chunk in chunks {
                logits.extend(step.step(chunk)?);
            }
        }
        Ok(logits)
    }
}

fn named(graph: &Graph, number: usize, difference: String) -> String {
    let name = &graph.tensors[graph.ops[number].output()].name;
    format!("operator {number} (`{}`) {difference}", name.escape_debug())
}

fn same_kind(op: &Op, image: &Image, plan: plan::Op) -> Result<(), String> {
    let ours = match op {
        Op::Linear(linear) => match linear.kind {
            LinearKind::Dense => "FullyConnected",
            LinearKind::Depthwise => "DepthwiseConv",
        },
        Op::Add { .. } => "Add",
        Op::Mul { .. } => "Mul",
        Op::Function { .. } => "Lookup",
        Op::Scores { .. } => "Scores",
        Op::Softmax { .. } => "Softmax",
        Op::Context { .. } => "Context",
    };
    match describe(image, plan).0 {
        theirs if theirs == ours => Ok(()),
        theirs => Err(format!("is {ours}, in the image {theirs}")),
    }
}

/// Returns the quantization of an operand that has the same shape and, where constant, the same values.
fn same_tensor(
    graph: &Graph,
    id: Id,
    image: &Image,
    tensor: plan::TensorId,
) -> Result<Quantization, String> {
    let ours = &graph.tensors[id];
    let theirs = record(image, tensor)?;
    let (rows, cols) = (usize::from(theirs.rows), usize::from(theirs.cols));
    if (ours.rows, ours.cols) != (rows, cols) {
        let (our_rows, our_cols) = (ours.rows, ours.cols);
        return Err(format!(
            "has an operand of {our_rows}x{our_cols}, in the image {rows}x{cols}"
        ));
    }
    let (scale, zero_point) = (theirs.scale, theirs.zero_point);
    if !(scale.is_finite() && scale > 0.0) {
        return Err(format!("has an operand of scale {scale} in the image"));
    }
    let quantization = Quantization { scale, zero_point };
    if let Place::Constant(values) = &ours.place {
        let values: Vec<_> = values.iter().map(|&x| quantization.quantize(x)).collect();
        same_values(&values, image.constant_i8(theirs))?;
    }
    Ok(quantization)
}

/// Returns the bias of a linear of the same weights, in real values.
fn same_weights(linear: &Linear, image: &Image, dense: plan::Dense) -> Result<Vec<f32>, String> {
    let input = record(image, dense.input)?;
    let (weights, scales) = quantized_weights(linear, input.scale);
    same_values(&weights, image.constant_i8(record(image, dense.weights)?))?;
    let bias = image.constant_i32(record(image, dense.bias)?);
    let real = |(channel, (&bias, scale)): (usize, (&i32, f32))| {
        let weights = (0..linear.taps()).map(|tap| weights[linear.weight(channel, tap)]);
        let sum: i64 = weights.map(i64::from).sum();
        // The input's zero point was folded in.
        let bias = i64::from(bias) + i64::from(input.zero_point) * sum;
        bias as f32 * input.scale * scale
    };
    Ok(bias.iter().zip(scales).enumerate().map(real).collect())
}

/// Checks that the values are the same. Where columns were scaled, some weights lie on the edge between two
/// integers and may fall to the other one: one in a hundred, by one step.
fn same_values(ours: &[i8], theirs: &[i8]) -> Result<(), String> {
    let (count, in_image) = (ours.len(), theirs.len());
    if count != in_image {
        return Err(format!("has {count} weights, in the image {in_image}"));
    }
    let steps = || ours.iter().zip(theirs).map(|(a, b)| a.abs_diff(*b));
    let differ = steps().filter(|&steps| steps > 0).count();
    match differ <= 1.max(count / 100) && steps().all(|steps| steps <= 1) {
        true => Ok(()),
        false => Err(format!("has other weights, {differ} of {count}")),
    }
}

fn record(image: &Image, id: plan::TensorId) -> Result<plan::Tensor, String> {
    let missing = || format!("has an operand that is not in the image, {id}");
    image.tensor(id).ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerda_compiler::test_support::compiled;
    use zerda_compiler::tiny_onnx::TinyOnnx;
    use zerda_support::test_support::recording;

    #[test]
    fn with_every_operator_spared_fake_quantization_is_float() {
        let onnx = TinyOnnx::conformer();
        let file = tempfile::NamedTempFile::new().unwrap();
        onnx.write(file.path());
        let image = compiled(&onnx).unwrap();
        let image = image.image().unwrap();
        let pair = Pair::open(file.path(), &image).unwrap();
        let streams = vec![chunks(&pair.graph, &image, &recording(31, 16000))];
        let all: Vec<_> = (0..pair.graph.ops.len()).collect();
        let spared = |spared: &[usize]| pair.logits(Some(pair.fake(spared)), &streams).unwrap();
        let float = pair.logits(None, &streams).unwrap();
        assert_eq!(spared(&all), float);
        // Each operator but the last, which makes posteriors of the logits, has its part in the noise.
        for op in 0..all.len() - 1 {
            let others: Vec<_> = all.iter().copied().filter(|&other| other != op).collect();
            assert_ne!(spared(&others), float, "operator {op}");
        }
    }
}
