//! Attention: scores, mask, softmax, context; written out, or as the one operator of opset 23.

use std::sync::Arc;

use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::Tensor as Constant;

use super::linear::Affine;
use super::{Id, Importer, Op, Operand, PROBABILITY, Quantization, Reason, Value};
use crate::compiler::graph::uniform;
use crate::compiler::onnx::{Attributes, axis};
use crate::compiler::view::View;

impl Importer<'_> {
    /// query * key^T or probabilities * value, head by head.
    pub(super) fn product(&mut self, node: &NodeProto) -> Reason<Value> {
        let a = self.operand(node, 0)?;
        let name = &node.output[0];
        if self.graph.tensors[a.view.tensor].keys {
            let value = self.settled(node, 1)?;
            return self.context(name, &a, &value);
        }
        let mut key = self.operand(node, 1)?;
        let rank = key.view.dims.len();
        let mut order: Vec<usize> = (0..rank).collect();
        order.swap(rank.saturating_sub(2), rank - 1);
        key.view = key.view.transpose(&order);
        self.scores(name, a, key, 1.0)
    }

    /// `factor * query * key^T`: query `[heads, C, width]`, key `[heads, keys, width]`.
    fn scores(&mut self, name: &str, query: Operand, key: Operand, factor: f32) -> Reason<Value> {
        // What is left to multiply with is the query's.
        let factor = factor * scale_of(&key)?;
        let query = match factor {
            1.0 if query.affine.is_none() => query,
            _ => self.scaled(&format!("{name}.query"), query, factor)?,
        };
        let cols = self.shape(key.view.tensor).1;
        let as_heads = (query.view.as_heads(cols), key.view.as_heads(cols));
        let (Some((heads, rows)), Some((key_heads, keys))) = as_heads else {
            return Err(
                "supported is a product with a constant, or of attention: query [heads, C, width] times \
                 key [heads, width, keys], each a view of [rows, heads * width]"
                    .into(),
            );
        };
        if heads != key_heads || keys != self.keys {
            return Err(format!(
                "{heads} heads by {key_heads} and {keys} keys; `mask` is for {} keys",
                self.keys
            ));
        }
        let mut shape = query.view.shape();
        shape.pop();
        shape.push(keys);
        let own = query.sole;
        let (query, key) = (
            self.rows_of(query.view.tensor, 0, rows),
            self.rows_of(key.view.tensor, 0, keys),
        );
        let view = View::all(0, heads * rows, keys)
            .reshape(&shape)
            .ok_or("its rows are not rows")?;
        let (output, value) = self.computed(name, heads * rows, keys, view);
        self.graph.tensors[output].keys = true;
        if own {
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

    /// `probabilities * value`: `[heads, C, keys]` times `[heads, keys, width]`.
    fn context(&mut self, name: &str, probs: &Operand, value: &Operand) -> Reason<Value> {
        let (rows, cols) = (probs.view.shape(), self.shape(value.view.tensor).1);
        let Some((heads, keys)) = value.view.as_heads(cols) else {
            return Err(
                "supported is softmax [heads, C, keys] times values [heads, keys, width]".into(),
            );
        };
        let (probs, row_major) = self.elementwise(probs)?;
        let (probs_rows, probs_cols) = self.shape(probs);
        if probs_cols != keys || probs_rows % heads != 0 || row_major.as_rows(keys).is_none() {
            return Err(format!(
                "probabilities of {probs_cols} keys times values of {keys}"
            ));
        }
        let value = self.rows_of(value.view.tensor, 0, keys);
        let (rows, mut shape, width) = (probs_rows / heads, rows, cols / heads);
        shape.pop();
        shape.push(width);
        let view = View::strided(0, &[(heads, width), (rows, cols), (width, 1)]).reshape(&shape);
        let view = view.ok_or("its heads are not heads")?;
        let (output, result) = self.computed(name, rows, cols, view);
        self.graph.ops.push(Op::Context {
            probs,
            value,
            output,
            heads,
        });
        Ok(result)
    }

    /// A query times a number: by the linear that makes it for this alone, or by one made for it.
    fn scaled(&mut self, name: &str, query: Operand, factor: f32) -> Reason<Operand> {
        let cols = self.shape(query.view.tensor).1;
        let affine = Affine {
            scale: vec![factor; cols],
            shift: vec![0.0; cols],
        };
        match self.apply(name, query, affine) {
            Value::Tensor(query) if query.affine.is_none() => Ok(query),
            Value::Tensor(query) => self.channelwise(name, query),
            _ => Err("it is no tensor".into()),
        }
    }

    /// Multiplies attention scores by a number: the linear that makes the query does it.
    pub(super) fn scale_scores(
        &mut self,
        name: &str,
        operand: Operand,
        factor: f32,
    ) -> Reason<Value> {
        const SUPPORTED: &str =
            "scores can be scaled where a linear makes the query for them alone";
        let output = operand.view.tensor;
        let scores = |op: &Op| match *op {
            Op::Scores {
                query,
                output: scores,
                ..
            } if scores == output => Some(query),
            _ => None,
        };
        let query = self.graph.ops.iter().find_map(scores);
        let own = operand.sole && !operand.masked && self.own_queries.contains(&output);
        let scaled = query.filter(|_| own).map(|query| self.scale_linear(query, factor));
        if scaled != Some(true) {
            return Err(SUPPORTED.into());
        }
        self.scale_fixed(output, factor);
        Ok(self.named(name, operand.view))
    }

    pub(super) fn masked(
        &mut self,
        node: &NodeProto,
        input: usize,
        table: Option<Arc<Constant>>,
    ) -> Reason<Value> {
        let operand = self.settled(node, input)?;
        self.with_mask(&node.output[0], operand, table)
    }

    fn with_mask(
        &mut self,
        name: &str,
        scores: Operand,
        table: Option<Arc<Constant>>,
    ) -> Reason<Value> {
        if !self.graph.tensors[scores.view.tensor].keys {
            return Err("`mask` can only be added to attention scores".into());
        }
        let scores = match table {
            None => scores,
            Some(table) => match self.add_table(name, scores, &table, 1.0)? {
                Value::Tensor(sum) => sum,
                _ => return Err("it is no tensor".into()),
            },
        };
        Ok(Value::Tensor(Operand {
            masked: true,
            ..scores
        }))
    }

    pub(super) fn softmax(&mut self, node: &NodeProto) -> Reason<Value> {
        let operand = self.settled(node, 0)?;
        let rank = operand.view.dims.len();
        if axis(node.int("axis", -1)?, rank)? + 1 != rank {
            return Err("supported is a Softmax over the last axis".into());
        }
        self.probabilities(&node.output[0], &operand)
    }

    fn probabilities(&mut self, name: &str, scores: &Operand) -> Reason<Value> {
        let (input, view) = self.elementwise(scores)?;
        let (rows, cols) = self.shape(input);
        if view.as_rows(cols).is_none() || !self.graph.tensors[input].keys {
            return Err("supported is a Softmax of attention scores, over the keys".into());
        }
        if !scores.masked && self.keys > self.chunk() {
            return Err("`mask` was not added to these scores; absent keys would take part".into());
        }
        let (output, value) = self.computed(name, rows, cols, view);
        self.graph.tensors[output].keys = true;
        self.graph.tensors[output].fixed = Some(PROBABILITY);
        self.graph.ops.push(Op::Softmax { input, output });
        Ok(value)
    }

    /// The operator Attention: query, key and value `[1, heads, rows, width]`, or `[1, rows, heads *
    /// width]` with the heads as an attribute.
    pub(super) fn whole_attention(&mut self, node: &NodeProto) -> Reason<Value> {
        let name = &node.output[0];
        let given = node.input.iter().map(|name| !name.is_empty());
        let given: Vec<_> = given.collect();
        let plain = node.int("is_causal", 0)? == 0
            && node.float("softcap", 0.0)? == 0.0
            && given[..4.min(given.len())] == [true; 4]
            && !given[4..].contains(&true)
            && node.output.len() == 1;
        if !plain {
            return Err("supported is Attention(query, key, value, mask) with caches concatenated \
                        before it, not causal, without softcap"
                .into());
        }
        let mut heads_first = Vec::new();
        for (input, attribute) in [(0, "q_num_heads"), (1, "kv_num_heads"), (2, "kv_num_heads")] {
            // A uniform scale before a value stays, as one before query or key goes into the scores.
            let mut operand = match input {
                2 => self.settled(node, input)?,
                _ => self.operand(node, input)?,
            };
            let heads = node.int(attribute, 0)? as usize;
            if let (&[batch, rows, cols], 1..) = (&operand.view.shape()[..], heads) {
                let split = operand.view.reshape(&[batch, rows, heads, cols / heads]);
                let split = split.ok_or("its columns do not split into heads")?;
                operand.view = split.transpose(&[0, 2, 1, 3]);
            }
            heads_first.push(operand);
        }
        let [query, key, value] = &heads_first[..] else {
            return Err("it has no query, key and value".into());
        };
        let width = key.view.dims.last().map_or(1, |dim| dim.size);
        let factor = node.float("scale", (width as f32).powf(-0.5))?;
        let joined = self.take(node, 0)?;
        let scores = self.scores(&format!("{name}.scores"), query.clone(), key.clone(), factor)?;
        let (Value::Tensor(scores), Value::Mask(table)) = (scores, self.take(node, 3)?) else {
            return Err("its mask must be `mask`, or that plus a constant".into());
        };
        let masked = self.with_mask(&format!("{name}.biased"), scores, table)?;
        let Value::Tensor(masked) = masked else {
            return Err("its scores are no tensor".into());
        };
        let probs = self.probabilities(&format!("{name}.probabilities"), &masked)?;
        let Value::Tensor(probs) = probs else {
            return Err("its probabilities are no tensor".into());
        };
        let context = self.context(name, &probs, value)?;
        match (context, joined) {
            // Heads are joined again where they were not split before.
            (Value::Tensor(context), Value::Tensor(joined)) if joined.view.dims.len() == 3 => {
                let rows = context.view.transpose(&[0, 2, 1, 3]);
                let view = rows.reshape(&joined.view.shape()).ok_or("its heads are not heads")?;
                Ok(Value::Tensor(Operand { view, ..context }))
            }
            (context, _) => Ok(context),
        }
    }

    /// Multiplies what a linear puts out, if one computes `tensor`.
    pub(super) fn scale_linear(&mut self, tensor: Id, factor: f32) -> bool {
        let linear = self.graph.ops.iter_mut().find_map(|op| match op {
            Op::Linear(linear) if linear.output == tensor => Some(linear),
            _ => None,
        });
        let Some(linear) = linear else { return false };
        let channels = linear.channels();
        linear.then_affine(&vec![factor; channels], &vec![0.0; channels]);
        self.scale_fixed(tensor, factor);
        true
    }

    /// The integers of a given quantization stay as they are.
    fn scale_fixed(&mut self, tensor: Id, factor: f32) {
        let fixed = &mut self.graph.tensors[tensor].fixed;
        *fixed = fixed.filter(|_| factor > 0.0).map(|given| Quantization {
            scale: given.scale * factor,
            ..given
        });
    }
}

/// The number that an operand is still to be multiplied with.
fn scale_of(operand: &Operand) -> Reason<f32> {
    let Some(Affine { scale, shift }) = &operand.affine else {
        return Ok(1.0);
    };
    match (uniform(scale), uniform(shift)) {
        (Some(scale), Some(0.0)) => Ok(scale),
        _ => Err("a scale or shift of the keys that differs by channel cannot be folded".into()),
    }
}
