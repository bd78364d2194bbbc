//! Counts what an operator does over and over, from its shape and from how its kernel goes about it.
//!
//! The kernels are those of `zerda_firmware::kernels`, whose `limits` hold their block sizes and what they
//! leave to the plain ones. A term is a loop or a block of a kernel, and its amount how often that runs; what
//! one run costs is fitted.

use zerda_firmware::Image;
use zerda_firmware::kernels::{self, limits};
use zerda_firmware::plan::{Clamp, Dense, Element, Location, Op, Requantize, Tensor, TensorId};

use super::Kernels;

mod dsp;
mod mve;
mod plain;

/// List of how often each term of a class runs: class, term, amount.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Work(pub Vec<(&'static str, &'static str, f64)>);

impl Work {
    pub fn add(&mut self, class: &'static str, term: &'static str, amount: usize) {
        self.0.push((class, term, amount as f64));
    }

    /// Adds terms that are all of one class.
    fn all(&mut self, class: &'static str, terms: &[(&'static str, usize)]) {
        for &(term, amount) in terms {
            self.add(class, term, amount);
        }
    }
}

/// Returns an operator's work while the oldest `absent` keys are not there yet. If `plain`, the plain
/// kernels do it, whatever the core has.
pub fn work(image: &Image<'_>, op: Op, kernels: Kernels, plain: bool, absent: u16) -> Work {
    let tensor = |id: TensorId| image.tensor(id).unwrap_or(NOTHING);
    let left_out = |id| match tensor(id).keys {
        true => usize::from(absent),
        false => 0,
    };
    let output = tensor(op.output());
    let mut work = Work::default();
    let task = match op {
        Op::FullyConnected(dense) => Task::FullyConnected(channels(image, dense)),
        Op::DepthwiseConv(dense) => Task::DepthwiseConv(channels(image, dense)),
        Op::Add {
            a_scale,
            b_scale,
            output_scale,
            clamp,
            output: id,
            ..
        } => {
            let other = match (a_scale == limits::HALF, b_scale == limits::HALF) {
                (true, _) => Some(b_scale),
                (_, true) => Some(a_scale),
                _ => None,
            };
            let (calls, elements) = match left_out(id) {
                0 => (1, output.len()),
                absent => (
                    output.rows.into(),
                    usize::from(output.cols).saturating_sub(absent),
                ),
            };
            Task::Add {
                calls,
                elements,
                other,
                to: (output_scale, clamp),
            }
        }
        Op::Mul {
            output_scale,
            clamp,
            ..
        } => Task::Mul(output.len(), (output_scale, clamp)),
        Op::Lookup { .. } => Task::Lookup(output.len()),
        Op::Scores {
            query,
            key,
            heads,
            output_scale,
            output: id,
        } => Task::Scores(Attention {
            heads: heads.into(),
            size: usize::from(tensor(query).cols) / usize::from(heads).max(1),
            rows: tensor(query).rows.into(),
            present: usize::from(tensor(key).rows).saturating_sub(left_out(id)),
            scale: output_scale,
        }),
        Op::Context {
            probs,
            value,
            heads,
            output_scale,
            ..
        } => Task::Context(Attention {
            heads: heads.into(),
            size: usize::from(output.cols) / usize::from(heads).max(1),
            rows: output.rows.into(),
            present: usize::from(tensor(value).rows).saturating_sub(left_out(probs)),
            scale: output_scale,
        }),
        Op::Softmax {
            diff_min,
            output: id,
            ..
        } => Task::Softmax {
            rows: output.rows.into(),
            absent: left_out(id),
            present: usize::from(output.cols).saturating_sub(left_out(id)),
            // How many of 256 entries are not 0.
            entries: 1 + diff_min.unsigned_abs().min(255) as usize,
            taken: limits::softmax(output.cols.into(), left_out(id), diff_min),
        },
    };
    match kernels {
        _ if plain => plain::work(&task, kernels, &mut work),
        Kernels::Plain => plain::work(&task, kernels, &mut work),
        Kernels::Dsp => dsp::work(&task, &mut work),
        Kernels::Mve => mve::work(&task, &mut work),
    }
    work
}

const NOTHING: Tensor = Tensor {
    location: Location::Arena { offset: 0 },
    element: Element::I8,
    rows: 0,
    cols: 0,
    scale: 0.0,
    zero_point: 0,
    keys: false,
};

/// Operator as its kernel sees it.
enum Task<'a> {
    FullyConnected(Channels<'a>),
    DepthwiseConv(Channels<'a>),
    Add {
        calls: usize,
        /// Number of elements that a call adds.
        elements: usize,
        /// Scale of the operand that does not have the factor 1/2; `None` if neither has it.
        other: Option<Requantize>,
        to: (Requantize, Clamp),
    },
    Mul(usize, (Requantize, Clamp)),
    Lookup(usize),
    Scores(Attention),
    Softmax {
        rows: usize,
        absent: usize,
        present: usize,
        entries: usize,
        /// Says whether the fast kernels take it.
        taken: bool,
    },
    Context(Attention),
}

struct Channels<'a> {
    rows: usize,
    cols: usize,
    /// Number of products that an output sums up: inputs of a fully connected layer, taps of a convolution.
    depth: usize,
    parameters: kernels::Channels<'a>,
    clamp: Clamp,
}

struct Attention {
    heads: usize,
    /// Number of columns that a head has.
    size: usize,
    /// Number of queries, each of which is a row.
    rows: usize,
    present: usize,
    scale: Requantize,
}

fn channels<'a>(image: &Image<'a>, dense: Dense) -> Channels<'a> {
    let tensor = |id: TensorId| image.tensor(id).unwrap_or(NOTHING);
    let (output, weights) = (tensor(dense.output), tensor(dense.weights));
    let cols = usize::from(output.cols);
    Channels {
        rows: output.rows.into(),
        cols,
        depth: weights.len() / cols.max(1),
        parameters: kernels::Channels {
            bias: image.constant_i32(tensor(dense.bias)),
            multiplier: image.constant_i32(tensor(dense.multiplier)),
            shift: image.constant_i8(tensor(dense.shift)),
        },
        clamp: dense.clamp,
    }
}
