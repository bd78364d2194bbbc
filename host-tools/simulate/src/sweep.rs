//! `zerda simulate --sweep` simulates many shapes of the network on many boards.
//!
//! A shape that a compiled image beside `--image` has is simulated with that, so that its words can be timed
//! and counted; any other with pseudo-random weights ([`skeleton`]), which cost the same and recognise
//! nothing. For these there is the structural latency: of words that end anywhere and are decided by the step
//! that commits their last frame.

use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;
use zerda_firmware::image::Quiet;
use zerda_quantize::skeleton;
use zerda_support::board::Board;
use zerda_support::config::{Budgets, Config, Profile};
use zerda_support::error::{Error, Result};
use zerda_support::ethos_u::Target;
use zerda_support::image_file::ImageFile;
use zerda_support::output::{self, Forms};
use zerda_support::wake;
use zerda_tflite::npu;

use super::Options;
use super::costs::Costs;
use super::words::words;
use keys::Keys;
use models::Model;
use row::{Candidate, Row};

mod html;
mod keys;
mod models;
mod row;
mod text;

/// Largest number of rows that a sweep may have.
const MOST: usize = 512;

/// Settings that all rows have in common.
struct Sweep<'a> {
    boards: Vec<Board>,
    models: Vec<Model>,
    /// Gate for the quiet that `--image` has, or gets: shapes without a model get it too.
    quiet: Option<Quiet>,
    config: Config,
    budgets: Budgets,
    audio: &'a [PathBuf],
    /// Length that each stream has, in seconds.
    seconds: u32,
    vela: Option<&'a Path>,
}

/// Simulates all combinations of shapes and boards. What misses a limit is no failure: the purpose is to
/// know.
pub fn sweep(options: &Options) -> Result<()> {
    let (sweep, shapes) = Sweep::new(options)?;
    report(options, &sweep, &sweep.rows(&shapes)?)
}

fn report(options: &Options, sweep: &Sweep<'_>, rows: &[Row]) -> Result<()> {
    let latency_ms = sweep.budgets.latency_ms.get();
    let limits = sweep
        .boards
        .iter()
        .map(|board| sweep.budgets.of(board.limits));
    let limits: Vec<_> = limits.collect();
    let forms = Forms {
        text: text::page(rows, latency_ms),
        markdown: text::markdown(rows, latency_ms),
        json: output::json_lines(rows),
        html: || html::page(rows, latency_ms, &limits),
    };
    forms.show(options.format, options.output.as_deref(), "sweep")
}

impl<'a> Sweep<'a> {
    /// Reads the options; returns the sweep and the shapes.
    fn new(options: &'a Options) -> Result<(Sweep<'a>, Vec<Profile>)> {
        let keys = Keys::parse(&options.sweep)?;
        let names = match (&options.board, &keys.boards[..]) {
            (Some(board), []) => std::slice::from_ref(board),
            (None, boards @ [_, ..]) => boards,
            (Some(board), _) => {
                return Err(Error::usage(format!(
                    "--board {board} and --sweep board=...: expected boards in one of the two"
                )));
            }
            (None, []) => {
                return Err(Error::usage(
                    "--sweep without a board: expected --board NAME, or --sweep board=NAME,... as well",
                ));
            }
        };
        let rows = keys.count().saturating_mul(names.len());
        if rows > MOST {
            return Err(Error::usage(format!(
                "--sweep: {rows} combinations, expected at most {MOST}; sweep fewer values at once"
            )));
        }
        let boards = names.iter().map(|name| Board::open(&options.boards, name));
        let boards = boards.collect::<Result<_>>()?;
        let config = Config::load(None)?;
        let models = models::find(
            &options.image,
            options.wake.as_ref(),
            options.quiet,
            &config,
        )?;
        let shapes = keys.shapes(&models[0].shape);
        let quiet = models[0].file.image()?.quiet();
        let sweep = Sweep {
            boards,
            models,
            quiet,
            config,
            budgets: Budgets::load(options.budgets.as_deref())?,
            audio: &options.audio,
            seconds: options.seconds,
            vela: options.vela.as_deref(),
        };
        Ok((sweep, shapes))
    }

    /// Returns the rows of all shapes on the first board, then on the next.
    fn rows(&self, shapes: &[Profile]) -> Result<Vec<Row>> {
        let style = "{wide_bar} {pos}/{len} combinations, {eta} left";
        let style =
            ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar());
        let progress =
            ProgressBar::new((shapes.len() * self.boards.len()) as u64).with_style(style);
        let rows = shapes.par_iter().map(|shape| self.shape(shape, &progress));
        let rows = rows.collect::<Result<_>>();
        progress.finish_and_clear();
        let rows: Vec<Vec<Row>> = rows?;
        let of_board = |board: usize| rows.iter().map(move |of_shape| of_shape[board].clone());
        Ok((0..self.boards.len()).flat_map(of_board).collect())
    }

    /// Simulates one shape, and returns a row for each board.
    fn shape(&self, shape: &Profile, progress: &ProgressBar) -> Result<Vec<Row>> {
        let model = self.models.iter().find(|model| model.shape == *shape);
        let skeleton;
        let file = match model {
            Some(model) => &model.file,
            None => match self.skeleton(shape) {
                Ok(file) => {
                    skeleton = file;
                    &skeleton
                }
                Err(error) => {
                    progress.inc(self.boards.len() as u64);
                    let error = error.to_string();
                    // The row has the shape already.
                    let reason = error.strip_prefix(&format!("{shape}: ")).unwrap_or(&error);
                    let refused = |board| Row::refused(board, shape, reason.into());
                    return Ok(self.boards.iter().map(refused).collect());
                }
            },
        };
        let image = file.image()?;
        let heard = |model| Ok((model, words(&image, self.audio)?));
        let candidate = Candidate {
            shape: *shape,
            image,
            image_bytes: file.bytes().len(),
            model: model.map(heard).transpose()?,
        };
        let mut estimates = Vec::new();
        let row = |board| {
            let row = self.row(board, &candidate, &mut estimates);
            progress.inc(1);
            row
        };
        self.boards.iter().map(row).collect()
    }

    /// Makes an image of a shape that nobody has trained.
    fn skeleton(&self, shape: &Profile) -> Result<ImageFile> {
        let file = skeleton::image(shape, &self.config)?;
        match self.quiet {
            Some(quiet) => wake::with_gate(&file, quiet),
            None => Ok(file),
        }
    }

    /// Simulates a shape on a board. `estimates` holds the seconds that are known of a step of this shape
    /// on NPUs.
    fn row(
        &self,
        board: &Board,
        candidate: &Candidate<'_>,
        estimates: &mut Vec<(Target, f64)>,
    ) -> Result<Row> {
        let Candidate { image, shape, .. } = candidate;
        let refused = |error: Error| Ok(Row::refused(board, shape, error.to_string()));
        let mut npu_s = 0.0;
        if let Some(npu) = &board.npu {
            let known = estimates.iter().find(|(target, _)| *target == npu.target);
            npu_s = match known {
                Some(&(_, seconds)) => seconds,
                None => match npu::quiet_step_seconds(image, npu.target, self.vela) {
                    Ok(seconds) => seconds,
                    // The error is about this shape; without Vela there would be no row at all.
                    Err(error @ Error::Check(_)) => return refused(error),
                    Err(error) => return Err(error),
                },
            };
            estimates.push((npu.target, npu_s));
        }
        // The board may know no cost of what this shape needs.
        let costs = match Costs::with(board, image, npu_s) {
            Ok(costs) => costs,
            Err(error) => return refused(error),
        };
        Ok(Row::new(
            board,
            candidate,
            &costs,
            self.seconds,
            self.budgets.latency_ms.get().into(),
            self.budgets.of(board.limits),
        ))
    }
}

#[cfg(test)]
mod tests;
