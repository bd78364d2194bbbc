//! `zerda` as a binary: all that it does is in the library beside it, so that its tests can ask for its features.

use std::process::ExitCode;

fn main() -> ExitCode {
    zerda::main()
}
