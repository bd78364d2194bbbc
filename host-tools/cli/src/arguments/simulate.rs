//! Defines the arguments of `zerda simulate`, which estimates the latency of a board.

use std::path::PathBuf;

use clap::Args;

use super::{ImageArg, QuietArg, WakeArg};

/// Simulates a board's latency, without the board
///
/// Lets microphone, DMA buffers, front end, step, decoder and output pass in time, on a board: with its clock, what its
/// core takes for each kind of operator, and its NPU by Vela's estimate. Fails if 500 frames in one
/// piece, or 95 % of the words from their end to their detection, take longer than `latency_ms` of config/budgets.toml,
/// or if a step misses its deadline. Nothing is run but the network, on this machine, to know when it decides: all
/// times are estimates.
#[derive(Args)]
pub struct SimulateArgs {
    /// Simulates the board of this name, a folder of --boards, or a system with an Ethos-U, which is built in, or the
    /// board of the file at this path
    #[arg(long, value_name = "NAME", required_unless_present = "sweep")]
    pub board: Option<String>,
    /// Looks for the boards with firmware in this folder
    #[arg(long, value_name = "DIR", default_value = "firmware/boards")]
    pub boards: PathBuf,
    /// Simulates all combinations of some values instead: chunk, step, cache (left context), all in frames,
    /// hidden, layers, board. What is not swept is as in --image; the feed-forward layers grow with hidden.
    /// A shape that an image beside --image has is simulated with that, words included (behind
    /// --wake if it has these words), any other with random weights; --quiet, or the gate of --image, is in all. The exit
    /// code is 0, whatever the verdicts
    #[arg(long, value_name = "KEY=V,...", conflicts_with = "fit")]
    pub sweep: Vec<String>,
    #[command(flatten)]
    pub image: ImageArg,
    #[command(flatten)]
    pub wake: WakeArg,
    #[command(flatten)]
    pub quiet: QuietArg,
    /// Times the words of these recordings: files, folders of them, or a folder with one of clips for each label
    #[arg(long, value_name = "PATH", num_args = 1.., default_value = "models/samples")]
    pub audio: Vec<PathBuf>,
    /// Sets the length of the stream, in seconds, up to a day
    #[arg(long, value_name = "S", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub seconds: u32,
    /// Reads the limits from this file instead of those built in, which are config/budgets.toml
    #[arg(long, value_name = "FILE")]
    pub budgets: Option<PathBuf>,
    /// Writes latency.md, .json and .html into this folder as well, or with --sweep sweep.md, .json and .html
    #[arg(long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Prints one JSON object: verdict (pass or fail) and failures, basis, step_ms (from the last sample in memory to
    /// the decoder's end) and compute_ms (the step alone), min, p50, p99 and max; fill (steps until the caches are
    /// full, ms of the first and of a full one, least and most after that), load (0 to 1) of core and NPU,
    /// deadline_misses, overruns, real_time_factor, quiet (null: the network never rests; duty and load in the recordings,
    /// burst_steps, ring_blocks, ring_capacity: after a cold start), sequence_500_ms and sequence_300_ms (without the front end, which
    /// is front_end_500_ms), stages (ms a step), word_end_to_detection_ms (null: audio is lost; p50, p95, max, words,
    /// missed, parts as means, each word). With --sweep it prints an object a line: board, chunk, step, cache and so
    /// on, model (null: none is compiled), verdict (pass, fail, refused), limits_missed, reason (of a refused one,
    /// which has no figures), basis, sequence_500_ms and _300_ms, step_ms, word_end_to_detection_ms (null: no model),
    /// structural_ms (p50, p95, max of words that end anywhere and are decided by the step that commits their last
    /// frame), accuracy (found, 0 to 1; null: no model or no labels), memory_bytes (caches, arena), image_bytes, load,
    /// quiet (as without --sweep; null: no model, too), deadline_misses, overruns
    #[arg(long)]
    pub json: bool,
    /// Prints Markdown, for a comment on a pull request
    #[arg(long, conflicts_with = "json")]
    pub markdown: bool,
    /// Runs this installed Vela instead of the one that zerda installs
    #[arg(long, value_name = "PATH")]
    pub vela: Option<PathBuf>,
    /// Counts instructions in QEMU, and rewrites the costs in the board's file; without --wake, which changes none
    #[arg(long)]
    pub fit: bool,
}
