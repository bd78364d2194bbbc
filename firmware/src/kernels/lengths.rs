//! The lengths of a kernel's slices must fit each other. Debug builds assert it; in release builds the fast
//! kernels leave what does not fit to [`plain`](super::plain), which computes less.

use super::{Channels, Heads};

/// Says whether the lengths of a fully connected layer fit.
#[inline]
pub fn fully_connected(
    input: &[i8],
    weights: &[i8],
    channels: Channels<'_>,
    output: &[i8],
) -> bool {
    let count = channels.bias.len().max(1);
    let (rows, depth) = (output.len() / count, weights.len() / count);
    channels.are_of_one_length()
        && weights.len() == depth * count
        && output.len() == rows * count
        && input.len() == rows * depth
}

/// Says whether the lengths of a depthwise convolution fit. More rows of input than it reads do no harm.
#[inline]
pub fn depthwise_conv(input: &[i8], weights: &[i8], channels: Channels<'_>, output: &[i8]) -> bool {
    let cols = channels.bias.len().max(1);
    let (rows, taps) = (output.len() / cols, weights.len() / cols);
    channels.are_of_one_length()
        && weights.len() == taps * cols
        && output.len() == rows * cols
        && input.len() / cols + 1 >= rows + taps
}

/// Says whether the lengths of scores fit.
#[inline]
pub fn scores(query: &[i8], key: &[i8], heads: Heads, output: &[i8]) -> bool {
    let cols = heads.cols.max(1);
    let (chunk, keys) = (query.len() / cols, key.len() / cols);
    heads.divide_cols()
        && query.len() == chunk * cols
        && key.len() == keys * cols
        && output.len() == heads.heads * chunk * keys
}

/// Says whether the lengths of a context fit.
#[inline]
pub fn context(probs: &[i8], value: &[i8], heads: Heads, output: &[i8]) -> bool {
    let cols = heads.cols.max(1);
    let (chunk, keys) = (output.len() / cols, value.len() / cols);
    heads.divide_cols()
        && output.len() == chunk * cols
        && value.len() == keys * cols
        && probs.len() == heads.heads * chunk * keys
}

/// Says whether the lengths of a softmax fit.
#[inline]
pub fn softmax(input: &[i8], cols: usize, absent: usize, output: &[i8]) -> bool {
    let whole = cols > 0 && input.len().is_multiple_of(cols);
    whole && absent <= cols && input.len() == output.len()
}

/// Says whether the lengths of an operator that works element by element fit.
#[inline]
pub fn elementwise(a: &[i8], b: &[i8], output: &[i8]) -> bool {
    [a.len(), b.len()] == [output.len(); 2]
}

/// Says whether the lengths of a lookup fit.
#[inline]
pub fn lookup(input: &[i8], table: &[i8], output: &[i8]) -> bool {
    input.len() == output.len() && table.len() == 256
}
