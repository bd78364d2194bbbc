//! Nodes that move nothing: they change the view, or make a cache's window.

use std::sync::Arc;

use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::tensor1;

use super::{Cache, Importer, Operand, Place, Reason, Value, Window};
use crate::compiler::onnx::{Attributes, axis, from_end, integers};
use crate::compiler::view::View;

impl Importer<'_> {
    pub(super) fn reshaping(&mut self, node: &NodeProto) -> Reason<Value> {
        if let Value::Mask = self.take(node, 0)? {
            return Ok(Value::Mask);
        }
        let operand = self.operand(node, 0)?;
        let shape = operand.view.shape();
        let view = match node.op_type.as_str() {
            "Shape" => {
                let shape: Vec<_> = shape.iter().map(|&size| size as i64).collect();
                return Ok(Value::Constant(Arc::new(tensor1(&shape))));
            }
            "Transpose" => {
                let reversed = (0..shape.len() as i64).rev().collect();
                let order = node.ints("perm")?.unwrap_or(reversed);
                let axis = |of| axis(of, shape.len());
                operand
                    .view
                    .transpose(&order.into_iter().map(axis).collect::<Reason<Vec<_>>>()?)
            }
            "Slice" => self.slice(node, &operand.view)?,
            _ => {
                let wanted = self.new_shape(node, &shape)?;
                operand.view.reshape(&wanted).ok_or_else(|| {
                    format!(
                        "{shape:?} to {wanted:?} would need a copy; \
                         supported is to split channels into heads and join them again"
                    )
                })?
            }
        };
        Ok(Value::Tensor(Operand { view, ..operand }))
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
            ("Flatten", _) => {
                let (rows, cols) = shape.split_at(from_end(node.int("axis", 1)?, shape.len())?);
                Ok(vec![rows.iter().product(), cols.iter().product()])
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
        let operand = self.settled(node, 0)?;
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
        for part in sizes {
            let part = usize::try_from(part).unwrap_or_default();
            if part == 0 || size - start < part {
                return Err(format!("parts that do not fit {size}"));
            }
            let view = operand.view.slice(axis, start, part);
            start += part;
            parts.push(Value::Tensor(Operand {
                view,
                sole: false,
                ..operand.clone()
            }));
        }
        Ok(parts)
    }

    /// Concat(cache, new rows): from now on the new rows are computed into the cache's window.
    pub(super) fn window(&mut self, node: &NodeProto) -> Reason<Value> {
        const SUPPORTED: &str = "supported is Concat(cache input, new rows) along the rows";
        let (cache, newest) = match (&node.input[..], self.take(node, 0)?) {
            ([_, _], Value::Cache(cache)) => (cache, self.settled(node, 1)?),
            _ => return Err(SUPPORTED.into()),
        };
        let new = self.rows(&newest)?;
        let Cache {
            name,
            rows: kept,
            cols,
            window,
        } = &self.caches[cache];
        let (kept, cols, tensor) = (*kept, *cols, &self.graph.tensors[new]);
        let axis = axis(node.int("axis", 0)?, 2)?;
        if axis != 0 || tensor.cols != cols || tensor.place != Place::Own {
            return Err(format!(
                "{SUPPORTED} of {cols} columns, computed for this alone"
            ));
        }
        if window.is_some() {
            return Err(format!(
                "cache `{name}` is concatenated twice; once is supported"
            ));
        }
        let (window, rows) = (self.graph.windows.len(), kept + tensor.rows);
        self.graph.tensors[new].place = Place::Window {
            window,
            first: kept,
        };
        let tensor = self.add_tensor(rows, cols, Place::Window { window, first: 0 });
        self.graph.windows.push(Window {
            tensor,
            newest: new,
        });
        self.caches[cache].window = Some(window);
        let view = View::all(tensor, rows, cols);
        Ok(Value::Tensor(Operand {
            view,
            sole: false,
            affine: None,
            masked: false,
        }))
    }
}

/// A Reshape's sizes: 0 keeps the size, one -1 takes what is left.
fn sizes(wanted: &[i64], shape: &[usize]) -> Vec<usize> {
    let known = |(axis, &size): (usize, &i64)| match size {
        0 => shape.get(axis).copied().unwrap_or(0),
        -1 => 1,
        size => size.max(0) as usize,
    };
    let mut sizes: Vec<usize> = wanted.iter().enumerate().map(known).collect();
    if let Some(inferred) = wanted.iter().position(|&size| size == -1) {
        let rest: usize = sizes.iter().product();
        sizes[inferred] = shape.iter().product::<usize>() / rest.max(1);
    }
    sizes
}
