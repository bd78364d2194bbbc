//! Counts the work of the plain kernels.

use super::super::Kernels;
use super::{Task, Work};

/// Adds the work of an operator; LLVM finds vectors of 16 in the plain kernels for Helium.
pub fn work(task: &Task<'_>, kernels: Kernels, work: &mut Work) {
    let width = match kernels {
        Kernels::Plain | Kernels::Dsp => 1,
        Kernels::Mve => 16,
    };
    match task {
        Task::FullyConnected(of) => {
            let outputs = of.rows * of.cols;
            work.all(
                "plain_FullyConnected",
                &[
                    ("operator", 1),
                    ("output", outputs),
                    ("product", outputs * of.depth.div_ceil(width)),
                ],
            );
        }
        Task::DepthwiseConv(of) => {
            let blocks = of.rows * of.cols.div_ceil(16);
            work.all(
                "plain_DepthwiseConv",
                &[("operator", 1), ("block_tap", blocks * of.depth)],
            );
        }
        Task::Add {
            calls, elements, ..
        } => work.all(
            "plain_Add",
            &[
                ("operator", 1),
                ("call", *calls),
                ("element", calls * elements),
            ],
        ),
        Task::Mul(elements, _) => {
            work.all("plain_Mul", &[("operator", 1), ("element", *elements)]);
        }
        Task::Lookup(elements) => {
            work.all("plain_Lookup", &[("operator", 1), ("element", *elements)]);
        }
        Task::Scores(of) => {
            let outputs = of.heads * of.rows * of.present;
            work.all(
                "plain_Scores",
                &[
                    ("operator", 1),
                    ("row", of.heads * of.rows),
                    ("product", outputs * of.size.div_ceil(width)),
                ],
            );
        }
        Task::Context(of) => {
            let columns = of.heads * of.rows * of.size.div_ceil(width);
            work.all(
                "plain_Context",
                &[
                    ("operator", 1),
                    ("output", columns),
                    ("product", columns * of.present),
                ],
            );
        }
        Task::Softmax {
            rows,
            absent,
            present,
            entries,
            ..
        } => work.all(
            "plain_Softmax",
            &[
                ("operator", 1),
                ("entry", *entries),
                ("row", *rows),
                ("element", rows * present),
                ("absent_key", rows * absent),
            ],
        ),
    }
}
