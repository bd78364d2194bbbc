//! This module has the operators of multi-head attention for the DSP extension.

use super::matmul::{Packed, transpose};
use crate::kernels::limits::dsp::{self as limits, HEAD, PROB_WORDS, ROWS, VALUE_WORDS};
use crate::kernels::{Heads, Operand, Output, ZERO_PROBABILITY, lengths, plain};

/// Computes the same as [`plain::scores`].
pub fn scores(query: Operand<'_>, key: Operand<'_>, heads: Heads, to: Output, output: &mut [i8]) {
    let (size, cols) = (heads.size(), heads.cols);
    let (chunk, keys) = (query.data.len() / cols.max(1), key.data.len() / cols.max(1));
    let fits = lengths::scores(query.data, key.data, heads, output) && limits::scores(size);
    if !fits {
        return plain::scores(query, key, heads, to, output);
    }
    let mut packed = Packed::<{ HEAD / 4 }>::new();
    for head in 0..heads.heads {
        for first in (0..chunk).step_by(ROWS) {
            let rows = (chunk - first).min(ROWS);
            let x = query.data.get(first * cols + head * size..);
            let x = x.unwrap_or_default();
            if !packed.pack(x, rows, cols, size, query.zero_point.into()) {
                return;
            }
            let init = packed.row_sums(-i32::from(key.zero_point));
            let present = keys.saturating_sub(heads.absent);
            let key = key.data.get(heads.absent * cols + head * size..);
            let y = output.get_mut((head * chunk + first) * keys + heads.absent..);
            let (Some(key), Some(y)) = (key, y) else {
                return;
            };
            packed.to_columns(key, cols, &init, to, y, keys, present);
        }
    }
}

/// Computes the same as [`plain::context`].
pub fn context(probs: &[i8], value: Operand<'_>, heads: Heads, to: Output, output: &mut [i8]) {
    let (size, cols) = (heads.size(), heads.cols);
    let (chunk, keys) = (output.len() / cols.max(1), value.data.len() / cols.max(1));
    let present = keys.saturating_sub(heads.absent);
    let words = present.div_ceil(4);
    let fits = lengths::context(probs, value.data, heads, output) && limits::context(size, present);
    if !fits {
        return plain::context(probs, value, heads, to, output);
    }
    let mut packed = Packed::<PROB_WORDS>::new();
    let mut transposed = [0; VALUE_WORDS];
    let transposed = transposed.get_mut(..size * words).unwrap_or_default();
    for head in 0..heads.heads {
        let values = value.data.get(heads.absent * cols + head * size..);
        if !transpose(values.unwrap_or_default(), cols, present, size, transposed) {
            return;
        }
        for first in (0..chunk).step_by(ROWS) {
            let rows = (chunk - first).min(ROWS);
            let x = probs.get((head * chunk + first) * keys + heads.absent..);
            let x = x.unwrap_or_default();
            if !packed.pack(x, rows, keys, present, ZERO_PROBABILITY.into()) {
                return;
            }
            let init = packed.row_sums(-i32::from(value.zero_point));
            let columns = bytemuck::cast_slice(transposed);
            let Some(y) = output.get_mut(first * cols + head * size..) else {
                return;
            };
            packed.to_columns(columns, 4 * words, &init, to, y, cols, size);
        }
    }
}
