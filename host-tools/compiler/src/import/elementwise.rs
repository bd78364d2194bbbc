//! Imports arithmetic that works element by element.

use std::sync::Arc;

use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::Tensor as Constant;

use super::activation::{Clip, Curve, Gate};
use super::linear::Affine;
use super::{Function, Id, Importer, Op, Operand, Place, Reason, Value};
use crate::onnx::floats;
use crate::view::{Dim, View};

impl Importer<'_> {
    pub(super) fn arithmetic(&mut self, node: &NodeProto) -> Reason<Value> {
        let op = node.op_type.as_str();
        let (a, b) = (self.take(node, 0)?, self.take(node, 1)?);
        if matches!((&a, &b), (Value::Moment(_), _) | (_, Value::Moment(_))) {
            return self.moment_arithmetic(node, a, b);
        }
        if op == "Mul" && node.input[0] == node.input[1] && matches!(a, Value::Tensor(_)) {
            return self.square(node, 0);
        }
        match (op, a, b) {
            ("Add", Value::Mask(None), Value::Constant(table))
            | ("Add", Value::Constant(table), Value::Mask(None)) => Ok(Value::Mask(Some(table))),
            (_, Value::Mask(Some(_)), Value::Constant(_))
            | (_, Value::Constant(_), Value::Mask(Some(_))) => self.on_table(node),
            (_, Value::Constant(constant), _) => self.with_constant(node, 1, &constant),
            (_, _, Value::Constant(constant)) => self.with_constant(node, 0, &constant),
            ("Add", Value::Mask(table), _) => self.masked(node, 1, table),
            ("Add", _, Value::Mask(table)) => self.masked(node, 0, table),
            ("Mul", Value::Tensor(x), Value::Gate(gate))
            | ("Mul", Value::Gate(gate), Value::Tensor(x))
                if x.view == gate.x.view && x.affine.is_none() && !gate.is_product() =>
            {
                let name = node.output[0].clone();
                match gate.curve {
                    Curve::Sigmoid => self.function(&name, &gate.x, Function::Silu),
                    Curve::Clip(clip) => {
                        let times_x = true;
                        self.clip(name, gate.x, Clip { times_x, ..clip })
                    }
                }
            }
            ("Add" | "Mul", ..) => self.binary(node),
            _ => Err("supported are Sub and Div by a constant".into()),
        }
    }

    /// Adds or multiplies two values of one layout, but for leading dimensions of 1.
    fn binary(&mut self, node: &NodeProto) -> Reason<Value> {
        let (a, b) = (self.settled(node, 0)?, self.settled(node, 1)?);
        let ((a, view), (b, other)) = (self.elementwise(&a)?, self.elementwise(&b)?);
        let rank = view.dims.len().max(other.dims.len());
        let aligned = |view: &View| {
            let leading = vec![Dim { size: 1, stride: 0 }; rank - view.dims.len()];
            [&leading[..], &view.dims].concat()
        };
        let dims = aligned(&view);
        if dims != aligned(&other) || self.shape(a) != self.shape(b) {
            return Err(format!(
                "{:?} with {:?}: supported are two values of one shape and layout, or one and a constant",
                view.shape(),
                other.shape()
            ));
        }
        let (rows, cols) = self.shape(a);
        let view = View { dims, ..view };
        let (output, value) = self.computed(&node.output[0], rows, cols, view);
        self.graph.ops.push(match node.op_type.as_str() {
            "Add" => Op::Add { a, b, output },
            _ => Op::Mul { a, b, output },
        });
        Ok(value)
    }

    fn with_constant(
        &mut self,
        node: &NodeProto,
        input: usize,
        constant: &Arc<Constant>,
    ) -> Reason<Value> {
        let (op, name, values) = (node.op_type.as_str(), &node.output[0], floats(constant)?);
        if let (
            Value::Gate(Gate {
                x,
                curve: Curve::Clip(clip),
                ..
            }),
            "Mul" | "Div",
            [value],
        ) = (self.take(node, input)?, op, &values[..])
        {
            let by = if op == "Mul" { *value } else { 1.0 / value };
            let factor = clip.factor * by;
            return self.clip(name.clone(), x, Clip { factor, ..clip });
        }
        // Scale and shift that a constant c stands for.
        let affine: fn(f32) -> (f32, f32) = match (op, input) {
            ("Add", _) => |c| (1.0, c),
            ("Sub", 0) => |c| (1.0, -c),
            ("Sub", _) => |c| (-1.0, c),
            ("Mul", _) => |c| (c, 0.0),
            ("Div", 0) => |c| (1.0 / c, 0.0),
            _ => return Err("a constant divided by a value is not supported".into()),
        };
        let operand = self.operand(node, input)?;
        if self.graph.tensors[operand.view.tensor].keys {
            return match (op, &values[..]) {
                ("Mul" | "Div", &[value]) => self.scale_scores(name, operand, affine(value).0),
                ("Add", _) | ("Sub", _) if input == 0 || op == "Add" => self.add_table(
                    name,
                    operand,
                    constant,
                    if op == "Sub" { -1.0 } else { 1.0 },
                ),
                _ => Err(
                    "supported on attention scores are Add, and Mul or Div by one number".into(),
                ),
            };
        }
        let (_, cols) = self.shape(operand.view.tensor);
        let Some(columns) = along_columns(&operand.view, cols, constant.shape(), &values) else {
            if op == "Add" || op == "Sub" && input == 0 {
                let operand = self.settled(node, input)?;
                return self.add_table(name, operand, constant, affine(1.0).1);
            }
            return Err(format!(
                "a constant {:?} with {:?}: supported is one value, or one a channel",
                constant.shape(),
                operand.view.shape()
            ));
        };
        let (scale, shift) = columns.into_iter().map(affine).unzip();
        Ok(self.apply(name, operand, Affine { scale, shift }))
    }

    /// Adds a constant table times `sign` to values, e.g. one of relative positions.
    pub(super) fn add_table(
        &mut self,
        name: &str,
        operand: Operand,
        constant: &Constant,
        sign: f32,
    ) -> Reason<Value> {
        let (a, view) = self.elementwise(&operand)?;
        let table = constant.broadcast_to_shape(&view.shape()).map_err(|_| {
            let (table, shape) = (constant.shape(), view.shape());
            format!("a table {table:?} that does not broadcast to {shape:?}")
        })?;
        let (rows, cols) = self.shape(a);
        let mut values = vec![0.0; rows * cols];
        for (index, value) in view.indices().into_iter().zip(floats(&table)?) {
            values[index] = value * sign;
        }
        let b = self.add_tensor(rows, cols, Place::Constant(values));
        let (output, value) = self.computed(name, rows, cols, view);
        self.graph.tensors[output].keys = self.graph.tensors[a].keys;
        self.graph.ops.push(Op::Add { a, b, output });
        match value {
            Value::Tensor(sum) => Ok(Value::Tensor(Operand {
                masked: operand.masked,
                ..sum
            })),
            other => Ok(other),
        }
    }

    /// Returns a tensor of the operand's elements, and the view of it in which the operand sees them.
    pub(super) fn elementwise(&mut self, operand: &Operand) -> Reason<(Id, View)> {
        let tensor = operand.view.tensor;
        let (rows, cols) = self.shape(tensor);
        if operand.view.len() == rows * cols {
            return Ok((tensor, operand.view.clone()));
        }
        let id = self.rows(operand)?;
        Ok((
            id,
            View {
                tensor: id,
                offset: 0,
                ..operand.view.clone()
            },
        ))
    }
}

impl Gate {
    /// Says whether it is x times a gate already.
    fn is_product(&self) -> bool {
        matches!(self.curve, Curve::Clip(Clip { times_x: true, .. }))
    }
}

/// Returns a constant as one value for each column of the tensor, or `None` if it does not broadcast so.
fn along_columns(view: &View, cols: usize, shape: &[usize], values: &[f32]) -> Option<Vec<f32>> {
    if let [value] = values {
        return Some(vec![*value; cols]);
    }
    let mut aligned = view.dims.iter().rev().zip(shape.iter().rev());
    let columns = |dim: &Dim| dim.stride == 1 && dim.size == cols;
    let broadcasts = aligned.all(|(dim, &size)| size == 1 || (columns(dim) && size == cols));
    (broadcasts && values.len() == cols && shape.len() <= view.dims.len()).then(|| values.to_vec())
}
