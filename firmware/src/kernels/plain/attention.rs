//! This module has the operators of multi-head attention: scores, softmax and context.

use super::BLOCK;
use crate::fixed_point::{
    exp_on_negative_values, multiply_by_quantized_multiplier, reciprocal, rounding_divide_by_pot,
    saturating_rounding_doubling_high_mul,
};
use crate::kernels::{
    ACCUMULATION_INTEGER_BITS, Heads, Operand, Output, ZERO_PROBABILITY, head_of, lengths,
};
use crate::plan::Requantize;

/// Computes the scores of each head, TFLite's BATCH_MATMUL with `adj_y`.
///
/// Shapes are `query [C, cols]`, `key [keys, cols]` and `output [heads * C, keys]`, in which the columns of
/// absent keys are left as they are.
pub fn scores(query: Operand<'_>, key: Operand<'_>, heads: Heads, to: Output, output: &mut [i8]) {
    debug_assert!(lengths::scores(query.data, key.data, heads, output));
    let size = heads.size();
    let cols = heads.cols.max(1);
    let keys = (key.data.len() / cols).max(1);
    let head_bytes = (query.data.len() / cols * keys).max(1);
    for (head, y) in output.chunks_exact_mut(head_bytes).enumerate() {
        for (q, y) in query.data.chunks_exact(cols).zip(y.chunks_exact_mut(keys)) {
            let q = head_of(q, head, size);
            let present = key.data.chunks_exact(cols).zip(y).skip(heads.absent);
            for (k, y) in present {
                let products = q.iter().zip(head_of(k, head, size)).map(|(&q, &k)| {
                    let q = i32::from(q) - i32::from(query.zero_point);
                    q * (i32::from(k) - i32::from(key.zero_point))
                });
                *y = to.quantize(products.fold(0, i32::wrapping_add));
            }
        }
    }
}

/// Computes the softmax of each row of `cols`, TFLite's SOFTMAX from int8 to int8 (output scale 1/256, zero
/// point -128). The first `absent` columns are not read but count as -128, the lowest score, which gets
/// probability 0 unless the row's maximum lies less than 14.5 above it.
///
/// `input_scale` takes a difference of inputs to 5 integer bits; `diff_min` is the difference below which a
/// probability is 0. `cols` is at most [`crate::kernels::MAX_SOFTMAX_COLS`].
pub fn softmax(
    input: &[i8],
    cols: usize,
    absent: usize,
    input_scale: Requantize,
    diff_min: i32,
    output: &mut [i8],
) {
    debug_assert!(lengths::softmax(input, cols, absent, output));
    let cols = cols.max(1);
    // There are 256 differences, far fewer than scores: 4400 took 107 us without the table.
    let mut exps = [0; 256];
    for (exp, below) in exps.iter_mut().zip(0..) {
        let diff: i32 = -below;
        if diff >= diff_min {
            *exp = exp_on_negative_values(multiply_by_quantized_multiplier(diff, input_scale));
        }
    }
    for (x, y) in input.chunks_exact(cols).zip(output.chunks_exact_mut(cols)) {
        let (Some(x), Some((skipped, y))) = (x.get(absent..), y.split_at_mut_checked(absent))
        else {
            return;
        };
        let max = x.iter().copied().max().unwrap_or(i8::MIN);
        let exp = |q: i8| exps[usize::from(max.abs_diff(q))];
        let term = |q: i8| rounding_divide_by_pot(exp(q), ACCUMULATION_INTEGER_BITS);
        let of_absent = term(i8::MIN).wrapping_mul(absent as i32);
        let sum = x
            .iter()
            .map(|&q| term(q))
            .fold(of_absent, i32::wrapping_add);
        let one_over_sum = reciprocal(sum, ACCUMULATION_INTEGER_BITS);
        // The product has 31 fractional bits, the output 8.
        let exponent = one_over_sum.bits_over_unit.wrapping_add(31 - 8) as u32;
        let probability = |q: i8| {
            let product = saturating_rounding_doubling_high_mul(one_over_sum.scale, exp(q));
            let probability = rounding_divide_by_pot(product, exponent);
            let q = probability.wrapping_add(ZERO_PROBABILITY.into());
            q.clamp(-128, 127) as i8
        };
        skipped.fill(probability(i8::MIN));
        for (&q, y) in x.iter().zip(y) {
            *y = probability(q);
        }
    }
}

/// Computes the attention output of each head, TFLite's BATCH_MATMUL of probabilities and values.
///
/// Shapes are `probs [heads * C, keys]` with the scale and zero point of [`softmax`], `value [keys, cols]`
/// and `output [C, cols]`. Absent keys are not read.
pub fn context(probs: &[i8], value: Operand<'_>, heads: Heads, to: Output, output: &mut [i8]) {
    debug_assert!(lengths::context(probs, value.data, heads, output));
    let size = heads.size();
    let cols = heads.cols.max(1);
    let keys = (value.data.len() / cols).max(1);
    let rows = output.len() / cols;
    for (row, y) in output.chunks_exact_mut(cols).enumerate() {
        for (head, y) in y.chunks_exact_mut(size).enumerate() {
            let Some(p) = probs
                .chunks_exact(keys)
                .nth(head.wrapping_mul(rows).wrapping_add(row))
            else {
                return;
            };
            let present = p
                .iter()
                .zip(value.data.chunks_exact(cols))
                .skip(heads.absent);
            for (block, y) in y.chunks_mut(BLOCK).enumerate() {
                let from = block * BLOCK;
                let mut sums = [0i32; BLOCK];
                for (&p, v) in present.clone() {
                    let p = i32::from(p) - i32::from(ZERO_PROBABILITY);
                    let v = head_of(v, head, size).iter().skip(from);
                    for (sum, &v) in sums.iter_mut().zip(v) {
                        let v = i32::from(v) - i32::from(value.zero_point);
                        *sum = sum.wrapping_add(p * v);
                    }
                }
                for (y, sum) in y.iter_mut().zip(sums) {
                    *y = to.quantize(sum);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::tests::panics_in_debug_builds;
    use crate::plan::Clamp;

    const TO: Output = Output {
        scale: Requantize {
            multiplier: 1 << 30,
            shift: 1,
        },
        zero_point: 1,
        clamp: Clamp {
            min: -128,
            max: 127,
        },
    };

    fn operand(data: &[i8], zero_point: i8) -> Operand<'_> {
        Operand { data, zero_point }
    }

    #[test]
    fn scores_multiply_each_head_apart_and_leave_absent_keys() {
        // One query row, two heads of two columns, three keys of which the first is absent.
        let heads = Heads {
            heads: 2,
            cols: 4,
            absent: 1,
        };
        let query = [1, 2, 3, 4];
        let key = [99, 99, 99, 99, 2, 1, 0, 3, 1, 1, 1, 0];
        let mut output = [55; 6];
        scores(operand(&query, 0), operand(&key, 1), heads, TO, &mut output);
        // Keys above their zero point: (1 0 | -1 2), (0 0 | 0 -1).
        assert_eq!(output, [55, 1 + 1, 1, 55, 5 + 1, -4 + 1]);
    }

    #[test]
    fn context_weighs_the_values_of_present_keys() {
        let heads = Heads {
            heads: 2,
            cols: 4,
            absent: 1,
        };
        // Probabilities (in 1/256): head 0: 2 and 3, head 1: 0 and 1; whatever for the absent key.
        let probs = [127, -126, -125, 127, -128, -127];
        let value = [99, 99, 99, 99, 2, 1, 0, 3, 1, 1, 1, 0];
        let mut output = [0; 4];
        context(&probs, operand(&value, 1), heads, TO, &mut output);
        assert_eq!(output, [1 + 2, 1, 1, 1 - 1]);
    }

    #[test]
    fn context_of_more_columns_than_a_block_equals_the_sum_written_out() {
        const COLS: usize = 2 * 19;
        let heads = Heads {
            heads: 2,
            cols: COLS,
            absent: 0,
        };
        let value: [i8; 3 * COLS] = core::array::from_fn(|i| (i % 11) as i8 - 5);
        let probs: [i8; 2 * 2 * 3] = core::array::from_fn(|i| i as i8 - 127 - 1);
        let mut output = [0; 2 * COLS];
        context(&probs, operand(&value, 0), heads, TO, &mut output);
        for (i, &y) in output.iter().enumerate() {
            let (row, col) = (i / COLS, i % COLS);
            let p = 3 * (2 * (col / 19) + row) as i32;
            let v = |key: usize| i32::from(value[key * COLS + col]);
            let sum = p * v(0) + (p + 1) * v(1) + (p + 2) * v(2);
            assert_eq!(i32::from(y), (sum + 1).clamp(-128, 127));
        }
    }

    /// Scale 0.1: `0.1 * 2^26 = m / 2^31 * 2^shift`, as TFLite's preparation computes it.
    const TENTH: Requantize = Requantize {
        multiplier: 1_717_986_918,
        shift: 23,
    };
    /// -31 with 5 integer bits, before the shift: `-31 * 2^26 / 2^23`.
    const DIFF_MIN: i32 = -248;

    fn check_softmax(input: &[i8], absent: usize) {
        let mut output = [0; 64];
        let output = &mut output[..input.len()];
        softmax(input, input.len(), absent, TENTH, DIFF_MIN, output);
        let max = input[absent..].iter().max().copied().unwrap();
        let exp = |q: i8| libm::exp(0.1 * (f64::from(q) - f64::from(max)));
        let sum: f64 = input[absent..].iter().map(|&q| exp(q)).sum();
        for (i, (&q, &y)) in input.iter().zip(output.iter()).enumerate() {
            let exact = if i < absent { 0.0 } else { exp(q) / sum };
            let exact = (exact * 256.0 - 128.0).min(127.0);
            assert!((f64::from(y) - exact).abs() <= 1.0, "{q}: {y}, {exact}");
        }
    }

    #[test]
    fn softmax_is_within_one_step_of_the_mathematical_one() {
        let ramp: [i8; 64] = core::array::from_fn(|i| (i * 37 % 256) as u8 as i8);
        check_softmax(&ramp, 0);
        check_softmax(&ramp, 17);
        check_softmax(&[5; 64], 0);
        check_softmax(&[-128, 127], 0);
        check_softmax(&[127; 9], 8);
        check_softmax(&[3], 0);
    }

    #[test]
    fn absent_keys_equal_scores_at_the_bottom_of_a_range_14_5_deeper() {
        // Scale 0.1, so 145 steps below the row's maximum are 14.5.
        let present = [20, 17, 60, 44];
        let (mut skipped, mut masked) = ([0; 6], [0; 6]);
        let mut input = [-128; 6];
        input[2..].copy_from_slice(&present);
        softmax(&input, 6, 0, TENTH, DIFF_MIN, &mut masked);
        input[..2].copy_from_slice(&[127, 99]);
        softmax(&input, 6, 2, TENTH, DIFF_MIN, &mut skipped);
        assert_eq!(skipped, masked);
    }

    #[test]
    fn lengths_that_do_not_fit_panic_in_debug_builds_only() {
        let heads = |heads, cols, absent| Heads {
            heads,
            cols,
            absent,
        };
        for heads in [
            heads(0, 0, 0),
            heads(3, 2, 9),
            heads(1, 4, 0),
            heads(2, 4, 1),
        ] {
            let (query, key) = (operand(&[1; 9], 0), operand(&[1; 7], 0));
            panics_in_debug_builds(|| scores(query, key, heads, TO, &mut [0; 5]));
            panics_in_debug_builds(|| context(&[1; 9], key, heads, TO, &mut [0; 5]));
        }
        panics_in_debug_builds(|| softmax(&[1; 5], 0, 0, TENTH, 1, &mut [0; 5]));
        panics_in_debug_builds(|| softmax(&[1; 5], 5, 6, TENTH, 0, &mut [0; 5]));
    }
}
