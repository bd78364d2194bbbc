//! These are the checks of the plan: operands, shapes, overlaps, parameters and work.

use super::{Image, MAX_SECOND_WORK, MAX_WORK, ParseError, SAMPLE_RATE, take};
use crate::kernels::MAX_SOFTMAX_COLS;
use crate::plan::{Clamp, Dense, Element, Location, Op, Requantize, Tensor, TensorId};

type Check<T = ()> = Result<T, ParseError>;

/// The work that an element of a softmax counts as, in multiply-accumulates.
const SOFTMAX_WORK: u16 = 64;
/// The work that an element of any output counts as besides its products: what scales and stores it.
const ELEMENT_WORK: u64 = 8;
/// The work that decoding an operator counts as.
const OP_WORK: u64 = 256;
/// The work that the front end and the decoder count as, a frame.
const FRAME_WORK: u64 = 1 << 15;
/// The number of entries of the table that a softmax begins with, whatever its shape.
const SOFTMAX_TABLE: u16 = 256;

/// Checks every operator of the plan.
pub(super) fn ops(image: &Image<'_>) -> Check {
    let mut rest = image.ops;
    let (mut work, mut channels) = (0, 0);
    for index in 0..image.manifest().ops {
        let (field, problem) = ("encoding", "is not a postcard operator");
        let op = take(&mut rest).ok_or(ParseError::Op {
            index,
            field,
            problem,
        })?;
        Checker {
            image,
            index,
            work: &mut work,
            channels: &mut channels,
        }
        .op(op)?;
    }
    let manifest = |field, problem| ParseError::Manifest { field, problem };
    if !rest.is_empty() {
        return Err(manifest("ops", "do not end with the manifest"));
    }
    if is_slow(image, work) {
        let problem = "exceeds 2^31 multiply-accumulates for each second of audio";
        return Err(manifest("work", problem));
    }
    Ok(())
}

/// Says whether a second of audio takes more than [`MAX_SECOND_WORK`]; `work` is that of a step's operators.
fn is_slow(image: &Image<'_>, work: u64) -> bool {
    let head = image.manifest();
    let (step, hop) = (u64::from(head.stream.step), u64::from(head.front_end.hop));
    let operators = u64::from(head.ops) * OP_WORK;
    let of_step = work + operators + image.cache_bytes() as u64 + step * FRAME_WORK;
    // No factor has more than 33 bits, nor a product more than 63.
    of_step * u64::from(SAMPLE_RATE) > MAX_SECOND_WORK * step * hop
}

struct Checker<'c> {
    image: &'c Image<'c>,
    index: u16,
    /// Sums the work of this operator and those before it, in multiply-accumulates.
    work: &'c mut u64,
    /// Counts the channels whose scales were checked, of this operator and those before it.
    channels: &'c mut usize,
}

impl Checker<'_> {
    fn op(&mut self, op: Op) -> Check {
        let output = self.tensor(op.output(), "output")?;
        let writable = !output.is_constant();
        self.require(writable, "output", "must not be a constant")?;
        let (rows, cols) = (output.rows, output.cols);
        match op {
            Op::FullyConnected(dense) => {
                let depth = self.tensor(dense.input, "input")?.cols;
                self.operand(dense.input, "input", (rows, depth), output)?;
                self.charge(rows, cols, depth)?;
                self.dense(dense, (cols, depth), cols)
            }
            Op::DepthwiseConv(dense) => {
                let kernel = self.tensor(dense.weights, "weights")?.rows;
                let window = rows.saturating_add(kernel.saturating_sub(1));
                self.operand(dense.input, "input", (window, cols), output)?;
                self.charge(rows, cols, kernel)?;
                self.dense(dense, (kernel, cols), cols)
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
                self.operand(a, "a", (rows, cols), output)?;
                self.operand(b, "b", (rows, cols), output)?;
                self.charge(rows, cols, 1)?;
                self.scale(a_scale, "a scale")?;
                self.scale(b_scale, "b scale")?;
                self.scale(output_scale, "output scale")?;
                self.clamp(clamp)
            }
            Op::Mul {
                a,
                b,
                output_scale,
                clamp,
                ..
            } => {
                self.operand(a, "a", (rows, cols), output)?;
                self.operand(b, "b", (rows, cols), output)?;
                self.charge(rows, cols, 1)?;
                self.scale(output_scale, "output scale")?;
                self.clamp(clamp)
            }
            Op::Lookup { input, table, .. } => {
                self.operand(input, "input", (rows, cols), output)?;
                self.charge(rows, cols, 1)?;
                self.constant(table, "table", Element::I8, (1, 256))
            }
            Op::Scores {
                query,
                key,
                heads,
                output_scale,
                ..
            } => {
                let Tensor {
                    rows: chunk,
                    cols: width,
                    ..
                } = self.tensor(query, "query")?;
                self.heads(heads, width)?;
                self.operand(query, "query", (chunk, width), output)?;
                self.operand(key, "key", (cols, width), output)?;
                let fits = u32::from(rows) == u32::from(chunk) * u32::from(heads);
                self.require(fits, "output", "must have a row for each head and query")?;
                self.charge(rows, cols, width / u16::from(heads).max(1))?;
                self.scale(output_scale, "output scale")
            }
            Op::Softmax {
                input,
                input_scale,
                diff_min,
                ..
            } => {
                self.operand(input, "input", (rows, cols), output)?;
                let keys = self.tensor(input, "input")?.keys == output.keys;
                self.require(
                    keys,
                    "input",
                    "must have keys as columns where the output has",
                )?;
                let few = cols <= MAX_SOFTMAX_COLS;
                self.require(few, "input", "must have at most 511 columns")?;
                self.require(diff_min <= 0, "diff min", "must not be positive")?;
                self.charge(SOFTMAX_TABLE, 1, SOFTMAX_WORK)?;
                self.charge(rows, cols, SOFTMAX_WORK)?;
                self.scale(input_scale, "input scale")
            }
            Op::Context {
                probs,
                value,
                heads,
                output_scale,
                ..
            } => {
                let keys = self.tensor(value, "value")?.rows;
                self.heads(heads, cols)?;
                self.operand(value, "value", (keys, cols), output)?;
                let fits = rows.checked_mul(heads.into());
                let problem = "has too many rows for a matrix a head";
                let prob_rows = fits.ok_or(self.fail("output", problem))?;
                self.operand(probs, "probs", (prob_rows, keys), output)?;
                self.charge(rows, cols, keys)?;
                self.scale(output_scale, "output scale")
            }
        }
    }

    fn fail(&self, field: &'static str, problem: &'static str) -> ParseError {
        let index = self.index;
        ParseError::Op {
            index,
            field,
            problem,
        }
    }

    fn require(&self, holds: bool, field: &'static str, problem: &'static str) -> Check {
        if holds {
            Ok(())
        } else {
            Err(self.fail(field, problem))
        }
    }

    fn charge(&mut self, rows: u16, cols: u16, depth: u16) -> Check {
        let element = u64::from(depth) + ELEMENT_WORK;
        let work = u64::from(rows) * u64::from(cols) * element;
        *self.work = self.work.saturating_add(work);
        let problem = "makes the plan exceed 2^28 multiply-accumulates";
        self.require(*self.work <= MAX_WORK, "work", problem)
    }

    /// Returns a tensor of activations, or an error if the number names no tensor or its elements are not I8.
    fn tensor(&self, id: TensorId, field: &'static str) -> Check<Tensor> {
        let tensor = self
            .image
            .tensor(id)
            .ok_or(self.fail(field, "names no tensor"))?;
        self.require(tensor.element == Element::I8, field, "must be I8")?;
        Ok(tensor)
    }

    fn operand(
        &self,
        id: TensorId,
        field: &'static str,
        shape: (u16, u16),
        output: Tensor,
    ) -> Check {
        let tensor = self.tensor(id, field)?;
        let fits = (tensor.rows, tensor.cols) == shape;
        self.require(fits, field, "has a shape that does not fit the operator")?;
        self.require(!overlap(tensor, output), field, "overlaps the output")
    }

    fn constant(
        &self,
        id: TensorId,
        field: &'static str,
        element: Element,
        shape: (u16, u16),
    ) -> Check {
        let tensor = self
            .image
            .tensor(id)
            .ok_or(self.fail(field, "names no tensor"))?;
        let constant = tensor.is_constant() && tensor.element == element;
        self.require(
            constant,
            field,
            "must be a constant of the operator's element type",
        )?;
        let fits = (tensor.rows, tensor.cols) == shape;
        self.require(fits, field, "has a shape that does not fit the operator")
    }

    /// Checks weights of the shape `weights`, the parameters of `n` channels, and the clamp.
    fn dense(&mut self, dense: Dense, weights: (u16, u16), n: u16) -> Check {
        self.constant(dense.weights, "weights", Element::I8, weights)?;
        let (multiplier, shift) = (dense.multiplier, dense.shift);
        // A channel has nine bytes; were operators to share them without limit, checks would not
        // be linear in the length of the image.
        *self.channels = self.channels.saturating_add(n.into());
        let few = *self.channels <= self.image.segment.len();
        self.require(few, "multiplier", "is shared by too many operators")?;
        self.constant(dense.bias, "bias", Element::I32, (1, n))?;
        self.constant(multiplier, "multiplier", Element::I32, (1, n))?;
        self.constant(shift, "shift", Element::I8, (1, n))?;
        let multipliers = self
            .image
            .tensor(multiplier)
            .map(|t| self.image.constant_i32(t));
        let shifts = self.image.tensor(shift).map(|t| self.image.constant_i8(t));
        let scales = multipliers
            .unwrap_or_default()
            .iter()
            .zip(shifts.unwrap_or_default());
        for (&multiplier, &shift) in scales {
            self.scale(Requantize { multiplier, shift }, "multiplier and shift")?;
        }
        self.clamp(dense.clamp)
    }

    fn scale(&self, scale: Requantize, field: &'static str) -> Check {
        let normal = scale.multiplier == 0 || scale.multiplier >= 1 << 30;
        let problem = "must have a multiplier of 0 or 2^30..2^31 and a shift of -31..=30";
        self.require(normal && (-31..=30).contains(&scale.shift), field, problem)
    }

    fn clamp(&self, clamp: Clamp) -> Check {
        self.require(
            clamp.min <= clamp.max,
            "clamp",
            "must not have min above max",
        )
    }

    fn heads(&self, heads: u8, cols: u16) -> Check {
        let divide = heads > 0 && cols.is_multiple_of(heads.into());
        self.require(divide, "heads", "must divide the columns")
    }
}

/// Says whether two tensors share bytes of memory.
fn overlap(a: Tensor, b: Tensor) -> bool {
    let range = |tensor: Tensor| match tensor.location {
        Location::Constant { .. } => None,
        Location::Arena { offset } => Some((None, u64::from(offset), tensor.len() as u64)),
        Location::Cache { cache, row } => Some((Some(cache), row.into(), tensor.rows.into())),
    };
    let (Some((a, a_start, a_len)), Some((b, b_start, b_len))) = (range(a), range(b)) else {
        return false;
    };
    a == b && a_start < b_start + b_len && b_start < a_start + a_len
}
