//! Tabulates LOGISTIC, 1 / (1 + e^-x), in the integer arithmetic of TFLite's reference kernel
//! (`reference_integer_ops::Logistic`): 4 integer bits in, output scale 1/256 and zero point -128.

use zerda_firmware::fixed_point::{
    exp_on_negative, multiply_by_quantized_multiplier, one_over_one_plus, rounding_divide_by_pot,
};

use super::Table;
use crate::graph::Quantization;
use crate::tflite_params::logistic_scale;

pub fn table(input: Quantization) -> Table {
    let (scale, radius) = logistic_scale(input.scale);
    let value = |index: usize| {
        let x = index as i32 - 128 - i32::from(input.zero_point);
        if x <= -radius {
            return i8::MIN;
        }
        if x >= radius {
            return i8::MAX;
        }
        let logistic = logistic(multiply_by_quantized_multiplier(x, scale));
        let value = rounding_divide_by_pot(logistic, 31 - 8) - 128;
        value.clamp(i8::MIN.into(), i8::MAX.into()) as i8
    };
    std::array::from_fn(value)
}

/// Returns the logistic of `x`, which has 4 integer bits, with no integer bits (gemmlowp's `logistic`).
fn logistic(x: i32) -> i32 {
    match x {
        0 => 1 << 30,
        1.. => one_over_one_plus(exp_on_negative::<4>(-x)),
        _ => i32::MAX - one_over_one_plus(exp_on_negative::<4>(x)),
    }
}
