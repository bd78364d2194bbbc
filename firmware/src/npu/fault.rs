//! What can go wrong on an NPU.

use serde::{Deserialize, Serialize};

/// Why a step did not run on the NPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Fault {
    /// The payload is for another NPU: product, size, stream version or architecture. Not tried again.
    Mismatch,
    /// The scratch buffer is too small. Not tried again.
    Scratch,
    /// A buffer is not 16-byte aligned, or beyond what the NPU can address. Not tried again.
    Address,
    /// A reset did not end, or not in the board's security state.
    Reset,
    /// No interrupt in time.
    Timeout,
    /// A bus aborted.
    Bus,
    /// The command stream cannot be parsed.
    Parse,
    /// The weights cannot be decoded.
    Weights,
    /// An internal memory has an error.
    Ecc,
    /// An interrupt before the end of the command stream.
    Incomplete,
}

impl Fault {
    /// Whether trying again can help.
    pub fn is_passing(self) -> bool {
        !matches!(self, Self::Mismatch | Self::Scratch | Self::Address)
    }

    pub(super) fn with(self, detail: u32) -> Failure {
        Failure {
            fault: self,
            detail,
        }
    }
}

/// A fault, and the register that says more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Failure {
    /// What went wrong.
    pub fault: Fault,
    /// Of a [`Fault::Mismatch`] the NPU's CONFIG, of a [`Fault::Scratch`] the bytes that are missing,
    /// of a [`Fault::Address`] the address, of any other STATUS.
    pub detail: u32,
}
