//! Says what each byte of an image is.

use std::collections::HashSet;
use std::ops::Range;

use zerda_firmware::Image;
use zerda_firmware::image::{HEADER_BYTES, field};

use crate::operators::constants;

/// Range of an image's bytes that is one thing, such as the weights of an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImagePart {
    /// Name of what the bytes are: `header`, `manifest`, `front_end`, `npu`, `other`, or what an operator
    /// reads: `weights`, `biases`, `multipliers`, `tables`, `operands`.
    pub kind: &'static str,
    /// First operator that reads it, if one does.
    pub operator: Option<usize>,
    /// Bytes that it takes in the file.
    pub range: Range<usize>,
}

/// Reads a field of the header, as of [`field`], of an image that was parsed.
pub fn number(file: &[u8], field: Range<usize>) -> usize {
    let bytes = file[field].try_into();
    u32::from_le_bytes(bytes.unwrap_or_default()) as usize
}

/// Returns the parts of an image, in their order; together they are the file. `other` is padding, and what
/// nothing reads.
pub fn parts(file: &[u8], image: &Image<'_>) -> Vec<ImagePart> {
    let number = |field| number(file, field);
    let segment = number(field::SEGMENT_OFFSET);
    let part = |kind, operator, start: usize, length: usize| ImagePart {
        kind,
        operator,
        range: start..start + length,
    };
    let manifest = number(field::MANIFEST_LENGTH);
    let mut parts = vec![
        part("header", None, 0, HEADER_BYTES),
        part("manifest", None, HEADER_BYTES, manifest),
    ];
    let front_end = image.manifest().front_end;
    let tables = [
        front_end.window_table,
        front_end.mel_weight,
        front_end.mel_band,
    ];
    let tables = tables.into_iter().filter_map(|id| image.tensor(id));
    let tables = tables.map(|tensor| ("front_end", None, tensor));
    let operators = image.ops().enumerate().flat_map(|(number, op)| {
        let constants = constants(image, op).into_iter();
        constants.map(move |(kind, tensor)| (kind, Some(number), tensor))
    });
    let mut counted = HashSet::new();
    let constants = tables.chain(operators);
    let constants = constants.filter_map(|(kind, operator, tensor)| {
        let range = tensor.byte_range()?;
        let first = counted.insert(range.start);
        first.then(|| part(kind, operator, segment + range.start, range.len()))
    });
    parts.extend(constants);
    if image.npu().is_some() {
        let (at, length) = (number(field::NPU_OFFSET), number(field::NPU_LENGTH));
        parts.push(part("npu", None, at, length));
    }
    parts.sort_by_key(|part| part.range.start);
    with_gaps(parts, file.len())
}

/// Fills the gaps: what no part covers is a part, too; what two cover is the first one's.
fn with_gaps(parts: Vec<ImagePart>, length: usize) -> Vec<ImagePart> {
    let mut all: Vec<ImagePart> = Vec::new();
    let mut end = 0;
    let gap = |range| ImagePart {
        kind: "other",
        operator: None,
        range,
    };
    for mut part in parts {
        part.range.start = part.range.start.clamp(end, length);
        part.range.end = part.range.end.clamp(part.range.start, length);
        if part.range.start > end {
            all.push(gap(end..part.range.start));
        }
        end = part.range.end;
        all.push(part);
    }
    if end < length {
        all.push(gap(end..length));
    }
    all
}
