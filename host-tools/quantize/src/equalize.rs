//! Cross-layer equalization makes the columns of a tensor alike, so that one scale fits all of them.
//!
//! A tensor between linears may be scaled column by column at no cost: the linear that makes it and those
//! that read it take the factors into their weights, and in float the network stays the same. That holds
//! for the residual stream, all of it with one set of scales, through its additions; for values and
//! context; for queries and keys, whose scales cancel in their products; for what a gate lets through into
//! the convolution; and through a ReLU.
//!
//! The method is that of Nagel et al., Data-Free Quantization Through Weight Equalization and Bias
//! Correction (2019), with the deviations of calibration in place of the weights' ranges.

use zerda_firmware::{Image, plan};
use zerda_support::operators::weight_scales;

use super::graph::{Graph, Id, Linear, Op, Place, UNCLAMPED};
use super::observations::Observations;
use super::quantizer::quantized_weights;

/// Factors by which the columns of each tensor are multiplied; `None` where they may not be scaled.
type Scales = Vec<Option<Vec<f32>>>;

/// Returns the graph with the columns of its tensors made alike.
pub fn equalized(graph: &Graph, seen: &Observations) -> Graph {
    scaled(graph, &scales(graph, seen))
}

/// Returns the graph as it went into an image that was compiled from it: the scales of the image's weights
/// tell by which factor each column was multiplied.
pub fn recovered(graph: &Graph, image: &Image) -> Graph {
    let groups = Groups::of(graph);
    let mut scales: Scales = vec![None; graph.tensors.len()];
    for (op, planned) in graph.ops.iter().zip(image.ops()) {
        let (Op::Linear(linear), plan::Op::FullyConnected(dense) | plan::Op::DepthwiseConv(dense)) =
            (op, planned)
        else {
            continue;
        };
        let group = groups.of[linear.output];
        if groups.bound[group] || scales[group].is_some() {
            continue;
        }
        let mut unscaled = linear.clone();
        if let Some(scale) = &scales[groups.of[linear.input]] {
            unscaled.before(scale);
        }
        let input = image.tensor(dense.input).map_or(1.0, |input| input.scale);
        let (_, own) = quantized_weights(&unscaled, input);
        scales[group] = weight_scales(image, &dense).map(|scales| {
            let ratio = |(scale, own): (f32, f32)| scale / own;
            scales.into_iter().zip(own).map(ratio).collect()
        });
    }
    let of_group = |id: Id| scales[groups.of[id]].clone();
    scaled(graph, &(0..graph.tensors.len()).map(of_group).collect())
}

fn scaled(graph: &Graph, scales: &Scales) -> Graph {
    let mut graph = graph.clone();
    for op in &mut graph.ops {
        let Op::Linear(linear) = op else { continue };
        if let Some(scale) = &scales[linear.input] {
            linear.before(scale);
        }
        if let Some(scale) = &scales[linear.output] {
            linear.then_affine(scale, &vec![0.0; scale.len()]);
        }
    }
    graph
}

impl Linear {
    /// Adapts the weights to inputs whose columns were multiplied by `scale`.
    fn before(&mut self, scale: &[f32]) {
        let inverse: Vec<_> = scale.iter().map(|scale| 1.0 / scale).collect();
        self.after_affine(&inverse, &vec![0.0; scale.len()]);
    }
}

/// Groups of tensors whose columns are scaled together.
struct Groups {
    /// Group of each tensor, as the member that stands for it.
    of: Vec<Id>,
    /// Says of each group whether something that cannot take scales reads or makes one of its tensors.
    bound: Vec<bool>,
}

impl Groups {
    fn of(graph: &Graph) -> Groups {
        let count = graph.tensors.len();
        let of = (0..count).map(|id| graph.root(id)).collect();
        let bound = vec![false; count];
        let mut groups = Groups { of, bound };
        for (id, tensor) in graph.tensors.iter().enumerate() {
            let constant = matches!(tensor.place, Place::Constant(_));
            if tensor.fixed.is_some() || tensor.keys || constant {
                groups.bind(id);
            }
        }
        groups.bind(graph.logits);
        for op in &graph.ops {
            match *op {
                // Positive scales pass a ReLU.
                Op::Linear(Linear {
                    clamp,
                    input,
                    output,
                    ref scales,
                    ..
                }) => {
                    if clamp != UNCLAMPED && clamp != (0.0, f32::INFINITY) {
                        groups.bind(output);
                    }
                    // Weights of given scales keep their integers.
                    if scales.is_some() {
                        groups.bind(input);
                    }
                }
                Op::Scores { .. } => {}
                Op::Add { a, b, output } => {
                    groups.unite(a, output);
                    groups.unite(b, output);
                }
                Op::Mul { a, b, output } => {
                    // A gate, of fixed range, lets through what may be scaled.
                    let gate = |id| graph.tensors[graph.root(id)].fixed.is_some();
                    match (gate(a), gate(b)) {
                        (true, false) => groups.unite(b, output),
                        (false, true) => groups.unite(a, output),
                        _ => [a, b, output]
                            .map(|id| groups.bind(id))
                            .into_iter()
                            .collect(),
                    }
                }
                Op::Context { value, output, .. } => groups.unite(value, output),
                Op::Function { input, output, .. } | Op::Softmax { input, output } => {
                    groups.bind(input);
                    groups.bind(output);
                }
            }
        }
        groups
    }

    fn bind(&mut self, id: Id) {
        self.bound[self.of[id]] = true;
    }

    fn unite(&mut self, a: Id, b: Id) {
        let (a, b) = (self.of[a], self.of[b]);
        self.bound[b] |= self.bound[a];
        self.of
            .iter_mut()
            .filter(|of| **of == a)
            .for_each(|of| *of = b);
    }
}

fn scales(graph: &Graph, seen: &Observations) -> Scales {
    let groups = Groups::of(graph);
    let count = graph.tensors.len();
    let free = |id: Id| !groups.bound[groups.of[id]];
    // The mean square of the columns of each group's tensors, each tensor's mean being 1.
    let mut squares: Vec<Vec<f32>> = vec![Vec::new(); count];
    for id in (0..count).filter(|&id| free(id)) {
        let Some(seen) = &seen[id] else { continue };
        let variances = seen.variances();
        let mean = variances.iter().sum::<f32>() / variances.len() as f32;
        let total = &mut squares[groups.of[id]];
        total.resize(variances.len(), 0.0);
        for (total, variance) in total.iter_mut().zip(variances) {
            *total += variance / mean.max(f32::MIN_POSITIVE);
        }
    }
    let mut scales: Vec<_> = squares
        .iter()
        .map(|squares| inverse_roots(squares))
        .collect();
    for op in &graph.ops {
        let Op::Scores { query, key, .. } = *op else {
            continue;
        };
        let (query, key) = (groups.of[query], groups.of[key]);
        if let (Some(q), Some(k)) = (&seen[query], &seen[key]) {
            let ratio =
                |(q, k): (f32, f32)| (k / q.max(f32::MIN_POSITIVE)).powf(0.25).clamp(1e-2, 1e2);
            scales[query] = q
                .variances()
                .into_iter()
                .zip(k.variances())
                .map(ratio)
                .collect();
            scales[key] = scales[query].iter().map(|ratio| 1.0 / ratio).collect();
            let both = free(query) && free(key);
            if !both {
                (scales[query], scales[key]) = (Vec::new(), Vec::new());
            }
        }
    }
    let one = |id: Id| {
        let scale = &scales[groups.of[id]];
        (free(id) && !scale.is_empty()).then(|| scale.clone())
    };
    (0..count).map(one).collect()
}

/// Returns scales that make the squares alike; their geometric mean is 1.
fn inverse_roots(squares: &[f32]) -> Vec<f32> {
    let largest = squares.iter().copied().fold(0.0, f32::max);
    let squares: Vec<_> = squares
        .iter()
        .map(|square| square.max(largest * 1e-6).max(f32::MIN_POSITIVE))
        .collect();
    let mean = squares.iter().map(|square| square.ln()).sum::<f32>() / squares.len() as f32;
    squares
        .iter()
        .map(|square| (mean.exp() / square).sqrt())
        .collect()
}
