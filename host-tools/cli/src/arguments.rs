//! Defines the command line of `zerda`: its commands, their options and the texts of `--help`.

mod boards;
mod enroll;
mod eval;
mod files;
mod listen;
mod simulate;
mod update;
mod web;

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use zerda_firmware::image::section::MemoryMode;
use zerda_quantize::ranges::Method;
use zerda_support::audio::{Raw, RawFormat};
use zerda_support::config::Sensitivity;
use zerda_support::error::{Error, Result};
use zerda_support::ethos_u::Target;
use zerda_support::wake;
use zerda_tflite::npu::MEMORY_MODES;

pub use boards::{FlashArgs, MonitorArgs, QemuArgs};
pub use enroll::EnrollArgs;
pub use eval::{EvalArgs, Room, TuneArgs};
pub use listen::ListenArgs;
pub use simulate::SimulateArgs;
pub use update::{KeygenArgs, SignArgs, UpdateArgs};
pub use web::WebArgs;

const EXAMPLES: &str = "\
Examples:
  zerda run models/samples/*.wav
  zerda run recording.wav --explain
  zerda run recording.wav --wake=yes
  zerda listen
  zerda web
  arecord -q -t raw -f S16_LE -r 48000 -c 2 | zerda run - --rate 48000 --channels 2
  zerda eval speech_commands/test
  zerda eval speech_commands/test --stream --negatives recordings --noise noise --report target/report.html
  zerda eval speech_commands/test wake_words --stream --wake=computer,jarvis --negatives recordings
  zerda tune --negatives recordings --commands speech_commands/val --config my-config --output target/tuned.zerda
  zerda enroll lamp one.wav two.wav three.wav --negatives recordings -o target/mine.zerda
  zerda run --templates target/mine.zerda recording.wav
  zerda compile models/shrunk.onnx --calibrate speech_commands/val -o target/mine.zerda
  zerda commands models/shrunk.zerda --config my-config -o target/mine.zerda
  zerda inspect models/shrunk.zerda
  zerda inspect --onnx models/shrunk.onnx --audio models/samples --report target/report.html
  zerda export models/shrunk.zerda -o target/shrunk.tflite
  zerda npu models/shrunk.zerda --target ethos-u55-256 -o target/shrunk-u55.zerda
  zerda qemu --board mps3-an547 --profile models/samples/*.wav
  zerda simulate --board ethos-u55-256
  zerda simulate --sweep board=mps2-an386,mps3-an547 --sweep cache=50,100
  zerda flash --board nucleo-h743zi --dry-run
  zerda monitor /dev/ttyACM0
  zerda keygen -o target/update-key.pem
  zerda sign models/shrunk.zerda --key target/update-key.pem --board mps3-an547 --version 2 -o target/shrunk.zup
  zerda update target/shrunk.zup --port /dev/ttyACM0

Exit codes: 0 done, 1 a check failed, 2 wrong use or an input that could not be used.";

/// Compiles a streaming Conformer that recognises spoken commands on the device to INT8, and runs it on this machine
/// with the integers of the firmware.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    Run(RunArgs),
    Listen(ListenArgs),
    Web(WebArgs),
    Eval(EvalArgs),
    Tune(TuneArgs),
    Enroll(EnrollArgs),
    Compile(CompileArgs),
    Commands(CommandsArgs),
    Inspect(InspectArgs),
    Export(ExportArgs),
    Npu(NpuArgs),
    Qemu(QemuArgs),
    Simulate(SimulateArgs),
    Flash(FlashArgs),
    Monitor(MonitorArgs),
    Keygen(KeygenArgs),
    Sign(SignArgs),
    Update(UpdateArgs),
}

#[derive(Args)]
pub struct ImageArg {
    /// Reads the compiled model from this file
    #[arg(long, value_name = "FILE", default_value = "models/shrunk.zerda")]
    pub image: PathBuf,
}

#[derive(Args)]
pub struct WakeArg {
    /// Lets commands count only after a wake word, as [wake] of commands.toml would in the image: after one of those
    /// that stand ready there, or of WORD,... if given
    #[arg(long, value_name = "WORD,...", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "", hide_default_value = true)]
    pub wake: Option<wake::Words>,
}

#[derive(Args)]
pub struct KernelsArg {
    /// Computes with these kernels instead of the fastest that this processor has: plain, which all have, avx2 or
    /// avx512 (with VNNI) on x86-64, neon or dotprod on AArch64. The results are the same
    #[arg(long, value_name = "NAME")]
    pub kernels: Option<String>,
}

#[derive(Args)]
pub struct KeepArg {
    /// Keeps two seconds around each detection, and around each word that reaches 70 % of its threshold and no more, as WAV
    /// files of this folder, readable by their owner only. JSON beside them says kind (detection, near_miss), command,
    /// score, times, level_dbfs, awake, scores and thresholds. The folder keeps the last 1000, 64 MB
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
}

#[derive(Args)]
pub struct TemplatesArg {
    /// Looks for the phrases of this file beside the image's commands, as `zerda enroll` wrote it
    #[arg(long, value_name = "FILE")]
    pub templates: Option<PathBuf>,
}

#[derive(Args)]
pub struct RawArgs {
    /// Says how many frames a second raw audio on standard input has, in Hz; a header that says otherwise is an error
    #[arg(long, value_name = "HZ")]
    rate: Option<u32>,
    /// Says how many channels raw audio on standard input has; a header that says otherwise is an error
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=256))]
    channels: Option<u16>,
    /// Says how the samples of raw audio on standard input are written: s16le, s16be, u8, s8, s24le, s24be, s32le, s32be,
    /// f32le, f32be, f64le, f64be, alaw or mulaw; a header that says otherwise is an error
    #[arg(long, value_name = "FORMAT")]
    format: Option<RawFormat>,
}

impl RawArgs {
    /// Returns what is said of raw audio, which must come from standard input.
    pub fn of(&self, from_stdin: bool) -> Result<Raw> {
        let raw = Raw {
            rate: self.rate,
            channels: self.channels,
            format: self.format,
        };
        let given = [
            raw.rate.is_some(),
            raw.channels.is_some(),
            raw.format.is_some(),
        ];
        match from_stdin || !given.contains(&true) {
            true => Ok(raw),
            false => Err(Error::usage(
                "--rate, --channels and --format tell of raw audio on standard input, which is not heard here: name - as \
                 the input, or leave them out",
            )),
        }
    }
}

#[derive(Args)]
pub struct QuietArg {
    /// Lets the network rest while nobody speaks, as [quiet] of commands.toml would in the image, with this sensitivity
    /// of 0 (only clear speech) to 3, or 2 without =N
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "2")]
    pub quiet: Option<Sensitivity>,
}

/// Recognises the commands in audio files, or live from standard input
///
/// Prints each detection as it happens: its score (0 to 1), where the command starts and ends, and how much audio it
/// took to decide. Each file starts afresh and is followed by 0.1 s of silence (and the gap between words, if the image
/// has commands of several), so that its last word is decided. Of several files each core hears one at a time, or as
/// many cores as the environment variable RAYON_NUM_THREADS says, and what they give is printed in the order of the
/// files. The last line sums up: the real-time factor is processing time, of all cores together, over length of the
/// audio; the CRC-32 over every logit of every step tells whether two machines computed the same.
#[derive(Args)]
pub struct RunArgs {
    /// Reads recordings, and those of folders: WAV, FLAC, MP3, AAC, Ogg (Vorbis, Opus), M4A, AIFF or CAF, of any sample
    /// rate and channel count. With - it reads one from standard input, as it comes, where it may also be raw PCM: 16 kHz
    /// mono s16le unless --rate, --channels and --format say otherwise
    #[arg(required = true, value_name = "PATH")]
    pub inputs: Vec<PathBuf>,
    #[command(flatten)]
    pub raw: RawArgs,
    /// Hears this channel of recordings that have several, counted from 1, instead of their average
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..))]
    pub channel: Option<u16>,
    #[command(flatten)]
    pub image: ImageArg,
    #[command(flatten)]
    pub wake: WakeArg,
    #[command(flatten)]
    pub kernels: KernelsArg,
    #[command(flatten)]
    pub keep: KeepArg,
    #[command(flatten)]
    pub quiet: QuietArg,
    #[command(flatten)]
    pub templates: TemplatesArg,
    /// Prints one JSON object a line: detections (those of wake words with wake_word: true), where the image has wake words
    /// {"awake": {at_ms, until_ms}} and {"asleep": {at_ms, reason}}, where its network may rest {"speech": {at_ms}} and
    /// {"quiet": {at_ms}}, with --templates {"phrase", "similarity" (at most 1), ...}, then {"summary": {...}}, where it may rest with duty, the share of the steps that ran (0 to 1)
    #[arg(long)]
    pub json: bool,
    /// Draws the smoothed posteriors over time into this SVG file, with the thresholds, and over the waveform; shaded are the
    /// times in which commands count after a wake word, and those in which the network rests
    #[arg(long, value_name = "OUT.svg")]
    pub trace: Option<PathBuf>,
    /// Says why commands were missed or falsely detected, by the label file beside each input of up to 50 minutes: NAME.json as
    /// models/samples has it, {"commands": [{"command": "go", "start_ms": 700, "end_ms": 1180}]}. With --json it prints
    /// {"explained": {...}}: kind (missed, false_alarm), command, start_ms, end_ms, level_dbfs, snr_db (null: digital
    /// silence around it), clipped (share of samples, 0 to 1), threshold, reason, why, labels and, every 50 ms, frames with their smoothed posteriors
    #[arg(long)]
    pub explain: bool,
}

/// Compiles the float ONNX of one streaming step to an INT8 image
///
/// Calibrates on recordings like those that the device will hear; the same recordings give the same image, byte for
/// byte. Thresholds, smoothing, refractory time, commands of several words, wake words and the gate for the quiet come
/// from commands.toml
/// (`zerda commands` changes them afterwards); where models.toml disagrees with the ONNX, that is an error.
#[derive(Args)]
pub struct CompileArgs {
    /// Reads the float model from this file: one streaming step with its caches as inputs and outputs
    #[arg(value_name = "ONNX")]
    pub onnx: PathBuf,
    /// Calibrates on these recordings, or folders of them, up to 50 minutes together; of a folder at most 500 files are
    /// taken, evenly spread
    #[arg(long, value_name = "PATH", required = true, num_args = 1..)]
    pub calibrate: Vec<PathBuf>,
    /// Writes the image to this file [default: beside the ONNX, ending in .zerda]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Chooses the ranges of activations by this method, where the ONNX does not say them
    #[arg(long, value_name = "METHOD", value_enum, default_value_t = Method::Auto)]
    pub ranges: Method,
    /// Checks the ONNX against this profile of models.toml [default: the one that the ONNX names, if any]
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    /// Reads models.toml and commands.toml from this folder [default: those built in]
    #[arg(long, value_name = "DIR")]
    pub config: Option<PathBuf>,
    /// Says what INT8 cost, layer by layer, as `inspect --onnx` does, on 20 of the recordings; into a FILE.html or
    /// FILE.json where one is named
    #[arg(long, value_name = "FILE", num_args = 0..=1, value_parser = report_file)]
    pub report: Option<Option<PathBuf>>,
}

fn report_file(text: &str) -> std::result::Result<PathBuf, String> {
    match text.ends_with(".html") || text.ends_with(".json") {
        true => Ok(text.into()),
        false => Err("expected a name that ends in .html or .json".into()),
    }
}

/// Puts commands.toml into an image that is compiled already
///
/// Thresholds, smoothing, refractory time, commands of several words, wake words and the gate for the quiet become those
/// of commands.toml;
/// the network stays as it is, bit for bit.
#[derive(Args)]
pub struct CommandsArgs {
    /// Reads the compiled model from this file
    #[arg(value_name = "IMAGE", default_value = "models/shrunk.zerda")]
    pub image: PathBuf,
    /// Reads commands.toml from this folder [default: the one built in]
    #[arg(long, value_name = "DIR")]
    pub config: Option<PathBuf>,
    /// Writes the image with the other commands to this file [default: beside IMAGE, ending in .commands.zerda]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Replaces IMAGE itself instead of writing a new file
    #[arg(long, conflicts_with = "output")]
    pub in_place: bool,
}

/// Says what an image holds, and what INT8 cost in it
///
/// What an image holds is read or counted from the image; nothing is run. Multiply-accumulates (MACs) are those of a
/// step with full caches. Constants are the bytes that an operator reads. Its output is told with scale, zero point,
/// the real values of the lowest and highest int8, and its place in the memory.
///
/// With --onnx and --audio it says what INT8 cost, on 20 of the recordings, 5 s of each. Each operator's signal to
/// quantization noise (SQNR, dB) and saturation are measured on the firmware's integers against float; regained is how
/// much better the logits' SQNR would be if it alone had stayed in float, measured in tract with fake quantization.
/// Then follow how far logits, posteriors and answers are from float, and what to do where an operator stands out.
#[derive(Args)]
pub struct InspectArgs {
    /// Reads the compiled model from this file
    #[arg(value_name = "IMAGE", default_value = "models/shrunk.zerda")]
    pub image: PathBuf,
    /// Reads the float model that the image was compiled from, and says what INT8 cost
    #[arg(long, value_name = "FILE", requires = "audio")]
    pub onnx: Option<PathBuf>,
    /// Measures on these recordings, or folders of them
    #[arg(long, value_name = "PATH", requires = "onnx", num_args = 1..)]
    pub audio: Vec<PathBuf>,
    /// Writes what INT8 cost as a page for the browser (.html) or as JSON (.json)
    #[arg(long, value_name = "FILE", requires = "onnx", conflicts_with = "json", value_parser = report_file)]
    pub report: Option<PathBuf>,
    /// Prints one JSON object: sizes in bytes (the `sections` add up to the file), durations in frames and ms,
    /// thresholds of 0 to 1 (null: never detected), `grammar` (null: each label is a command; gap, commands with name
    /// and words), `wake` (null: commands count at any time; words, window_ms, extend, thresholds of commands of their
    /// own), `quiet` (null: the network never rests; sensitivity, hangover_ms), `caches`, and `operators` with name, shape, macs, constants by kind, and output: scale, zero point, range,
    /// and `at`, a byte of the arena or a row of a cache. With --onnx it prints the report, of `report_version` 1:
    /// `figures` (which are measured and which counted), `image`, `audio`, `end_to_end`, `advice` (rule, numbers of
    /// operators, text), `input` and `operators` with name, kind, shape, macs, bytes, range, values seen in float,
    /// sqnr_db (null: no error), saturation and saturation_noise (its part of the noise) of 0 to 1, channel_ratio
    /// (largest channel over the median; null: keys), regained_db, calibrated (its range was chosen), stands_out
    #[arg(long)]
    pub json: bool,
}

/// Reads a memory mode by its name.
fn memory_mode() -> impl TypedValueParser<Value = MemoryMode> {
    let names = MEMORY_MODES.map(|(name, _)| name);
    PossibleValuesParser::new(names).map(|given| {
        let known = MEMORY_MODES.into_iter().find(|(name, _)| *name == given);
        known.expect("a name that was possible").1
    })
}

/// Exports an image's step as TFLite, for the tools of the field
#[derive(Args)]
pub struct ExportArgs {
    /// Reads the compiled model from this file
    #[arg(value_name = "IMAGE", default_value = "models/shrunk.zerda")]
    pub image: PathBuf,
    /// Writes the TFLite model to this file [default: beside the image, ending in .tflite]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Compiles an image's step for an Ethos-U with Arm's Vela, puts it into the image, and estimates its cost
///
/// The image then holds the step twice: the firmware runs it on the NPU, or on the CPU where there is none or it fails.
/// Vela 5.2.0 is installed by the first call, which takes Python. The figures are Vela's estimates: nothing is run. The
/// exit code is 1 if an operator would be left to the CPU. For Ethos-U85 there is the estimate only.
#[derive(Args)]
pub struct NpuArgs {
    /// Reads the compiled model from this file
    #[arg(value_name = "IMAGE", default_value = "models/shrunk.zerda")]
    pub image: PathBuf,
    /// Compiles for this NPU; its name ends in its multiply-accumulates a cycle
    #[arg(long, value_name = "NPU", value_enum)]
    pub target: Target,
    /// Says where constants lie while the NPU runs: where the image is, or in SRAM, to which the firmware copies them:
    /// more SRAM, less time
    #[arg(long, value_name = "MODE", default_value = "shared-sram", value_parser = memory_mode())]
    pub memory_mode: MemoryMode,
    /// Writes the image with the step for the NPU, in place of any other that it has, to this file [default: beside
    /// IMAGE, ending in .NPU.zerda]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Replaces IMAGE itself instead of writing a new file
    #[arg(long, conflicts_with = "output")]
    pub in_place: bool,
    /// Prints one JSON object: step_ms, cycles, npu_cycles, sram_bytes, flash_bytes (constants) and so on; `basis` says
    /// whose estimate they are
    #[arg(long)]
    pub json: bool,
    /// Runs this installed Vela of the same version instead of the one that zerda installs, into the folder that the
    /// environment variable ZERDA_TOOLS names [default: beside the checkout that zerda was built from, or in the user's
    /// cache]
    #[arg(long, value_name = "PATH")]
    pub vela: Option<PathBuf>,
}
