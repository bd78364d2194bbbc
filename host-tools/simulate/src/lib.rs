//! `zerda-simulate` tells how long a board takes, before there is one.
//!
//! It serves `zerda simulate`. It depends on `zerda-device`, whose QEMU counts instructions, on `zerda-quantize`, which
//! makes images of shapes that nobody has trained, on `zerda-tflite`, which asks Vela for the NPU's time, and on
//! `zerda-support`, which describes the boards.
//!
//! What an operator takes follows from its shape ([`cost`]), by costs that stand in the board's file
//! ([`zerda_support::board`]) and were fitted to instructions counted in QEMU ([`calibrate`]); the NPU's time is Vela's.
//! [`costs`] makes seconds of both, [`device`] lets them pass in the order in which the firmware works, and
//! [`words`] knows from the network itself when it decides. [`sweep`] does it for many shapes of the network.

pub mod calibrate;
pub mod cost;
pub mod costs;
pub mod device;
mod histogram;
mod html;
pub mod latency;
pub mod report;
pub mod sweep;
mod text;
pub mod words;

use std::path::PathBuf;

use zerda_support::board::Board;
use zerda_support::config::{Budgets, Sensitivity};
use zerda_support::error::{Error, Result};
use zerda_support::output::{self, Format, Forms};
use zerda_support::wake;

use costs::Costs;
use report::Simulation;

pub struct Options {
    /// Name of the board, or the path of its file; `None` where the sweep names boards.
    pub board: Option<String>,
    /// Folder that holds the boards with firmware.
    pub boards: PathBuf,
    /// Keys that the sweep varies and their values, each as `KEY=V,...`.
    pub sweep: Vec<String>,
    pub image: PathBuf,
    pub wake: Option<wake::Words>,
    /// Sensitivity of a voice activity gate that takes the place of the image's own.
    pub quiet: Option<Sensitivity>,
    /// Recordings whose words are timed.
    pub audio: Vec<PathBuf>,
    /// Length of the stream that is simulated, in seconds.
    pub seconds: u32,
    pub budgets: Option<PathBuf>,
    /// Folder that all forms are written into.
    pub output: Option<PathBuf>,
    pub format: Format,
    pub vela: Option<PathBuf>,
}

impl Options {
    fn board(&self) -> Result<Board> {
        let missing = || Error::usage("--board NAME: expected, to know what to simulate");
        Board::open(&self.boards, self.board.as_deref().ok_or_else(missing)?)
    }
}

/// Simulates a board and fails if it is too slow.
pub fn simulate(options: &Options) -> Result<()> {
    let board = options.board()?;
    let budgets = Budgets::load(options.budgets.as_deref())?;
    let file = wake::open(&options.image, options.wake.as_ref(), options.quiet)?;
    let image = file.image()?;
    let words = words::words(&image, &options.audio)?;
    let costs = Costs::new(&board, &image, options.vela.as_deref())?;
    let limit_ms = budgets.latency_ms.get().into();
    let report = Simulation::new(
        &board,
        &image,
        &options.image,
        &costs,
        &words,
        options.seconds,
        limit_ms,
    );
    let forms = Forms {
        text: text::page(&report),
        markdown: text::markdown(&report),
        json: output::json_lines(&[&report]),
        html: || html::page(&report),
    };
    forms.show(options.format, options.output.as_deref(), "latency")?;
    match report.failures.is_empty() {
        true => Ok(()),
        false => Err(Error::Checks(report.failures)),
    }
}
