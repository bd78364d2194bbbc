//! Makes the image that a profile would compile to, with pseudo-random weights: what a shape costs can be
//! said before anyone trains it.
//!
//! Operators, shapes, caches and sizes are those of the recipe's export (`models/train/export.py`)
//! after the import; ranges are about those that training leaves.

use std::path::Path;

use zerda_firmware::image::{MAX_CACHES, MAX_WORK, Stream};
use zerda_firmware::kernels::MAX_SOFTMAX_COLS;
use zerda_support::config::{Config, Profile};
use zerda_support::error::{Error, Result};
use zerda_support::image_file::ImageFile;

use super::functions::PROBABILITY;
use super::graph::{
    Function, Graph, Id, Linear, LinearKind, Op, Place, Quantization, Tensor, UNCLAMPED, Window,
};
use super::model::Model;

/// Largest number of taps that a kernel may have: a cache's rows and its slack are counted in 16 bits.
const LONGEST_KERNEL: u16 = 60_000;

/// Range that most activations have.
const ACTIVATION: (f32, f32) = (-8.0, 8.0);
const HARD_SWISH: (f32, f32) = (-0.375, 8.0);
const GATE: (f32, f32) = (0.0, 1.0);
/// Range that scores have with the relative position added; absent keys are at the minimum, where softmax
/// gives 0.
const MASKED: (f32, f32) = (-20.0, 16.0);

/// Makes an image of a profile's shape with pseudo-random weights: for cost and memory, not for
/// recognition.
pub fn image(profile: &Profile, config: &Config) -> Result<ImageFile> {
    fits(profile).map_err(|reason| Error::usage(format!("{profile}: {reason}")))?;
    let front_end = &config.models.front_end;
    let labels = labels(config);
    let name = profile.to_string();
    let model = Model {
        path: Path::new(&name),
        labels: &labels,
        front_end,
        commands: &config.commands,
    };
    let graph = Skeleton::new(profile, front_end).finish(labels.len());
    let file = model.image(&graph, None)?;
    // What the firmware refuses is said here, not by whoever runs it.
    file.image()?;
    Ok(file)
}

/// Checks the limits that the records of an image could not even express.
fn fits(profile: &Profile) -> std::result::Result<(), String> {
    let Profile {
        layers,
        heads,
        hidden,
        chunk,
        step,
        ..
    } = *profile;
    let keys = u32::from(profile.cached) + u32::from(profile.chunk);
    let caches = 1 + 3 * usize::from(layers);
    let rows = u32::from(heads) * u32::from(profile.chunk);
    let work = || profile.macs_per_step(1, 1);
    let at_most = |what: &str, most: u64| Err(format!("{what}, an image holds at most {most}"));
    if heads == 0 || !hidden.is_multiple_of(heads) {
        Err(format!(
            "heads {heads}, expected a divisor of hidden {hidden}"
        ))
    } else if step > chunk {
        Err(format!("step {step}, expected at most chunk {chunk}"))
    } else if heads > u8::MAX.into() {
        at_most(&format!("{heads} heads"), u8::MAX.into())
    } else if keys > MAX_SOFTMAX_COLS.into() {
        let what = format!("chunk and cached are {keys} keys");
        at_most(&what, MAX_SOFTMAX_COLS.into())
    } else if caches > MAX_CACHES {
        let most = (MAX_CACHES - 1) / 3;
        at_most(&format!("{layers} layers"), most as u64)
    } else if rows > u16::MAX.into() {
        let what = format!("heads times chunk are {rows} rows");
        at_most(&what, u16::MAX.into())
    } else if profile.kernel > LONGEST_KERNEL {
        at_most(
            &format!("a kernel of {} taps", profile.kernel),
            LONGEST_KERNEL.into(),
        )
    } else if work() > MAX_WORK {
        let what = format!("{} multiply-accumulates a step", work());
        at_most(&what, MAX_WORK)
    } else {
        Ok(())
    }
}

/// Returns the words that the recipe trains, and the labels besides that `commands.toml` names.
fn labels(config: &Config) -> Vec<String> {
    let (words, commands) = (&config.models.words, &config.commands);
    let trained = words.commands.iter().chain(&words.from_text);
    let decoder = &commands.decoder;
    let named = commands.thresholds.keys().chain(&decoder.never);
    let named = trained.chain(&words.wake).chain(named);
    let named = named.chain([&decoder.silence]).map(String::as_str);
    let grammar = commands.grammar.iter().flat_map(|of| &of.commands);
    let mut labels: Vec<String> = Vec::new();
    for label in named.chain(grammar.flat_map(|command| command.get_ref().split_whitespace())) {
        if !labels.iter().any(|known| known == label) {
            labels.push(label.into());
        }
    }
    labels
}

/// Graph that is being made of a profile.
struct Skeleton<'a> {
    profile: &'a Profile,
    graph: Graph,
    /// State of a linear congruential generator, by which the same shape gives the same image.
    random: u32,
    /// Number of frames that the layer computes; `x` is the tensor in which they are.
    rows: usize,
    x: Id,
}

impl<'a> Skeleton<'a> {
    fn new(profile: &'a Profile, front_end: &zerda_support::config::FrontEnd) -> Self {
        let mut graph = Graph::empty();
        graph.stream = Stream {
            chunk: profile.chunk,
            step: profile.step,
            left_context: profile.cached,
        };
        let (random, rows) = (1, profile.chunk.into());
        let mut skeleton = Skeleton {
            profile,
            graph,
            random,
            rows,
            x: 0,
        };
        let features = skeleton.tensor(rows, front_end.mels.into(), ACTIVATION);
        skeleton.graph.tensors[features].fixed = Some(Quantization {
            scale: front_end.range / 255.0,
            zero_point: 127,
        });
        skeleton.slide(features, 0);
        skeleton.graph.features = features;
        skeleton
    }

    fn finish(mut self, classes: usize) -> Graph {
        self.x = self.dense(self.graph.features, self.profile.hidden.into(), ACTIVATION);
        for layer in 1..=self.profile.layers {
            self.feed_forward();
            self.attention(layer == self.profile.layers);
            self.convolution();
            self.feed_forward();
        }
        let logits = self.dense(self.x, classes, (-20.0, 20.0));
        let posteriors = self.tensor(self.rows, classes, GATE);
        self.softmax(logits, posteriors);
        (self.graph.logits, self.graph.posteriors) = (logits, posteriors);
        self.graph
    }

    fn feed_forward(&mut self) {
        let Profile {
            feed_forward,
            hidden,
            ..
        } = *self.profile;
        let up = self.dense(self.x, feed_forward.into(), ACTIVATION);
        let swish = self.hard_swish(up);
        let down = self.dense(swish, hidden.into(), ACTIVATION);
        self.x = self.add(self.x, down, ACTIVATION);
    }

    fn attention(&mut self, last: bool) {
        let (hidden, heads) = (self.profile.hidden.into(), self.profile.heads.into());
        let [key, value] = [(); 2].map(|()| {
            let newest = self.dense(self.x, hidden, ACTIVATION);
            self.slide(newest, self.profile.cached.into())
        });
        let keys = self.graph.tensors[key].rows;
        // The last layer's look-ahead rows serve as keys and values only.
        if last && self.profile.step < self.profile.chunk {
            self.rows = self.profile.step.into();
            let (of, first) = (self.x, 0);
            self.x = self.tensor(self.rows, hidden, ACTIVATION);
            self.graph.tensors[self.x].place = Place::Rows { of, first };
        }
        let query = self.dense(self.x, hidden, (-1.0, 1.0));
        let rows = heads * self.rows;
        let scores = self.tensor(rows, keys, ACTIVATION);
        self.graph.ops.push(Op::Scores {
            query,
            key,
            output: scores,
            heads,
        });
        let distances = self.values(rows * keys, 4.0);
        let table = self.tensor(rows, keys, ACTIVATION);
        self.graph.tensors[table].place = Place::Constant(distances);
        self.graph.tensors[table].fixed = None;
        let masked = self.add(scores, table, MASKED);
        let probs = self.tensor(rows, keys, GATE);
        for id in [scores, masked, probs] {
            self.graph.tensors[id].keys = true;
        }
        self.softmax(masked, probs);
        let context = self.tensor(self.rows, hidden, ACTIVATION);
        self.graph.ops.push(Op::Context {
            probs,
            value,
            output: context,
            heads,
        });
        let out = self.dense(context, hidden, ACTIVATION);
        self.x = self.add(self.x, out, ACTIVATION);
    }

    fn convolution(&mut self) {
        let (hidden, kernel) = (self.profile.hidden.into(), self.profile.kernel.into());
        let gate = self.dense(self.x, hidden, GATE);
        let value = self.dense(self.x, hidden, ACTIVATION);
        let gated = self.tensor(self.rows, hidden, ACTIVATION);
        self.graph.ops.push(Op::Mul {
            a: value,
            b: gate,
            output: gated,
        });
        let window = self.slide(gated, kernel - 1);
        let kind = LinearKind::Depthwise;
        let mixed = self.linear(kind, window, (self.rows, hidden), kernel, ACTIVATION);
        let swish = self.hard_swish(mixed);
        let out = self.dense(swish, hidden, ACTIVATION);
        self.x = self.add(self.x, out, ACTIVATION);
    }

    fn tensor(&mut self, rows: usize, cols: usize, (low, high): (f32, f32)) -> Id {
        self.graph.tensors.push(Tensor {
            name: String::new(),
            rows,
            cols,
            place: Place::Own,
            fixed: Some(Quantization::of_range(low, high)),
            keys: false,
        });
        self.graph.tensors.len() - 1
    }

    /// Makes a window of `kept` rows of earlier steps, which a tensor's own rows follow.
    fn slide(&mut self, newest: Id, kept: usize) -> Id {
        let window = self.graph.windows.len();
        let Tensor { rows, cols, .. } = self.graph.tensors[newest];
        let tensor = match kept {
            0 => newest,
            _ => self.tensor(kept + rows, cols, ACTIVATION),
        };
        for (id, first) in [(tensor, 0), (newest, kept)] {
            self.graph.tensors[id].place = Place::Window { window, first };
        }
        self.graph.windows.push(Window { tensor, newest });
        tensor
    }

    fn dense(&mut self, input: Id, channels: usize, range: (f32, f32)) -> Id {
        let Tensor { rows, cols, .. } = self.graph.tensors[input];
        self.linear(LinearKind::Dense, input, (rows, channels), cols, range)
    }

    fn linear(
        &mut self,
        kind: LinearKind,
        input: Id,
        (rows, channels): (usize, usize),
        taps: usize,
        range: (f32, f32),
    ) -> Id {
        let weights = self.values(channels * taps, (1.0 / taps as f32).sqrt());
        let bias = self.values(channels, 0.5);
        let output = self.tensor(rows, channels, range);
        self.graph.ops.push(Op::Linear(Linear {
            kind,
            input,
            output,
            weights,
            bias,
            clamp: if range == GATE { GATE } else { UNCLAMPED },
            scales: None,
        }));
        output
    }

    fn add(&mut self, a: Id, b: Id, range: (f32, f32)) -> Id {
        let Tensor { rows, cols, .. } = self.graph.tensors[a];
        let output = self.tensor(rows, cols, range);
        self.graph.ops.push(Op::Add { a, b, output });
        output
    }

    fn hard_swish(&mut self, input: Id) -> Id {
        let Tensor { rows, cols, .. } = self.graph.tensors[input];
        let (function, output) = (Function::HardSwish, self.tensor(rows, cols, HARD_SWISH));
        self.graph.ops.push(Op::Function {
            function,
            input,
            output,
        });
        output
    }

    fn softmax(&mut self, input: Id, output: Id) {
        self.graph.tensors[output].fixed = Some(PROBABILITY);
        self.graph.ops.push(Op::Softmax { input, output });
    }

    /// Returns pseudo-random values of a standard deviation, spread about as trained weights are: a sum of
    /// four is nearly normal.
    fn values(&mut self, count: usize, deviation: f32) -> Vec<f32> {
        let spread = deviation * (3.0f32 / 4.0).sqrt();
        let mut uniform = || {
            self.random = self.random.wrapping_mul(1664525).wrapping_add(1013904223);
            (self.random >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        let mut value = || spread * (0..4).map(|_| uniform()).sum::<f32>();
        (0..count).map(|_| value()).collect()
    }
}

#[cfg(test)]
mod tests;
