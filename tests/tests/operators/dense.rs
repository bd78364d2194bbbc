//! FULLY_CONNECTED and DEPTHWISE_CONV_2D.

use fastrand::Rng;
use zerda_firmware::kernels::Channels;
use zerda_firmware::plan::{Clamp, Requantize};
use zerda_quantize::tflite_params::{fully_connected_scale, product_scale};
use zerda_tflite::writer::{
    Activation, Graph, Operator, Quantization, TensorIndex, activation_range,
};

use crate::{Trial, activation, equals_tflm, length, quantized, runs, scale, shape, zero_point};

/// Random parameters of an operator with per-channel weights.
struct Dense {
    input: (f32, i8),
    output: (f32, i8),
    weight_scales: Vec<f32>,
    /// `[N, K]`.
    weights: Vec<i8>,
    bias: Vec<i32>,
    activation: Activation,
}

impl Dense {
    /// `k` weights for each of `n` channels. The kind of multiplier follows the trial's number.
    fn random(rng: &mut Rng, number: usize, n: usize, k: usize) -> Self {
        let input = (scale(rng, -10, 2), zero_point(rng));
        let output = (scale(rng, -10, 2), zero_point(rng));
        // Above 1, the multiplier shifts left: sums stay small, TFLite leaves overflow undefined.
        let left_shift = number.is_multiple_of(10);
        // Far below 1, only a large bias is seen.
        let tiny = number % 10 == 1;
        let extreme = number % 10 == 2;
        let spread = 74.0 * 74.0 * (k as f64).sqrt();
        let mut weight = |_| match () {
            () if left_shift => rng.i8(-3..=3),
            () if extreme => *rng.choice(&[-127, 127]).unwrap(),
            () => rng.i8(-127..=127),
        };
        let weights = (0..n * k).map(&mut weight).collect();
        let channel = |_| {
            let (multiplier, bias) = if left_shift {
                let most = f64::from(1u32 << 31) / (255.0 * 3.0 * k as f64 + 1e3);
                (most.powf(rng.f64()), 1000)
            } else if tiny {
                ((-10.0 - 21.0 * rng.f64()).exp2(), 1 << 30)
            } else {
                let gain = (6.0 * rng.f64() - 3.0).exp2();
                ((40.0 * gain / spread).min(1.0), (100.0 * spread) as i32)
            };
            let weight_scale = multiplier * f64::from(output.0) / f64::from(input.0);
            (weight_scale as f32, rng.i32(-bias..=bias))
        };
        let (weight_scales, bias) = (0..n).map(channel).unzip();
        Self {
            input,
            output,
            weight_scales,
            weights,
            bias,
            activation: activation(rng),
        }
    }

    fn what(&self) -> String {
        let Self {
            input,
            output,
            weight_scales,
            activation,
            ..
        } = self;
        format!("input {input:?}, output {output:?}, {activation:?}, weights {weight_scales:?}")
    }

    /// Adds the constants, weights in a layout whose channel axis is `axis`.
    fn constants(
        &self,
        graph: &mut Graph,
        weights: &[i8],
        shape: &[i32],
        axis: i32,
    ) -> [TensorIndex; 2] {
        let scales = self.weight_scales.clone();
        let bias_scales = scales.iter().map(|weight| weight * self.input.0).collect();
        let q = Quantization::per_axis(scales, axis);
        let weights = graph.constant_i8("weights", shape, q, weights);
        let q = Quantization::per_axis(bias_scales, 0);
        let n = self.bias.len() as i32;
        [
            weights,
            graph.constant_i32("bias", &[n], Some(q), &self.bias),
        ]
    }

    /// What a kernel is given.
    fn channels(&self, requantize: impl Fn(f32) -> Requantize) -> (Vec<i32>, Vec<i32>, Vec<i8>) {
        let k = self.weights.len() / self.bias.len();
        let folded = self
            .bias
            .iter()
            .zip(self.weights.chunks(k))
            .map(|(bias, weights)| {
                let sum: i32 = weights.iter().map(|&weight| i32::from(weight)).sum();
                bias - i32::from(self.input.1) * sum
            });
        let scales = self.weight_scales.iter().map(|&weight| requantize(weight));
        let (multiplier, shift) = scales.map(|scale| (scale.multiplier, scale.shift)).unzip();
        (folded.collect(), multiplier, shift)
    }

    fn clamp(&self) -> Clamp {
        activation_range(self.activation, self.output.0, self.output.1)
    }
}

#[test]
fn fully_connected_equals_tflm() {
    equals_tflm("FULLY_CONNECTED", |rng, number| {
        let (rows, k, n) = (length(rng, 11), length(rng, 270), length(rng, 70));
        let k = if number.is_multiple_of(10) {
            k.min(9)
        } else {
            k
        };
        let dense = Dense::random(rng, number, n, k);
        let (input, output) = (dense.input, dense.output);

        let mut graph = Graph::default();
        let x = graph.input("input", &shape(&[rows, k]), quantized(input.0, input.1));
        let [w, b] = dense.constants(&mut graph, &dense.weights, &shape(&[n, k]), 0);
        let q = quantized(output.0, output.1);
        let y = graph.activation("output", &shape(&[rows, n]), q);
        graph.operator(Operator::FullyConnected(dense.activation), &[x, w, b], y);
        graph.output(y);

        let (bias, multiplier, shift) =
            dense.channels(|w| fully_connected_scale(n, input.0, w, output.0));
        Trial {
            what: format!("[{rows}, {k}] to {n}: {}", dense.what()),
            graph,
            runs: runs(rng, &[rows * k]),
            kernel: Box::new(move |kernels, inputs| {
                let channels = Channels {
                    bias: &bias,
                    multiplier: &multiplier,
                    shift: &shift,
                };
                let mut y = vec![0; rows * n];
                let (weights, zero_point) = (&dense.weights, dense.output.1);
                let clamp = dense.clamp();
                (kernels.fully_connected)(&inputs[0], weights, channels, zero_point, clamp, &mut y);
                y
            }),
        }
    });
}

#[test]
fn depthwise_conv_equals_tflm() {
    equals_tflm("DEPTHWISE_CONV_2D", |rng, number| {
        let (rows, kernel, cols) = (length(rng, 11), length(rng, 31), length(rng, 70));
        let dense = Dense::random(rng, number, cols, kernel);
        let (input, output) = (dense.input, dense.output);
        let window = kernel - 1 + rows;
        // [channel, time] to [time, channel].
        let taps = (0..kernel * cols).map(|i| dense.weights[i % cols * kernel + i / cols]);
        let taps: Vec<i8> = taps.collect();

        let mut graph = Graph::default();
        let q = quantized(input.0, input.1);
        let x = graph.input("input", &shape(&[1, window, 1, cols]), q);
        let [w, b] = dense.constants(&mut graph, &taps, &shape(&[1, kernel, 1, cols]), 3);
        let q = quantized(output.0, output.1);
        let y = graph.activation("output", &shape(&[1, rows, 1, cols]), q);
        graph.operator(Operator::DepthwiseConv2d(dense.activation), &[x, w, b], y);
        graph.output(y);

        let (bias, multiplier, shift) = dense.channels(|w| product_scale(input.0, w, output.0));
        Trial {
            what: format!("{rows} rows, {kernel} x {cols}: {}", dense.what()),
            graph,
            runs: runs(rng, &[window * cols]),
            kernel: Box::new(move |kernels, inputs| {
                let channels = Channels {
                    bias: &bias,
                    multiplier: &multiplier,
                    shift: &shift,
                };
                let mut y = vec![0; rows * cols];
                let clamp = dense.clamp();
                let zero_point = dense.output.1;
                (kernels.depthwise_conv)(&inputs[0], &taps, channels, zero_point, clamp, &mut y);
                y
            }),
        }
    });
}
