//! Follows the arena over time: which tensor lies where, from the operator that writes it to the last that
//! reads it.

use serde::Serialize;
use zerda_firmware::Image;
use zerda_firmware::plan::{Location, Tensor as Record};
use zerda_support::operators::{bytes, describe, operands};

/// Tensor that lies in the arena.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tensor {
    /// Number, name and shape of the operator that writes it.
    pub name: String,
    /// Position in the arena at which it begins, in bytes.
    pub offset: u64,
    pub bytes: u64,
    /// Number of the operator that writes it.
    pub first: usize,
    /// Number of the last operator that reads any byte of it; for what the decoder reads, that of the last
    /// operator.
    pub last: usize,
}

/// Returns the tensors in the order in which they are written. An operand may be a part of a tensor, or
/// several of them side by side: what counts is who wrote its bytes last.
pub fn tensors(image: &Image<'_>) -> Vec<Tensor> {
    const NOBODY: usize = usize::MAX;
    let mut writers = vec![NOBODY; image.arena_bytes()];
    let mut tensors: Vec<Tensor> = Vec::new();
    let length = writers.len();
    let in_arena = |id| {
        let tensor: Option<Record> = image.tensor(id);
        tensor.filter(|tensor| matches!(tensor.location, Location::Arena { .. }))
    };
    let range = |tensor: Record| {
        let range = tensor.byte_range().unwrap_or_default();
        range.start..range.end.min(length)
    };
    let operators = image.ops().count();
    let read = |tensors: &mut Vec<Tensor>, writers: &[usize], tensor, by: usize| {
        for &writer in &writers[range(tensor)] {
            if let Some(written) = tensors.get_mut(writer) {
                written.last = written.last.max(by);
            }
        }
    };
    for (number, op) in image.ops().enumerate() {
        let mut ids = operands(op);
        // The output is the last one.
        ids.pop();
        for tensor in ids.into_iter().filter_map(in_arena) {
            read(&mut tensors, &writers, tensor, number);
        }
        let Some(output) = in_arena(op.output()) else {
            continue;
        };
        let place = range(output);
        writers[place.clone()].fill(tensors.len());
        let (name, shape) = describe(image, op);
        tensors.push(Tensor {
            name: format!("{number} {name} {shape}"),
            offset: place.start as u64,
            bytes: bytes(output) as u64,
            first: number,
            last: number,
        });
    }
    for id in [image.manifest().logits, image.manifest().posteriors] {
        if let Some(tensor) = in_arena(id) {
            read(&mut tensors, &writers, tensor, operators.saturating_sub(1));
        }
    }
    tensors
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use zerda_support::image_file::ImageFile;

    use super::*;

    #[test]
    fn no_two_tensors_of_the_shipped_model_are_in_one_place_at_one_time() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/shrunk.zerda");
        let file = ImageFile::open(&path).unwrap();
        let image = file.image().unwrap();
        let tensors = tensors(&image);
        assert!(tensors.len() > 30);
        for (index, a) in tensors.iter().enumerate() {
            assert!(a.first <= a.last && a.offset + a.bytes <= image.arena_bytes() as u64);
            for b in &tensors[index + 1..] {
                let in_time = a.first <= b.last && b.first <= a.last;
                let in_place = a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
                assert!(!(in_time && in_place), "{a:?} and {b:?}");
            }
        }
        // Every tensor but the last two is read by some operator.
        let unread = tensors.iter().filter(|tensor| tensor.first == tensor.last);
        assert!(unread.count() <= 1);
        // The arena is no larger than its tensors need.
        let end = tensors
            .iter()
            .map(|tensor| tensor.offset + tensor.bytes)
            .max();
        assert_eq!(
            end.unwrap().next_multiple_of(16),
            image.arena_bytes() as u64
        );
    }
}
