//! Strided views show what Reshape, Transpose, Slice and their like make of a tensor without moving any of
//! its elements.

use zerda_quantize::graph::Id;

use crate::onnx::limits;

/// Elements of a tensor that lie at `offset + sum(index * stride)` of its row-major elements.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    pub tensor: Id,
    pub offset: usize,
    pub dims: Vec<Dim>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dim {
    pub size: usize,
    /// Number of elements that lie between one index and the next; 0 where the size is 1.
    pub stride: usize,
}

/// Returns how many elements a shape has, or the largest number if that is smaller.
pub fn elements(shape: &[usize]) -> usize {
    let sizes = shape.iter().map(|&size| size as u64);
    limits::product(sizes).try_into().unwrap_or(usize::MAX)
}

impl Dim {
    fn new(size: usize, stride: usize) -> Dim {
        let stride = if size == 1 { 0 } else { stride };
        Dim { size, stride }
    }
}

impl View {
    /// Views all of a tensor `[rows, cols]`.
    pub fn all(tensor: Id, rows: usize, cols: usize) -> View {
        View::strided(tensor, &[(rows, cols), (cols, 1)])
    }

    /// Views a tensor from its first element, with `(size, stride)` of each dimension.
    pub fn strided(tensor: Id, dims: &[(usize, usize)]) -> View {
        let dims = dims.iter().map(|&(size, stride)| Dim::new(size, stride));
        View {
            tensor,
            offset: 0,
            dims: dims.collect(),
        }
    }

    pub fn shape(&self) -> Vec<usize> {
        self.dims.iter().map(|dim| dim.size).collect()
    }

    pub fn len(&self) -> usize {
        elements(&self.shape())
    }

    /// Returns the dimensions of more than one element.
    fn long(&self) -> Vec<Dim> {
        self.dims
            .iter()
            .copied()
            .filter(|dim| dim.size != 1)
            .collect()
    }

    pub fn transpose(&self, order: &[usize]) -> View {
        let dims = order.iter().map(|&axis| self.dims[axis]).collect();
        View {
            dims,
            ..self.clone()
        }
    }

    pub fn slice(&self, axis: usize, start: usize, size: usize) -> View {
        let mut view = self.clone();
        view.offset += start * view.dims[axis].stride;
        view.dims[axis] = Dim::new(size, view.dims[axis].stride);
        view
    }

    /// Returns the same elements in another shape, or `None` where that would need a copy or their number
    /// differs.
    pub fn reshape(&self, shape: &[usize]) -> Option<View> {
        // Neighbours that lie in memory as one dimension would, merged.
        let mut merged: Vec<Dim> = Vec::new();
        for dim in self.long() {
            match merged.last_mut() {
                Some(last) if last.stride == dim.size * dim.stride => {
                    *last = Dim::new(last.size * dim.size, dim.stride);
                }
                _ => merged.push(dim),
            }
        }
        if elements(shape) != self.len() {
            return None;
        }
        // Innermost first, each new dimension takes its part of a merged one.
        let mut dims = vec![Dim::new(1, 0); shape.len()];
        let mut rest = Dim::new(1, 0);
        for (dim, &size) in dims.iter_mut().zip(shape).rev() {
            if size == 1 {
                continue;
            }
            if rest.size == 1 {
                rest = merged.pop()?;
            }
            if !rest.size.is_multiple_of(size) {
                return None;
            }
            *dim = Dim::new(size, rest.stride);
            rest = Dim::new(rest.size / size, rest.stride * size);
        }
        Some(View {
            dims,
            ..self.clone()
        })
    }

    /// Returns first row and number of rows, if the view is whole rows of a tensor of `cols` columns.
    pub fn as_rows(&self, cols: usize) -> Option<(usize, usize)> {
        let rows = self.len() / cols;
        let whole = View {
            offset: self.offset,
            ..View::all(self.tensor, rows, cols)
        };
        let last = self.dims.last()?.size;
        (last == cols && self.offset.is_multiple_of(cols) && self.reshape(&[rows, cols])? == whole)
            .then_some((self.offset / cols, rows))
    }

    /// Returns heads and rows, if the view is `[heads, rows, width]` with head h being columns `h *
    /// width..` of a tensor of `cols` columns.
    pub fn as_heads(&self, cols: usize) -> Option<(usize, usize)> {
        let axes = self.dims.len().checked_sub(3);
        let (heads, rest) = match axes {
            Some(batch) if self.dims[..batch].iter().all(|dim| dim.size == 1) => {
                (self.dims[batch].size, &self.dims[batch + 1..])
            }
            None if self.dims.len() == 2 => (1, &self.dims[..]),
            _ => return None,
        };
        let (rows, width) = (rest[0].size, rest[1].size);
        let expected = View::strided(self.tensor, &[(heads, width), (rows, cols), (width, 1)]);
        (heads * width == cols && self.offset == 0 && self.long() == expected.long())
            .then_some((heads, rows))
    }

    /// Returns the index in the tensor of each element, in the view's row-major order.
    pub fn indices(&self) -> Vec<usize> {
        let mut indices = vec![self.offset];
        for dim in &self.dims {
            let along = |start: &usize| {
                let start = *start;
                (0..dim.size).map(move |i| start + i * dim.stride)
            };
            indices = indices.iter().flat_map(along).collect();
        }
        indices
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_split_into_heads_and_joined_again_are_the_same_rows() {
        // As an attention layer writes it, 10 rows of 4 heads of 16.
        let rows = View::all(7, 10, 64);
        let heads = rows.reshape(&[10, 4, 16]).unwrap().transpose(&[1, 0, 2]);
        assert_eq!(heads.shape(), [4, 10, 16]);
        assert_eq!(heads.as_heads(64), Some((4, 10)));
        let with_batch = heads.reshape(&[1, 4, 10, 16]).unwrap();
        assert_eq!(with_batch.as_heads(64), Some((4, 10)));
        let joined = heads.transpose(&[1, 0, 2]).reshape(&[10, 64]).unwrap();
        assert_eq!(joined, rows);
        assert_eq!(joined.as_rows(64), Some((0, 10)));
    }

    #[test]
    fn a_reshape_across_a_transpose_would_need_a_copy() {
        let transposed = View::all(0, 10, 64).transpose(&[1, 0]);
        assert_eq!(transposed.reshape(&[640]), None);
        assert_eq!(transposed.as_rows(64), None);
        let stacked = View::all(0, 8, 64).reshape(&[2, 4, 64]).unwrap();
        assert_eq!(stacked.as_rows(64), Some((0, 8)));
        let with_batch = transposed.reshape(&[1, 64, 10]).unwrap();
        assert_eq!(with_batch.transpose(&[0, 2, 1]).as_rows(64), Some((0, 10)));
    }

    #[test]
    fn slices_of_rows_are_rows_and_slices_of_columns_are_not() {
        let all = View::all(0, 10, 64);
        assert_eq!(all.slice(0, 3, 5).as_rows(64), Some((3, 5)));
        assert_eq!(all.slice(1, 0, 32).as_rows(64), None);
        assert_eq!(all.slice(0, 4, 1).as_rows(64), Some((4, 1)));
    }

    #[test]
    fn indices_follow_the_view() {
        let view = View::all(0, 2, 3).transpose(&[1, 0]);
        assert_eq!(view.indices(), [0, 3, 1, 4, 2, 5]);
        assert_eq!(View::all(0, 3, 2).slice(0, 1, 2).indices(), [2, 3, 4, 5]);
    }
}
