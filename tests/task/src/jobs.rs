//! Starts what is built with the tests: so nothing is compiled once more, with other features.

use std::process::{Command, ExitCode};

/// The commands of cargo that make up each job.
const JOBS: [(&str, &[&str]); 3] = [
    (
        "bench",
        &[
            "build --release --bin zerda",
            "test --quiet --release --workspace --test bench -- --ignored --nocapture measure",
        ],
    ),
    (
        "figures",
        &["test --quiet --release --workspace --test figures -- --ignored --nocapture renew"],
    ),
    (
        "header",
        &["test --quiet --release --workspace --test c_header -- --ignored renew"],
    ),
];

/// Runs the job of this name; `None` if there is none.
pub fn run(name: &str) -> Option<ExitCode> {
    let (_, commands) = JOBS.iter().find(|(job, _)| *job == name)?;
    for command in *commands {
        // Cargo says which one it is to what it runs.
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
        match Command::new(cargo).args(command.split(' ')).status() {
            Ok(status) if status.success() => {}
            Ok(_) => return Some(ExitCode::FAILURE),
            Err(error) => {
                eprintln!("task: cargo {command}: {error}");
                return Some(ExitCode::FAILURE);
            }
        }
    }
    Some(ExitCode::SUCCESS)
}
