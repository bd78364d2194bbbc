//! Tabulates functions of one value, which are tables of every int8 value on the device, in the integer
//! arithmetic of the TFLite operators that they are exported as.

use zerda_firmware::kernels::{Operand, Output, plain};
use zerda_firmware::plan::Clamp;

use super::graph::{Function, Quantization};
use super::tflite_params::product_scale;

mod hard_swish;
mod logistic;
mod rsqrt;

/// Outputs of a function, which are indexed by input + 128.
pub type Table = [i8; 256];

/// Quantization that TFLite's LOGISTIC and SOFTMAX give to their output.
pub const PROBABILITY: Quantization = Quantization {
    scale: 1.0 / 256.0,
    zero_point: -128,
};

/// Lists every function that can be tabulated.
pub const FUNCTIONS: [Function; 4] = [
    Function::HardSwish,
    Function::Logistic,
    Function::Silu,
    Function::Rsqrt,
];

impl Function {
    /// Returns the function's table, or `None` where TFLite's operators do not take these quantizations.
    pub fn table(self, input: Quantization, output: Quantization) -> Option<Table> {
        match self {
            Function::HardSwish => {
                (output.scale > input.scale / 128.0).then(|| hard_swish::table(input, output))
            }
            Function::Logistic => (output == PROBABILITY).then(|| logistic::table(input)),
            Function::Silu => Some(silu(input, output)),
            Function::Rsqrt => (input.zero_point == -128).then(|| rsqrt::table(input, output)),
        }
    }
}

/// Tabulates x / (1 + e^-x) as LOGISTIC, followed by MUL of x and that.
fn silu(input: Quantization, output: Quantization) -> Table {
    let values: Table = std::array::from_fn(|index| (index as i16 - 128) as i8);
    let logistic = logistic::table(input);
    let operand = |data, zero_point| Operand { data, zero_point };
    let (x, gate) = (
        operand(&values[..], input.zero_point),
        operand(&logistic[..], PROBABILITY.zero_point),
    );
    let clamp = Clamp {
        min: i8::MIN,
        max: i8::MAX,
    };
    let to = Output {
        scale: product_scale(input.scale, PROBABILITY.scale, output.scale),
        zero_point: output.zero_point,
        clamp,
    };
    let mut table = [0; 256];
    plain::mul(x, gate, to, &mut table);
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each entry, against the function in float: at most `steps` off.
    fn is_near(
        function: Function,
        input: (f32, i8),
        output: (f32, i8),
        real: fn(f64) -> f64,
        steps: f64,
    ) {
        let quantization = |(scale, zero_point)| Quantization { scale, zero_point };
        let table = function.table(quantization(input), quantization(output));
        for (index, value) in table.unwrap().into_iter().enumerate() {
            let x = f64::from(input.0) * (index as f64 - 128.0 - f64::from(input.1));
            let y = real(x) / f64::from(output.0) + f64::from(output.1);
            let error = (f64::from(value) - y.clamp(-128.0, 127.0)).abs();
            assert!(
                error < steps,
                "{function:?} {input:?} {output:?} {index}: {value} for {y}"
            );
        }
    }

    #[test]
    fn tables_are_their_functions_within_a_step() {
        let probability = (1.0 / 256.0, -128);
        for input in [(0.1, 5), (0.01, 127), (0.3, -128), (0.02, 0)] {
            let logistic = |x: f64| 1.0 / (1.0 + (-x).exp());
            is_near(Function::Logistic, input, probability, logistic, 1.0);
            let hard_swish = |x: f64| x * (x / 6.0 + 0.5).clamp(0.0, 1.0);
            let silu = |x: f64| x / (1.0 + (-x).exp());
            for output in [(0.05, -121), (0.31, 7)] {
                is_near(Function::HardSwish, input, output, hard_swish, 1.1);
                // The logistic rounded first: half of 1/256 of x more.
                is_near(Function::Silu, input, output, silu, 2.1);
            }
        }
        // 1/0 is the greatest.
        let rsqrt = |x: f64| if x > 0.0 { 1.0 / x.sqrt() } else { 1e9 };
        for (scale, output) in [
            (0.01, (0.05, -128)),
            (3.0, (0.002, -100)),
            (1e-4, (0.4, -128)),
        ] {
            is_near(Function::Rsqrt, (scale, -128), output, rsqrt, 0.6);
        }
    }

    #[test]
    fn quantizations_that_tflite_does_not_take_have_no_table() {
        let q = |scale, zero_point| Quantization { scale, zero_point };
        assert_eq!(Function::HardSwish.table(q(1.0, 0), q(0.001, 0)), None);
        assert_eq!(Function::Logistic.table(q(1.0, 0), q(0.005, -128)), None);
        assert_eq!(Function::Rsqrt.table(q(1.0, -127), q(1.0, -128)), None);
    }
}
