//! Imports layer norms and RMS norms, which come as one operator or in pieces.
//!
//! On the device `x / sqrt(mean(x^2) + e)` is MUL(x, x), a linear whose weights are all 1/H and whose bias is
//! e (so that the mean stands in every column and nothing need broadcast), RSQRT, and MUL with x. A layer
//! norm takes the mean off first ([`super::centring`]).

use tract_onnx::pb::NodeProto;
use zerda_quantize::graph::{LinearKind, UNCLAMPED};

use super::linear::Affine;
use super::{Function, Id, Importer, Linear, Op, Operand, Place, Reason, Value};
use crate::onnx::{Attributes, axis, floats, integers};
use crate::view::View;

/// A piece of a norm that exporters write in pieces.
#[derive(Clone)]
pub(super) struct Moment {
    name: String,
    pub x: Operand,
    /// Says whether it is made of x less its mean instead of x.
    centred: bool,
    stage: Stage,
    /// Factor of the mean square, which stands for `scale * mean + epsilon` from that stage on.
    scale: f32,
    epsilon: f32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    Mean,
    /// Is x less its mean.
    Centred,
    Square,
    MeanSquare,
    Root,
    InverseRoot,
}

const PIECES: &str = "supported is the mean of each row over the channels as a piece of LayerNorm, \
                      (x - mean(x)) / sqrt(mean((x - mean(x))^2) + e), or of RMSNorm, x / sqrt(mean(x^2) + e)";

impl Moment {
    /// Says whether it has one value a row.
    pub fn is_of_rows(&self) -> bool {
        !matches!(self.stage, Stage::Centred | Stage::Square)
    }

    fn renamed(self, node: &NodeProto, stage: Stage) -> Reason<Value> {
        let name = node.output[0].clone();
        Ok(Value::Moment(Moment {
            name,
            stage,
            ..self
        }))
    }
}

impl Importer<'_> {
    /// Imports LayerNormalization or RMSNormalization.
    pub(super) fn norm(&mut self, node: &NodeProto) -> Reason<Value> {
        let x = self.settled(node, 0)?;
        let rank = x.view.dims.len();
        let last = axis(node.int("axis", -1)?, rank)? + 1 == rank;
        if !last || !self.is_over_columns(&x, rank - 1) || node.output.len() > 1 {
            return Err("supported is a norm over the channels, the last axis".into());
        }
        let cols = self.shape(x.view.tensor).1;
        let parameter = |input, default: f32| -> Reason<Vec<f32>> {
            let values = match self.constant(node, input)? {
                Some(constant) => floats(&constant)?,
                None => vec![default],
            };
            match values.len() {
                1 => Ok(vec![values[0]; cols]),
                count if count == cols => Ok(values),
                count => Err(format!("{count} weights for {cols} channels")),
            }
        };
        let (scale, shift) = (parameter(1, 1.0)?, parameter(2, 0.0)?);
        let moment = Moment {
            name: node.output[0].clone(),
            x,
            centred: node.op_type == "LayerNormalization",
            stage: Stage::InverseRoot,
            scale: 1.0,
            epsilon: node.float("epsilon", 1e-5)?,
        };
        let normalized = self.normalized(&node.output[0], moment)?;
        Ok(self.apply(&node.output[0], normalized, Affine { scale, shift }))
    }

    /// Imports ReduceMean, Pow, Sqrt or Reciprocal as a piece of a norm.
    pub(super) fn moment(&mut self, node: &NodeProto) -> Reason<Value> {
        let op = node.op_type.as_str();
        if op == "Pow" {
            let exponent = self.constant(node, 1)?.ok_or("it has no exponent")?;
            return match (&floats(&exponent)?[..], self.take(node, 0)?) {
                ([2.0], Value::Moment(moment)) if moment.stage == Stage::Centred => {
                    moment.renamed(node, Stage::Square)
                }
                ([2.0], _) => self.square(node, 0),
                ([power], Value::Moment(moment)) if moment.stage == Stage::MeanSquare => {
                    match power {
                        0.5 => moment.renamed(node, Stage::Root),
                        -0.5 => moment.renamed(node, Stage::InverseRoot),
                        _ => Err(PIECES.into()),
                    }
                }
                _ => Err(format!("supported are powers of 2; {PIECES}")),
            };
        }
        match (op, self.take(node, 0)?) {
            ("ReduceMean", Value::Moment(moment)) if moment.stage == Stage::Square => {
                self.is_reduced_over_columns(node, &moment.x)?;
                moment.renamed(node, Stage::MeanSquare)
            }
            ("ReduceMean", _) => {
                let x = self.settled(node, 0)?;
                self.is_reduced_over_columns(node, &x)?;
                Ok(Value::Moment(Moment {
                    name: node.output[0].clone(),
                    x,
                    centred: false,
                    stage: Stage::Mean,
                    scale: 1.0,
                    epsilon: 0.0,
                }))
            }
            ("Sqrt", Value::Moment(moment)) if moment.stage == Stage::MeanSquare => {
                moment.renamed(node, Stage::Root)
            }
            ("Reciprocal", Value::Moment(moment)) if moment.stage == Stage::Root => {
                moment.renamed(node, Stage::InverseRoot)
            }
            _ => Err(PIECES.into()),
        }
    }

    /// Makes a square, which waits until it is clear whether it is a norm's.
    pub(super) fn square(&mut self, node: &NodeProto, input: usize) -> Reason<Value> {
        Ok(Value::Moment(Moment {
            name: node.output[0].clone(),
            x: self.settled(node, input)?,
            centred: false,
            stage: Stage::Square,
            scale: 1.0,
            epsilon: 0.0,
        }))
    }

    pub(super) fn moment_arithmetic(
        &mut self,
        node: &NodeProto,
        a: Value,
        b: Value,
    ) -> Reason<Value> {
        use Stage::{Centred, InverseRoot, Mean, MeanSquare, Root};
        let stage = |value: &Value| match value {
            Value::Moment(moment) => Some(moment.stage),
            _ => None,
        };
        let (a_stage, b_stage) = (stage(&a), stage(&b));
        match (node.op_type.as_str(), a, b) {
            ("Sub", Value::Tensor(x), Value::Moment(moment))
                if moment.stage == Mean && moment.x.view == x.view =>
            {
                let centred = true;
                Moment { centred, ..moment }.renamed(node, Centred)
            }
            ("Mul", Value::Moment(moment), Value::Moment(other))
                if a_stage == Some(Centred)
                    && b_stage == Some(Centred)
                    && moment.x.view == other.x.view =>
            {
                moment.renamed(node, Stage::Square)
            }
            (op @ ("Add" | "Mul" | "Div"), Value::Moment(moment), Value::Constant(constant))
                if moment.stage == MeanSquare =>
            {
                self.scaled_moment(node, op, moment, &floats(&constant)?)
            }
            (op @ ("Add" | "Mul"), Value::Constant(constant), Value::Moment(moment))
                if moment.stage == MeanSquare =>
            {
                self.scaled_moment(node, op, moment, &floats(&constant)?)
            }
            ("Div", Value::Constant(one), Value::Moment(moment))
                if moment.stage == Root && floats(&one)? == [1.0] =>
            {
                moment.renamed(node, InverseRoot)
            }
            ("Div", x, Value::Moment(moment)) if moment.stage == Root && moment.is_for(&x) => {
                self.normalized(&node.output[0], moment).map(Value::Tensor)
            }
            ("Mul", x, Value::Moment(moment)) | ("Mul", Value::Moment(moment), x)
                if moment.stage == InverseRoot && moment.is_for(&x) =>
            {
                self.normalized(&node.output[0], moment).map(Value::Tensor)
            }
            // x less its mean, or a square, that is needed for itself.
            (_, a, b) if !a.is_of_rows() && !b.is_of_rows() => {
                for input in 0..2 {
                    if matches!(self.take(node, input)?, Value::Moment(_)) {
                        self.operand(node, input)?;
                    }
                }
                self.arithmetic(node)
            }
            _ => Err(PIECES.into()),
        }
    }

    fn scaled_moment(
        &mut self,
        node: &NodeProto,
        op: &str,
        moment: Moment,
        constant: &[f32],
    ) -> Reason<Value> {
        let &[value] = constant else {
            return Err(PIECES.into());
        };
        let (by, plus) = match op {
            "Add" => (1.0, value),
            "Mul" => (value, 0.0),
            _ => (1.0 / value, 0.0),
        };
        let moment = Moment {
            scale: moment.scale * by,
            epsilon: moment.epsilon * by + plus,
            ..moment
        };
        moment.renamed(node, Stage::MeanSquare)
    }

    /// Computes a piece that is read for itself.
    pub(super) fn moment_value(&mut self, moment: Moment) -> Reason<Operand> {
        let (x, view) = self.elementwise(&moment.x)?;
        let output = match moment.stage {
            Stage::Centred => self.centred(x),
            Stage::Square => self.product_of(x, x),
            _ => return Err(PIECES.into()),
        };
        let view = View {
            tensor: output,
            ..view
        };
        Ok(self.named_operand(&moment.name, view))
    }

    /// Computes `x / sqrt(scale * mean(x^2) + epsilon)` of x, or of x less its mean.
    fn normalized(&mut self, name: &str, moment: Moment) -> Reason<Operand> {
        let (x, view) = self.elementwise(&moment.x)?;
        let (rows, cols) = self.shape(x);
        let x = if moment.centred { self.centred(x) } else { x };
        let squares = self.product_of(x, x);
        let mean = self.add_tensor(rows, cols, Place::Own);
        self.graph.ops.push(Op::Linear(Linear {
            kind: LinearKind::Dense,
            input: squares,
            output: mean,
            weights: vec![moment.scale / cols as f32; cols * cols],
            bias: vec![moment.epsilon; cols],
            clamp: UNCLAMPED,
            scales: None,
        }));
        let root = self.add_tensor(rows, cols, Place::Own);
        self.graph.ops.push(Op::Function {
            function: Function::Rsqrt,
            input: mean,
            output: root,
        });
        let output = self.product_of(x, root);
        for (tensor, part) in [
            (squares, "squares"),
            (mean, "mean_square"),
            (root, "inverse_root"),
        ] {
            self.graph.tensors[tensor].name = format!("{name}.{part}");
        }
        let view = View {
            tensor: output,
            ..view
        };
        Ok(self.named_operand(name, view))
    }

    fn product_of(&mut self, a: Id, b: Id) -> Id {
        let (rows, cols) = self.shape(a);
        let output = self.add_tensor(rows, cols, Place::Own);
        self.graph.ops.push(Op::Mul { a, b, output });
        output
    }

    fn is_over_columns(&self, x: &Operand, axis: usize) -> bool {
        let (dim, cols) = (x.view.dims[axis], self.shape(x.view.tensor).1);
        dim.size == cols && (dim.stride == 1 || cols == 1)
    }

    fn is_reduced_over_columns(&self, node: &NodeProto, x: &Operand) -> Reason<()> {
        // Axes: an input since opset 18, an attribute before.
        let axes = match self.constant(node, 1)? {
            Some(constant) => integers(&constant)?,
            None => node.ints("axes")?.unwrap_or_default(),
        };
        match axes[..] {
            [of] if self.is_over_columns(x, axis(of, x.view.dims.len())?) => Ok(()),
            _ => Err(PIECES.into()),
        }
    }
}

impl Moment {
    /// Says whether it is the root that `value` is divided by in a norm, or the inverse of that root.
    fn is_for(&self, value: &Value) -> bool {
        match value {
            Value::Tensor(x) => !self.centred && x.view == self.x.view && x.affine.is_none(),
            Value::Moment(x) => {
                self.centred && x.stage == Stage::Centred && x.x.view == self.x.view
            }
            _ => false,
        }
    }
}

impl Value {
    /// Says whether it has one value a row.
    fn is_of_rows(&self) -> bool {
        matches!(self, Value::Moment(moment) if moment.is_of_rows())
    }
}
