//! Counts the work of the kernels for Helium: products of two rows by two, 32 columns by ten rows.

use zerda_firmware::kernels::limits::mve::{self as limits, COLS, Loop, ROWS};

use super::super::Kernels;
use super::{Attention, Channels, Task, Work, plain};

pub fn work(task: &Task<'_>, work: &mut Work) {
    match task {
        Task::FullyConnected(of) if limits::channels_shift_right(of.parameters.shift) => {
            work.all("FullyConnected", &[("operator", 1), ("channel", of.cols)]);
            for rows in parts(of.rows, ROWS) {
                for cols in parts(of.cols, COLS) {
                    work.add("FullyConnected", "block", 1);
                    product(rows, cols, of.depth, work);
                }
            }
        }
        Task::DepthwiseConv(of)
            if limits::channels_shift_right(of.parameters.shift)
                && limits::depthwise_conv(of.cols, of.depth) =>
        {
            convolution(of, work);
        }
        Task::Add {
            calls,
            elements,
            other: Some(other),
            to: (scale, _),
        } if limits::add(*other, *scale) => work.all(
            "Add",
            &[
                ("operator", 1),
                ("call", *calls),
                ("vector", calls * elements.div_ceil(4)),
            ],
        ),
        Task::Mul(elements, (scale, _)) if limits::shifts_right(*scale) => {
            let vectors = elements.div_ceil(4);
            work.all("Mul", &[("operator", 1), ("vector", vectors)]);
        }
        Task::Lookup(elements) => {
            let vectors = elements.div_ceil(16);
            work.all("Lookup", &[("operator", 1), ("vector", vectors)]);
        }
        Task::Scores(of) if limits::shifts_right(of.scale) => scores(of, work),
        Task::Context(of)
            if limits::shifts_right(of.scale) && limits::context(of.size, of.present) =>
        {
            context(of, work);
        }
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
                ("entry", entries.div_ceil(4)),
                ("row", *rows),
                ("vector", rows * present.div_ceil(4)),
                ("bytes", rows * present.div_ceil(16)),
                ("absent_row", rows * usize::from(*absent > 0)),
                ("absent_key", rows * absent),
            ],
        ),
        _ => plain::work(task, Kernels::Mve, work),
    }
}

/// Returns the lengths of the pieces that `whole` is cut into.
fn parts(whole: usize, of: usize) -> impl Iterator<Item = usize> {
    (0..whole)
        .step_by(of)
        .map(move |from| (whole - from).min(of))
}

fn convolution(of: &Channels<'_>, work: &mut Work) {
    work.add("DepthwiseConv", "operator", 1);
    for cols in parts(of.cols, COLS) {
        transpose(of.depth, cols, work);
        for rows in parts(of.rows, ROWS) {
            transpose(rows + of.depth - 1, cols, work);
            work.all("DepthwiseConv", &[("column", cols), ("sum", cols * rows)]);
            requantize(rows, cols, work);
        }
    }
}

fn scores(of: &Attention, work: &mut Work) {
    work.all("Scores", &[("operator", 1), ("head", of.heads)]);
    for keys in parts(of.present, COLS) {
        work.add("Scores", "block", of.heads);
        row_sums(of.heads * keys, of.size, work);
        for rows in parts(of.rows, ROWS) {
            row_sums(of.heads * rows, of.size, work);
            work.add("product", "rows", of.heads * rows * keys.div_ceil(4));
            (0..of.heads).for_each(|_| product(rows, keys, of.size, work));
        }
    }
}

fn context(of: &Attention, work: &mut Work) {
    work.all("Context", &[("operator", 1), ("head", of.heads)]);
    for _ in 0..of.heads {
        transpose(of.present, of.size, work);
        row_sums(of.size, of.present, work);
        for rows in parts(of.rows, ROWS) {
            row_sums(rows, of.present, work);
            work.add("product", "rows", rows * of.size.div_ceil(4));
            product(rows, of.size, of.present, work);
        }
    }
}

/// Adds sums of products of a depth, and their requantization.
fn product(rows: usize, cols: usize, depth: usize, work: &mut Work) {
    let blocks = rows.div_ceil(2) * cols.div_ceil(2);
    match Loop::of(depth) {
        Loop::OneVector => work.all(
            "product",
            &[
                ("five_rows", rows.div_ceil(5)),
                ("five_sums", rows.div_ceil(5) * cols),
            ],
        ),
        by_two => {
            let calls = (1 + rows % 2) * (1 + cols % 2);
            let (block, vector) = match by_two {
                Loop::FourVectors => ("block_of_64", "vector_of_64"),
                _ => ("block", "vector"),
            };
            work.all(
                "product",
                &[
                    ("call", calls),
                    ("column", cols.div_ceil(2) * (1 + rows % 2)),
                    (block, blocks),
                    (vector, blocks * depth.div_ceil(16)),
                ],
            );
        }
    }
    requantize(rows, cols, work);
}

fn requantize(rows: usize, cols: usize, work: &mut Work) {
    let columns = cols.div_ceil(4);
    work.all(
        "requantize",
        &[
            ("call", 1),
            ("columns", columns),
            ("vector", rows * columns),
        ],
    );
}

fn row_sums(rows: usize, depth: usize, work: &mut Work) {
    let vectors = rows * depth.div_ceil(16);
    work.all("row_sum", &[("row", rows), ("vector", vectors)]);
}

fn transpose(rows: usize, cols: usize, work: &mut Work) {
    let blocks = cols.div_ceil(8);
    work.all("transpose", &[("block", blocks), ("row", blocks * rows)]);
}
