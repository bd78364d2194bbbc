//! What a `zerda` does that lacks the float network: it has cargo build and run one that holds it.

use std::env;
use std::env::consts::EXE_EXTENSION;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use zerda_support::error::{Error, Result, say};

/// The checkout that this binary was built from.
const CHECKOUT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

const PROGRAM: &str = "zerda-float";

/// Has cargo build `zerda-float`, which is this binary with the feature `float`, in the checkout that it was built from,
/// and runs this command line by that; returns the exit code of it.
///
/// Cargo runs in the checkout: in a folder that somebody else made it would take that folder's settings.
///
/// # Errors
/// It fails as bad use where that checkout is gone, as for a binary that was installed without the feature, and where
/// cargo does not start or does not build it.
pub(crate) fn forward(arguments: impl Iterator<Item = OsString>) -> Result<ExitCode> {
    let checkout = Path::new(CHECKOUT);
    if !checkout.join("Cargo.lock").is_file() {
        return Err(Error::usage(
            "this zerda was built without the float network, which this command needs: \
             install it with `--features float`",
        ));
    }
    say("cargo builds what this command needs besides");
    let profile = match cfg!(debug_assertions) {
        true => "debug",
        false => "release",
    };
    let target = target(profile).unwrap_or_else(|| checkout.join("target"));
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--locked", "--package", "zerda"]);
    cargo.args(["--bin", PROGRAM, "--features", "float"]);
    cargo.args((profile == "release").then_some("--release"));
    cargo.arg("--target-dir").arg(&target).current_dir(checkout);
    let built = cargo.status().map_err(|error| {
        Error::usage(format!(
            "cargo, which builds the float network that this command needs, does not start: {error}"
        ))
    })?;
    if !built.success() {
        return Err(Error::usage(
            "cargo could not build the float network, and says above why",
        ));
    }
    let program = target.join(profile).join(PROGRAM);
    let program = program.with_extension(EXE_EXTENSION);
    let status = Command::new(&program).args(arguments).status();
    let status = status.map_err(|error| Error::read(&program, error))?;
    // A signal ended it: what a shell would say of that is not known here.
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(2)))
}

/// Returns the folder that cargo built this binary in, where all but the float network is built; `None` where it lies
/// elsewhere by now.
fn target(profile: &str) -> Option<PathBuf> {
    let program = env::current_exe().ok()?;
    let folder = program.parent()?;
    (folder.file_name()? == profile).then(|| folder.with_file_name(""))
}
