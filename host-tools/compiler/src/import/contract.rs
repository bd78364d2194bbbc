//! Checks the outputs of a step against the streaming contract: what is committed moves on.

use zerda_firmware::image::{MAX_CACHES, MAX_CLASSES, MAX_MELS, Stream};
use zerda_firmware::kernels::MAX_SOFTMAX_COLS;

use super::shape::CacheWindow;
use super::{Cache, Graph, Id, Importer, Op, PROBABILITY, Place, Reason, Tensor, Value};

/// Largest number of rows or columns that a tensor may have: they are 16 bits in the image, and caches need
/// some slack.
const LONGEST: usize = 60_000;

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
