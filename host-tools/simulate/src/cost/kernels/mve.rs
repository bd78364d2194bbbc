//! Counts the work of the kernels for Helium: products of two rows by four columns, 64 columns by ten rows.

use zerda_firmware::kernels::limits::mve::{self as limits, Loop, QUAD, ROWS, TRANSPOSED};
use zerda_firmware::plan::Clamp;

use super::super::Kernels;
use super::{Attention, Channels, Task, Work, plain};

/// The clamp that attention has.
const FULL: Clamp = Clamp {
    min: i8::MIN,
    max: i8::MAX,
};

pub fn work(task: &Task<'_>, work: &mut Work) {
    match task {
        Task::FullyConnected(of)
            if limits::channels_shift_right(of.parameters.shift)
                && limits::product(of.cols, of.depth, of.cols) =>
        {
            work.add("FullyConnected", "operator", 1);
            for rows in parts(of.rows, limits::rows(of.depth)) {
                if Loop::of(of.depth, of.depth) == Loop::Any {
                    pack(rows, of.depth, work);
                }
                for (_, cols) in limits::column_blocks(of.cols) {
                    work.add("FullyConnected", "block", 1);
                    product(rows, cols, of.depth, of.depth, work);
                    requantize("columns", rows, cols, work);
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
                ("vector", calls * (elements / 8)),
                ("tail", calls * usize::from(elements % 8 > 0)),
            ],
        ),
        Task::Mul(elements, (scale, _)) if limits::one_scale(*scale) => {
            let vectors = elements.div_ceil(8);
            work.all("Mul", &[("operator", 1), ("vector", vectors)]);
        }
        Task::Lookup(elements) => {
            let vectors = elements.div_ceil(16);
            work.all("Lookup", &[("operator", 1), ("vector", vectors)]);
        }
        Task::Scores(of)
            if limits::one_scale(of.scale) && limits::product(of.present, of.size, of.present) =>
        {
            scores(of, work);
        }
        Task::Context(of)
            if limits::one_scale(of.scale)
                && limits::context(of.size, of.heads * of.size, of.present) =>
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
    for cols in parts(of.cols, TRANSPOSED) {
        transpose("row", of.depth, cols, work);
        for rows in parts(of.rows, ROWS) {
            transpose("row", rows + of.depth - 1, cols, work);
            work.all("DepthwiseConv", &[("column", cols), ("sum", cols * rows)]);
            requantize("columns", rows, cols, work);
        }
    }
}

fn scores(of: &Attention, work: &mut Work) {
    work.all("Scores", &[("operator", 1), ("head", of.heads)]);
    let in_registers = limits::scores_of_16(of.size, of.scale, FULL);
    let most = if in_registers {
        ROWS
    } else {
        limits::rows(of.size)
    };
    for rows in parts(of.rows, most) {
        (0..of.heads).for_each(|_| pack(rows, of.size, work));
        if in_registers {
            let quads = of.heads * of.present.div_ceil(QUAD);
            let (pairs, single) = (quads * (rows / 2), quads * (rows % 2));
            work.all(
                "Scores",
                &[("quad", quads), ("pair", pairs), ("single", single)],
            );
            continue;
        }
        for (_, cols) in limits::column_blocks(of.present) {
            for _ in 0..of.heads {
                work.add("FullyConnected", "block", 1);
                // The sums of keys take less than rows that are copied and summed, but no model tells how much.
                pack(cols, of.size, work);
                product(rows, cols, of.size, of.heads * of.size, work);
                requantize("one", rows, cols, work);
            }
        }
    }
}

fn context(of: &Attention, work: &mut Work) {
    work.all("Context", &[("operator", 1), ("head", of.heads)]);
    for _ in 0..of.heads {
        transpose("summed_row", of.present, of.size, work);
        for rows in parts(of.rows, limits::rows(of.present)) {
            pack(rows, of.present, work);
            product(rows, of.size, of.present, of.present, work);
            requantize("one", rows, of.size, work);
        }
    }
}

/// Adds sums of products of a depth; columns lie `stride` apart.
fn product(rows: usize, cols: usize, depth: usize, stride: usize, work: &mut Work) {
    let quads = cols / QUAD;
    let pairs = quads * rows.div_ceil(2);
    match Loop::of(depth, stride) {
        Loop::Whole => work.all(
            "product",
            &[
                ("quad_of_64", quads),
                ("pair_of_64", quads * (rows / 2)),
                ("single_of_64", quads * (rows % 2)),
            ],
        ),
        Loop::Any => work.all(
            "product",
            &[
                ("quad", quads),
                ("pair", pairs),
                ("block", pairs * (depth / 64)),
                ("vector", pairs * (depth % 64 / 16)),
                ("tail", pairs * usize::from(!depth.is_multiple_of(16))),
            ],
        ),
    }
}

/// Adds the requantization of sums whose columns have a scale each, or one.
fn requantize(scale: &'static str, rows: usize, cols: usize, work: &mut Work) {
    let quads = cols / QUAD;
    let [pair, single] = match scale {
        "columns" => ["pair", "single"],
        _ => ["one_pair", "one_single"],
    };
    let amounts = [
        ("quad", quads),
        (pair, quads * (rows / 2)),
        (single, quads * (rows % 2)),
    ];
    work.all("requantize", &amounts);
}

/// Adds the copies of rows, and their sums.
fn pack(rows: usize, depth: usize, work: &mut Work) {
    let vectors = rows * depth.div_ceil(16);
    work.all("pack", &[("row", rows), ("vector", vectors)]);
}

fn transpose(row: &'static str, rows: usize, cols: usize, work: &mut Work) {
    work.add("transpose", row, cols.div_ceil(16) * rows);
}
