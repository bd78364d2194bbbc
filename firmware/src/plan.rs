//! The plan is a flat list of operators over numbered tensors. It is all that the device knows of a network.
//!
//! Every tensor is two-dimensional, `[rows, cols]`, row-major. Its bytes are constants in the image, a place
//! in the arena, or rows of a cache window. So a slice is a tensor with fewer rows at the same place, an
//! append is an operator that writes into a window, and no operator copies, slices or transposes.
//!
//! Integers are fixed-width in the encoding (`postcard::fixint`), so that a tensor or cache record
//! has one size and is found by its number.

use core::fmt;
use core::ops::Range;

use serde::{Deserialize, Serialize};

/// The number that a tensor has in the image's tensor table, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TensorId(pub u16);

impl fmt::Display for TensorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Says where the elements of a tensor lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Location {
    /// The elements are constants in the image's tensor segment.
    Constant {
        /// The bytes of the segment that lie before the first element, a multiple of 16.
        offset: u32,
    },
    /// The elements are intermediate results, which live within one step.
    Arena {
        /// The bytes of the arena that lie before the first element.
        offset: u32,
    },
    /// The elements are rows of a cache window.
    Cache {
        /// The number that the cache has, from 0.
        cache: u16,
        /// The number of rows of the window that lie before the first one.
        row: u16,
    },
}

/// Says what type the elements of a tensor have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[repr(u8)]
pub enum Element {
    /// Elements are int8: activations, weights and requantization shifts.
    I8,
    /// Elements are int32, little-endian: bias and requantization multipliers. Only constants have this type.
    I32,
    /// Elements are IEEE 754 floats of 32 bits, little-endian: front-end tables. Only constants have this
    /// type, and they are never an operator's operand.
    F32,
}

/// A tensor that has the shape `[rows, cols]`. A real value is `scale * (q - zero_point)`.
///
/// Its record in the image has these fields in order, except that `location` takes two: the number of the
/// variant (0, 1, 2) stands first, and behind `cols` stands its `offset`, or `cache << 16 | row`, in 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(into = "Record")]
pub struct Tensor {
    /// Says where the elements lie.
    pub location: Location,
    /// Says what type the elements have.
    pub element: Element,
    /// Counts the rows: time, keys' time, or output channels of weights.
    pub rows: u16,
    /// Counts the columns, which are channels or keys.
    pub cols: u16,
    /// The real value that one quantized step stands for. It serves for reports only: operators carry their
    /// own fixed-point multipliers.
    pub scale: f32,
    /// The quantized value that means 0.
    pub zero_point: i8,
    /// Says whether the columns are keys, oldest first. Columns of absent keys are not computed (see
    /// [`Op::Softmax`]).
    pub keys: bool,
}

impl Tensor {
    /// Returns the number of elements.
    #[allow(clippy::len_without_is_empty)] // none is empty
    pub fn len(&self) -> usize {
        usize::from(self.rows) * usize::from(self.cols)
    }

    /// Decodes a record to what postcard would, in fewer instructions: each operator decodes up to six.
    pub(crate) fn decode(record: &[u8; TENSOR_BYTES]) -> Option<Self> {
        let (words, _) = record.as_chunks();
        let &[w0, w1, w2, w3] = words else {
            return None;
        };
        let [w0, w1, w2, w3] = [w0, w1, w2, w3].map(u32::from_le_bytes);
        let [space, element, ..] = w0.to_le_bytes();
        // Two bytes precede the rows, so that offset and scale lie across words.
        let offset = w1 >> 16 | w2 << 16;
        let scale = w2 >> 16 | w3 << 16;
        let [.., zero_point, keys] = w3.to_le_bytes();
        let location = match space {
            0 => Location::Constant { offset },
            1 => Location::Arena { offset },
            2 => Location::Cache {
                cache: (offset >> 16) as u16,
                row: offset as u16,
            },
            _ => return None,
        };
        let element = match element {
            0 => Element::I8,
            1 => Element::I32,
            2 => Element::F32,
            _ => return None,
        };
        Some(Self {
            location,
            element,
            rows: (w0 >> 16) as u16,
            cols: w1 as u16,
            scale: f32::from_bits(scale),
            zero_point: zero_point as i8,
            keys: match keys {
                0 => false,
                1 => true,
                _ => return None,
            },
        })
    }

    /// Says whether the elements are constants.
    pub fn is_constant(&self) -> bool {
        matches!(self.location, Location::Constant { .. })
    }

    /// Returns the bytes of a constant or an arena tensor, counted from the start of its segment or arena;
    /// `None` for rows of a cache, and where they would end beyond all memory.
    pub fn byte_range(&self) -> Option<Range<usize>> {
        let (Location::Constant { offset } | Location::Arena { offset }) = self.location else {
            return None;
        };
        let size = if self.element == Element::I8 { 1 } else { 4 };
        let start = offset as usize;
        let end = self.len().checked_mul(size)?.checked_add(start)?;
        Some(start..end)
    }

    /// Returns the cache in which the tensor's rows lie, and the row of its window that is the first of them;
    /// `None` outside the caches.
    pub fn cache_row(&self) -> Option<(usize, u16)> {
        match self.location {
            Location::Cache { cache, row } => Some((cache.into(), row)),
            Location::Constant { .. } | Location::Arena { .. } => None,
        }
    }
}

/// The number of bytes that an encoded [`Tensor`] takes.
pub(crate) const TENSOR_BYTES: usize = 16;

/// The record of a [`Tensor`] as it is encoded.
#[derive(Serialize)]
#[cfg_attr(test, derive(Deserialize))]
struct Record {
    space: Space,
    element: Element,
    #[serde(with = "postcard::fixint::le")]
    rows: u16,
    #[serde(with = "postcard::fixint::le")]
    cols: u16,
    #[serde(with = "postcard::fixint::le")]
    offset: u32,
    scale: f32,
    zero_point: i8,
    keys: bool,
}

/// Names the variant of a [`Location`].
#[derive(Serialize)]
#[cfg_attr(test, derive(Deserialize))]
enum Space {
    Constant,
    Arena,
    Cache,
}

impl From<Tensor> for Record {
    fn from(tensor: Tensor) -> Self {
        let (space, offset) = match tensor.location {
            Location::Constant { offset } => (Space::Constant, offset),
            Location::Arena { offset } => (Space::Arena, offset),
            Location::Cache { cache, row } => {
                (Space::Cache, u32::from(cache) << 16 | u32::from(row))
            }
        };
        Self {
            space,
            element: tensor.element,
            rows: tensor.rows,
            cols: tensor.cols,
            offset,
            scale: tensor.scale,
            zero_point: tensor.zero_point,
            keys: tensor.keys,
        }
    }
}

/// A cache, which holds rows of `cols` bytes in a linear buffer of `capacity` rows, in which a window of
/// `rows` slides forward by the step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cache {
    /// The byte offset that the buffer has in the cache memory.
    #[serde(with = "postcard::fixint::le")]
    pub offset: u32,
    /// The number of rows of the window, which one step reads and writes.
    #[serde(with = "postcard::fixint::le")]
    pub rows: u16,
    /// The number of columns, which are channels.
    #[serde(with = "postcard::fixint::le")]
    pub cols: u16,
    /// The number of rows that the buffer holds, at least `rows + step`. The window slides within it without
    /// copying.
    #[serde(with = "postcard::fixint::le")]
    pub capacity: u16,
    /// The value that the cache is filled with on reset; it stands for an absent row.
    pub zero_point: i8,
}

impl Cache {
    /// Returns the bytes that the buffer takes in memory.
    pub fn byte_range(&self) -> Range<usize> {
        let bytes = usize::from(self.capacity) * usize::from(self.cols);
        let start = self.offset as usize;
        start..start.saturating_add(bytes)
    }
}

/// A requantization, which computes `value * multiplier * 2^(shift - 31)`, rounded as TFLite does.
/// `multiplier` is in `[2^30, 2^31)` or 0, `shift` in `-31..=30`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requantize {
    /// Holds the mantissa of the factor.
    pub multiplier: i32,
    /// Holds the exponent of the factor; a positive one shifts to the left.
    pub shift: i8,
}

/// The quantized range that an output is clamped to: all of int8, or a fused ReLU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clamp {
    /// The lowest value that an output may have.
    pub min: i8,
    /// The highest value that an output may have, not below `min`.
    pub max: i8,
}

/// Names the operands of an operator with per-channel weights.
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

/// An operator that the plan runs. Shapes are `[rows, cols]`. No output overlaps an input.
#[allow(missing_docs)] // the formulas name the operands
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Op {
    /// Computes `output[r, n] = bias[n] + sum_k input[r, k] * weights[n, k]`, requantized with a scale per
    /// channel. The shapes are `weights [N, K]`; `bias`, `multiplier` (I32) and `shift` (I8) `[1, N]`. The
    /// input's zero point is folded into the bias.
    FullyConnected(Dense),
    /// Computes a causal depthwise convolution over time:
    /// `output[r, c] = bias[c] + sum_t input[r + t, c] * weights[t, c]`, requantized with a scale per
    /// channel. The shapes are `input [kernel - 1 + rows, C]` and `weights [kernel, C]`; the others are those
    /// of `FullyConnected`.
    DepthwiseConv(Dense),
    /// Adds element by element (TFLite ADD); all shapes are equal, and `b` may be a constant. Both inputs are
    /// shifted left by 20 bits, brought to a common scale, added and requantized.
    Add {
        a: TensorId,
        b: TensorId,
        output: TensorId,
        a_scale: Requantize,
        b_scale: Requantize,
        output_scale: Requantize,
        clamp: Clamp,
    },
    /// Multiplies element by element (TFLite MUL); all shapes are equal.
    Mul {
        a: TensorId,
        b: TensorId,
        output: TensorId,
        output_scale: Requantize,
        clamp: Clamp,
    },
    /// Computes `output = table[input + 128]`, which is any function of one value: HardSwish, SiLU,
    /// `1 / sqrt(x)`. The table's shape is `[1, 256]`.
    Lookup {
        input: TensorId,
        output: TensorId,
        table: TensorId,
    },
    /// Computes the attention scores of every head (TFLite BATCH_MATMUL with `adj_y`):
    /// `output[h * C + i, j] = sum_k query[i, h * d + k] * key[j, h * d + k]`, requantized. The shapes are
    /// `query [C, heads * d]`, `key [keys, heads * d]` and `output [heads * C, keys]`.
    Scores {
        query: TensorId,
        key: TensorId,
        output: TensorId,
        heads: u8,
        output_scale: Requantize,
    },
    /// Computes the softmax of each row, TFLite's int8 to int8 (output scale 1/256, zero point -128). If the
    /// columns are keys, those of absent keys are not read but count as -128, as after TFLite's MINIMUM with
    /// a mask: their probability is 0 if the scores' scale reaches 14.5 below every maximum.
    Softmax {
        input: TensorId,
        output: TensorId,
        /// Holds TFLite's `input_multiplier` and `input_left_shift` (beta 1, 5 integer bits).
        input_scale: Requantize,
        /// The least difference to the row's maximum that counts, at most 0; a lower one has probability 0.
        diff_min: i32,
    },
    /// Computes the attention output of every head (TFLite BATCH_MATMUL):
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
    /// Returns the tensor that the operator writes.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_image::Random;

    #[test]
    fn any_bytes_are_decoded_to_the_tensor_that_postcard_would_read_or_to_none() {
        let (mut random, mut tensors) = (Random(1), 0);
        for _ in 0..100_000 {
            let mut record = [0; TENSOR_BYTES].map(|_: u8| random.next() as u8);
            for (field, most) in [(0, 4), (1, 4), (15, 3)] {
                if random.below(8) > 0 {
                    record[field] = random.below(most) as u8;
                }
            }
            let bytes = |record: Record| {
                let mut bytes = [0; TENSOR_BYTES];
                postcard::to_slice(&record, &mut bytes).unwrap();
                bytes
            };
            let decoded = Tensor::decode(&record).map(|tensor| bytes(tensor.into()));
            let expected = postcard::from_bytes(&record).ok().map(bytes);
            assert_eq!(decoded, expected, "{record:?}");
            tensors += usize::from(decoded.is_some());
        }
        assert!(tensors > 10_000, "{tensors}");
    }
}
