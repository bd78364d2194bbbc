//! Defines the arguments of `zerda web`.

use std::path::PathBuf;

use clap::Args;

use super::{ImageArg, QuietArg, WakeArg};

/// Shows in a browser what an image hears: serves a page to this machine that runs the firmware as WebAssembly
///
/// The page hears the browser's microphone, or recordings that are dropped on it, with the bits of `run`; once it is
/// loaded it works offline, and it sends nothing. Other .zerda files can be dropped on it, too. Where the image hears
/// commands at any time, the page has a second one that waits for the wake words that stand ready in commands.toml. The
/// first call builds the module, which gets Rust's target for WebAssembly where it is missing (firmware/setup.sh).
#[derive(Args)]
pub struct WebArgs {
    #[command(flatten)]
    pub image: ImageArg,
    #[command(flatten)]
    pub wake: WakeArg,
    #[command(flatten)]
    pub quiet: QuietArg,
    /// Serves the page at this port of 127.0.0.1; 0 takes any that is free
    #[arg(long, value_name = "PORT", default_value_t = 8000)]
    pub port: u16,
    /// Writes the page's files into this folder, for any server of static files, instead of serving them
    #[arg(short, long, value_name = "DIR", conflicts_with = "port")]
    pub output: Option<PathBuf>,
}
