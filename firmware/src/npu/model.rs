//! A model of an Ethos-U's registers, which serves for tests and for QEMU, since QEMU has no NPU.
//!
//! It is a [`Bus`] that behaves as the registers do towards a driver: reset, wake, start, interrupt, faults
//! that only a reset ends. It holds the driver to the protocol: what is written when, to which alignment,
//! which buffer is in which region, through which port. A run against the protocol is a fault, and
//! [`Model::violation`] says which rule was broken. Instead of running the command stream it computes the
//! step with the CPU's kernels from the same buffers.
//!
//! The worst case of a cache is modelled too: the NPU sees of the scratch buffer what it held at
//! [`Bus::clean`], and the driver sees of the results what is there after [`Bus::invalidate`], which
//! leaves nothing of the inputs.
//!
//! **It proves the protocol only**, as it was understood: it says nothing about silicon, about the command
//! stream, or about time.

use super::registers::{Config, Register, Status, axi_limit, cmd, protection};
use super::{ABSENT, Bus, PRESENT, place};
use crate::cache::Windows;
use crate::image::Image;
use crate::image::section::{MemoryMode, Payload, Program, Role};
use crate::step::{Cpu, Step};

/// Says what goes wrong with the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Injection {
    /// A bus aborts a transaction of the NPU.
    Bus,
    /// The NPU says that the command stream is not one.
    Parse,
    /// The NPU says that weights cannot be decoded.
    Weights,
    /// An internal memory has an error.
    Ecc,
    /// The NPU stops before the end of the command stream.
    Incomplete,
    /// The NPU runs for ever.
    Hang,
    /// The NPU ends well, but the interrupt does not come.
    Silent,
    /// The NPU does not come out of reset.
    Stuck,
    /// The NPU is another one than the payload's.
    Identity,
}

impl Injection {
    /// Lists all injections, with the names that a command line has for them.
    pub const NAMED: [(&'static str, Self); 9] = [
        ("bus", Self::Bus),
        ("parse", Self::Parse),
        ("weights", Self::Weights),
        ("ecc", Self::Ecc),
        ("incomplete", Self::Incomplete),
        ("hang", Self::Hang),
        ("silent", Self::Silent),
        ("stuck", Self::Stuck),
        ("identity", Self::Identity),
    ];

    /// Returns the injection of this name, if there is one.
    pub fn named(name: &str) -> Option<Self> {
        let found = Self::NAMED.iter().find(|(known, _)| *known == name);
        found.map(|&(_, injection)| injection)
    }
}

/// Fills registers that lost their power, and buffers that the NPU has used.
const GARBAGE: u32 = 0x5a5a_5a5a;
/// The number of reads of STATUS that a reset takes.
const RESET_READS: u32 = 3;
/// The number of registers up to the last base address that is used.
const WORDS: usize = 0xc0 / 4;

/// Models an NPU that runs the section of one image.
#[derive(Debug)]
pub struct Model<'a> {
    image: Image<'a>,
    /// Holds the memory where the model computes: caches, then arena.
    memory: &'a mut [i8],
    words: [u32; WORDS],
    status: u32,
    /// Counts the reads of STATUS until the reset ends.
    resetting: u32,
    /// Holds the address of the scratch buffer that was cleaned since the reset, and the number of keys that
    /// are absent by its masks.
    cleaned: Option<(usize, u16)>,
    /// Holds the address of constants in SRAM that were cleaned, if no fault could have changed them since.
    constants: Option<usize>,
    /// Says that results are there that the CPU does not see yet.
    finished: bool,
    injection: Option<Injection>,
    violation: Option<&'static str>,
}

impl<'a> Model<'a> {
    /// Makes a model of the NPU for which the image's section was compiled; it has no power so far. `memory`
    /// has [`Image::memory_bytes`] bytes and is not the recognizer's.
    pub fn new(image: &Image<'a>, memory: &'a mut [i8]) -> Self {
        memory.fill(0);
        Self {
            image: *image,
            memory,
            words: [GARBAGE; WORDS],
            status: Status::RESETTING,
            resetting: u32::MAX,
            cleaned: None,
            constants: None,
            finished: false,
            injection: None,
            violation: None,
        }
    }

    /// Says what goes wrong from now on; `None` for nothing.
    pub fn inject(&mut self, injection: Option<Injection>) {
        self.injection = injection;
    }

    /// Returns the first rule of the protocol that the driver broke, if it broke one.
    pub fn violation(&self) -> Option<&'static str> {
        self.violation
    }

    fn require(&mut self, holds: bool, rule: &'static str) -> bool {
        if !holds {
            self.violation = self.violation.or(Some(rule));
        }
        holds
    }

    fn word(&self, register: Register) -> u32 {
        self.words.get(register.offset() / 4).copied().unwrap_or(0)
    }

    fn set(&mut self, register: Register, value: u32) {
        if let Some(word) = self.words.get_mut(register.offset() / 4) {
            *word = value;
        }
    }

    fn program(&self) -> Option<(Program<'a>, Payload<'a>)> {
        let program = self.image.npu()?;
        Some((program, program.payload()?))
    }

    fn config(&self) -> u32 {
        let config = self.program().map_or(0, |(_, payload)| payload.config);
        match self.injection {
            // The NPU has half or twice as many multiply-accumulates.
            Some(Injection::Identity) => config ^ 1,
            _ => config,
        }
    }

    fn is_u55(&self) -> bool {
        Config(self.config()).product() == 0
    }

    fn is(&self, bits: u32) -> bool {
        self.status & bits != 0
    }

    fn reset(&mut self, world: u32) {
        self.words = [0; WORDS];
        self.set(Register::CMD, cmd::CLOCK_GATING | cmd::POWER_GATING);
        self.set(Register::PROT, world & 3);
        self.status = Status::RESETTING;
        self.resetting = match self.injection {
            Some(Injection::Stuck) => u32::MAX,
            _ => RESET_READS,
        };
        self.cleaned = None;
        self.finished = false;
    }

    fn command(&mut self, value: u32) {
        self.set(Register::CMD, value);
        if value & cmd::CLEAR_IRQ != 0 {
            self.status &= !Status::IRQ;
        }
        if value & cmd::RUN != 0 {
            self.status = match self.may_run() {
                true => Status::RUNNING,
                false => Status::IRQ | Status::PARSE_FAULT,
            };
        } else if value & cmd::POWER_GATING != 0 && !self.is(Status::RUNNING) {
            // The power is cut at once.
            self.words = [GARBAGE; WORDS];
            self.cleaned = None;
        }
    }

    /// Checks what the driver set against the rules, and says whether the NPU may run.
    fn may_run(&mut self) -> bool {
        let Some((program, payload)) = self.program() else {
            return self.require(false, "runs an image without an NPU section");
        };
        let faults =
            Status::BUS_FAULT | Status::PARSE_FAULT | Status::WEIGHT_FAULT | Status::ECC_FAULT;
        let limit = match self.is_u55() {
            true => axi_limit(32, 16),
            false => axi_limit(64, 32),
        };
        let within = |word: u32| word & !limit == 0 && word != 0;
        let limits = (0..4).all(|number| within(self.word(Register::axi_limit(number))));
        let port = |region: u32| self.word(Register::REGIONCFG) >> (2 * region + 1) & 1;
        let (constants, constants_port) = match program.memory_mode {
            MemoryMode::SharedSram => (Some(program.constants.as_ptr().addr()), 1),
            MemoryMode::SramOnly => (self.constants, 0),
        };
        let ports = (port(0), port(1), port(2)) == (constants_port, 0, 0);
        let gating = self.word(Register::CMD) & (cmd::CLOCK_GATING | cmd::POWER_GATING);
        let scratch = self.cleaned.map(|(address, _)| address);
        let stream = self.holds(Register::QBASE, payload.stream.as_ptr().addr());
        let constants = constants.is_some_and(|address| self.holds(Register::basep(0), address));
        let first = scratch.is_some_and(|address| self.holds(Register::basep(1), address));
        let second = scratch.is_some_and(|address| self.holds(Register::basep(2), address));
        let size = self.word(Register::QSIZE) as usize == payload.stream.len();
        let rules = [
            (!self.is(Status::RUNNING), "runs while it is running"),
            (!self.is(faults), "runs after a fault without a reset"),
            (gating == 0, "runs while clock or power may be cut"),
            (
                self.word(Register::PROT) == protection::PRIVILEGED,
                "runs in another security state",
            ),
            (
                limits,
                "runs with AXI limits that the product does not have",
            ),
            (ports, "runs with a region at the wrong port"),
            (
                self.word(Register::QCONFIG) >> 1 == 1,
                "runs with the command stream at the wrong port",
            ),
            (
                stream,
                "QBASE is not the aligned address of the command stream",
            ),
            (size, "QSIZE is not the command stream's length in bytes"),
            (constants, "base address 0 is not that of the constants"),
            (scratch.is_some(), "runs without a clean cache"),
            (first, "base address 1 is not that of the scratch buffer"),
            (second, "base address 2 is not that of the scratch buffer"),
        ];
        rules.iter().all(|&(holds, rule)| self.require(holds, rule))
    }

    /// Says whether a pair of registers holds an address, at a multiple of 16.
    fn holds(&self, register: Register, address: usize) -> bool {
        let high = match self.is_u55() {
            true => 0,
            false => u64::from(self.word(register.high())) << 32,
        };
        let held = high | u64::from(self.word(register));
        held.is_multiple_of(16) && held == self.address(address)
    }

    /// Returns the number of keys that are absent by the masks, which must all be the same, with absent keys
    /// first.
    fn absent(&mut self, scratch: &[i8]) -> u16 {
        let (program, keys) = match self.image.npu() {
            Some(program) => {
                let stream = self.image.manifest().stream;
                (program, usize::from(stream.left_context + stream.chunk))
            }
            None => return 0,
        };
        let masks = program.io().filter(|io| matches!(io.role, Role::Mask(_)));
        let mut absent = None;
        for mask in masks.filter_map(|io| scratch.get(io.range())) {
            let count = mask.iter().take_while(|&&key| key == ABSENT).count();
            let rest = mask.get(count..).unwrap_or_default();
            let whole = mask.len() == keys && rest.iter().all(|&key| key == PRESENT);
            self.require(whole, "a mask is not -128, then 127");
            self.require(absent.is_none_or(|n| n == count), "masks differ");
            absent = Some(count);
        }
        absent.unwrap_or(0) as u16
    }
}

impl Bus for Model<'_> {
    fn read(&mut self, register: Register) -> u32 {
        if register == Register::STATUS {
            if self.resetting > 0 && self.resetting < u32::MAX {
                self.resetting -= 1;
            }
            if self.resetting == 0 {
                self.status &= !Status::RESETTING;
            }
            return self.status;
        }
        self.require(self.resetting == 0, "reads a register during a reset");
        match register {
            Register::CONFIG => self.config(),
            Register::ID => self.program().map_or(0, |(_, payload)| payload.id),
            _ => self.word(register),
        }
    }

    fn write(&mut self, register: Register, value: u32) {
        if register == Register::RESET {
            return self.reset(value);
        }
        self.require(self.resetting == 0, "writes a register during a reset");
        let high = [Register::QBASE, Register::basep(0), Register::basep(1)];
        let high = self.is_u55() && high.iter().any(|low| low.high() == register);
        self.require(
            !high,
            "writes the upper half of an address, which the U55 does not have",
        );
        match register {
            Register::CMD => self.command(value),
            Register::ID | Register::STATUS | Register::PROT | Register::CONFIG => {
                self.require(false, "writes a register that is read only");
            }
            _ => {
                self.require(!self.is(Status::RUNNING), "writes a register while it runs");
                if register == Register::QBASE || register == Register::QSIZE {
                    self.status &= !Status::END;
                }
                self.set(register, value);
            }
        }
    }

    /// Cuts the address to the bits that the product has, as addresses of a PC have more.
    fn address(&self, cpu: usize) -> u64 {
        let bits = if self.is_u55() { 32 } else { 40 };
        cpu as u64 & ((1 << bits) - 1)
    }

    fn clean(&mut self, scratch: &mut [i8]) {
        let constants = self.image.npu().filter(|program| {
            let same = program.constants.iter().map(|byte| byte.cast_signed());
            program.memory_mode == MemoryMode::SramOnly && same.eq(scratch.iter().copied())
        });
        if constants.is_some() {
            self.constants = Some(scratch.as_ptr().addr());
            return;
        }
        let absent = self.absent(scratch);
        let windows = Windows::at_start(absent);
        let io = self.image.npu().map(|program| program.io());
        for io in io.into_iter().flatten().filter(|io| !io.role.is_output()) {
            let target = place(io, &self.image, &windows);
            let target = target.and_then(|target| self.memory.get_mut(target));
            if let (Some(target), Some(buffer)) = (target, scratch.get(io.range())) {
                super::copy(buffer, target);
            }
        }
        self.cleaned = Some((scratch.as_ptr().addr(), absent));
    }

    fn wait(&mut self, scratch: &mut [i8], _: u32) -> bool {
        let lent = self.cleaned.map(|(address, _)| address) == Some(scratch.as_ptr().addr());
        if !self.is(Status::RUNNING) || !self.require(lent, "waits with another buffer") {
            return self.is(Status::IRQ);
        }
        let end = match self.injection {
            Some(Injection::Hang) => Status::RUNNING,
            Some(Injection::Bus) => Status::BUS_FAULT,
            Some(Injection::Parse) => Status::PARSE_FAULT,
            Some(Injection::Weights) => Status::WEIGHT_FAULT,
            Some(Injection::Ecc) => Status::ECC_FAULT,
            Some(Injection::Incomplete) => 0,
            _ => Status::END,
        };
        if end == Status::END {
            let absent = self.cleaned.map_or(0, |(_, absent)| absent);
            Cpu::default().step(&self.image, &Windows::at_start(absent), self.memory);
            self.finished = true;
        } else {
            self.constants = None;
        }
        scratch.fill(GARBAGE as i8);
        if end == Status::RUNNING {
            return false;
        }
        self.status = Status::IRQ | end;
        self.injection != Some(Injection::Silent)
    }

    fn invalidate(&mut self, scratch: &mut [i8]) {
        let finished = core::mem::take(&mut self.finished);
        if !self.require(finished, "invalidates the cache before a run has ended") {
            return;
        }
        let windows = Windows::at_start(0);
        let io = self.image.npu().map(|program| program.io());
        for io in io.into_iter().flatten().filter(|io| io.role.is_output()) {
            let source = place(io, &self.image, &windows);
            let source = source.and_then(|source| self.memory.get(source));
            if let (Some(source), Some(buffer)) = (source, scratch.get_mut(io.range())) {
                super::copy(source, buffer);
            }
        }
    }
}
