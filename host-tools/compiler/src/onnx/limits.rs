//! Limits what an ONNX file may ask for, so that any bytes are answered within seconds and in bounded memory.

use std::cell::Cell;
use std::sync::Arc;

use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto};
use tract_onnx::prelude::Tensor;

use super::{Attributes, axis, integers};

/// Largest size of an ONNX file, in bytes; weights that lie beside it do not count.
pub const MOST_BYTES: u64 = 64 << 20;

/// Largest number of nodes. Exporters write some 60 for a layer.
pub const MOST_NODES: usize = 10_000;

/// An ONNX file's messages take no more bytes in memory than these, a quarter of which its weights may be; lists that grow
/// may take a few times theirs.
pub const MOST_DECODED_BYTES: u64 = 4 * MOST_BYTES;

/// Largest number of elements that all constants have together, those that are computed of others included: 256 MiB in
/// float32.
pub const MOST_ELEMENTS: u64 = 64 << 20;

/// Largest number of dimensions that a tensor has.
pub const MOST_DIMENSIONS: usize = 8;

/// Largest number of integers in an attribute, or in a constant that is a shape, axes or bounds.
const MOST_INTEGERS: usize = 64;

/// Elements that constants may still have.
pub struct Budget(Cell<u64>);

impl Default for Budget {
    fn default() -> Budget {
        Budget(Cell::new(MOST_ELEMENTS))
    }
}

impl Budget {
    pub fn take(&self, elements: u64) -> Result<(), String> {
        match self.0.get().checked_sub(elements) {
            Some(rest) => {
                self.0.set(rest);
                Ok(())
            }
            None => Err(format!(
                "its constants, with those that are computed of them, have more than {MOST_ELEMENTS} elements, which is \
                 the most that is supported"
            )),
        }
    }
}

/// Checks the number of integers in attributes, and that no value is computed twice.
pub fn check(graph: &GraphProto) -> Result<(), String> {
    let attributes = graph.node.iter().flat_map(|node| &node.attribute);
    let long = |attribute: &&AttributeProto| attribute.ints.len() > MOST_INTEGERS;
    if let Some(attribute) = attributes.into_iter().find(long) {
        return Err(format!(
            "an attribute `{}` of {} integers; supported are {MOST_INTEGERS}",
            attribute.name,
            attribute.ints.len()
        ));
    }
    let outputs = graph.node.iter().flat_map(|node| &node.output);
    let inputs = graph.input.iter().map(|input| &input.name);
    let mut seen = std::collections::HashSet::new();
    for name in outputs.chain(inputs).filter(|name| !name.is_empty()) {
        if !seen.insert(name) {
            return Err(format!("the value `{name}` is computed or declared twice"));
        }
    }
    Ok(())
}

/// Returns the most elements or products that a node computes of constants, or `None` for an operator that is not
/// computed of constants.
pub fn work(node: &NodeProto, inputs: &[Arc<Tensor>]) -> Result<Option<u64>, String> {
    let read = inputs.iter().map(|input| input.len() as u64).sum::<u64>();
    let input = |index: usize| {
        let input = inputs.get(index);
        input.ok_or_else(|| format!("it has no input {index}"))
    };
    // Elements of all inputs, broadcast to each other.
    let broadcast = |shapes: &[Vec<u64>]| {
        let rank = shapes.iter().map(Vec::len).max().unwrap_or(0);
        let from_end = |axis| {
            shapes
                .iter()
                .filter_map(move |shape| shape.iter().rev().nth(axis))
        };
        product((0..rank).map(|axis| from_end(axis).copied().max().unwrap_or(1)))
    };
    let shape = |tensor: &Arc<Tensor>| tensor.shape().iter().map(|&size| size as u64).collect();
    let shapes: Vec<Vec<u64>> = inputs.iter().map(shape).collect();
    let work = match node.op_type.as_str() {
        "Constant" | "Identity" | "Cast" | "CastLike" | "Flatten" | "Transpose" | "Concat"
        | "Split" | "Shape" | "Size" | "Neg" | "Abs" | "Sqrt" | "Reciprocal" | "Exp" | "Log"
        | "Floor" | "Ceil" | "Round" | "Sign" | "Sin" | "Cos" | "Tanh" | "Erf" | "Sigmoid"
        | "Relu" | "Clip" | "HardSwish" | "HardSigmoid" | "Not" | "IsNaN" | "IsInf" | "Softmax"
        | "LogSoftmax" | "ReduceMean" | "ReduceSum" | "ReduceProd" | "ReduceMax" | "ReduceMin"
        | "ReduceSumSquare" | "ReduceL2" | "ArgMax" | "ArgMin" | "Trilu" | "CumSum"
        | "ScatterND" | "ScatterElements" | "GatherElements" | "QuantizeLinear"
        | "DequantizeLinear" | "BatchNormalization" | "LayerNormalization" | "Dropout" => read,
        "Reshape" | "Squeeze" | "Unsqueeze" | "Slice" => {
            inputs.iter().skip(1).try_for_each(few)?;
            read
        }
        "Add" | "Sub" | "Mul" | "Div" | "Mod" | "Pow" | "Min" | "Max" | "Sum" | "Mean"
        | "Equal" | "Less" | "Greater" | "LessOrEqual" | "GreaterOrEqual" | "And" | "Or"
        | "Xor" | "Where" => broadcast(&shapes).saturating_mul(inputs.len() as u64),
        "Gather" => {
            let (data, indices) = (input(0)?, input(1)?);
            let axis = axis(node.int("axis", 0)?, data.rank())?;
            let slice = data.len() / data.shape()[axis].max(1);
            (slice as u64).saturating_mul(indices.len() as u64)
        }
        // A product for each row of one with each column of the other, which is more than there are where there are batches.
        "MatMul" | "Gemm" => {
            let (a, b) = (input(0)?, input(1)?);
            let inner = match node.int("transA", 0)? {
                0 => a.shape().last(),
                _ => a.shape().first(),
            };
            let products = (a.len() as u64).saturating_mul(b.len() as u64);
            products / inner.map_or(1, |&inner| inner.max(1) as u64)
        }
        "Expand" => {
            few(input(1)?)?;
            let wanted = integers(input(1)?)?;
            broadcast(&[
                shapes[0].clone(),
                wanted.iter().map(|&size| size.max(1) as u64).collect(),
            ])
        }
        "ConstantOfShape" => {
            few(input(0)?)?;
            product(integers(input(0)?)?.iter().map(|&size| size.max(0) as u64))
        }
        "Tile" => {
            few(input(1)?)?;
            let repeats = integers(input(1)?)?;
            product(repeats.iter().map(|&times| times.max(1) as u64)).saturating_mul(read)
        }
        "Pad" => {
            few(input(1)?)?;
            let padding = integers(input(1)?)?
                .iter()
                .fold(0u64, |sum, pad| sum.saturating_add(pad.unsigned_abs()));
            product(shapes[0].iter().map(|size| size.saturating_add(padding)))
        }
        "Range" => {
            let number = |index| -> Result<f64, String> {
                let number = input(index)?.cast_to_scalar::<f64>();
                number.map_err(|error| error.to_string())
            };
            let steps = (number(1)? - number(0)?) / number(2)?;
            if steps.is_nan() {
                return Err("bounds or a step that are no numbers".into());
            }
            steps.max(0.0) as u64
        }
        _ => return Ok(None),
    };
    Ok(Some(work.saturating_add(read)))
}

fn few(integers: &Arc<Tensor>) -> Result<(), String> {
    match integers.len() {
        0..=MOST_INTEGERS => Ok(()),
        count => Err(format!(
            "a shape, axes or bounds of {count} integers; supported are {MOST_INTEGERS}"
        )),
    }
}

/// Returns the product, or the largest number where it is larger.
pub fn product(sizes: impl IntoIterator<Item = u64>) -> u64 {
    let mut product = 1u64;
    let mut empty = false;
    for size in sizes {
        empty |= size == 0;
        product = product.saturating_mul(size.max(1));
    }
    if empty { 0 } else { product }
}
