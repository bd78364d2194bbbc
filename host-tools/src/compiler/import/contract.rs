//! The outputs of a step, held against the streaming contract: what is committed moves on.

use zerda_firmware::image::Stream;

use super::{Graph, Importer, Op, PROBABILITY, Place, Reason, Tensor, Value};
use crate::compiler::view::View;

/// Most rows or columns of a tensor: they are 16 bits in the image, and caches need some slack.
const LONGEST: usize = 60_000;

impl Importer<'_> {
    /// Checks outputs against the streaming contract.
    pub(super) fn finish(mut self) -> Reason<Graph> {
        let Some(Value::Tensor(logits)) = self.values.get("logits").cloned() else {
            return Err("expected an output `logits` [S, classes]".into());
        };
        let logits = self.rows(&logits)?;
        let Tensor {
            rows: step,
            cols: classes,
            ..
        } = self.graph.tensors[logits];
        // The decoder reads probabilities.
        let posteriors = self.add_tensor(step, classes, Place::Own);
        self.graph.tensors[posteriors].fixed = Some(PROBABILITY);
        self.graph.ops.push(Op::Softmax {
            input: logits,
            output: posteriors,
        });
        (self.graph.logits, self.graph.posteriors) = (logits, posteriors);
        for cache in &self.caches {
            let Some(window) = cache.window else {
                return Err(format!("input `{}` is not used", cache.name));
            };
            let tensor = self.graph.windows[window].tensor;
            let expected = View::all(tensor, self.graph.tensors[tensor].rows, cache.cols);
            let output = format!("next_{}", cache.name);
            let holds = self.graph.tensors[tensor].rows >= step + cache.rows
                && matches!(self.values.get(&output), Some(Value::Tensor(operand))
                    if operand.view == expected.slice(0, step, cache.rows));
            if !holds {
                return Err(format!(
                    "expected an output `{output}`: rows {step}..{} of Concat({}, new rows), since \
                     `logits` has {step} rows",
                    step + cache.rows,
                    cache.name
                ));
            }
        }
        let sizes = self
            .graph
            .tensors
            .iter()
            .map(|tensor| tensor.rows.max(tensor.cols));
        if let Some(size) = sizes.max().filter(|&size| size > LONGEST) {
            return Err(format!(
                "a tensor of {size} rows or columns; supported are {LONGEST}"
            ));
        }
        let (chunk, left_context) = (self.chunk() as u16, (self.keys - self.chunk()) as u16);
        self.graph.stream = Stream {
            chunk,
            step: step as u16,
            left_context,
        };
        Ok(self.graph)
    }
}
