//! Defines the arguments of `zerda listen`.

use std::path::PathBuf;

use clap::Args;

use super::{ImageArg, KeepArg, KernelsArg, QuietArg, RawArgs, TemplatesArg, WakeArg};

/// Recognises the commands that are spoken into the microphone, as they are said
///
/// Hears the default microphone, at whatever rate and with as many channels as it has, until Ctrl-C, which ends it with a
/// summary (and exit code 130). On Linux that is what ALSA calls `default`, which PipeWire and PulseAudio serve, too; on
/// other systems audio comes through a pipe, with - as the input. Lines are those of `run`. A terminal shows below them
/// the level in dBFS, the noise floor and clipping, whether the device would be asleep or awake, and how close each word
/// is to its threshold. An overrun, audio that was lost since this machine was too slow, is told and counted; recognition
/// goes on with what comes after it.
#[derive(Args)]
pub struct ListenArgs {
    /// Hears standard input instead of a microphone: a recording of any format, or raw PCM as `run -` takes it
    #[arg(value_name = "-", value_parser = ["-"], conflicts_with_all = ["device", "list"])]
    pub stdin: Option<String>,
    #[command(flatten)]
    pub raw: RawArgs,
    /// Hears this microphone: a name that --list shows, or any other that ALSA knows
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub device: String,
    /// Hears this channel of a microphone that has several, counted from 1, instead of their average
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..))]
    pub channel: Option<u16>,
    /// Lists the microphones, one a line, and ends
    #[arg(long)]
    pub list: bool,
    /// Ends after so many seconds of audio
    #[arg(long, value_name = "N", value_parser = seconds)]
    pub seconds: Option<f64>,
    /// Records what the recognizer is fed into this WAV file, 16 kHz mono: `run` gives the same of it. The file is there
    /// once listening has ended, by Ctrl-C too
    #[arg(long, value_name = "FILE.wav")]
    pub record: Option<PathBuf>,
    #[command(flatten)]
    pub image: ImageArg,
    #[command(flatten)]
    pub wake: WakeArg,
    #[command(flatten)]
    pub quiet: QuietArg,
    #[command(flatten)]
    pub kernels: KernelsArg,
    #[command(flatten)]
    pub templates: TemplatesArg,
    #[command(flatten)]
    pub keep: KeepArg,
    /// Prints one JSON object a line, as `run` does, with {"overrun": {at_ms}} between them and overruns in the summary; of
    /// --list device and description
    #[arg(long)]
    pub json: bool,
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.1..=1e9).contains(&seconds) => Ok(seconds),
        _ => Err("expected seconds, 0.1 or more".into()),
    }
}
