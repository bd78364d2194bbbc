//! The file of figures, and the commands that say them.

use std::collections::BTreeMap;
use std::env;

use serde::Deserialize;
use serde_json::{Map, Value};
use zerda_support::test_support::{processor, today};

use crate::common::{outcome, root, zerda};

pub const PATH: &str = "models/figures.toml";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figures {
    pub commands: Vec<Command>,
    /// Pieces of each page, with `{figure}`, see [`crate::page::fill`].
    pub pages: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// Arguments of `zerda`, with `$NAME` for a variable of the environment; or `cargo task bench`.
    pub run: String,
    /// Is `measured`, `counted` or `estimated`.
    pub kind: String,
    /// The day of the last change.
    #[serde(rename = "date")]
    _date: String,
    /// The processor that measured, or what counted or estimated, which is no machine's.
    #[serde(rename = "machine")]
    _machine: String,
    /// Where in the JSON each figure stands, and its value.
    pub figures: BTreeMap<String, (String, f64)>,
}

impl Figures {
    pub fn parse(text: &str) -> Figures {
        let figures: Figures =
            toml::from_str(text).unwrap_or_else(|error| panic!("{PATH}: {error}"));
        for command in &figures.commands {
            let known = ["measured", "counted", "estimated"].contains(&&*command.kind);
            assert!(
                known,
                "{PATH}: kind `{}`, expected measured, counted or estimated",
                command.kind
            );
        }
        figures
    }

    pub fn values(&self) -> BTreeMap<String, f64> {
        let figures = self.commands.iter().flat_map(|command| &command.figures);
        figures
            .map(|(name, (_, value))| (name.clone(), *value))
            .collect()
    }
}

impl Command {
    /// Says what the command says now; an error says in a line why it cannot.
    pub fn values(&self) -> Result<BTreeMap<String, f64>, String> {
        let figures = self.figures.iter();
        if self.run == "cargo task bench" {
            let page = std::fs::read_to_string(root().join("tests/bench/README.md")).unwrap();
            return figures
                .map(|(name, (at, _))| Ok((name.clone(), cell(&page, at)?)))
                .collect();
        }
        let said = objects(&self.run)?;
        let figure = |(name, (at, _)): (&String, &(String, f64))| {
            let value = said.pointer(at).and_then(Value::as_f64);
            let value = value.ok_or_else(|| format!("its JSON has no number at {at}"))?;
            Ok((name.clone(), value))
        };
        figures.map(figure).collect()
    }

    /// Names the command and its figures.
    pub fn named(&self) -> String {
        let names: Vec<_> = self.figures.keys().map(String::as_str).collect();
        format!("{} of `{}`", names.join(", "), self.run)
    }

    /// Says which figures are others than the file's.
    pub fn differing(&self, now: &BTreeMap<String, f64>) -> Vec<String> {
        let figures = self.figures.iter();
        let changed = figures.filter(|(name, (_, was))| now[*name] != *was);
        changed
            .map(|(name, (_, was))| format!("{name}: {was} -> {}", now[name]))
            .collect()
    }

    /// Returns the file with these values, and with day and machine where any is new. Comments and order stay.
    pub fn renewed(&self, text: &str, now: &BTreeMap<String, f64>) -> String {
        if self.differing(now).is_empty() {
            return text.into();
        }
        let mut here = false;
        let mut lines = String::new();
        for line in text.lines() {
            if let Some(run) = line.strip_prefix("run = ") {
                here = run.trim_matches(['"', '\'']) == self.run;
            }
            let line = match line.split_once(" = ") {
                Some(("date", _)) if here => format!("date = \"{}\"", today()),
                Some(("machine", _)) if here && self.kind == "measured" => {
                    format!("machine = \"{}\"", processor())
                }
                Some((name, value)) if here && now.contains_key(name) => {
                    let (at, _) = value.rsplit_once(", ").expect("[place, value]");
                    format!("{name} = {at}, {:?}]", now[name])
                }
                _ => line.into(),
            };
            lines += &line;
            lines.push('\n');
        }
        lines
    }
}

/// Returns the objects that `zerda RUN` prints, as one; later ones win.
fn objects(run: &str) -> Result<Value, String> {
    let words: Result<Vec<_>, _> = run.split(' ').map(expanded).collect();
    let words = words?;
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    // What misses a budget fails, and says its figures.
    let (code, stdout, stderr) = outcome(zerda(&words).output().unwrap());
    let mut all = Map::new();
    for line in stdout.lines() {
        let object: Value = serde_json::from_str(line).map_err(|_| format!("no JSON: {line}"))?;
        all.extend(object.as_object().cloned().unwrap_or_default());
    }
    if code == 2 || all.is_empty() {
        return Err(stderr.lines().last().unwrap_or_default().into());
    }
    Ok(all.into())
}

/// Puts the environment's value for a `$NAME` that a word begins with.
fn expanded(word: &str) -> Result<String, String> {
    let Some(name) = word.strip_prefix('$') else {
        return Ok(word.into());
    };
    let (name, rest) = name.split_at(name.find('/').unwrap_or(name.len()));
    let value = env::var(name).map_err(|_| format!("{name} is not set in the environment"))?;
    Ok(value + rest)
}

/// Returns the ratio in the row that begins so.
fn cell(page: &str, row: &str) -> Result<f64, String> {
    let line = page.lines().find(|line| line.starts_with(row));
    let cell = line.and_then(|line| line.split(" | ").nth(3));
    let ratio = cell.and_then(|cell| cell.parse().ok());
    ratio.ok_or_else(|| format!("tests/bench/README.md has no ratio in a row `{row}`"))
}
