//! This module has the products of multi-head attention for Helium.
//!
//! Operands stay int8: what their zero points add is known from the sums of their rows.

use core::mem::MaybeUninit;

use super::matmul::{Destination, Matrix, Packed, Scales, Sums};
use crate::kernels::limits::mve::{self as limits, COLS, ROWS, VALUES};
use crate::kernels::{Heads, Operand, Output, ZERO_PROBABILITY, lengths, plain};

/// Computes the same as [`plain::scores`].
pub fn scores(query: Operand<'_>, key: Operand<'_>, heads: Heads, to: Output, output: &mut [i8]) {
    let (size, cols) = (heads.size(), heads.cols);
    let (chunk, keys) = (query.data.len() / cols.max(1), key.data.len() / cols.max(1));
    let present = keys.saturating_sub(heads.absent);
    let fits = lengths::scores(query.data, key.data, heads, output)
        && limits::product(present, size, keys)
        && limits::one_scale(to.scale);
    if !fits {
        return plain::scores(query, key, heads, to, output);
    }
    let (query_zero, key_zero) = (i32::from(query.zero_point), i32::from(key.zero_point));
    let both = (size as i32).wrapping_mul(query_zero * key_zero);
    if limits::scores_of_16(size, to.scale, to.clamp) {
        return scores_of_16(query, key, heads, to, output);
    }
    let (mut packed, mut sums) = (Packed::new(), Sums::new());
    let most = limits::rows(size).max(1);
    for head in 0..heads.heads {
        for first in (0..chunk).step_by(most) {
            let rows = (chunk - first).min(most);
            let x = query.data.get(first * cols + head * size..);
            let Some(x) = Matrix::new(x.unwrap_or_default(), cols, rows, size) else {
                return;
            };
            let mut init = [0; ROWS];
            let Some(left) = packed.pack_and_sum(x, cols, &mut init) else {
                return;
            };
            let init = init.map(|sum| -key_zero * sum);
            for (from, count) in limits::column_blocks(present) {
                let from = heads.absent + from;
                let w = key.data.get(from * cols + head * size..);
                let y = output.get_mut((head * chunk + first) * keys + from..);
                let (Some(w), Some(data)) =
                    (Matrix::new(w.unwrap_or_default(), cols, count, size), y)
                else {
                    return;
                };
                let mut bias = [0; COLS];
                w.row_sums(-query_zero, both, &mut bias);
                let scales = Scales::One {
                    scale: to.scale,
                    bias: bias.get(..count).unwrap_or_default(),
                    init: &init,
                };
                let to = Destination {
                    data,
                    stride: keys,
                    zero_point: to.zero_point,
                    clamp: to.clamp,
                };
                sums.product(&left, w, &scales, to);
            }
        }
    }
}

/// Computes the scores of heads of 16 columns, whose lengths fit.
fn scores_of_16(query: Operand<'_>, key: Operand<'_>, heads: Heads, to: Output, output: &mut [i8]) {
    let (size, cols) = (heads.size(), heads.cols);
    let (chunk, keys) = (query.data.len() / cols.max(1), key.data.len() / cols.max(1));
    let present = keys.saturating_sub(heads.absent);
    let (query_zero, key_zero) = (i32::from(query.zero_point), i32::from(key.zero_point));
    let both = (size as i32).wrapping_mul(query_zero * key_zero);
    let mut packed = Packed::new();
    for head in 0..heads.heads {
        let k = key.data.get(heads.absent * cols + head * size..);
        let Some(k) = Matrix::new(k.unwrap_or_default(), cols, present, size) else {
            return;
        };
        for first in (0..chunk).step_by(ROWS) {
            let rows = (chunk - first).min(ROWS);
            let q = query.data.get(first * cols + head * size..);
            let y = output.get_mut((head * chunk + first) * keys + heads.absent..);
            let mut init = [0; ROWS];
            let q = Matrix::new(q.unwrap_or_default(), cols, rows, size);
            let q = q.and_then(|q| packed.pack_and_sum(q, cols, &mut init));
            let (Some(q), Some(y)) = (q, y) else {
                return;
            };
            let init = init.map(|sum| -key_zero * sum);
            super::scores::scores(&q, &init, k, [-query_zero, both], to, y, keys);
        }
    }
}

/// Computes the same as [`plain::context`].
pub fn context(probs: &[i8], value: Operand<'_>, heads: Heads, to: Output, output: &mut [i8]) {
    let (size, cols) = (heads.size(), heads.cols);
    let (chunk, keys) = (output.len() / cols.max(1), value.data.len() / cols.max(1));
    let present = keys.saturating_sub(heads.absent);
    let fits = lengths::context(probs, value.data, heads, output)
        && limits::context(size, cols, present)
        && limits::one_scale(to.scale);
    if !fits {
        return plain::context(probs, value, heads, to, output);
    }
    let (prob_zero, value_zero) = (i32::from(ZERO_PROBABILITY), i32::from(value.zero_point));
    let both = (present as i32).wrapping_mul(prob_zero * value_zero);
    let (mut packed, mut sums) = (Packed::new(), Sums::new());
    let most = limits::rows(present).max(1);
    let mut transposed = [const { MaybeUninit::uninit() }; VALUES];
    for head in 0..heads.heads {
        let values = value.data.get(heads.absent * cols + head * size..);
        let values = Matrix::new(values.unwrap_or_default(), cols, present, size);
        let Some((values, column_sums)) = values.and_then(|v| v.transpose(&mut transposed)) else {
            return;
        };
        let bias = column_sums.map(|sum| both.wrapping_sub(prob_zero * i32::from(sum)));
        let bias = bias.get(..size).unwrap_or_default();
        for first in (0..chunk).step_by(most) {
            let rows = (chunk - first).min(most);
            let x = probs.get((head * chunk + first) * keys + heads.absent..);
            let y = output.get_mut(first * cols + head * size..);
            let (Some(x), Some(data)) =
                (Matrix::new(x.unwrap_or_default(), keys, rows, present), y)
            else {
                return;
            };
            let mut init = [0; ROWS];
            let Some(left) = packed.pack_and_sum(x, present, &mut init) else {
                return;
            };
            let init = init.map(|sum| -value_zero * sum);
            let scales = Scales::One {
                scale: to.scale,
                bias,
                init: &init,
            };
            let to = Destination {
                data,
                stride: cols,
                zero_point: to.zero_point,
                clamp: to.clamp,
            };
            sums.product(&left, values, &scales, to);
        }
    }
}
