//! Holds the network in float, in the vocabulary of the plan: the import makes it of an ONNX, and
//! quantization reads it. Every tensor is two-dimensional, `[rows, cols]`, row-major.

use zerda_firmware::image::Stream;
pub use zerda_support::quantization::Quantization;

/// Index that a tensor has in [`Graph::tensors`].
pub type Id = usize;

#[derive(Clone, Debug)]
pub struct Graph {
    pub stream: Stream,
    pub tensors: Vec<Tensor>,
    /// Operators, in an order in which they can be computed.
    pub ops: Vec<Op>,
    /// Sliding windows that the caches become; window 0 holds the features.
    pub windows: Vec<Window>,
    pub features: Id,
    /// Tensor that holds the logits, shape [S, classes].
    pub logits: Id,
    /// Tensor that holds the softmax of the logits, shape [S, classes].
    pub posteriors: Id,
    /// Values whose quantization in the ONNX has no place in the graph, each with the reason.
    pub left_out: Vec<(String, &'static str)>,
}

impl Graph {
    /// Returns a graph that has no tensors yet.
    pub fn empty() -> Graph {
        Graph {
            stream: Stream {
                chunk: 0,
                step: 0,
                left_context: 0,
            },
            tensors: Vec::new(),
            ops: Vec::new(),
            windows: Vec::new(),
            features: 0,
            logits: 0,
            posteriors: 0,
            left_out: Vec::new(),
        }
    }
}

#[derive(Clone, Debug)]
pub struct Tensor {
    /// Name of the ONNX value that the tensor is, for people to read.
    pub name: String,
    pub rows: usize,
    pub cols: usize,
    pub place: Place,
    /// Quantization that is known without calibration.
    pub fixed: Option<Quantization>,
    /// Says whether the columns are keys, oldest first.
    pub keys: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    /// Holds elements of its own, within one step.
    Own,
    /// Views the rows of another tensor from `first` on.
    Rows {
        of: Id,
        first: usize,
    },
    /// Views the rows of a window from `first` on.
    Window {
        window: usize,
        first: usize,
    },
    Constant(Vec<f32>),
}

/// Window that a cache becomes: the rows kept from earlier steps and, after them, this step's.
#[derive(Clone, Debug)]
pub struct Window {
    /// Tensor that is the whole window.
    pub tensor: Id,
    /// Tensor that holds this step's rows, at the window's end.
    pub newest: Id,
}

/// Operator of the plan, with float weights; [`zerda_firmware::plan::Op`] states the shapes.
#[derive(Clone, Debug)]
pub enum Op {
    Linear(Linear),
    Add {
        a: Id,
        b: Id,
        output: Id,
    },
    Mul {
        a: Id,
        b: Id,
        output: Id,
    },
    Function {
        function: Function,
        input: Id,
        output: Id,
    },
    Scores {
        query: Id,
        key: Id,
        output: Id,
        heads: usize,
    },
    Softmax {
        input: Id,
        output: Id,
    },
    Context {
        probs: Id,
        value: Id,
        output: Id,
        heads: usize,
    },
}

/// Function of one value, which is a table of 256 entries on the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// Computes x * clip(x / 6 + 1/2, 0, 1).
    HardSwish,
    /// Computes 1 / (1 + e^-x), the sigmoid.
    Logistic,
    /// Computes x / (1 + e^-x), which is also called swish.
    Silu,
    /// Computes 1 / sqrt(x).
    Rsqrt,
}

/// Linear operator, which is a fully connected layer or a causal depthwise convolution.
#[derive(Clone, Debug)]
pub struct Linear {
    pub kind: LinearKind,
    pub input: Id,
    pub output: Id,
    pub weights: Vec<f32>,
    /// Bias that is added to each output channel.
    pub bias: Vec<f32>,
    /// Lowest and highest value that the output is clipped to: a fused activation.
    pub clamp: (f32, f32),
    /// Scales that are given for the quantized weights, one for each output channel.
    pub scales: Option<Vec<f32>>,
}

/// Returns the value that all elements have, or `None` if they differ or there are none.
pub fn uniform(values: &[f32]) -> Option<f32> {
    let first = *values.first()?;
    values.iter().all(|&value| value == first).then_some(first)
}

/// Clamp of a linear that has no fused activation.
pub const UNCLAMPED: (f32, f32) = (f32::NEG_INFINITY, f32::INFINITY);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinearKind {
    /// Fully connected layer, whose weights have shape `[N, K]`.
    Dense,
    /// Causal depthwise convolution, whose weights have shape `[kernel, C]`.
    Depthwise,
}

impl Linear {
    /// Makes a linear that computes `x * scale + shift`, one of each for a channel: a convolution over one
    /// frame.
    pub fn channelwise(input: Id, output: Id, scale: Vec<f32>, shift: Vec<f32>) -> Linear {
        Linear {
            kind: LinearKind::Depthwise,
            input,
            output,
            weights: scale,
            bias: shift,
            clamp: UNCLAMPED,
            scales: None,
        }
    }

    pub fn channels(&self) -> usize {
        self.bias.len()
    }

    /// Returns the number of weights that one output channel sums over.
    pub fn taps(&self) -> usize {
        self.weights.len() / self.channels()
    }

    /// Returns the index of the weight of `channel` for input column (dense) or tap (depthwise) `tap`.
    pub fn weight(&self, channel: usize, tap: usize) -> usize {
        match self.kind {
            LinearKind::Dense => channel * self.taps() + tap,
            LinearKind::Depthwise => tap * self.channels() + channel,
        }
    }

    /// Returns the input column that the weight of `channel` for `tap` multiplies.
    pub fn input_column(&self, channel: usize, tap: usize) -> usize {
        match self.kind {
            LinearKind::Dense => tap,
            LinearKind::Depthwise => channel,
        }
    }

    /// Puts `y * scale + shift` after the linear, one of each for an output channel.
    pub fn then_affine(&mut self, scale: &[f32], shift: &[f32]) {
        if let Some(scales) = self.scales.take().filter(|_| !scale.contains(&0.0)) {
            let scaled = scales.iter().zip(scale);
            self.scales = Some(scaled.map(|(own, scale)| own * scale.abs()).collect());
        }
        for channel in 0..self.channels() {
            for tap in 0..self.taps() {
                let weight = self.weight(channel, tap);
                self.weights[weight] *= scale[channel];
            }
            self.bias[channel] = self.bias[channel] * scale[channel] + shift[channel];
        }
    }

    /// Puts `x * scale + shift` before the linear, one of each for an input column. Given scales of the
    /// weights are lost where the columns' scales differ.
    pub fn after_affine(&mut self, scale: &[f32], shift: &[f32]) {
        match uniform(scale) {
            Some(scale) if scale != 0.0 => {
                let scales = self.scales.iter_mut().flatten();
                scales.for_each(|own| *own *= scale.abs());
            }
            _ => self.scales = None,
        }
        for channel in 0..self.channels() {
            for tap in 0..self.taps() {
                let (weight, column) = (self.weight(channel, tap), self.input_column(channel, tap));
                self.bias[channel] += self.weights[weight] * shift[column];
                self.weights[weight] *= scale[column];
            }
        }
    }
}

impl Op {
    pub fn output(&self) -> Id {
        match *self {
            Op::Linear(Linear { output, .. })
            | Op::Add { output, .. }
            | Op::Mul { output, .. }
            | Op::Function { output, .. }
            | Op::Scores { output, .. }
            | Op::Softmax { output, .. }
            | Op::Context { output, .. } => output,
        }
    }

    pub fn inputs(&self) -> Vec<Id> {
        match *self {
            Op::Linear(Linear { input, .. })
            | Op::Function { input, .. }
            | Op::Softmax { input, .. } => vec![input],
            Op::Add { a, b, .. } | Op::Mul { a, b, .. } => vec![a, b],
            Op::Scores { query, key, .. } => vec![query, key],
            Op::Context { probs, value, .. } => vec![probs, value],
        }
    }

    /// Makes the operator read `to` wherever it read `from`.
    pub fn replace_input(&mut self, from: Id, to: Id) {
        let inputs = match self {
            Op::Linear(Linear { input, .. })
            | Op::Function { input, .. }
            | Op::Softmax { input, .. } => [Some(input), None],
            Op::Add { a, b, .. } | Op::Mul { a, b, .. } => [Some(a), Some(b)],
            Op::Scores { query, key, .. } => [Some(query), Some(key)],
            Op::Context { probs, value, .. } => [Some(probs), Some(value)],
        };
        for input in inputs.into_iter().flatten().filter(|input| **input == from) {
            *input = to;
        }
    }
}

impl Graph {
    /// Returns the tensor whose elements `id` shares: itself, or for rows of a tensor or of a window the
    /// one that is computed. All tensors that share elements share one quantization.
    pub fn root(&self, id: Id) -> Id {
        match self.tensors[id].place {
            Place::Rows { of, .. } => self.root(of),
            Place::Window { window, .. } => self.windows[window].newest,
            Place::Own | Place::Constant(_) => id,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn linear(kind: LinearKind) -> Linear {
        let (weights, bias) = (vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], vec![10.0, 20.0]);
        Linear {
            kind,
            input: 0,
            output: 1,
            weights,
            bias,
            clamp: UNCLAMPED,
            scales: None,
        }
    }

    #[test]
    fn an_affine_before_a_linear_goes_into_weights_and_bias() {
        // [1 2 3; 4 5 6] (x * [2 3 4] + [1 0 -1]) + [10 20]
        let mut dense = linear(LinearKind::Dense);
        dense.after_affine(&[2.0, 3.0, 4.0], &[1.0, 0.0, -1.0]);
        assert_eq!(dense.weights, [2.0, 6.0, 12.0, 8.0, 15.0, 24.0]);
        assert_eq!(dense.bias, [10.0 + 1.0 - 3.0, 20.0 + 4.0 - 6.0]);
        // Three taps over channels: [1 3 5] and [2 4 6].
        let mut depthwise = linear(LinearKind::Depthwise);
        depthwise.after_affine(&[2.0, 3.0], &[1.0, -1.0]);
        assert_eq!(depthwise.weights, [2.0, 6.0, 6.0, 12.0, 10.0, 18.0]);
        assert_eq!(depthwise.bias, [10.0 + 9.0, 20.0 - 12.0]);
    }

    #[test]
    fn an_affine_after_a_linear_scales_its_channels() {
        let mut depthwise = linear(LinearKind::Depthwise);
        depthwise.then_affine(&[2.0, 0.5], &[1.0, 0.0]);
        assert_eq!(depthwise.weights, [2.0, 1.0, 6.0, 2.0, 10.0, 3.0]);
        assert_eq!(depthwise.bias, [21.0, 10.0]);
    }

    #[test]
    fn given_scales_of_weights_follow_affines_that_keep_the_integers() {
        let mut dense = linear(LinearKind::Dense);
        dense.scales = Some(vec![0.5, 0.25]);
        dense.then_affine(&[2.0, -0.5], &[1.0, 0.0]);
        dense.after_affine(&[2.0, 2.0, 2.0], &[0.0, 0.0, 0.0]);
        assert_eq!(dense.scales, Some(vec![2.0, 0.25]));
        dense.after_affine(&[2.0, 1.0, 2.0], &[0.0, 0.0, 0.0]);
        assert_eq!(dense.scales, None);
    }
}
