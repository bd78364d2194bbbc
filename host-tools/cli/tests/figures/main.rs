//! Numbers that stay true: README and the model card say what `models/figures.toml` says, and this what the commands say
//! now; what README shows of commands is what they print. `cargo task figures` makes it so again.

#[path = "../common/mod.rs"]
mod common;
mod file;
mod page;
mod recordings;
mod transcript;

use std::collections::BTreeMap;
use std::fs;

use zerda_support::output;
use zerda_support::test_support::{in_ci, say_skipped};

use common::root;
use file::{Command, Figures};

/// The pages whose shown commands are compared with what these print.
const SHOWN: [&str; 2] = ["README.md", "host-tools/simulate/README.md"];

/// Counts of instructions depend on the compiler a little.
const COMPILERS: f64 = 0.03;

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

fn replace(path: &str, text: &str) {
    output::replace(&root().join(path), text.as_bytes()).unwrap();
}

/// In CI no tool may be missing.
fn skip(what: &str, why: &str) {
    assert!(!in_ci(), "needed in CI: {what}: {why}");
    say_skipped(what, why);
}

/// Whether a command fails for want of tools that could not be fetched, or of what these make.
fn lacks_tools(why: &str) -> bool {
    let whys = ["cannot be installed", "setup: ", "there is no image"];
    whys.iter().any(|known| why.contains(known))
}

/// What a command says differently now, and what was left out.
fn differences(command: &Command, now: &BTreeMap<String, f64>) -> Vec<String> {
    let most = match command.run.starts_with("qemu") {
        true => COMPILERS,
        false => 1e-9,
    };
    let differs = |(name, (_, was)): (&String, &(String, f64))| {
        let now = now[name];
        ((now - was).abs() > most * was.abs()).then(|| {
            format!(
                "{}: {name} is {was}, `{}` says {now}: `cargo task figures` renews it",
                file::PATH,
                command.run
            )
        })
    };
    command.figures.iter().filter_map(differs).collect()
}

#[test]
fn figures_that_any_machine_can_count_or_estimate_are_what_the_commands_say() {
    let figures = Figures::parse(&read(file::PATH));
    let anywhere = figures.commands.iter().filter(|c| !c.run.contains('$'));
    let mut wrong = Vec::new();
    let mut ran = 0;
    for command in anywhere {
        match command.values() {
            Ok(now) => {
                wrong.extend(differences(command, &now));
                ran += 1;
            }
            Err(why) if lacks_tools(&why) => skip(&command.run, &why),
            Err(why) => panic!("`{}`: {why}", command.run),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(ran >= 3, "{ran} commands");
}

#[test]
fn pages_quote_the_figures_of_the_file() {
    let figures = Figures::parse(&read(file::PATH));
    let values = figures.values();
    for (path, quotes) in &figures.pages {
        let text = read(path);
        let mut quoted = text.clone();
        for quote in quotes {
            quoted =
                page::fill(&quoted, quote, &values).unwrap_or_else(|why| panic!("{path}: {why}"));
        }
        for (says, should) in text.lines().zip(quoted.lines()) {
            assert!(
                says == should,
                "{path} says\n  {says}\nby {} it should say\n  {should}\n`cargo task figures` writes it",
                file::PATH
            );
        }
    }
}

/// A figure in README's table that nothing keeps true is found here.
#[test]
fn every_row_of_readmes_table_of_figures_is_quoted_with_its_kind() {
    let figures = Figures::parse(&read(file::PATH));
    let (values, readme) = (figures.values(), read("README.md"));
    let (_, table) = readme
        .split_once("| the `shrunk` model | | |\n|---|---|---|\n")
        .unwrap();
    let (table, _) = table.split_once("\n\n").unwrap();
    for row in table.lines() {
        let of_row = |quote: &&String| page::fill(row, quote, &values).is_ok();
        let quotes: Vec<_> = figures.pages["README.md"].iter().filter(of_row).collect();
        assert!(
            !quotes.is_empty(),
            "{} quotes no figure of README's row\n{row}",
            file::PATH
        );
        for name in quotes.iter().flat_map(|quote| page::names(quote)) {
            let of = |c: &&Command| c.figures.contains_key(name);
            let kind = figures
                .commands
                .iter()
                .find(of)
                .map(|command| &command.kind);
            assert!(
                row.contains(&**kind.unwrap()),
                "{name} is {}, README says\n{row}",
                kind.unwrap()
            );
        }
    }
}

#[test]
fn what_pages_show_of_commands_is_what_these_print() {
    for page in SHOWN {
        let text = read(page);
        for shown in transcript::of(&text) {
            match shown.renewed() {
                Ok(now) => assert!(
                    now == shown.lines,
                    "{page}: `{}` prints\n{}\n`cargo task figures` writes it",
                    shown.command,
                    now.join("\n")
                ),
                Err(why) if lacks_tools(&why) => skip(&shown.command, &why),
                Err(why) => panic!("{page}: {why}"),
            }
        }
    }
}

/// Not a test, but what `cargo task figures` starts, since what tests are built of is built then. Commands whose
/// environment variables are not set are left out; what they said last stays.
#[test]
#[ignore = "it writes figures.toml and the pages: cargo task figures"]
fn renew() {
    let mut text = read(file::PATH);
    let figures = Figures::parse(&text);
    recordings::prepare(&figures.values()).unwrap();
    for command in &figures.commands {
        match command.values() {
            Ok(now) => {
                for change in command.differing(&now) {
                    println!("{change}");
                }
                text = command.renewed(&text, &now);
                replace(file::PATH, &text);
            }
            Err(why) => println!("kept: {}: {why}", command.named()),
        }
    }
    let figures = Figures::parse(&text);
    let mut pages: BTreeMap<&str, String> = BTreeMap::new();
    for path in figures.pages.keys().map(String::as_str).chain(SHOWN) {
        pages.insert(path, read(path));
    }
    for (path, text) in &mut pages {
        for quote in figures.pages.get(*path).into_iter().flatten() {
            match page::fill(text, quote, &figures.values()) {
                Ok(filled) => *text = filled,
                Err(why) => println!("by hand: {path}: {why}"),
            }
        }
        if SHOWN.contains(path) {
            for shown in transcript::of(&text.clone()) {
                match shown.renewed() {
                    Ok(now) => {
                        *text = text.replacen(&shown.text(&shown.lines), &shown.text(&now), 1);
                    }
                    Err(why) => println!("by hand: {path}: {why}"),
                }
            }
        }
        replace(path, text);
    }
}
