//! Templates in streams that are made by hand, and files that are no templates.

mod file;
mod quiet;

use super::*;
use crate::image::section::test_section::with_npu;
use crate::kernels::{Channels, plain};
use crate::npu::{Npu, Scratch, model::Model};
use crate::plan::Op;
use crate::test_image::{Bytes, COMMANDS, Random, WAKE, tiny, tiny_with, with_commands, with_wake};
use crate::{Event, Image, Recognizer};
use std::string::ToString;
use std::vec::Vec;

/// The columns of the tiny image's head.
const COLUMNS: usize = 4;

/// A file of templates: name, threshold and rows of each.
pub(crate) fn file<const N: usize>(
    network: u32,
    templates: &[(&str, u16, Vec<[i8; N]>)],
) -> Vec<u8> {
    let mut bytes = Vec::from(*b"ZRDT\x01\x00");
    bytes.extend((templates.len() as u16).to_le_bytes());
    bytes.extend([0; 8]);
    bytes.extend(network.to_le_bytes());
    bytes.extend((N as u16).to_le_bytes());
    let rows: usize = templates.iter().map(|(_, _, rows)| rows.len()).sum();
    bytes.extend((rows as u16).to_le_bytes());
    for (name, threshold, rows) in templates {
        let mut record = [0; 36];
        record[..name.len()].copy_from_slice(name.as_bytes());
        record[32..34].copy_from_slice(&threshold.to_le_bytes());
        record[34..].copy_from_slice(&(rows.len() as u16).to_le_bytes());
        bytes.extend(record);
        bytes.extend(rows.iter().flatten().map(|&q| q as u8));
    }
    repaired(bytes)
}

/// The same bytes with length and checksum made true.
fn repaired(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.len() >= HEADER_BYTES {
        let length = bytes.len() as u32;
        bytes[field::TOTAL_LENGTH].copy_from_slice(&length.to_le_bytes());
        let sum = checksum(&bytes);
        bytes[field::CHECKSUM].copy_from_slice(&sum.to_le_bytes());
    }
    bytes
}

/// Rows along the axes, by their numbers.
fn along(axes: &[usize]) -> Vec<[i8; COLUMNS]> {
    let row = |&axis: &usize| core::array::from_fn(|i| if i == axis { 127 } else { 0 });
    axes.iter().map(row).collect()
}

/// What a step's head reads where each of its two frames lies along an axis.
fn heard(image: &Image<'_>, axis: usize) -> Vec<i8> {
    let zero_point = heard_by_head(image).unwrap().zero_point;
    let frame = |_| {
        (0..COLUMNS).map(|i| {
            if i == axis {
                zero_point + 50
            } else {
                zero_point
            }
        })
    };
    (0..2).flat_map(frame).collect()
}

/// Runs on a matcher of templates, and on the tiny image that they belong to.
fn with_matcher<T>(
    templates: &[(&str, u16, Vec<[i8; COLUMNS]>)],
    run: impl FnOnce(&Image<'_>, &mut Matcher<'static, '_>) -> T,
) -> T {
    let bytes = tiny(2);
    let image = Image::parse(bytes.get()).unwrap();
    let mut memory = std::vec![0; image.memory_bytes()];
    let recognizer = Recognizer::new(&image, &mut memory).unwrap();
    let file: &[u8] = file(image.network(), templates).leak();
    let mut cells = std::vec![Cell::START; super::cells(file)];
    let templates = Templates::parse(file).unwrap();
    let mut matcher = Matcher::new(templates, &recognizer, &mut cells).unwrap();
    run(&image, &mut matcher)
}

/// What a matcher finds once it is told of a step that lies along an axis.
fn push(
    matcher: &mut Matcher<'static, '_>,
    image: &Image<'_>,
    (index, axis): (u64, usize),
    decided_ms: u32,
) -> Option<Match<'static>> {
    matcher.push(&Event::Encoded {
        index,
        decided_ms,
        rows: &heard(image, axis),
    })
}

/// All that is found in steps that lie along axes, the first of which has the number `first`. Each step is decided 1 ms later.
fn found(
    templates: &[(&str, u16, Vec<[i8; COLUMNS]>)],
    first: u64,
    axes: &[usize],
) -> Vec<Match<'static>> {
    with_matcher(templates, |image, matcher| {
        let steps = (0..).zip(axes);
        let found = steps.map(|(n, &axis)| {
            let index = first.saturating_add(n);
            push(matcher, image, (index, axis), n as u32)
        });
        found.flatten().collect()
    })
}

/// Dynamic time warping over the whole matrix, in floats: similarity and begin of the best path that ends in each row of
/// the stream.
fn whole_matrix(stream: &[Vec<i8>], template: &[Vec<i8>]) -> Vec<(f64, usize)> {
    let distance = |n: usize, i: usize| {
        let products = stream[n].iter().zip(&template[i]);
        let product: f64 = products.map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
        (1.0 - product / 16129.0).clamp(0.0, 2.0)
    };
    // The cost of the best path to each place, and the row of the stream in which it begins.
    let mut best = std::vec![std::vec![(f64::INFINITY, 0); template.len()]; stream.len()];
    for n in 0..stream.len() {
        for i in 0..template.len() {
            let d = |n, i| distance(n, i);
            let mut ways = Vec::new();
            match i {
                0 => ways.push((d(n, 0), n)),
                1 => ways.push((d(n, 0) + d(n, 1), n)),
                _ => {}
            }
            let mut from = |n: usize, i: usize, more: f64| {
                let (cost, begin) = best[n][i];
                ways.push((cost + more, begin));
            };
            if n >= 1 && i >= 1 {
                from(n - 1, i - 1, d(n, i));
            }
            if n >= 2 && i >= 1 {
                from(n - 2, i - 1, (d(n, i) + d(n - 1, i)) / 2.0);
            }
            if n >= 1 && i >= 2 {
                from(n - 1, i - 2, d(n, i - 1) + d(n, i));
            }
            let way = ways.into_iter().min_by(|a, b| a.0.total_cmp(&b.0));
            best[n][i] = way.unwrap_or((f64::INFINITY, 0));
        }
    }
    let last = template.len() - 1;
    let ends = best.iter().map(|row| row[last]);
    ends.map(|(cost, begin)| (1.0 - cost / template.len() as f64, begin))
        .collect()
}

#[test]
fn following_a_stream_finds_what_time_warping_over_the_whole_matrix_finds() {
    let (mut random, mut similar, mut stretched) = (Random(5), 0, 0);
    for _ in 0..200 {
        let (columns, rows) = (1 + random.below(64), MIN_ROWS + random.below(30));
        let row = |random: &mut Random, like: Option<&Vec<i8>>| {
            let noise: Vec<i8> = (0..columns).map(|_| random.next() as i8 / 4).collect();
            let sums = like.map_or(noise.clone(), |like| {
                let pairs = like.iter().zip(&noise);
                pairs.map(|(&a, &b)| a / 2 + b / 2).collect()
            });
            let mut row = std::vec![0; columns];
            unit_row(&sums, 0, &mut row);
            row
        };
        let template: Vec<_> = (0..rows).map(|_| row(&mut random, None)).collect();
        // Noise, and the template with rows left out and said twice.
        let mut stream = Vec::new();
        for _ in 0..3 {
            stream.extend((0..random.below(9)).map(|_| row(&mut random, None)));
            for of in &template {
                let times = [1, 1, 0, 2][random.below(4)];
                stream.extend((0..times).map(|_| row(&mut random, Some(of))));
            }
        }
        let elements: Vec<i8> = template.iter().flatten().copied().collect();
        let of = Template {
            name: "",
            threshold: 1,
            elements: &elements,
        };
        let mut cells = std::vec![Cell::START; rows];
        for (n, (similarity, begin)) in whole_matrix(&stream, &template).into_iter().enumerate() {
            let ending = of.follow(&stream[n], &mut cells);
            let expected = similarity.max(0.0);
            let difference = expected - f64::from(ending.similarity) / 32768.0;
            assert!(
                (-1e-9..1.0 / 32768.0 + 1e-9).contains(&difference),
                "{expected} {ending:?}"
            );
            if similarity > 0.3 {
                // Of paths that cost the same, the shortest counts.
                assert!(n - usize::from(ending.age) >= begin);
                similar += 1;
                stretched += usize::from(usize::from(ending.age) + 1 != rows);
            }
        }
    }
    assert!(similar > 1_000 && stretched > 500, "{similar} {stretched}");
}

/// By hand: 3, 4 has the length 5, and 127 * 3 / 5 is 76.2, 127 * 4 / 5 is 101.6.
#[test]
fn a_row_is_the_mean_of_its_frames_scaled_to_the_length_127() {
    let unit = |frames: &[i8], zero_point| {
        let mut row = [0; 2];
        unit_row(frames, zero_point, &mut row);
        row
    };
    assert_eq!(unit(&[3, -4], 0), [76, -102]);
    assert_eq!(unit(&[5, -6, 5, -6], 2), [45, -119]); // 6, -16
    assert_eq!(unit(&[7, 7], 7), [0, 0]);
    assert_eq!(unit(&[1, 0], 0), [127, 0]);
    assert_eq!(unit(&[-128, -128], 127), [-90, -90]);
    // What is left over of a frame is none.
    assert_eq!(unit(&[3, -4, 99], 0), [76, -102]);
}

#[test]
fn a_phrase_is_found_once_with_its_frames_and_the_step_after_it_decides() {
    let templates = [("a", 30_000, along(&[0, 1, 2, 0]))];
    let all = found(&templates, 0, &[3, 3, 3, 0, 1, 2, 0, 3, 3, 3, 3]);
    let [one] = &all[..] else {
        panic!("{all:?}");
    };
    // A step has two frames of 10 ms, and a frame 25 ms.
    assert_eq!((one.template, one.name), (0, "a"));
    assert_eq!((one.first_frame, one.last_frame), (6, 13));
    assert_eq!((one.start_ms, one.end_ms, one.decided_ms), (60, 155, 7));
    assert!(one.similarity > 32_000, "{one:?}");
    // Twice as slowly after the first row and twice as fast, but not more.
    let slow = found(&templates, 0, &[3, 0, 0, 1, 1, 2, 2, 0, 3]);
    assert_eq!((slow[0].first_frame, slow[0].last_frame), (4, 15));
    let long = [("b", 30_000, along(&[0, 0, 1, 1, 2, 2]))];
    let fast = found(&long, 0, &[3, 0, 1, 2, 3]);
    assert_eq!((fast[0].first_frame, fast[0].last_frame), (2, 7));
    assert_eq!(
        found(&templates, 0, &[3, 0, 0, 0, 1, 1, 1, 2, 2, 2, 0, 0, 0, 3]),
        []
    );
    assert_eq!(found(&templates, 0, &[3, 0, 2, 3, 3]), []);
}

#[test]
fn frames_are_numbered_for_ever_and_times_stop_counting_after_49_days() {
    let templates = [("a", 30_000, along(&[0, 1, 2, 0]))];
    let first = u64::from(u32::MAX) * 1_000;
    let all = found(&templates, first, &[3, 0, 1, 2, 0, 3]);
    assert_eq!((all.len(), all[0].first_frame), (1, 2 * (first + 1)));
    assert_eq!((all[0].start_ms, all[0].end_ms), (u32::MAX, u32::MAX));
    assert!(found(&templates, u64::MAX - 4, &[0, 1, 2]).is_empty());
}

#[test]
fn of_templates_that_a_stretch_is_similar_to_the_most_similar_one_counts() {
    let templates = [
        ("a", 20_000, along(&[0, 1, 2, 0])),
        ("b", 20_000, along(&[0, 1, 2, 3])),
    ];
    let names = |axes: &[usize]| -> Vec<u8> {
        let all = found(&templates, 0, axes);
        all.iter().map(|one| one.template).collect()
    };
    assert_eq!(names(&[2, 2, 0, 1, 2, 0, 1, 1, 1]), [0]);
    assert_eq!(names(&[1, 1, 0, 1, 2, 3, 1, 1, 1]), [1]);
}

/// The tiny image's refractory time is 30 frames, which are 15 steps.
#[test]
fn nothing_is_found_within_the_refractory_time_after_a_detection() {
    let templates = [("a", 30_000, along(&[0, 1, 2, 0]))];
    for (between, count) in [(9, 1), (12, 1), (13, 2), (30, 2)] {
        let mut axes = std::vec![3, 0, 1, 2, 0];
        axes.extend(std::vec![3; between]);
        axes.extend([0, 1, 2, 0, 3, 3]);
        assert_eq!(found(&templates, 0, &axes).len(), count, "{between}");
    }
}

#[test]
fn a_step_that_does_not_follow_the_one_before_begins_a_stream() {
    let templates = [("a", 30_000, along(&[0, 1, 2, 0]))];
    with_matcher(&templates, |image, matcher| {
        let mut found = |steps: &[(u64, usize)]| {
            let mut found = steps.iter().map(|&step| push(matcher, image, step, 0));
            found.any(|found| found.is_some())
        };
        assert!(!found(&[(0, 0), (1, 1), (0, 2), (1, 0), (2, 3), (3, 3)]));
        assert!(found(&[(9, 0), (10, 1), (11, 2), (12, 0), (13, 3)]));
    });
}

/// The head is computed once more, from what it is said to read.
#[test]
fn each_step_tells_what_its_head_reads_before_it_tells_its_logits() {
    let bytes = tiny(3);
    let image = Image::parse(bytes.get()).unwrap();
    let (logits, ops) = (image.manifest().logits, image.ops());
    let heads = ops.filter_map(|op| match op {
        Op::FullyConnected(dense) if dense.output == logits => Some(dense),
        _ => None,
    });
    let head = heads.last().unwrap();
    let constant = |id| image.constant_i8(image.tensor(id).unwrap());
    let channels = Channels {
        bias: image.constant_i32(image.tensor(head.bias).unwrap()),
        multiplier: image.constant_i32(image.tensor(head.multiplier).unwrap()),
        shift: constant(head.shift),
    };
    let zero_point = image.tensor(logits).unwrap().zero_point;
    let mut memory = std::vec![0; image.memory_bytes()];
    let mut recognizer = Recognizer::new(&image, &mut memory).unwrap();
    let (mut told, mut steps) = (Vec::new(), 0);
    recognizer.push_events(&Random(3).pcm(20_000), |event| match event {
        Event::Encoded { index, rows, .. } => {
            assert_eq!(index, steps);
            told = std::vec![0; 6];
            let weights = constant(head.weights);
            plain::fully_connected(rows, weights, channels, zero_point, head.clamp, &mut told);
        }
        Event::Step { index, logits, .. } => {
            assert_eq!((index, logits), (steps, &told[..]));
            steps += 1;
        }
        _ => {}
    });
    assert!(steps > 50);
}

#[test]
fn a_network_stays_the_same_whatever_else_an_image_holds() {
    let network = |bytes: &Bytes| Image::parse(bytes.get()).unwrap().network();
    let bytes = tiny(2);
    let same = network(&bytes);
    assert_eq!(network(&with_commands(bytes.get(), 30, &COMMANDS)), same);
    assert_eq!(network(&with_wake(bytes.get(), 0, &[], &WAKE)), same);
    assert_eq!(network(&with_npu(bytes.get())), same);
    assert_ne!(network(&tiny(3)), same);
    let mut other = bytes.clone();
    *other.get_mut().last_mut().unwrap() ^= 1;
    other.repair();
    assert_ne!(network(&other), same);
}

#[test]
fn what_does_not_fit_is_refused_with_the_reason() {
    let refusal = |bytes: &Bytes, network: Option<u32>, cells: usize| {
        let image = Image::parse(bytes.get()).unwrap();
        let mut memory = std::vec![0; image.memory_bytes()];
        let recognizer = Recognizer::new(&image, &mut memory).unwrap();
        let network = network.unwrap_or(image.network());
        let file = file(network, &[("a", 1, along(&[0, 1, 2, 0]))]);
        let mut cells = std::vec![Cell::START; cells];
        let matcher = Matcher::new(Templates::parse(&file).unwrap(), &recognizer, &mut cells);
        matcher.err()
    };
    assert_eq!(refusal(&tiny(2), None, 4), None);
    let (needed, given) = (4, 3);
    assert_eq!(
        refusal(&tiny(2), None, 3),
        Some(Misfit::TooFewCells { needed, given })
    );
    let other = refusal(&tiny(2), Some(7), 4).unwrap();
    assert!(matches!(other, Misfit::OtherNetwork { templates: 7, .. }));
    assert!(other.to_string().contains("belong to network 00000007"));
    // The logits are written twice.
    let twice = tiny_with(2, |_, ops| ops.insert(ops.len() - 1, ops[ops.len() - 2]));
    assert_eq!(refusal(&twice, None, 4), Some(Misfit::NoHead));
}

#[test]
fn steps_on_an_npu_are_refused() {
    let bytes = with_npu(tiny(2).get());
    let image = Image::parse(bytes.get()).unwrap();
    let (mut models, mut memory) = (
        std::vec![0; image.memory_bytes()],
        std::vec![0; image.memory_bytes()],
    );
    let mut scratch = std::boxed::Box::new(Scratch::<16384>::new());
    let npu = Npu::new(Model::new(&image, &mut models), &mut scratch);
    let recognizer = Recognizer::with_step(&image, &mut memory, npu).unwrap();
    let file = file(image.network(), &[("a", 1, along(&[0, 1, 2, 0]))]);
    let mut cells = [Cell::START; 4];
    let matcher = Matcher::new(Templates::parse(&file).unwrap(), &recognizer, &mut cells);
    assert_eq!(matcher.err(), Some(Misfit::OnNpu));
}
