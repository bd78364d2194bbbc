//! Writes the NPU section: the format is specified in [`zerda_firmware::image::section`].

use std::path::Path;

use serde::Serialize;
use zerda_firmware::Image;
use zerda_firmware::image::section::{
    Estimate, Io, MemoryMode, Part, Payload, Product, Role, SECTION_BYTES, Section,
    inputs_and_outputs,
};
use zerda_firmware::image::{ALIGNMENT, field};
use zerda_firmware::npu::registers::{Config, Id};
use zerda_support::image_file::ImageFile;
use zerda_support::image_parts::number;
use zerda_support::image_writer::attach_npu;

use super::compiled::Compiled;
use super::vela;

/// Returns the image with this section instead of any that it has.
///
/// # Errors
///
/// Says what of Vela's output does not fit the image.
pub fn pack(
    file: &[u8],
    image: &Image<'_>,
    compiled: &Compiled,
    estimate: &vela::Estimate,
    memory_mode: MemoryMode,
) -> Result<ImageFile, String> {
    let end = number(file, field::SEGMENT_OFFSET) + number(file, field::SEGMENT_LENGTH);
    let mut bytes = file[..end].to_vec();
    let section = section(image, compiled, estimate)?;
    attach_npu(&mut bytes, &section, memory_mode);
    let written = ImageFile::new(Path::new("with the step for the NPU"), &bytes);
    written.image().map_err(|error| error.to_string())?;
    Ok(written)
}

fn section(
    image: &Image<'_>,
    compiled: &Compiled,
    estimate: &vela::Estimate,
) -> Result<Vec<u8>, String> {
    let payload =
        Payload::parse(&compiled.payload).map_err(|why| format!("Vela's payload {why}"))?;
    let (config, id) = (Config(payload.config), Id(payload.id));
    let product = match config.product() {
        0 => Product::U55,
        1 => Product::U65,
        2 => Product::U85,
        other => return Err(format!("Vela's payload is for NPU product {other}")),
    };

    let mut io = Vec::new();
    let mut given = compiled.io.iter();
    for (role, bytes) in inputs_and_outputs(image) {
        let name = name(role);
        let next = given
            .next()
            .filter(|next| next.0 == name && next.2 == bytes);
        let next = next.ok_or_else(|| format!("Vela's output lacks {name} of {bytes} bytes"))?;
        let offset = next.1;
        append(
            &mut io,
            &Io {
                role,
                offset,
                bytes,
            },
        );
    }

    let part = |end: usize, bytes: &[u8]| Part {
        offset: end.next_multiple_of(ALIGNMENT) as u32,
        bytes: bytes.len() as u32,
    };
    let payload = part(SECTION_BYTES + io.len(), &compiled.payload);
    let payload_end = payload.offset as usize + compiled.payload.len();
    let constants = part(payload_end, &compiled.constants);
    let mut bytes = Vec::new();
    append(
        &mut bytes,
        &Section {
            product,
            macs_log2: config.macs_log2() as u8,
            stream_version: config.stream_version() as u8,
            arch: id.arch(),
            payload,
            constants,
            scratch_bytes: compiled.scratch_bytes,
            io: compiled.io.len() as u16,
            estimate: Estimate {
                clock_hz: estimate.clock_hz as u32,
                cycles: estimate.cycles as u32,
                npu_cycles: estimate.npu_cycles as u32,
                sram_bytes: estimate.sram_bytes as u32,
                flash_bytes: estimate.flash_bytes as u32,
            },
        },
    );
    bytes.extend(io);
    for (part, data) in [
        (payload, &compiled.payload),
        (constants, &compiled.constants),
    ] {
        bytes.resize(part.offset as usize, 0);
        bytes.extend(data);
    }
    Ok(bytes)
}

/// Returns the name that the exported model has for an input or output.
fn name(role: Role) -> String {
    match role {
        Role::Features => "features".into(),
        Role::Mask(index) => format!("mask_{index}"),
        Role::Cache(index) => format!("cache_{index}"),
        Role::Logits => "logits".into(),
        Role::Posteriors => "posteriors".into(),
        Role::Rows(index) => format!("rows_{index}"),
    }
}

fn append(bytes: &mut Vec<u8>, record: &impl Serialize) {
    // Into a vector, of records without maps or floats that postcard could refuse: cannot fail.
    *bytes = postcard::to_extend(record, std::mem::take(bytes)).expect("a record of the section");
}
