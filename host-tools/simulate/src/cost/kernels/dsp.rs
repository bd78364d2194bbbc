//! Counts the work of the kernels for the DSP extension, which take five rows at a time, four columns a
//! word.

use super::super::Kernels;
use super::{Attention, Channels, Task, Work, is_full, plain, shifts_right};

const ROWS: usize = 5;
/// Largest number of columns that five packed rows may have.
const DEPTH: usize = 256;
const HEAD: usize = 64;
/// Largest number of words that a head's transposed values may take; `PROB_WORDS` is that of a row of
/// probabilities.
const VALUE_WORDS: usize = 512;
const PROB_WORDS: usize = 32;
const TAPS: usize = 16;
/// Number of elements from which on an addition makes a table.
const TABLE_FROM: usize = 512;

pub fn work(task: &Task, work: &mut Work) {
    let plainly = |work: &mut Work| plain::work(task, Kernels::Dsp, work);
    match task {
        Task::FullyConnected(of) if of.depth % 4 == 0 && of.depth <= DEPTH => {
            fully_connected(of, work);
        }
        Task::DepthwiseConv(of) if of.cols % 4 == 0 && of.depth <= TAPS => {
            let blocks = of.cols / 4;
            let passes = blocks * of.rows.div_ceil(ROWS);
            work.all("DepthwiseConv", &[("block", blocks), ("pass", passes)]);
        }
        Task::Add {
            calls,
            elements,
            other: Some(other),
            scale: (scale, clamp),
        } if shifts_right(*scale, 2..=31) && is_full(*clamp) && shifts_right(*other, 0..=31) => {
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
        Task::Mul(elements, (scale, clamp)) if shifts_right(*scale, 2..=31) && is_full(*clamp) => {
            work.all("Mul", &[("operator", 1), ("element", *elements)]);
        }
        Task::Lookup(elements) => {
            work.all("Lookup", &[("operator", 1), ("element", *elements)]);
        }
        Task::Scores(of) if of.size % 4 == 0 && of.size <= HEAD => scores(of, work),
        Task::Context(of) => {
            let words = of.present.div_ceil(4);
            match of.size % 4 == 0
                && (1..=PROB_WORDS).contains(&words)
                && of.size * words <= VALUE_WORDS
            {
                true => context(of, work),
                false => plainly(work),
            }
        }
        Task::Softmax {
            rows,
            absent,
            present,
            entries,
            few: true,
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
        _ => plainly(work),
    }
}

fn fully_connected(of: &Channels, work: &mut Work) {
    let (words, groups) = (of.depth / 4, of.rows.div_ceil(ROWS));
    work.all(
        "FullyConnected",
        &[
            ("operator", 1),
            ("channel", of.cols),
            ("group", groups),
            ("packed_word", groups * words),
            ("column", groups * of.cols),
        ],
    );
    product(groups * of.cols, words, work);
    let (low, high) = of.shifts;
    let fast = of.multiplier >= 1 << 30 && low >= -31 && high <= -2 && is_full(of.clamp);
    slow_outputs(of.rows, of.cols, fast, work);
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
    of.scale.multiplier >= 1 << 30 && shifts_right(of.scale, 2..=31)
}

/// Adds sums of `words` words for so many columns; four words are multiplied at a time.
fn product(columns: usize, words: usize, work: &mut Work) {
    work.all(
        "product",
        &[
            ("word", columns * words),
            ("loop", columns * (words / 4 + words % 4)),
        ],
    );
}
