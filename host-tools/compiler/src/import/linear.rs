//! Imports linear layers, and folds affines into them.

use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::Tensor as Constant;
use zerda_quantize::graph::{LinearKind, UNCLAMPED, uniform};

use super::{Id, Importer, Linear, Op, Operand, Place, Reason, Value};
use crate::onnx::{Attributes, floats};
use crate::view::{Dim, View};

/// Affine map that computes `x * scale + shift`, one of each for every column of the tensor.
#[derive(Clone)]
pub(super) struct Affine {
    pub scale: Vec<f32>,
    pub shift: Vec<f32>,
}

/// Weights [N, K] of a linear, with the scales that are given for them, one for each output channel.
struct Weights {
    values: Vec<f32>,
    scales: Option<Vec<f32>>,
}

impl Importer<'_> {
    pub(super) fn gemm(&mut self, node: &NodeProto) -> Reason<Value> {
        let mut input = self.operand(node, 0)?;
        if node.int("transA", 0)? != 0 {
            if input.view.dims.len() != 2 {
                return Err("its input must have two dimensions".into());
            }
            input.view = input.view.transpose(&[1, 0]);
        }
        let alpha = node.float("alpha", 1.0)?;
        let transposed = node.int("transB", 0)? != 0;
        let mut weights = self.weights(node, transposed)?;
        weights
            .values
            .iter_mut()
            .for_each(|weight| *weight *= alpha);
        if alpha != 1.0 {
            weights.scales = None;
        }
        let bias = match self.constant(node, 2)? {
            Some(bias) => floats(&bias)?,
            None => vec![0.0],
        };
        let beta = node.float("beta", 1.0)?;
        self.dense(
            node,
            input,
            weights,
            bias.iter().map(|bias| bias * beta).collect(),
        )
    }

    pub(super) fn mat_mul(&mut self, node: &NodeProto) -> Reason<Value> {
        match self.take(node, 1)? {
            Value::Constant(_) => {
                let (input, weights) = (self.operand(node, 0)?, self.weights(node, false)?);
                self.dense(node, input, weights, vec![0.0])
            }
            _ => self.product(node),
        }
    }

    /// Returns a node's constant weights as [N, K]; the node has them as [K, N] unless `transposed`.
    fn weights(&self, node: &NodeProto, transposed: bool) -> Reason<Weights> {
        let weights = self.constant(node, 1)?.ok_or("it has no weights")?;
        let values = matrix(&weights, transposed)?;
        let along = usize::from(!transposed);
        let scales = self.scales_of(node, 1, weights.shape()[along], along)?;
        Ok(Weights { values, scales })
    }

    /// Adds a dense linear: `weights` are [N, K]; `bias` has N values, or one for all.
    fn dense(
        &mut self,
        node: &NodeProto,
        input: Operand,
        weights: Weights,
        bias: Vec<f32>,
    ) -> Reason<Value> {
        let id = self.rows(&input)?;
        let (rows, taps) = self.shape(id);
        let count = weights.values.len();
        let channels = count / taps;
        let bias = match bias.len() {
            1 => vec![bias[0]; channels],
            count if count == channels => bias,
            count => return Err(format!("a bias of {count} values; expected {channels}")),
        };
        if channels == 0 || channels * taps != count {
            return Err(format!("weights for another number of columns than {taps}"));
        }
        let mut shape = input.view.shape();
        shape.pop();
        shape.push(channels);
        let view = View::all(0, rows, channels)
            .reshape(&shape)
            .ok_or("its rows are not rows")?;
        Ok(self.linear(
            node,
            LinearKind::Dense,
            (id, input.affine),
            weights,
            bias,
            (rows, view),
        ))
    }

    /// Imports a causal depthwise convolution over the rows of a window, or a pointwise one.
    pub(super) fn conv(&mut self, node: &NodeProto) -> Reason<Value> {
        const SUPPORTED: &str = "supported is a Conv over frames, of input [1, channels, frames]: depthwise \
                                 (weights [channels, 1, kernel], group = channels; what is before the first \
                                 frame comes from a cache) or pointwise (weights [N, channels, 1]), without \
                                 padding, stride or dilation";
        let mut input = self.operand(node, 0)?;
        let weights = self.constant(node, 1)?.ok_or(SUPPORTED)?;
        let (&[1, channels, frames], &[out, group, kernel]) =
            (&input.view.shape()[..], weights.shape())
        else {
            return Err(SUPPORTED.into());
        };
        let plain = |name: &str, value: i64| -> Reason<bool> {
            Ok(node
                .ints(name)?
                .is_none_or(|values| values.iter().all(|&other| other == value)))
        };
        let padding = node
            .get_attr_opt::<&str>("auto_pad")
            .map_err(|e| e.to_string())?;
        let unpadded = plain("pads", 0)? && matches!(padding, None | Some("NOTSET" | "VALID"));
        if !unpadded {
            let pads = node.ints("pads")?.unwrap_or_default();
            return Err(format!("it is padded {pads:?}; {SUPPORTED}"));
        }
        if !(plain("strides", 1)? && plain("dilations", 1)?) {
            return Err(SUPPORTED.into());
        }
        let (groups, taps) = (node.int("group", 1)?, floats(&weights)?);
        let scales = self.scales_of(node, 1, out, 0)?;
        let bias = match self.constant(node, 2)? {
            Some(bias) => floats(&bias)?,
            None => vec![0.0; out],
        };
        input.view = input.view.transpose(&[0, 2, 1]);
        if (groups, group, kernel) == (1, channels, 1) {
            let values = taps;
            let value = self.dense(node, input, Weights { values, scales }, bias)?;
            return match value {
                Value::Tensor(operand) => {
                    let view = operand.view.transpose(&[0, 2, 1]);
                    Ok(Value::Tensor(Operand { view, ..operand }))
                }
                other => Ok(other),
            };
        }
        if (out, groups, group) != (channels, channels as i64, 1)
            || !(1..=frames).contains(&kernel)
            || bias.len() != channels
        {
            return Err(SUPPORTED.into());
        }
        let tap = |i: usize| taps[i % channels * kernel + i / channels];
        let values = (0..taps.len()).map(tap).collect();
        let weights = Weights { values, scales };
        let id = self.rows(&input)?;
        let rows = frames - kernel + 1;
        let view = View::strided(0, &[(1, 0), (channels, 1), (rows, channels)]);
        Ok(self.linear(
            node,
            LinearKind::Depthwise,
            (id, input.affine),
            weights,
            bias,
            (rows, view),
        ))
    }

    fn linear(
        &mut self,
        node: &NodeProto,
        kind: LinearKind,
        (input, affine): (Id, Option<Affine>),
        Weights { values, scales }: Weights,
        bias: Vec<f32>,
        (rows, view): (usize, View),
    ) -> Value {
        let (output, value) = self.computed(&node.output[0], rows, bias.len(), view);
        let mut linear = Linear {
            kind,
            input,
            output,
            weights: values,
            bias,
            clamp: UNCLAMPED,
            scales,
        };
        if let Some(Affine { scale, shift }) = affine {
            let given = linear.scales.is_some();
            linear.after_affine(&scale, &shift);
            if given && linear.scales.is_none() {
                let why = "weights that a norm's scale before them was folded into";
                self.graph.left_out.push((node.output[0].clone(), why));
            }
        }
        self.graph.ops.push(Op::Linear(linear));
        value
    }

    /// Puts an operand through a linear of one weight a channel, which takes in what is still to be
    /// applied.
    pub(super) fn channelwise(&mut self, name: &str, operand: Operand) -> Reason<Operand> {
        let (input, view) = self.elementwise(&operand)?;
        let (rows, cols) = self.shape(input);
        let Affine { scale, shift } = operand.affine.unwrap_or_else(|| Affine {
            scale: vec![1.0; cols],
            shift: vec![0.0; cols],
        });
        let output = self.add_tensor(rows, cols, Place::Own);
        let linear = Linear::channelwise(input, output, scale, shift);
        self.graph.ops.push(Op::Linear(linear));
        Ok(self.named_operand(
            name,
            View {
                tensor: output,
                ..view
            },
        ))
    }

    /// Computes the columns of a dense linear that an operand sees in a linear of their own; returns any
    /// other operand as it is.
    pub(super) fn narrowed(&mut self, name: &str, operand: Operand) -> Operand {
        let (tensor, view) = (operand.view.tensor, &operand.view);
        let (rows, cols) = self.shape(tensor);
        let long = || view.dims.iter().filter(|dim| dim.size > 1);
        let within: Vec<&Dim> = long().filter(|dim| dim.stride < cols).collect();
        let count: usize = within.iter().map(|dim| dim.size).product();
        let last: usize = within.iter().map(|dim| (dim.size - 1) * dim.stride).sum();
        let first = view.offset % cols;
        let across = long().all(|dim| dim.stride < cols || dim.stride.is_multiple_of(cols));
        if count == cols || last + 1 != count || first + count > cols || !across {
            return operand;
        }
        let dense = self.graph.ops.iter().rev().find_map(|op| match op {
            Op::Linear(linear) if linear.output == tensor => Some(linear),
            _ => None,
        });
        let Some(dense) = dense.filter(|linear| linear.kind == LinearKind::Dense) else {
            return operand;
        };
        let (taps, part) = (dense.taps(), first..first + count);
        let mut narrow = Linear {
            weights: dense.weights[part.start * taps..part.end * taps].to_vec(),
            bias: dense.bias[part.clone()].to_vec(),
            scales: dense
                .scales
                .as_ref()
                .map(|scales| scales[part.clone()].to_vec()),
            ..dense.clone()
        };
        narrow.output = self.add_tensor(rows, count, Place::Own);
        if self.given.contains(&tensor) {
            self.given.insert(narrow.output);
            self.graph.tensors[narrow.output].fixed = self.graph.tensors[tensor].fixed;
        }
        let narrowed = |dim: &Dim| match dim.stride < cols {
            true => *dim,
            false => Dim {
                size: dim.size,
                stride: dim.stride / cols * count,
            },
        };
        let view = View {
            tensor: narrow.output,
            offset: view.offset / cols * count,
            dims: view.dims.iter().map(narrowed).collect(),
        };
        self.graph.ops.push(Op::Linear(narrow));
        let affine = operand.affine.map(|Affine { scale, shift }| Affine {
            scale: scale[part.clone()].to_vec(),
            shift: shift[part.clone()].to_vec(),
        });
        let whole = self.named_operand(name, view);
        Operand { affine, ..whole }
    }

    /// Returns the linear that computes an operand, if that may still be changed.
    pub(super) fn linear_of(&mut self, operand: &Operand) -> Option<&mut Linear> {
        let linear = |op| match op {
            &mut Op::Linear(ref mut linear) if linear.output == operand.view.tensor => Some(linear),
            _ => None,
        };
        let open = operand.sole && operand.affine.is_none();
        let mut ops = self.graph.ops.iter_mut().rev();
        ops.find_map(linear).filter(|_| open)
    }

    /// Folds an affine into the linear before it, or leaves it to the linear after it.
    pub(super) fn apply(&mut self, name: &str, operand: Operand, affine: Affine) -> Value {
        let tensor = operand.view.tensor;
        if self.graph.tensors[tensor].fixed.is_some() {
            // What has a range given keeps it, but for another unit.
            let factor = uniform(&affine.scale).filter(|_| uniform(&affine.shift) == Some(0.0));
            let factor = factor.filter(|&factor| factor > 0.0);
            let open = self.linear_of(&operand).is_some();
            if let Some(factor) = factor.filter(|_| open) {
                self.scale_linear(tensor, factor);
                return self.named(name, operand.view);
            }
        } else if let Some(linear) = self.linear_of(&operand) {
            linear.then_affine(&affine.scale, &affine.shift);
            return self.named(name, operand.view);
        }
        let affine = match operand.affine {
            None => affine,
            Some(before) => Affine {
                scale: zip(&before.scale, &affine.scale, |a, b| a * b),
                shift: zip(
                    &zip(&before.shift, &affine.scale, |a, b| a * b),
                    &affine.shift,
                    |a, b| a + b,
                ),
            },
        };
        Value::Tensor(Operand {
            affine: Some(affine),
            ..operand
        })
    }

    pub(super) fn batch_norm(&mut self, node: &NodeProto) -> Reason<Value> {
        let operand = self.operand(node, 0)?;
        let cols = self.graph.tensors[operand.view.tensor].cols;
        if operand
            .view
            .dims
            .get(1)
            .is_none_or(|dim| dim.stride != 1 || dim.size != cols)
        {
            return Err("supported is a BatchNormalization over the channels (axis 1)".into());
        }
        let mut parameters = Vec::new();
        for input in 1..5 {
            parameters.push(floats(
                &*self.constant(node, input)?.ok_or("it lacks a parameter")?,
            )?);
        }
        let [weight, bias, mean, variance] = &parameters[..] else {
            return Err("it lacks a parameter".into());
        };
        if parameters.iter().any(|parameter| parameter.len() != cols) {
            return Err(format!(
                "parameters for another number of channels than {cols}"
            ));
        }
        let epsilon = node.float("epsilon", 1e-5)?;
        let scale = zip(weight, variance, |weight, variance| {
            weight / (variance + epsilon).sqrt()
        });
        let shift = zip(
            bias,
            &zip(mean, &scale, |mean, scale| mean * scale),
            |a, b| a - b,
        );
        Ok(self.apply(&node.output[0], operand, Affine { scale, shift }))
    }
}

/// Returns constant weights as [N, K]; ONNX has them as [K, N] unless `transposed`.
fn matrix(weights: &Constant, transposed: bool) -> Reason<Vec<f32>> {
    let &[rows, cols] = weights.shape() else {
        return Err(format!(
            "weights {:?}; supported are two dimensions",
            weights.shape()
        ));
    };
    let values = floats(weights)?;
    match transposed {
        true => Ok(values),
        false => Ok((0..rows * cols)
            .map(|i| values[i % rows * cols + i / rows])
            .collect()),
    }
}

fn zip(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) -> Vec<f32> {
    a.iter().zip(b).map(|(&a, &b)| f(a, b)).collect()
}
