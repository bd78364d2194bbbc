//! Names the NPUs of Arm's Ethos-U family that an image can be compiled for.

use clap::ValueEnum;
use serde::Deserialize;

/// NPU that Vela compiles for, with its multiply-accumulates a cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(try_from = "String")]
pub enum Target {
    #[value(name = "ethos-u55-128")]
    U55x128,
    #[value(name = "ethos-u55-256")]
    U55x256,
    #[value(name = "ethos-u65-256")]
    U65x256,
    #[value(name = "ethos-u65-512")]
    U65x512,
    #[value(name = "ethos-u85-256")]
    U85x256,
}

impl Target {
    /// Returns the name that Vela has for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::U55x128 => "ethos-u55-128",
            Self::U55x256 => "ethos-u55-256",
            Self::U65x256 => "ethos-u65-256",
            Self::U65x512 => "ethos-u65-512",
            Self::U85x256 => "ethos-u85-256",
        }
    }

    /// Returns the system configuration, whose clock and memories Vela assumes.
    pub fn system(self) -> &'static str {
        match self {
            Self::U55x128 | Self::U55x256 => "Ethos_U55_High_End_Embedded",
            Self::U65x256 => "Ethos_U65_Embedded",
            Self::U65x512 => "Ethos_U65_High_End",
            Self::U85x256 => "Ethos_U85_SYS_Flash_High",
        }
    }

    /// Says whether the firmware has a driver for it.
    pub fn is_driven(self) -> bool {
        self != Self::U85x256
    }
}

impl TryFrom<String> for Target {
    type Error = String;
    fn try_from(name: String) -> Result<Self, String> {
        Target::from_str(&name, false).map_err(|_| {
            let names = Target::value_variants().iter().map(|target| target.name());
            let names = names.collect::<Vec<_>>().join(" ");
            format!("no NPU {name}, expected one of {names}")
        })
    }
}
