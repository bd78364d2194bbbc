//! A step runs the plan once, operator by operator.

mod fault;

use core::ops::Range;

use crate::cache::Windows;
use crate::image::Image;
use crate::kernels::choice::Choice;
use crate::kernels::{Channels, Heads, Kernels, Operand, Output};
use crate::plan::{Clamp, Dense, Location, Op, Requantize, Tensor, TensorId};
pub use fault::{Failure, Fault};

/// Says what became of the steps that an NPU was to run, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Counters {
    /// Counts the steps that ran on the NPU.
    pub steps: u32,
    /// Counts the steps that failed on the NPU and ran on the CPU.
    pub faults: u32,
    /// Holds the last failure, if there was one.
    pub last: Option<Failure>,
    /// The number of steps that run on the CPU, after the last failure, before the NPU is tried again; 0: it
    /// is not tried again.
    pub backoff: u16,
}

/// Runs steps of a plan, on the CPU or on what else a board has.
pub trait Step {
    /// Runs every operator once over `memory`. It begins with the image's caches, whose windows are where
    /// `windows` says, and its arena follows.
    fn step(&mut self, image: &Image<'_>, windows: &Windows, memory: &mut [i8]);

    /// Runs every operator as [`Step::step`] does, and calls `on_encoded` with what the network's head reads, before the
    /// head runs: int8, `[step, columns]`. It is not called unless it is implemented, as it is for the CPU, nor for a
    /// network whose logits are not what a fully connected operator makes.
    fn step_encoded(
        &mut self,
        image: &Image<'_>,
        windows: &Windows,
        memory: &mut [i8],
        on_encoded: impl FnMut(&[i8]),
    ) {
        let _ = on_encoded;
        self.step(image, windows, memory);
    }

    /// Returns what became of the steps that an NPU was to run, for reports; `None` without an NPU.
    fn npu(&self) -> Option<Counters> {
        None
    }
}

/// Runs a step on the CPU, with the fastest [`Kernels`] that it has unless others are chosen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cpu(Choice);

impl Cpu {
    /// Runs steps with kernels that were found [`available`](crate::kernels::choice::available).
    #[cfg(not(target_arch = "arm"))]
    pub fn with(kernels: &'static Kernels) -> Self {
        Self(Choice::of(kernels))
    }

    /// Returns the kernels with which steps are run.
    #[inline(always)]
    pub fn kernels(self) -> &'static Kernels {
        self.0.kernels()
    }

    /// Runs one operator, over the same memory as [`Step::step`].
    pub fn run_op(self, op: Op, image: &Image<'_>, windows: &Windows, memory: &mut [i8]) {
        // This is `Some` for every image that was parsed, with memory of its size.
        let _ = self.run(op, image, windows, memory);
    }
}

impl Step for Cpu {
    fn step(&mut self, image: &Image<'_>, windows: &Windows, memory: &mut [i8]) {
        self.step_encoded(image, windows, memory, |_| {});
    }

    fn step_encoded(
        &mut self,
        image: &Image<'_>,
        windows: &Windows,
        memory: &mut [i8],
        mut on_encoded: impl FnMut(&[i8]),
    ) {
        for op in image.ops() {
            if let Some(rows) = read_by_head(op, image, windows, memory) {
                on_encoded(rows);
            }
            self.run_op(op, image, windows, memory);
        }
    }
}

/// Returns what the network's head reads, `[step, columns]`, if `op` is the head: the fully connected operator that writes
/// the logits.
pub fn read_by_head<'m>(
    op: Op,
    image: &Image<'_>,
    windows: &Windows,
    memory: &'m [i8],
) -> Option<&'m [i8]> {
    let Op::FullyConnected(Dense { input, output, .. }) = op else {
        return None;
    };
    if output != image.manifest().logits {
        return None;
    }
    memory.get(byte_range(image, windows, image.tensor(input)?)?)
}

/// Returns the bytes of memory that hold a tensor, or `None` for a constant.
pub fn byte_range(image: &Image<'_>, windows: &Windows, tensor: Tensor) -> Option<Range<usize>> {
    let start = match tensor.location {
        Location::Constant { .. } => return None,
        Location::Arena { offset } => image.cache_bytes().checked_add(offset as usize)?,
        Location::Cache { cache, row } => {
            let start = windows.start(cache.into());
            let cache = image.cache(cache.into())?;
            let row = usize::from(start) + usize::from(row);
            (row * usize::from(cache.cols)).checked_add(cache.offset as usize)?
        }
    };
    Some(start..start.checked_add(tensor.len())?)
}

/// Holds the tensors of one operator: all of memory except its output, which is lent separately.
struct Inputs<'m> {
    image: &'m Image<'m>,
    windows: &'m Windows,
    before: &'m [i8],
    after: &'m [i8],
    /// The place in memory at which `after` begins, in bytes.
    end: usize,
}

impl<'m> Inputs<'m> {
    fn i8(&self, id: TensorId) -> Option<&'m [i8]> {
        self.data(self.image.tensor(id)?)
    }

    fn data(&self, tensor: Tensor) -> Option<&'m [i8]> {
        if tensor.is_constant() {
            return Some(self.image.constant_i8(tensor));
        }
        let Range { start, end } = byte_range(self.image, self.windows, tensor)?;
        match start.checked_sub(self.end) {
            Some(start) => self.after.get(start..end - self.end),
            None => self.before.get(start..end),
        }
    }

    fn i32(&self, id: TensorId) -> Option<&'m [i32]> {
        Some(self.image.constant_i32(self.image.tensor(id)?))
    }

    fn operand(&self, id: TensorId) -> Option<Operand<'m>> {
        let tensor = self.image.tensor(id)?;
        let data = self.data(tensor)?;
        let zero_point = tensor.zero_point;
        Some(Operand { data, zero_point })
    }

    /// Returns input, weights and channels of a dense operator.
    fn dense(&self, dense: Dense) -> Option<(&'m [i8], &'m [i8], Channels<'m>)> {
        let channels = Channels {
            bias: self.i32(dense.bias)?,
            multiplier: self.i32(dense.multiplier)?,
            shift: self.i8(dense.shift)?,
        };
        Some((self.i8(dense.input)?, self.i8(dense.weights)?, channels))
    }

    /// Returns the number of columns of a row that are not computed, since their keys are absent.
    fn absent(&self, tensor: Tensor) -> usize {
        if tensor.keys {
            self.windows.absent().into()
        } else {
            0
        }
    }
}

const FULL: Clamp = Clamp {
    min: i8::MIN,
    max: i8::MAX,
};

impl Cpu {
    /// Runs one operator as [`Cpu::run_op`] does; returns `None` if an operand is not there.
    pub(crate) fn run(
        self,
        op: Op,
        image: &Image<'_>,
        windows: &Windows,
        memory: &mut [i8],
    ) -> Option<()> {
        let kernels = self.kernels();
        let output = image.tensor(op.output())?;
        let Range { start, end } = byte_range(image, windows, output)?;
        let (before, rest) = memory.split_at_mut_checked(start)?;
        let (out, after) = rest.split_at_mut_checked(output.len())?;
        let inputs = Inputs {
            image,
            windows,
            before,
            after,
            end,
        };
        let to = |scale: Requantize, clamp: Clamp| Output {
            scale,
            zero_point: output.zero_point,
            clamp,
        };
        match op {
            Op::FullyConnected(dense) => {
                let (input, weights, channels) = inputs.dense(dense)?;
                let zero_point = output.zero_point;
                (kernels.fully_connected)(input, weights, channels, zero_point, dense.clamp, out);
            }
            Op::DepthwiseConv(dense) => {
                let (input, weights, channels) = inputs.dense(dense)?;
                let zero_point = output.zero_point;
                (kernels.depthwise_conv)(input, weights, channels, zero_point, dense.clamp, out);
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
                let (a, b) = (inputs.operand(a)?, inputs.operand(b)?);
                // Rows are added one by one only where columns are left out.
                let (cols, absent) = match inputs.absent(output) {
                    0 => (output.len().max(1), 0),
                    absent => (usize::from(output.cols).max(1), absent),
                };
                // A zip of chunks divides where, on its own, it cannot be shown that a row has columns.
                for (row, out) in out.chunks_exact_mut(cols).enumerate() {
                    let present = row * cols + absent..(row + 1) * cols;
                    let a = Operand {
                        data: a.data.get(present.clone())?,
                        ..a
                    };
                    let b = Operand {
                        data: b.data.get(present)?,
                        ..b
                    };
                    let out = out.get_mut(absent..)?;
                    (kernels.add)(a, a_scale, b, b_scale, to(output_scale, clamp), out);
                }
            }
            Op::Mul {
                a,
                b,
                output_scale,
                clamp,
                ..
            } => {
                let (a, b) = (inputs.operand(a)?, inputs.operand(b)?);
                (kernels.mul)(a, b, to(output_scale, clamp), out);
            }
            Op::Lookup { input, table, .. } => {
                (kernels.lookup)(inputs.i8(input)?, inputs.i8(table)?, out);
            }
            Op::Scores {
                query,
                key,
                heads,
                output_scale,
                ..
            } => {
                let heads = Heads {
                    heads: heads.into(),
                    cols: image.tensor(query)?.cols.into(),
                    absent: inputs.absent(output),
                };
                let (query, key) = (inputs.operand(query)?, inputs.operand(key)?);
                (kernels.scores)(query, key, heads, to(output_scale, FULL), out);
            }
            Op::Softmax {
                input,
                input_scale,
                diff_min,
                ..
            } => {
                let (cols, absent) = (output.cols.into(), inputs.absent(output));
                (kernels.softmax)(inputs.i8(input)?, cols, absent, input_scale, diff_min, out);
            }
            Op::Context {
                probs,
                value,
                heads,
                output_scale,
                ..
            } => {
                let heads = Heads {
                    heads: heads.into(),
                    cols: output.cols.into(),
                    absent: inputs.absent(image.tensor(probs)?),
                };
                let (probs, value) = (inputs.i8(probs)?, inputs.operand(value)?);
                (kernels.context)(probs, value, heads, to(output_scale, FULL), out);
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_image::{Random, tiny};
    use std::vec::Vec;

    /// Logits of the first step, after `change` to the memory of the reset stream.
    fn first_logits(change: impl FnOnce(&Image<'_>, &Windows, &mut [i8])) -> Vec<i8> {
        let bytes = tiny(2);
        let image = Image::parse(bytes.get()).unwrap();
        let mut memory = std::vec![0; image.memory_bytes()];
        let windows = Windows::reset(&image, &mut memory);
        let features = image.cache(0).unwrap();
        let mut random = Random(3);
        for feature in &mut memory[features.byte_range()] {
            *feature = random.next() as i8;
        }
        change(&image, &windows, &mut memory);
        Cpu::default().step(&image, &windows, &mut memory);
        let logits = image.tensor(image.manifest().logits).unwrap();
        memory[byte_range(&image, &windows, logits).unwrap()].to_vec()
    }

    #[test]
    fn absent_keys_and_values_have_no_influence_but_convolution_rows_have() {
        let plain = first_logits(|_, _, _| ());
        let with_noise_in = |cache: usize, rows: usize| {
            first_logits(|image, windows, memory| {
                let first = usize::from(windows.start(cache));
                let cache = image.cache(cache).unwrap();
                assert_eq!(windows.absent(), 4);
                let first = cache.offset as usize + first * 4;
                memory[first..first + rows * 4].fill(113);
            })
        };
        assert_eq!(with_noise_in(1, 4), plain);
        assert_eq!(with_noise_in(2, 4), plain);
        assert_ne!(with_noise_in(3, 2), plain);
    }

    #[test]
    fn memory_that_is_too_small_computes_less_and_does_not_panic() {
        let bytes = tiny(2);
        let image = Image::parse(bytes.get()).unwrap();
        let mut memory = std::vec![0; image.memory_bytes()];
        let windows = Windows::reset(&image, &mut memory);
        for len in 0..memory.len() {
            Cpu::default().step(&image, &windows, &mut memory[..len]);
        }
    }
}
