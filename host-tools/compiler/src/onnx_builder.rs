//! Writes an ONNX graph, node by node.

use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::*;

/// Builds a graph whose values are float32, in opset 17.
#[derive(Default)]
pub struct OnnxBuilder {
    pub graph: GraphProto,
}

impl OnnxBuilder {
    pub fn model(self) -> ModelProto {
        ModelProto {
            ir_version: 8,
            opset_import: vec![OperatorSetIdProto {
                domain: String::new(),
                version: 17,
            }],
            graph: Some(self.graph),
            ..Default::default()
        }
    }

    pub fn input(&mut self, name: &str, dims: &[usize]) {
        let dim = |&size: &usize| Dimension {
            value: Some(dimension::Value::DimValue(size as i64)),
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

    pub fn output(&mut self, name: &str) {
        self.graph.output.push(ValueInfoProto {
            name: name.into(),
            ..Default::default()
        });
    }

    pub fn node(&mut self, op: &str, inputs: &[&str], output: &str) -> &mut NodeProto {
        let node = NodeProto {
            name: output.into(),
            op_type: op.into(),
            input: inputs.iter().map(|&name| name.into()).collect(),
            output: vec![output.into()],
            ..Default::default()
        };
        let index = self.graph.node.len();
        self.graph.node.push(node);
        &mut self.graph.node[index]
    }

    pub fn floats(&mut self, name: &str, dims: &[usize], values: &[f32]) {
        self.graph.initializer.push(TensorProto {
            name: name.into(),
            dims: dims.iter().map(|&size| size as i64).collect(),
            data_type: DataType::Float as i32,
            float_data: values.into(),
            ..Default::default()
        });
    }

    pub fn ints(&mut self, name: &str, values: &[i64]) {
        self.graph.initializer.push(TensorProto {
            name: name.into(),
            dims: vec![values.len() as i64],
            data_type: DataType::Int64 as i32,
            int64_data: values.into(),
            ..Default::default()
        });
    }

    /// Adds `input[start..end]` along the first axis, as the value `output`.
    pub fn slice(&mut self, input: &str, output: &str, start: usize, end: usize) {
        let names = ["starts", "ends", "axes"].map(|part| format!("{output}.{part}"));
        for (name, value) in names.iter().zip([start, end, 0]) {
            self.ints(name, &[value as i64]);
        }
        self.node("Slice", &[input, &names[0], &names[1], &names[2]], output);
    }

    pub fn reshape(&mut self, input: &str, output: &str, shape: &[usize]) {
        let name = format!("{output}.shape");
        let shape: Vec<_> = shape.iter().map(|&size| size as i64).collect();
        self.ints(&name, &shape);
        self.node("Reshape", &[input, &name], output);
    }
}

/// Adds attributes to a node.
pub trait WithAttributes {
    fn int(&mut self, name: &str, value: i64);
    fn ints(&mut self, name: &str, values: &[i64]);
    #[cfg(any(test, feature = "test-support"))]
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

    #[cfg(any(test, feature = "test-support"))]
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
