//! This module has the scores, in which keys lie side by side, and the context, in which columns do.

use core::mem::MaybeUninit;

use super::product::{Packed, Prepared};
use super::requantize::ToInt8;
use super::{Simd, blocks};
use crate::kernels::limits::simd::{self as limits, KEYS, PREPARED, ROWS};
use crate::kernels::{Heads, Operand, Output, ZERO_PROBABILITY, lengths, plain};

/// Computes the same as [`plain::scores`].
///
/// # Safety
///
/// The caller has the features of `S`.
#[inline(always)]
pub unsafe fn scores<S: Simd>(
    query: Operand<'_>,
    key: Operand<'_>,
    heads: Heads,
    to: Output,
    output: &mut [i8],
) {
    let (size, cols, absent) = (heads.size(), heads.cols, heads.absent);
    let fits = lengths::scores(query.data, key.data, heads, output);
    let (chunk, keys) = (query.data.len() / cols.max(1), key.data.len() / cols.max(1));
    let few = chunk <= ROWS && query.data.len() <= PREPARED;
    if !fits || !few || !limits::depth(size) || keys < absent.saturating_add(S::LANES) {
        return plain::scores(query, key, heads, to, output);
    }
    let (query_zero, key_zero) = (i32::from(query.zero_point), i32::from(key.zero_point));
    let mut room = [const { MaybeUninit::uninit() }; _];
    let mut packed = Packed::<S>::new(size);
    // SAFETY: the lengths fit: there are `LANES` keys from the first of each block on, and `chunk` queries, which all have
    // `size` columns of each head, and as many rows of `keys` scores.
    unsafe {
        let prepared = Prepared::new::<S>(query.data, &mut room);
        let to = ToInt8::<S>::splat(to);
        let mut sums = [S::splat(0); ROWS];
        for head in 0..heads.heads {
            let from = head * size;
            // (q - a)(k - b) is q(k + o) - a(k + o) - (q - a)(b + o), where o is the offset.
            let mut row_terms = [0; ROWS];
            for (term, q) in row_terms.iter_mut().zip(query.data.chunks_exact(cols)) {
                let above = q.iter().skip(from).take(size);
                let above = above.map(|&q| i32::from(q) - query_zero).sum::<i32>();
                *term = above * (key_zero + S::OFFSET);
            }
            for first in blocks(keys - absent, S::LANES) {
                let first = absent + first;
                packed.pack(key.data.as_ptr().add(first * cols + from), cols);
                let key_terms = S::mul(packed.sums(), S::splat(query_zero));
                packed.multiply(&prepared, from, cols, chunk, &mut sums);
                let rows = (head * chunk..).zip(sums.iter().zip(&row_terms));
                for (row, (&sums, &term)) in rows.take(chunk) {
                    let terms = S::add(key_terms, S::splat(term));
                    let y = output.as_mut_ptr().add(row * keys + first);
                    to.write(S::sub(sums, terms), y);
                }
            }
        }
    }
}

/// The number of rows whose sums are kept at a time.
const TILE: usize = 5;

/// Computes the same as [`plain::context`].
///
/// # Safety
///
/// The caller has the features of `S`.
#[inline(always)]
pub unsafe fn context<S: Simd>(
    probs: &[i8],
    value: Operand<'_>,
    heads: Heads,
    to: Output,
    output: &mut [i8],
) {
    let (size, cols, absent) = (heads.size(), heads.cols, heads.absent);
    let fits = lengths::context(probs, value.data, heads, output);
    let (chunk, keys) = (output.len() / cols.max(1), value.data.len() / cols.max(1));
    let taken = chunk >= TILE && size >= S::LANES && absent < keys && keys < KEYS;
    if !fits || !taken {
        return plain::context(probs, value, heads, to, output);
    }
    // One more than the keys may be, with probability 0 for what would be the last key's partner.
    let mut above = [[0i16; KEYS]; TILE];
    for head in 0..heads.heads {
        for first_row in blocks(chunk, TILE) {
            let rows = probs.chunks_exact(keys).skip(head * chunk + first_row);
            for (above, row) in above.iter_mut().zip(rows) {
                let present = row.iter().skip(absent);
                for (above, &p) in above.iter_mut().zip(present) {
                    *above = i16::from(p) - i16::from(ZERO_PROBABILITY);
                }
            }
            for first_col in blocks(size, S::LANES) {
                // SAFETY: the lengths fit: there are `keys` values, of which some are present, and `TILE` rows of the
                // context, which all have `LANES` columns from `col` on.
                unsafe {
                    let col = head * size + first_col;
                    let v = value.data.as_ptr().add(absent * cols + col);
                    let zeros = S::splat_pairs(value.zero_point.into(), value.zero_point.into());
                    let mut sums = [S::splat(0); TILE];
                    for key in (0..keys - absent).step_by(2) {
                        let next = (key + 1).min(keys - absent - 1);
                        let values = S::pairs(v.add(key * cols), v.add(next * cols));
                        let values = S::sub_pairs(values, zeros);
                        for (sum, p) in sums.iter_mut().zip(&above) {
                            let p = p.as_ptr().add(key);
                            let p = S::splat_pairs(p.read(), p.add(1).read());
                            *sum = S::add_products(*sum, values, p);
                        }
                    }
                    let to = ToInt8::<S>::splat(to);
                    for (row, sum) in (first_row..).zip(sums) {
                        to.write(sum, output.as_mut_ptr().add(row * cols + col));
                    }
                }
            }
        }
    }
}
