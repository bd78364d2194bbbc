//! `zerda flash` builds a board's firmware, says what it takes of the board's memory, and writes it
//! to the board with the installed `probe-rs`, or as a UF2 file.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use zerda_firmware::Image;
use zerda_support::board::Board;
use zerda_support::error::{Error, Result};
use zerda_support::files;
use zerda_support::image_file::ImageFile;
use zerda_support::output::print;
use zerda_support::wake;

use crate::boards::Project;
use crate::elf::{self, Usage};
use crate::uf2::{self, Uf2};

pub struct Options {
    pub board: String,
    /// Folder that holds the boards.
    pub boards: PathBuf,
    pub image: PathBuf,
    /// Says whether to show only what would be done.
    pub dry_run: bool,
    /// UF2 file, or drive, that is written instead of calling `probe-rs`.
    pub uf2: Option<PathBuf>,
    pub json: bool,
}

/// Says how the firmware gets to the board.
enum Way {
    /// QEMU runs the board.
    None,
    /// `probe-rs` writes to this chip.
    Probe(String),
    File(Uf2),
}

impl Way {
    fn of(options: &Options, board: &Board) -> Result<Way> {
        let lacks = |what| Err(Error::usage(format!("{}: {what}", board.name)));
        match (&options.uf2, &board.chip, board.uf2_family) {
            (Some(path), _, Some(family)) => Uf2::plan(path, &board.name, family).map(Way::File),
            (Some(_), _, None) => lacks(
                "takes no UF2 file: its board.toml has no [uf2] with `family = ...`; leave --uf2 out",
            ),
            (None, Some(chip), _) => Ok(Way::Probe(chip.clone())),
            (None, None, _) if options.dry_run => Ok(Way::None),
            (None, None, _) => lacks(
                "not a board to flash: its board.toml has no [probe-rs] with `chip = \"...\"`; \
                 `zerda qemu` runs those that have a QEMU machine",
            ),
        }
    }
}

/// Builds a board's firmware, says what it takes and flashes it. Without a dry run, what needs no
/// firmware is checked before it is built.
pub fn flash(options: &Options) -> Result<()> {
    let project = Project::open(&options.boards, &options.board)?;
    let board = &project.board;
    let way = Way::of(options, board)?;
    if let Way::File(file) = &way {
        files::announce(std::slice::from_ref(&file.path))?;
    }
    let file = ImageFile::open(&options.image)?;
    let image = file.image()?;
    if let Way::Probe(chip) = &way
        && !options.dry_run
    {
        // Whether it is there and knows the chip can be asked without a probe.
        probe_rs(chip, &["chip", "info", chip].map(String::from))?;
    }
    let firmware = project.build(&file, None)?;
    let elf = firmware.elf.canonicalize();
    let elf = elf.unwrap_or_else(|_| firmware.elf.clone());
    let usages = elf::usage(&elf, elf::regions(&project.directory.join("memory.x"))?)?;
    match way {
        Way::None => {
            report(options, &image, &elf, &usages, &[], None)?;
            say(
                options,
                &format!("{}: no board to flash, QEMU runs it", options.board),
            )
        }
        Way::Probe(chip) => {
            let calls = calls(&chip, &elf);
            report(options, &image, &elf, &usages, &calls, None)?;
            if options.dry_run {
                return Ok(());
            }
            for call in &calls {
                probe_rs(&chip, call)?;
            }
            say(options, &format!("{} is flashed and runs", board.name))
        }
        Way::File(to) => {
            let (line, uf2) = uf2_file(&to, &elf, !options.dry_run)?;
            report(options, &image, &elf, &usages, &[], Some(uf2))?;
            say(options, &line)
        }
    }
}

/// Makes the UF2 file of an ELF, writes it if asked to, and returns what is to be said of it: a line, and JSON.
fn uf2_file(to: &Uf2, elf: &Path, written: bool) -> Result<(String, Value)> {
    let bytes = files::read(elf).map_err(|error| Error::read(elf, error))?;
    let bytes = uf2::bytes(&elf::parse(elf, &bytes)?, to.family);
    let mut words = "would be written";
    if written {
        to.write(&bytes)?;
        words = "written";
    }
    let (path, family, length) = (to.path.display().to_string(), to.family, bytes.len());
    Ok((
        format!("{path}: {length} bytes of UF2 for family {family:#010x}, {words}"),
        json!({ "path": path, "bytes": length, "family": family, "written": written }),
    ))
}

/// Prints a last line for people.
fn say(options: &Options, line: &str) -> Result<()> {
    match options.json {
        true => Ok(()),
        false => print(line),
    }
}

/// Returns the arguments of the calls of `probe-rs`: write and read back, then start.
fn calls(chip: &str, elf: &Path) -> Vec<Vec<String>> {
    let elf = elf.display().to_string();
    let download = [
        "download",
        "--non-interactive",
        "--disable-progressbars",
        "--verify",
        "--chip",
        chip,
        &elf,
    ];
    let reset = ["reset", "--non-interactive", "--chip", chip];
    let owned = |arguments: &[&str]| {
        arguments
            .iter()
            .map(std::string::ToString::to_string)
            .collect()
    };
    vec![owned(&download), owned(&reset)]
}

fn probe_rs(chip: &str, arguments: &[String]) -> Result<()> {
    let mut command = Command::new("probe-rs");
    command.args(arguments).stdin(Stdio::null());
    // What it says is read below.
    command.env("NO_COLOR", "1").env_remove("RUST_BACKTRACE");
    let output = command.output().map_err(|error| match error.kind() {
        ErrorKind::NotFound => Error::usage(
            "probe-rs is not installed, or not in PATH: `cargo install probe-rs-tools --locked`, \
             or its installer at https://probe.rs",
        ),
        _ => Error::usage(format!("probe-rs cannot be run: {error}")),
    })?;
    match output.status.success() {
        true => Ok(()),
        false => Err(Error::usage(failure(
            chip,
            &String::from_utf8_lossy(&output.stdout),
            &String::from_utf8_lossy(&output.stderr),
        ))),
    }
}

/// Writes the one line that says why `probe-rs` (0.32) failed.
fn failure(chip: &str, stdout: &str, stderr: &str) -> String {
    let said = |part| stderr.contains(part);
    if said("No connected probes were found") || said("Probe not found") {
        return "no debug probe found: connect the board's debug USB port; if it is connected, \
                https://probe.rs/docs/getting-started/probe-setup says who may use it"
            .into();
    }
    if let Some((_, probes)) = stdout.split_once("Available Probes:") {
        let probes = probes.lines().filter(|line| line.contains(" -- "));
        return format!(
            "several debug probes, set PROBE_RS_PROBE to VID:PID:SERIAL of one: {}",
            probes.collect::<Vec<_>>().join(", ")
        );
    }
    if said("was not found in the list of known targets") || said("Found multiple chips") {
        return format!(
            "{chip}: probe-rs does not know one chip of this name: correct it in the board's \
             board.toml (`probe-rs chip list` has the names) or update probe-rs"
        );
    }
    let (error, cause) = error_and_cause(stderr);
    // A target without power gives but a warning, and then some failure.
    let voltage = |line: &'_ str| line.find("Target voltage").map(|at| line[at..].to_string());
    let mut line = format!("{chip}: probe-rs: {error}");
    for part in [cause, stderr.lines().find_map(voltage)]
        .into_iter()
        .flatten()
    {
        line.push(' ');
        line.push_str(&part);
    }
    if said("Connecting to the chip was unsuccessful") {
        line.push_str(" Is the board powered, and has it this chip?");
    }
    line
}

/// Finds the error in what `probe-rs` said, and the last of its causes.
fn error_and_cause(stderr: &str) -> (&str, Option<String>) {
    let mut lines = stderr
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty());
    let error = lines.find_map(|line| {
        let (start, error) = line.split_once(": ")?;
        start.eq_ignore_ascii_case("error").then_some(error)
    });
    let Some(error) = error else {
        let last = stderr.lines().map(str::trim).rfind(|line| !line.is_empty());
        return (last.unwrap_or("it failed without a word"), None);
    };
    // Several causes are numbered.
    let cause = (lines.next() == Some("Caused by:"))
        .then(|| lines.next_back())
        .flatten();
    let number = |c: char| c.is_ascii_digit() || c == ':';
    (
        error,
        cause.map(|cause| cause.trim_start_matches(number).trim().to_string()),
    )
}

fn report(
    options: &Options,
    image: &Image<'_>,
    elf: &Path,
    usages: &[Usage],
    calls: &[Vec<String>],
    uf2: Option<Value>,
) -> Result<()> {
    let commands = calls
        .iter()
        .map(|call| format!("probe-rs {}", call.join(" ")));
    let commands: Vec<String> = commands.collect();
    if options.json {
        let regions: Vec<_> = usages
            .iter()
            .map(|usage| {
                let parts = usage.parts.iter();
                json!({
                    "name": usage.region.name,
                    "origin": usage.region.origin,
                    "length": usage.region.length,
                    "used": usage.used(),
                    "parts": parts
                        .map(|part| json!({ "name": part.name, "bytes": part.bytes }))
                        .collect::<Vec<_>>(),
                })
            })
            .collect();
        let report = json!({
            "board": options.board,
            "elf": elf.display().to_string(),
            "regions": regions,
            "commands": commands,
            "uf2": uf2,
            "wake": wake::json(image),
            "quiet": wake::quiet_json(image),
        });
        return print(&report.to_string());
    }
    print(&format!("model image: {}", wake::describe(image)))?;
    print(&format!("quiet gate: {}", wake::describe_quiet(image)))?;
    for usage in usages {
        let (region, used) = (&usage.region, usage.used());
        print(&format!(
            "{} at {:#010x}: {:.1} of {:.0} KiB, {:.1} %",
            region.name,
            region.origin,
            used as f64 / 1024.0,
            region.length as f64 / 1024.0,
            100.0 * used as f64 / region.length as f64
        ))?;
        for part in &usage.parts {
            print(&format!("{:>10} {}", part.bytes, part.name))?;
        }
    }
    for command in &commands {
        print(command)?;
    }
    Ok(())
}
