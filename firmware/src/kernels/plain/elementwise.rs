//! This module has the operators that work element by element.

use crate::fixed_point::multiply_by_quantized_multiplier;
use crate::kernels::{ADD_LEFT_SHIFT, Operand, Output, lengths};
use crate::plan::Requantize;

/// Computes TFLite's ADD: brings each input to the common scale by its own factor, adds them, and requantizes
/// the sum by `to`.
///
/// All operands have one shape.
pub fn add(
    a: Operand<'_>,
    a_scale: Requantize,
    b: Operand<'_>,
    b_scale: Requantize,
    to: Output,
    output: &mut [i8],
) {
    debug_assert!(lengths::elementwise(a.data, b.data, output));
    let scaled = |q: i8, zero_point: i8, scale| {
        let value = i32::from(q) - i32::from(zero_point);
        multiply_by_quantized_multiplier(value << ADD_LEFT_SHIFT, scale)
    };
    for ((&qa, &qb), y) in a.data.iter().zip(b.data).zip(output) {
        let sum = scaled(qa, a.zero_point, a_scale).wrapping_add(scaled(qb, b.zero_point, b_scale));
        *y = to.quantize(sum);
    }
}

/// Computes MUL as TFLite does. All operands have one shape.
pub fn mul(a: Operand<'_>, b: Operand<'_>, to: Output, output: &mut [i8]) {
    debug_assert!(lengths::elementwise(a.data, b.data, output));
    for ((&qa, &qb), y) in a.data.iter().zip(b.data).zip(output) {
        let a = i32::from(qa) - i32::from(a.zero_point);
        let b = i32::from(qb) - i32::from(b.zero_point);
        *y = to.quantize(a * b);
    }
}

/// Computes `output = table[input + 128]`. `table` has 256 entries; if it has fewer, nothing is computed.
pub fn lookup(input: &[i8], table: &[i8], output: &mut [i8]) {
    debug_assert!(lengths::lookup(input, table, output));
    let Some(table) = table.first_chunk::<256>() else {
        return;
    };
    for (&q, y) in input.iter().zip(output) {
        // The index is q + 128 without its sign, so that no index needs a check.
        let index = q as u8 ^ 0x80;
        *y = table[usize::from(index)];
    }
}

/// Moves the elements `from..to` to the front. Nothing happens if they are not there.
pub fn move_to_front(data: &mut [i8], from: usize, to: usize) {
    if from <= to && to <= data.len() {
        data.copy_within(from..to, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::tests::panics_in_debug_builds;
    use crate::plan::Clamp;

    fn operand(data: &[i8], zero_point: i8) -> Operand<'_> {
        Operand { data, zero_point }
    }

    fn to(multiplier: i32, shift: i8, zero_point: i8, min: i8, max: i8) -> Output {
        let clamp = Clamp { min, max };
        let scale = Requantize { multiplier, shift };
        Output {
            scale,
            zero_point,
            clamp,
        }
    }

    #[test]
    fn add_of_scales_1_and_half_gives_the_real_sum() {
        // a: scale 1, zero point 1. b: scale 1/2, zero point -2. Output: scale 1, zero point 3.
        // The common scale is twice the larger one, 2: a by 1/2, b by 1/4, the output by 2 / 2^20.
        let half = Requantize {
            multiplier: 1 << 30,
            shift: 0,
        };
        let quarter = Requantize {
            multiplier: 1 << 30,
            shift: -1,
        };
        let mut output = [0; 5];
        add(
            operand(&[1, 11, -9, 127, -128], 1),
            half,
            operand(&[-2, 3, -1, 127, -128], -2),
            quarter,
            to(1 << 30, -18, 3, -128, 127),
            &mut output,
        );
        // 0 + 0, 10 + 2.5 -> 13, -10 + 0.5 -> -9.5 -> -10, 126 + 64.5, -129 - 63
        assert_eq!(output, [3, 16, -7, 127, -128]);
    }

    #[test]
    fn mul_multiplies_what_is_above_the_zero_points() {
        let mut output = [0; 4];
        let (a, b) = ([10, -10, 127, 5], [4, 4, -128, 0]);
        mul(
            operand(&a, 0),
            operand(&b, 1),
            to(1 << 30, 0, -5, -100, 100),
            &mut output,
        );
        // 30 / 2 - 5, -30 / 2 - 5, 127 * -129 clamped, 5 * -1 / 2 = -2.5 rounds to -2
        assert_eq!(output, [10, -20, -100, -7]);
    }

    #[test]
    fn lookup_covers_all_256_values() {
        let identity: [i8; 256] = core::array::from_fn(|i| (i as i16 - 128) as i8);
        let mut output = [0; 256];
        lookup(&identity, &identity, &mut output);
        assert_eq!(output, identity);
    }

    #[test]
    fn lengths_that_do_not_fit_panic_in_debug_builds_only() {
        panics_in_debug_builds(|| lookup(&[0], &[1; 255], &mut [7]));
        panics_in_debug_builds(|| lookup(&[0], &[1; 256], &mut [7; 2]));
        let (one, two) = (operand(&[1], 0), operand(&[1; 2], 0));
        let to = to(1 << 30, 0, 0, -128, 127);
        panics_in_debug_builds(|| mul(one, two, to, &mut [0; 2]));
        panics_in_debug_builds(|| add(two, to.scale, two, to.scale, to, &mut [0]));
    }
}
