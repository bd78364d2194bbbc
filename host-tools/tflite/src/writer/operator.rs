//! Lists the builtin operators that the writer knows, with their options.

use flatbuffers::{FlatBufferBuilder, UnionWIPOffset, WIPOffset};
use zerda_firmware::plan::Clamp;

pub use crate::schema::Activation;
use crate::schema::{self, options, slot, table};

/// Returns the quantized range of a fused activation, as TFLite's `CalculateActivationRangeQuantized` does.
pub fn activation_range(activation: Activation, scale: f32, zero_point: i8) -> Clamp {
    let quantized = |real: f32| {
        // Truncates far values to the ends of i32, which the sum must not overflow.
        let steps = (real / scale).round() as i32;
        steps.saturating_add(zero_point.into()).clamp(-128, 127) as i8
    };
    let (min, max) = match activation {
        Activation::RELU => (quantized(0.0), 127),
        Activation::RELU6 => (quantized(0.0), quantized(6.0)),
        Activation::RELU_N1_TO_1 => (quantized(-1.0), quantized(1.0)),
        _ => (-128, 127),
    };
    Clamp { min, max }
}

/// Builtin operator with its options, whose inputs are in the order of the TFLite operator.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Operator {
    Add(Activation),
    BatchMatMul { adj_y: bool },
    Concatenation { axis: i32 },
    DepthwiseConv2d(Activation),
    FullyConnected(Activation),
    HardSwish,
    Logistic,
    Minimum,
    Mul(Activation),
    Reshape,
    Rsqrt,
    Slice,
    Softmax,
    Transpose,
}

impl Operator {
    /// Returns the number of the builtin operator, and the version of its int8 form.
    pub(super) fn builtin(self) -> (i32, i32) {
        let (name, version) = match self {
            Self::Add(_) => ("ADD", 2),
            Self::BatchMatMul { .. } => ("BATCH_MATMUL", 2),
            Self::Concatenation { .. } => ("CONCATENATION", 2),
            Self::DepthwiseConv2d(_) => ("DEPTHWISE_CONV_2D", 3),
            Self::FullyConnected(_) => ("FULLY_CONNECTED", 12),
            Self::HardSwish => ("HARD_SWISH", 1),
            Self::Logistic => ("LOGISTIC", 2),
            Self::Minimum => ("MINIMUM", 2),
            Self::Mul(_) => ("MUL", 2),
            Self::Reshape => ("RESHAPE", 1),
            Self::Rsqrt => ("RSQRT", 2),
            Self::Slice => ("SLICE", 2),
            Self::Softmax => ("SOFTMAX", 2),
            Self::Transpose => ("TRANSPOSE", 2),
        };
        (schema::builtin_code(name), version)
    }

    /// Writes the operator's options; returns their member of the union, and their table unless there is none.
    pub(super) fn create_options<'f>(
        self,
        fbb: &mut FlatBufferBuilder<'f>,
    ) -> (u8, Option<WIPOffset<UnionWIPOffset>>) {
        use slot::options as field;
        let (member, options) = match self {
            Self::Logistic | Self::Rsqrt => return (options::NONE, None),
            Self::Add(activation) => (options::ADD, activated(fbb, activation)),
            Self::FullyConnected(activation) => {
                (options::FULLY_CONNECTED, activated(fbb, activation))
            }
            Self::Mul(activation) => (options::MUL, activated(fbb, activation)),
            Self::BatchMatMul { adj_y } => {
                let fields = table(fbb, |fbb| {
                    fbb.push_slot(field::BATCH_MATMUL_ADJ_Y, adj_y, false);
                });
                (options::BATCH_MATMUL, fields)
            }
            Self::Concatenation { axis } => {
                let fields = table(fbb, |fbb| {
                    fbb.push_slot(field::CONCATENATION_AXIS, axis, 0);
                });
                (options::CONCATENATION, fields)
            }
            Self::DepthwiseConv2d(Activation(activation)) => {
                let fields = table(fbb, |fbb| {
                    use slot::depthwise_conv_2d as field;
                    let (multiplier, stride) = (1, 1);
                    fbb.push_slot(field::DEPTH_MULTIPLIER, multiplier, 0);
                    fbb.push_slot(field::STRIDE_H, stride, 0);
                    fbb.push_slot(field::STRIDE_W, stride, 0);
                    fbb.push_slot(field::ACTIVATION, activation, Activation::NONE.0);
                    fbb.push_slot(field::PADDING, schema::VALID, 0);
                });
                (options::DEPTHWISE_CONV_2D, fields)
            }
            Self::Softmax => {
                let beta = 1.0f32;
                let fields = table(fbb, |fbb| fbb.push_slot(field::SOFTMAX_BETA, beta, 0.0));
                (options::SOFTMAX, fields)
            }
            Self::HardSwish => (options::HARD_SWISH, table(fbb, |_| {})),
            Self::Minimum => (options::MAXIMUM_MINIMUM, table(fbb, |_| {})),
            Self::Reshape => (options::RESHAPE, table(fbb, |_| {})),
            Self::Slice => (options::SLICE, table(fbb, |_| {})),
            Self::Transpose => (options::TRANSPOSE, table(fbb, |_| {})),
        };
        (member, Some(options))
    }
}

/// Writes a table of options whose one field that is not its default is the activation.
fn activated<'f>(
    fbb: &mut FlatBufferBuilder<'f>,
    Activation(activation): Activation,
) -> WIPOffset<UnionWIPOffset> {
    table(fbb, |fbb| {
        fbb.push_slot(slot::options::ACTIVATION, activation, Activation::NONE.0);
    })
}
