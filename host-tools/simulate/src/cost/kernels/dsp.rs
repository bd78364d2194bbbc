//! Counts the work of the kernels for the DSP extension, which take five rows at a time, or ten two by two, and four
//! columns a word.

use zerda_firmware::kernels::limits::dsp::{self as limits, ROWS, TABLE_FROM, TENS, TIMES};
use zerda_firmware::plan::Clamp;

use super::super::Kernels;
use super::{Attention, Channels, Task, Work, plain};

pub fn work(task: &Task<'_>, work: &mut Work) {
    match task {
        Task::FullyConnected(of) if limits::fully_connected(of.depth) => {
            fully_connected(of, work);
        }
        Task::DepthwiseConv(of)
            if limits::depthwise_conv(of.cols, of.depth)
                && limits::channels_to_int8(of.parameters, of.clamp).is_some() =>
        {
            let blocks = of.cols / 4;
            let passes = blocks * of.rows.div_ceil(TIMES);
            work.all("DepthwiseConv", &[("block", blocks), ("pass", passes)]);
        }
        Task::Add {
            calls,
            elements,
            other: Some(other),
            to: (scale, clamp),
        } if limits::add(*other, *scale, *clamp) => {
            let all = calls * elements;
            let (tables, by_table, single) = match *elements >= TABLE_FROM {
                true => (*calls, all, 0),
                false => (0, 0, all),
            };
            work.all(
                "Add",
                &[
                    ("operator", 1),
                    ("call", *calls),
                    ("element", single),
                    ("table", tables),
                    ("element_by_table", by_table),
                ],
            );
        }
        Task::Mul(elements, (scale, clamp)) if limits::to_int8(*scale, *clamp) => {
            work.all("Mul", &[("operator", 1), ("element", *elements)]);
        }
        Task::Lookup(elements) => {
            work.all("Lookup", &[("operator", 1), ("element", *elements)]);
        }
        Task::Scores(of) if limits::scores(of.size) => scores(of, work),
        Task::Context(of) if limits::context(of.size, of.present) => context(of, work),
        Task::Softmax {
            rows,
            absent,
            present,
            entries,
            taken: true,
        } => work.all(
            "Softmax",
            &[
                ("operator", 1),
                ("entry", *entries),
                ("row", *rows),
                ("element", rows * present),
                ("absent_row", rows * usize::from(*absent > 0)),
                ("absent_key", rows * absent),
            ],
        ),
        _ => plain::work(task, Kernels::Dsp, work),
    }
}

fn fully_connected(of: &Channels<'_>, work: &mut Work) {
    let by_factor = limits::channels_to_int8(of.parameters, of.clamp);
    let in_tens = limits::in_tens(of.rows, of.depth, of.cols, by_factor);
    let (words, groups) = (of.depth / 4, (of.rows - in_tens).div_ceil(ROWS));
    let two_columns = in_tens / TENS * of.cols / 2;
    work.all(
        "FullyConnected",
        &[
            ("operator", 1),
            ("row_word", of.rows * words),
            ("two_columns", two_columns),
            ("two_columns_word", two_columns * words),
            ("column", groups * of.cols),
        ],
    );
    product(groups * of.cols, words, work);
    slow_outputs(of.rows, of.cols, by_factor.is_some(), work);
}

/// Adds the outputs that are requantized as the plain kernels do it: of rows that do not fill a group of
/// five, or of all rows where scales do not shift right by two bits.
fn slow_outputs(rows: usize, cols: usize, fast: bool, work: &mut Work) {
    let slow = if fast { rows % ROWS } else { rows };
    work.add("plain_FullyConnected", "output", slow * cols);
}

fn scores(of: &Attention, work: &mut Work) {
    let (words, groups) = (of.size / 4, of.heads * of.rows.div_ceil(ROWS));
    work.all(
        "Scores",
        &[
            ("operator", 1),
            ("packed_word", groups * words),
            ("column", groups * of.present),
        ],
    );
    product(groups * of.present, words, work);
    slow_outputs(of.heads * of.rows, of.present, is_fast(of), work);
}

fn context(of: &Attention, work: &mut Work) {
    let (words, groups) = (of.present.div_ceil(4), of.heads * of.rows.div_ceil(ROWS));
    work.all(
        "Context",
        &[
            ("operator", 1),
            ("transposed_word", of.heads * words * of.size),
            ("packed_word", groups * words),
            ("packed_rest", groups * (of.present % 4)),
            ("column", groups * of.size),
        ],
    );
    product(groups * of.size, words, work);
    slow_outputs(of.heads * of.rows, of.size, is_fast(of), work);
}

fn is_fast(of: &Attention) -> bool {
    let (min, max) = (i8::MIN, i8::MAX);
    limits::to_int8(of.scale, Clamp { min, max })
}

/// Adds sums of `words` words for so many columns; a turn multiplies sixteen words.
fn product(columns: usize, words: usize, work: &mut Work) {
    work.all(
        "product",
        &[
            ("word", columns * words),
            ("turn", columns * words.div_ceil(16)),
        ],
    );
}
