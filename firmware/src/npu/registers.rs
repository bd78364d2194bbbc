//! Registers of the Ethos-U55 and U65 that are needed to run a command stream.
//!
//! Names and layouts are facts of Arm's public core driver. All registers have 32 bits. An address of 64 bits
//! is a pair of registers, of which the U55 has only the lower half.

pub use crate::image::section::{Config, Id};

/// A register, which is known by its byte offset from the NPU's base address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Register(u16);

impl Register {
    /// Says which product it is and its architecture revision, see [`Id`].
    pub const ID: Self = Self(0x00);
    /// Says what goes on, see [`Status`]. It is the one register that can be read during a reset.
    pub const STATUS: Self = Self(0x04);
    /// Takes commands, as bits of [`cmd`]; reads as last written.
    pub const CMD: Self = Self(0x08);
    /// Resets the NPU when it is written; the value has the bits of [`protection`] to reset into.
    pub const RESET: Self = Self(0x0c);
    /// Holds the address of the command stream.
    pub const QBASE: Self = Self(0x10);
    /// Holds the number of the AXI port that the command stream is read through.
    pub const QCONFIG: Self = Self(0x1c);
    /// Holds the length of the command stream in bytes.
    pub const QSIZE: Self = Self(0x20);
    /// Holds the bits of [`protection`] in force.
    pub const PROT: Self = Self(0x24);
    /// Says what was built, see [`Config`].
    pub const CONFIG: Self = Self(0x28);
    /// Holds two bits for each region: the AXI limit, and with it the port, see [`region`].
    pub const REGIONCFG: Self = Self(0x3c);

    /// Returns the register that limits the outstanding transactions of counter `number`, 0..4, see
    /// [`axi_limit`].
    pub const fn axi_limit(number: u16) -> Self {
        Self(0x40 + 4 * (number & 3))
    }

    /// Returns the register that holds the base address of region `number`, 0..8.
    pub const fn basep(number: u16) -> Self {
        Self(0x80 + 8 * (number & 7))
    }

    /// Returns the register that holds the upper half of an address.
    pub const fn high(self) -> Self {
        Self(self.0 + 4)
    }

    /// Returns the offset in bytes from the NPU's base address.
    pub const fn offset(self) -> usize {
        self.0 as usize
    }
}

/// Bits that a write to [`Register::CMD`] may have.
pub mod cmd {
    /// Starts to run the command stream.
    pub const RUN: u32 = 1 << 0;
    /// Clears the interrupt that the NPU raised.
    pub const CLEAR_IRQ: u32 = 1 << 1;
    /// Lets the clock be stopped while the NPU is idle.
    pub const CLOCK_GATING: u32 = 1 << 2;
    /// Lets the power be cut while the NPU is idle; all registers are lost with it.
    pub const POWER_GATING: u32 = 1 << 3;
}

/// Bits that [`Register::RESET`] and [`Register::PROT`] have.
pub mod protection {
    /// Makes the NPU's accesses privileged.
    pub const PRIVILEGED: u32 = 1 << 0;
    /// Makes the NPU's accesses non-secure.
    pub const NON_SECURE: u32 = 1 << 1;
}

/// Values that choose the AXI port and the counter of transactions of a region, or of the command stream: 0
/// and 1 are port 0 (SRAM, read and written), 2 and 3 port 1 (on the U55 read only: flash).
pub mod region {
    use crate::image::section::MemoryMode;

    /// The value of the command stream, which lies in flash.
    pub const COMMAND_STREAM: u32 = 2;
    /// Returns the values of regions 0 to 7: the constants, in flash or in SRAM; the scratch buffer in SRAM; the
    /// scratch buffer once more, where Vela has its fast buffer; five regions that are not used.
    pub const fn regions(constants: MemoryMode) -> [u32; 8] {
        let constants = match constants {
            MemoryMode::SharedSram => 3,
            MemoryMode::SramOnly => 1,
        };
        [constants, 0, 1, 1, 1, 1, 1, 1]
    }
}

/// Returns the value of [`Register::axi_limit`] for at most `reads` and `writes` outstanding transactions, as
/// many as the product can have. Bursts end at 64 bytes, and the memory type is device non-bufferable.
pub const fn axi_limit(reads: u32, writes: u32) -> u32 {
    (reads - 1) << 16 | (writes - 1) << 24
}

/// The value that [`Register::STATUS`] reads as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(pub u32);

impl Status {
    /// A command stream is being run.
    pub const RUNNING: u32 = 1 << 0;
    /// The interrupt is raised until it is cleared.
    pub const IRQ: u32 = 1 << 1;
    /// A bus aborted; the bit stays until a reset.
    pub const BUS_FAULT: u32 = 1 << 2;
    /// A reset is going on.
    pub const RESETTING: u32 = 1 << 3;
    /// The command stream cannot be parsed; the bit stays until a reset.
    pub const PARSE_FAULT: u32 = 1 << 4;
    /// The end of the command stream was reached; the bit stays until the next command stream is set.
    pub const END: u32 = 1 << 5;
    /// Weights cannot be decoded; the bit stays until a reset.
    pub const WEIGHT_FAULT: u32 = 1 << 7;
    /// An internal memory has a fault; the bit stays until a reset.
    pub const ECC_FAULT: u32 = 1 << 8;

    /// Says whether any of `bits` is set.
    pub const fn has(self, bits: u32) -> bool {
        self.0 & bits != 0
    }

    /// Returns the AXI port, 0 or 1, that a bus fault came from.
    pub const fn faulting_port(self) -> u8 {
        (self.0 >> 11 & 1) as u8
    }

    /// Returns the number of the channel that a bus fault came from. Channels that read: 0 commands, 1
    /// feature map, 2 weights, 3 scales and biases, 4 memory to memory. Channels that write: 8 feature map, 9
    /// memory to memory.
    pub const fn faulting_channel(self) -> u8 {
        (self.0 >> 12 & 0xf) as u8
    }
}
