//! The plan's memory, symbolically: which TFLite value the rows at each place hold. The plan reuses
//! places and reads parts of what it wrote; TFLite writes every tensor once and reads it whole.

use std::ops::Range;

use zerda_firmware::plan::{Space, Tensor};

use super::{Export, Value, dimensions};
use crate::tflite::{Graph, Operator};

/// A memory of its own: offsets in two places never meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Arena,
    Cache(usize),
}

impl Place {
    /// Of a tensor that is not a constant.
    pub fn of(tensor: &Tensor) -> Place {
        match tensor.space {
            Space::Cache => Place::Cache((tensor.offset >> 16) as usize),
            Space::Arena | Space::Constant => Place::Arena,
        }
    }
}

/// Rows of a value at a place.
#[derive(Clone, Debug)]
struct Piece {
    place: Place,
    /// From the start of the arena or the window.
    bytes: Range<usize>,
    cols: usize,
    value: Value,
    /// The row of the value at the start of `bytes`.
    first: usize,
}

#[derive(Debug, Default)]
pub struct Memory {
    pieces: Vec<Piece>,
}

impl Memory {
    /// Puts a value of the tensor's shape where the tensor lies.
    pub fn write(&mut self, tensor: &Tensor, value: Value) {
        let (place, bytes) = (Place::of(tensor), byte_range(tensor));
        let mut pieces = Vec::new();
        for piece in self.pieces.drain(..) {
            if piece.place != place || !overlap(&piece.bytes, &bytes) {
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
            place,
            bytes,
            cols,
            value,
            first: 0,
        });
        self.pieces = pieces;
    }

    /// The values that a tensor's rows come from, with the rows of each.
    fn read(&self, tensor: &Tensor) -> Result<Vec<(Value, Range<usize>)>, String> {
        let (place, bytes) = (Place::of(tensor), byte_range(tensor));
        let cols = usize::from(tensor.cols);
        let mut parts = Vec::new();
        let mut at = bytes.start;
        while at < bytes.end {
            let holds = |piece: &&Piece| piece.place == place && piece.bytes.contains(&at);
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
    /// What a place in memory holds now: a value, rows of it, or rows of several.
    pub(super) fn read_tensor(&mut self, tensor: &Tensor) -> Result<Value, String> {
        let mut parts = Vec::new();
        for (value, rows) in self.memory.read(tensor)? {
            parts.push(self.rows(value, rows));
        }
        if parts.len() == 1 {
            return Ok(parts.remove(0));
        }
        let whole = self.value("window", &dimensions(tensor), *tensor, Graph::activation);
        let parts: Vec<_> = parts.iter().map(|part| part.tensor).collect();
        let concatenation = Operator::Concatenation { axis: 0 };
        self.graph.operator(concatenation, &parts, whole.tensor);
        Ok(whole)
    }

    /// Some rows of a value `[rows, cols]`.
    fn rows(&mut self, value: Value, rows: Range<usize>) -> Value {
        if rows == (0..value.shape[0] as usize) {
            return value;
        }
        let begin = [rows.start as i32, 0];
        let size = [rows.len() as i32, value.shape[1]];
        let begin = self.graph.constant_i32("begin", &[2], None, &begin);
        let shape = self.graph.constant_i32("size", &[2], None, &size);
        self.derived(Operator::Slice, value, &[begin, shape], &size)
    }
}

fn byte_range(tensor: &Tensor) -> Range<usize> {
    let start = match tensor.space {
        Space::Cache => usize::from(tensor.offset as u16) * usize::from(tensor.cols),
        Space::Arena | Space::Constant => tensor.offset as usize,
    };
    start..start + tensor.len()
}

fn overlap(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.start < b.end && b.start < a.end
}
