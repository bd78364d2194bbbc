//! Linear layers, the affines folded into them, and the two matrix products of attention.

use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::Tensor as Constant;

use super::{Id, Importer, Linear, Op, Operand, Reason, Value};
use crate::compiler::graph::{LinearKind, UNCLAMPED};
use crate::compiler::onnx::{Attributes, floats};
use crate::compiler::view::View;

/// `x * scale + shift`, one each for a column of the tensor.
#[derive(Clone)]
pub(super) struct Affine {
    pub scale: Vec<f32>,
    pub shift: Vec<f32>,
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
        let weights = self.constant(node, 1)?.ok_or("it has no weights")?;
        let mut weights = matrix(&weights, node.int("transB", 0)? != 0)?;
        weights.iter_mut().for_each(|weight| *weight *= alpha);
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
            Value::Constant(weights) => {
                let (input, weights) = (self.operand(node, 0)?, matrix(&weights, false)?);
                self.dense(node, input, weights, vec![0.0])
            }
            _ => self.attention(node),
        }
    }

    /// `weights` are [N, K]; `bias` has N values, or one for all.
    fn dense(
        &mut self,
        node: &NodeProto,
        input: Operand,
        weights: Vec<f32>,
        bias: Vec<f32>,
    ) -> Reason<Value> {
        let id = self.rows(&input)?;
        let (rows, taps) = (self.graph.tensors[id].rows, self.graph.tensors[id].cols);
        let channels = weights.len() / taps;
        let bias = match bias.len() {
            1 => vec![bias[0]; channels],
            count if count == channels => bias,
            count => return Err(format!("a bias of {count} values; expected {channels}")),
        };
        if channels == 0 || channels * taps != weights.len() {
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

    /// A causal depthwise convolution over the rows of a window.
    pub(super) fn conv(&mut self, node: &NodeProto) -> Reason<Value> {
        const SUPPORTED: &str = "supported is a depthwise Conv over frames: input [1, channels, frames], \
                                 weights [channels, 1, kernel], group = channels, no padding, stride or dilation";
        let mut input = self.operand(node, 0)?;
        let weights = self.constant(node, 1)?.ok_or(SUPPORTED)?;
        let (&[1, channels, frames], &[out, 1, kernel]) =
            (&input.view.shape()[..], weights.shape())
        else {
            return Err(SUPPORTED.into());
        };
        let plain = |name: &str, value: i64| -> Reason<bool> {
            Ok(node
                .ints(name)?
                .is_none_or(|values| values.iter().all(|&other| other == value)))
        };
        if out != channels
            || node.int("group", 1)? != channels as i64
            || frames < kernel
            || !(plain("strides", 1)? && plain("dilations", 1)? && plain("pads", 0)?)
        {
            return Err(SUPPORTED.into());
        }
        let taps = floats(&weights)?;
        let tap = |i: usize| taps[i % channels * kernel + i / channels];
        let weights = (0..taps.len()).map(tap).collect();
        let bias = match self.constant(node, 2)? {
            Some(bias) => floats(&bias)?,
            None => vec![0.0; channels],
        };
        if bias.len() != channels {
            return Err(SUPPORTED.into());
        }
        input.view = input.view.transpose(&[0, 2, 1]);
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
        weights: Vec<f32>,
        bias: Vec<f32>,
        (rows, view): (usize, View),
    ) -> Value {
        let (output, value) = self.computed(&node.output[0], rows, bias.len(), view);
        let mut linear = Linear {
            kind,
            input,
            output,
            weights,
            bias,
            clamp: UNCLAMPED,
        };
        if let Some(Affine { scale, shift }) = affine {
            linear.after_affine(&scale, &shift);
        }
        self.graph.ops.push(Op::Linear(linear));
        value
    }

    /// The linear that computes an operand, if that may still be changed.
    pub(super) fn linear_of(&mut self, operand: &Operand) -> Option<&mut Linear> {
        let linear = |op| match op {
            &mut Op::Linear(ref mut linear) if linear.output == operand.view.tensor => Some(linear),
            _ => None,
        };
        let open = operand.sole && operand.affine.is_none();
        self.graph.ops.iter_mut().find_map(linear).filter(|_| open)
    }

    /// Folds an affine into the linear before it, or leaves it to the linear after it.
    pub(super) fn apply(&mut self, name: &str, operand: Operand, affine: Affine) -> Value {
        if let Some(linear) = self.linear_of(&operand) {
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

    /// query * key^T or probabilities * value, head by head.
    fn attention(&mut self, node: &NodeProto) -> Reason<Value> {
        let (a, b) = (self.settled(node, 0)?, self.settled(node, 1)?);
        let cols = self.graph.tensors[b.view.tensor].cols;
        let mut shape = a.view.shape();
        shape.pop();
        if self.graph.tensors[a.view.tensor].keys {
            let Some((heads, keys)) = b.view.as_heads(cols) else {
                return Err(
                    "supported is softmax [heads, C, keys] times values [heads, keys, width]"
                        .into(),
                );
            };
            let (probs, row_major) = self.elementwise(&a)?;
            let (probs_rows, probs_cols) = (
                self.graph.tensors[probs].rows,
                self.graph.tensors[probs].cols,
            );
            if probs_cols != keys || probs_rows % heads != 0 || row_major.as_rows(keys).is_none() {
                return Err(format!(
                    "probabilities of {probs_cols} keys times values of {keys}"
                ));
            }
            let (value, rows, width) = (
                self.rows_of(b.view.tensor, 0, keys),
                probs_rows / heads,
                cols / heads,
            );
            shape.push(width);
            let view =
                View::strided(0, &[(heads, width), (rows, cols), (width, 1)]).reshape(&shape);
            let view = view.ok_or("its heads are not heads")?;
            let (output, result) = self.computed(&node.output[0], rows, cols, view);
            self.graph.ops.push(Op::Context {
                probs,
                value,
                output,
                heads,
            });
            return Ok(result);
        }
        let rank = b.view.dims.len();
        let mut order: Vec<usize> = (0..rank).collect();
        order.swap(rank.saturating_sub(2), rank - 1);
        let (query, key) = (
            a.view.as_heads(cols),
            b.view.transpose(&order).as_heads(cols),
        );
        let (Some((heads, rows)), Some((key_heads, keys))) = (query, key) else {
            return Err(
                "supported is query [heads, C, width] times key [heads, width, keys], \
                        each a view of [rows, heads * width]"
                    .into(),
            );
        };
        if heads != key_heads || keys != self.keys {
            return Err(format!(
                "{heads} heads by {key_heads} and {keys} keys; `mask` is for {} keys",
                self.keys
            ));
        }
        let (query, key) = (
            self.rows_of(a.view.tensor, 0, rows),
            self.rows_of(b.view.tensor, 0, keys),
        );
        shape.push(keys);
        let view = View::all(0, heads * rows, keys)
            .reshape(&shape)
            .ok_or("its rows are not rows")?;
        let (output, value) = self.computed(&node.output[0], heads * rows, keys, view);
        self.graph.tensors[output].keys = true;
        if a.sole {
            self.own_queries.push(output);
        }
        self.graph.ops.push(Op::Scores {
            query,
            key,
            output,
            heads,
        });
        Ok(value)
    }

    /// Multiplies attention scores by a number: the linear that makes the query does it.
    pub(super) fn scale_scores(
        &mut self,
        name: &str,
        operand: Operand,
        scale: f32,
    ) -> Option<Value> {
        let output = operand.view.tensor;
        let scores = |op: &Op| match *op {
            Op::Scores {
                query,
                output: scores,
                ..
            } if scores == output => Some(query),
            _ => None,
        };
        let query = self
            .graph
            .ops
            .iter()
            .find_map(scores)
            .filter(|_| self.own_queries.contains(&output))?;
        let linear = self.graph.ops.iter_mut().find_map(|op| match op {
            Op::Linear(linear) if linear.output == query && operand.sole => Some(linear),
            _ => None,
        })?;
        linear.then_affine(
            &vec![scale; linear.bias.len()],
            &vec![0.0; linear.bias.len()],
        );
        let Value::Tensor(scaled) = self.named(name, operand.view) else {
            return None;
        };
        Some(Value::Tensor(Operand {
            masked: operand.masked,
            ..scaled
        }))
    }
}

/// Constant weights as [N, K]; ONNX has them as [K, N] unless `transposed`.
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
