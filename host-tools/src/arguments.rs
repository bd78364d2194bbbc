//! The command line: what `zerda` takes, and what its help says.

mod eval;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use zerda::compiler::ranges::Method;
use zerda::npu;
use zerda_firmware::npu::model::Injection;

pub use eval::{EvalArgs, Room, TuneArgs};

const EXAMPLES: &str = "\
Examples:
  zerda run models/samples/*.wav
  arecord -q -t raw -f S16_LE -r 16000 -c 1 | zerda run -
  zerda eval speech_commands/test
  zerda eval speech_commands/test --stream --negatives recordings --noise noise --report report.html
  zerda tune --negatives recordings --commands speech_commands/val --config config --output models/shrunk.zerda
  zerda compile models/shrunk.onnx --calibrate speech_commands/val
  zerda inspect models/shrunk.zerda
  zerda inspect --onnx models/shrunk.onnx --audio models/samples --report report.html
  zerda export models/shrunk.zerda
  zerda npu models/shrunk.zerda --target ethos-u55-256 -o shrunk-u55.zerda
  zerda qemu --board mps3-an547 --profile models/samples/*.wav
  zerda simulate --board ethos-u55-256
  zerda simulate --sweep board=mps2-an386,mps3-an547 --sweep cache=50,100
  zerda flash --board nucleo-h743zi --dry-run
  zerda monitor /dev/ttyACM0

Exit codes: 0 done, 1 a check failed, 2 wrong use or an input that could not be used.";

/// Spoken commands on the device: compile a streaming Conformer to INT8 and run it, with the
/// integers of the firmware, on this machine.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    Run(RunArgs),
    Eval(EvalArgs),
    Tune(TuneArgs),
    Compile(CompileArgs),
    Inspect(InspectArgs),
    Export(ExportArgs),
    Npu(NpuArgs),
    Qemu(QemuArgs),
    Simulate(SimulateArgs),
    Flash(FlashArgs),
    Monitor(MonitorArgs),
}

#[derive(Args)]
pub struct ImageArg {
    /// The compiled model
    #[arg(long, value_name = "FILE", default_value = "models/shrunk.zerda")]
    pub image: PathBuf,
}

/// Recognise the commands in audio files, or live from standard input
///
/// Prints each detection as it happens: its score (0 to 1), where the command starts and ends, and
/// how much audio it took to decide. Each file starts afresh and is followed by 0.1 s of silence,
/// so that its last word is decided. The last line sums up: real-time factor is processing time
/// over length of the audio; the CRC-32 over every logit of every step tells whether two machines
/// computed the same.
#[derive(Args)]
pub struct RunArgs {
    /// WAV or FLAC files of any rate and channel count, or - for raw 16 kHz mono s16le PCM
    #[arg(required = true, value_name = "FILE")]
    pub inputs: Vec<PathBuf>,
    #[command(flatten)]
    pub image: ImageArg,
    /// One JSON object a line: detections, then {"summary": {...}}
    #[arg(long)]
    pub json: bool,
    /// Draw the smoothed posteriors over time
    #[arg(long, value_name = "OUT.svg")]
    pub trace: Option<PathBuf>,
}

/// Compile the float ONNX of one streaming step to an INT8 image
///
/// Calibrates on recordings like those that the device will hear; the same recordings give the same
/// image, byte for byte. Thresholds, smoothing and refractory time come from commands.toml; where
/// models.toml disagrees with the ONNX, that is an error.
#[derive(Args)]
pub struct CompileArgs {
    /// The float model, one streaming step with its caches as inputs and outputs
    #[arg(value_name = "ONNX")]
    pub onnx: PathBuf,
    /// WAV and FLAC files, or folders of them; of a large folder 500 files, evenly spread
    #[arg(long, value_name = "PATH", required = true, num_args = 1..)]
    pub calibrate: Vec<PathBuf>,
    /// The image [default: beside the ONNX, ending in .zerda]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// How the ranges of activations are chosen, where the ONNX does not say them
    #[arg(long, value_name = "METHOD", value_enum, default_value_t = Method::Auto)]
    pub ranges: Method,
    /// The profile of models.toml, if the ONNX does not name its own
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    /// A folder with models.toml and commands.toml [default: those built in]
    #[arg(long, value_name = "DIR")]
    pub config: Option<PathBuf>,
    /// Say what INT8 cost, layer by layer, as `inspect --onnx` does, on 20 of the recordings; into a
    /// FILE.html or FILE.json where one is named
    #[arg(long, value_name = "FILE", num_args = 0..=1, value_parser = report_file)]
    pub report: Option<Option<PathBuf>>,
}

fn report_file(text: &str) -> std::result::Result<PathBuf, String> {
    match text.ends_with(".html") || text.ends_with(".json") {
        true => Ok(text.into()),
        false => Err("expected a name that ends in .html or .json".into()),
    }
}

/// Say what an image holds, and what INT8 cost in it
///
/// All of what it holds is read or counted from the image; nothing is run. Multiply-accumulates (MACs)
/// are those of a step with full caches. Constants are the bytes that the operator reads. Of its output
/// stand scale, zero point, the real values of the lowest and highest int8, and where it lies in the
/// memory.
///
/// With --onnx and --audio: what INT8 cost, on 20 of the recordings, 5 s of each. Each operator's
/// signal to quantization noise (SQNR, dB) and saturation are measured on the firmware's integers
/// against float; regained is how much better the logits' SQNR would be if it alone had stayed in
/// float, measured in tract with fake quantization. Then how far logits, posteriors and answers are
/// from float, and what to do where an operator stands out.
#[derive(Args)]
pub struct InspectArgs {
    /// The compiled model
    #[arg(value_name = "IMAGE", default_value = "models/shrunk.zerda")]
    pub image: PathBuf,
    /// What it was compiled from
    #[arg(long, value_name = "FILE", requires = "audio")]
    pub onnx: Option<PathBuf>,
    /// WAV and FLAC files, or folders of them, to measure on
    #[arg(long, value_name = "PATH", requires = "onnx", num_args = 1..)]
    pub audio: Vec<PathBuf>,
    /// Write what INT8 cost as a page for the browser (.html) or as JSON (.json)
    #[arg(long, value_name = "FILE", requires = "onnx", conflicts_with = "json", value_parser = report_file)]
    pub report: Option<PathBuf>,
    /// One JSON object: sizes in bytes (the `sections` add up to the file), durations in frames and
    /// ms, thresholds of 0 to 1 (null: never detected), `caches`, and `operators` with name, shape,
    /// macs, constants by kind, and output: scale, zero point, range, and `at`, a byte of the arena
    /// or a row of a cache. With --onnx: the report, of `report_version` 1: `figures` (which are
    /// measured and which counted), `image`, `audio`, `end_to_end`, `advice` (rule, numbers of
    /// operators, text), `input` and `operators` with name, kind, shape, macs, bytes, range, values
    /// seen in float, sqnr_db (null: no error), saturation and saturation_noise (its part of the
    /// noise) of 0 to 1, channel_ratio (largest channel over the median; null: keys), regained_db, calibrated
    /// (its range was chosen), stands_out
    #[arg(long)]
    pub json: bool,
}

/// Export an image's step as TFLite, for the tools of the field
#[derive(Args)]
pub struct ExportArgs {
    /// The compiled model
    #[arg(value_name = "IMAGE", default_value = "models/shrunk.zerda")]
    pub image: PathBuf,
    /// The model [default: beside the image, ending in .tflite]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Compile an image's step for an Ethos-U with Arm's Vela, put it into the image, and estimate it
///
/// The image then holds the step twice: the firmware runs it on the NPU, or on the CPU where there is
/// none or it fails. Vela 5.2.0 is installed by the first call, which takes Python. The figures are
/// Vela's estimates: nothing is run. Exit code 1 if an operator would be left to the CPU. For Ethos-U85
/// there is the estimate only.
#[derive(Args)]
pub struct NpuArgs {
    /// The compiled model
    #[arg(value_name = "IMAGE", default_value = "models/shrunk.zerda")]
    pub image: PathBuf,
    /// The NPU, with its multiply-accumulates a cycle
    #[arg(long, value_name = "NPU", value_enum)]
    pub target: npu::Target,
    /// The image with the step for the NPU, instead of any other that it has [default: IMAGE itself]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// One JSON object: step_ms, cycles, npu_cycles, sram_bytes, flash_bytes (constants) and so on;
    /// `basis` says whose estimate they are
    #[arg(long)]
    pub json: bool,
    /// An installed Vela of the same version instead of our own
    #[arg(long, value_name = "PATH")]
    pub vela: Option<PathBuf>,
}

/// Simulate a board's latency, without the board
///
/// Microphone, DMA buffers, front end, step, decoder and output in time, on a board of config/boards: its
/// clock, what its core takes for each kind of operator, its NPU by Vela's estimate. Fails if 500 frames in
/// one piece, or 95 % of the words from their end to their detection, take longer than `latency_ms` of
/// config/budgets.toml, or if a step misses its deadline. Nothing is run but the network, on this machine,
/// to know when it decides: all times are estimates.
#[derive(Args)]
pub struct SimulateArgs {
    /// A board of config/boards, or the path of a board file
    #[arg(long, value_name = "NAME", required_unless_present = "sweep")]
    pub board: Option<String>,
    /// Simulate all combinations of some values instead: chunk, step, cache (left context), all in frames,
    /// hidden, layers, board. What is not swept is as in --image; the feed-forward layers grow with hidden.
    /// A shape that an image beside --image has is simulated with that, words included, any other with
    /// random weights. Exit code 0, whatever the verdicts
    #[arg(long, value_name = "KEY=V,...", conflicts_with = "fit")]
    pub sweep: Vec<String>,
    #[command(flatten)]
    pub image: ImageArg,
    /// Recordings whose words are timed: files, folders of them, or a folder with one of clips for each label
    #[arg(long, value_name = "PATH", num_args = 1.., default_value = "models/samples")]
    pub audio: Vec<PathBuf>,
    /// Length of the stream, in seconds
    #[arg(long, value_name = "S", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    pub seconds: u32,
    /// Other limits than those built in, from config/budgets.toml
    #[arg(long, value_name = "FILE")]
    pub budgets: Option<PathBuf>,
    /// Write latency.md, .json and .html into this folder as well, or sweep.md, .json and .html
    #[arg(long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// One JSON object: verdict (pass or fail) and failures, basis, step_ms (from the last sample in memory
    /// to the decoder's end) and compute_ms (the step alone), min, p50, p99 and max; fill (steps until the
    /// caches are full, ms of the first and of a full one, least and most after that), load (0 to 1) of core
    /// and NPU, deadline_misses, overruns, real_time_factor, sequence_500_ms and sequence_300_ms (without the
    /// front end, which is front_end_500_ms), stages (ms a step), word_end_to_detection_ms (null: audio is
    /// lost; p50, p95, max, words, missed, parts as means, each word). With --sweep an object a line: board,
    /// chunk, step, cache and so on, model (null: none is compiled), verdict (pass, fail, refused),
    /// limits_missed, reason (of a refused one, which has no figures), basis, sequence_500_ms and _300_ms,
    /// step_ms, word_end_to_detection_ms (null: no model), structural_ms (p50, p95, max of words that end
    /// anywhere and are decided by the step that commits their last frame), accuracy (found, 0 to 1; null:
    /// no model or no labels), memory_bytes (caches, arena), image_bytes, load, deadline_misses, overruns
    #[arg(long)]
    pub json: bool,
    /// Markdown, for a comment on a pull request
    #[arg(long, conflicts_with = "json")]
    pub markdown: bool,
    /// An installed Vela instead of our own
    #[arg(long, value_name = "PATH")]
    pub vela: Option<PathBuf>,
    /// Count instructions in QEMU, and rewrite the costs in the board's file
    #[arg(long)]
    pub fit: bool,
}

#[derive(Args)]
pub struct BoardArgs {
    /// The board, a folder of its name
    #[arg(long, value_name = "NAME")]
    pub board: String,
    /// The folder of the boards
    #[arg(long, value_name = "DIR", default_value = "firmware/boards")]
    pub boards: PathBuf,
}

/// Run a board's firmware on audio files, in QEMU
///
/// Builds the firmware with the image in it, and fetches the Rust target and QEMU where they are
/// missing (firmware/setup.sh). Boots once for each file; detections and summary are printed as
/// `run` prints them, and the logits' CRC-32 must be the same. The firmware's own logs go to
/// standard error. QEMU counts instructions, not cycles: --profile assumes one cycle for each.
#[derive(Args)]
pub struct QemuArgs {
    /// WAV or FLAC files of any rate and channel count
    #[arg(required_unless_present = "kernels", value_name = "FILE")]
    pub inputs: Vec<PathBuf>,
    #[command(flatten)]
    pub board: BoardArgs,
    #[command(flatten)]
    pub image: ImageArg,
    /// One JSON object a line: detections, overruns, {"profile": {...}}, then {"summary": {...}}
    #[arg(long)]
    pub json: bool,
    /// Count the instructions of each stage on the first file; exit code 1 above 70 % load
    #[arg(long, conflicts_with = "realtime")]
    pub profile: bool,
    /// Judge the load at this clock instead of the board's
    #[arg(long, value_name = "N", requires = "profile", value_parser = mhz)]
    pub mhz: Option<f64>,
    /// Audio comes by the clock, 10 ms from an interrupt each 10 ms, on a processor of 125 MIPS
    #[arg(long)]
    pub realtime: bool,
    /// Hold the main loop up at AT ms of audio for MS, so that audio is lost
    #[arg(long, value_name = "AT,MS", requires = "realtime", value_parser = stall)]
    pub stall: Option<(u32, u32)>,
    /// Serve the serial port on this address for `zerda monitor tcp:HOST:PORT`, which each file
    /// waits for, instead of printing what it reports
    #[arg(long, value_name = "HOST:PORT", conflicts_with_all = ["json", "profile"])]
    pub serve: Option<SocketAddr>,
    /// Run steps by the NPU driver. QEMU has no NPU: behind the driver is a model of its registers,
    /// which computes them with the CPU's kernels. STEP:FAULT,... lets it fail in these steps, with
    /// bus, parse, weights, ecc, incomplete, hang, silent, stuck or identity
    #[arg(long, value_name = "STEP:FAULT", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "", value_parser = npu_faults)]
    #[arg(conflicts_with_all = ["profile", "kernels"])]
    pub npu_model: Option<String>,
    /// Instead of audio: compare the kernels that the board runs with the plain ones, bit for bit
    #[arg(long, conflicts_with_all = ["inputs", "json", "profile", "realtime", "serve"])]
    pub kernels: bool,
}

fn mhz(text: &str) -> std::result::Result<f64, String> {
    match text.parse() {
        Ok(mhz) if (0.001..=1e6).contains(&mhz) => Ok(mhz),
        _ => Err("expected a clock in MHz".into()),
    }
}

/// Faults are known to the firmware; steps are numbers.
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

fn stall(text: &str) -> std::result::Result<(u32, u32), String> {
    let numbers = text
        .split_once(',')
        .map(|(at, ms)| (at.parse(), ms.parse()));
    match numbers {
        Some((Ok(at), Ok(ms))) => Ok((at, ms)),
        _ => Err("expected AT,MS in milliseconds, as 3000,1000".into()),
    }
}

/// Write a board's firmware to its flash with the installed probe-rs, and start it
///
/// Builds the firmware with the image in it, and prints what it takes of each memory region of the
/// board: sections, the model, variables of 1 KiB and more. Then `probe-rs` writes it, reads it back
/// and resets the board. Of several debug probes the environment's PROBE_RS_PROBE names one.
#[derive(Args)]
pub struct FlashArgs {
    #[command(flatten)]
    pub board: BoardArgs,
    #[command(flatten)]
    pub image: ImageArg,
    /// Print the regions and the calls of probe-rs, and touch no probe
    #[arg(long)]
    pub dry_run: bool,
    /// One JSON object: regions, sizes in bytes, commands
    #[arg(long)]
    pub json: bool,
}

/// Print what a device reports: detections, overruns, and once a second its load and counters
///
/// A damaged report is skipped and said; at the end of the source the last line counts reports
/// (frames), corrupted and lost ones. Listening may begin at any time.
#[derive(Args)]
pub struct MonitorArgs {
    /// A serial port (/dev/ttyACM0, COM3), tcp:HOST:PORT, a recorded file, or - for standard input
    #[arg(value_name = "SOURCE")]
    pub source: String,
    /// Of a serial port
    #[arg(long, value_name = "RATE", default_value_t = 115_200)]
    pub baud: u32,
    /// One JSON object a line: detections as `run` has them, {"start"}, {"overrun"}, {"status"},
    /// then {"summary": {...}}
    #[arg(long)]
    pub json: bool,
}
