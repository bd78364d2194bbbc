//! This NPU section comes without an NPU: it is right in all that is checked, with a command stream of noise.

use std::vec::Vec;

use super::{
    ACTION_CONFIG, ACTION_NOP, ACTION_STREAM, COP1, Estimate, Io, MemoryMode, Part, Product,
    SECTION_BYTES, Section, inputs_and_outputs,
};
use crate::image::{Image, field};
use crate::test_image::Bytes;

/// The parts of a section, which a test may change.
pub struct Parts {
    /// Holds the head of the section; where its parts lie is filled in later.
    pub section: Section,
    /// Holds the inputs and outputs.
    pub io: Vec<Io>,
    /// Holds the words of the payload.
    pub payload: Vec<u32>,
    /// Holds the bytes of the constants.
    pub constants: Vec<u8>,
    /// Says where the NPU reads the constants.
    pub memory_mode: MemoryMode,
}

impl Parts {
    /// Makes the parts for an image's plan, compiled for an Ethos-U55 with 256 multiply-accumulates a cycle.
    pub fn new(image: &Image<'_>) -> Self {
        let mut scratch_bytes = 0;
        let io = inputs_and_outputs(image).map(|(role, bytes)| {
            let offset = scratch_bytes;
            scratch_bytes += bytes.next_multiple_of(16);
            Io {
                role,
                offset,
                bytes,
            }
        });
        let io: Vec<Io> = io.collect();
        let stream: Vec<u32> = (0..64).map(|word| word * 0x0101_0101).collect();
        let (config, id) = (8, 0x1010_0000);
        let nop = ACTION_NOP;
        let head = (stream.len() as u32) << 16 | ACTION_STREAM;
        let mut payload = std::vec![COP1, ACTION_CONFIG, config, id, nop, nop, nop, head];
        payload.extend(stream);
        let part = Part {
            offset: 0,
            bytes: 0,
        };
        let section = Section {
            product: Product::U55,
            macs_log2: 8,
            stream_version: 0,
            arch: [1, 1, 0],
            payload: part,
            constants: part,
            scratch_bytes: scratch_bytes + 512,
            io: io.len() as u16,
            estimate: Estimate {
                clock_hz: 500_000_000,
                cycles: 679_000,
                npu_cycles: 454_000,
                sram_bytes: scratch_bytes + 512,
                flash_bytes: 900,
            },
        };
        let constants = std::vec![7; 600];
        Self {
            section,
            io,
            payload,
            constants,
            memory_mode: MemoryMode::SharedSram,
        }
    }

    /// Makes the section one for another NPU, by its registers CONFIG and ID.
    pub fn target(&mut self, product: Product, config: u32, id: u32) {
        self.section.product = product;
        self.section.macs_log2 = (config & 0xf) as u8;
        self.section.stream_version = (config >> 4 & 0xf) as u8;
        self.section.arch = super::Id(id).arch();
        (self.payload[2], self.payload[3]) = (config, id);
    }

    /// Returns the image with this section, in place of any that it has.
    pub fn append(mut self, image: &[u8]) -> Bytes {
        let u32_at = |at: core::ops::Range<usize>| {
            u32::from_le_bytes(image[at].try_into().expect("four bytes")) as usize
        };
        let end = u32_at(field::SEGMENT_OFFSET) + u32_at(field::SEGMENT_LENGTH);
        let mut bytes = image[..end].to_vec();
        bytes.resize(end.next_multiple_of(16), 0);
        let start = bytes.len();
        let mut records = Vec::new();
        for io in &self.io {
            push(&mut records, io);
        }
        let mut offset = (SECTION_BYTES + records.len()).next_multiple_of(16);
        let payload: Vec<u8> = self
            .payload
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect();
        for (part, length) in [
            (&mut self.section.payload, payload.len()),
            (&mut self.section.constants, self.constants.len()),
        ] {
            part.offset = offset as u32;
            part.bytes = length as u32;
            offset = (offset + length).next_multiple_of(16);
        }
        push(&mut bytes, &self.section);
        bytes.extend(records);
        for part in [&payload, &self.constants] {
            bytes.resize(bytes.len().next_multiple_of(16), 0);
            bytes.extend(part);
        }
        let (total, length) = (bytes.len() as u32, (bytes.len() - start) as u32);
        for (at, value) in [
            (field::TOTAL_LENGTH, total),
            (field::NPU_OFFSET, start as u32),
            (field::NPU_LENGTH, length),
        ] {
            bytes[at].copy_from_slice(&value.to_le_bytes());
        }
        let mode = self.memory_mode as u16;
        bytes[field::NPU_MEMORY_MODE].copy_from_slice(&mode.to_le_bytes());
        let mut bytes = Bytes::new(&bytes);
        bytes.repair();
        bytes
    }
}

/// Returns an image with a section for an Ethos-U55.
pub fn with_npu(image: &[u8]) -> Bytes {
    let aligned = Bytes::new(image);
    let parts = Parts::new(&Image::parse(aligned.get()).expect("an image"));
    parts.append(image)
}

fn push(to: &mut Vec<u8>, record: &impl serde::Serialize) {
    to.extend_from_slice(postcard::to_slice(record, &mut [0; 64]).expect("it fits"));
}
