//! Computes the fixed-point parameters of the plan's operators as TFLite Micro's `Prepare` functions
//! compute them, single and double precision included: if one were rounded differently, the device's
//! integers would not be TFLite's. Zero points and the kernels are in `zerda_firmware`.

use zerda_firmware::plan::Requantize;

/// Returns a positive real number as a Q31 multiplier and a power of two (TFLite's `QuantizeMultiplier`).
pub fn quantize_multiplier(real: f64) -> Requantize {
    let (fraction, mut shift) = frexp(real);
    let mut multiplier = (fraction * (1u64 << 31) as f64).round() as i64;
    if multiplier == 1 << 31 {
        multiplier /= 2;
        shift += 1;
    }
    if shift < -31 {
        (multiplier, shift) = (0, 0);
    }
    if shift > 30 {
        (multiplier, shift) = ((1 << 31) - 1, 30);
    }
    Requantize {
        multiplier: multiplier as i32,
        shift: shift as i8,
    }
}

/// Splits a finite number of 0 or more like C's `frexp`: into a fraction in [0.5, 1) and an exponent of
/// two.
fn frexp(real: f64) -> (f64, i32) {
    if real < f64::MIN_POSITIVE {
        return (0.0, 0);
    }
    let bits = real.to_bits();
    let exponent = (bits >> 52) as i32 - 1022;
    (f64::from_bits(bits & !(0x7ff << 52) | 1022 << 52), exponent)
}

/// Returns the requantization of a product: of MUL, of BATCH_MATMUL, and of one channel of CONV_2D or
/// DEPTHWISE_CONV_2D (`PopulateConvolutionQuantizationParams`), whose weights have the scale `b`.
///
/// The scales are multiplied in double precision. TFLite's `GetQuantizedConvolutionMultipler` multiplies those of
/// BATCH_MATMUL in single precision; with that one score of two million came out one higher than in TFLite Micro.
pub fn product_scale(a: f32, b: f32, output: f32) -> Requantize {
    quantize_multiplier(f64::from(a) * f64::from(b) / f64::from(output))
}

/// Returns the requantization of one channel of FULLY_CONNECTED, whose weights have the scale `weights`.
///
/// With a single channel TFLite takes the weights as quantized per tensor, and multiplies the two scales in single
/// precision (`GetQuantizedConvolutionMultipler`).
pub fn fully_connected_scale(channels: usize, input: f32, weights: f32, output: f32) -> Requantize {
    match channels {
        1 => quantize_multiplier(f64::from(input * weights) / f64::from(output)),
        _ => product_scale(input, weights, output),
    }
}

/// Requantizations of ADD: both inputs go to twice the larger scale with 20 more bits, their sum to the
/// output.
pub struct AddScales {
    pub a: Requantize,
    pub b: Requantize,
    pub output: Requantize,
}

pub fn add_scales(a: f32, b: f32, output: f32) -> AddScales {
    let twice_max = 2.0 * f64::from(a.max(b));
    AddScales {
        a: quantize_multiplier(f64::from(a) / twice_max),
        b: quantize_multiplier(f64::from(b) / twice_max),
        output: quantize_multiplier(twice_max / (f64::from(1 << 20) * f64::from(output))),
    }
}

/// Requantization of the input of SOFTMAX with beta 1, which has 5 integer bits
/// (`PreprocessSoftmaxScaling`).
pub struct SoftmaxScale {
    pub input: Requantize,
    pub diff_min: i32,
}

pub fn softmax_scale(input: f32) -> SoftmaxScale {
    let one = f64::from(1 << (31 - 5));
    let input = quantize_multiplier((f64::from(input) * one).min((1u64 << 31) as f64 - 1.0));
    SoftmaxScale {
        input,
        diff_min: -input_radius(5, input.shift),
    }
}

/// Returns the largest input that fits the integer bits (`CalculateInputRadius`).
fn input_radius(integer_bits: i32, shift: i8) -> i32 {
    let one = f64::from(1 << (31 - integer_bits));
    let radius = f64::from((1 << integer_bits) - 1) * one / 2f64.powi(shift.into());
    radius.floor() as i32
}

/// Returns the requantization of LOGISTIC's inputs to 4 integer bits, and the input from which on the
/// output saturates.
pub fn logistic_scale(input: f32) -> (Requantize, i32) {
    let scale = quantize_multiplier(f64::from(input) * f64::from(1 << (31 - 4)));
    (scale, input_radius(4, scale.shift))
}

/// Returns the requantization of RSQRT, whose kernel starts from one over the root of the integer.
pub fn rsqrt_scale(input: f32, output: f32) -> Requantize {
    quantize_multiplier(1.0 / (f64::from(input).sqrt() * f64::from(output)))
}

/// Requantizations of HARD_SWISH, whose multipliers are Q15 (`HardSwishPrepare`).
pub struct HardSwishScales {
    pub output: Requantize16,
    /// Requantization to the scale in which 3.0 is 32768.
    pub reluish: Requantize16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requantize16 {
    pub multiplier: i16,
    pub exponent: i8,
}

pub fn hard_swish_scales(input: f32, output: f32) -> HardSwishScales {
    let hires_input = (1.0 / 128.0) * input;
    let narrow = |real: f32| {
        let Requantize { multiplier, shift } = quantize_multiplier(real.into());
        // DownScaleInt32ToInt16Multiplier.
        const OFFSET: i32 = 1 << 15;
        let multiplier = match multiplier {
            large if large >= i32::MAX - OFFSET => i16::MAX,
            multiplier => ((multiplier + OFFSET) >> 16) as i16,
        };
        Requantize16 {
            multiplier,
            exponent: shift,
        }
    };
    HardSwishScales {
        output: narrow(hires_input / output),
        reluish: narrow(hires_input / (3.0 / 32768.0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerda_firmware::fixed_point::multiply_by_quantized_multiplier;

    #[test]
    fn multipliers_are_q31_fractions_of_half_to_one() {
        let requantize = |multiplier, shift| Requantize { multiplier, shift };
        // 0.75 = 0.75 * 2^0, 6 = 0.75 * 2^3, 1/1024 = 0.5 * 2^-9.
        assert_eq!(quantize_multiplier(0.75), requantize(3 << 29, 0));
        assert_eq!(quantize_multiplier(6.0), requantize(3 << 29, 3));
        assert_eq!(quantize_multiplier(1.0 / 1024.0), requantize(1 << 30, -9));
        assert_eq!(quantize_multiplier(0.0), requantize(0, 0));
        // Rounds up to 1.0, which is 0.5 * 2.
        assert_eq!(quantize_multiplier(1.0 - 1e-12), requantize(1 << 30, 1));
        // Too small and too large for a shift.
        assert_eq!(quantize_multiplier(1e-12), requantize(0, 0));
        assert_eq!(quantize_multiplier(1e12), requantize(i32::MAX, 30));
    }

    /// Scales of `shrunk`'s second attention; TFLite Micro made 105 of this sum of products, which single precision
    /// takes to 106.
    #[test]
    fn a_score_between_two_is_rounded_as_tflite_micro_rounds_it() {
        let scale = product_scale(0.037_132_803, 0.007_430_712_7, 0.070_115_86);
        assert_eq!(multiply_by_quantized_multiplier(26_808, scale), 105);
    }

    #[test]
    fn add_brings_the_larger_scale_to_one_half() {
        let scales = add_scales(0.5, 0.125, 1.0);
        assert_eq!(
            scales.a,
            Requantize {
                multiplier: 1 << 30,
                shift: 0
            }
        );
        // 0.125 / 1 = 2^-3 = 0.5 * 2^-2.
        assert_eq!(
            scales.b,
            Requantize {
                multiplier: 1 << 30,
                shift: -2
            }
        );
        // 1 / 2^20 = 0.5 * 2^-19.
        assert_eq!(
            scales.output,
            Requantize {
                multiplier: 1 << 30,
                shift: -19
            }
        );
    }

    #[test]
    fn softmax_ignores_what_lies_31_below_the_maximum() {
        // Scale 1/8: 2^26 / 8 = 2^23 = 0.5 * 2^24, and 31 * 2^26 / 2^24 = 124 steps, 15.5.
        let scale = softmax_scale(0.125);
        assert_eq!(
            scale.input,
            Requantize {
                multiplier: 1 << 30,
                shift: 24
            }
        );
        assert_eq!(scale.diff_min, -124);
    }
}
