//! Reads `[quiet]` of `commands.toml`, which lets the network rest while nobody speaks.

use std::str::FromStr;

use serde::Deserialize;
use zerda_firmware::image::{HANGOVER_MS, Quiet};

/// Voice activity gate that `[quiet]` describes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuietSettings {
    #[serde(default)]
    pub sensitivity: Sensitivity,
    #[serde(default)]
    pub hangover_ms: Hangover,
}

impl QuietSettings {
    /// Returns the gate as an image has it.
    pub fn gate(self) -> Quiet {
        Quiet {
            sensitivity: self.sensitivity.0,
            hangover_ms: self.hangover_ms.0,
        }
    }
}

/// Says how faint a sound opens the gate, from 0 (only clear speech) to 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "i64")]
pub struct Sensitivity(pub u8);

impl Default for Sensitivity {
    fn default() -> Self {
        Sensitivity(2)
    }
}

impl TryFrom<i64> for Sensitivity {
    type Error = String;
    fn try_from(sensitivity: i64) -> Result<Self, String> {
        match u8::try_from(sensitivity) {
            Ok(sensitivity @ 0..=3) => Ok(Sensitivity(sensitivity)),
            _ => Err(format!("invalid value {sensitivity}, expected 0 to 3")),
        }
    }
}

impl FromStr for Sensitivity {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let number: Result<i64, _> = text.parse();
        number
            .map_err(|_| format!("invalid value {text}, expected 0 to 3"))?
            .try_into()
    }
}

/// Time for which the gate stays open after the last sound, 300 to 10,000 ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "i64")]
pub struct Hangover(pub u16);

impl Default for Hangover {
    fn default() -> Self {
        Hangover(300)
    }
}

impl TryFrom<i64> for Hangover {
    type Error = String;
    fn try_from(ms: i64) -> Result<Self, String> {
        let hangover = u16::try_from(ms).ok().filter(|ms| HANGOVER_MS.contains(ms));
        let (least, most) = (HANGOVER_MS.start(), HANGOVER_MS.end());
        let error = format!("invalid value {ms}, expected {least} to {most} ms");
        hangover.map(Hangover).ok_or(error)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Commands;
    use super::super::commands::tests::built_in_with;
    use super::*;

    fn gate(text: &str) -> Option<Quiet> {
        let commands = built_in_with(text).unwrap();
        commands.quiet.map(QuietSettings::gate)
    }

    #[test]
    fn without_quiet_there_is_no_gate_and_the_block_ready_to_uncomment_is_that_of_the_defaults() {
        assert_eq!(gate(""), None);
        let defaults = Quiet {
            sensitivity: 2,
            hangover_ms: 300,
        };
        assert_eq!(gate("[quiet]"), Some(defaults));
        let text = Commands::load(None).unwrap().source().1.to_string();
        let ready = text.lines().skip_while(|line| *line != "# [quiet]");
        let ready = ready.map_while(|line| line.strip_prefix("# "));
        let ready = ready.collect::<Vec<_>>().join("\n");
        assert!(ready.contains("sensitivity") && ready.contains("hangover_ms"));
        assert_eq!(gate(&ready), Some(defaults));
        let others = Quiet {
            sensitivity: 0,
            hangover_ms: 10_000,
        };
        let text = "[quiet]\nsensitivity = 0\nhangover_ms = 10000";
        assert_eq!(gate(text), Some(others));
    }

    #[test]
    fn what_is_wrong_with_quiet_is_said_in_a_line_of_file_line_and_bounds() {
        for (text, line, problem) in [
            (
                "sensitivity = 4",
                2,
                "`sensitivity`: invalid value 4, expected 0 to 3",
            ),
            (
                "sensitivity = -1",
                2,
                "`sensitivity`: invalid value -1, expected 0 to 3",
            ),
            (
                "sensitivity = 1\nhangover_ms = 299",
                3,
                "`hangover_ms`: invalid value 299, expected 300 to 10000 ms",
            ),
            (
                "hangover_ms = 70000",
                2,
                "`hangover_ms`: invalid value 70000, expected 300 to 10000 ms",
            ),
        ] {
            let error = built_in_with(&format!("[quiet]\n{text}")).unwrap_err();
            let before = built_in_with("").unwrap().source().1.lines().count();
            assert_eq!(
                error.to_string(),
                format!("some.toml:{}: {problem}", before + line)
            );
        }
        let unknown = built_in_with("[quiet]\nhangover = 1").unwrap_err();
        let unknown = unknown.to_string();
        assert!(unknown.contains("unknown field `hangover`"), "{unknown}");
    }
}
