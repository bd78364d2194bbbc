//! Defines the arguments of the commands that build, run, flash and listen to boards.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use zerda_device::monitor::Settings;
use zerda_device::qemu::FAULTS;
use zerda_firmware::npu::model::Injection;
use zerda_support::config::{Smoothing, Threshold};

use super::{ImageArg, QuietArg, WakeArg};

#[derive(Args)]
pub struct BoardArgs {
    /// Takes the board of this name, a folder of --boards
    #[arg(long, value_name = "NAME")]
    pub board: String,
    /// Looks for the boards in this folder
    #[arg(long, value_name = "DIR", default_value = "firmware/boards")]
    pub boards: PathBuf,
}

/// Runs a board's firmware on audio files, in QEMU
///
/// Builds the firmware with the image in it, and fetches the Rust target and QEMU where they are missing
/// (firmware/setup.sh). It boots once for each file; detections and summary are printed as `run` prints them, and the
/// logits' CRC-32 must be the same. The firmware's own logs go to standard error. QEMU counts instructions, not cycles:
/// --profile assumes one cycle for each.
#[derive(Args)]
pub struct QemuArgs {
    /// Reads recordings: WAV, FLAC, MP3, AAC, Ogg (Vorbis, Opus), M4A, AIFF or CAF, of any sample rate and channel count
    #[arg(required_unless_present = "kernels", value_name = "FILE")]
    pub inputs: Vec<PathBuf>,
    #[command(flatten)]
    pub board: BoardArgs,
    #[command(flatten)]
    pub image: ImageArg,
    #[command(flatten)]
    pub wake: WakeArg,
    #[command(flatten)]
    pub quiet: QuietArg,
    /// Builds the phrases of this file in, which the board looks for beside the image's commands
    #[arg(long, value_name = "FILE", conflicts_with_all = ["npu_model", "kernels"])]
    pub templates: Option<PathBuf>,
    /// Prints one JSON object a line: detections, overruns, {"profile": {...}}, then {"summary": {...}}
    #[arg(long)]
    pub json: bool,
    /// Counts the instructions of each stage on the first file; the exit code is 1 above 70 % load
    #[arg(long, conflicts_with = "realtime")]
    pub profile: bool,
    /// Judges the load at this clock, in MHz, instead of the board's
    #[arg(long, value_name = "N", requires = "profile", value_parser = mhz)]
    pub mhz: Option<f64>,
    /// Feeds audio by the clock, 10 ms from an interrupt each 10 ms, to a processor of 125 MIPS
    #[arg(long)]
    pub realtime: bool,
    /// Holds the main loop up at AT ms of audio for MS ms, so that audio is lost; from 2000 ms on the watchdog starts the
    /// board again
    #[arg(long, value_name = "AT,MS", requires = "realtime", value_parser = stall)]
    pub stall: Option<(u32, u32)>,
    /// Lets the firmware fail at AT ms of audio, by a panic, a hardfault or an overflow of its stack, and start again; or
    /// damages its image, which it finds within a round of its check and ends
    #[arg(long, value_name = "AT,KIND", conflicts_with = "kernels", value_parser = fault)]
    pub fault: Option<(u32, String)>,
    /// Serves the serial port on this address for `zerda monitor tcp:HOST:PORT`, which each file waits for, instead of
    /// printing what it reports
    #[arg(long, value_name = "HOST:PORT", conflicts_with_all = ["json", "profile"])]
    pub serve: Option<SocketAddr>,
    /// Keeps the flash that updates write in this file, from run to run; ZERDA_UPDATE_KEY in the environment names the
    /// public key that is built in. The board runs the image that was confirmed, whatever --image built in
    #[arg(long, value_name = "FILE", conflicts_with_all = ["kernels", "npu_model"])]
    pub flash: Option<PathBuf>,
    /// Runs steps by the NPU driver. QEMU has no NPU: behind the driver is a model of its registers, which computes
    /// them with the CPU's kernels. STEP:FAULT,... lets it fail in these steps, with bus, parse, weights, ecc,
    /// incomplete, hang, silent, stuck or identity
    #[arg(long, value_name = "STEP:FAULT", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "", value_parser = npu_faults)]
    #[arg(conflicts_with_all = ["profile", "kernels"])]
    pub npu_model: Option<String>,
    /// Compares the kernels that the board runs with the plain ones, bit for bit, instead of hearing audio
    #[arg(long, conflicts_with_all = ["inputs", "json", "profile", "realtime", "serve"])]
    pub kernels: bool,
}

impl MonitorArgs {
    /// Returns the settings that are changed, if the device is asked at all.
    pub fn settings(&self) -> Option<Settings> {
        let asks = self.settings || !self.set.is_empty() || self.smoothing.is_some();
        asks.then(|| Settings {
            thresholds: self.set.clone(),
            smoothing: self.smoothing,
        })
    }
}

fn threshold(text: &str) -> std::result::Result<(String, u8), String> {
    let (word, value) = text
        .rsplit_once('=')
        .filter(|(word, _)| !word.is_empty())
        .ok_or("expected WORD=THRESHOLD, as yes=0.8 or yes=off")?;
    let threshold = match value {
        "off" => 0,
        value => {
            let posterior: f32 = value.parse().map_err(|_| "expected 0.01 to 0.99, or off")?;
            Threshold::try_from(posterior)?.0
        }
    };
    Ok((word.into(), threshold))
}

fn smoothing(text: &str) -> std::result::Result<u8, String> {
    let frames: u8 = text.parse().map_err(|_| "expected 1 to 32 frames")?;
    Ok(Smoothing::try_from(frames)?.0)
}

fn mhz(text: &str) -> std::result::Result<f64, String> {
    match text.parse() {
        Ok(mhz) if (0.001..=1e6).contains(&mhz) => Ok(mhz),
        _ => Err("expected a clock in MHz".into()),
    }
}

/// Checks a list of `STEP:FAULT,...`, in which steps are numbers and faults have names that the firmware knows.
fn npu_faults(text: &str) -> std::result::Result<String, String> {
    let valid = |fault: &str| match fault.split_once(':') {
        Some((step, name)) => step.parse::<u32>().is_ok() && Injection::named(name).is_some(),
        None => false,
    };
    match text.is_empty() || text.split(',').all(valid) {
        true => Ok(text.into()),
        false => {
            let names = Injection::NAMED.map(|(name, _)| name).join(", ");
            Err(format!("expected STEP:FAULT,... with a fault of {names}"))
        }
    }
}

fn fault(text: &str) -> std::result::Result<(u32, String), String> {
    let parts = text
        .split_once(',')
        .and_then(|(at, kind)| Some((at.parse().ok()?, kind)));
    match parts {
        Some((at, kind)) if FAULTS.contains(&kind) => Ok((at, kind.into())),
        _ => Err(format!(
            "expected AT,KIND, as 3000,panic, with a kind of {}",
            FAULTS.join(", ")
        )),
    }
}

fn stall(text: &str) -> std::result::Result<(u32, u32), String> {
    let numbers = text
        .split_once(',')
        .map(|(at, ms)| (at.parse(), ms.parse()));
    match numbers {
        Some((Ok(at), Ok(ms))) => Ok((at, ms)),
        _ => Err("expected AT,MS in milliseconds, as 3000,1000".into()),
    }
}

/// Writes a board's firmware to its flash, with the installed probe-rs or as a UF2 file, and starts it
///
/// Builds the firmware with the image in it, and prints what it takes of each memory region of the board: sections, the
/// model, variables of 1 KiB and more. Then `probe-rs` writes it, reads it back and resets the board. If there are
/// several debug probes, PROBE_RS_PROBE in the environment names one.
#[derive(Args)]
pub struct FlashArgs {
    #[command(flatten)]
    pub board: BoardArgs,
    #[command(flatten)]
    pub image: ImageArg,
    /// Prints the regions and the calls of probe-rs, touches no probe and writes no file
    #[arg(long)]
    pub dry_run: bool,
    /// Writes a UF2 file instead of calling probe-rs: to this file, or to the board's drive that is mounted in this folder
    /// (hold BOOTSEL down while you connect the board)
    #[arg(long, value_name = "FILE|DIR")]
    pub uf2: Option<PathBuf>,
    /// Prints one JSON object: regions, sizes in bytes, commands, the UF2 file (null without --uf2), wake and quiet as
    /// `inspect` has them
    #[arg(long)]
    pub json: bool,
}

/// Prints what a device reports: detections, overruns, and once a second its load and counters
///
/// A damaged report is skipped, and a note on standard error says so; at the end of the source the last line counts
/// reports (frames), corrupted and lost ones, commands and, where the image has wake words, these and the windows that
/// they opened. Listening may begin at any time, and a serial port that goes away is opened again when it is back.
/// --set and --smoothing change how sensitive the device is until it starts again, and nothing in its image or flash.
#[derive(Args)]
pub struct MonitorArgs {
    /// Reads a serial port (/dev/ttyACM0, COM3), tcp:HOST:PORT, a recorded file, or - for standard input
    #[arg(value_name = "SOURCE")]
    pub source: String,
    /// Sets the rate of a serial port, in baud
    #[arg(long, value_name = "RATE", default_value_t = 115_200)]
    pub baud: u32,
    /// Sets the threshold of a word, 0.01 to 0.99, or off; may be given several times. The device says what is in force
    #[arg(long, value_name = "WORD=THRESHOLD", value_parser = threshold)]
    pub set: Vec<(String, u8)>,
    /// Sets the number of frames, 1 to 32, that scores are averaged over; the device says what is in force
    #[arg(long, value_name = "FRAMES", value_parser = smoothing)]
    pub smoothing: Option<u8>,
    /// Asks the device which thresholds and smoothing are in force
    #[arg(long)]
    pub settings: bool,
    /// Prints one JSON object a line: detections, {"awake"} and {"asleep"} as `run` has them, {"start"}, {"overrun"},
    /// {"status"}, before it {"gate"} where the image has wake words, {"speech"} and {"quiet"} where its network may rest, then
    /// {"settings"} where they were asked for (what is in force, and the image's own), {"summary": {...}}: frames, corrupted, lost, detections (of commands), where there are wake words wake_words,
    /// windows_opened and windows_closed, and where the network may rest speech, the times that it began
    #[arg(long)]
    pub json: bool,
}
