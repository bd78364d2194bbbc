//! Writes an image: the format is specified in [`zerda_firmware::image`].

use serde::Serialize;
use zerda_firmware::image::section::MemoryMode;
use zerda_firmware::image::{
    ALIGNMENT, Command, GrammarConfig, HEADER_BYTES, Image, Label, MAGIC, Manifest, Quiet, VERSION,
    Wake, checksum, field,
};
use zerda_firmware::plan::{Cache, Element, Location, Op, Tensor, TensorId};

use crate::image_parts::number;
use crate::quantization::Quantization;

/// Collects the records and constants of an image that is being written.
#[derive(Default)]
pub struct ImageWriter {
    pub tensors: Vec<Tensor>,
    pub ops: Vec<Op>,
    segment: Vec<u8>,
}

impl ImageWriter {
    /// Takes over all records and constants that an image holds; `file` is its bytes.
    pub fn of(image: &Image<'_>, file: &[u8]) -> ImageWriter {
        let segment = &file[number(file, field::SEGMENT_OFFSET)..];
        ImageWriter {
            tensors: image.tensors().collect(),
            ops: image.ops().collect(),
            segment: segment[..number(file, field::SEGMENT_LENGTH)].to_vec(),
        }
    }

    pub fn tensor(&mut self, tensor: Tensor) -> TensorId {
        self.tensors.push(tensor);
        TensorId((self.tensors.len() - 1) as u16)
    }

    /// Adds an i8 constant `[rows, cols]` and returns its id.
    pub fn i8(&mut self, values: &[i8], cols: usize, quantization: Quantization) -> TensorId {
        self.constant(Element::I8, values, cols, quantization)
    }

    /// Adds an i32 constant of one row and returns its id.
    pub fn i32(&mut self, values: &[i32]) -> TensorId {
        self.constant(
            Element::I32,
            values,
            values.len(),
            Quantization {
                scale: 1.0,
                zero_point: 0,
            },
        )
    }

    /// Adds an f32 constant of one row and returns its id.
    pub fn f32(&mut self, values: &[f32]) -> TensorId {
        self.constant(
            Element::F32,
            values,
            values.len(),
            Quantization {
                scale: 1.0,
                zero_point: 0,
            },
        )
    }

    fn constant<T: bytemuck::NoUninit>(
        &mut self,
        element: Element,
        values: &[T],
        cols: usize,
        Quantization { scale, zero_point }: Quantization,
    ) -> TensorId {
        let offset = self.segment.len().next_multiple_of(ALIGNMENT);
        self.segment.resize(offset, 0);
        // Images are little-endian, and so is every machine that this runs on.
        const { assert!(cfg!(target_endian = "little")) };
        self.segment.extend_from_slice(bytemuck::cast_slice(values));
        self.tensor(Tensor {
            location: Location::Constant {
                offset: offset as u32,
            },
            element,
            rows: (values.len() / cols) as u16,
            cols: cols as u16,
            scale,
            zero_point,
            keys: false,
        })
    }

    /// Returns the finished image. `manifest` states the counts of what it holds; the last argument holds
    /// the bytes of caches, and of the tensors in the arena.
    pub fn finish(
        self,
        manifest: Manifest,
        labels: &[Label],
        (grammar, commands): (GrammarConfig, &[Command]),
        (wake, quiet): (Option<Wake<'_>>, Option<Quiet>),
        caches: &[Cache],
        [cache_bytes, tensor_bytes]: [usize; 2],
    ) -> Vec<u8> {
        let mut image = vec![0; HEADER_BYTES];
        append(&mut image, &manifest);
        labels.iter().for_each(|label| append(&mut image, label));
        caches.iter().for_each(|cache| append(&mut image, cache));
        self.tensors
            .iter()
            .for_each(|tensor| append(&mut image, tensor));
        self.ops.iter().for_each(|op| append(&mut image, op));
        let commands_offset = image.len();
        if !commands.is_empty() {
            append(&mut image, &grammar);
            commands
                .iter()
                .for_each(|command| append(&mut image, command));
        }
        let commands_length = image.len() - commands_offset;
        let wake_offset = image.len();
        if let Some(wake) = wake {
            append(&mut image, &wake);
        }
        let wake_length = image.len() - wake_offset;
        let kept = quiet.map(|_| Quiet::kept_bytes(manifest.stream, manifest.front_end));
        let arena_bytes = tensor_bytes + kept.unwrap_or(0);
        let manifest_length = image.len() - HEADER_BYTES;
        let segment_offset = image.len().next_multiple_of(ALIGNMENT);
        image.resize(segment_offset, 0);
        image.extend_from_slice(&self.segment);

        image[field::MAGIC].copy_from_slice(&MAGIC);
        image[field::VERSION].copy_from_slice(&VERSION.to_le_bytes());
        image[field::HEADER_LENGTH].copy_from_slice(&(HEADER_BYTES as u16).to_le_bytes());
        for (field, value) in [
            (field::TOTAL_LENGTH, image.len()),
            (field::MANIFEST_LENGTH, manifest_length),
            (field::SEGMENT_OFFSET, segment_offset),
            (field::SEGMENT_LENGTH, self.segment.len()),
            (field::CACHE_BYTES, cache_bytes),
            (field::ARENA_BYTES, arena_bytes),
            (field::ALIGNMENT, ALIGNMENT),
            (field::COMMANDS_LENGTH, commands_length),
            (field::WAKE_LENGTH, wake_length),
        ] {
            image[field].copy_from_slice(&(value as u32).to_le_bytes());
        }
        let level_frames = manifest.front_end.level_frames;
        image[field::LEVEL_FRAMES].copy_from_slice(&level_frames.to_le_bytes());
        let quiet = quiet.map_or(0, Quiet::field);
        image[field::QUIET].copy_from_slice(&quiet.to_le_bytes());
        let checksum = checksum(&image);
        image[field::CHECKSUM].copy_from_slice(&checksum.to_le_bytes());
        image
    }
}

/// Puts an NPU section at the end of an image that has none.
pub fn attach_npu(image: &mut Vec<u8>, section: &[u8], memory_mode: MemoryMode) {
    let offset = image.len().next_multiple_of(ALIGNMENT);
    image.resize(offset, 0);
    image.extend(section);
    for (field, value) in [
        (field::TOTAL_LENGTH, image.len()),
        (field::NPU_OFFSET, offset),
        (field::NPU_LENGTH, section.len()),
    ] {
        image[field].copy_from_slice(&(value as u32).to_le_bytes());
    }
    image[field::NPU_MEMORY_MODE].copy_from_slice(&(memory_mode as u16).to_le_bytes());
    let sum = checksum(image).to_le_bytes();
    image[field::CHECKSUM].copy_from_slice(&sum);
}

fn append(image: &mut Vec<u8>, record: &impl Serialize) {
    let bytes = std::mem::take(image);
    // Into a vector, of records without maps or floats that postcard could refuse: cannot fail.
    *image = postcard::to_extend(record, bytes).expect("a record of the manifest");
}
