//! Reads an ONNX file for the import: nodes, attributes, constants, metadata.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use tract_onnx::data_resolver::FopenDataResolver;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{
    GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, ValueInfoProto,
};
use tract_onnx::prelude::*;

use zerda_support::error::{Error, Result};

use crate::guard::{cause, guarded};
use limits::Budget;

mod attention;
mod fake;
mod file;
pub mod limits;
mod wire;
pub use fake::FakeQuantization;

pub struct Onnx {
    /// Float network, which has fake quantization taken out and Attention written out.
    pub graph: GraphProto,
    /// Fake quantization that was taken out, by the output of the Identity that stands in its place.
    pub fakes: HashMap<String, FakeQuantization>,
    /// Values that fake quantization was taken out after.
    pub quantized: HashSet<String>,
    pub metadata: HashMap<String, String>,
    /// Number of nodes and graph outputs that read each value, but for its shape.
    pub uses: HashMap<String, usize>,
    /// Model without its graph, with which constant nodes are evaluated.
    shell: ModelProto,
    tract: tract_onnx::model::Onnx,
    /// Elements that constants may still have.
    pub budget: Budget,
}

impl Onnx {
    pub fn read(path: &Path) -> Result<Onnx> {
        let budget = Budget::default();
        let mut model = file::read(path, &budget)?;
        let mut graph = model.graph.take().unwrap_or_default();
        let metadata = std::mem::take(&mut model.metadata_props);
        let metadata = metadata
            .into_iter()
            .map(|entry| (entry.key, entry.value))
            .collect();
        let in_file = |reason| Error::usage(format!("{}: {reason}", path.display()));
        let fakes = fake::take_out(&mut graph, &budget).map_err(in_file)?;
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
        let taken_out = |node: &&NodeProto| {
            let output = node.output.first();
            output.is_some_and(|output| fakes.contains_key(output))
        };
        let quantized = graph.node.iter().filter(taken_out);
        let quantized = quantized.filter_map(|node| node.input.first().cloned());
        let quantized = quantized.collect();
        let ours = |import: &OperatorSetIdProto| matches!(&*import.domain, "" | "ai.onnx");
        Ok(Onnx {
            graph,
            fakes,
            quantized,
            metadata,
            uses,
            tract: tract_onnx::onnx(),
            shell: ModelProto {
                ir_version: model.ir_version,
                opset_import: model
                    .opset_import
                    .into_iter()
                    .find(ours)
                    .into_iter()
                    .collect(),
                ..Default::default()
            },
            budget,
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

    /// Returns what a node computes from constants, in tract, or `None` for an operator that is not computed of them.
    pub fn evaluate(
        &self,
        node: &NodeProto,
        inputs: &[Arc<Tensor>],
    ) -> Result<Option<Vec<Arc<Tensor>>>, String> {
        let Some(work) = limits::work(node, inputs)? else {
            return Ok(None);
        };
        self.budget.take(work)?;
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
            self.tract
                .model_for_proto_model(&model)?
                .into_runnable()?
                .run(tvec![])
        };
        let outputs = guarded(run).map_err(|error| cause(&error))?;
        if outputs
            .iter()
            .any(|output| output.rank() > limits::MOST_DIMENSIONS)
        {
            return Err(format!("more than {} dimensions", limits::MOST_DIMENSIONS));
        }
        Ok(Some(
            outputs.into_iter().map(TValue::into_arc_tensor).collect(),
        ))
    }
}

fn load(proto: &TensorProto) -> Result<Tensor, String> {
    let tensor = guarded(|| tract_onnx::tensor::load_tensor(&FopenDataResolver, proto, None));
    tensor.map_err(|error| format!("`{}`: {}", proto.name, cause(&error)))
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
    if dims.dim.len() > limits::MOST_DIMENSIONS {
        let (name, count) = (&info.name, dims.dim.len());
        return Err(format!(
            "input `{name}` has {count} dimensions; supported are {}",
            limits::MOST_DIMENSIONS
        ));
    }
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
