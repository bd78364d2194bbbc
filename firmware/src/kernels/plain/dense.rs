//! This module has the operators with per-channel weights: fully connected and depthwise convolution.

use super::{BLOCK, dot};
use crate::kernels::{Channels, finish, lengths};
use crate::plan::Clamp;

/// Computes TFLite's FULLY_CONNECTED with a weight scale per channel.
///
/// Shapes are `input [R, K]`, `weights [N, K]`, `channels` of N and `output [R, N]`.
pub fn fully_connected(
    input: &[i8],
    weights: &[i8],
    channels: Channels<'_>,
    output_zero_point: i8,
    clamp: Clamp,
    output: &mut [i8],
) {
    debug_assert!(lengths::fully_connected(input, weights, channels, output));
    let channel_count = channels.bias.len().max(1);
    let depth = (weights.len() / channel_count).max(1);
    for (x, y) in input
        .chunks_exact(depth)
        .zip(output.chunks_exact_mut(channel_count))
    {
        let rows = weights.chunks_exact(depth).zip(channels.iter());
        for ((w, (bias, scale)), y) in rows.zip(y) {
            *y = finish(
                bias.wrapping_add(dot(x, w)),
                scale,
                output_zero_point,
                clamp,
            );
        }
    }
}

/// Computes TFLite's DEPTHWISE_CONV_2D over time, without padding: the input holds the rows before.
///
/// Shapes are `input [kernel - 1 + R, C]`, `weights [kernel, C]`, `channels` of C and `output [R, C]`.
pub fn depthwise_conv(
    input: &[i8],
    weights: &[i8],
    channels: Channels<'_>,
    output_zero_point: i8,
    clamp: Clamp,
    output: &mut [i8],
) {
    debug_assert!(lengths::depthwise_conv(input, weights, channels, output));
    let cols = channels.bias.len().max(1);
    for (row, y) in output.chunks_exact_mut(cols).enumerate() {
        let taps = input
            .chunks_exact(cols)
            .skip(row)
            .zip(weights.chunks_exact(cols));
        let mut channels = channels.iter();
        for (block, y) in y.chunks_mut(BLOCK).enumerate() {
            let from = block * BLOCK;
            let mut sums = [0i32; BLOCK];
            for (x, w) in taps.clone() {
                let (x, w) = (x.iter().skip(from), w.iter().skip(from));
                for (sum, (&x, &w)) in sums.iter_mut().zip(x.zip(w)) {
                    *sum = sum.wrapping_add(i32::from(x) * i32::from(w));
                }
            }
            for ((y, sum), (bias, scale)) in y.iter_mut().zip(sums).zip(&mut channels) {
                *y = finish(bias.wrapping_add(sum), scale, output_zero_point, clamp);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::tests::panics_in_debug_builds;

    const FULL: Clamp = Clamp {
        min: -128,
        max: 127,
    };
    const HALF: i32 = 1 << 30;

    #[test]
    fn fully_connected_scales_each_channel_by_its_own_multiplier() {
        // Rows (1 2 3) and (-1 0 1); weights (1 1 1) and (2 0 -2); bias 10 and -4.
        let channels = Channels {
            bias: &[10, -4],
            multiplier: &[HALF, HALF],
            shift: &[0, 2],
        };
        let mut output = [0; 4];
        let (input, weights) = ([1, 2, 3, -1, 0, 1], [1, 1, 1, 2, 0, -2]);
        fully_connected(&input, &weights, channels, 3, FULL, &mut output);
        // (6 + 10) / 2 + 3, (-4 - 4) * 2 + 3; (0 + 10) / 2 + 3, (-4 - 4) * 2 + 3
        assert_eq!(output, [11, -13, 8, -13]);
        let relu = Clamp { min: 3, max: 10 };
        fully_connected(&input, &weights, channels, 3, relu, &mut output);
        assert_eq!(output, [10, 3, 8, 3]);
    }

    #[test]
    fn depthwise_convolution_sums_each_channel_over_the_rows_up_to_its_own() {
        // More channels than a block; channel c holds c at every time, taps 1 and 3.
        const C: usize = 19;
        let ramp: [i8; C] = core::array::from_fn(|c| c as i8);
        let mut input = [0; 3 * C];
        input.as_chunks_mut::<C>().0.fill(ramp);
        input[2 * C] = 40; // channel 0 of the last row
        let mut weights = [1; 2 * C];
        weights[C..].fill(3);
        let channels = Channels {
            bias: &[2; C],
            multiplier: &[HALF; C],
            shift: &[0; C],
        };
        let mut output = [0; 2 * C];
        depthwise_conv(&input, &weights, channels, -1, FULL, &mut output);
        let plain: [i8; C] = core::array::from_fn(|c| (4 * c as i8 + 2) / 2 - 1);
        assert_eq!(output[..C], plain);
        assert_eq!(output[C], (3 * 40 + 2) / 2 - 1);
        assert_eq!(output[C + 1..], plain[1..]);
    }

    #[test]
    fn lengths_that_do_not_fit_panic_in_debug_builds_only() {
        let none = Channels {
            bias: &[],
            multiplier: &[],
            shift: &[],
        };
        fully_connected(&[], &[], none, 0, FULL, &mut []);
        panics_in_debug_builds(|| fully_connected(&[1], &[1; 9], none, 0, FULL, &mut [0; 3]));
        panics_in_debug_builds(|| depthwise_conv(&[1; 5], &[1; 9], none, 0, FULL, &mut [0; 3]));
        let one = Channels {
            bias: &[0],
            multiplier: &[HALF],
            shift: &[0],
        };
        let two_shifts = Channels {
            shift: &[0; 2],
            ..one
        };
        let row = [1; 4];
        fully_connected(&row, &row, one, 0, FULL, &mut [0]);
        panics_in_debug_builds(|| fully_connected(&row, &row, two_shifts, 0, FULL, &mut [0]));
        panics_in_debug_builds(|| fully_connected(&row[1..], &row, one, 0, FULL, &mut [0]));
        depthwise_conv(&row, &row[1..], one, 0, FULL, &mut [0; 2]);
        panics_in_debug_builds(|| depthwise_conv(&row, &row, one, 0, FULL, &mut [0; 2]));
    }
}
