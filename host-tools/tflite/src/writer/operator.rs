//! Lists the builtin operators that the writer knows, with their options.

use flatbuffers::{FlatBufferBuilder, UnionWIPOffset, WIPOffset};
use tract_tflite::tflite as schema;
pub use tract_tflite::tflite::ActivationFunctionType as Activation;
use zerda_firmware::plan::Clamp;

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
    /// Returns the builtin operator and the version of its int8 form.
    pub(super) fn builtin(self) -> (schema::BuiltinOperator, i32) {
        use schema::BuiltinOperator as B;
        match self {
            Self::Add(_) => (B::ADD, 2),
            Self::BatchMatMul { .. } => (B::BATCH_MATMUL, 2),
            Self::Concatenation { .. } => (B::CONCATENATION, 2),
            Self::DepthwiseConv2d(_) => (B::DEPTHWISE_CONV_2D, 3),
            Self::FullyConnected(_) => (B::FULLY_CONNECTED, 12),
            Self::HardSwish => (B::HARD_SWISH, 1),
            Self::Logistic => (B::LOGISTIC, 2),
            Self::Minimum => (B::MINIMUM, 2),
            Self::Mul(_) => (B::MUL, 2),
            Self::Reshape => (B::RESHAPE, 1),
            Self::Rsqrt => (B::RSQRT, 2),
            Self::Slice => (B::SLICE, 2),
            Self::Softmax => (B::SOFTMAX, 2),
            Self::Transpose => (B::TRANSPOSE, 2),
        }
    }

    pub(super) fn create_options<'f>(
        self,
        fbb: &mut FlatBufferBuilder<'f>,
    ) -> (schema::BuiltinOptions, Option<WIPOffset<UnionWIPOffset>>) {
        /// Makes the option table `$args` of the union member `$member`.
        macro_rules! options {
            ($member:ident, $args:expr) => {{
                let offset = schema::$member::create(fbb, &$args).as_union_value();
                (schema::BuiltinOptions::$member, Some(offset))
            }};
        }
        match self {
            Self::Add(activation) => options!(
                AddOptions,
                schema::AddOptionsArgs {
                    fused_activation_function: activation,
                    ..Default::default()
                }
            ),
            Self::BatchMatMul { adj_y } => options!(
                BatchMatMulOptions,
                schema::BatchMatMulOptionsArgs {
                    adj_y,
                    ..Default::default()
                }
            ),
            Self::Concatenation { axis } => options!(
                ConcatenationOptions,
                schema::ConcatenationOptionsArgs {
                    axis,
                    ..Default::default()
                }
            ),
            Self::DepthwiseConv2d(activation) => options!(
                DepthwiseConv2DOptions,
                schema::DepthwiseConv2DOptionsArgs {
                    padding: schema::Padding::VALID,
                    stride_w: 1,
                    stride_h: 1,
                    depth_multiplier: 1,
                    fused_activation_function: activation,
                    ..Default::default()
                }
            ),
            Self::FullyConnected(activation) => options!(
                FullyConnectedOptions,
                schema::FullyConnectedOptionsArgs {
                    fused_activation_function: activation,
                    ..Default::default()
                }
            ),
            Self::HardSwish => options!(HardSwishOptions, schema::HardSwishOptionsArgs {}),
            Self::Logistic | Self::Rsqrt => (schema::BuiltinOptions::NONE, None),
            Self::Minimum => options!(MaximumMinimumOptions, schema::MaximumMinimumOptionsArgs {}),
            Self::Mul(activation) => options!(
                MulOptions,
                schema::MulOptionsArgs {
                    fused_activation_function: activation
                }
            ),
            Self::Reshape => options!(ReshapeOptions, schema::ReshapeOptionsArgs::default()),
            Self::Slice => options!(SliceOptions, schema::SliceOptionsArgs {}),
            Self::Softmax => options!(SoftmaxOptions, schema::SoftmaxOptionsArgs { beta: 1.0 }),
            Self::Transpose => options!(TransposeOptions, schema::TransposeOptionsArgs {}),
        }
    }
}
