//! What a `zerda` does that lacks the float network: it has cargo build and run one that holds it.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, ExitCode};

use zerda_support::error::{Error, Result};

/// Path of this package's manifest, in the checkout that this binary was built from.
const MANIFEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");

/// Has cargo run this command line with the feature `float`, built from the checkout that this binary was built from,
/// and returns the exit code of that.
///
/// # Errors
/// It fails as bad use where that checkout is gone, as for a binary that was installed without the feature, and where
/// cargo does not start.
pub(crate) fn forward(arguments: impl Iterator<Item = OsString>) -> Result<ExitCode> {
    if !Path::new(MANIFEST).is_file() {
        return Err(Error::usage(
            "this zerda was built without the float network, which this command needs: \
             install it with `--features float`",
        ));
    }
    let _ = writeln!(
        io::stderr(),
        "zerda: cargo builds what this command needs besides"
    );
    let mut cargo = Command::new("cargo");
    cargo.args(["run", "--locked", "--features", "float"]);
    cargo.args(["--manifest-path", MANIFEST]);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let status = cargo.arg("--").args(arguments).status();
    let status = status.map_err(|error| {
        Error::usage(format!(
            "cargo, which builds the float network that this command needs, does not start: {error}"
        ))
    })?;
    // A signal ended it: what a shell would say of that is not known here.
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(2)))
}
