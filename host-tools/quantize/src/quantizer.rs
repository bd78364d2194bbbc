//! Turns the float graph into INT8 operators, after the TFLite 8-bit quantization spec.

use zerda_firmware::plan::{self, Clamp, Dense, Element, Tensor, TensorId};
use zerda_support::image_writer::ImageWriter;

use super::graph::{Graph, Id, Linear, LinearKind, Op, Place, Quantization};
use super::memory::Memory;
use super::observations::Observations;
use super::tflite_params::{
    AddScales, SoftmaxScale, add_scales, fully_connected_scale, product_scale, softmax_scale,
};

const FULL: Clamp = Clamp {
    min: i8::MIN,
    max: i8::MAX,
};

/// Largest magnitude that a bias may have, which leaves the accumulator as much again for the products.
const LARGEST_BIAS: f32 = (1 << 30) as f32;

pub struct Quantizer<'a> {
    pub graph: &'a Graph,
    /// Quantization that each tensor of the graph has.
    pub quantizations: &'a [Quantization],
    /// Observations with which biases are corrected; a draft has none.
    pub seen: Option<&'a Observations>,
    pub memory: &'a Memory,
    pub writer: ImageWriter,
    /// Records of those tensors of the graph that have one.
    pub ids: Vec<Option<TensorId>>,
}

impl<'a> Quantizer<'a> {
    pub fn new(
        graph: &'a Graph,
        quantizations: &'a [Quantization],
        seen: Option<&'a Observations>,
        memory: &'a Memory,
    ) -> Quantizer<'a> {
        let (writer, ids) = (ImageWriter::default(), vec![None; graph.tensors.len()]);
        Quantizer {
            graph,
            quantizations,
            seen,
            memory,
            writer,
            ids,
        }
    }

    /// Appends every operator, and the records of the tensors that they name.
    pub fn ops(&mut self) {
        for op in &self.graph.ops {
            let op = self.op(op);
            self.writer.ops.push(op);
        }
    }

    /// Returns the record of a tensor of the graph, and appends it where there is none yet.
    pub fn id(&mut self, id: Id) -> TensorId {
        if let Some(record) = self.ids[id] {
            return record;
        }
        let (tensor, quantization) = (&self.graph.tensors[id], self.quantizations[id]);
        let record = match (&tensor.place, self.memory.location(self.graph, id)) {
            (_, Some(location)) => self.writer.tensor(Tensor {
                location,
                element: Element::I8,
                rows: tensor.rows as u16,
                cols: tensor.cols as u16,
                scale: quantization.scale,
                zero_point: quantization.zero_point,
                keys: tensor.keys,
            }),
            (Place::Constant(values), None) => {
                let values: Vec<_> = values
                    .iter()
                    .map(|&value| quantization.quantize(value))
                    .collect();
                self.writer.i8(&values, tensor.cols, quantization)
            }
            (place, None) => {
                unreachable!("tensor {id} ({place:?}) is neither constant nor computed")
            }
        };
        self.ids[id] = Some(record);
        record
    }

    fn scale(&self, id: Id) -> f32 {
        self.quantizations[id].scale
    }

    fn op(&mut self, op: &Op) -> plan::Op {
        match *op {
            Op::Linear(ref linear) => self.linear(linear),
            Op::Add { a, b, output } => {
                let scales = add_scales(self.scale(a), self.scale(b), self.scale(output));
                let AddScales {
                    a: a_scale,
                    b: b_scale,
                    output: output_scale,
                } = scales;
                let (a, b, output) = (self.id(a), self.id(b), self.id(output));
                plan::Op::Add {
                    a,
                    b,
                    output,
                    a_scale,
                    b_scale,
                    output_scale,
                    clamp: FULL,
                }
            }
            Op::Mul { a, b, output } => {
                let output_scale = product_scale(self.scale(a), self.scale(b), self.scale(output));
                let (a, b, output) = (self.id(a), self.id(b), self.id(output));
                plan::Op::Mul {
                    a,
                    b,
                    output,
                    output_scale,
                    clamp: FULL,
                }
            }
            Op::Function {
                function,
                input,
                output,
            } => {
                let table = function.table(self.quantizations[input], self.quantizations[output]);
                // A draft's ranges are any; those of calibration have a table.
                let table = table.unwrap_or([0; 256]);
                let table = self.writer.i8(&table, 256, self.quantizations[output]);
                plan::Op::Lookup {
                    input: self.id(input),
                    output: self.id(output),
                    table,
                }
            }
            Op::Scores {
                query,
                key,
                output,
                heads,
            } => {
                let output_scale =
                    product_scale(self.scale(query), self.scale(key), self.scale(output));
                let (query, key, output) = (self.id(query), self.id(key), self.id(output));
                plan::Op::Scores {
                    query,
                    key,
                    output,
                    heads: heads as u8,
                    output_scale,
                }
            }
            Op::Softmax { input, output } => {
                let SoftmaxScale {
                    input: input_scale,
                    diff_min,
                } = softmax_scale(self.scale(input));
                let (input, output) = (self.id(input), self.id(output));
                plan::Op::Softmax {
                    input,
                    output,
                    input_scale,
                    diff_min,
                }
            }
            Op::Context {
                probs,
                value,
                output,
                heads,
            } => {
                let output_scale =
                    product_scale(self.scale(probs), self.scale(value), self.scale(output));
                let (probs, value, output) = (self.id(probs), self.id(value), self.id(output));
                plan::Op::Context {
                    probs,
                    value,
                    output,
                    heads: heads as u8,
                    output_scale,
                }
            }
        }
    }

    fn linear(&mut self, linear: &Linear) -> plan::Op {
        let (input, output) = (
            self.quantizations[linear.input],
            self.quantizations[linear.output],
        );
        let means = self
            .seen
            .and_then(|seen| seen[self.graph.root(linear.input)].as_ref());
        let means = means.map(super::observations::Observation::means);
        let (weights, scales) = quantized_weights(linear, input.scale);
        let (mut bias, mut multiplier, mut shift) = (Vec::new(), Vec::new(), Vec::new());
        for (channel, &scale) in scales.iter().enumerate() {
            let (mut sum, mut mean_error) = (0, 0.0);
            for tap in 0..linear.taps() {
                let index = linear.weight(channel, tap);
                let weight = weights[index];
                sum += i32::from(weight);
                let mean = means
                    .as_ref()
                    .map_or(0.0, |means| means[linear.input_column(channel, tap)]);
                mean_error += (f32::from(weight) * scale - linear.weights[index]) * mean;
            }
            // What rounding the weights shifts the output by on average, taken back.
            let corrected = (linear.bias[channel] - mean_error) / (input.scale * scale);
            bias.push(corrected.round() as i32 - i32::from(input.zero_point) * sum);
            let requantize = match linear.kind {
                LinearKind::Dense => {
                    fully_connected_scale(scales.len(), input.scale, scale, output.scale)
                }
                LinearKind::Depthwise => product_scale(input.scale, scale, output.scale),
            };
            multiplier.push(requantize.multiplier);
            shift.push(requantize.shift);
        }
        let channels = linear.channels();
        let unit = Quantization {
            scale: 1.0,
            zero_point: 0,
        };
        let cols = match linear.kind {
            LinearKind::Dense => linear.taps(),
            LinearKind::Depthwise => channels,
        };
        let weights = self.writer.i8(&weights, cols, unit);
        let (bias, multiplier) = (self.writer.i32(&bias), self.writer.i32(&multiplier));
        let shift = self.writer.i8(&shift, channels, unit);
        let (input, output) = (self.id(linear.input), self.id(linear.output));
        let dense = Dense {
            input,
            output,
            weights,
            bias,
            multiplier,
            shift,
            clamp: Clamp {
                min: self.quantizations[linear.output].quantize(linear.clamp.0),
                max: self.quantizations[linear.output].quantize(linear.clamp.1),
            },
        };
        match linear.kind {
            LinearKind::Dense => plan::Op::FullyConnected(dense),
            LinearKind::Depthwise => plan::Op::DepthwiseConv(dense),
        }
    }
}

/// Returns integers in the order of the weights, and the scale of each channel, for inputs of a scale.
pub fn quantized_weights(linear: &Linear, input_scale: f32) -> (Vec<i8>, Vec<f32>) {
    let mut weights = vec![0; linear.weights.len()];
    let scale = |channel| {
        let real = |tap| linear.weights[linear.weight(channel, tap)];
        let largest = (0..linear.taps())
            .map(real)
            .fold(0.0, |max: f32, w| max.max(w.abs()));
        let bias: f32 = linear.bias[channel];
        let given = linear.scales.as_ref().map(|scales| scales[channel]);
        let scale = given
            .unwrap_or(largest / 127.0)
            .max(bias.abs() / (input_scale * LARGEST_BIAS))
            .max(f32::MIN_POSITIVE.sqrt());
        for tap in 0..linear.taps() {
            let weight = (real(tap) / scale).round().clamp(-127.0, 127.0);
            weights[linear.weight(channel, tap)] = weight as i8;
        }
        scale
    };
    let scales = (0..linear.channels()).map(scale).collect();
    (weights, scales)
}

/// Returns the weights that the integers stand for.
pub fn rounded_weights(linear: &Linear, input_scale: f32) -> Vec<f32> {
    let (weights, scales) = quantized_weights(linear, input_scale);
    let mut rounded = vec![0.0; weights.len()];
    for (channel, scale) in scales.iter().enumerate() {
        for tap in 0..linear.taps() {
            let index = linear.weight(channel, tap);
            rounded[index] = f32::from(weights[index]) * scale;
        }
    }
    rounded
}
