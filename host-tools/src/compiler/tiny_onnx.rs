//! A small streaming Conformer layer as ONNX, for tests: 4 frames a step of which 2 are committed,
//! 6 cached, 2 heads of 4, convolution over 3 frames, 3 classes.

use std::path::Path;

use prost::Message;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::*;

const MELS: i64 = 40;
const HIDDEN: i64 = 8;

#[derive(Default)]
pub struct TinyOnnx {
    graph: GraphProto,
    metadata: Vec<(String, String)>,
    random: u32,
}

impl TinyOnnx {
    /// The layer as PyTorch's TorchScript exporter writes it, with batch norms left in.
    pub fn conformer() -> TinyOnnx {
        let mut onnx = TinyOnnx::default();
        let front_end = r#"{"sample_rate": 16000, "window": 400, "hop": 160, "fft": 512, "mels": 40, "fmin": 60.0,
            "fmax": 7600.0, "level_decay": 0.04, "level_floor": 16.0, "range": 10.0}"#;
        onnx.metadata
            .push(("zerda.labels".into(), "go,_unknown_,_silence_".into()));
        onnx.metadata
            .push(("zerda.front_end".into(), front_end.into()));
        onnx.input("features", &[4, MELS]);
        onnx.input("mask", &[1, 10]);
        onnx.input("keys", &[6, HIDDEN]);
        onnx.input("values", &[6, HIDDEN]);
        onnx.input("conv", &[2, HIDDEN]);

        onnx.gemm("features", "in", MELS, HIDDEN);
        onnx.batch_norm("in", "norm");
        onnx.gemm("norm", "up", HIDDEN, 16);
        onnx.node("HardSwish", &["up"], "up_act");
        onnx.gemm("up_act", "down", 16, HIDDEN);
        onnx.floats("half", &[], &[0.5]);
        onnx.node("Mul", &["down", "half"], "down_half");
        onnx.node("Add", &["in", "down_half"], "x");

        onnx.gemm("x", "k", HIDDEN, HIDDEN);
        onnx.gemm("x", "v", HIDDEN, HIDDEN);
        onnx.node("Concat", &["keys", "k"], "all_keys")
            .int("axis", 0);
        onnx.node("Concat", &["values", "v"], "all_values")
            .int("axis", 0);
        onnx.slice("x", "committed", 0, 2);
        onnx.gemm("committed", "q", HIDDEN, HIDDEN);
        for (from, rows) in [("q", 2), ("all_keys", 10), ("all_values", 10)] {
            onnx.ints(&format!("{from}_shape"), &[rows, 2, 4]);
            onnx.node(
                "Reshape",
                &[from, &format!("{from}_shape")],
                &format!("{from}_split"),
            );
        }
        onnx.node("Transpose", &["q_split"], "q_heads")
            .ints("perm", &[1, 0, 2]);
        onnx.node("Transpose", &["all_keys_split"], "k_heads")
            .ints("perm", &[1, 2, 0]);
        onnx.node("Transpose", &["all_values_split"], "v_heads")
            .ints("perm", &[1, 0, 2]);
        onnx.node("MatMul", &["q_heads", "k_heads"], "products");
        onnx.floats("root", &[], &[2.0]);
        onnx.node("Div", &["products", "root"], "scores");
        onnx.weights("distance", &[2, 2, 10], 1.0);
        onnx.node("Add", &["scores", "distance"], "biased");
        onnx.node("Add", &["biased", "mask"], "masked");
        onnx.node("Softmax", &["masked"], "probs").int("axis", -1);
        onnx.node("MatMul", &["probs", "v_heads"], "context_heads");
        onnx.node("Transpose", &["context_heads"], "context_rows")
            .ints("perm", &[1, 0, 2]);
        onnx.ints("context_shape", &[2, -1]);
        onnx.node("Reshape", &["context_rows", "context_shape"], "context");
        onnx.gemm("context", "out", HIDDEN, HIDDEN);
        onnx.node("Add", &["committed", "out"], "attended");

        onnx.gemm("attended", "a", HIDDEN, HIDDEN);
        onnx.gemm("attended", "g", HIDDEN, HIDDEN);
        onnx.node("HardSigmoid", &["g"], "gate")
            .float("alpha", 1.0 / 6.0);
        onnx.node("Mul", &["a", "gate"], "h");
        onnx.node("Concat", &["conv", "h"], "window").int("axis", 0);
        onnx.node("Transpose", &["window"], "channels")
            .ints("perm", &[1, 0]);
        onnx.ints("first", &[0]);
        onnx.node("Unsqueeze", &["channels", "first"], "batch");
        onnx.weights("taps", &[HIDDEN, 1, 3], 1.0);
        onnx.node("Conv", &["batch", "taps"], "depthwise")
            .int("group", HIDDEN);
        onnx.batch_norm("depthwise", "depthwise_norm");
        onnx.node("Squeeze", &["depthwise_norm", "first"], "frames");
        onnx.node("Transpose", &["frames"], "rows")
            .ints("perm", &[1, 0]);
        // The hard swish in pieces: x * relu6(x + 3) / 6.
        onnx.floats("three", &[], &[3.0]);
        onnx.floats("zero", &[], &[0.0]);
        onnx.floats("six", &[], &[6.0]);
        onnx.node("Add", &["rows", "three"], "shifted");
        onnx.node("Clip", &["shifted", "zero", "six"], "clipped");
        onnx.node("Mul", &["rows", "clipped"], "product");
        onnx.node("Div", &["product", "six"], "swish");
        onnx.gemm("swish", "logits", HIDDEN, 3);
        onnx.slice("all_keys", "next_keys", 2, 8);
        onnx.slice("all_values", "next_values", 2, 8);
        onnx.slice("window", "next_conv", 2, 4);
        for output in ["logits", "next_keys", "next_values", "next_conv"] {
            onnx.graph.output.push(ValueInfoProto {
                name: output.into(),
                ..Default::default()
            });
        }
        onnx
    }

    pub fn write(&self, path: &Path) {
        let entry = |(key, value): &(String, String)| StringStringEntryProto {
            key: key.clone(),
            value: value.clone(),
        };
        let model = ModelProto {
            ir_version: 8,
            opset_import: vec![OperatorSetIdProto {
                domain: String::new(),
                version: 17,
            }],
            graph: Some(self.graph.clone()),
            metadata_props: self.metadata.iter().map(entry).collect(),
            ..Default::default()
        };
        std::fs::write(path, model.encode_to_vec()).unwrap();
    }

    /// The node that computes `output`.
    pub fn edit(&mut self, output: &str) -> &mut NodeProto {
        self.graph
            .node
            .iter_mut()
            .find(|node| node.output[0] == output)
            .unwrap()
    }

    fn input(&mut self, name: &str, dims: &[i64]) {
        let dim = |&size: &i64| Dimension {
            value: Some(dimension::Value::DimValue(size)),
            ..Default::default()
        };
        let shape = TensorShapeProto {
            dim: dims.iter().map(dim).collect(),
        };
        let tensor = type_proto::Tensor {
            elem_type: DataType::Float as i32,
            shape: Some(shape),
        };
        let kind = TypeProto {
            value: Some(type_proto::Value::TensorType(tensor)),
            ..Default::default()
        };
        self.graph.input.push(ValueInfoProto {
            name: name.into(),
            r#type: Some(kind),
            ..Default::default()
        });
    }

    pub fn node(&mut self, op: &str, inputs: &[&str], output: &str) -> &mut NodeProto {
        self.graph.node.push(NodeProto {
            op_type: op.into(),
            input: inputs.iter().map(|&name| name.into()).collect(),
            output: vec![output.into()],
            ..Default::default()
        });
        self.graph.node.last_mut().unwrap()
    }

    fn floats(&mut self, name: &str, dims: &[i64], values: &[f32]) {
        self.graph.initializer.push(TensorProto {
            name: name.into(),
            dims: dims.into(),
            data_type: DataType::Float as i32,
            float_data: values.into(),
            ..Default::default()
        });
    }

    fn ints(&mut self, name: &str, values: &[i64]) {
        self.graph.initializer.push(TensorProto {
            name: name.into(),
            dims: vec![values.len() as i64],
            data_type: DataType::Int64 as i32,
            int64_data: values.into(),
            ..Default::default()
        });
    }

    /// Pseudo-random values in -spread..spread.
    fn weights(&mut self, name: &str, dims: &[i64], spread: f32) {
        let count = dims.iter().product();
        let values: Vec<f32> = (0..count).map(|_| self.random() * spread).collect();
        self.floats(name, dims, &values);
    }

    fn random(&mut self) -> f32 {
        self.random = self.random.wrapping_mul(1664525).wrapping_add(1013904223);
        (self.random >> 8) as f32 / (1 << 23) as f32 - 1.0
    }

    fn gemm(&mut self, input: &str, output: &str, taps: i64, channels: i64) {
        let (weights, bias) = (format!("{output}.weight"), format!("{output}.bias"));
        self.weights(&weights, &[channels, taps], 2.0 / (taps as f32).sqrt());
        self.weights(&bias, &[channels], 0.5);
        self.node("Gemm", &[input, &weights, &bias], output)
            .int("transB", 1);
    }

    fn batch_norm(&mut self, input: &str, output: &str) {
        let names = ["scale", "shift", "mean"].map(|part| format!("{output}.{part}"));
        names
            .iter()
            .for_each(|name| self.weights(name, &[HIDDEN], 1.0));
        let variance = format!("{output}.variance");
        self.floats(
            &variance,
            &[HIDDEN],
            &[0.5, 1.0, 2.0, 1.5, 0.7, 1.0, 1.2, 0.9],
        );
        let [scale, shift, mean] = &names;
        self.node(
            "BatchNormalization",
            &[input, scale, shift, mean, &variance],
            output,
        );
    }

    fn slice(&mut self, input: &str, output: &str, start: i64, end: i64) {
        let names = ["starts", "ends", "axes"].map(|part| format!("{output}.{part}"));
        for (name, value) in names.iter().zip([start, end, 0]) {
            self.ints(name, &[value]);
        }
        self.node("Slice", &[input, &names[0], &names[1], &names[2]], output);
    }
}

trait WithAttributes {
    fn int(&mut self, name: &str, value: i64);
    fn ints(&mut self, name: &str, values: &[i64]);
    fn float(&mut self, name: &str, value: f32);
}

impl WithAttributes for NodeProto {
    fn int(&mut self, name: &str, value: i64) {
        let r#type = AttributeType::Int as i32;
        self.attribute.push(AttributeProto {
            name: name.into(),
            r#type,
            i: value,
            ..Default::default()
        });
    }

    fn ints(&mut self, name: &str, values: &[i64]) {
        let (r#type, ints) = (AttributeType::Ints as i32, values.into());
        self.attribute.push(AttributeProto {
            name: name.into(),
            r#type,
            ints,
            ..Default::default()
        });
    }

    fn float(&mut self, name: &str, value: f32) {
        let r#type = AttributeType::Float as i32;
        self.attribute.push(AttributeProto {
            name: name.into(),
            r#type,
            f: value,
            ..Default::default()
        });
    }
}
