//! This module does TFLite's fixed-point arithmetic, with integers only.
//!
//! A fixed-point number is an `i32`; with `n` integer bits its value is `raw / 2^(31 - n)`. The
//! operations and their rounding are those of gemmlowp's `fixedpoint.h` and of TFLite's 8-bit
//! quantization specification in its default form, which rounds twice: after the doubling high
//! multiplication and after the shift.
//!
//! No argument makes a function here panic. Where TFLite leaves an overflow undefined, it wraps.

use crate::plan::Requantize;

/// Returns `value * multiplier * 2^(shift - 31)`, rounded as TFLite's `MultiplyByQuantizedMultiplier` does.
#[inline]
pub fn multiply_by_quantized_multiplier(value: i32, by: Requantize) -> i32 {
    let shift = i32::from(by.shift);
    let shifted = value.wrapping_shl(shift.max(0) as u32);
    rounding_divide_by_pot(
        saturating_rounding_doubling_high_mul(shifted, by.multiplier),
        shift.min(0).unsigned_abs(),
    )
}

/// Returns `2 * a * b / 2^32`, rounded to nearest, ties up. It saturates in its one overflow, `MIN * MIN`.
///
/// gemmlowp adds a nudge with the product's sign, then divides, which truncates: the same integer
/// for every product.
#[inline]
pub fn saturating_rounding_doubling_high_mul(a: i32, b: i32) -> i32 {
    let product = i64::from(a) * i64::from(b);
    let high = (product + (1 << 30)) >> 31;
    high.min(i64::from(i32::MAX)) as i32
}

/// Returns `value / 2^exponent`, rounded to nearest, ties away from zero. `exponent` is in `0..=31`.
#[inline]
pub fn rounding_divide_by_pot(value: i32, exponent: u32) -> i32 {
    let Some(last) = exponent.checked_sub(1) else {
        return value;
    };
    // Ties go up, so what is negative starts one lower. MIN is no tie.
    let value = value.saturating_add(value >> 31);
    value.wrapping_shr(last).wrapping_add(1) >> 1
}

/// Returns `value * 2^exponent`, saturated.
fn saturating_multiply_by_pot(value: i32, exponent: u32) -> i32 {
    (i64::from(value) << exponent).clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32
}

/// Returns the fixed-point product, whose integer bits are the sum of those of the factors. No use here has
/// two factors of `MIN`, so it need not saturate.
#[inline]
fn mul(a: i32, b: i32) -> i32 {
    ((i64::from(a) * i64::from(b) + (1 << 30)) >> 31) as i32
}

pub(crate) const EXP_OF_MINUS_EIGHTH: i32 = 1_895_147_668;
pub(crate) const ONE_THIRD: i32 = 715_827_883;

/// Holds `e^-(1/4)`, `e^-(1/2)`, and so on to `e^-16`, each with 0 integer bits.
pub(crate) const POWERS: [i32; 7] = [
    1_672_461_947,
    1_302_514_674,
    790_015_084,
    290_630_308,
    39_332_535,
    720_401,
    242,
];

/// Returns `e^a` for `a` in `[-1/4, 0)`, both with 0 integer bits, by Taylor's fourth order about -1/8.
fn exp_on_quarter(a: i32) -> i32 {
    let x = a.wrapping_add(1 << 28);
    let x2 = mul(x, x);
    let x3 = mul(x2, x);
    let x4_over_4 = rounding_divide_by_pot(mul(x2, x2), 2);
    let x4_over_12_plus_x3_over_3 = mul(x4_over_4.wrapping_add(x3), ONE_THIRD);
    let higher = rounding_divide_by_pot(x4_over_12_plus_x3_over_3.wrapping_add(x2), 1);
    EXP_OF_MINUS_EIGHTH.wrapping_add(mul(EXP_OF_MINUS_EIGHTH, x.wrapping_add(higher)))
}

/// Returns `e^a` for `a <= 0` with 5 integer bits; the result has 0 (gemmlowp's `exp_on_negative_values`).
pub fn exp_on_negative_values(a: i32) -> i32 {
    exp_on_negative::<5>(a)
}

/// Returns `e^a` as [`exp_on_negative_values`] does, for `a <= 0` with up to 5 integer bits.
pub fn exp_on_negative<const INTEGER_BITS: u32>(a: i32) -> i32 {
    let one_quarter = const { 1i32 << (29 - INTEGER_BITS) };
    if a == 0 {
        return i32::MAX;
    }
    let within_quarter = (a & (one_quarter - 1)) - one_quarter;
    let quarters = within_quarter.wrapping_sub(a);
    let mut result = exp_on_quarter(saturating_multiply_by_pot(within_quarter, INTEGER_BITS));
    // The greatest power has the bit below the sign.
    for (bit, power) in (29 - INTEGER_BITS..31).zip(POWERS) {
        if quarters & 1i32.wrapping_shl(bit) != 0 {
            result = mul(result, power);
        }
    }
    result
}

/// A reciprocal, which stands for the value `scale / 2^31 / 2^bits_over_unit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reciprocal {
    /// A fraction in `(1/2, 1]` that has 0 integer bits.
    pub scale: i32,
    /// Says how far the divisor's leading bit lies above that of one, in bits.
    pub bits_over_unit: i32,
}

/// Returns `1 / x` for `x > 0` with `integer_bits` integer bits (TFLite's `GetReciprocal`).
pub fn reciprocal(x: i32, integer_bits: u32) -> Reciprocal {
    let headroom = x.leading_zeros();
    let fraction = (x as u32).wrapping_shl(headroom).wrapping_sub(1 << 31) as i32;
    Reciprocal {
        scale: one_over_one_plus(fraction),
        bits_over_unit: integer_bits.wrapping_sub(headroom) as i32,
    }
}

/// Returns `1 / (1 + a)` for `a` in `[0, 1)`, both with 0 integer bits. It takes three Newton-Raphson
/// iterations with 2 integer bits, from the linear estimate `48/17 - 32/17 d` of `1/d`, with
/// `d = (1 + a) / 2`.
pub fn one_over_one_plus(a: i32) -> i32 {
    const FORTY_EIGHT_OVER_17: i32 = 1_515_870_810;
    const MINUS_32_OVER_17: i32 = -1_010_580_540;
    const ONE_WITH_2_INTEGER_BITS: i32 = 1 << 29;
    let double = |x: i32| x.saturating_add(x);
    let half_denominator = (1 << 30) + (a >> 1);
    let mut x = FORTY_EIGHT_OVER_17.wrapping_add(mul(half_denominator, MINUS_32_OVER_17));
    for _ in 0..3 {
        let error = ONE_WITH_2_INTEGER_BITS.wrapping_sub(mul(half_denominator, x));
        x = x.wrapping_add(double(double(mul(x, error))));
    }
    // x estimates 1/d = 2/(1 + a): halved by counting one integer bit fewer.
    double(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubling_high_mul_rounds_to_nearest_and_saturates_only_min_times_min() {
        // 2 * a * b / 2^32, by hand.
        assert_eq!(
            saturating_rounding_doubling_high_mul(1 << 30, 1 << 30),
            1 << 29
        );
        assert_eq!(saturating_rounding_doubling_high_mul(1, 1 << 30), 1); // 0.5
        assert_eq!(saturating_rounding_doubling_high_mul(-1, 1 << 30), 0); // -0.5
        assert_eq!(saturating_rounding_doubling_high_mul(-3, 1 << 30), -1); // -1.5
        assert_eq!(saturating_rounding_doubling_high_mul(3, 1 << 30), 2); // 1.5
        assert_eq!(saturating_rounding_doubling_high_mul(-3, (1 << 30) + 1), -2); // < -1.5
        assert_eq!(
            saturating_rounding_doubling_high_mul(i32::MIN, i32::MIN),
            i32::MAX
        );
        assert_eq!(
            saturating_rounding_doubling_high_mul(i32::MIN, i32::MAX),
            -i32::MAX
        );
    }

    #[test]
    fn division_by_a_power_of_two_rounds_ties_away_from_zero() {
        for (value, exponent, expected) in [
            (5, 1, 3),
            (-5, 1, -3),
            (6, 2, 2),
            (-6, 2, -2),
            (-7, 2, -2),
            (7, 0, 7),
            (i32::MIN, 31, -1),
            (i32::MAX, 31, 1),
            ((1 << 30) - 1, 31, 0),
        ] {
            assert_eq!(rounding_divide_by_pot(value, exponent), expected);
        }
    }

    #[test]
    fn requantization_shifts_left_before_and_right_after_the_multiplication() {
        let by = |multiplier, shift| Requantize { multiplier, shift };
        let m = multiply_by_quantized_multiplier;
        assert_eq!(m(1000, by(1 << 30, 0)), 500);
        assert_eq!(m(1000, by(1 << 30, 3)), 4000);
        assert_eq!(m(1000, by(1 << 30, -3)), 63); // 62.5
        assert_eq!(m(-1000, by(1 << 30, -3)), -63);
        // Rounds twice: 5 * 0.5 = 2.5 -> 3, 3 / 2 = 1.5 -> 2, though 5 / 4 is nearest to 1.
        assert_eq!(m(5, by(1 << 30, -1)), 2);
        assert_eq!(m(12345, by(0, 5)), 0);
    }

    #[test]
    fn exp_follows_the_mathematical_one() {
        for step in 0..=31 * 64 {
            let a = -(step << 20); // 5 integer bits: 26 fractional, so this is -step / 64
            let exact = libm::exp(-f64::from(step) / 64.0);
            let got = f64::from(exp_on_negative_values(a)) / f64::from(1u32 << 31);
            assert!((got - exact).abs() < 1e-6, "e^-{step}/64: {got}, {exact}");
        }
    }

    #[test]
    fn reciprocal_follows_the_mathematical_one() {
        for x in [
            1 << 19,
            (1 << 19) + 1,
            3 << 19,
            511 << 19,
            7_654_321,
            i32::MAX,
        ] {
            let Reciprocal {
                scale,
                bits_over_unit,
            } = reciprocal(x, 12);
            let got = f64::from(scale) / libm::exp2(f64::from(31 + bits_over_unit));
            let exact = f64::from(1 << 19) / f64::from(x);
            assert!((got / exact - 1.0).abs() < 1e-7, "1/{x}: {got}, {exact}");
        }
    }

    #[test]
    fn nothing_panics_at_the_extremes() {
        let extremes = [i32::MIN, i32::MIN + 1, -1, 0, 1, i32::MAX - 1, i32::MAX];
        for a in extremes {
            for multiplier in extremes {
                for shift in [i8::MIN, -32, -31, 0, 30, 31, i8::MAX] {
                    multiply_by_quantized_multiplier(a, Requantize { multiplier, shift });
                }
            }
            exp_on_negative_values(a);
            reciprocal(a, 12);
        }
    }
}
