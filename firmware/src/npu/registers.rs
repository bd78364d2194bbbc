//! Registers of the Ethos-U55 and U65, those that running a command stream takes.
//!
//! Names and layouts are facts of Arm's public core driver. All registers have 32 bits; addresses
//! of 64 are pairs, of which the U55 has only the lower half.

/// A register, by its byte offset from the NPU's base address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Register(u16);

impl Register {
    /// Product and architecture revision, see [`Id`].
    pub const ID: Self = Self(0x00);
    /// What goes on, see [`Status`]. The one register that can be read during a reset.
    pub const STATUS: Self = Self(0x04);
    /// Bits of [`cmd`]; reads as last written.
    pub const CMD: Self = Self(0x08);
    /// Written: bits of [`protection`] to reset into.
    pub const RESET: Self = Self(0x0c);
    /// Address of the command stream.
    pub const QBASE: Self = Self(0x10);
    /// Number of the AXI port that it is read through.
    pub const QCONFIG: Self = Self(0x1c);
    /// Bytes of the command stream.
    pub const QSIZE: Self = Self(0x20);
    /// Bits of [`protection`] in force.
    pub const PROT: Self = Self(0x24);
    /// What was built, see [`Config`].
    pub const CONFIG: Self = Self(0x28);
    /// Of each region, two bits: the AXI limit, and with it the port, see [`region`].
    pub const REGIONCFG: Self = Self(0x3c);

    /// Limit of outstanding transactions, `number` 0..4, see [`axi_limit`].
    pub const fn axi_limit(number: u16) -> Self {
        Self(0x40 + 4 * (number & 3))
    }

    /// Base address of a region, `number` 0..8.
    pub const fn basep(number: u16) -> Self {
        Self(0x80 + 8 * (number & 7))
    }

    /// The upper half of an address.
    pub const fn high(self) -> Self {
        Self(self.0 + 4)
    }

    /// Bytes from the NPU's base address.
    pub const fn offset(self) -> usize {
        self.0 as usize
    }
}

/// Bits of [`Register::CMD`].
pub mod cmd {
    /// Run the command stream.
    pub const RUN: u32 = 1 << 0;
    /// Clear the interrupt.
    pub const CLEAR_IRQ: u32 = 1 << 1;
    /// The clock may be stopped while the NPU is idle.
    pub const CLOCK_GATING: u32 = 1 << 2;
    /// The power may be cut while the NPU is idle; all registers are lost with it.
    pub const POWER_GATING: u32 = 1 << 3;
}

/// Bits of [`Register::RESET`] and [`Register::PROT`].
pub mod protection {
    /// Privileged accesses.
    pub const PRIVILEGED: u32 = 1 << 0;
    /// Non-secure accesses.
    pub const NON_SECURE: u32 = 1 << 1;
}

/// AXI port and counter of transactions of a region, or of the command stream: 0 and 1 are port 0
/// (SRAM, read and written), 2 and 3 port 1 (on the U55 read only: flash).
pub mod region {
    /// The command stream, in flash.
    pub const COMMAND_STREAM: u32 = 2;
    /// Of regions 0 to 7: the constants in flash; the scratch buffer in SRAM; the same once more,
    /// where Vela has its fast buffer; five that are not used.
    pub const REGIONS: [u32; 8] = [3, 0, 1, 1, 1, 1, 1, 1];
}

/// Fields of [`Register::axi_limit`]: bursts end at 64 bytes, memory type is device non-bufferable,
/// as many transactions as the product can have outstanding.
pub const fn axi_limit(reads: u32, writes: u32) -> u32 {
    (reads - 1) << 16 | (writes - 1) << 24
}

/// [`Register::STATUS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(pub u32);

impl Status {
    /// A command stream is being run.
    pub const RUNNING: u32 = 1 << 0;
    /// The interrupt is raised.
    pub const IRQ: u32 = 1 << 1;
    /// A bus aborted; until reset.
    pub const BUS_FAULT: u32 = 1 << 2;
    /// A reset goes on.
    pub const RESETTING: u32 = 1 << 3;
    /// The command stream cannot be parsed; until reset.
    pub const PARSE_FAULT: u32 = 1 << 4;
    /// The end of the command stream was reached; until the next one is set.
    pub const END: u32 = 1 << 5;
    /// Weights cannot be decoded; until reset.
    pub const WEIGHT_FAULT: u32 = 1 << 7;
    /// An internal memory has a fault; until reset.
    pub const ECC_FAULT: u32 = 1 << 8;

    /// Whether any of some bits is set.
    pub const fn has(self, bits: u32) -> bool {
        self.0 & bits != 0
    }

    /// After a bus fault: AXI port 0 or 1.
    pub const fn faulting_port(self) -> u8 {
        (self.0 >> 11 & 1) as u8
    }

    /// After a bus fault, what was accessed. Reads: 0 commands, 1 feature map, 2 weights, 3 scales
    /// and biases, 4 memory to memory. Writes: 8 feature map, 9 memory to memory.
    pub const fn faulting_channel(self) -> u8 {
        (self.0 >> 12 & 0xf) as u8
    }
}

/// [`Register::CONFIG`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config(pub u32);

impl Config {
    /// Base-2 logarithm of the multiply-accumulates a cycle.
    pub const fn macs_log2(self) -> u32 {
        self.0 & 0xf
    }

    /// Version of the command stream's format.
    pub const fn stream_version(self) -> u32 {
        self.0 >> 4 & 0xf
    }

    /// Whether it has a DMA engine of its maker's own.
    pub const fn custom_dma(self) -> bool {
        self.0 >> 27 & 1 != 0
    }

    /// 0 U55, 1 U65, 2 U85.
    pub const fn product(self) -> u32 {
        self.0 >> 28
    }
}

/// [`Register::ID`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Id(pub u32);

impl Id {
    /// Architecture: major, minor, patch.
    pub const fn arch(self) -> [u8; 3] {
        [
            (self.0 >> 28) as u8,
            (self.0 >> 20) as u8,
            (self.0 >> 16 & 0xf) as u8,
        ]
    }
}
