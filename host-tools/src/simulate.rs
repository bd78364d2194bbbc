//! `zerda simulate`: how long a board takes, before there is one.
//!
//! What an operator takes follows from its shape ([`cost`]), by costs that stand in the board's file
//! ([`board`]) and were fitted to instructions counted in QEMU ([`calibrate`]); the NPU's time is Vela's.
//! [`costs`] makes seconds of both, [`device`] lets them pass in the order in which the firmware works, and
//! [`words`] knows from the network itself when it decides. [`sweep`] does it for many shapes of the network.

pub mod board;
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

use std::fs;
use std::path::PathBuf;

use crate::config::Budgets;
use crate::error::{Error, Result};
use crate::image_file::ImageFile;
use crate::output;
use crate::run::print;
use board::Board;
use costs::Costs;
use report::Report;

pub struct Options {
    /// Its name, or the path of its file; none where the sweep names boards.
    pub board: Option<String>,
    /// `KEY=V,...`.
    pub sweep: Vec<String>,
    pub image: PathBuf,
    /// Recordings whose words are timed.
    pub audio: Vec<PathBuf>,
    /// Of the stream.
    pub seconds: u32,
    pub budgets: Option<PathBuf>,
    /// Write all forms into this folder.
    pub output: Option<PathBuf>,
    pub format: Format,
    pub vela: Option<PathBuf>,
}

impl Options {
    fn board(&self) -> Result<&str> {
        let missing = || Error::usage("--board NAME: expected, to know what to simulate");
        self.board.as_deref().ok_or_else(missing)
    }
}

/// Of standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Text,
    Markdown,
    Json,
}

/// Simulates a board and fails if it is too slow.
pub fn simulate(options: &Options) -> Result<()> {
    let board = Board::open(options.board()?)?;
    let budgets = Budgets::load(options.budgets.as_deref())?;
    let file = ImageFile::open(&options.image)?;
    let image = file.image()?;
    let words = words::words(&image, &options.audio)?;
    let costs = Costs::new(&board, &image, options.vela.as_deref())?;
    let limit_ms = budgets.latency_ms.get().into();
    let report = Report::new(
        &board,
        &image,
        &options.image,
        &costs,
        &words,
        options.seconds,
        limit_ms,
    );
    // Of a struct of numbers and strings: cannot fail.
    let json = serde_json::to_string(&report).expect("a report as JSON");
    let printed = match options.format {
        Format::Text => &text::page(&report),
        Format::Markdown => &text::markdown(&report),
        Format::Json => &json,
    };
    print(printed.trim_end())?;
    if let Some(folder) = &options.output {
        fs::create_dir_all(folder).map_err(|error| Error::write(folder, error))?;
        let write = |name: &str, text: &str| output::write(&folder.join(name), text.as_bytes());
        write("latency.json", &format!("{json}\n"))?;
        write("latency.md", &text::markdown(&report))?;
        write("latency.html", &html::page(&report)?)?;
    }
    match report.failures.is_empty() {
        true => Ok(()),
        false => Err(Error::check(report.failures.join("\n"))),
    }
}
