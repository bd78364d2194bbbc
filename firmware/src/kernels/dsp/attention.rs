//! Operators of multi-head attention.

use core::mem::MaybeUninit;

use super::ops::{Packed, ROWS, SUMS, store_columns};
use crate::kernels::{Heads, Operand, Output, ZERO_PROBABILITY, plain};

pub use plain::softmax;

/// Words of the values of one head, transposed.
const VALUE_WORDS: usize = 512;

/// Words of a row of probabilities.
const PROB_WORDS: usize = 32;

/// As [`plain::scores`].
pub fn scores(query: Operand<'_>, key: Operand<'_>, heads: Heads, to: Output, output: &mut [i8]) {
    let (size, cols) = (heads.size(), heads.cols);
    let (chunk, keys) = (query.data.len() / cols.max(1), key.data.len() / cols.max(1));
    let fits = cols == heads.heads * size
        && query.data.len() == chunk * cols
        && key.data.len() == keys * cols
        && output.len() == heads.heads * chunk * keys
        && size % 4 == 0
        && size <= Packed::<16>::DEPTH;
    if !fits {
        return plain::scores(query, key, heads, to, output);
    }
    let mut packed = Packed::<16>::new();
    let mut sums = [const { MaybeUninit::uninit() }; SUMS];
    for head in 0..heads.heads {
        for first in (0..chunk).step_by(ROWS) {
            let rows = (chunk - first).min(ROWS);
            let x = query.data.get(first * cols + head * size..);
            let x = x.unwrap_or_default();
            if !packed.pack(x, rows, cols, size, query.zero_point.into()) {
                return;
            }
            let init = packed.row_sums(-i32::from(key.zero_point));
            for from in (heads.absent..keys).step_by(SUMS) {
                let present = key.data.get(from * cols + head * size..);
                let count = (keys - from).min(SUMS);
                let sums = sums.get_mut(..count).unwrap_or_default();
                let Some(sums) = packed.multiply(present.unwrap_or_default(), cols, &init, sums)
                else {
                    return;
                };
                let y = output.get_mut((head * chunk + first) * keys + from..);
                store_columns(sums, rows, to, y.unwrap_or_default(), keys);
            }
        }
    }
}

/// As [`plain::context`].
pub fn context(probs: &[i8], value: Operand<'_>, heads: Heads, to: Output, output: &mut [i8]) {
    let (size, cols) = (heads.size(), heads.cols);
    let (chunk, keys) = (output.len() / cols.max(1), value.data.len() / cols.max(1));
    let present = keys.saturating_sub(heads.absent);
    let words = present.div_ceil(4);
    let fits = cols == heads.heads * size
        && output.len() == chunk * cols
        && value.data.len() == keys * cols
        && probs.len() == heads.heads * chunk * keys
        && size % 4 == 0
        && size <= SUMS
        && (1..=PROB_WORDS).contains(&words)
        && size * words <= VALUE_WORDS;
    if !fits {
        return plain::context(probs, value, heads, to, output);
    }
    let mut packed = Packed::<PROB_WORDS>::new();
    let mut sums = [const { MaybeUninit::uninit() }; SUMS];
    let sums = sums.get_mut(..size).unwrap_or_default();
    let mut transposed = [0; VALUE_WORDS];
    let transposed = transposed.get_mut(..size * words).unwrap_or_default();
    for head in 0..heads.heads {
        let values = value.data.get(heads.absent * cols + head * size..);
        transpose(values.unwrap_or_default(), cols, present, transposed, size);
        for first in (0..chunk).step_by(ROWS) {
            let rows = (chunk - first).min(ROWS);
            let x = probs.get((head * chunk + first) * keys + heads.absent..);
            let x = x.unwrap_or_default();
            if !packed.pack(x, rows, keys, present, ZERO_PROBABILITY.into()) {
                return;
            }
            let init = packed.row_sums(-i32::from(value.zero_point));
            let columns = bytemuck::cast_slice(transposed);
            let Some(sums) = packed.multiply(columns, 4 * words, &init, sums) else {
                return;
            };
            let y = output.get_mut(first * cols + head * size..);
            store_columns(sums, rows, to, y.unwrap_or_default(), cols);
        }
    }
}

/// The first `columns` (a multiple of 4) of `rows` rows of `data`, which are `stride` apart, as
/// columns of whole words; rows that are missing in the last words are zeros.
fn transpose(data: &[i8], stride: usize, rows: usize, transposed: &mut [u32], columns: usize) {
    let words = rows.div_ceil(4);
    for (word, from) in (0..rows).step_by(4).enumerate() {
        let row = |row: usize| {
            let data = data
                .get((from + row) * stride..)
                .filter(|_| from + row < rows);
            data.unwrap_or_default().as_chunks::<4>().0.iter()
        };
        let mut rows = [row(0), row(1), row(2), row(3)];
        let mut columns = transposed.chunks_exact_mut(4 * words).take(columns / 4);
        for columns in &mut columns {
            let next = |row: &mut core::slice::Iter<'_, [i8; 4]>| {
                let bytes = row.next().copied().unwrap_or_default();
                u32::from_le_bytes(bytes.map(|byte| byte as u8))
            };
            let [a, b, c, d] = rows.each_mut().map(next);
            // Bytes 0 and 2, 1 and 3 of two rows, then of four.
            const EVEN: u32 = 0x00ff_00ff;
            let (ab, cd) = (a & EVEN | (b & EVEN) << 8, c & EVEN | (d & EVEN) << 8);
            let (ab_odd, cd_odd) = (a >> 8 & EVEN | b & !EVEN, c >> 8 & EVEN | d & !EVEN);
            let quads = [
                ab & 0xffff | cd << 16,
                ab_odd & 0xffff | cd_odd << 16,
                ab >> 16 | cd & 0xffff_0000,
                ab_odd >> 16 | cd_odd & 0xffff_0000,
            ];
            for (column, quad) in columns.chunks_exact_mut(words).zip(quads) {
                if let Some(slot) = column.get_mut(word) {
                    *slot = quad;
                }
            }
        }
    }
}
