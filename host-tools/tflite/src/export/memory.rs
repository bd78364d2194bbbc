//! Follows the plan's memory symbolically: which TFLite value the rows at each place hold. The plan reuses
//! places and reads parts of what it wrote; TFLite writes every tensor once and reads it whole.

use std::ops::Range;

use zerda_firmware::plan::{Location, Tensor};

use super::{Export, Value, dimensions};
use crate::writer::{Graph, Operator, Quantization};

/// Bytes that a tensor takes; they meet those of other tensors only in the same cache, or, without one, in
/// the arena.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    cache: Option<u16>,
    /// Bytes from the start of the arena or the window.
    bytes: Range<usize>,
}

impl Place {
    /// Returns the place of a tensor that is not a constant.
    fn of(tensor: &Tensor) -> Place {
        let (cache, start) = match tensor.location {
            Location::Cache { cache, row } => {
                (Some(cache), usize::from(row) * usize::from(tensor.cols))
            }
            Location::Arena { offset } | Location::Constant { offset } => (None, offset as usize),
        };
        Place {
            cache,
            bytes: start..start + tensor.len(),
        }
    }
}

/// Rows of a value that lie at a place.
#[derive(Clone, Debug)]
struct Piece {
    /// Cache and bytes of the place, as in [`Place`].
    cache: Option<u16>,
    bytes: Range<usize>,
    cols: usize,
    value: Value,
    /// Row of the value that is at the start of `bytes`.
    first: usize,
}

#[derive(Debug, Default)]
pub struct Memory {
    pieces: Vec<Piece>,
}

impl Memory {
    /// Puts a value of the tensor's shape where the tensor lies.
    pub fn write(&mut self, tensor: &Tensor, value: Value) {
        let Place { cache, bytes } = Place::of(tensor);
        let mut pieces = Vec::new();
        for piece in self.pieces.drain(..) {
            if piece.cache != cache || !overlap(&piece.bytes, &bytes) {
                pieces.push(piece);
                continue;
            }
            // What was there before lives on in whole rows on either side.
            let rows_before = bytes.start.saturating_sub(piece.bytes.start) / piece.cols;
            let skipped = bytes
                .end
                .saturating_sub(piece.bytes.start)
                .div_ceil(piece.cols);
            let start = piece.bytes.start;
            let sides = [
                (start..start + rows_before * piece.cols, piece.first),
                (
                    start + skipped * piece.cols..piece.bytes.end,
                    piece.first + skipped,
                ),
            ];
            for (bytes, first) in sides {
                if !bytes.is_empty() {
                    pieces.push(Piece {
                        bytes,
                        first,
                        ..piece.clone()
                    });
                }
            }
        }
        let cols = tensor.cols.into();
        pieces.push(Piece {
            cache,
            bytes,
            cols,
            value,
            first: 0,
        });
        self.pieces = pieces;
    }

    /// Returns the values that a tensor's rows come from, with the rows of each.
    fn read(&self, tensor: &Tensor) -> Result<Vec<(Value, Range<usize>)>, String> {
        let Place { cache, bytes } = Place::of(tensor);
        let cols = usize::from(tensor.cols);
        let mut parts = Vec::new();
        let mut at = bytes.start;
        while at < bytes.end {
            let holds = |piece: &&Piece| piece.cache == cache && piece.bytes.contains(&at);
            let piece = self.pieces.iter().find(holds);
            let piece = piece.ok_or("it reads memory that nothing has written")?;
            if piece.cols != cols || (at - piece.bytes.start) % cols != 0 {
                return Err("it reads rows that were written with another width".into());
            }
            let Value {
                scale, zero_point, ..
            } = piece.value;
            if (scale, zero_point) != (tensor.scale, tensor.zero_point) {
                return Err("it reads values at another scale than they were written with".into());
            }
            let end = piece.bytes.end.min(bytes.end);
            let first = piece.first + (at - piece.bytes.start) / cols;
            parts.push((piece.value.clone(), first..first + (end - at) / cols));
            at = end;
        }
        Ok(parts)
    }
}

impl Export<'_> {
    /// Returns what a place in memory holds now: a value, rows of it, or rows of several.
    pub(super) fn read_tensor(&mut self, tensor: &Tensor) -> Result<Value, String> {
        let mut parts = self.parts(tensor)?;
        if parts.len() == 1 {
            return Ok(parts.remove(0));
        }
        let joined = self.joined(parts, *tensor);
        Ok(self.reshaped(joined, &dimensions(tensor)))
    }

    /// Returns what a place in memory holds now, with rows of several values left apart.
    pub(super) fn parts(&mut self, tensor: &Tensor) -> Result<Vec<Value>, String> {
        let mut parts = Vec::new();
        for (value, rows) in self.memory.read(tensor)? {
            let [all, cols] = [value.shape[0], value.shape[1]];
            let whole = rows == (0..all as usize);
            parts.push(match whole {
                true => value,
                false => self.slice(&value, [rows.start as i32, 0], [rows.len() as i32, cols]),
            });
        }
        Ok(parts)
    }

    /// Joins values end to end. Each passes through a MINIMUM that changes nothing: Vela lets an
    /// elementwise operator write to its place in the CONCATENATION, where any other input is copied by a
    /// pooling, at three times the cycles.
    pub(super) fn joined(&mut self, parts: Vec<Value>, like: Tensor) -> Value {
        let elements = |value: &Value| value.shape.iter().product::<i32>();
        // Vela counts the fewest accesses for a depth of 16, that of its own layout.
        let depth = match parts.iter().all(|part| elements(part) % 16 == 0) {
            true => 16,
            false => 1,
        };
        let q = Quantization::per_tensor(like.scale, like.zero_point);
        let most = self.graph.constant_i8("most", &[1], q, &[i8::MAX]);
        let mut copies = Vec::new();
        let mut rows = 0;
        for part in parts {
            let shape = [elements(&part) / depth, depth];
            rows += shape[0];
            let part = self.reshaped(part, &shape);
            copies.push(
                self.derived(Operator::Minimum, part, &[most], &shape)
                    .tensor,
            );
        }
        let whole = self.value("window", &[rows, depth], like, Graph::activation);
        let concatenation = Operator::Concatenation { axis: 0 };
        self.graph.operator(concatenation, &copies, whole.tensor);
        whole
    }

    /// Takes some of a value's rows and columns.
    pub(super) fn slice(&mut self, value: &Value, begin: [i32; 2], size: [i32; 2]) -> Value {
        let begin = self.graph.constant_i32("begin", &[2], None, &begin);
        let shape = self.graph.constant_i32("size", &[2], None, &size);
        self.derived(Operator::Slice, value.clone(), &[begin, shape], &size)
    }
}

fn overlap(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.start < b.end && b.start < a.end
}
