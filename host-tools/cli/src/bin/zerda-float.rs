//! `zerda` with the float network, which `zerda` has cargo build when it needs it.

use std::process::ExitCode;

fn main() -> ExitCode {
    zerda::main()
}
