//! The driver resets the NPU, checks that it can run a payload, runs it, and says what went wrong.
//!
//! It knows registers and buffers, but nothing of images or streams. Whatever the NPU did before, each run
//! begins with a reset, since between runs its power may have been cut and all that was set is lost with it;
//! that costs about twenty writes.

use super::Bus;
use super::registers::{Config, Id, Register, Status, axi_limit, cmd, protection, region};
use crate::image::section::{MemoryMode, Payload, Product};
use crate::step::{Failure, Fault};

/// The number of times that STATUS is read before a reset counts as failed. A reset takes the NPU some tens
/// of cycles.
const RESET_POLLS: u32 = 10_000;

/// Holds the bits of CMD with which the NPU stays clocked and powered.
const AWAKE: u32 = 0;

/// The number of bytes that the address of every buffer is a multiple of.
const ALIGNMENT: u64 = 16;

/// Says where the constants of a command stream lie.
#[derive(Clone, Copy, Debug)]
pub struct Constants {
    /// The address at which the CPU sees them.
    pub address: usize,
    /// Says in which memory that is.
    pub memory_mode: MemoryMode,
}

/// Drives one NPU over its bus.
#[derive(Debug)]
pub struct Driver<B> {
    bus: B,
}

impl<B: Bus> Driver<B> {
    /// Makes a driver; it does not touch the NPU yet.
    pub const fn new(bus: B) -> Self {
        Self { bus }
    }

    /// Returns the bus that is driven.
    pub fn bus(&mut self) -> &mut B {
        &mut self.bus
    }

    /// Resets the NPU, so that whatever it was doing has ended, and checks that it can run a payload.
    ///
    /// # Errors
    ///
    /// Returns [`Fault::Reset`] if the reset fails, and [`Fault::Mismatch`] if the NPU cannot run the
    /// payload.
    pub fn start(&mut self, payload: &Payload<'_>) -> Result<(), Failure> {
        self.reset()?;
        self.bus.write(Register::CMD, AWAKE);
        let config = self.bus.read(Register::CONFIG);
        let id = self.bus.read(Register::ID);
        match can_run(config, id, payload) {
            true => Ok(()),
            false => Err(Fault::Mismatch.with(config)),
        }
    }

    /// Runs a payload, with its constants, on what is in the scratch buffer, for at most `limit_us`
    /// microseconds. [`Driver::start`] must come before it. After an error the NPU may be at work still,
    /// until it is stopped.
    ///
    /// # Errors
    ///
    /// Returns [`Fault::Address`] if the NPU cannot use a buffer, or the fault that came up while it ran.
    pub fn run(
        &mut self,
        payload: &Payload<'_>,
        constants: Constants,
        scratch: &mut [i8],
        limit_us: u32,
    ) -> Result<(), Failure> {
        let product = match Config(payload.config).product() {
            0 => Product::U55,
            _ => Product::U65,
        };
        self.set_ports(product, constants.memory_mode);
        let scratch_address = scratch.as_ptr().addr();
        for (base, address) in [
            (Register::QBASE, payload.stream.as_ptr().addr()),
            (Register::basep(0), constants.address),
            (Register::basep(1), scratch_address),
            // Vela's fast buffer is the same buffer if there is one memory.
            (Register::basep(2), scratch_address),
        ] {
            self.set_address(product, base, address)?;
        }
        self.bus.write(Register::QSIZE, payload.stream.len() as u32);

        self.bus.clean(scratch);
        self.bus.write(Register::CMD, AWAKE | cmd::RUN);
        let in_time = self.bus.wait(scratch, limit_us);
        let status = Status(self.bus.read(Register::STATUS));
        self.bus.write(Register::CMD, AWAKE | cmd::CLEAR_IRQ);
        outcome(status, in_time)?;
        self.bus.invalidate(scratch);
        Ok(())
    }

    /// Lets clock and power be cut. After a failure the NPU is reset first, which ends what it was doing; if
    /// the reset fails, too, the NPU is left alone.
    pub fn stop(&mut self, failed: bool) {
        if !failed || self.reset().is_ok() {
            let gating = cmd::CLOCK_GATING | cmd::POWER_GATING;
            self.bus.write(Register::CMD, gating);
        }
    }

    fn reset(&mut self) -> Result<(), Failure> {
        let mut world = protection::PRIVILEGED;
        if B::NON_SECURE {
            world |= protection::NON_SECURE;
        }
        self.bus.write(Register::RESET, world);
        let mut status = Status(Status::RESETTING);
        for _ in 0..RESET_POLLS {
            status = Status(self.bus.read(Register::STATUS));
            if !status.has(Status::RESETTING) {
                break;
            }
        }
        if status.has(Status::RESETTING) {
            return Err(Fault::Reset.with(status.0));
        }
        match self.bus.read(Register::PROT) == world {
            true => Ok(()),
            false => Err(Fault::Reset.with(status.0)),
        }
    }

    /// Sets which AXI port serves the command stream and each region, and how many transactions may be
    /// outstanding.
    fn set_ports(&mut self, product: Product, constants: MemoryMode) {
        let limit = match product {
            Product::U55 => axi_limit(32, 16),
            Product::U65 | Product::U85 => axi_limit(64, 32),
        };
        for number in 0..4 {
            self.bus.write(Register::axi_limit(number), limit);
        }
        self.bus.write(Register::QCONFIG, region::COMMAND_STREAM);
        let regions = region::regions(constants).into_iter().rev();
        let regions = regions.fold(0, |word, port| word << 2 | port);
        self.bus.write(Register::REGIONCFG, regions);
    }

    fn set_address(
        &mut self,
        product: Product,
        base: Register,
        address: usize,
    ) -> Result<(), Failure> {
        let address = self.bus.address(address);
        let bits = match product {
            Product::U55 => 32,
            Product::U65 | Product::U85 => 40,
        };
        if !address.is_multiple_of(ALIGNMENT) || address >> bits != 0 {
            return Err(Fault::Address.with(address));
        }
        self.bus.write(base, address as u32);
        if product != Product::U55 {
            self.bus.write(base.high(), (address >> 32) as u32);
        }
        Ok(())
    }
}

/// Says whether an NPU with these registers CONFIG and ID runs a payload that was compiled for another.
fn can_run(config: u32, id: u32, payload: &Payload<'_>) -> bool {
    let (own, other) = (Config(config), Config(payload.config));
    let ([major, minor, _], [other_major, other_minor, _]) = (Id(id).arch(), Id(payload.id).arch());
    own.product() == other.product()
        && own.product() <= 1 // the registers of the U85 are different
        && own.macs_log2() == other.macs_log2()
        && own.stream_version() == other.stream_version()
        && (own.custom_dma() || !other.custom_dma())
        && major == other_major
        && minor >= other_minor
}

/// Says how a run ended.
fn outcome(status: Status, in_time: bool) -> Result<(), Failure> {
    let fault = if status.has(Status::BUS_FAULT) {
        Fault::Bus
    } else if status.has(Status::PARSE_FAULT) {
        Fault::Parse
    } else if status.has(Status::WEIGHT_FAULT) {
        Fault::Weights
    } else if status.has(Status::ECC_FAULT) {
        Fault::Ecc
    } else if !in_time {
        Fault::Timeout
    } else if status.has(Status::RUNNING) || !status.has(Status::END) {
        Fault::Incomplete
    } else {
        return Ok(());
    };
    Err(fault.with(status.0))
}
