//! Reads an ONNX file for the import: nodes, attributes, constants, metadata.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto};
use tract_onnx::prelude::*;

use zerda_support::error::{Error, Result};

mod attention;
mod fake;
pub use fake::FakeQuantization;

pub struct Onnx {
    /// Float network, which has fake quantization taken out and Attention written out.
    pub graph: GraphProto,
    /// Fake quantization that was taken out, by the output of the Identity that stands in its place.
    pub fakes: HashMap<String, FakeQuantization>,
    pub metadata: HashMap<String, String>,
    /// Number of nodes and graph outputs that read each value, but for its shape.
    pub uses: HashMap<String, usize>,
    /// Model without its graph, with which constant nodes are evaluated.
    shell: ModelProto,
}

impl Onnx {
    pub fn read(path: &Path) -> Result<Onnx> {
        let unreadable = |error: TractError| {
            let (path, cause) = (path.display(), error.root_cause().to_string());
            Error::usage(format!("{path}: cannot be read as ONNX: {cause}"))
        };
        let mut shell = tract_onnx::onnx()
            .proto_model_for_path(path)
            .map_err(unreadable)?;
        let Some(mut graph) = shell.graph.take() else {
            return Err(Error::usage(format!(
                "{}: an ONNX file without a graph",
                path.display()
            )));
        };
        let metadata = std::mem::take(&mut shell.metadata_props);
        let metadata = metadata
            .into_iter()
            .map(|entry| (entry.key, entry.value))
            .collect();
        let in_file = |reason| Error::usage(format!("{}: {reason}", path.display()));
        let fakes = fake::take_out(&mut graph).map_err(in_file)?;
        attention::write_out(&mut graph).map_err(in_file)?;
        let mut uses = HashMap::new();
        let outputs = graph.output.iter().map(|output| &output.name);
        for value in graph
            .node
            .iter()
            .filter(|node| node.op_type != "Shape")
            .flat_map(|node| &node.input)
            .chain(outputs)
        {
            *uses.entry(value.clone()).or_default() += 1;
        }
        Ok(Onnx {
            graph,
            fakes,
            metadata,
            uses,
            shell,
        })
    }

    /// Returns the float network as a model.
    pub fn model(&self) -> ModelProto {
        let mut model = self.shell.clone();
        model.graph = Some(self.graph.clone());
        model
    }

    /// Returns the initializers by name, which are weights and other constants.
    pub fn initializers(&self) -> Result<HashMap<String, Arc<Tensor>>, String> {
        let load = |proto: &TensorProto| Ok((proto.name.clone(), Arc::new(load(proto)?)));
        self.graph.initializer.iter().map(load).collect()
    }

    /// Returns what a node computes from constants, in tract.
    pub fn evaluate(
        &self,
        node: &NodeProto,
        inputs: &[Arc<Tensor>],
    ) -> Result<Vec<Arc<Tensor>>, String> {
        let named = node.input.iter().filter(|name| !name.is_empty());
        let initializer = named
            .zip(inputs)
            .map(|(name, tensor)| to_proto(name, tensor));
        let output = |name: &String| ValueInfoProto {
            name: name.clone(),
            ..Default::default()
        };
        let mut model = self.shell.clone();
        model.graph = Some(GraphProto {
            initializer: initializer.collect::<Result<_, _>>()?,
            output: node.output.iter().map(output).collect(),
            node: vec![node.clone()],
            ..Default::default()
        });
        let run = || {
            tract_onnx::onnx()
                .model_for_proto_model(&model)?
                .into_runnable()?
                .run(tvec![])
        };
        let outputs = run().map_err(|e| e.root_cause().to_string())?;
        Ok(outputs.into_iter().map(TValue::into_arc_tensor).collect())
    }
}

fn load(proto: &TensorProto) -> Result<Tensor, String> {
    let provider = tract_onnx::onnx().provider;
    let tensor = tract_onnx::tensor::load_tensor(&*provider, proto, None);
    tensor.map_err(|e| format!("`{}`: {}", proto.name, e.root_cause()))
}

fn to_proto(name: &str, tensor: &Tensor) -> Result<TensorProto, String> {
    let data_type = match tensor.datum_type() {
        DatumType::F32 => DataType::Float,
        DatumType::F64 => DataType::Double,
        DatumType::I32 => DataType::Int32,
        DatumType::I64 => DataType::Int64,
        DatumType::Bool => DataType::Bool,
        other => return Err(format!("constant `{name}` has elements of type {other:?}")),
    };
    Ok(TensorProto {
        name: name.into(),
        dims: tensor.shape().iter().map(|&size| size as i64).collect(),
        data_type: data_type as i32,
        raw_data: tensor.as_bytes().to_vec(),
        ..Default::default()
    })
}

pub fn floats(tensor: &Tensor) -> Result<Vec<f32>, String> {
    let cast = tensor.cast_to::<f32>().map_err(|e| e.to_string())?;
    Ok(cast
        .to_plain_array_view::<f32>()
        .map_err(|e| e.to_string())?
        .iter()
        .copied()
        .collect())
}

pub fn integers(tensor: &Tensor) -> Result<Vec<i64>, String> {
    let cast = tensor.cast_to::<i64>().map_err(|e| e.to_string())?;
    Ok(cast
        .to_plain_array_view::<i64>()
        .map_err(|e| e.to_string())?
        .iter()
        .copied()
        .collect())
}

/// Turns an axis that counts from the end where it is negative into an index of `0..rank`.
pub fn axis(index: i64, rank: usize) -> Result<usize, String> {
    let axis = from_end(index, rank)?;
    let outside = || format!("axis {index} is outside of its {rank} dimensions");
    (axis < rank).then_some(axis).ok_or_else(outside)
}

/// Turns a bound that counts from the end where it is negative into an index of `0..=len`.
pub fn from_end(index: i64, len: usize) -> Result<usize, String> {
    let len = len as i64;
    let absolute = if index < 0 { index + len } else { index };
    if (0..=len).contains(&absolute) {
        Ok(absolute as usize)
    } else {
        Err(format!(
            "{index} is outside of its {len} dimensions or elements"
        ))
    }
}

/// Returns the static shape of a graph input; a dynamic axis is an error.
pub fn input_shape(info: &ValueInfoProto) -> Result<Vec<usize>, String> {
    use tract_onnx::pb::tensor_shape_proto::Dimension;
    use tract_onnx::pb::tensor_shape_proto::dimension::Value::{DimParam, DimValue};
    use tract_onnx::pb::type_proto::Value::TensorType;
    let kind = info.r#type.as_ref().and_then(|kind| kind.value.as_ref());
    let shape = kind.and_then(|TensorType(tensor)| tensor.shape.as_ref());
    let dims = shape.ok_or_else(|| format!("input `{}` has no shape", info.name))?;
    let size = |(axis, dim): (usize, &Dimension)| match &dim.value {
        Some(DimValue(size)) if *size > 0 => Ok(*size as usize),
        other => {
            let named = match other {
                Some(DimParam(name)) => format!(" (`{name}`)"),
                _ => String::new(),
            };
            Err(format!(
                "input `{}` has a dynamic axis {axis}{named}; export it with static shapes: without \
                 `dynamic_axes` (TorchScript) or `dynamic_shapes` (dynamo)",
                info.name
            ))
        }
    };
    dims.dim.iter().enumerate().map(size).collect()
}

/// Reads attributes of tract's nodes, with ONNX's defaults.
pub trait Attributes {
    fn int(&self, name: &str, default: i64) -> Result<i64, String>;
    fn ints(&self, name: &str) -> Result<Option<Vec<i64>>, String>;
    fn float(&self, name: &str, default: f32) -> Result<f32, String>;
}

impl Attributes for NodeProto {
    fn int(&self, name: &str, default: i64) -> Result<i64, String> {
        let value = self.get_attr_opt::<i64>(name).map_err(|e| e.to_string())?;
        Ok(value.unwrap_or(default))
    }

    fn ints(&self, name: &str) -> Result<Option<Vec<i64>>, String> {
        self.get_attr_opt_vec::<i64>(name)
            .map_err(|e| e.to_string())
    }

    fn float(&self, name: &str, default: f32) -> Result<f32, String> {
        let value = self.get_attr_opt::<f32>(name).map_err(|e| e.to_string())?;
        Ok(value.unwrap_or(default))
    }
}
