//! Describes the operators of an image for people: name, shape, work, constants.

use zerda_firmware::Image;
use zerda_firmware::plan::{Dense, Element, Op, Tensor, TensorId};

/// Returns an operator's name and the shape of its work.
pub fn describe(image: &Image<'_>, op: Op) -> (&'static str, String) {
    let shape = |id: TensorId| match image.tensor(id) {
        Some(tensor) => format!("{}x{}", tensor.rows, tensor.cols),
        None => String::new(),
    };
    let output = shape(op.output());
    match op {
        Op::FullyConnected(dense) => (
            "FullyConnected",
            format!("{} -> {output}", shape(dense.input)),
        ),
        Op::DepthwiseConv(dense) => (
            "DepthwiseConv",
            format!("{output}, taps {}", shape(dense.weights)),
        ),
        Op::Add { .. } => ("Add", output),
        Op::Mul { .. } => ("Mul", output),
        Op::Lookup { .. } => ("Lookup", output),
        Op::Scores { .. } => ("Scores", output),
        Op::Softmax { .. } => ("Softmax", output),
        Op::Context { .. } => ("Context", output),
    }
}

/// Returns the activations and constants that an operator computes with, in the order of its formula, then
/// its output; weights, biases and tables are left out.
pub fn operands(op: Op) -> Vec<TensorId> {
    match op {
        Op::FullyConnected(dense) | Op::DepthwiseConv(dense) => vec![dense.input, dense.output],
        Op::Lookup { input, output, .. } | Op::Softmax { input, output, .. } => vec![input, output],
        Op::Add { a, b, output, .. } | Op::Mul { a, b, output, .. } => vec![a, b, output],
        Op::Scores {
            query, key, output, ..
        } => vec![query, key, output],
        Op::Context {
            probs,
            value,
            output,
            ..
        } => vec![probs, value, output],
    }
}

/// Returns the multiply-accumulates of an operator in steady state: only linears, convolutions and
/// attention have any.
pub fn macs(image: &Image<'_>, op: Op) -> u64 {
    let rows = |id: TensorId| image.tensor(id).map_or(0, |tensor| u64::from(tensor.rows));
    let cols = |id: TensorId| image.tensor(id).map_or(0, |tensor| u64::from(tensor.cols));
    match op {
        Op::FullyConnected(dense) | Op::DepthwiseConv(dense) => {
            rows(dense.output) * rows(dense.weights) * cols(dense.weights)
        }
        Op::Scores { query, key, .. } => rows(query) * rows(key) * cols(query),
        Op::Context { value, output, .. } => rows(output) * rows(value) * cols(output),
        Op::Add { .. } | Op::Mul { .. } | Op::Lookup { .. } | Op::Softmax { .. } => 0,
    }
}

/// Returns the multiply-accumulates of one step in steady state.
pub fn macs_per_step(image: &Image<'_>) -> u64 {
    image.ops().map(|op| macs(image, op)).sum()
}

/// Returns the constants that an operator reads, and the kind of each.
pub fn constants(image: &Image<'_>, op: Op) -> Vec<(&'static str, Tensor)> {
    let operands = match op {
        Op::FullyConnected(dense) | Op::DepthwiseConv(dense) => vec![
            ("weights", dense.weights),
            ("biases", dense.bias),
            ("multipliers", dense.multiplier),
            ("multipliers", dense.shift),
        ],
        Op::Lookup { table, .. } => vec![("tables", table)],
        Op::Add { a, b, .. } | Op::Mul { a, b, .. } => vec![("operands", a), ("operands", b)],
        Op::Scores { .. } | Op::Softmax { .. } | Op::Context { .. } => Vec::new(),
    };
    let tensors = operands
        .into_iter()
        .filter_map(|(kind, id)| Some((kind, image.tensor(id)?)));
    tensors.filter(|(_, tensor)| tensor.is_constant()).collect()
}

/// Returns the scale of each channel's weights: the multipliers hold it, in more bits than it had.
pub fn weight_scales(image: &Image<'_>, dense: &Dense) -> Option<Vec<f32>> {
    let scale = |id| Some(f64::from(image.tensor(id)?.scale));
    let ratio = scale(dense.output)? / scale(dense.input)?;
    let multipliers = image.constant_i32(image.tensor(dense.multiplier)?);
    let shifts = image.constant_i8(image.tensor(dense.shift)?);
    let scale = |(&multiplier, &shift): (&i32, &i8)| {
        let real = f64::from(multiplier) * f64::from(i32::from(shift) - 31).exp2();
        (real * ratio) as f32
    };
    Some(multipliers.iter().zip(shifts).map(scale).collect())
}

/// Returns the number of bytes that a tensor's elements take.
pub fn bytes(tensor: Tensor) -> usize {
    let element = match tensor.element {
        Element::I8 => 1,
        Element::I32 | Element::F32 => 4,
    };
    tensor.len() * element
}
