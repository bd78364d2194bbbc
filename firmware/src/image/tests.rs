//! Images that are not what they say, and what is said of them.

mod commands;

use super::*;
use crate::image::section::test_section::with_npu;
use crate::plan::{Clamp, Dense, Location, Op, Tensor, TensorId};
use crate::test_image::{
    Bytes, COMMANDS, GO_GO, Random, WAKE, tiny, tiny_with, with_commands, with_label, with_wake,
};
use std::string::ToString;

/// The error of the tiny image after a change to its bytes, with its checksum made true.
fn error_after(change: impl FnOnce(&mut [u8])) -> ParseError {
    let mut bytes = tiny(2);
    change(bytes.get_mut());
    bytes.repair();
    Image::parse(bytes.get()).unwrap_err()
}

#[test]
fn a_valid_image_gives_back_its_records() {
    let bytes = tiny(2);
    let image = Image::parse(bytes.get()).unwrap();
    let labels = image.labels().map(|label| (label.name, label.threshold));
    assert!(labels.eq([("go", 100), ("stop", 120), ("_silence_", 0)]));
    assert_eq!(image.caches().count(), 4);
    assert_eq!(image.tensors().count(), image.manifest().tensors.into());
    assert_eq!(image.ops().count(), image.manifest().ops.into());
    let (last, count) = (image.tensors().last(), image.manifest().tensors);
    assert_eq!(image.tensor(TensorId(count - 1)), last);
    assert_eq!(image.tensor(TensorId(count)), None);
    assert_eq!(image.cache(4), None);
    let window = image
        .tensor(image.manifest().front_end.window_table)
        .unwrap();
    assert_eq!(image.constant_f32(window)[200], 1.0);
    assert_eq!(image.constant_i8(window), []);
}

#[test]
fn records_of_fixed_size_have_that_size() {
    let bytes = tiny(2);
    let image = Image::parse(bytes.get()).unwrap();
    let mut buffer = [0; 64];
    for cache in image.caches() {
        assert_eq!(
            postcard::to_slice(&cache, &mut buffer).unwrap().len(),
            CACHE_BYTES
        );
    }
    for tensor in image.tensors() {
        assert_eq!(
            postcard::to_slice(&tensor, &mut buffer).unwrap().len(),
            TENSOR_BYTES
        );
    }
}

#[test]
fn what_is_no_image_is_told_from_a_damaged_a_cut_and_a_newer_one() {
    let bytes = tiny(2);
    let bytes = bytes.get();
    assert_eq!(
        Image::parse(b"\x89PNG\r\n").unwrap_err(),
        ParseError::NotAnImage
    );
    for found in [4, 63, 64, 500, bytes.len() - 1] {
        let expected = if found < 64 { 64 } else { bytes.len() };
        let cut = Image::parse(&bytes[..found]).unwrap_err();
        assert_eq!(cut, ParseError::Truncated { expected, found });
    }
    let mut newer = tiny(2);
    newer.get_mut()[4] = 3;
    let error = Image::parse(newer.get()).unwrap_err();
    assert_eq!(error, ParseError::Version { found: 3 });
    assert_eq!(
        error.to_string(),
        "format version 3, this program reads version 2"
    );
    let mut longer = bytes.to_vec();
    longer.push(0);
    let longer = Bytes::new(&longer);
    let error = Image::parse(longer.get()).unwrap_err();
    assert!(matches!(error, ParseError::TrailingBytes { .. }));
}

#[test]
fn an_image_off_its_alignment_is_refused() {
    let mut shifted = std::vec![0; 8];
    shifted.extend(tiny(2).get());
    let shifted = Bytes::new(&shifted);
    assert_eq!(
        Image::parse(&shifted.get()[8..]).unwrap_err(),
        ParseError::Misaligned
    );
}

#[test]
fn any_changed_bit_is_noticed() {
    for mut bytes in [tiny(2), with_npu(tiny(2).get())] {
        for at in 0..bytes.get().len() {
            bytes.get_mut()[at] ^= 1 << (at % 8);
            assert!(Image::parse(bytes.get()).is_err(), "byte {at}");
            bytes.get_mut()[at] ^= 1 << (at % 8);
        }
        assert!(Image::parse(bytes.get()).is_ok());
    }
}

#[test]
fn header_fields_that_lie_are_named() {
    for (at, name) in [
        (field::HEADER_LENGTH, "header length"),
        (field::SEGMENT_OFFSET, "tensor segment offset"),
        (field::SEGMENT_LENGTH, "tensor segment length"),
        (field::CACHE_BYTES, "cache bytes"),
        (field::ARENA_BYTES, "arena bytes"),
        (field::ALIGNMENT, "alignment"),
        (field::NPU_OFFSET, "NPU section offset"),
        (field::NPU_LENGTH, "NPU section length"),
        (field::QUIET, "quiet"),
        (field::RESERVED, "reserved"),
    ] {
        let error = error_after(|bytes| bytes[at.start] ^= 1);
        let named = matches!(error, ParseError::Header { field, .. } if field == name);
        assert!(named, "{name}: {error}");
    }
}

#[test]
fn manifest_fields_that_lie_are_named() {
    // The manifest starts with chunk, step and left context, a byte each.
    for (at, value, expected) in [
        (64, 0, "manifest, chunk: must be at least 1"),
        (65, 4, "manifest, step: must be 1..=chunk"),
        (
            66,
            5,
            "tensor 23, keys: must have left context and chunk as columns",
        ),
    ] {
        let error = error_after(|bytes| bytes[at] = value).to_string();
        assert_eq!(error, expected);
    }
}

#[test]
fn labels_that_no_report_could_hold_or_no_terminal_show_are_refused() {
    let named = |name: &str| {
        let bytes = with_label(tiny(2).get(), name);
        Image::parse(bytes.get()).map(|image| image.labels().next().unwrap().name.len())
    };
    let longest = "x".repeat(64);
    assert_eq!((named("rückwärts"), named(&longest)), (Ok(11), Ok(64)));
    let too_long = "x".repeat(65);
    for name in [
        "",
        &too_long,
        "go\nstop",
        "\x1b[31m",
        "go\x7f",
        "go\u{9b}2J",
    ] {
        let error = named(name).unwrap_err().to_string();
        assert!(
            error.starts_with("label 0, name: must have 1..=64"),
            "{error}"
        );
    }
}

#[test]
fn an_image_whose_second_of_audio_takes_too_much_work_is_refused() {
    // The product of two operands of 60 000 x 4 counts 9 for each element: 2 160 000.
    let bytes = |count: usize, hop: u8| {
        let mut bytes = tiny_with(2, |tensors, ops| {
            let first = tensors.len() as u16;
            let wide = Tensor {
                rows: 60_000,
                cols: 4,
                keys: false,
                ..tensors[10]
            };
            let offsets = [0, 240_000, 480_000];
            tensors.extend(offsets.map(|offset| Tensor {
                location: Location::Arena { offset },
                ..wide
            }));
            let Some(Op::Mul {
                output_scale,
                clamp,
                ..
            }) = ops.get(7).copied()
            else {
                return;
            };
            let mul = Op::Mul {
                a: TensorId(first),
                b: TensorId(first + 1),
                output: TensorId(first + 2),
                output_scale,
                clamp,
            };
            ops.extend(std::vec![mul; count]);
        });
        // After chunk, step, left context, rate and window: a varint of two bytes.
        bytes.get_mut()[HEADER_BYTES + 7..][..2].copy_from_slice(&[hop | 0x80, hop >> 7]);
        bytes.repair();
        bytes
    };
    let parse = |count, hop| Image::parse(bytes(count, hop).get()).map(|_| ());
    // A step of 20 ms: 50 a second, which 2^31 is for 42 949 672 each.
    assert_eq!(parse(19, 160), Ok(()));
    let error = parse(20, 160).unwrap_err();
    let problem = "exceeds 2^31 multiply-accumulates for each second of audio";
    let expected = ParseError::Manifest {
        field: "work",
        problem,
    };
    assert_eq!(error, expected);
    // A hop of one sample is no fault of itself: 8000 steps a second, of 268 435.
    assert_eq!((parse(0, 1), parse(1, 1)), (Ok(()), Err(expected)));
}

#[test]
fn random_bytes_with_a_true_header_give_an_error() {
    let mut random = Random(9);
    for _ in 0..2000 {
        let mut bytes = tiny(2);
        let manifest = HEADER_BYTES..HEADER_BYTES + 600;
        for byte in &mut bytes.get_mut()[manifest] {
            *byte = random.next() as u8;
        }
        bytes.repair();
        assert!(Image::parse(bytes.get()).is_err());
    }
}

/// The error of the tiny image with one operator changed, by its number.
fn error_of_op(index: usize, change: impl FnOnce(&mut Op)) -> std::string::String {
    let bytes = tiny_with(2, |_, ops| change(&mut ops[index]));
    Image::parse(bytes.get()).unwrap_err().to_string()
}

#[test]
fn operators_whose_operands_do_not_fit_are_named() {
    // 0 to 2: linears to query, keys and values; 3 scores, 4 add, 5 softmax, 6 context, 7 mul,
    // 8 depthwise convolution, 9 lookup.
    let error = error_of_op(0, |op| {
        if let Op::FullyConnected(dense) = op {
            dense.output = dense.weights;
        }
    });
    assert_eq!(error, "operator 0, output: must not be a constant");
    let error = error_of_op(1, |op| {
        if let Op::FullyConnected(dense) = op {
            dense.weights = dense.bias;
        }
    });
    let expected = "operator 1, weights: must be a constant of the operator's element type";
    assert_eq!(error, expected);
    let error = error_of_op(2, |op| {
        if let Op::FullyConnected(dense) = op {
            dense.clamp = Clamp { min: 1, max: 0 };
        }
    });
    assert_eq!(error, "operator 2, clamp: must not have min above max");
    let error = error_of_op(3, |op| {
        if let Op::Scores { heads, .. } = op {
            *heads = 3;
        }
    });
    assert_eq!(error, "operator 3, heads: must divide the columns");
    let error = error_of_op(4, |op| {
        if let Op::Add { output_scale, .. } = op {
            output_scale.shift = 31;
        }
    });
    assert!(error.starts_with("operator 4, output scale: must have a multiplier"));
    let error = error_of_op(5, |op| {
        if let Op::Softmax { input, output, .. } = op {
            *input = *output;
        }
    });
    assert_eq!(error, "operator 5, input: overlaps the output");
    let error = error_of_op(6, |op| {
        if let Op::Context { value, .. } = op {
            *value = TensorId(u16::MAX);
        }
    });
    assert_eq!(error, "operator 6, value: names no tensor");
    let error = error_of_op(9, |op| {
        if let Op::Lookup { input, table, .. } = op {
            *table = *input;
        }
    });
    assert!(error.starts_with("operator 9, table: must be a constant"));
}

#[test]
fn an_output_that_overlaps_an_input_by_a_row_is_refused() {
    // The linear to the keys writes rows 4..7 of cache 1; let it read rows 2..5 of it.
    let bytes = tiny_with(2, |tensors, ops| {
        if let Op::FullyConnected(dense) = &mut ops[1] {
            let location = Location::Cache { cache: 1, row: 2 };
            let output = tensors[usize::from(dense.output.0)];
            dense.input = TensorId(tensors.len() as u16);
            tensors.push(Tensor { location, ..output });
        }
    });
    let error = Image::parse(bytes.get()).unwrap_err().to_string();
    assert_eq!(error, "operator 1, input: overlaps the output");
}

#[test]
fn tensors_that_leave_their_place_are_named() {
    let constant = |offset| Location::Constant { offset };
    let rows = |cache, row| Location::Cache { cache, row };
    for (index, location, problem) in [
        (1, constant(8), "offset: must be a multiple of 16"),
        (
            1,
            constant(1 << 20),
            "offset: ends outside the tensor segment",
        ),
        (4, rows(1, 1), "offset: ends outside the cache window"),
        (4, rows(9, 0), "offset: names no cache"),
    ] {
        let bytes = tiny_with(2, |tensors, _| tensors[index].location = location);
        let error = Image::parse(bytes.get()).unwrap_err().to_string();
        assert_eq!(error, std::format!("tensor {index}, {problem}"));
    }
}

#[test]
fn a_plan_of_more_work_than_the_limit_is_refused() {
    let bytes = tiny_with(2, |tensors, ops| {
        let wide = |cols| Tensor {
            rows: 60_000,
            cols,
            keys: false,
            ..tensors[10]
        };
        let (input, output) = (wide(4), wide(4));
        let first = tensors.len() as u16;
        let offset = input.len() as u32;
        let location = Location::Arena { offset };
        tensors.extend([input, Tensor { location, ..output }]);
        let Op::FullyConnected(dense) = ops[0] else {
            return;
        };
        let (input, output) = (TensorId(first), TensorId(first + 1));
        let op = Op::FullyConnected(Dense {
            input,
            output,
            ..dense
        });
        ops.extend([op; 300]);
    });
    let error = Image::parse(bytes.get()).unwrap_err().to_string();
    // 60 000 x 4 elements of 4 products and 8 more, 2 880 000 each: 2^28 holds 93 of them; twelve operators are before.
    assert_eq!(
        error,
        "operator 105, work: makes the plan exceed 2^28 multiply-accumulates"
    );
}

/// The error of the tiny image with one operator, by its number, many times more.
fn error_of_repeated(index: usize, count: usize) -> std::string::String {
    let bytes = tiny_with(2, |_, ops| ops.extend(std::vec![ops[index]; count]));
    Image::parse(bytes.get()).unwrap_err().to_string()
}

#[test]
fn softmaxes_too_small_to_be_slow_but_for_their_tables_are_refused() {
    // Six elements and a table, 262 times 64 and 8: 18 864 each. After some 23 000 of the operators before the
    // first, 2^28 holds 14 228 of them.
    let error = error_of_repeated(11, 20_000);
    let expected = "operator 14239, work: makes the plan exceed 2^28 multiply-accumulates";
    assert_eq!(error, expected);
}

#[test]
fn scales_that_many_operators_share_are_not_read_again_and_again() {
    let error = error_of_repeated(0, 20_000);
    assert!(
        error.ends_with("multiplier: is shared by too many operators"),
        "{error}"
    );
}
