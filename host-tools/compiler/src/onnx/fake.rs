//! Takes fake quantization (pairs of QuantizeLinear and DequantizeLinear) out of a graph. An Identity takes
//! the place of each pair, so that the network is the float one, and what the pair did is kept beside it.
//! Constants that are stored quantized become float.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto, TensorProto};
use tract_onnx::prelude::Tensor;

use super::limits::{self, Budget};
use super::{Attributes, axis, floats, integers, load};

/// Affine int8 quantization that a tensor has as a whole, or for each index along an axis.
#[derive(Clone, Debug, PartialEq)]
pub struct FakeQuantization {
    pub scales: Vec<f32>,
    /// Zero points, which are those of int8 also where the ONNX says uint8.
    pub zero_points: Vec<i64>,
    /// Axis as the ONNX has it: negative from the end. It has no meaning where there is one scale.
    pub axis: i64,
}

/// Takes the pairs out and returns what they did, by the name of their output.
pub fn take_out(
    graph: &mut GraphProto,
    budget: &Budget,
) -> Result<HashMap<String, FakeQuantization>, String> {
    let constants = Constants::of(graph, budget);
    let quantizers: HashMap<String, NodeProto> = graph
        .node
        .iter()
        .filter(|node| node.op_type == "QuantizeLinear" && !node.output.is_empty())
        .map(|node| (node.output[0].clone(), node.clone()))
        .collect();
    let (mut fakes, mut stored) = (HashMap::new(), Vec::new());
    for node in &mut graph.node {
        let [Some(input), Some(output)] = [node.input.first(), node.output.first()] else {
            continue;
        };
        if node.op_type != "DequantizeLinear" {
            continue;
        }
        let (input, output) = (input.clone(), output.clone());
        let at = |reason| format!("node `{}` ({}): {reason}", node.name, node.op_type);
        let float = if let Some(quantizer) = quantizers.get(&input) {
            let fake = constants.quantization(quantizer, None).map_err(at)?;
            if constants.quantization(node, None).map_err(at)? != fake {
                return Err(at(
                    "its scale or zero point is not the QuantizeLinear's".into()
                ));
            }
            fakes.insert(output.clone(), fake);
            quantizer.input[0].clone()
        } else if let Some(integers) = constants.get(&input) {
            let data_type = integers.data_type;
            let tensor = constants.float(node, integers).map_err(at)?;
            if data_type != DataType::Int32 as i32 {
                let fake = constants.quantization(node, Some(data_type)).map_err(at)?;
                fakes.insert(output.clone(), fake);
            }
            stored.push(tensor);
            format!("{output}.float")
        } else {
            continue;
        };
        *node = NodeProto {
            name: node.name.clone(),
            op_type: "Identity".into(),
            input: vec![float],
            output: vec![output],
            ..Default::default()
        };
    }
    graph.initializer.extend(stored);
    let read: HashSet<String> = graph
        .node
        .iter()
        .flat_map(|node| node.input.clone())
        .collect();
    let needed = |node: &NodeProto| {
        node.op_type != "QuantizeLinear" || node.output.iter().any(|output| read.contains(output))
    };
    graph.node.retain(needed);
    Ok(fakes)
}

/// Constants that a graph has by name: initializers, outputs of Constant nodes, and Identities of them.
struct Constants<'a> {
    tensors: HashMap<String, Arc<TensorProto>>,
    budget: &'a Budget,
}

impl Constants<'_> {
    fn of<'a>(graph: &GraphProto, budget: &'a Budget) -> Constants<'a> {
        let named = |tensor: &TensorProto| (tensor.name.clone(), Arc::new(tensor.clone()));
        let mut tensors: HashMap<_, _> = graph.initializer.iter().map(named).collect();
        for node in &graph.node {
            let value = match node.op_type.as_str() {
                "Constant" => {
                    let value = |attribute: &AttributeProto| attribute.name == "value";
                    let attribute = node.attribute.iter().find(|attribute| value(attribute));
                    attribute.and_then(|attribute| attribute.t.clone().map(Arc::new))
                }
                "Identity" => node
                    .input
                    .first()
                    .and_then(|name| tensors.get(name))
                    .cloned(),
                _ => None,
            };
            if let (Some(value), Some(output)) = (value, node.output.first()) {
                tensors.insert(output.clone(), value);
            }
        }
        Constants { tensors, budget }
    }

    fn get(&self, name: &str) -> Option<&TensorProto> {
        self.tensors.get(name).map(Arc::as_ref)
    }

    fn load(&self, tensor: &TensorProto) -> Result<Tensor, String> {
        let sizes = tensor.dims.iter().map(|&size| size.max(0) as u64);
        self.budget.take(limits::product(sizes))?;
        load(tensor)
    }

    /// Returns what a node's scale, zero point and attributes say. `data_type` is that of the integers
    /// where the zero point does not tell it.
    fn quantization(
        &self,
        node: &NodeProto,
        data_type: Option<i32>,
    ) -> Result<FakeQuantization, String> {
        let constant = |input: usize, what: &str| {
            let name = node.input.get(input).filter(|name| !name.is_empty());
            let constant = name.map(|name| {
                let missing = || format!("its {what} `{name}` is not a constant");
                self.get(name).ok_or_else(missing)
            });
            constant.transpose()
        };
        let scales = floats(&self.load(constant(1, "scale")?.ok_or("it has no scale")?)?)?;
        let zero_point = constant(2, "zero point")?;
        let default = match node.int("output_dtype", 0)? as i32 {
            0 => DataType::Uint8 as i32,
            given => given,
        };
        let data_type = zero_point.map_or(data_type.unwrap_or(default), |zero| zero.data_type);
        let unsigned = match DataType::try_from(data_type) {
            Ok(DataType::Int8) => 0,
            Ok(DataType::Uint8) => 128,
            other => {
                let name = other.map_or(format!("type {data_type}"), |other| format!("{other:?}"));
                let name = name.to_lowercase();
                return Err(format!(
                    "it quantizes to {name}; supported are int8 and uint8"
                ));
            }
        };
        if node.int("block_size", 0)? != 0 {
            return Err(
                "it quantizes in blocks; supported is one scale a tensor or channel".into(),
            );
        }
        let zero_points = match zero_point {
            Some(zero) => integers(&self.load(zero)?)?,
            None => vec![0; scales.len()],
        };
        let zero_points: Vec<_> = zero_points.iter().map(|zero| zero - unsigned).collect();
        let positive = scales.iter().all(|&scale| scale.is_finite() && scale > 0.0);
        if !positive || scales.is_empty() || scales.len() != zero_points.len() {
            return Err("its scales must be positive, with a zero point each".into());
        }
        Ok(FakeQuantization {
            scales,
            zero_points,
            axis: node.int("axis", 1)?,
        })
    }

    /// Returns the floats that a DequantizeLinear makes of stored integers.
    fn float(&self, node: &NodeProto, stored: &TensorProto) -> Result<TensorProto, String> {
        let tensor = self.load(stored)?;
        let known = [DataType::Int8, DataType::Uint8, DataType::Int32];
        let (scales, zero_points) = match known.map(|t| t as i32).contains(&stored.data_type) {
            true if stored.data_type == DataType::Int32 as i32 => {
                let scale = node.input.get(1).and_then(|name| self.get(name));
                let scales = floats(&self.load(scale.ok_or("its scale is not a constant")?)?)?;
                let zero_points = vec![0; scales.len()];
                (scales, zero_points)
            }
            _ => {
                let fake = self.quantization(node, Some(stored.data_type))?;
                (fake.scales, fake.zero_points)
            }
        };
        let unsigned = i64::from(stored.data_type == DataType::Uint8 as i32) * 128;
        let inner = match scales.len() {
            1 => tensor.len(),
            count => along(&tensor, node.int("axis", 1)?, count)?,
        };
        let value = |(index, integer): (usize, &i64)| {
            let channel = index / inner % scales.len();
            (integer - unsigned - zero_points[channel]) as f32 * scales[channel]
        };
        let values: Vec<f32> = integers(&tensor)?.iter().enumerate().map(value).collect();
        Ok(TensorProto {
            name: format!("{}.float", node.output[0]),
            dims: stored.dims.clone(),
            data_type: DataType::Float as i32,
            float_data: values,
            ..Default::default()
        })
    }
}

/// Returns how many elements lie between two neighbouring indices along an axis of `count`.
fn along(tensor: &Tensor, of: i64, count: usize) -> Result<usize, String> {
    let axis = axis(of, tensor.rank())?;
    match tensor.shape()[axis] == count {
        true => Ok(tensor.shape()[axis + 1..].iter().product()),
        false => Err(format!(
            "it has {count} scales for axis {axis} of {:?}",
            tensor.shape()
        )),
    }
}
