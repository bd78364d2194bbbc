//! Takes over the quantization that the ONNX gives (fake quantization), of the plan's tensors and of
//! weights.

use tract_onnx::pb::NodeProto;

use super::{Id, Importer, Quantization, Reason, Value};
use crate::onnx::{Attributes, FakeQuantization, axis};

/// Scales that the ONNX gives for constant weights.
#[derive(Clone, Debug)]
pub struct WeightScales {
    scales: Vec<f32>,
    /// Axis whose indices the scales are for; it is not used if there is one scale.
    axis: usize,
}

impl Importer<'_> {
    /// Imports an Identity that stands in the place of fake quantization.
    pub(super) fn fake_quantized(
        &mut self,
        node: &NodeProto,
        fake: &FakeQuantization,
    ) -> Reason<Value> {
        let value = self.take(node, 0)?;
        match &value {
            Value::Constant(constant) => {
                if fake.zero_points.iter().any(|&zero_point| zero_point != 0) {
                    // Its values are taken as they are; on the device weights are symmetric.
                    if constant.rank() > 1 {
                        let why = "constants with a zero point; symmetric ones are, as onnxruntime's quantize_static \
                                   makes with extra_options={\"WeightSymmetric\": True}";
                        self.graph.left_out.push((node.input[0].clone(), why));
                    }
                    return Ok(value);
                }
                let scales = fake.scales.clone();
                let axis = match scales.len() {
                    1 => 0,
                    _ => axis(fake.axis, constant.rank())?,
                };
                let scales = WeightScales { scales, axis };
                self.weight_scales.insert(node.output[0].clone(), scales);
            }
            Value::Tensor(_) => {
                let ([scale], [zero_point]) = (&fake.scales[..], &fake.zero_points[..]) else {
                    return Err(
                        "values quantized by channel; supported is one scale for all, or weights by channel"
                            .into(),
                    );
                };
                let zero_point = i8::try_from(*zero_point)
                    .map_err(|_| format!("a zero point of {zero_point}"))?;
                let scale = *scale;
                // A scale or shift before it is not folded: the values after it are what is quantized.
                let operand = self.settled(node, 0)?;
                let given = Quantization { scale, zero_point };
                self.give(&node.input[0], operand.view.tensor, given);
                return Ok(Value::Tensor(operand));
            }
            // Sigmoids and softmaxes have TFLite's range, pieces of a norm that of calibration.
            Value::Gate(_) | Value::Moment(_) | Value::Mask(_) | Value::Cache(..) => {
                let why = "pieces of a norm or an activation, which have no tensor of their own";
                self.graph.left_out.push((node.input[0].clone(), why));
            }
        }
        Ok(value)
    }

    /// Takes over the quantization of a tensor, unless its range is known or another reader quantizes it
    /// more coarsely.
    fn give(&mut self, name: &str, tensor: Id, given: Quantization) {
        let root = self.graph.root(tensor);
        let known = self.graph.tensors[root].fixed;
        let mut left_out = |why| self.graph.left_out.push((name.into(), why));
        match known {
            Some(_) if !self.given.contains(&root) => {
                left_out("features, probabilities and sigmoids, whose range is known");
            }
            Some(known) if given.scale <= known.scale => {
                if given != known {
                    left_out("tensors that another reader quantizes more coarsely");
                }
            }
            _ => {
                self.graph.tensors[root].fixed = Some(given);
                self.given.insert(root);
            }
        }
    }

    /// Says whether fake quantization reads a value.
    pub(super) fn is_quantized_after(&self, name: &str) -> bool {
        self.onnx.quantized.contains(name)
    }

    /// Keeps the scales of constant weights after a node that reorders them.
    pub(super) fn keep_weight_scales(&mut self, node: &NodeProto) -> Reason<()> {
        let scales = node
            .input
            .first()
            .and_then(|name| self.weight_scales.get(name));
        let Some(WeightScales { scales, axis }) = scales.cloned() else {
            return Ok(());
        };
        let axis = match (node.op_type.as_str(), node.ints("perm")?) {
            ("Transpose", Some(order)) => order
                .iter()
                .position(|&of| of == axis as i64)
                .unwrap_or(axis),
            ("Transpose", None) => 1 - axis.min(1),
            _ if scales.len() == 1 => axis,
            _ => return Ok(()),
        };
        let scales = WeightScales { scales, axis };
        self.weight_scales.insert(node.output[0].clone(), scales);
        Ok(())
    }

    /// Returns the scales of weights, an input of a node, for each of `channels`, which lie along `along`;
    /// `None` if the ONNX gives none.
    pub(super) fn scales_of(
        &self,
        node: &NodeProto,
        input: usize,
        channels: usize,
        along: usize,
    ) -> Reason<Option<Vec<f32>>> {
        match self.weight_scales.get(&node.input[input]) {
            None => Ok(None),
            Some(WeightScales { scales, .. }) if scales.len() == 1 => {
                Ok(Some(vec![scales[0]; channels]))
            }
            Some(WeightScales { scales, axis }) if scales.len() == channels && *axis == along => {
                Ok(Some(scales.clone()))
            }
            Some(WeightScales { scales, axis }) => Err(format!(
                "weights with {} scales along axis {axis}; supported is one for all, or one an output channel",
                scales.len()
            )),
        }
    }
}
