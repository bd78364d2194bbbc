//! Imports attention that is written out: scores, mask, softmax, context.

use std::sync::Arc;

use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::Tensor as Constant;
use zerda_quantize::graph::uniform;

use super::linear::Affine;
use super::{Id, Importer, Linear, Op, Operand, PROBABILITY, Place, Quantization, Reason, Value};
use crate::onnx::{Attributes, axis};
use crate::view::View;

impl Importer<'_> {
    /// Imports query * key^T or probabilities * value, head by head.
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
        if rank < 2 {
            return Err(format!("a product with {:?}", key.view.shape()));
        }
        order.swap(rank - 2, rank - 1);
        key.view = key.view.transpose(&order);
        self.scores(name, a, key)
    }

    /// Computes `query * key^T`: query `[heads, C, width]`, key `[heads, keys, width]`.
    fn scores(&mut self, name: &str, query: Operand, key: Operand) -> Reason<Value> {
        // What the key is still to be multiplied with is the query's.
        let query = match scale_of(&key)? {
            1.0 if query.affine.is_none() => query,
            factor => self.scaled(&format!("{name}.query"), query, factor)?,
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

    /// Computes `probabilities * value`: `[heads, C, keys]` times `[heads, keys, width]`.
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

    /// Multiplies a query by a number: the linear that makes it for this alone does it, or one made for it.
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

    /// Multiplies attention scores by a number: the linear that makes the query for them alone does it, or
    /// one made for it.
    pub(super) fn scale_scores(
        &mut self,
        name: &str,
        operand: Operand,
        factor: f32,
    ) -> Reason<Value> {
        let output = operand.view.tensor;
        let scores = |op: &Op| matches!(op, Op::Scores { output: scores, .. } if *scores == output);
        let at = self.graph.ops.iter().position(scores);
        let at = at.filter(|_| operand.sole && !operand.masked);
        let at =
            at.ok_or("supported is to scale the product of query and key before anything else")?;
        let query = self.graph.ops[at].inputs()[0];
        if !self.own_queries.contains(&output) || !self.scale_linear(query, factor) {
            let (rows, cols) = self.shape(query);
            let scaled = self.add_tensor(rows, cols, Place::Own);
            self.graph.tensors[scaled].name = format!("{name}.query");
            self.graph.ops[at].replace_input(query, scaled);
            let linear = Linear::channelwise(query, scaled, vec![factor; cols], vec![0.0; cols]);
            self.graph.ops.insert(at, Op::Linear(linear));
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
            return Err(
                "supported is a Softmax of attention scores, over the keys; the output must be the `logits`, \
                 before the Softmax, which Zerda computes: leave it out of the export"
                    .into(),
            );
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

    /// Multiplies the output of the linear that computes `tensor`; returns false if none does.
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

    /// Scales the quantization that a tensor was given, so that its integers stay as they are; a `factor`
    /// that is not positive drops it.
    fn scale_fixed(&mut self, tensor: Id, factor: f32) {
        let fixed = &mut self.graph.tensors[tensor].fixed;
        *fixed = fixed.filter(|_| factor > 0.0).map(|given| Quantization {
            scale: given.scale * factor,
            ..given
        });
    }
}

/// Returns the number by which an operand is still to be multiplied.
fn scale_of(operand: &Operand) -> Reason<f32> {
    let Some(Affine { scale, shift }) = &operand.affine else {
        return Ok(1.0);
    };
    match (uniform(scale), uniform(shift)) {
        (Some(scale), Some(0.0)) => Ok(scale),
        _ => Err("a scale or shift of the keys that differs by channel cannot be folded".into()),
    }
}
