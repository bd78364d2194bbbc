//! Imports activations: those that are fused into a linear, functions of one value, and gates that are one
//! or the other.

use tract_onnx::pb::NodeProto;
use zerda_quantize::graph::{UNCLAMPED, uniform};

use super::{Function, Importer, Op, Operand, PROBABILITY, Quantization, Reason, Value};
use crate::onnx::{Attributes, floats};

/// Sigmoid or hard sigmoid that waits until it is clear what it is multiplied with.
#[derive(Clone)]
pub(super) struct Gate {
    pub name: String,
    pub x: Operand,
    pub curve: Curve,
}

#[derive(Clone, Copy)]
pub(super) enum Curve {
    Sigmoid,
    Clip(Clip),
}

/// Clip that computes `clip(x * scale + shift, low, high) * factor`, times x where `times_x`. Exporters
/// make a hard sigmoid or a hard swish of such pieces.
#[derive(Clone, Copy)]
pub(super) struct Clip {
    pub scale: f32,
    pub shift: f32,
    pub low: f32,
    pub high: f32,
    pub factor: f32,
    pub times_x: bool,
}

fn near(a: f32, b: f32) -> bool {
    (a - b).abs() < 1e-4
}

impl Clip {
    /// Says whether it is x * clip(x / 6 + 1/2, 0, 1).
    fn is_hard_swish(&self) -> bool {
        self.times_x
            && near(self.scale * self.factor, 1.0 / 6.0)
            && near(self.shift * self.factor, 0.5)
            && near(self.low * self.factor, 0.0)
            && near(self.high * self.factor, 1.0)
    }
}

impl Importer<'_> {
    pub(super) fn activation(&mut self, node: &NodeProto) -> Reason<Value> {
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
                return self.function(&name, &operand, Function::HardSwish);
            }
            "Swish" => {
                let operand = self.settled(node, 0)?;
                return match node.float("alpha", 1.0)? {
                    1.0 => self.function(&name, &operand, Function::Silu),
                    alpha => Err(format!("supported is a Swish of alpha 1, not {alpha}")),
                };
            }
            "Sigmoid" => {
                let x = self.settled(node, 0)?;
                return Ok(Value::Gate(Gate {
                    name,
                    x,
                    curve: Curve::Sigmoid,
                }));
            }
            "Relu" => {
                let operand = self.operand(node, 0)?;
                return self.clamped(&name, operand, (0.0, f32::INFINITY));
            }
            "HardSigmoid" => (
                node.float("alpha", 0.2)?,
                node.float("beta", 0.5)?,
                0.0,
                1.0,
            ),
            _ => (
                1.0,
                0.0,
                bound(1, "min", f32::NEG_INFINITY)?,
                bound(2, "max", f32::INFINITY)?,
            ),
        };
        let mut x = self.operand(node, 0)?;
        let (mut scale, mut shift) = (scale, shift);
        let affine = x.affine.as_ref();
        if let Some((by, plus)) =
            affine.and_then(|a| Some((uniform(&a.scale)?, uniform(&a.shift)?)))
        {
            (scale, shift, x.affine) = (scale * by, shift + scale * plus, None);
        } else {
            x = self.settled(node, 0)?;
        }
        let clip = Clip {
            scale,
            shift,
            low,
            high,
            factor: 1.0,
            times_x: false,
        };
        self.clip(name, x, clip)
    }

    /// Makes a gate of a clip, or a hard swish if it has become one.
    pub(super) fn clip(&mut self, name: String, x: Operand, clip: Clip) -> Reason<Value> {
        match clip.is_hard_swish() {
            true => self.function(&name, &x, Function::HardSwish),
            false => Ok(Value::Gate(Gate {
                name,
                x,
                curve: Curve::Clip(clip),
            })),
        }
    }

    pub(super) fn function(
        &mut self,
        name: &str,
        operand: &Operand,
        function: Function,
    ) -> Reason<Value> {
        let (input, view) = self.elementwise(operand)?;
        let (rows, cols) = self.shape(input);
        let (output, value) = self.computed(name, rows, cols, view);
        if function == Function::Logistic {
            self.graph.tensors[output].fixed = Some(PROBABILITY);
        }
        self.graph.ops.push(Op::Function {
            function,
            input,
            output,
        });
        Ok(value)
    }

    /// Clips an operand in the linear that computes it for this alone, or in one that is made for it.
    fn clamped(&mut self, name: &str, operand: Operand, clamp: (f32, f32)) -> Reason<Value> {
        let operand = match self.linear_of(&operand).is_some() {
            true => operand,
            false => self.channelwise(name, operand)?,
        };
        let linear = self.linear_of(&operand).ok_or("it cannot be clipped")?;
        linear.clamp = clamp;
        // A range given for before the clip serves no longer where one is given for after it.
        if self.is_quantized_after(name) && self.given.remove(&operand.view.tensor) {
            self.graph.tensors[operand.view.tensor].fixed = None;
        }
        let clamped = self.named_operand(name, operand.view);
        Ok(Value::Tensor(Operand {
            sole: false,
            ..clamped
        }))
    }

    /// Computes a gate that is read as a tensor.
    pub(super) fn gate_value(&mut self, gate: Gate) -> Reason<Operand> {
        let Gate { name, x, curve } = gate;
        let value = match curve {
            Curve::Sigmoid => self.function(&name, &x, Function::Logistic)?,
            Curve::Clip(clip) => self.clip_value(&name, x, clip)?,
        };
        match value {
            Value::Tensor(operand) => Ok(operand),
            _ => Err("it is no tensor".into()),
        }
    }

    /// Computes a clip in a linear, which saturates at its bounds; the range of a hard sigmoid, 0 to 1, is
    /// known.
    fn clip_value(&mut self, name: &str, x: Operand, clip: Clip) -> Reason<Value> {
        let Clip {
            scale,
            shift,
            low,
            high,
            factor,
            times_x,
        } = clip;
        if times_x || factor <= 0.0 {
            return Err(
                "supported is x * clip(x / 6 + 1/2, 0, 1) (HardSwish), and clip(x, low, high) \
                        (HardSigmoid, Relu6) by itself"
                    .into(),
            );
        }
        let x = match self
            .linear_of(&x)
            .is_some_and(|linear| linear.clamp == UNCLAMPED)
        {
            true => x,
            false => self.channelwise(name, x)?,
        };
        let linear = self.linear_of(&x).ok_or("it cannot be clipped")?;
        let channels = linear.channels();
        linear.then_affine(
            &vec![scale * factor; channels],
            &vec![shift * factor; channels],
        );
        let tensor = x.view.tensor;
        let moved = scale * factor != 1.0 || shift != 0.0;
        if moved && self.given.remove(&tensor) {
            // It was given for before the hard sigmoid, which has no tensor of its own.
            self.graph.tensors[tensor].fixed = None;
        }
        if near(low * factor, 0.0) && near(high * factor, 1.0) {
            self.graph.tensors[tensor].fixed = Some(Quantization {
                scale: high * factor / 255.0,
                zero_point: -128,
            });
            let linear = self.linear_of(&x).ok_or("it cannot be clipped")?;
            linear.clamp = (low * factor, high * factor);
            let clamped = self.named_operand(name, x.view);
            return Ok(Value::Tensor(Operand {
                sole: false,
                ..clamped
            }));
        }
        self.clamped(name, x, (low * factor, high * factor))
    }
}
