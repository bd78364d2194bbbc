//! `zerda-device` works with boards: it builds their firmware, runs it in QEMU, flashes, updates and monitors it.
//!
//! It serves the commands `qemu`, `flash`, `monitor`, `keygen`, `sign` and `update`, the simulator, which fits its costs to instructions that are
//! counted in QEMU, and `memory-report`, which accounts for a firmware's bytes. It depends on `zerda-support` alone.

pub mod boards;
pub mod elf;
pub mod flash;
mod line;
pub mod monitor;
mod port;
pub mod qemu;
#[cfg(any(test, feature = "test-support"))]
pub mod test_support;
mod uf2;
pub mod update;
