//! Keeps what the boards took when somebody last agreed to it, as committed, and tells what grew since.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::Path;

use serde::{Deserialize, Serialize};
use zerda_support::error::{Error, Result};
use zerda_support::{config, files, output};

use crate::report::Footprint;

const HEAD: &str = "\
# What each board's firmware took, in bytes, when it was last agreed to; written by
# `cargo run --release --bin memory-report -- --renew`. A change that makes flash or RAM grow by more than
# config/budgets.toml allows renews it.

";

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    #[serde(default)]
    pub boards: BTreeMap<String, Board>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Board {
    pub flash_bytes: u64,
    pub ram_bytes: u64,
    /// Bytes that each part takes, by region and name. Crates of code, constants and statics are parts of
    /// their own.
    #[serde(default)]
    pub parts: BTreeMap<String, BTreeMap<String, u64>>,
}

/// Change of a board since the baseline was agreed to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// Bytes of flash and RAM that the baseline has.
    pub bytes: u64,
    pub change_percent: f64,
    pub flash_percent: f64,
    pub ram_percent: f64,
    /// Parts that differ, the largest difference first.
    pub parts: Vec<Difference>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    pub region: String,
    pub name: String,
    pub was: u64,
    pub bytes: u64,
}

impl Difference {
    pub fn signed(&self) -> i64 {
        self.bytes as i64 - self.was as i64
    }
}

impl Baseline {
    /// Reads the file, which may be missing where it is to be renewed.
    pub fn load(path: &Path, renew: bool) -> Result<Baseline> {
        match files::read_to_string(path) {
            Ok(text) => config::parse(path, &text),
            Err(error) if error.kind() == ErrorKind::NotFound && renew => Ok(Baseline::default()),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(Error::usage(format!(
                "{}: there is no baseline; name another with --baseline, or write it with --renew",
                path.display()
            ))),
            Err(error) => Err(Error::read(path, error)),
        }
    }

    /// Writes what these boards take now. Others keep their figures if `boards`, those there are, has them.
    pub fn renew(&mut self, path: &Path, reports: &[Footprint], boards: &[String]) -> Result<()> {
        self.boards.retain(|name, _| boards.contains(name));
        for report in reports {
            self.boards.insert(report.board.clone(), Board::of(report));
        }
        let text = toml::to_string(self)
            .map_err(|error| Error::check(format!("{}: {error}", path.display())))?;
        output::replace(path, (HEAD.to_string() + &text).as_bytes())
    }

    /// Returns what became of a board, or `None` if it is not in the baseline.
    pub fn change(&self, report: &Footprint) -> Option<Change> {
        let (was, now) = (self.boards.get(&report.board)?, Board::of(report));
        let names: BTreeSet<_> = was.names().chain(now.names()).collect();
        let parts = names.into_iter().map(|(region, name)| Difference {
            region: region.clone(),
            name: name.clone(),
            was: was.bytes(region, name),
            bytes: now.bytes(region, name),
        });
        let mut parts: Vec<_> = parts.filter(|part| part.signed() != 0).collect();
        parts.sort_by_key(|part| std::cmp::Reverse(part.signed().abs()));
        let total = |board: &Board| board.flash_bytes + board.ram_bytes;
        Some(Change {
            bytes: total(was),
            change_percent: percent(total(was), total(&now)),
            flash_percent: percent(was.flash_bytes, now.flash_bytes),
            ram_percent: percent(was.ram_bytes, now.ram_bytes),
            parts,
        })
    }
}

impl Board {
    fn of(report: &Footprint) -> Board {
        let mut parts: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        for part in report.contributors(|_| true) {
            let region = parts.entry(part.region).or_default();
            region.insert(part.name, part.bytes);
        }
        Board {
            flash_bytes: report.flash.used,
            ram_bytes: report.ram.used,
            parts,
        }
    }

    /// Returns the regions and names of all parts.
    fn names(&self) -> impl Iterator<Item = (&String, &String)> {
        let regions = self.parts.iter();
        regions.flat_map(|(region, parts)| parts.keys().map(move |name| (region, name)))
    }

    fn bytes(&self, region: &str, name: &str) -> u64 {
        let bytes = self.parts.get(region).and_then(|parts| parts.get(name));
        bytes.copied().unwrap_or(0)
    }
}

/// Returns the growth in percent; where there was nothing and now is something, it is 100.
fn percent(was: u64, now: u64) -> f64 {
    match was {
        0 => 100.0 * f64::from(u8::from(now > 0)),
        was => 100.0 * (now as f64 - was as f64) / was as f64,
    }
}
