//! A small streaming Conformer layer as ONNX, for tests: 4 frames a step of which 2 are committed,
//! 6 cached, 2 heads of 4, convolution over 3 frames, 3 classes.

use std::path::Path;

use prost::Message;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, StringStringEntryProto, TensorProto};

use super::onnx_builder::{OnnxBuilder, WithAttributes};

const MELS: usize = 40;
const HIDDEN: usize = 8;

#[derive(Default)]
pub struct TinyOnnx {
    onnx: OnnxBuilder,
    pub metadata: Vec<(String, String)>,
    random: u32,
}

impl TinyOnnx {
    /// The layer as PyTorch's TorchScript exporter writes it, with batch norms left in.
    pub fn conformer() -> TinyOnnx {
        let mut tiny = TinyOnnx::default();
        let front_end = r#"{"sample_rate": 16000, "window": 400, "hop": 160, "fft": 512, "mels": 40, "fmin": 60.0,
            "fmax": 7600.0, "level_decay": 0.04, "level_floor": 12.0, "level_frames": 8, "range": 10.0}"#;
        tiny.metadata
            .push(("zerda.labels".into(), "go,_unknown_,_silence_".into()));
        tiny.metadata
            .push(("zerda.front_end".into(), front_end.into()));
        tiny.onnx.input("features", &[4, MELS]);
        tiny.onnx.input("mask", &[1, 10]);
        tiny.onnx.input("keys", &[6, HIDDEN]);
        tiny.onnx.input("values", &[6, HIDDEN]);
        tiny.onnx.input("conv", &[2, HIDDEN]);

        tiny.gemm("features", "in", MELS, HIDDEN);
        tiny.batch_norm("in", "norm");
        tiny.gemm("norm", "up", HIDDEN, 16);
        tiny.onnx.node("HardSwish", &["up"], "up_act");
        tiny.gemm("up_act", "down", 16, HIDDEN);
        tiny.onnx.floats("half", &[], &[0.5]);
        tiny.onnx.node("Mul", &["down", "half"], "down_half");
        tiny.onnx.node("Add", &["in", "down_half"], "x");

        tiny.gemm("x", "k", HIDDEN, HIDDEN);
        tiny.gemm("x", "v", HIDDEN, HIDDEN);
        tiny.onnx
            .node("Concat", &["keys", "k"], "all_keys")
            .int("axis", 0);
        tiny.onnx
            .node("Concat", &["values", "v"], "all_values")
            .int("axis", 0);
        tiny.onnx.slice("x", "committed", 0, 2);
        tiny.gemm("committed", "q", HIDDEN, HIDDEN);
        for (from, rows) in [("q", 2), ("all_keys", 10), ("all_values", 10)] {
            tiny.onnx.ints(&format!("{from}_shape"), &[rows, 2, 4]);
            tiny.onnx.node(
                "Reshape",
                &[from, &format!("{from}_shape")],
                &format!("{from}_split"),
            );
        }
        tiny.onnx
            .node("Transpose", &["q_split"], "q_heads")
            .ints("perm", &[1, 0, 2]);
        tiny.onnx
            .node("Transpose", &["all_keys_split"], "k_heads")
            .ints("perm", &[1, 2, 0]);
        tiny.onnx
            .node("Transpose", &["all_values_split"], "v_heads")
            .ints("perm", &[1, 0, 2]);
        tiny.onnx
            .node("MatMul", &["q_heads", "k_heads"], "products");
        tiny.onnx.floats("root", &[], &[2.0]);
        tiny.onnx.node("Div", &["products", "root"], "scores");
        tiny.weights("distance", &[2, 2, 10], 1.0);
        tiny.onnx.node("Add", &["scores", "distance"], "biased");
        tiny.onnx.node("Add", &["biased", "mask"], "masked");
        tiny.onnx
            .node("Softmax", &["masked"], "probs")
            .int("axis", -1);
        tiny.onnx
            .node("MatMul", &["probs", "v_heads"], "context_heads");
        tiny.onnx
            .node("Transpose", &["context_heads"], "context_rows")
            .ints("perm", &[1, 0, 2]);
        tiny.onnx.ints("context_shape", &[2, -1]);
        tiny.onnx
            .node("Reshape", &["context_rows", "context_shape"], "context");
        tiny.gemm("context", "out", HIDDEN, HIDDEN);
        tiny.onnx.node("Add", &["committed", "out"], "attended");

        tiny.gemm("attended", "a", HIDDEN, HIDDEN);
        tiny.gemm("attended", "g", HIDDEN, HIDDEN);
        tiny.onnx
            .node("HardSigmoid", &["g"], "gate")
            .float("alpha", 1.0 / 6.0);
        tiny.onnx.node("Mul", &["a", "gate"], "h");
        tiny.onnx
            .node("Concat", &["conv", "h"], "window")
            .int("axis", 0);
        tiny.onnx
            .node("Transpose", &["window"], "channels")
            .ints("perm", &[1, 0]);
        tiny.onnx.ints("first", &[0]);
        tiny.onnx.node("Unsqueeze", &["channels", "first"], "batch");
        tiny.weights("taps", &[HIDDEN, 1, 3], 1.0);
        tiny.onnx
            .node("Conv", &["batch", "taps"], "depthwise")
            .int("group", HIDDEN as i64);
        tiny.batch_norm("depthwise", "depthwise_norm");
        tiny.onnx
            .node("Squeeze", &["depthwise_norm", "first"], "frames");
        tiny.onnx
            .node("Transpose", &["frames"], "rows")
            .ints("perm", &[1, 0]);
        // The hard swish in pieces: x * relu6(x + 3) / 6.
        tiny.onnx.floats("three", &[], &[3.0]);
        tiny.onnx.floats("zero", &[], &[0.0]);
        tiny.onnx.floats("six", &[], &[6.0]);
        tiny.onnx.node("Add", &["rows", "three"], "shifted");
        tiny.onnx
            .node("Clip", &["shifted", "zero", "six"], "clipped");
        tiny.onnx.node("Mul", &["rows", "clipped"], "product");
        tiny.onnx.node("Div", &["product", "six"], "swish");
        tiny.gemm("swish", "logits", HIDDEN, 3);
        tiny.onnx.slice("all_keys", "next_keys", 2, 8);
        tiny.onnx.slice("all_values", "next_values", 2, 8);
        tiny.onnx.slice("window", "next_conv", 2, 4);
        for output in ["logits", "next_keys", "next_values", "next_conv"] {
            tiny.onnx.output(output);
        }
        tiny
    }

    /// The graph, for what has no method of its own here.
    pub fn graph(&mut self) -> &mut GraphProto {
        &mut self.onnx.graph
    }

    /// A constant of the graph.
    pub fn constant(&mut self, name: &str) -> &mut TensorProto {
        let mut constants = self.onnx.graph.initializer.iter_mut();
        constants.find(|constant| constant.name == name).unwrap()
    }

    pub fn node(&mut self, op: &str, inputs: &[&str], output: &str) -> &mut NodeProto {
        self.onnx.node(op, inputs, output)
    }

    /// Takes `input[start..end]` along the first axis.
    pub fn slice(&mut self, input: &str, output: &str, start: usize, end: usize) {
        self.onnx.slice(input, output, start, end);
    }

    /// Adds a constant of integers.
    pub fn ints_of(&mut self, name: &str, values: &[i64]) {
        self.onnx.ints(name, values);
    }

    /// Adds a constant of pseudo-random values.
    pub fn floats_of(&mut self, name: &str, dims: &[usize]) {
        self.weights(name, dims, 1.0);
    }

    pub fn write(&self, path: &Path) {
        let entry = |(key, value): &(String, String)| StringStringEntryProto {
            key: key.clone(),
            value: value.clone(),
        };
        let builder = OnnxBuilder {
            graph: self.onnx.graph.clone(),
        };
        let model = ModelProto {
            metadata_props: self.metadata.iter().map(entry).collect(),
            ..builder.model()
        };
        std::fs::write(path, model.encode_to_vec()).unwrap();
    }

    /// The node that computes `output`.
    pub fn edit(&mut self, output: &str) -> &mut NodeProto {
        self.onnx
            .graph
            .node
            .iter_mut()
            .find(|node| node.output[0] == output)
            .unwrap()
    }

    /// Puts fake quantization between a value, of a node or a constant, and all that read it: one scale,
    /// or one for each index of the first axis.
    pub fn quantize(&mut self, value: &str, scales: &[f32], zero_points: &[i32], to: DataType) {
        let graph = &mut self.onnx.graph;
        let at = graph.node.iter().position(|node| node.output[0] == value);
        let real = format!("{value}.real");
        match at {
            Some(at) => {
                graph.node[at].name = real.clone();
                graph.node[at].output[0] = real.clone();
            }
            None => {
                let constant = graph.initializer.iter_mut().find(|it| it.name == value);
                constant.unwrap().name = real.clone();
            }
        }
        let parts = ["scale", "zero", "integers"].map(|part| format!("{value}.{part}"));
        let [scale, zero, integers] = &parts;
        let dims: Vec<usize> = match scales.len() {
            1 => Vec::new(),
            count => vec![count],
        };
        self.onnx.floats(scale, &dims, scales);
        self.onnx.graph.initializer.push(TensorProto {
            name: zero.clone(),
            dims: dims.iter().map(|&size| size as i64).collect(),
            data_type: to as i32,
            int32_data: zero_points.into(),
            ..Default::default()
        });
        for (op, input, output) in [
            ("QuantizeLinear", &real[..], &integers[..]),
            ("DequantizeLinear", integers, value),
        ] {
            self.onnx
                .node(op, &[input, scale, zero], output)
                .int("axis", 0);
        }
        let nodes = &mut self.onnx.graph.node;
        let first = at.map_or(0, |at| at + 1);
        nodes[first..].rotate_right(2);
    }

    /// Rounds a constant to multiples of a scale; `stored` as int8, with a DequantizeLinear.
    pub fn store_quantized(&mut self, name: &str, scale: f32, stored: bool) {
        let constant = self.constant(name);
        let integer = |value: &f32| (value / scale).round().clamp(-128.0, 127.0);
        let integers: Vec<_> = constant.float_data.iter().map(integer).collect();
        if !stored {
            constant.float_data = integers.iter().map(|steps| steps * scale).collect();
            return;
        }
        constant.name = format!("{name}.integers");
        constant.data_type = DataType::Int8 as i32;
        constant.float_data.clear();
        constant.int32_data = integers.iter().map(|&steps| steps as i32).collect();
        let [integers, of] = ["integers", "scale"].map(|part| format!("{name}.{part}"));
        self.onnx.floats(&of, &[], &[scale]);
        self.onnx.node("DequantizeLinear", &[&integers, &of], name);
        self.onnx.graph.node.rotate_right(1);
    }

    /// Gives a value another name.
    pub fn rename(&mut self, from: &str, to: &str) {
        for node in &mut self.onnx.graph.node {
            let names = node.input.iter_mut().chain(&mut node.output);
            names
                .filter(|name| *name == from)
                .for_each(|name| *name = to.into());
        }
    }

    /// The values of a weight.
    pub fn values(&mut self, name: &str) -> &mut Vec<f32> {
        &mut self.constant(name).float_data
    }

    /// Multiplies each row of weights.
    pub fn scale_rows(&mut self, name: &str, factor: impl Fn(usize) -> f32) {
        let weights = self.constant(name);
        let cols = weights.dims[1] as usize;
        for (row, values) in weights.float_data.chunks_mut(cols).enumerate() {
            values.iter_mut().for_each(|value| *value *= factor(row));
        }
    }

    /// Pseudo-random values in -spread..spread.
    fn weights(&mut self, name: &str, dims: &[usize], spread: f32) {
        let count = dims.iter().product();
        let values: Vec<f32> = (0..count).map(|_| self.random() * spread).collect();
        self.onnx.floats(name, dims, &values);
    }

    fn random(&mut self) -> f32 {
        self.random = self.random.wrapping_mul(1664525).wrapping_add(1013904223);
        (self.random >> 8) as f32 / (1 << 23) as f32 - 1.0
    }

    fn gemm(&mut self, input: &str, output: &str, taps: usize, channels: usize) {
        let (weights, bias) = (format!("{output}.weight"), format!("{output}.bias"));
        self.weights(&weights, &[channels, taps], 2.0 / (taps as f32).sqrt());
        self.weights(&bias, &[channels], 0.5);
        self.onnx
            .node("Gemm", &[input, &weights, &bias], output)
            .int("transB", 1);
    }

    fn batch_norm(&mut self, input: &str, output: &str) {
        let names = ["scale", "shift", "mean"].map(|part| format!("{output}.{part}"));
        names
            .iter()
            .for_each(|name| self.weights(name, &[HIDDEN], 1.0));
        let variance = format!("{output}.variance");
        self.onnx.floats(
            &variance,
            &[HIDDEN],
            &[0.5, 1.0, 2.0, 1.5, 0.7, 1.0, 1.2, 0.9],
        );
        let [scale, shift, mean] = &names;
        self.onnx.node(
            "BatchNormalization",
            &[input, scale, shift, mean, &variance],
            output,
        );
    }
}
