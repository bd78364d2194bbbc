//! Checks the outputs of a step against the streaming contract: what is committed moves on.

use zerda_firmware::image::{MAX_CACHES, MAX_CLASSES, MAX_MELS, Stream};
use zerda_firmware::kernels::MAX_SOFTMAX_COLS;

use super::shape::CacheWindow;
use super::{Cache, Graph, Id, Importer, Op, PROBABILITY, Place, Reason, Tensor, Value};

/// Largest number of rows that a tensor may have: they are 16 bits in the image, and caches need some slack.
const LONGEST: usize = 60_000;

/// Largest number of columns that a tensor may have. A square layer of so many has 16 MiB of weights.
const WIDEST: usize = 4096;

impl Importer<'_> {
    /// Checks the outputs against the streaming contract and returns the graph.
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
            let Some(window) = &cache.window else {
                return Err(format!("input `{}` is not used", cache.name));
            };
            let (output, kept) = (
                format!("next_{}", cache.name),
                window.cache.dims[window.axis].size,
            );
            let next = self.next(cache, window, step);
            let holds = matches!(self.values.get(&output), Some(Value::Tensor(operand))
                if Some((operand.view.tensor, operand.view.indices())) == next);
            if !holds {
                return Err(format!(
                    "expected an output `{output}`: rows {step}..{} of Concat({}, new rows), since \
                     `logits` has {step} rows",
                    step + kept,
                    cache.name
                ));
            }
        }
        self.drop_unused();
        self.fold_centring();
        self.fits_an_image(classes)?;
        self.is_finite()?;
        if step > self.chunk() {
            return Err(format!(
                "`logits` has {step} rows; expected at most the {} of `features`",
                self.chunk()
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

    /// Returns how many tensors and operators there are.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.graph.tensors.len(), self.graph.ops.len())
    }

    /// Checks the sizes of the tensors and operators that came after the first ones, and counts their constants.
    pub(super) fn within_limits(&self, (tensors, ops): (usize, usize)) -> Reason<()> {
        let mut constants = 0;
        for tensor in &self.graph.tensors[tensors..] {
            if tensor.rows > LONGEST || tensor.cols > WIDEST {
                return Err(format!(
                    "a tensor of {} rows and {} columns; supported are {LONGEST} and {WIDEST}",
                    tensor.rows, tensor.cols
                ));
            }
            if let Place::Constant(values) = &tensor.place {
                constants += values.len() as u64;
            }
        }
        for op in self.graph.ops.iter().skip(ops) {
            if let Op::Linear(linear) = op {
                constants += linear.weights.len() as u64;
            }
        }
        self.onnx.budget.take(constants)
    }

    /// Checks that nothing that was read or folded is NaN or infinite.
    fn is_finite(&self) -> Reason<()> {
        let check = |id: Id, what: &str, finite: bool| {
            let name = &self.graph.tensors[self.graph.root(id)].name;
            let wrong = || {
                format!(
                    "{what} of `{name}` are NaN or infinite; expected numbers of a trained network"
                )
            };
            finite.then_some(()).ok_or_else(wrong)
        };
        let finite = |values: &[f32]| values.iter().all(|value| value.is_finite());
        for op in &self.graph.ops {
            let Op::Linear(linear) = op else { continue };
            let (low, high) = linear.clamp;
            let scales = linear.scales.as_deref().unwrap_or_default();
            check(
                linear.output,
                "weights",
                finite(&linear.weights) && finite(&linear.bias),
            )?;
            check(linear.output, "scales", finite(scales))?;
            if low.is_nan() || high.is_nan() || low > high {
                let name = &self.graph.tensors[linear.output].name;
                return Err(format!(
                    "`{name}` is clipped to {low} to {high}; expected the lower bound first"
                ));
            }
        }
        for (id, tensor) in self.graph.tensors.iter().enumerate() {
            if let Place::Constant(values) = &tensor.place {
                check(id, "constants", finite(values))?;
            }
            let scale = tensor.fixed.map_or(1.0, |fixed| fixed.scale);
            check(id, "scales", scale.is_finite() && scale > 0.0)?;
        }
        Ok(())
    }

    fn fits_an_image(&self, classes: usize) -> Reason<()> {
        let mels = self.shape(self.graph.features).1;
        let windows = self.graph.windows.len();
        for (found, what, most) in [
            (classes, "classes", MAX_CLASSES),
            (mels, "mel values a frame", MAX_MELS),
            (windows, "caches, the features' one included", MAX_CACHES),
            (self.keys, "keys (L + C)", MAX_SOFTMAX_COLS.into()),
        ] {
            if found > most {
                return Err(format!("{found} {what}; an image holds at most {most}"));
            }
        }
        Ok(())
    }

    /// Returns what a cache must be in the next step: the window's tensor, and the index in it of each
    /// element of the cache input.
    fn next(&self, cache: &Cache, window: &CacheWindow, step: usize) -> Option<(Id, Vec<usize>)> {
        let (axis, kept) = (window.axis, window.cache.dims[window.axis].size);
        if window.view.dims[axis].size < step + kept {
            return None;
        }
        let mut next = vec![0; cache.elements];
        let moved = window.view.slice(axis, step, kept).indices();
        for (element, moved) in window.cache.indices().into_iter().zip(moved) {
            next[element] = moved;
        }
        Some((self.graph.windows[window.window].tensor, next))
    }

    /// Drops operators that nothing needs, e.g. linears of which only columns are used.
    fn drop_unused(&mut self) {
        let graph = &mut self.graph;
        let mut needed = vec![false; graph.tensors.len()];
        let newest = graph.windows.iter().map(|window| window.newest);
        for id in newest.chain([graph.posteriors]) {
            needed[graph.root(id)] = true;
        }
        let mut kept = Vec::new();
        for op in std::mem::take(&mut graph.ops).into_iter().rev() {
            if needed[graph.root(op.output())] {
                op.inputs()
                    .into_iter()
                    .for_each(|id| needed[graph.root(id)] = true);
                kept.push(op);
            }
        }
        graph.ops = kept.into_iter().rev().collect();
    }
}
