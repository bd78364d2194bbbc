//! These are the checks of the NPU section.

use super::{
    Config, Id, Io, Part, Payload, Program, SECTION_BYTES, attentions, first_written_rows,
    inputs_and_outputs,
};
use crate::image::{ALIGNMENT, Image, ParseError, take};

/// Checks the NPU section, if there is one, against the plan.
pub(in crate::image) fn section(image: &Image<'_>) -> Result<(), ParseError> {
    let Some((bytes, mode)) = image.npu else {
        return Ok(());
    };
    let program = Program::find(bytes, mode)?;
    let records = records(image, bytes, &program)?;
    parts(bytes, &program, records)?;
    if program.section.estimate.clock_hz == 0 {
        let (field, problem) = ("clock", "must be at least 1 Hz");
        return Err(ParseError::Npu { field, problem });
    }
    payload(&program)
}

/// Checks the inputs and outputs, and returns where their records end.
fn records(image: &Image<'_>, bytes: &[u8], program: &Program<'_>) -> Result<usize, ParseError> {
    let problem = "are those of a plan that writes its features or has more than 256 attentions";
    let features_written = first_written_rows(image)[0].is_some_and(|row| row < u16::MAX);
    if features_written || attentions(image).nth(usize::from(u8::MAX) + 1).is_some() {
        let field = "inputs and outputs";
        return Err(ParseError::Npu { field, problem });
    }
    let mut rest = bytes.get(SECTION_BYTES..).unwrap_or_default();
    let mut expected = inputs_and_outputs(image);
    for index in 0..program.section.io {
        let error = |field, problem| ParseError::NpuIo {
            index,
            field,
            problem,
        };
        let encoding = error("encoding", "is not a postcard record");
        let io: Io = take(&mut rest).ok_or(encoding)?;
        let (role, length) = expected
            .next()
            .ok_or(error("role", "is one more than the plan has"))?;
        if io.role != role {
            return Err(error("role", "is not the next one of the plan's"));
        }
        if io.bytes != length {
            return Err(error("bytes", "are not those of the plan"));
        }
        let end = io.offset.checked_add(io.bytes);
        let inside = end.filter(|&end| end <= program.section.scratch_bytes);
        let end = inside.ok_or(error("offset", "ends outside the scratch buffer"))?;
        // At most one of 256 masks and of 64 caches twice: few.
        let before = program.io().take(index.into());
        let mut alike = before.filter(|other| other.role.is_output() == role.is_output());
        if alike.any(|other| io.offset < other.end() && other.offset < end) {
            return Err(error("offset", "overlaps another input, or another output"));
        }
    }
    match expected.next() {
        Some(_) => Err(ParseError::Npu {
            field: "inputs and outputs",
            problem: "are fewer than the plan has",
        }),
        None => Ok(bytes.len().saturating_sub(rest.len())),
    }
}

/// Checks that payload and constants follow the records, and end the section.
fn parts(bytes: &[u8], program: &Program<'_>, mut end: usize) -> Result<(), ParseError> {
    let section = program.section;
    for (part, field) in [
        (section.payload, "payload"),
        (section.constants, "constants"),
    ] {
        let Part { offset, bytes } = part;
        let problem = "does not follow, at a multiple of 16, what is before it";
        if end.checked_next_multiple_of(ALIGNMENT) != Some(offset as usize) {
            return Err(ParseError::Npu { field, problem });
        }
        end = (offset as usize).saturating_add(bytes as usize);
    }
    let (field, problem) = ("constants", "do not end with the section");
    match end == bytes.len() {
        true => Ok(()),
        false => Err(ParseError::Npu { field, problem }),
    }
}

/// Checks that the payload is for the NPU that the section names.
fn payload(program: &Program<'_>) -> Result<(), ParseError> {
    let error = |field, problem| ParseError::Npu { field, problem };
    let payload = Payload::parse(program.payload).map_err(|problem| error("payload", problem))?;
    let (config, id) = (Config(payload.config), Id(payload.id));
    let section = program.section;
    for (same, field) in [
        (
            config.product() == u32::from(section.product as u8),
            "product",
        ),
        (
            config.macs_log2() == section.macs_log2.into(),
            "multiply-accumulates",
        ),
        (
            config.stream_version() == section.stream_version.into(),
            "stream version",
        ),
        (id.arch() == section.arch, "architecture"),
    ] {
        if !same {
            return Err(error(field, "is not that of the payload"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::section::test_section::{Parts, with_npu};
    use crate::image::section::{MemoryMode, Role};
    use crate::image::{field, npu_scratch_bytes};
    use crate::plan::{Location, Op, TensorId};
    use crate::test_image::{CLASSES, MELS, STREAM, tiny, tiny_with};
    use std::string::{String, ToString};
    use std::{vec, vec::Vec};

    /// The error of the tiny image with a section, after a change to its parts.
    fn error_after(change: impl FnOnce(&mut Parts)) -> String {
        let image = tiny(2);
        let mut parts = Parts::new(&Image::parse(image.get()).unwrap());
        change(&mut parts);
        let bytes = parts.append(image.get());
        Image::parse(bytes.get()).unwrap_err().to_string()
    }

    /// By hand: hidden 4; keys, values (4 rows of left context each) and a convolution of kernel 3.
    #[test]
    fn a_section_gives_back_its_parts_and_its_buffer_is_a_constant() {
        let bytes = with_npu(tiny(2).get());
        let image = Image::parse(bytes.get()).unwrap();
        let program = image.npu().unwrap();
        let io: Vec<_> = program.io().map(|io| (io.role, io.bytes)).collect();
        let chunk = u32::from(STREAM.chunk);
        let outputs = u32::from(STREAM.step) * u32::from(CLASSES);
        let expected = [
            (Role::Features, chunk * u32::from(MELS)),
            (Role::Mask(0), u32::from(STREAM.left_context) + chunk),
            (Role::Cache(1), 4 * 4),
            (Role::Cache(2), 4 * 4),
            (Role::Cache(3), 2 * 4),
            (Role::Logits, outputs),
            (Role::Posteriors, outputs),
            (Role::Rows(1), chunk * 4),
            (Role::Rows(2), chunk * 4),
            (Role::Rows(3), chunk * 4),
        ];
        assert_eq!(io, expected);
        assert_eq!(program.constants, [7; 600]);
        let payload = program.payload().unwrap();
        assert_eq!((payload.config, payload.stream.len()), (8, 256));
        assert_eq!(payload.stream.as_ptr().addr() % 16, 0);
        assert_eq!(program.constants.as_ptr().addr() % 16, 0);
        let scratch = program.section.scratch_bytes as usize;
        assert_eq!(npu_scratch_bytes(bytes.get()), scratch);
        assert_eq!(npu_scratch_bytes(tiny(2).get()), 0);
        for end in 0..bytes.get().len() {
            assert!([0, scratch].contains(&npu_scratch_bytes(&bytes.get()[..end])));
        }
    }

    /// Scratch memory, to the end of a cache line of 32 bytes, then 600 bytes of constants.
    #[test]
    fn constants_in_sram_lie_behind_the_scratch_memory_and_the_buffer_is_a_constant_too() {
        let image = tiny(2);
        let mut parts = Parts::new(&Image::parse(image.get()).unwrap());
        parts.section.scratch_bytes += 3;
        parts.memory_mode = MemoryMode::SramOnly;
        let lines = parts.section.scratch_bytes as usize / 32 + 1;
        let bytes = parts.append(image.get());
        let program = Image::parse(bytes.get()).unwrap().npu().unwrap();
        let place = program.constants_place().unwrap();
        assert_eq!((place.start, place.len()), (lines * 32, 600));
        assert_eq!(npu_scratch_bytes(bytes.get()), lines * 32 + 600);
        assert_eq!(program.buffer_bytes(), lines * 32 + 600);
    }

    #[test]
    fn a_memory_mode_that_is_not_known_or_of_no_section_is_refused() {
        for (image, mode, problem) in [
            (with_npu(tiny(2).get()), 2, "must be 0 or 1"),
            (tiny(2), 1, "must be 0 where there is no section"),
        ] {
            let mut bytes = image;
            bytes.get_mut()[field::NPU_MEMORY_MODE.start] = mode;
            bytes.repair();
            let error = Image::parse(bytes.get()).unwrap_err();
            let expected = ParseError::Header {
                field: "NPU memory mode",
                problem,
            };
            assert_eq!(error, expected);
        }
    }

    #[test]
    fn inputs_and_outputs_that_are_not_those_of_the_plan_are_named() {
        let error =
            |index: usize, change: fn(&mut Io)| error_after(|parts| change(&mut parts.io[index]));
        for (index, change, problem) in [
            (
                0,
                (|io| io.role = Role::Logits) as fn(&mut Io),
                "role: is not the next one of the plan's",
            ),
            (
                2,
                |io| io.role = Role::Cache(2),
                "role: is not the next one of the plan's",
            ),
            (4, |io| io.bytes -= 1, "bytes: are not those of the plan"),
            (
                9,
                |io| io.offset = u32::MAX,
                "offset: ends outside the scratch buffer",
            ),
            (
                8,
                |io| io.offset -= 11,
                "offset: overlaps another input, or another output",
            ),
            (
                1,
                |io| io.offset -= 5,
                "offset: overlaps another input, or another output",
            ),
        ] {
            let expected = std::format!("NPU input or output {index}, {problem}");
            assert_eq!(error(index, change), expected);
        }
        let error = error_after(|parts| {
            parts.io.pop();
            parts.section.io -= 1;
        });
        assert_eq!(
            error,
            "NPU section, inputs and outputs: are fewer than the plan has"
        );
        let error = error_after(|parts| {
            parts.io.push(parts.io[9]);
            parts.section.io += 1;
        });
        assert_eq!(
            error,
            "NPU input or output 10, role: is one more than the plan has"
        );
    }

    #[test]
    fn an_estimate_at_a_clock_that_stands_still_is_refused() {
        let error = error_after(|parts| parts.section.estimate.clock_hz = 0);
        assert_eq!(error, "NPU section, clock: must be at least 1 Hz");
    }

    #[test]
    fn outputs_may_lie_where_inputs_were() {
        let image = tiny(2);
        let mut parts = Parts::new(&Image::parse(image.get()).unwrap());
        parts.io[7].offset = parts.io[2].offset;
        assert!(Image::parse(parts.append(image.get()).get()).is_ok());
    }

    #[test]
    fn payloads_that_no_driver_could_read_are_named() {
        let error =
            |change: &dyn Fn(&mut Vec<u32>)| error_after(|parts| change(&mut parts.payload));
        let payload = |problem: &str| std::format!("NPU section, payload: {problem}");
        let short = "ends before its command stream";
        assert_eq!(
            error(&|words| words[0] += 1),
            payload("must be words that begin with COP1")
        );
        assert_eq!(
            error(&|words| words.clear()),
            payload("must be words that begin with COP1")
        );
        assert_eq!(error(&|words| words.truncate(3)), payload(short));
        assert_eq!(error(&|words| words.truncate(7)), payload(short));
        let stream = payload("must end with its command stream");
        assert_eq!(error(&|words| words.push(0)), stream);
        assert_eq!(error(&|words| words.truncate(70)), stream);
        assert_eq!(error(&|words| words.truncate(8)), stream);
        let aligned = payload("must hold its command stream at a multiple of 16");
        assert_eq!(error(&|words| _ = words.remove(4)), aligned);
        let action = payload("holds a driver action that is not known");
        assert_eq!(error(&|words| words[4] = 9), action);
        let target = payload("does not say which NPU it is for");
        assert_eq!(error(&|words| words[1..4].fill(5)), target);
        for (word, flip, field) in [
            (2, 1, "multiply-accumulates"),
            (2, 1 << 4, "stream version"),
            (2, 1 << 28, "product"),
            (3, 1 << 20, "architecture"),
        ] {
            let expected = std::format!("NPU section, {field}: is not that of the payload");
            assert_eq!(error(&|words| words[word] ^= flip), expected);
        }
    }

    /// The error after a change to the bytes of the section.
    fn error_of_bytes(change: impl FnOnce(&mut [u8])) -> String {
        let mut bytes = with_npu(tiny(2).get());
        let at = bytes.get()[field::NPU_OFFSET].try_into().unwrap();
        change(&mut bytes.get_mut()[u32::from_le_bytes(at) as usize..]);
        bytes.repair();
        Image::parse(bytes.get()).unwrap_err().to_string()
    }

    #[test]
    fn parts_that_do_not_lie_where_they_should_are_named() {
        let encoding = error_of_bytes(|section| section[0] = 3);
        assert_eq!(encoding, "NPU section, encoding: is not a postcard section");
        // Offset and length of payload, then of constants.
        let follow = "does not follow, at a multiple of 16, what is before it";
        for (at, change, expected) in [
            (6, 16, std::format!("payload: {follow}")),
            (9, 1, "payload: lies outside the section".into()),
            (14, -16, std::format!("constants: {follow}")),
            (14, -8, std::format!("constants: {follow}")),
            (17, 1, "constants: lies outside the section".into()),
            (18, -1, "constants: do not end with the section".into()),
        ] {
            let change = |byte: &mut u8| *byte = byte.wrapping_add_signed(change);
            let error = error_of_bytes(|section| change(&mut section[at]));
            assert_eq!(error, std::format!("NPU section, {expected}"), "byte {at}");
        }
    }

    #[test]
    fn a_header_that_lies_about_the_section_is_refused() {
        for (at, change, field) in [
            (field::NPU_OFFSET, 16, "NPU section offset"),
            (field::NPU_LENGTH, 1, "NPU section length"),
            (field::SEGMENT_LENGTH, 16, "NPU section offset"),
        ] {
            let mut bytes = with_npu(tiny(2).get());
            bytes.get_mut()[at.start] ^= change;
            bytes.repair();
            let error = Image::parse(bytes.get()).unwrap_err();
            let named = matches!(error, ParseError::Header { field: name, .. } if name == field);
            assert!(named, "{field}: {error}");
        }
    }

    #[test]
    fn a_plan_that_writes_its_features_has_no_equal_on_an_npu() {
        let image = tiny_with(2, |tensors, ops| {
            // A lookup within the feature window, rows 0 to the one to rows 1 to 2.
            let mut first = tensors[3];
            first.rows = 1;
            let location = Location::Cache { cache: 0, row: 1 };
            let second = crate::plan::Tensor { location, ..first };
            let [input, output] = [0, 1].map(|n| TensorId(tensors.len() as u16 + n));
            tensors.extend([first, second]);
            let table = ops.iter().find_map(|op| match *op {
                Op::Lookup { table, .. } => Some(table),
                _ => None,
            });
            let table = table.unwrap();
            ops.push(Op::Lookup {
                input,
                output,
                table,
            });
        });
        assert!(Image::parse(image.get()).is_ok());
        let bytes = with_npu(image.get());
        let error = Image::parse(bytes.get()).unwrap_err().to_string();
        assert!(error.contains("a plan that writes its features"), "{error}");
        // One attention more than masks have numbers.
        let many = tiny_with(2, |_, ops| ops.extend(vec![ops[5]; 256]));
        let error = Image::parse(with_npu(many.get()).get())
            .unwrap_err()
            .to_string();
        assert!(error.contains("more than 256 attentions"), "{error}");
    }
}
