//! `zerda export` writes the plan of an image as one TFLite model, one streaming step of it, for the tools
//! of the field: TensorFlow Lite Micro, Vela, Netron.
//!
//! # Inputs and outputs
//!
//! Everything is int8, in this order; cache numbers are the image's.
//!
//! | input | shape | |
//! |---|---|---|
//! | `features` | [C, mels] | cache 0: the frames of the chunk |
//! | `mask_0` ... | [1, L + C] | 127: the key is present, -128: it is absent; the same bytes for each attention, whose scale it has since Vela leaves a MINIMUM of unequal scales to the CPU |
//! | `cache_1` ... | [rows, cols] | what earlier steps left in the window: L rows of keys or values, kernel - 1 of a convolution |
//!
//! | output | shape | |
//! |---|---|---|
//! | `logits` | [S, classes] | |
//! | `posteriors` | [S, classes] | |
//! | `rows_1` ... | [rows, cols] | what this step wrote behind the retained rows of each window |
//!
//! The caches stay with the caller. After a step it slides each window by S rows, which commits
//! the first S of `rows_i` and drops the rest: they are look-ahead, and the next step computes them
//! again. All of them are outputs since a linear or MUL gives them as they are, without a slice,
//! and a window then holds the same bytes as on the device's CPU.
//!
//! # Differences to the plan, none in the result
//!
//! A place in memory that the plan reads twice becomes SLICE and CONCATENATION. Scores are keys times
//! queries and context is values times probabilities, transposed before and after: what costs an
//! Ethos-U least, of all that `host-tools/tflite/docs/npu-formulations.md` lists. MINIMUM with the mask, before
//! each SOFTMAX over keys, stands for the keys that the device does not compute. Biases get back the
//! zero point of the input, and per-channel weight scales come from the multipliers; what is
//! recomputed from scales must be what the plan says, or the export fails.

mod memory;
mod operators;

use std::collections::VecDeque;
use std::path::Path;

use zerda_firmware::Image;
use zerda_firmware::image::Manifest;
use zerda_firmware::plan::{Location, Op, Tensor, TensorId};
use zerda_support::error::{Error, Result};
use zerda_support::image_file::ImageFile;
use zerda_support::output;

use crate::writer::{Graph, Quantization, TensorIndex};
use memory::Memory;

/// Reads an image and writes its step; this is the command.
pub fn run(image: &Path, output: &Path) -> Result<()> {
    let file = ImageFile::open(image)?;
    let step = step(&file.image()?)
        .map_err(|error| Error::check(format!("{}: {error}", image.display())))?;
    output::write(output, &step)
}

/// Returns one step of an image's plan as a TFLite flatbuffer.
///
/// # Errors
///
/// Names the operator that TFLite has no equal of, and says why.
pub fn step(image: &Image<'_>) -> Result<Vec<u8>, String> {
    let mut export = Export {
        image,
        graph: Graph::default(),
        memory: Memory::default(),
        masks: VecDeque::new(),
    };
    export.inputs();
    for (index, op) in image.ops().enumerate() {
        let value = export.operator(op);
        let written = value.and_then(|value| export.write(op.output(), value));
        written.map_err(|why| format!("operator {index} ({}): {why}", name(op)))?;
    }
    export.outputs()?;
    Ok(export.graph.finish())
}

/// Returns the number of rows of a cache window that earlier steps left: those before the first row that
/// the plan writes.
pub fn retained_rows(image: &Image<'_>, cache: usize) -> u16 {
    let outputs = image.ops().filter_map(|op| image.tensor(op.output()));
    let written = outputs.filter_map(|output| row_in(&output, cache));
    written
        .min()
        .unwrap_or_else(|| image.cache(cache).map_or(0, |cache| cache.rows))
}

/// Returns the row of a cache's window at which a tensor begins; `None` if it lies elsewhere.
fn row_in(tensor: &Tensor, cache: usize) -> Option<u16> {
    let (of, row) = tensor.cache_row()?;
    (of == cache).then_some(row)
}

fn name(op: Op) -> &'static str {
    match op {
        Op::FullyConnected(_) => "fully connected",
        Op::DepthwiseConv(_) => "depthwise convolution",
        Op::Add { .. } => "add",
        Op::Mul { .. } => "mul",
        Op::Lookup { .. } => "lookup",
        Op::Scores { .. } => "scores",
        Op::Softmax { .. } => "softmax",
        Op::Context { .. } => "context",
    }
}

/// Value that a TFLite tensor holds: `[rows, cols]` of the plan in some shape of as many elements.
#[derive(Clone, Debug)]
struct Value {
    tensor: TensorIndex,
    shape: Vec<i32>,
    scale: f32,
    zero_point: i8,
}

impl Value {
    fn quantization(&self) -> Quantization {
        Quantization::per_tensor(self.scale, self.zero_point)
    }
}

struct Export<'a> {
    image: &'a Image<'a>,
    graph: Graph,
    memory: Memory,
    /// Mask inputs of the attentions that are still to come.
    masks: VecDeque<TensorIndex>,
}

impl Export<'_> {
    /// Declares the model's inputs and puts the cache rows among them where the plan reads them.
    fn inputs(&mut self) {
        for (index, cache) in self.image.caches().enumerate() {
            let rows = match index {
                0 => cache.rows,
                _ => retained_rows(self.image, index),
            };
            let reader = |tensor: &Tensor| row_in(tensor, index).is_some();
            let Some(tensor) = self.image.tensors().find(reader).filter(|_| rows > 0) else {
                continue;
            };
            let name = match index {
                0 => "features".to_string(),
                _ => format!("cache_{index}"),
            };
            let tensor = Tensor {
                rows,
                cols: cache.cols,
                location: Location::Cache {
                    cache: index as u16,
                    row: 0,
                },
                ..tensor
            };
            let value = self.value(&name, &dimensions(&tensor), tensor, Graph::input);
            self.memory.write(&tensor, value);
            if index == 0 {
                self.mask_inputs();
            }
        }
    }

    fn mask_inputs(&mut self) {
        let scores = self.image.ops().filter_map(|op| match op {
            Op::Softmax { input, .. } => self.image.tensor(input).filter(|input| input.keys),
            _ => None,
        });
        for (index, scores) in scores.enumerate() {
            let q = Quantization::per_tensor(scores.scale, scores.zero_point);
            let shape = [1, scores.cols.into()];
            let mask = self.graph.input(&format!("mask_{index}"), &shape, q);
            self.masks.push_back(mask);
        }
    }

    fn outputs(&mut self) -> Result<(), String> {
        let Manifest {
            logits, posteriors, ..
        } = *self.image.manifest();
        for (id, name) in [(logits, "logits"), (posteriors, "posteriors")] {
            let value = self.read(id)?;
            self.graph.named_output(name, value.tensor);
        }
        for (index, cache) in self.image.caches().enumerate().skip(1) {
            let first = retained_rows(self.image, index);
            let reader = |tensor: &Tensor| row_in(tensor, index).is_some();
            let Some(tensor) = self
                .image
                .tensors()
                .find(reader)
                .filter(|_| first < cache.rows)
            else {
                continue;
            };
            let location = Location::Cache {
                cache: index as u16,
                row: first,
            };
            let rows = cache.rows - first;
            let written = Tensor {
                rows,
                cols: cache.cols,
                location,
                ..tensor
            };
            let value = self.read_tensor(&written)?;
            self.graph
                .named_output(&format!("rows_{index}"), value.tensor);
        }
        Ok(())
    }

    fn tensor(&self, id: TensorId) -> Result<Tensor, String> {
        let tensor = self.image.tensor(id);
        tensor.ok_or_else(|| format!("there is no tensor {id}"))
    }

    /// Declares a TFLite tensor for one of the plan's.
    fn value(
        &mut self,
        name: &str,
        shape: &[i32],
        like: Tensor,
        declare: fn(&mut Graph, &str, &[i32], Quantization) -> TensorIndex,
    ) -> Value {
        let Tensor {
            scale, zero_point, ..
        } = like;
        let q = Quantization::per_tensor(scale, zero_point);
        Value {
            tensor: declare(&mut self.graph, name, shape, q),
            shape: shape.to_vec(),
            scale,
            zero_point,
        }
    }

    /// Declares an operator's output: a tensor of the plan, in a shape of TFLite.
    fn output(&mut self, id: TensorId, shape: &[i32]) -> Result<Value, String> {
        let tensor = self.tensor(id)?;
        let name = format!("tensor_{id}");
        Ok(self.value(&name, shape, tensor, Graph::activation))
    }

    /// Records what an operator left in memory.
    fn write(&mut self, id: TensorId, value: Value) -> Result<(), String> {
        let tensor = self.tensor(id)?;
        let value = self.reshaped(value, &dimensions(&tensor));
        self.memory.write(&tensor, value);
        Ok(())
    }

    /// Returns what a tensor of the plan holds now, `[rows, cols]`.
    fn read(&mut self, id: TensorId) -> Result<Value, String> {
        let tensor = self.tensor(id)?;
        if tensor.is_constant() {
            let data = self.image.constant_i8(tensor);
            let shape = dimensions(&tensor);
            let name = format!("constant_{id}");
            let q = Quantization::per_tensor(tensor.scale, tensor.zero_point);
            return Ok(Value {
                tensor: self.graph.constant_i8(&name, &shape, q, data),
                shape,
                scale: tensor.scale,
                zero_point: tensor.zero_point,
            });
        }
        self.read_tensor(&tensor)
    }
}

/// Returns the shape of a tensor, `[rows, cols]`.
fn dimensions(tensor: &Tensor) -> Vec<i32> {
    vec![tensor.rows.into(), tensor.cols.into()]
}
