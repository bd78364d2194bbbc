//! Tabulates RSQRT, 1 / sqrt(x), in the integer arithmetic of TFLite Micro's kernel; 1 / sqrt(0) is the
//! greatest output. The input's zero point is -128: TFLite Micro refuses values below 0.

use zerda_firmware::fixed_point::{
    multiply_by_quantized_multiplier, rounding_divide_by_pot, saturating_rounding_doubling_high_mul,
};
use zerda_firmware::plan::Requantize;

use super::Table;
use crate::graph::Quantization;
use crate::tflite_params::rsqrt_scale;

/// Number of fractional bits that are kept between the two multiplications.
const KEPT: i8 = 20;

pub fn table(input: Quantization, output: Quantization) -> Table {
    let Requantize { multiplier, shift } = rsqrt_scale(input.scale, output.scale);
    let to_output = Requantize {
        multiplier,
        shift: (shift - KEPT).max(-31),
    };
    let value = |index: usize| {
        let x = index as i32 - 128 - i32::from(input.zero_point);
        if x == 0 {
            return i8::MAX;
        }
        let Requantize { multiplier, shift } = inverse_square_root(x);
        let of_x = Requantize {
            multiplier,
            shift: shift + KEPT,
        };
        let root = multiply_by_quantized_multiplier(1, of_x);
        let value =
            multiply_by_quantized_multiplier(root, to_output) + i32::from(output.zero_point);
        value.clamp(i8::MIN.into(), i8::MAX.into()) as i8
    };
    std::array::from_fn(value)
}

/// Returns 1 / sqrt(x) for `x` of 1..2^29 as a multiplier (TFLite's `GetInvSqrtQuantizedMultiplierExp`):
/// five Newton-Raphson iterations with 3 integer bits, from 1.
fn inverse_square_root(x: i32) -> Requantize {
    if x <= 1 {
        return Requantize {
            multiplier: i32::MAX,
            shift: 0,
        };
    }
    const THREE_HALVES: i32 = (1 << 28) + (1 << 27);
    const HALF_SQRT_2: i32 = 1_518_500_250;
    let mul = saturating_rounding_doubling_high_mul;
    let rescale = |value: i32, left: u32| {
        let shifted = i64::from(value) << left;
        shifted.clamp(i32::MIN.into(), i32::MAX.into()) as i32
    };
    // To 2^27..2^29, by powers of four.
    let pairs = (x.leading_zeros() - 1) / 2 - 1;
    let input = x << (2 * pairs) >> 1;
    let half_input = rounding_divide_by_pot(input, 1);
    let mut root = 1 << 28;
    for _ in 0..5 {
        let cube = rescale(mul(mul(root, root), root), 6);
        root = rescale(mul(THREE_HALVES, root) - mul(half_input, cube), 3);
    }
    let multiplier = mul(root, HALF_SQRT_2);
    match 11 - pairs as i8 {
        right @ 0.. => Requantize {
            multiplier,
            shift: -right,
        },
        left => Requantize {
            multiplier: multiplier << -left,
            shift: 0,
        },
    }
}
