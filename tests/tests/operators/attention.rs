//! BATCH_MATMUL (scores and context of every head) and SOFTMAX, absent keys included.

use fastrand::Rng;
use zerda_firmware::kernels::{Heads, Operand, Output};
use zerda_firmware::plan::{Clamp, Requantize};
use zerda_quantize::tflite_params::{product_scale, softmax_scale};
use zerda_tflite::writer::{Graph, Operator, TensorIndex};

use crate::{Trial, equals_tflm, length, quantized, runs, scale, shape, zero_point};

/// Random shapes of an attention.
struct Attention {
    heads: usize,
    /// Columns of one head.
    size: usize,
    queries: usize,
    keys: usize,
    absent: usize,
}

impl Attention {
    fn random(rng: &mut Rng) -> Self {
        let keys = length(rng, 115);
        Self {
            heads: length(rng, 8),
            size: length(rng, 33),
            queries: length(rng, 11),
            keys,
            absent: if rng.bool() { 0 } else { rng.usize(..keys) },
        }
    }

    fn split(&self) -> Heads {
        Heads {
            heads: self.heads,
            cols: self.heads * self.size,
            absent: self.absent,
        }
    }

    fn what(&self) -> String {
        let Self {
            heads,
            size,
            queries,
            keys,
            absent,
        } = self;
        format!("{heads} heads of {size}, {queries} queries, {keys} keys, {absent} absent")
    }

    /// `[rows, heads * size]` to `[heads, rows, size]`.
    fn heads_first(
        &self,
        graph: &mut Graph,
        x: TensorIndex,
        rows: usize,
        q: (f32, i8),
    ) -> TensorIndex {
        let split = reshape(graph, x, &[rows, self.heads, self.size], q);
        transpose(graph, split, &[self.heads, rows, self.size], q)
    }
}

fn reshape(graph: &mut Graph, x: TensorIndex, to: &[usize], q: (f32, i8)) -> TensorIndex {
    let dimensions = graph.constant_i32("shape", &[to.len() as i32], None, &shape(to));
    let y = graph.activation("reshaped", &shape(to), quantized(q.0, q.1));
    graph.operator(Operator::Reshape, &[x, dimensions], y);
    y
}

/// Exchanges the first two of three dimensions.
fn transpose(graph: &mut Graph, x: TensorIndex, to: &[usize], q: (f32, i8)) -> TensorIndex {
    let permutation = graph.constant_i32("permutation", &[3], None, &[1, 0, 2]);
    let y = graph.activation("transposed", &shape(to), quantized(q.0, q.1));
    graph.operator(Operator::Transpose, &[x, permutation], y);
    y
}

fn to(scale: Requantize, zero_point: i8) -> Output {
    let clamp = Clamp {
        min: -128,
        max: 127,
    };
    Output {
        scale,
        zero_point,
        clamp,
    }
}

fn operand(data: &[i8], zero_point: i8) -> Operand<'_> {
    Operand { data, zero_point }
}

#[test]
fn scores_equal_tflm() {
    equals_tflm("BATCH_MATMUL of queries and keys", |rng, _| {
        let attention = Attention::random(rng);
        let Attention {
            heads,
            size,
            queries,
            keys,
            absent,
        } = attention;
        let query = (scale(rng, -9, 1), zero_point(rng));
        let key = (scale(rng, -9, 1), zero_point(rng));
        let spread = 74.0 * 74.0 * (size as f32).sqrt() / 40.0;
        let output = query.0 * key.0 * spread * scale(rng, -4, 3);
        let output = (output, zero_point(rng));

        let mut graph = Graph::default();
        let cols = heads * size;
        let q = graph.input(
            "query",
            &shape(&[queries, cols]),
            quantized(query.0, query.1),
        );
        let k = graph.input("key", &shape(&[keys, cols]), quantized(key.0, key.1));
        let q = attention.heads_first(&mut graph, q, queries, query);
        let k = attention.heads_first(&mut graph, k, keys, key);
        let dimensions = shape(&[heads, queries, keys]);
        let y = graph.activation("output", &dimensions, quantized(output.0, output.1));
        graph.operator(Operator::BatchMatMul { adj_y: true }, &[q, k], y);
        graph.output(y);

        let to = to(product_scale(query.0, key.0, output.0), output.1);
        Trial {
            what: format!("{}: {query:?} {key:?} to {output:?}", attention.what()),
            graph,
            runs: runs(rng, &[queries * cols, keys * cols]),
            kernel: Box::new(move |kernels, inputs| {
                let q = operand(&inputs[0], query.1);
                let k = operand(&inputs[1], key.1);
                let [mut present, mut all] =
                    [55, 0].map(|value| vec![value; heads * queries * keys]);
                (kernels.scores)(q, k, attention.split(), to, &mut present);
                let everything = Heads {
                    absent: 0,
                    ..attention.split()
                };
                (kernels.scores)(q, k, everything, to, &mut all);
                // Absent keys are left alone, all others as if there were none.
                for (present, all) in present.chunks(keys).zip(all.chunks(keys)) {
                    assert!(present[..absent].iter().all(|&score| score == 55));
                    assert_eq!(present[absent..], all[absent..]);
                }
                all
            }),
        }
    });
}

#[test]
fn context_equals_tflm() {
    equals_tflm("BATCH_MATMUL of probabilities and values", |rng, _| {
        let attention = Attention::random(rng);
        let Attention {
            heads,
            size,
            queries,
            keys,
            absent,
        } = attention;
        let probs = (1.0 / 256.0, -128);
        let value = (scale(rng, -9, 1), zero_point(rng));
        let output = (value.0 * scale(rng, -3, 4), zero_point(rng));

        let mut graph = Graph::default();
        let cols = heads * size;
        let dimensions = shape(&[heads, queries, keys]);
        let p = graph.input("probs", &dimensions, quantized(probs.0, probs.1));
        let v = graph.input("value", &shape(&[keys, cols]), quantized(value.0, value.1));
        let v = attention.heads_first(&mut graph, v, keys, value);
        let q = quantized(output.0, output.1);
        let y = graph.activation("context", &shape(&[heads, queries, size]), q);
        graph.operator(Operator::BatchMatMul { adj_y: false }, &[p, v], y);
        let y = transpose(&mut graph, y, &[queries, heads, size], output);
        let y = reshape(&mut graph, y, &[queries, cols], output);
        graph.output(y);

        let mut runs = runs(rng, &[heads * queries * keys, keys * cols]);
        for (run, inputs) in runs.iter_mut().enumerate() {
            for row in inputs[0].chunks_mut(keys) {
                row[..absent].fill(-128);
                if run >= 5 {
                    // Probabilities whose sum is about 1.
                    let most = (512 / (keys - absent)).min(255);
                    row[absent..].fill_with(|| (rng.usize(0..=most) as i16 - 128) as i8);
                }
            }
        }
        let to = to(product_scale(probs.0, value.0, output.0), output.1);
        Trial {
            what: format!("{}: {value:?} to {output:?}", attention.what()),
            graph,
            runs,
            kernel: Box::new(move |kernels, inputs| {
                let mut y = vec![0; queries * cols];
                let v = operand(&inputs[1], value.1);
                (kernels.context)(&inputs[0], v, attention.split(), to, &mut y);
                y
            }),
        }
    });
}

#[test]
fn softmax_equals_tflm() {
    equals_tflm("SOFTMAX", |rng, _| {
        let (rows, cols) = (length(rng, 20), length(rng, 511));
        let scale = scale(rng, -14, 5);
        let mut graph = Graph::default();
        let x = graph.input(
            "input",
            &shape(&[rows, cols]),
            quantized(scale, zero_point(rng)),
        );
        let q = quantized(1.0 / 256.0, -128);
        let y = graph.activation("output", &shape(&[rows, cols]), q);
        graph.operator(Operator::Softmax, &[x], y);
        graph.output(y);
        let softmax = softmax_scale(scale);
        Trial {
            what: format!("[{rows}, {cols}] of scale {scale}"),
            graph,
            runs: runs(rng, &[rows * cols]),
            kernel: Box::new(move |kernels, inputs| {
                let mut y = vec![0; rows * cols];
                (kernels.softmax)(&inputs[0], cols, 0, softmax.input, softmax.diff_min, &mut y);
                y
            }),
        }
    });
}

/// Also where a row's maximum is so low that absent keys have a share of the probability.
#[test]
fn softmax_of_present_keys_equals_tflm_on_masked_scores() {
    equals_tflm("MINIMUM and SOFTMAX", |rng, _| {
        let (rows, cols) = (length(rng, 20), length(rng, 120));
        let absent = rng.usize(..cols);
        let scale = (15.0 + 40.0 * rng.f32()) / 255.0;

        let mut graph = Graph::default();
        let q = quantized(scale, zero_point(rng));
        let x = graph.input("scores", &shape(&[rows, cols]), q.clone());
        let mask = graph.input("mask", &shape(&[1, cols]), q.clone());
        let masked = graph.activation("masked", &shape(&[rows, cols]), q);
        graph.operator(Operator::Minimum, &[x, mask], masked);
        let q = quantized(1.0 / 256.0, -128);
        let y = graph.activation("output", &shape(&[rows, cols]), q);
        graph.operator(Operator::Softmax, &[masked], y);
        graph.output(y);

        let mut runs = runs(rng, &[rows * cols, cols]);
        for inputs in &mut runs {
            for row in inputs[0].chunks_mut(cols).step_by(2) {
                let highest = (rng.i16(0..100) - 128) as i8;
                row.fill_with(|| rng.i8(-128..=highest));
            }
            inputs[1].fill(127);
            inputs[1][..absent].fill(-128);
        }
        let softmax = softmax_scale(scale);
        Trial {
            what: format!("[{rows}, {cols}] of scale {scale}, {absent} absent"),
            graph,
            runs,
            kernel: Box::new(move |kernels, inputs| {
                let mut y = vec![0; rows * cols];
                (kernels.softmax)(
                    &inputs[0],
                    cols,
                    absent,
                    softmax.input,
                    softmax.diff_min,
                    &mut y,
                );
                y
            }),
        }
    });
}
