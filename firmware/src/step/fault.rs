//! This module says what can go wrong on an NPU.

use serde::{Deserialize, Serialize};

/// Says why a step did not run on the NPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Fault {
    /// The payload is for another NPU: product, size, stream version or architecture differ. The NPU is not
    /// tried again.
    Mismatch,
    /// The scratch buffer is too small. The NPU is not tried again.
    Scratch,
    /// A buffer is not 16-byte aligned, or beyond what the NPU can address. The NPU is not tried again.
    Address,
    /// A reset did not end, or ended in another security state than the board's.
    Reset,
    /// The interrupt did not come in time.
    Timeout,
    /// A bus aborted a transaction of the NPU.
    Bus,
    /// The command stream cannot be parsed.
    Parse,
    /// The weights cannot be decoded.
    Weights,
    /// An internal memory has an error.
    Ecc,
    /// The interrupt came before the end of the command stream.
    Incomplete,
}

impl Fault {
    /// Says whether trying again can help.
    pub fn is_passing(self) -> bool {
        !matches!(self, Self::Mismatch | Self::Scratch | Self::Address)
    }

    pub(crate) fn with(self, detail: impl Into<u64>) -> Failure {
        Failure {
            fault: self,
            detail: detail.into(),
        }
    }
}

/// A fault that came up, and the register that says more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Failure {
    /// Says what went wrong on the NPU.
    pub fault: Fault,
    /// Says more about it. It is the NPU's register CONFIG for a [`Fault::Mismatch`], the number of bytes that are
    /// missing for a [`Fault::Scratch`], the address for a [`Fault::Address`], and the register STATUS for any other fault.
    pub detail: u64,
}
