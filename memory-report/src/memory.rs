//! Labels the bytes of a section, each of which belongs to one part.

use std::collections::HashMap;
use std::ops::Range;

use zerda_firmware::Image;
use zerda_firmware::audio::BLOCK;
use zerda_firmware::plan::{Op, TensorId};
use zerda_support::image_file::ImageFile;
use zerda_support::image_parts::{self, ImagePart};
use zerda_support::operators::describe;

use crate::firmware::Label;
use crate::part::Kind;

/// Bytes of one block of audio, which a ring holds at least.
pub const BLOCK_BYTES: u64 = 2 * BLOCK as u64;

/// Range of addresses that is painted byte by byte: what is painted over counts once, for the last.
pub struct Bytes {
    range: Range<u64>,
    labels: Vec<Label>,
    numbers: HashMap<Label, u32>,
    owners: Vec<u32>,
}

impl Bytes {
    pub fn new(range: Range<u64>, rest: Label) -> Bytes {
        Bytes {
            owners: vec![0; (range.end - range.start) as usize],
            range,
            numbers: HashMap::from([(rest.clone(), 0)]),
            labels: vec![rest],
        }
    }

    /// Paints a range; what lies outside is left out. A range that begins outside is none of here:
    /// functions that the linker dropped keep the address 0.
    pub fn paint(&mut self, range: Range<u64>, label: Label) {
        if !self.range.contains(&range.start) {
            return;
        }
        let number = *self.numbers.entry(label.clone()).or_insert_with(|| {
            self.labels.push(label);
            self.labels.len() as u32 - 1
        });
        let at = |address: u64| (address.min(self.range.end) - self.range.start) as usize;
        let range = at(range.start)..at(range.end).max(at(range.start));
        self.owners[range].fill(number);
    }

    /// Returns the bytes of each label, in the order of their addresses.
    pub fn count(self) -> Vec<(Label, u64)> {
        let mut counts = vec![0; self.labels.len()];
        let mut order = Vec::new();
        for &owner in &self.owners {
            if counts[owner as usize] == 0 {
                order.push(owner);
            }
            counts[owner as usize] += 1;
        }
        let labels = order.into_iter().map(|owner| owner as usize);
        labels
            .map(|owner| (self.labels[owner].clone(), counts[owner]))
            .collect()
    }
}

/// Paints what each byte of an image is.
pub fn paint_image(bytes: &mut Bytes, start: u64, file: &ImageFile) {
    let Ok(image) = file.image() else { return };
    let operators: Vec<_> = image.ops().collect();
    for part in image_parts::parts(file.bytes(), &image) {
        let path = image_path(&image, &operators, &part);
        let range = start + part.range.start as u64..start + part.range.end as u64;
        bytes.paint(range, (Kind::Model, path));
    }
}

fn image_path(image: &Image<'_>, operators: &[Op], part: &ImagePart) -> Vec<String> {
    let operator = part
        .operator
        .and_then(|number| Some((number, *operators.get(number)?)));
    let Some((number, op)) = operator else {
        return vec![match part.kind {
            "front_end" => "front end".into(),
            "npu" => "NPU section".into(),
            "other" => "padding".into(),
            kind => kind.into(),
        }];
    };
    let (name, shape) = describe(image, op);
    let name = format!("{number} {name} {shape}");
    vec!["operators".into(), name, part.kind.into()]
}

/// Paints the recognizer's memory at the start of a static; returns false if the static is too small, or
/// much too large, to be that.
pub fn paint_memory(bytes: &mut Bytes, range: &Range<u64>, file: &ImageFile) -> bool {
    /// Largest number of bytes that the cell around it takes: a flag, and what aligns it.
    const CELL: u64 = 64;
    let Ok(image) = file.image() else {
        return false;
    };
    let needed = image.memory_bytes() as u64;
    let size = range.end - range.start;
    if !(needed..=needed + CELL).contains(&size) {
        return false;
    }
    let caches = range.start..range.start + image.cache_bytes() as u64;
    let arena = caches.end..caches.end + image.arena_bytes() as u64;
    let cell = vec!["recognizer's flag and padding".into()];
    bytes.paint(range.clone(), (Kind::Statics, cell));
    bytes.paint(caches.clone(), (Kind::Caches, vec!["alignment".into()]));
    for (number, cache) in image.caches().enumerate() {
        let at = cache.byte_range();
        let at = caches.start + at.start as u64..caches.start + at.end as u64;
        let role = role(&image, number);
        let shape = format!("{}x{}", cache.capacity, cache.cols);
        let name = format!("{number} {role} {shape}");
        bytes.paint(at, (Kind::Caches, vec![name]));
    }
    bytes.paint(arena, (Kind::Arena, Vec::new()));
    true
}

/// Says what a cache holds, by who reads it.
fn role(image: &Image<'_>, number: usize) -> &'static str {
    if number == 0 {
        return "features";
    }
    let is_here = |id: TensorId| {
        let row = image.tensor(id).and_then(|tensor| tensor.cache_row());
        row.is_some_and(|(cache, _)| cache == number)
    };
    let roles = image.ops().filter_map(|op| match op {
        Op::Scores { key, .. } if is_here(key) => Some("keys"),
        Op::Context { value, .. } if is_here(value) => Some("values"),
        Op::DepthwiseConv(dense) if is_here(dense.input) => Some("convolution"),
        _ => None,
    });
    roles.into_iter().next().unwrap_or("rows")
}
