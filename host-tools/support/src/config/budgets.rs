//! Reads `budgets.toml`, which says what a firmware may take, and how quick it must be.

use std::num::{NonZeroU32, NonZeroU64};
use std::path::Path;

use serde::Deserialize;

use super::parse;
use crate::error::{Error, Result};
use crate::files;

const BUILT_IN: (&str, &str) = ("budgets.toml", include_str!("../../config/budgets.toml"));

/// Contents of `budgets.toml`, where units and meanings stand.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budgets {
    pub total_bytes: NonZeroU64,
    pub flash_bytes: NonZeroU64,
    pub ram_bytes: NonZeroU64,
    pub growth_percent: Percent,
    pub latency_ms: NonZeroU32,
}

/// Limits that a board has of its own, `[limits]` of its file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnLimits {
    pub total_bytes: Option<NonZeroU64>,
    pub flash_bytes: Option<NonZeroU64>,
    pub ram_bytes: Option<NonZeroU64>,
}

/// Percentage, which is 0 to 100.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Deserialize)]
#[serde(try_from = "f64")]
pub struct Percent(pub f64);

impl TryFrom<f64> for Percent {
    type Error = String;
    fn try_from(percent: f64) -> Result<Self, String> {
        match (0.0..=100.0).contains(&percent) {
            true => Ok(Percent(percent)),
            false => Err(format!(
                "invalid value {percent}, expected 0 to 100 percent"
            )),
        }
    }
}

/// Bytes that one board may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub total: u64,
    pub flash: u64,
    /// Bytes of RAM that it may take, the stack included.
    pub ram: u64,
}

impl Budgets {
    /// Reads the file at `path`, or the built-in one.
    pub fn load(path: Option<&Path>) -> Result<Budgets> {
        let (name, text) = BUILT_IN;
        match path {
            None => parse(Path::new(name), text),
            Some(path) => {
                let text = files::read_to_string(path);
                parse(path, &text.map_err(|error| Error::read(path, error))?)
            }
        }
    }

    /// Returns the product's limits, but for what a board has of its own.
    pub fn of(&self, own: OwnLimits) -> Limits {
        Limits {
            total: own.total_bytes.unwrap_or(self.total_bytes).get(),
            flash: own.flash_bytes.unwrap_or(self.flash_bytes).get(),
            ram: own.ram_bytes.unwrap_or(self.ram_bytes).get(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_product_has_6_mb_in_all_320_kib_of_flash_96_kib_of_ram_and_160_ms() {
        let budgets = Budgets::load(None).unwrap();
        let product = Limits {
            total: 6_000_000,
            flash: 384 * 1024,
            ram: 96 * 1024,
        };
        assert_eq!(budgets.of(OwnLimits::default()), product);
        assert_eq!(
            (budgets.latency_ms.get(), budgets.growth_percent.0),
            (160, 3.0)
        );
    }

    #[test]
    fn a_board_has_limits_of_its_own() {
        let own: OwnLimits = toml::from_str("ram_bytes = 7").unwrap();
        let limits = Budgets::load(None).unwrap().of(own);
        assert_eq!(
            (limits.total, limits.flash, limits.ram),
            (6_000_000, 393_216, 7)
        );
    }

    #[test]
    fn a_mistake_is_answered_with_file_line_field_and_what_was_expected() {
        const BUDGETS: &str = "total_bytes = 6_000_000\nflash_bytes = 1\nram_bytes = 1\n\
                               growth_percent = 3\nlatency_ms = 160\n";
        let cases = [
            (
                ("6_000_000", "\"6 MB\""),
                "b.toml:1: `total_bytes`: invalid type: string \"6 MB\", expected a nonzero u64",
            ),
            (
                ("flash_bytes = 1", "flash_bytes = 0"),
                "b.toml:2: `flash_bytes`: invalid value: integer `0`, expected a nonzero u64",
            ),
            (
                ("percent = 3", "percent = -3"),
                "b.toml:4: `growth_percent`: invalid value -3, expected 0 to 100 percent",
            ),
            (
                ("latency_ms", "latency"),
                "b.toml:5: `latency`: unknown field `latency`, expected one of `total_bytes`, \
                 `flash_bytes`, `ram_bytes`, `growth_percent`, `latency_ms`",
            ),
            (
                ("latency_ms = 160\n", ""),
                "b.toml:1: `total_bytes`: missing field `latency_ms`",
            ),
        ];
        for ((there, instead), expected) in cases {
            let text = BUDGETS.replace(there, instead);
            let error = parse::<Budgets>(Path::new("b.toml"), &text).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }
}
