//! ADD, MUL, and the tables that LOOKUP is given: HARD_SWISH, LOGISTIC, RSQRT, LOGISTIC and MUL (SiLU).

use fastrand::Rng;
use zerda_firmware::kernels::{Kernels, Operand, Output};
use zerda_firmware::plan::Requantize;
use zerda_quantize::graph::{Function, Quantization};
use zerda_quantize::tflite_params::{add_scales, product_scale};
use zerda_tflite::writer::{Activation, Graph, Operator, TensorIndex, activation_range};

use crate::{
    Kernel, Trial, activation, equals_tflm, length, quantized, runs, scale, shape, zero_point,
};

/// Random parameters of an operator on two tensors of one shape.
struct Pair {
    rows: usize,
    cols: usize,
    a: (f32, i8),
    b: (f32, i8),
    output: (f32, i8),
    activation: Activation,
}

impl Pair {
    fn random(
        rng: &mut Rng,
        number: usize,
        output_scale: impl Fn(&mut Rng, f32, f32) -> f32,
    ) -> Self {
        // Only powers of two make sums that lie half-way between two outputs.
        let exact = |scale: f32| match number % 4 {
            0 => scale.log2().round().exp2(),
            _ => scale,
        };
        let [a, b] = [exact(scale(rng, -9, 3)), exact(scale(rng, -9, 3))];
        Self {
            rows: length(rng, 11),
            cols: length(rng, 70),
            a: (a, zero_point(rng)),
            b: (b, zero_point(rng)),
            output: (exact(output_scale(rng, a, b)), zero_point(rng)),
            activation: activation(rng),
        }
    }

    fn trial(&self, rng: &mut Rng, operator: Operator, kernel: Kernel) -> Trial {
        let Self {
            rows,
            cols,
            a,
            b,
            output,
            activation,
        } = *self;
        let mut graph = Graph::default();
        let shape = shape(&[rows, cols]);
        let tensors = [
            graph.input("a", &shape, quantized(a.0, a.1)),
            graph.input("b", &shape, quantized(b.0, b.1)),
        ];
        let y = graph.activation("output", &shape, quantized(output.0, output.1));
        graph.operator(operator, &tensors, y);
        graph.output(y);
        Trial {
            what: format!("[{rows}, {cols}] {a:?} {b:?} to {output:?} {activation:?}"),
            graph,
            runs: runs(rng, &[rows * cols, rows * cols]),
            kernel,
        }
    }

    fn to(&self, scale: Requantize) -> Output {
        Output {
            scale,
            zero_point: self.output.1,
            clamp: activation_range(self.activation, self.output.0, self.output.1),
        }
    }
}

fn operand(data: &[i8], zero_point: i8) -> Operand<'_> {
    Operand { data, zero_point }
}

#[test]
fn add_equals_tflm() {
    equals_tflm("ADD", |rng, number| {
        // From an output that saturates to one that hardly moves.
        let pair = Pair::random(rng, number, |rng, a, b| a.max(b) * scale(rng, -4, 5));
        let scales = add_scales(pair.a.0, pair.b.0, pair.output.0);
        let (a, b, to) = (pair.a.1, pair.b.1, pair.to(scales.output));
        let kernel = move |kernels: &Kernels, inputs: &[Vec<i8>]| {
            let (a, b) = (operand(&inputs[0], a), operand(&inputs[1], b));
            let mut y = vec![0; inputs[0].len()];
            (kernels.add)(a, scales.a, b, scales.b, to, &mut y);
            y
        };
        pair.trial(rng, Operator::Add(pair.activation), Box::new(kernel))
    });
}

#[test]
fn mul_equals_tflm() {
    equals_tflm("MUL", |rng, number| {
        // Multipliers from 2^-16 to 2^4, which shifts left.
        let pair = Pair::random(rng, number, |rng, a, b| a * b * scale(rng, -4, 16));
        let to = pair.to(product_scale(pair.a.0, pair.b.0, pair.output.0));
        let (a, b) = (pair.a.1, pair.b.1);
        let kernel = move |kernels: &Kernels, inputs: &[Vec<i8>]| {
            let mut y = vec![0; inputs[0].len()];
            (kernels.mul)(operand(&inputs[0], a), operand(&inputs[1], b), to, &mut y);
            y
        };
        pair.trial(rng, Operator::Mul(pair.activation), Box::new(kernel))
    });
}

const PROBABILITY: (f32, i8) = (1.0 / 256.0, -128);

/// All int8 values, and random ones, through a function's table, and through the operators
/// that `add` puts between input and output.
fn table_trial(
    rng: &mut Rng,
    function: Function,
    input: (f32, i8),
    output: (f32, i8),
    add: impl Fn(&mut Graph, TensorIndex, TensorIndex),
) -> Trial {
    let mut graph = Graph::default();
    let x = graph.input("input", &[1, 256], quantized(input.0, input.1));
    let y = graph.activation("output", &[1, 256], quantized(output.0, output.1));
    add(&mut graph, x, y);
    graph.output(y);
    let quantization = |(scale, zero_point)| Quantization { scale, zero_point };
    let table = function.table(quantization(input), quantization(output));
    let table = table.expect("quantizations that TFLite takes");
    let mut runs = runs(rng, &[256]);
    runs[0][0] = (-128..=127).collect();
    Trial {
        what: format!("{input:?} to {output:?}"),
        graph,
        runs,
        kernel: Box::new(move |kernels, inputs| {
            let mut y = vec![0; inputs[0].len()];
            (kernels.lookup)(&inputs[0], &table, &mut y);
            y
        }),
    }
}

#[test]
fn lookup_of_a_hard_swish_table_equals_tflm() {
    equals_tflm("HARD_SWISH", |rng, _| {
        let input = (scale(rng, -9, 3), zero_point(rng));
        // TFLM demands an output scale above 1/128 of the input's.
        let output = (input.0 * scale(rng, -5, 3), zero_point(rng));
        table_trial(rng, Function::HardSwish, input, output, |graph, x, y| {
            graph.operator(Operator::HardSwish, &[x], y);
        })
    });
}

#[test]
fn lookup_of_a_logistic_table_equals_tflm() {
    equals_tflm("LOGISTIC", |rng, _| {
        let input = (scale(rng, -9, 2), zero_point(rng));
        table_trial(
            rng,
            Function::Logistic,
            input,
            PROBABILITY,
            |graph, x, y| {
                graph.operator(Operator::Logistic, &[x], y);
            },
        )
    });
}

#[test]
fn lookup_of_a_silu_table_equals_logistic_and_mul_in_tflm() {
    equals_tflm("LOGISTIC and MUL", |rng, _| {
        let input = (scale(rng, -9, 2), zero_point(rng));
        let output = (input.0 * scale(rng, -5, 3), zero_point(rng));
        table_trial(rng, Function::Silu, input, output, |graph, x, y| {
            let (scale, zero_point) = PROBABILITY;
            let gate = graph.activation("gate", &[1, 256], quantized(scale, zero_point));
            graph.operator(Operator::Logistic, &[x], gate);
            graph.operator(Operator::Mul(Activation::NONE), &[x, gate], y);
        })
    });
}

#[test]
fn lookup_of_an_rsqrt_table_equals_tflm() {
    equals_tflm("RSQRT", |rng, _| {
        // Nothing below 0, which TFLM refuses. Outputs that clip up to 15/16 of the inputs, and some that
        // hardly move.
        let input = (scale(rng, -14, 6), -128);
        let output = (scale(rng, -9, 0) / input.0.sqrt(), zero_point(rng));
        table_trial(rng, Function::Rsqrt, input, output, |graph, x, y| {
            graph.operator(Operator::Rsqrt, &[x], y);
        })
    });
}
