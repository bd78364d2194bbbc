//! Tabulates HARD_SWISH, x * clip(x / 6 + 1/2, 0, 1), in the integer arithmetic of TFLite's reference
//! kernel (int16, `reference_ops::HardSwish`).

use super::Table;
use crate::graph::Quantization;
use crate::tflite_params::{Requantize16, hard_swish_scales};

/// Tabulates HARD_SWISH for every int8 input. The output's scale must exceed 1/128 of the input's.
pub fn table(input: Quantization, output: Quantization) -> Table {
    let scales = hard_swish_scales(input.scale, output.scale);
    let value = |index: usize| {
        // Within +-255 * 128: no overflow.
        let hires = (index as i16 - 128 - i16::from(input.zero_point)) << 7;
        let preshift = saturating_rounding_doubling_high_mul(hires, scales.output.multiplier);
        let reluish = i32::from(reluish(hires, scales.reluish));
        let reluish = ((reluish + (1 << 15)) >> 1) as i16;
        let product = saturating_doubling_high_mul(reluish, preshift);
        let scaled = rounding_divide_by_pot(product, -i32::from(scales.output.exponent));
        let value = i32::from(scaled) + i32::from(output.zero_point);
        value.clamp(i8::MIN.into(), i8::MAX.into()) as i8
    };
    std::array::from_fn(value)
}

/// Returns x / 3, saturated to -1..1, in Q15.
fn reluish(hires: i16, scale: Requantize16) -> i16 {
    let exponent = i32::from(scale.exponent);
    let before = if exponent > 0 {
        saturating_left_shift(hires, exponent - 1)
    } else {
        hires
    };
    let scaled = saturating_rounding_doubling_high_mul(before, scale.multiplier);
    match exponent {
        1.. => saturating_left_shift(scaled, 1),
        0 => scaled,
        _ => rounding_divide_by_pot(scaled, -exponent),
    }
}

fn saturating_left_shift(value: i16, amount: i32) -> i16 {
    let shifted = i64::from(value) << amount;
    shifted.clamp(i16::MIN.into(), i16::MAX.into()) as i16
}

fn saturating_rounding_doubling_high_mul(a: i16, b: i16) -> i16 {
    let product = i32::from(a) * i32::from(b);
    let nudge = if product >= 0 { 1 << 14 } else { 1 - (1 << 14) };
    ((product + nudge) / (1 << 15)).min(i16::MAX.into()) as i16
}

fn saturating_doubling_high_mul(a: i16, b: i16) -> i16 {
    let product = i32::from(a) * i32::from(b);
    (product / (1 << 15)).min(i16::MAX.into()) as i16
}

fn rounding_divide_by_pot(value: i16, exponent: i32) -> i16 {
    let (value, mask) = (i32::from(value), (1i32 << exponent) - 1);
    let threshold = (mask >> 1) + i32::from(value < 0);
    ((value >> exponent) + i32::from(value & mask > threshold)) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_point_rounds_and_saturates_as_gemmlowp() {
        assert_eq!(
            saturating_rounding_doubling_high_mul(i16::MIN, i16::MIN),
            i16::MAX
        );
        // 3 * 2^14 / 2^15 = 1.5 and its negative.
        assert_eq!(saturating_rounding_doubling_high_mul(3, 1 << 14), 2);
        assert_eq!(saturating_rounding_doubling_high_mul(-3, 1 << 14), -1);
        assert_eq!(saturating_doubling_high_mul(-3, 1 << 14), -1);
        assert_eq!(
            [5, 6, -5, -6, -7].map(|x| rounding_divide_by_pot(x, 2)),
            [1, 2, -1, -2, -2]
        );
        assert_eq!(saturating_left_shift(-20000, 1), i16::MIN);
    }
}
