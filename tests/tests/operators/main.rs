//! Every operator of the firmware equals TFLite Micro bit for bit, with all kernels that this processor has:
//! single-operator models of random shapes, scales and zero points, on random inputs and the extremes.

mod attention;
mod dense;
mod elementwise;

use fastrand::Rng;
use zerda_firmware::kernels::Kernels;
use zerda_firmware::kernels::choice::available;
use zerda_tests::tflm::{Case, Tflm};
use zerda_tflite::writer::{Activation, Graph, Quantization};

/// Parameter sets of each operator; each runs on [`INPUTS`] inputs.
const TRIALS: usize = 120;
const INPUTS: usize = 10;

/// Runs the operator under test with some kernels: inputs to output.
type Kernel = Box<dyn Fn(&Kernels, &[Vec<i8>]) -> Vec<i8>>;

/// A model, inputs, and the kernel that must give the model's output.
struct Trial {
    /// Its parameters, for whoever looks for a difference.
    what: String,
    graph: Graph,
    runs: Vec<Vec<Vec<i8>>>,
    kernel: Kernel,
}

/// Runs [`TRIALS`] trials of an operator, numbered from 0, in both worlds.
fn equals_tflm(operator: &str, trial: impl Fn(&mut Rng, usize) -> Trial) {
    let Some(tflm) = Tflm::get(operator) else {
        return;
    };
    let trials: Vec<_> = (0..TRIALS)
        .map(|number| trial(&mut Rng::with_seed(number as u64), number))
        .collect();
    let cases: Vec<_> = trials
        .iter()
        .map(|trial| Case {
            model: trial.graph.finish(),
            runs: trial.runs.clone(),
            outputs: 1,
        })
        .collect();
    let mut varied = 0;
    for (number, (trial, expected)) in trials.iter().zip(tflm.run(&cases)).enumerate() {
        for (run, (inputs, expected)) in trial.runs.iter().zip(expected).enumerate() {
            let expected = &expected[0];
            varied += usize::from(expected.iter().any(|&value| value != expected[0]));
            for kernels in available() {
                let got = (trial.kernel)(kernels, inputs);
                let difference = got.iter().zip(expected).position(|(a, b)| a != b);
                assert_eq!(got.len(), expected.len());
                if let Some(at) = difference {
                    let (got, expected) = (got[at], expected[at]);
                    let what = format!("{}, {kernels:?} kernels", trial.what);
                    panic!("{operator} {number}.{run} [{at}]: {got}, TFLM {expected}; {what}");
                }
            }
        }
    }
    // Not all saturated or otherwise trivial.
    assert!(varied > TRIALS * INPUTS / 3, "only {varied} outputs vary");
}

/// [`INPUTS`] runs of inputs of these lengths: the extremes, then what is random.
fn runs(rng: &mut Rng, lengths: &[usize]) -> Vec<Vec<Vec<i8>>> {
    let mut run = |number: usize| {
        let input = |(i, &length): (usize, &usize)| match number {
            0 => vec![-128; length],
            1 => vec![127; length],
            2 => vec![if i == 0 { -128 } else { 127 }; length],
            3 => vec![rng.i8(..); length],
            4 => (0..length)
                .map(|_| if rng.bool() { -128 } else { 127 })
                .collect(),
            5 => (0..length).map(|_| rng.i8(-3..=3)).collect(),
            _ => (0..length).map(|_| rng.i8(..)).collect(),
        };
        lengths.iter().enumerate().map(input).collect()
    };
    (0..INPUTS).map(&mut run).collect()
}

/// A random length up to `most`; 1 every fifth time.
fn length(rng: &mut Rng, most: usize) -> usize {
    if rng.u8(..5) == 0 {
        1
    } else {
        rng.usize(1..=most)
    }
}

/// A random scale of `2^from..2^to`; every fifth time a power of two.
fn scale(rng: &mut Rng, from: i32, to: i32) -> f32 {
    let exponent = f64::from(from) + rng.f64() * f64::from(to - from);
    let exponent = if rng.u8(..5) == 0 {
        exponent.round()
    } else {
        exponent
    };
    exponent.exp2() as f32
}

/// A random zero point; each end every fifth time.
fn zero_point(rng: &mut Rng) -> i8 {
    match rng.u8(..5) {
        0 => -128,
        1 => 127,
        _ => rng.i8(..),
    }
}

fn activation(rng: &mut Rng) -> Activation {
    let fused = [
        Activation::RELU,
        Activation::RELU6,
        Activation::RELU_N1_TO_1,
    ];
    if rng.bool() {
        Activation::NONE
    } else {
        *rng.choice(&fused).unwrap()
    }
}

fn shape(dimensions: &[usize]) -> Vec<i32> {
    dimensions
        .iter()
        .map(|&dimension| dimension as i32)
        .collect()
}

fn quantized(scale: f32, zero_point: i8) -> Quantization {
    Quantization::per_tensor(scale, zero_point)
}
