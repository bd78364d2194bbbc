//! Lets linears take the mean of each row off, which layer norms need. That is a linear of weights `I -
//! 1/H`; the linears before the norms do it instead where norms alone read what they compute, or sums of
//! it.

use zerda_quantize::graph::{LinearKind, UNCLAMPED};

use super::{Id, Importer, Linear, Op, Place};

/// Linear that takes the mean off a tensor's rows.
pub(super) struct Centring {
    input: Id,
    output: Id,
    /// Tensor that holds the negative mean, which is added to `input`; `None` where one linear does both.
    mean: Option<Id>,
}

impl Importer<'_> {
    /// Returns a tensor less the mean of each row.
    pub(super) fn centred(&mut self, x: Id) -> Id {
        if let Some(known) = self.centrings.iter().find(|known| known.input == x) {
            return known.output;
        }
        let (rows, cols) = self.shape(x);
        let name = format!("{}.centred", self.graph.tensors[x].name);
        let output = self.add_tensor(rows, cols, Place::Own);
        self.graph.tensors[output].name = name.clone();
        let off_diagonal = -1.0 / cols as f32;
        let mut weights = vec![off_diagonal; cols * cols];
        let mut linear = Linear {
            kind: LinearKind::Dense,
            input: x,
            output,
            weights: Vec::new(),
            bias: vec![0.0; cols],
            clamp: UNCLAMPED,
            scales: None,
        };
        // The largest k with integers k (H - 1) and -k: exact weights.
        let exact = 127 / cols.saturating_sub(1).max(1);
        let mean = if exact > 0 {
            (0..cols).for_each(|i| weights[i * cols + i] += 1.0);
            linear.weights = weights;
            linear.scales = Some(vec![-off_diagonal / exact as f32; cols]);
            self.graph.ops.push(Op::Linear(linear));
            None
        } else {
            let mean = self.add_tensor(rows, cols, Place::Own);
            self.graph.tensors[mean].name = format!("{name}.mean");
            linear.output = mean;
            linear.weights = weights;
            self.graph.ops.push(Op::Linear(linear));
            self.graph.ops.push(Op::Add {
                a: x,
                b: mean,
                output,
            });
            Some(mean)
        };
        self.centrings.push(Centring {
            input: x,
            output,
            mean,
        });
        output
    }

    /// Lets the linears before layer norms take the mean off, where norms alone read their sum.
    pub(super) fn fold_centring(&mut self) {
        let centrings = std::mem::take(&mut self.centrings);
        let of_centring = |id: Id| {
            let is = |centring: &&Centring| centring.output == id || centring.mean == Some(id);
            centrings.iter().any(|centring| is(&centring))
        };
        let graph = &self.graph;
        let mut foldable = vec![false; graph.tensors.len()];
        for op in &graph.ops {
            let plain = match op {
                Op::Linear(linear) => {
                    let dense = linear.kind == LinearKind::Dense && linear.clamp == UNCLAMPED;
                    dense && linear.scales.is_none()
                }
                Op::Add { .. } => true,
                _ => false,
            };
            let output = &graph.tensors[op.output()];
            let free = output.place == Place::Own && output.fixed.is_none() && !output.keys;
            foldable[op.output()] = plain && free && !of_centring(op.output());
        }
        // Until no sum of something else, and nothing that something else reads, is left.
        loop {
            let before = foldable.clone();
            for op in &graph.ops {
                let (output, inputs) = (op.output(), op.inputs());
                let roots = || inputs.iter().map(|&id| graph.root(id));
                let sum = matches!(op, Op::Add { .. });
                if sum && !roots().all(|root| foldable[root]) {
                    foldable[output] = false;
                }
                let centred = of_centring(output) || sum && foldable[output];
                if !centred {
                    roots().for_each(|root| foldable[root] = false);
                }
            }
            if foldable == before {
                break;
            }
        }
        let graph = &mut self.graph;
        for centring in centrings {
            if !foldable[graph.root(centring.input)] {
                continue;
            }
            let (from, to) = (centring.output, centring.input);
            graph
                .ops
                .retain(|op| op.output() != from && Some(op.output()) != centring.mean);
            graph
                .ops
                .iter_mut()
                .for_each(|op| op.replace_input(from, to));
            for tensor in &mut graph.tensors {
                if let Place::Rows { of, .. } = &mut tensor.place
                    && *of == from
                {
                    *of = to;
                }
            }
        }
        let linears = graph.ops.iter_mut().filter_map(|op| match op {
            Op::Linear(linear) => Some(linear),
            _ => None,
        });
        linears
            .filter(|linear| foldable[linear.output])
            .for_each(take_mean_off);
    }
}

/// Changes a dense linear so that the mean of each row of its output is 0.
fn take_mean_off(linear: &mut Linear) {
    let (channels, taps) = (linear.channels(), linear.taps());
    for tap in 0..taps {
        let column = || (0..channels).map(|channel| channel * taps + tap);
        let mean = column().map(|i| linear.weights[i]).sum::<f32>() / channels as f32;
        column().for_each(|i| linear.weights[i] -= mean);
    }
    let mean = linear.bias.iter().sum::<f32>() / channels as f32;
    linear.bias.iter_mut().for_each(|bias| *bias -= mean);
}
