//! Turns the graph into an ONNX model again, for tract to run: the network as the import understood it,
//! with every tensor of the plan observable, in float or with the rounding of the integers put in (fake
//! quantization).
//!
//! Its inputs are `features` [C, mels], `mask` [1, L + C] and `cache_i`, its outputs `logits` and
//! `next_cache_i`, as in the ONNX that is compiled.

use std::collections::HashSet;

use tract_onnx::pb::ModelProto;
use zerda_quantize::graph::{Function, Graph, Id, Linear, LinearKind, Op, Place, Quantization};
use zerda_quantize::quantizer;
use zerda_support::error::{Error, Result};

use super::onnx_builder::{OnnxBuilder, WithAttributes};
use crate::tract_step::FloatStep;

/// Rounding that is put into the float network, and the operators that are spared it.
#[derive(Clone, Copy)]
pub struct Fake<'a> {
    /// Quantization that the values of each tensor are rounded to.
    pub quantizations: &'a [Quantization],
    /// Biases of each operator in real values, as the integers hold them; empty for an operator without
    /// any.
    pub biases: &'a [Vec<f32>],
    /// Operators whose weights, constants and output stay as they are.
    pub spared: &'a [usize],
}

/// Returns the tensors that calibration observes: the features, and the output of each operator.
pub fn observed(graph: &Graph) -> Vec<Id> {
    let outputs = graph.ops.iter().map(zerda_quantize::graph::Op::output);
    std::iter::once(graph.features).chain(outputs).collect()
}

/// Returns the name of a tensor's value in [`model`].
pub fn value(graph: &Graph, id: Id) -> String {
    match id {
        _ if id == graph.features => "features".into(),
        _ if id == graph.logits => "logits".into(),
        _ => format!("tensor_{id}"),
    }
}

/// Builds one step in tract, which also puts out the tensors `observed`.
pub fn step(graph: &Graph, fake: Option<Fake>, observed: &[Id]) -> Result<FloatStep> {
    let names: Vec<_> = observed.iter().map(|&id| value(graph, id)).collect();
    FloatStep::observing(&model(graph, fake), &names)
        .map_err(|cause| Error::check(format!("the imported network, in tract: {cause}")))
}

/// Builds one step of the network as an ONNX model.
pub fn model(graph: &Graph, fake: Option<Fake>) -> ModelProto {
    let mut emitter = Emitter {
        graph,
        fake,
        onnx: OnnxBuilder::default(),
        written: HashSet::new(),
    };
    emitter.inputs();
    for (index, op) in graph.ops.iter().enumerate() {
        emitter.op(index, op);
    }
    emitter.outputs();
    emitter.onnx.model()
}

struct Emitter<'a> {
    graph: &'a Graph,
    fake: Option<Fake<'a>>,
    onnx: OnnxBuilder,
    /// Names of the rows and constants that have their node already.
    written: HashSet<String>,
}

impl Emitter<'_> {
    fn inputs(&mut self) {
        let tensor = &self.graph.tensors[self.graph.features];
        let stream = self.graph.stream;
        self.onnx.input("features", &[tensor.rows, tensor.cols]);
        let keys = stream.left_context + stream.chunk;
        self.onnx.input("mask", &[1, keys.into()]);
        for window in 1..self.graph.windows.len() {
            let (kept, cols) = self.kept(window);
            self.onnx.input(&format!("cache_{window}"), &[kept, cols]);
        }
    }

    /// Returns how many rows a window keeps from earlier steps, and how many columns it has.
    fn kept(&self, window: usize) -> (usize, usize) {
        let window = &self.graph.windows[window];
        let tensors = &self.graph.tensors;
        let (whole, newest) = (&tensors[window.tensor], &tensors[window.newest]);
        (whole.rows - newest.rows, whole.cols)
    }

    fn outputs(&mut self) {
        self.onnx.output("logits");
        let step = usize::from(self.graph.stream.step);
        for index in 1..self.graph.windows.len() {
            let (kept, _) = self.kept(index);
            let whole = self.read(self.graph.windows[index].tensor, self.fake);
            let next = format!("next_cache_{index}");
            self.onnx.slice(&whole, &next, step, step + kept);
            self.onnx.output(&next);
        }
    }

    /// Returns the name of a tensor's value for an operator that reads it, and adds its node if rows or a
    /// constant have none yet; `fake` is the operator's.
    fn read(&mut self, id: Id, fake: Option<Fake>) -> String {
        let tensor = &self.graph.tensors[id];
        let mut name = value(self.graph, id);
        if fake.is_none() && matches!(tensor.place, Place::Constant(_)) {
            name += ".exact";
        }
        match &tensor.place {
            Place::Rows { of, first } if self.written.insert(name.clone()) => {
                let of = self.read(*of, fake);
                self.onnx.slice(&of, &name, *first, first + tensor.rows);
            }
            Place::Constant(values) if self.written.insert(name.clone()) => {
                let rounded = |&value: &f32| match fake {
                    Some(fake) => fake.quantizations[id].round(value),
                    None => value,
                };
                let values: Vec<_> = values.iter().map(rounded).collect();
                self.onnx
                    .floats(&name, &[tensor.rows, tensor.cols], &values);
            }
            _ => {}
        }
        name
    }

    fn op(&mut self, index: usize, op: &Op) {
        let fake = self.fake.filter(|fake| !fake.spared.contains(&index));
        let output = op.output();
        let name = value(self.graph, output);
        let exact = match fake {
            Some(_) => format!("{name}.exact"),
            None => name.clone(),
        };
        self.compute(index, op, fake, &exact);
        if let Some(fake) = fake {
            self.rounded(&exact, fake.quantizations[output], &name);
        }
        // What the features are to the first window, the newest rows are to the others.
        let windows = self.graph.windows.iter().enumerate().skip(1);
        for (number, window) in windows.filter(|(_, window)| window.newest == output) {
            let (cache, whole) = (format!("cache_{number}"), value(self.graph, window.tensor));
            let concat = self.onnx.node("Concat", &[&cache, &name], &whole);
            concat.int("axis", 0);
        }
    }

    /// Adds nodes that round `exact` and clip it to what int8 can hold; the result is named `output`.
    fn rounded(&mut self, exact: &str, quantization: Quantization, output: &str) {
        let [steps, integer, clipped] =
            ["steps", "integer", "clipped"].map(|part| format!("{output}.{part}"));
        let [scale, low, high] = ["scale", "low", "high"].map(|part| format!("{output}.{part}"));
        let zero_point = f32::from(quantization.zero_point);
        self.onnx.floats(&scale, &[], &[quantization.scale]);
        self.onnx.floats(&low, &[], &[-128.0 - zero_point]);
        self.onnx.floats(&high, &[], &[127.0 - zero_point]);
        self.onnx.node("Div", &[exact, &scale], &steps);
        self.onnx.node("Round", &[&steps], &integer);
        self.onnx.node("Clip", &[&integer, &low, &high], &clipped);
        self.onnx.node("Mul", &[&clipped, &scale], output);
    }

    fn compute(&mut self, index: usize, op: &Op, fake: Option<Fake>, output: &str) {
        let inputs = op.inputs().into_iter().map(|id| self.read(id, fake));
        let inputs: Vec<_> = inputs.collect();
        let inputs: Vec<_> = inputs.iter().map(String::as_str).collect();
        let shape = |id: Id| (self.graph.tensors[id].rows, self.graph.tensors[id].cols);
        match *op {
            Op::Linear(ref linear) => {
                let rounded = fake.map(|fake| Linear {
                    weights: {
                        let input = fake.quantizations[linear.input];
                        quantizer::rounded_weights(linear, input.scale)
                    },
                    bias: fake.biases[index].clone(),
                    ..linear.clone()
                });
                self.linear(rounded.as_ref().unwrap_or(linear), inputs[0], output);
            }
            Op::Add { .. } => {
                self.onnx.node("Add", &inputs, output);
            }
            Op::Mul { .. } => {
                self.onnx.node("Mul", &inputs, output);
            }
            Op::Function { function, .. } => {
                let part = format!("{output}.part");
                match function {
                    Function::HardSwish => self.onnx.node("HardSwish", &inputs, output),
                    Function::Logistic => self.onnx.node("Sigmoid", &inputs, output),
                    Function::Silu => {
                        self.onnx.node("Sigmoid", &inputs, &part);
                        self.onnx.node("Mul", &[inputs[0], &part], output)
                    }
                    Function::Rsqrt => {
                        self.onnx.node("Sqrt", &inputs, &part);
                        self.onnx.node("Reciprocal", &[&part], output)
                    }
                };
            }
            Op::Scores {
                query, key, heads, ..
            } => {
                let ((rows, cols), (keys, _)) = (shape(query), shape(key));
                let [query, key] = ["query", "key"].map(|part| format!("{output}.{part}"));
                self.heads(inputs[0], &query, [rows, cols, heads], &[1, 0, 2]);
                self.heads(inputs[1], &key, [keys, cols, heads], &[1, 2, 0]);
                let products = format!("{output}.products");
                self.onnx.node("MatMul", &[&query, &key], &products);
                self.onnx.reshape(&products, output, &[heads * rows, keys]);
            }
            Op::Softmax { input, .. } => {
                let mut scores = inputs[0].to_string();
                if self.graph.tensors[input].keys {
                    let masked = format!("{output}.masked");
                    self.onnx.node("Add", &[&scores, "mask"], &masked);
                    scores = masked;
                }
                self.onnx
                    .node("Softmax", &[&scores], output)
                    .int("axis", -1);
            }
            Op::Context {
                probs,
                value,
                heads,
                ..
            } => {
                let ((rows, keys), (_, cols)) = (shape(probs), shape(value));
                let [probs, value, context, joined] =
                    ["probs", "value", "context", "joined"].map(|part| format!("{output}.{part}"));
                self.onnx
                    .reshape(inputs[0], &probs, &[heads, rows / heads, keys]);
                self.heads(inputs[1], &value, [keys, cols, heads], &[1, 0, 2]);
                self.onnx.node("MatMul", &[&probs, &value], &context);
                let transposed = self.onnx.node("Transpose", &[&context], &joined);
                transposed.ints("perm", &[1, 0, 2]);
                self.onnx.reshape(&joined, output, &[rows / heads, cols]);
            }
        }
    }

    /// Adds nodes that split `[rows, cols]` into `[rows, heads, width]` and then put the axes in `order`.
    fn heads(&mut self, input: &str, output: &str, [rows, cols, heads]: [usize; 3], order: &[i64]) {
        let split = format!("{output}.split");
        self.onnx
            .reshape(input, &split, &[rows, heads, cols / heads]);
        self.onnx
            .node("Transpose", &[&split], output)
            .ints("perm", order);
    }

    fn linear(&mut self, linear: &Linear, input: &str, output: &str) {
        let [weights, bias, plain] =
            ["weights", "bias", "plain"].map(|part| format!("{output}.{part}"));
        let (channels, taps) = (linear.channels(), linear.taps());
        let values = &linear.weights;
        let sums = match linear.clamp {
            zerda_quantize::graph::UNCLAMPED => output,
            _ => &plain,
        };
        self.onnx.floats(&bias, &[channels], &linear.bias);
        match linear.kind {
            LinearKind::Dense => {
                self.onnx.floats(&weights, &[channels, taps], values);
                let gemm = self.onnx.node("Gemm", &[input, &weights, &bias], sums);
                gemm.int("transB", 1);
            }
            LinearKind::Depthwise => {
                let by_channel = |i: usize| values[linear.weight(i / taps, i % taps)];
                let values: Vec<_> = (0..values.len()).map(by_channel).collect();
                self.onnx.floats(&weights, &[channels, 1, taps], &values);
                let [columns, batch, sums_batch, sums_columns] =
                    ["columns", "batch", "sums_batch", "sums_columns"]
                        .map(|part| format!("{output}.{part}"));
                let window = &self.graph.tensors[linear.input];
                let rows = self.graph.tensors[linear.output].rows;
                self.onnx
                    .node("Transpose", &[input], &columns)
                    .ints("perm", &[1, 0]);
                self.onnx
                    .reshape(&columns, &batch, &[1, channels, window.rows]);
                let conv = self
                    .onnx
                    .node("Conv", &[&batch, &weights, &bias], &sums_batch);
                conv.int("group", channels as i64);
                self.onnx
                    .reshape(&sums_batch, &sums_columns, &[channels, rows]);
                self.onnx
                    .node("Transpose", &[&sums_columns], sums)
                    .ints("perm", &[1, 0]);
            }
        }
        let (low, high) = linear.clamp;
        if low.is_finite() || high.is_finite() {
            let bounds = ["low_bound", "high_bound"].map(|part| format!("{output}.{part}"));
            self.onnx.floats(&bounds[0], &[], &[low.max(f32::MIN)]);
            self.onnx.floats(&bounds[1], &[], &[high.min(f32::MAX)]);
            self.onnx
                .node("Clip", &[sums, &bounds[0], &bounds[1]], output);
        }
    }
}
