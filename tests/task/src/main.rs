//! `cargo task CHECK` looks at the sources for what no compiler checks: `words`, `circles` and `lines`.
//!
//! Each prints what it counted, and ends with exit code 1 where a limit is missed. Without a name all of them run.
//!
//! Three jobs are built with the tests: `cargo task bench` times the step beside other runtimes, `cargo task figures`
//! renews the figures that README and the model card quote, and `cargo task header` the C interface's `zerda.h`.

mod circles;
mod jobs;
mod lines;
mod source;
mod words;

use std::env;
use std::process::ExitCode;

use source::Source;

/// A check takes the sources and returns what it says, and whether it holds.
type Check = fn(&[Source]) -> (String, bool);

const CHECKS: [(&str, Check); 3] = [
    ("words", words::check),
    ("circles", circles::check),
    ("lines", lines::check),
];

fn main() -> ExitCode {
    let wanted: Vec<String> = env::args().skip(1).collect();
    if let [job] = &wanted[..]
        && let Some(code) = jobs::run(job)
    {
        return code;
    }
    let names = || CHECKS.iter().map(|(name, _)| *name);
    if let Some(unknown) = wanted
        .iter()
        .find(|name| !names().any(|known| known == *name))
    {
        let names: Vec<_> = names().collect();
        eprintln!(
            "task: no check {unknown}, expected {}, or alone bench, figures or header",
            names.join(", ")
        );
        return ExitCode::from(2);
    }
    let sources = match source::all() {
        Ok(sources) => sources,
        Err(error) => {
            eprintln!("task: {error}");
            return ExitCode::from(2);
        }
    };
    let mut holds = true;
    for (name, check) in CHECKS {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            let (text, held) = check(&sources);
            println!("{name}: {text}");
            holds &= held;
        }
    }
    if holds {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
