//! This module has the products of multi-head attention for Helium.
//!
//! Operands stay int8: what their zero points add is known from the sums of their rows.

use super::matmul::{Destination, Matrix, Scale, Sums, transpose};
use crate::kernels::limits::mve::{self as limits, COLS, ROWS, VALUES};
use crate::kernels::{Heads, Operand, Output, ZERO_PROBABILITY, lengths, plain};

/// Computes the same as [`plain::scores`].
pub fn scores(query: Operand<'_>, key: Operand<'_>, heads: Heads, to: Output, output: &mut [i8]) {
    let (size, cols) = (heads.size(), heads.cols);
    let (chunk, keys) = (query.data.len() / cols.max(1), key.data.len() / cols.max(1));
    let fits = lengths::scores(query.data, key.data, heads, output);
    let Some(scale) = Scale::new(to.scale).filter(|_| fits) else {
        return plain::scores(query, key, heads, to, output);
    };
    let (query_zero, key_zero) = (i32::from(query.zero_point), i32::from(key.zero_point));
    let both = (size as i32).wrapping_mul(query_zero * key_zero);
    let mut sums = Sums::new();
    for head in 0..heads.heads {
        for from in (heads.absent..keys).step_by(COLS) {
            let count = (keys - from).min(COLS);
            let present = key.data.get(from * cols + head * size..);
            let Some(present) = Matrix::new(present.unwrap_or_default(), cols, count, size) else {
                return;
            };
            let mut bias = [0; COLS];
            present.row_sums(-query_zero, both, &mut bias);
            let columns = scale.columns(bias.get(..count).unwrap_or_default());
            for first in (0..chunk).step_by(ROWS) {
                let rows = (chunk - first).min(ROWS);
                let x = query.data.get(first * cols + head * size..);
                let y = output.get_mut((head * chunk + first) * keys + from..);
                let (Some(x), Some(data)) =
                    (Matrix::new(x.unwrap_or_default(), cols, rows, size), y)
                else {
                    return;
                };
                let mut init = [0; ROWS];
                x.row_sums(-key_zero, 0, &mut init);
                let to = Destination {
                    data,
                    stride: keys,
                    zero_point: to.zero_point,
                    clamp: to.clamp,
                };
                sums.product(x, present, Some(&init), &columns, to);
            }
        }
    }
}

/// Computes the same as [`plain::context`].
pub fn context(probs: &[i8], value: Operand<'_>, heads: Heads, to: Output, output: &mut [i8]) {
    let (size, cols) = (heads.size(), heads.cols);
    let (chunk, keys) = (output.len() / cols.max(1), value.data.len() / cols.max(1));
    let present = keys.saturating_sub(heads.absent);
    let fits = lengths::context(probs, value.data, heads, output) && limits::context(size, present);
    let Some(scale) = Scale::new(to.scale).filter(|_| fits) else {
        return plain::context(probs, value, heads, to, output);
    };
    let (prob_zero, value_zero) = (i32::from(ZERO_PROBABILITY), i32::from(value.zero_point));
    let both = (present as i32).wrapping_mul(prob_zero * value_zero);
    let mut sums = Sums::new();
    let mut transposed = [0; VALUES];
    for head in 0..heads.heads {
        let values = value.data.get(heads.absent * cols + head * size..);
        transpose(
            values.unwrap_or_default(),
            cols,
            present,
            size,
            &mut transposed,
            present,
        );
        let Some(values) = Matrix::new(&transposed, present, size, present) else {
            return;
        };
        let mut bias = [0; COLS];
        values.row_sums(-prob_zero, both, &mut bias);
        let columns = scale.columns(bias.get(..size).unwrap_or_default());
        for first in (0..chunk).step_by(ROWS) {
            let rows = (chunk - first).min(ROWS);
            let x = probs.get((head * chunk + first) * keys + heads.absent..);
            let y = output.get_mut(first * cols + head * size..);
            let (Some(x), Some(data)) =
                (Matrix::new(x.unwrap_or_default(), keys, rows, present), y)
            else {
                return;
            };
            let mut init = [0; ROWS];
            x.row_sums(-value_zero, 0, &mut init);
            let to = Destination {
                data,
                stride: cols,
                zero_point: to.zero_point,
                clamp: to.clamp,
            };
            sums.product(x, values, Some(&init), &columns, to);
        }
    }
}
