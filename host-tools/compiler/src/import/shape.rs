//! Imports nodes that move nothing: they change the view, or make a cache's window.

use std::sync::Arc;

use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::{Tensor as Constant, tensor1};

use super::{Cache, Importer, Operand, Place, Reason, Value, Window};
use crate::onnx::{Attributes, axis, from_end, integers};
use crate::view::{Dim, View, elements};

/// The window that a cache input became.
pub(super) struct CacheWindow {
    pub window: usize,
    /// View of the cache input that the Concat along `axis` saw; `view` is that of the whole window.
    pub cache: View,
    pub view: View,
    pub axis: usize,
}

impl Importer<'_> {
    pub(super) fn reshaping(&mut self, node: &NodeProto) -> Reason<Value> {
        match self.take(node, 0)? {
            Value::Mask(Some(_)) => self.on_table(node),
            Value::Mask(None) => Ok(Value::Mask(None)),
            Value::Cache(cache, view) => {
                let view = self.reshaped(node, &view)?;
                Ok(Value::Cache(cache, view))
            }
            // A mean of each row, whatever the shape that its rows have.
            Value::Moment(moment) if moment.is_of_rows() => Ok(Value::Moment(moment)),
            _ if node.op_type == "Shape" => {
                let shape = self.operand(node, 0)?.view.shape();
                let shape: Vec<_> = shape.iter().map(|&size| size as i64).collect();
                let bound = |name, default| -> Reason<usize> {
                    from_end(node.int(name, default)?, shape.len())
                };
                let (start, end) = (bound("start", 0)?, bound("end", shape.len() as i64)?);
                let shape = shape.get(start..end).ok_or("it has no such dimensions")?;
                Ok(Value::Constant(Arc::new(tensor1(shape))))
            }
            _ => {
                let operand = self.operand(node, 0)?;
                let view = self.reshaped(node, &operand.view)?;
                let operand = Operand { view, ..operand };
                Ok(Value::Tensor(self.narrowed(&node.output[0], operand)))
            }
        }
    }

    /// Evaluates a node on the table that was added to the mask.
    pub(super) fn on_table(&mut self, node: &NodeProto) -> Reason<Value> {
        let table = |name: &String| match self.values.get(name) {
            Some(Value::Constant(table) | Value::Mask(Some(table))) => Ok(table.clone()),
            _ => Err("supported are constants with `mask`"),
        };
        let inputs: Result<Vec<Arc<Constant>>, _> = node.input.iter().map(table).collect();
        let outputs = self.onnx.evaluate(node, &inputs?)?;
        let output = outputs.and_then(|mut outputs| outputs.pop());
        let output = output.ok_or("supported is to reshape a mask, or to add a table to it")?;
        Ok(Value::Mask(Some(output)))
    }

    /// Returns the view that a node makes of `view` without moving anything.
    fn reshaped(&self, node: &NodeProto, view: &View) -> Reason<View> {
        let shape = view.shape();
        match node.op_type.as_str() {
            "Transpose" => {
                let reversed = (0..shape.len() as i64).rev().collect();
                let order = node.ints("perm")?.unwrap_or(reversed);
                let axis = |of| axis(of, shape.len());
                let order: Vec<_> = order.into_iter().map(axis).collect::<Reason<_>>()?;
                match (0..shape.len()).all(|axis| order.contains(&axis))
                    && order.len() == shape.len()
                {
                    true => Ok(view.transpose(&order)),
                    false => Err(format!("an order {order:?} of {shape:?}")),
                }
            }
            "Slice" => self.slice(node, view),
            "Gather" => self.gather(node, view),
            _ => {
                let wanted = self.new_shape(node, &shape)?;
                view.reshape(&wanted).ok_or_else(|| {
                    format!(
                        "{shape:?} to {wanted:?} would need a copy; \
                         supported is to split channels into heads and join them again"
                    )
                })
            }
        }
    }

    /// Takes one index along an axis, or neighbouring ones.
    fn gather(&self, node: &NodeProto, view: &View) -> Reason<View> {
        let indices = self.constant(node, 1)?.ok_or("it has no indices")?;
        let axis = axis(node.int("axis", 0)?, view.dims.len())?;
        let size = view.dims[axis].size;
        let of = |&index: &i64| from_end(index, size);
        let chosen: Vec<_> = integers(&indices)?.iter().map(of).collect::<Reason<_>>()?;
        let first = *chosen.first().ok_or("it has no indices")?;
        let consecutive = chosen
            .iter()
            .enumerate()
            .all(|(i, &index)| index == first + i);
        if !consecutive || first + chosen.len() > size {
            return Err(format!(
                "indices {chosen:?} of {size}; supported are consecutive ones"
            ));
        }
        let mut view = view.slice(axis, first, chosen.len());
        if indices.rank() == 0 {
            view.dims.remove(axis);
        }
        Ok(view)
    }

    fn new_shape(&self, node: &NodeProto, shape: &[usize]) -> Reason<Vec<usize>> {
        // Axes: an input since opset 13, an attribute before.
        let input = match self.constant(node, 1)? {
            Some(constant) => Some(integers(&constant)?),
            None => node.ints("axes")?,
        };
        let absolute = |axes: Vec<i64>, rank: usize| -> Reason<Vec<usize>> {
            axes.into_iter().map(|of| axis(of, rank)).collect()
        };
        match (node.op_type.as_str(), input) {
            ("Reshape", Some(wanted)) => Ok(sizes(&wanted, shape)),
            ("Expand", Some(wanted)) => {
                let leading = wanted.len().saturating_sub(shape.len());
                let sizes = [&vec![1; leading][..], shape].concat();
                let fits = wanted.iter().rev().zip(sizes.iter().rev());
                match fits
                    .into_iter()
                    .all(|(&to, &size)| to == 1 || to == size as i64)
                {
                    true => Ok(sizes),
                    false => Err(format!(
                        "{shape:?} repeated to {wanted:?}; supported is a mask that is"
                    )),
                }
            }
            ("Flatten", _) => {
                let (rows, cols) = shape.split_at(from_end(node.int("axis", 1)?, shape.len())?);
                Ok(vec![elements(rows), elements(cols)])
            }
            ("Squeeze", None) => Ok(shape.iter().copied().filter(|&size| size != 1).collect()),
            ("Squeeze", Some(axes)) => {
                let axes = absolute(axes, shape.len())?;
                let stays = |(axis, _): &(usize, _)| !axes.contains(axis);
                Ok(shape
                    .iter()
                    .copied()
                    .enumerate()
                    .filter(stays)
                    .map(|(_, size)| size)
                    .collect())
            }
            ("Unsqueeze", Some(axes)) => {
                let axes = absolute(axes.clone(), shape.len() + axes.len())?;
                let (rank, mut sizes) = (shape.len() + axes.len(), shape.iter().copied());
                let size = |axis| {
                    if axes.contains(&axis) {
                        1
                    } else {
                        sizes.next().unwrap_or(1)
                    }
                };
                Ok((0..rank).map(size).collect())
            }
            _ => Err("its shape or axes must be a constant".into()),
        }
    }

    fn slice(&self, node: &NodeProto, view: &View) -> Reason<View> {
        // Bounds: inputs since opset 10, attributes before.
        let values = |input, attribute| -> Reason<Option<Vec<i64>>> {
            match self.constant(node, input)? {
                Some(constant) => integers(&constant).map(Some),
                None => node.ints(attribute),
            }
        };
        let starts = values(1, "starts")?.ok_or("it has no starts")?;
        let ends = values(2, "ends")?.ok_or("it has no ends")?;
        let axes = values(3, "axes")?.unwrap_or_else(|| (0..starts.len() as i64).collect());
        if values(4, "steps")?.is_some_and(|steps| steps.iter().any(|&step| step != 1)) {
            return Err("only slices of consecutive elements (steps of 1) are supported".into());
        }
        let mut view = view.clone();
        for ((start, end), of) in starts.into_iter().zip(ends).zip(axes) {
            let axis = axis(of, view.dims.len())?;
            let size = view.dims[axis].size as i64;
            let bound = |index: i64| from_end(index.clamp(-size, size), size as usize);
            let (start, end) = (bound(start)?, bound(end)?);
            if start >= end {
                return Err(format!("the slice {start}..{end} is empty"));
            }
            view = view.slice(axis, start, end - start);
        }
        Ok(view)
    }

    pub(super) fn split(&mut self, node: &NodeProto) -> Reason<Vec<Value>> {
        let operand = self.operand(node, 0)?;
        let axis = axis(node.int("axis", 0)?, operand.view.dims.len())?;
        let (size, parts) = (operand.view.dims[axis].size, node.output.len());
        let sizes = match self.constant(node, 1)? {
            Some(sizes) => integers(&sizes)?,
            None => match node.ints("split")? {
                Some(sizes) => sizes,
                None if size % parts == 0 => vec![(size / parts) as i64; parts],
                None => return Err(format!("{size} do not split into {parts} equal parts")),
            },
        };
        let (mut parts, mut start) = (Vec::new(), 0);
        for (part, name) in sizes.into_iter().zip(&node.output) {
            let part = usize::try_from(part).unwrap_or_default();
            if part == 0 || size - start < part {
                return Err(format!("parts that do not fit {size}"));
            }
            let view = operand.view.slice(axis, start, part);
            start += part;
            let part = Operand {
                view,
                sole: false,
                ..operand.clone()
            };
            parts.push(Value::Tensor(self.narrowed(name, part)));
        }
        Ok(parts)
    }

    /// Imports Concat(cache, new rows): from now on the new rows are computed into the cache's window.
    pub(super) fn window(&mut self, node: &NodeProto) -> Reason<Value> {
        const SUPPORTED: &str = "supported is Concat(cache input, new rows) along the frames";
        let (number, cache, newest) = match (&node.input[..], self.take(node, 0)?) {
            ([_, _], Value::Cache(number, cache)) => (number, cache, self.settled(node, 1)?),
            _ => return Err(SUPPORTED.into()),
        };
        let (new, view) = self.elementwise(&newest)?;
        let (rows, cols) = self.shape(new);
        let axis = axis(node.int("axis", 0)?, view.dims.len())?;
        // Along the frames, which lie one row apart; all other dimensions are the cache's.
        let frames = view.dims[axis];
        let mut expected = view.shape();
        expected[axis] = cache.dims.get(axis).map_or(0, |dim| dim.size);
        if frames.size != rows || rows > 1 && frames.stride != cols || cache.shape() != expected {
            return Err(format!(
                "{SUPPORTED}, here {rows} rows of {cols} columns, all dimensions else the same"
            ));
        }
        if self.graph.tensors[new].place != Place::Own {
            return Err(format!("{SUPPORTED}, computed for this alone"));
        }
        let Cache { name, window, .. } = &self.caches[number];
        if window.is_some() {
            return Err(format!(
                "cache `{name}` is concatenated twice; once is supported"
            ));
        }
        let (window, kept) = (self.graph.windows.len(), expected[axis]);
        self.graph.tensors[new].place = Place::Window {
            window,
            first: kept,
        };
        let tensor = self.add_tensor(kept + rows, cols, Place::Window { window, first: 0 });
        self.graph.windows.push(Window {
            tensor,
            newest: new,
        });
        let mut dims = view.dims;
        dims[axis] = Dim {
            size: kept + rows,
            stride: cols,
        };
        let view = View {
            tensor,
            offset: 0,
            dims,
        };
        self.caches[number].window = Some(CacheWindow {
            window,
            cache,
            view: view.clone(),
            axis,
        });
        Ok(Value::Tensor(Operand {
            view,
            sole: false,
            affine: None,
            masked: false,
        }))
    }
}

/// Returns the sizes that a Reshape asks for: 0 keeps the size, one -1 takes what is left.
fn sizes(wanted: &[i64], shape: &[usize]) -> Vec<usize> {
    let known = |(axis, &size): (usize, &i64)| match size {
        0 => shape.get(axis).copied().unwrap_or(0),
        -1 => 1,
        size => size.max(0) as usize,
    };
    let mut sizes: Vec<usize> = wanted.iter().enumerate().map(known).collect();
    if let Some(inferred) = wanted.iter().position(|&size| size == -1) {
        sizes[inferred] = elements(shape) / elements(&sizes).max(1);
    }
    sizes
}
