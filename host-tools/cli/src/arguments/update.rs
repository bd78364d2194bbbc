//! Defines the arguments of the commands that make keys, sign images and send them to devices.

use std::path::PathBuf;

use clap::Args;

/// Makes the keys that sign updates
///
/// The secret key is written as PEM (PKCS #8), readable by its owner only; whoever has it can update your devices, and
/// without it nobody can. The public one beside it, ending in .pub, is built into the firmware of a board that takes
/// updates, as firmware/boards/README.md says. No file is replaced.
#[derive(Args)]
pub struct KeygenArgs {
    /// Writes the secret key to this file
    #[arg(short, long, value_name = "FILE", default_value = "update-key.pem")]
    pub output: PathBuf,
}

/// Signs an image as an update for the devices of one board
///
/// The version must be higher than the one that a device has confirmed; it never goes back.
#[derive(Args)]
pub struct SignArgs {
    /// Reads the compiled model from this file
    #[arg(value_name = "IMAGE")]
    pub image: PathBuf,
    /// Signs with the secret key in this file
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// Gives the image this version
    #[arg(long, value_name = "NUMBER")]
    pub version: u32,
    /// Signs for the board of this name
    #[arg(long, value_name = "NAME")]
    pub board: String,
    /// Writes the update to this file [default: beside IMAGE, ending in .zup]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Sends a signed image to a device, and waits until the device confirmed it
///
/// The device hears on meanwhile. It checks the signature first and the whole image last, starts again with it, and
/// confirms it after 10 s of audio; where that fails it goes back. An update that was interrupted, at either end, goes on
/// where it was. The exit code is 1 if the device refuses it, goes back or does not answer.
#[derive(Args)]
pub struct UpdateArgs {
    /// Reads the update that `zerda sign` wrote from this file
    #[arg(value_name = "UPDATE")]
    pub update: PathBuf,
    /// Sends it over this serial port (/dev/ttyACM0, COM3), or tcp:HOST:PORT
    #[arg(long, value_name = "PORT")]
    pub port: String,
    /// Sets the rate of a serial port, in baud
    #[arg(long, value_name = "RATE", default_value_t = 115_200)]
    pub baud: u32,
}
