//! Arithmetic and activations, element by element, and the softmax.

use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::Tensor as Constant;

use super::linear::Affine;
use super::{Function, Id, Importer, Op, Operand, Place, Quantization, Reason, Value};
use crate::compiler::onnx::{Attributes, axis, floats};
use crate::compiler::view::View;

/// `clip(x * scale + shift, low, high) * factor`, times x where `times_x`: the pieces that exporters
/// make of a hard sigmoid or a hard swish, until it is clear which it is.
#[derive(Clone)]
pub(super) struct Gate {
    name: String,
    x: Operand,
    scale: f32,
    shift: f32,
    low: f32,
    high: f32,
    factor: f32,
    times_x: bool,
}

impl Importer<'_> {
    pub(super) fn arithmetic(&mut self, node: &NodeProto) -> Reason<Value> {
        let op = node.op_type.as_str();
        match (op, self.take(node, 0)?, self.take(node, 1)?) {
            (_, Value::Constant(constant), _) => self.with_constant(node, 1, &constant),
            (_, _, Value::Constant(constant)) => self.with_constant(node, 0, &constant),
            ("Add", Value::Mask, _) => self.masked(node, 1),
            ("Add", _, Value::Mask) => self.masked(node, 0),
            ("Mul", Value::Tensor(x), Value::Gate(gate))
            | ("Mul", Value::Gate(gate), Value::Tensor(x))
                if x.view == gate.x.view && x.affine.is_none() && !gate.times_x =>
            {
                self.gate(Gate {
                    name: node.output[0].clone(),
                    times_x: true,
                    ..gate
                })
            }
            ("Add" | "Mul", ..) => self.binary(node),
            _ => Err("supported are Sub and Div by a constant".into()),
        }
    }

    fn binary(&mut self, node: &NodeProto) -> Reason<Value> {
        let (a, b) = (self.settled(node, 0)?, self.settled(node, 1)?);
        let ((a, view), (b, other)) = (self.elementwise(&a)?, self.elementwise(&b)?);
        if view.dims != other.dims {
            return Err(format!(
                "{:?} with {:?}: supported are two values of one shape and layout, or one and a constant",
                view.shape(),
                other.shape()
            ));
        }
        let (rows, cols) = (self.graph.tensors[a].rows, self.graph.tensors[a].cols);
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
        constant: &Constant,
    ) -> Reason<Value> {
        let (op, name, values) = (node.op_type.as_str(), &node.output[0], floats(constant)?);
        if let (Value::Gate(gate), "Mul" | "Div", [value]) =
            (self.take(node, input)?, op, &values[..])
        {
            let factor = if op == "Mul" { *value } else { 1.0 / value };
            return self.gate(Gate {
                name: name.clone(),
                factor: gate.factor * factor,
                ..gate
            });
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
                ("Mul" | "Div", &[value]) => self
                    .scale_scores(name, operand, affine(value).0)
                    .ok_or_else(|| {
                        "scores can be scaled where a linear makes the query for them alone".into()
                    }),
                ("Add", _) | ("Sub", _) if input == 0 || op == "Add" => {
                    self.add_table(node, operand, constant)
                }
                _ => Err(
                    "supported on attention scores are Add, and Mul or Div by one number".into(),
                ),
            };
        }
        let cols = self.graph.tensors[operand.view.tensor].cols;
        let columns =
            along_columns(&operand.view, cols, constant.shape(), &values).ok_or_else(|| {
                format!(
                    "a constant {:?} with {:?}: supported is one value, or one a channel",
                    constant.shape(),
                    operand.view.shape()
                )
            })?;
        let (scale, shift) = columns.into_iter().map(affine).unzip();
        Ok(self.apply(name, operand, Affine { scale, shift }))
    }

    /// Scores plus a constant table, e.g. of relative positions.
    fn add_table(
        &mut self,
        node: &NodeProto,
        operand: Operand,
        constant: &Constant,
    ) -> Reason<Value> {
        let (a, view) = self.elementwise(&operand)?;
        let table = constant
            .broadcast_to_shape(&view.shape())
            .map_err(|e| e.to_string())?;
        let (rows, cols) = (self.graph.tensors[a].rows, self.graph.tensors[a].cols);
        let (mut values, sign) = (
            vec![0.0; rows * cols],
            if node.op_type == "Sub" { -1.0 } else { 1.0 },
        );
        for (index, value) in view.indices().into_iter().zip(floats(&table)?) {
            values[index] = value * sign;
        }
        let b = self.add_tensor(rows, cols, Place::Constant(values));
        let (output, value) = self.computed(&node.output[0], rows, cols, view);
        self.graph.tensors[output].keys = true;
        self.graph.ops.push(Op::Add { a, b, output });
        match value {
            Value::Tensor(sum) => Ok(Value::Tensor(Operand {
                masked: operand.masked,
                ..sum
            })),
            other => Ok(other),
        }
    }

    fn masked(&mut self, node: &NodeProto, input: usize) -> Reason<Value> {
        let operand = self.settled(node, input)?;
        if !self.graph.tensors[operand.view.tensor].keys {
            return Err("`mask` can only be added to attention scores".into());
        }
        Ok(Value::Tensor(Operand {
            masked: true,
            ..operand
        }))
    }

    pub(super) fn activation(&mut self, node: &NodeProto) -> Reason<Value> {
        let operand = self.operand(node, 0)?;
        let name = node.output[0].clone();
        let bound = |input, attribute, default| -> Reason<f32> {
            match self.constant(node, input)? {
                Some(constant) => Ok(floats(&constant)?.first().copied().unwrap_or(default)),
                None => node.float(attribute, default),
            }
        };
        let (scale, shift, low, high) = match node.op_type.as_str() {
            "HardSwish" => {
                let operand = self.settled(node, 0)?;
                return self.hard_swish(&name, &operand);
            }
            "HardSigmoid" => (
                node.float("alpha", 0.2)?,
                node.float("beta", 0.5)?,
                0.0,
                1.0,
            ),
            "Clip" => (
                1.0,
                0.0,
                bound(1, "min", f32::MIN)?,
                bound(2, "max", f32::MAX)?,
            ),
            _ => (1.0, 0.0, 0.0, f32::MAX),
        };
        if (low, high) == (0.0, f32::MAX) {
            return self.relu(&name, operand);
        }
        let (mut x, mut scale, mut shift) = (operand, scale, shift);
        if let Some(affine) = x.affine.take() {
            let uniform = |values: &[f32]| values.iter().all(|value| *value == values[0]);
            if !uniform(&affine.scale) || !uniform(&affine.shift) {
                return Err(
                    "a scale or shift before it that differs by channel cannot be folded".into(),
                );
            }
            (scale, shift) = (scale * affine.scale[0], shift + scale * affine.shift[0]);
        }
        self.gate(Gate {
            name,
            x,
            scale,
            shift,
            low,
            high,
            factor: 1.0,
            times_x: false,
        })
    }

    fn relu(&mut self, name: &str, operand: Operand) -> Reason<Value> {
        let linear = self
            .linear_of(&operand)
            .ok_or("supported is a Relu that alone reads a linear")?;
        linear.clamp = (0.0, f32::INFINITY);
        match self.named(name, operand.view) {
            Value::Tensor(rectified) => Ok(Value::Tensor(Operand {
                sole: false,
                ..rectified
            })),
            other => Ok(other),
        }
    }

    /// A gate that has become a hard swish, x * clip(x / 6 + 1/2, 0, 1), is one.
    fn gate(&mut self, gate: Gate) -> Reason<Value> {
        let near = |a: f32, b: f32| (a - b).abs() < 1e-4;
        let hard_swish = gate.times_x
            && near(gate.scale * gate.factor, 1.0 / 6.0)
            && near(gate.shift * gate.factor, 0.5)
            && near(gate.low * gate.factor, 0.0)
            && near(gate.high * gate.factor, 1.0);
        match hard_swish {
            true => self.hard_swish(&gate.name, &gate.x),
            false => Ok(Value::Gate(gate)),
        }
    }

    fn hard_swish(&mut self, name: &str, operand: &Operand) -> Reason<Value> {
        let (input, view) = self.elementwise(operand)?;
        let (rows, cols) = (
            self.graph.tensors[input].rows,
            self.graph.tensors[input].cols,
        );
        let (output, value) = self.computed(name, rows, cols, view);
        self.graph.ops.push(Op::Function {
            function: Function::HardSwish,
            input,
            output,
        });
        Ok(value)
    }

    /// A gate that is read as a tensor: the linear before it saturates at its bounds.
    pub(super) fn hard_sigmoid(&mut self, gate: Gate) -> Reason<Operand> {
        const SUPPORTED: &str = "supported is x * clip(x / 6 + 1/2, 0, 1) (HardSwish), and clip(linear, 0, high) \
                                 (HardSigmoid, Relu6) that alone reads its linear";
        let Gate {
            name,
            x,
            scale,
            shift,
            low,
            high,
            factor,
            times_x,
        } = gate;
        let maximum = high * factor;
        let linear = self
            .linear_of(&x)
            .filter(|_| !times_x && low == 0.0 && 0.0 < maximum && factor > 0.0);
        let linear = linear.ok_or(SUPPORTED)?;
        let channels = linear.channels();
        linear.then_affine(
            &vec![scale * factor; channels],
            &vec![shift * factor; channels],
        );
        linear.clamp = (0.0, maximum);
        let fixed = Quantization {
            scale: maximum / 255.0,
            zero_point: -128,
        };
        self.graph.tensors[x.view.tensor].fixed = Some(fixed);
        match self.named(&name, x.view) {
            Value::Tensor(operand) => Ok(Operand {
                sole: false,
                ..operand
            }),
            _ => Err(SUPPORTED.into()),
        }
    }

    pub(super) fn softmax(&mut self, node: &NodeProto) -> Reason<Value> {
        let operand = self.settled(node, 0)?;
        let rank = operand.view.dims.len();
        if axis(node.int("axis", -1)?, rank)? + 1 != rank {
            return Err("supported is a Softmax over the last axis".into());
        }
        let (input, view) = self.elementwise(&operand)?;
        let (rows, cols) = (
            self.graph.tensors[input].rows,
            self.graph.tensors[input].cols,
        );
        if view.as_rows(cols).is_none() || !self.graph.tensors[input].keys {
            return Err("supported is a Softmax of attention scores, over the keys".into());
        }
        if !operand.masked && self.keys > self.chunk() {
            return Err("`mask` was not added to these scores; absent keys would take part".into());
        }
        let (output, value) = self.computed(&node.output[0], rows, cols, view);
        self.graph.tensors[output].keys = true;
        self.graph.tensors[output].fixed = Some(super::PROBABILITY);
        self.graph.ops.push(Op::Softmax { input, output });
        Ok(value)
    }

    /// A tensor of the operand's elements, and the view of it in which the operand sees them.
    pub(super) fn elementwise(&mut self, operand: &Operand) -> Reason<(Id, View)> {
        let tensor = operand.view.tensor;
        let (rows, cols) = (
            self.graph.tensors[tensor].rows,
            self.graph.tensors[tensor].cols,
        );
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

/// A constant as one value for each column of the tensor, if it broadcasts so.
fn along_columns(view: &View, cols: usize, shape: &[usize], values: &[f32]) -> Option<Vec<f32>> {
    if let [value] = values {
        return Some(vec![*value; cols]);
    }
    let mut aligned = view.dims.iter().rev().zip(shape.iter().rev());
    let columns = |dim: &crate::compiler::view::Dim| dim.stride == 1 && dim.size == cols;
    let broadcasts = aligned.all(|(dim, &size)| size == 1 || (columns(dim) && size == cols));
    (broadcasts && values.len() == cols && shape.len() <= view.dims.len()).then(|| values.to_vec())
}
