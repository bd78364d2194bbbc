//! The plan without streaming: each operator over a whole stream at once, layer by layer. There is
//! no memory to reuse, no cache and no window that slides; what a step would find in a cache is
//! looked up in what the operators before gave for the step that committed it, and keys that are
//! absent do not exist.

use zerda_firmware::Image;
use zerda_firmware::front_end::FrontEnd;
use zerda_firmware::kernels::{Channels, Heads, Operand, Output, plain};
use zerda_firmware::plan::{Clamp, Dense, Location, Op, Requantize, Tensor, TensorId};

const ALL: Clamp = Clamp {
    min: -128,
    max: 127,
};

/// A matrix, row by row.
#[derive(Clone, Debug, Default)]
struct Matrix {
    cols: usize,
    data: Vec<i8>,
}

/// What every operator gives in every step.
pub struct WholeStream<'a> {
    image: &'a Image<'a>,
    ops: Vec<Op>,
    /// Of each frame.
    features: Vec<Vec<i8>>,
    steps: usize,
    /// By operator, then step.
    outputs: Vec<Vec<Matrix>>,
}

impl<'a> WholeStream<'a> {
    /// Evaluates the plan over all steps that this audio is enough for.
    pub fn of(image: &'a Image<'a>, pcm: &[i16]) -> Self {
        let manifest = image.manifest();
        let config = manifest.front_end;
        let mut front_end = FrontEnd::new(image);
        let windows = pcm.windows(config.window.into()).step_by(config.hop.into());
        let features = windows.map(|window| {
            let mut features = vec![0.0; config.mels.into()];
            front_end.frame(window, &mut features);
            features
                .iter()
                .map(|&feature| front_end.quantize(feature))
                .collect()
        });
        let features: Vec<Vec<i8>> = features.collect();
        let [chunk, step] = [manifest.stream.chunk, manifest.stream.step].map(usize::from);
        let mut stream = Self {
            image,
            ops: image.ops().collect(),
            steps: (features.len() + step - chunk) / step,
            features,
            outputs: Vec::new(),
        };
        for op in 0..stream.ops.len() {
            let outputs = (0..stream.steps)
                .map(|step| stream.evaluate(op, step))
                .collect();
            stream.outputs.push(outputs);
        }
        stream
    }

    pub fn steps(&self) -> usize {
        self.steps
    }

    /// What a tensor holds at the end of a step.
    pub fn tensor(&self, id: TensorId, step: usize) -> Vec<i8> {
        self.read(id, self.ops.len(), step).data
    }

    fn record(&self, id: TensorId) -> Tensor {
        self.image.tensor(id).unwrap()
    }

    /// Keys before the start of the stream, of those that a step of the plan attends to.
    fn absent(&self, step: usize) -> usize {
        let stream = self.image.manifest().stream;
        usize::from(stream.left_context).saturating_sub(step * usize::from(stream.step))
    }

    /// What a tensor holds when an operator reads it, but for keys that do not exist.
    fn read(&self, id: TensorId, reader: usize, step: usize) -> Matrix {
        let tensor = self.record(id);
        let cols = usize::from(tensor.cols);
        let constant = tensor.is_constant();
        // A constant that is added to scores does not say itself that its columns are keys.
        let keys = match constant {
            true => self.record(self.ops[reader].output()).keys,
            false => tensor.keys,
        };
        let skipped = if keys { self.absent(step) } else { 0 };
        let data = if constant {
            let rows = self.image.constant_i8(tensor).chunks(cols);
            rows.flat_map(|row| row[skipped..].to_vec()).collect()
        } else {
            // What operators gave is without those keys already.
            let rows = 0..usize::from(tensor.rows);
            rows.flat_map(|row| self.row(tensor, row, reader, step))
                .collect()
        };
        Matrix {
            cols: cols - skipped,
            data,
        }
    }

    fn row(&self, tensor: Tensor, row: usize, reader: usize, step: usize) -> Vec<i8> {
        let (cache, first) = match tensor.location {
            Location::Cache { cache, row } => (cache.into(), usize::from(row)),
            Location::Arena { offset } | Location::Constant { offset } => {
                let at = offset as usize + row * usize::from(tensor.cols);
                return self.written(None, at, reader, step).to_vec();
            }
        };
        let row = first + row;
        let frames = usize::from(self.image.manifest().stream.step);
        if cache == 0 {
            return self.features[step * frames + row].clone();
        }
        // Rows before the first that a step writes are of frames that earlier steps committed.
        let newest = self.first_written(cache);
        if row >= newest {
            return self.written(Some(cache), row, reader, step).to_vec();
        }
        match (step * frames + row).checked_sub(newest) {
            Some(frame) => {
                let row = newest + frame % frames;
                self.written(Some(cache), row, reader, frame / frames)
                    .to_vec()
            }
            None => {
                let record = self.image.cache(cache).unwrap();
                vec![record.zero_point; record.cols.into()]
            }
        }
    }

    fn first_written(&self, cache: usize) -> usize {
        let outputs = self.ops.iter().map(|op| self.record(op.output()));
        let rows = outputs.filter_map(|to| to.cache_row());
        let written = rows.filter(|(of, _)| *of == cache);
        written.map(|(_, row)| row.into()).min().unwrap()
    }

    /// The row that the last operator before `reader` wrote, in some step, at a row of a cache's window or,
    /// without a cache, at a byte of the arena.
    fn written(&self, cache: Option<usize>, at: usize, reader: usize, step: usize) -> &[i8] {
        for op in (0..reader).rev() {
            let to = self.record(self.ops[op].output());
            let (of, first, pitch) = match to.location {
                Location::Cache { cache, row } => (Some(cache.into()), row.into(), 1),
                Location::Arena { offset } | Location::Constant { offset } => {
                    (None, offset as usize, usize::from(to.cols))
                }
            };
            let Some(offset) = at.checked_sub(first) else {
                continue;
            };
            let (row, within) = (offset / pitch, offset % pitch);
            if of == cache && row < usize::from(to.rows) {
                assert_eq!(
                    within, 0,
                    "operator {reader} reads across rows of operator {op}"
                );
                let output = &self.outputs[op][step];
                return &output.data[row * output.cols..][..output.cols];
            }
        }
        panic!("operator {reader} reads what none before it has written");
    }

    fn evaluate(&self, index: usize, step: usize) -> Matrix {
        let read = |id| self.read(id, index, step);
        let op = self.ops[index];
        let to = self.record(op.output());
        let skipped = if to.keys { self.absent(step) } else { 0 };
        let cols = usize::from(to.cols) - skipped;
        let mut output = vec![0; usize::from(to.rows) * cols];
        let y = &mut output;
        let constant_i8 = |id| self.image.constant_i8(self.record(id));
        let channels = |dense: Dense| Channels {
            bias: self.image.constant_i32(self.record(dense.bias)),
            multiplier: self.image.constant_i32(self.record(dense.multiplier)),
            shift: constant_i8(dense.shift),
        };
        let requantized = |scale: Requantize, clamp| Output {
            scale,
            zero_point: to.zero_point,
            clamp,
        };
        let heads = |heads, id| Heads {
            heads: usize::from(heads),
            cols: self.record(id).cols.into(),
            absent: 0,
        };
        match op {
            Op::FullyConnected(dense) => {
                let (input, weights) = (read(dense.input).data, constant_i8(dense.weights));
                let (zero_point, clamp) = (to.zero_point, dense.clamp);
                plain::fully_connected(&input, weights, channels(dense), zero_point, clamp, y);
            }
            Op::DepthwiseConv(dense) => {
                let (input, weights) = (read(dense.input).data, constant_i8(dense.weights));
                let (zero_point, clamp) = (to.zero_point, dense.clamp);
                plain::depthwise_conv(&input, weights, channels(dense), zero_point, clamp, y);
            }
            Op::Add {
                a,
                b,
                a_scale,
                b_scale,
                output_scale,
                clamp,
                ..
            } => {
                let (x, z) = (read(a), read(b));
                let (x, z) = (self.operand(a, &x), self.operand(b, &z));
                plain::add(x, a_scale, z, b_scale, requantized(output_scale, clamp), y);
            }
            Op::Mul {
                a,
                b,
                output_scale,
                clamp,
                ..
            } => {
                let (x, z) = (read(a), read(b));
                let to = requantized(output_scale, clamp);
                plain::mul(self.operand(a, &x), self.operand(b, &z), to, y);
            }
            Op::Lookup { input, table, .. } => {
                plain::lookup(&read(input).data, constant_i8(table), y);
            }
            Op::Scores {
                query,
                key,
                heads: count,
                output_scale,
                ..
            } => {
                let (q, k) = (read(query), self.present_rows(read(key), step));
                let (q, k) = (self.operand(query, &q), self.operand(key, &k));
                plain::scores(q, k, heads(count, key), requantized(output_scale, ALL), y);
            }
            Op::Softmax {
                input,
                input_scale,
                diff_min,
                ..
            } => {
                plain::softmax(&read(input).data, cols, 0, input_scale, diff_min, y);
            }
            Op::Context {
                probs,
                value,
                heads: count,
                output_scale,
                ..
            } => {
                let v = self.present_rows(read(value), step);
                let v = self.operand(value, &v);
                let to = requantized(output_scale, ALL);
                plain::context(&read(probs).data, v, heads(count, value), to, y);
            }
        }
        Matrix { cols, data: output }
    }

    fn operand<'m>(&self, id: TensorId, matrix: &'m Matrix) -> Operand<'m> {
        let zero_point = self.record(id).zero_point;
        Operand {
            data: &matrix.data,
            zero_point,
        }
    }

    /// Keys or values without the rows that do not exist.
    fn present_rows(&self, mut window: Matrix, step: usize) -> Matrix {
        window.data.drain(..self.absent(step) * window.cols);
        window
    }
}
