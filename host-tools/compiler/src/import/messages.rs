//! Words the errors of the import: the node that a reason is about, and what is supported instead.

use tract_onnx::pb::NodeProto;

use super::{Importer, Operand, Value, activation, norm};

impl Importer<'_> {
    /// Puts node, operator and shapes before a reason.
    pub(super) fn at(&self, node: &NodeProto, reason: &str) -> String {
        let shape = |name: &String| match self.values.get(name) {
            Some(Value::Constant(constant)) => format!("{:?}", constant.shape()),
            Some(
                Value::Tensor(Operand { view, .. })
                | Value::Cache(_, view)
                | Value::Gate(activation::Gate {
                    x: Operand { view, .. },
                    ..
                })
                | Value::Moment(norm::Moment {
                    x: Operand { view, .. },
                    ..
                }),
            ) => format!("{:?}", view.shape()),
            _ => format!("`{name}`"),
        };
        let given = node.input.iter().filter(|name| !name.is_empty());
        let shapes: Vec<_> = given.map(shape).collect();
        let named = node.output.first().filter(|_| node.name.is_empty());
        let name = named.unwrap_or(&node.name);
        format!(
            "node `{name}` ({} of {}): {reason}",
            node.op_type,
            shapes.join(", ")
        )
    }
}

/// Says that an operator is not supported, and what is near it.
pub(super) fn unsupported(op: &str) -> String {
    let nearest = match op {
        "LSTM" | "GRU" | "RNN" => {
            "what is remembered from step to step are caches: rows that a Concat puts before new ones, \
             read by attention or a depthwise Conv"
        }
        "Gelu" | "Erf" | "Tanh" | "Elu" | "Selu" | "LeakyRelu" | "PRelu" | "Mish" | "Softplus" => {
            "activations are Relu, Relu6, HardSwish, SiLU (x * Sigmoid(x)), HardSigmoid and Sigmoid"
        }
        "LogSoftmax" => {
            "the output must be the `logits`, before the Softmax, which Zerda computes: leave it out of the export"
        }
        "Attention" => {
            "supported is Attention(query, key, value, mask) that is not causal and has no softcap, with the \
             caches concatenated before it"
        }
        "InstanceNormalization" | "GroupNormalization" | "LpNormalization" => {
            "norms are BatchNormalization, LayerNormalization and RMSNormalization over the channels"
        }
        "QuantizeLinear"
        | "DequantizeLinear"
        | "DynamicQuantizeLinear"
        | "QLinearConv"
        | "QLinearMatMul"
        | "MatMulInteger"
        | "ConvInteger" => {
            "quantized networks are float ones with pairs of QuantizeLinear and DequantizeLinear (QDQ)"
        }
        _ => {
            "supported are Gemm, MatMul, depthwise and pointwise Conv over frames, Add, Sub, Mul, Div, \
             norms (Batch, Layer, RMS), activations (Relu, Relu6, HardSwish, SiLU, HardSigmoid, Sigmoid), \
             Softmax and Attention, and what only reshapes, slices, splits or concatenates with a cache"
        }
    };
    format!("no operator of Zerda computes this; {nearest}")
}
