//! Runs the `memory-report` command.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use memory_report::{Options, run};
use zerda_support::output::Format;

const EXAMPLES: &str = "\
Examples:
  memory-report
  memory-report --board nucleo-h743zi --markdown
  memory-report --output target/report
  memory-report --renew

Exit codes: 0 done, 1 a budget is missed or a board grew, 2 wrong use or an input that could not be used.";

/// Reports what each board's firmware takes of its memory, down to the byte, against budgets and baseline
///
/// Builds the firmware with the image in it and reads what lies where: code by crate and module (by debug
/// information, so also where it was inlined), constants, the image by operator, caches, arena, audio ring,
/// statics, the stack, padding. The stack is measured in QEMU, or taken from a board with the same
/// instructions that QEMU runs. Fails where flash, RAM or both together exceed config/budgets.toml or the
/// board's own limits, or grew by more than it allows over the baseline; a board that the baseline lacks is new.
/// Boards that take updates are built with them, by the key of ZERDA_UPDATE_KEY or one that belongs to nobody: the
/// journal counts as flash, the spare slot apart.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
struct Arguments {
    /// Names a board that is reported on, by the name of its folder; may be given several times [default: all]
    #[arg(long = "board", value_name = "NAME")]
    names: Vec<String>,
    /// Names the folder that the boards are in
    #[arg(long, value_name = "DIR", default_value = "firmware/boards")]
    boards: PathBuf,
    /// Names the compiled model that the firmware holds
    #[arg(long, value_name = "FILE", default_value = "models/shrunk.zerda")]
    image: PathBuf,
    /// Names the phrases of `zerda enroll` that the firmware holds beside the model
    #[arg(long, value_name = "FILE", conflicts_with_all = ["elf", "renew"])]
    templates: Option<PathBuf>,
    /// Names the firmware of the one board, with the image in it, which is read instead of building one
    #[arg(long, value_name = "FILE", requires = "names")]
    elf: Option<PathBuf>,
    /// Names the file that says what the firmware may take
    #[arg(long, value_name = "FILE", default_value = "config/budgets.toml")]
    budgets: PathBuf,
    /// Names the file that says what the firmware took when it was last agreed to
    #[arg(
        long,
        value_name = "FILE",
        default_value = "memory-report/baseline.toml"
    )]
    baseline: PathBuf,
    /// Agrees to what grew: writes the baseline
    #[arg(long)]
    renew: bool,
    /// Names recordings, or folders of them, on which the stack is measured
    #[arg(long, value_name = "PATH", num_args = 1.., default_value = "models/samples")]
    audio: Vec<PathBuf>,
    /// Writes memory.md, memory.json and memory.html into this folder as well
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Prints one JSON object a line and board: version, board, verdict (pass or fail), failures, notes,
    /// total_bytes and budget_bytes (flash and RAM, the stack with its margin), flash and ram (used,
    /// budget), spare_slot_bytes (for updates, counted apart; null: none), regions (name, origin, length, used, memory), parts (a tree for each region of all its
    /// length: name, bytes, region, kind, children; kind `unused` is not used), stack (bytes used, null
    /// where it was not measured; margin, basis), arena (tensors: name, offset, bytes, numbers of the first
    /// and last operator), baseline (null: the board is new; bytes, change_percent, flash_percent, ram_percent,
    /// parts that differ: region, name, was, bytes)
    #[arg(long)]
    json: bool,
    /// Prints Markdown, for a comment on a pull request
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let options = Options {
        names: arguments.names,
        boards: arguments.boards,
        image: arguments.image,
        templates: arguments.templates,
        elf: arguments.elf,
        budgets: arguments.budgets,
        baseline: arguments.baseline,
        renew: arguments.renew,
        audio: arguments.audio,
        output: arguments.output,
        format: Format::of(arguments.json, arguments.markdown),
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error.report_by("memory-report");
            error.exit_code().into()
        }
    }
}
