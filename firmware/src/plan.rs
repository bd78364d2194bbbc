//! The plan: a flat list of operators over numbered tensors, which is all that the device knows of
//! a network.
//!
//! Every tensor is two-dimensional, `[rows, cols]`, row-major. Its bytes are constants in the
//! image, a place in the arena, or rows of a cache window; so a slice is a tensor with fewer rows
//! at the same place, an append is an operator that writes into a window, and no operator copies,
//! slices or transposes.
//!
//! Integers are fixed-width in the encoding (`postcard::fixint`), so that a tensor or cache record
//! has one size and is found by its number.

use serde::{Deserialize, Serialize};

/// Number of a tensor in the image's tensor table.
pub type TensorId = u16;

/// Where the elements of a tensor lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[repr(u8)]
pub enum Space {
    /// Constants: `offset` is a byte offset into the image's tensor segment, 16-byte aligned.
    Constant,
    /// Scratch: `offset` is a byte offset into the arena. Lives within one step.
    Arena,
    /// A cache window: `offset` is `cache << 16 | row`, `row` counted from the window's first row.
    Cache,
}

/// Element type of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[repr(u8)]
pub enum Element {
    /// Activations, weights and requantization shifts.
    I8,
    /// Bias and requantization multipliers, little-endian. Constants only.
    I32,
    /// Front-end tables, little-endian IEEE 754. Constants only, never an operator's operand.
    F32,
}

/// One tensor, `[rows, cols]`. A real value is `scale * (q - zero_point)`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tensor {
    /// Where its elements lie.
    pub space: Space,
    /// What they are.
    pub element: Element,
    /// Time, keys' time, or output channels of weights.
    #[serde(with = "postcard::fixint::le")]
    pub rows: u16,
    /// Channels, or keys.
    #[serde(with = "postcard::fixint::le")]
    pub cols: u16,
    /// As [`Space`] says.
    #[serde(with = "postcard::fixint::le")]
    pub offset: u32,
    /// Reports only: operators carry their own fixed-point multipliers.
    pub scale: f32,
    /// The quantized value that means 0.
    pub zero_point: i8,
    /// The columns are keys, oldest first: columns of absent keys are not computed (see
    /// [`Op::Softmax`]).
    pub keys: bool,
}

/// One cache: rows of `cols` bytes in a linear buffer of `capacity` rows, of which a window of
/// `rows` slides forward by the step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cache {
    /// Byte offset into the cache memory.
    #[serde(with = "postcard::fixint::le")]
    pub offset: u32,
    /// Rows of the window: what one step reads and writes.
    #[serde(with = "postcard::fixint::le")]
    pub rows: u16,
    /// Channels.
    #[serde(with = "postcard::fixint::le")]
    pub cols: u16,
    /// Rows of the buffer, at least `rows + step`. The window slides within it without copying.
    #[serde(with = "postcard::fixint::le")]
    pub capacity: u16,
    /// What the cache is filled with on reset: the value of an absent row.
    pub zero_point: i8,
}

/// Requantization: `value * multiplier * 2^(shift - 31)`, rounded as TFLite does.
/// `multiplier` is in `[2^30, 2^31)` or 0, `shift` in `-31..=30`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requantize {
    /// The factor's mantissa.
    pub multiplier: i32,
    /// The factor's exponent; positive is to the left.
    pub shift: i8,
}

/// The quantized range that an output is clamped to: all of int8, or a fused ReLU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clamp {
    /// Lowest.
    pub min: i8,
    /// Highest, not below `min`.
    pub max: i8,
}

/// Operands of an operator with per-channel weights.
#[allow(missing_docs)] // the formulas of [`Op`] name them
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dense {
    pub input: TensorId,
    pub output: TensorId,
    pub weights: TensorId,
    pub bias: TensorId,
    pub multiplier: TensorId,
    pub shift: TensorId,
    pub clamp: Clamp,
}

/// One operator. Shapes are `[rows, cols]`. No output overlaps an input.
#[allow(missing_docs)] // the formulas name the operands
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Op {
    /// `output[r, n] = bias[n] + sum_k input[r, k] * weights[n, k]`, per-channel requantized.
    /// `weights [N, K]`, `bias`, `multiplier` (I32) and `shift` (I8) `[1, N]`. The input's zero
    /// point is folded into the bias.
    FullyConnected(Dense),
    /// Causal depthwise convolution over time:
    /// `output[r, c] = bias[c] + sum_t input[r + t, c] * weights[t, c]`, per-channel requantized.
    /// `input [kernel - 1 + rows, C]`, `weights [kernel, C]`; the rest as in `FullyConnected`.
    DepthwiseConv(Dense),
    /// Element by element, equal shapes (`b` may be a constant); TFLite ADD: both inputs shifted
    /// left by 20 bits, brought to a common scale, added, requantized.
    Add {
        a: TensorId,
        b: TensorId,
        output: TensorId,
        a_scale: Requantize,
        b_scale: Requantize,
        output_scale: Requantize,
        clamp: Clamp,
    },
    /// Element by element, equal shapes; TFLite MUL.
    Mul {
        a: TensorId,
        b: TensorId,
        output: TensorId,
        output_scale: Requantize,
        clamp: Clamp,
    },
    /// `output = table[input + 128]`, any function of one value: HardSwish, SiLU, 1 / sqrt(x). `table [1, 256]`.
    Lookup {
        input: TensorId,
        output: TensorId,
        table: TensorId,
    },
    /// Attention scores of every head, TFLite BATCH_MATMUL with `adj_y`:
    /// `output[h * C + i, j] = sum_k query[i, h * d + k] * key[j, h * d + k]`, requantized.
    /// `query [C, heads * d]`, `key [keys, heads * d]`, `output [heads * C, keys]`.
    Scores {
        query: TensorId,
        key: TensorId,
        output: TensorId,
        heads: u8,
        output_scale: Requantize,
    },
    /// Softmax of each row, TFLite int8 to int8 (output scale 1/256, zero point -128). Where the
    /// columns are keys, those of absent keys are not read but count as -128, as after TFLite's
    /// MINIMUM with a mask: probability 0 if the scores' scale reaches 14.5 below every maximum.
    Softmax {
        input: TensorId,
        output: TensorId,
        /// TFLite's `input_multiplier` and `input_left_shift` (beta 1, 5 integer bits).
        input_scale: Requantize,
        /// Differences to the row's maximum below this count as probability 0.
        diff_min: i32,
    },
    /// Attention output of every head, TFLite BATCH_MATMUL:
    /// `output[i, h * d + k] = sum_j probs[h * C + i, j] * value[j, h * d + k]`, requantized.
    Context {
        probs: TensorId,
        value: TensorId,
        output: TensorId,
        heads: u8,
        output_scale: Requantize,
    },
}

impl Op {
    /// The tensor that the operator writes.
    pub fn output(&self) -> TensorId {
        match *self {
            Self::FullyConnected(Dense { output, .. })
            | Self::DepthwiseConv(Dense { output, .. })
            | Self::Add { output, .. }
            | Self::Mul { output, .. }
            | Self::Lookup { output, .. }
            | Self::Scores { output, .. }
            | Self::Softmax { output, .. }
            | Self::Context { output, .. } => output,
        }
    }
}
