//! Steps can run on an Arm Ethos-U55 or U65, with the CPU behind it.
//!
//! An image may hold its step a second time, compiled to a command stream for one NPU by Arm's Vela
//! ([`crate::image::section`]). [`Npu`] runs it where [`Cpu`] would run the plan: it copies features, masks and retained
//! cache rows into a [`Scratch`] buffer, lets the NPU compute there, and copies logits, posteriors and new
//! cache rows back. Memory then holds what the CPU would have left, wherever anything reads it, so each step
//! may run on either; only the CPU's intermediate results are not there.
//!
//! ```
//! # use zerda_firmware::{Image, Memory, MemoryTooSmall, Recognizer, memory_bytes, npu_scratch_bytes};
//! # use zerda_firmware::npu::{Bus, Npu, Scratch};
//! # static IMAGE: &zerda_firmware::Aligned<[u8]> =
//! #     &zerda_firmware::Aligned(*include_bytes!("../../models/shrunk.zerda"));
//! # fn example(image: &Image<'_>, bus: impl Bus) -> Result<(), MemoryTooSmall> {
//! let mut memory = Memory::<{ memory_bytes(&IMAGE.0) }>::new();
//! let mut scratch = Scratch::<{ npu_scratch_bytes(&IMAGE.0) }>::new();
//! let npu = Npu::new(bus, &mut scratch);
//! let mut recognizer = Recognizer::with_step(image, &mut memory, npu)?;
//! # Ok(())
//! # }
//! ```
//!
//! # When it fails
//!
//! A [`Fault`] leaves memory as it was. The same step then runs on the CPU, from the same caches, to the same
//! bits. The NPU is tried again, after a reset, one step later; each further fault doubles that distance, to
//! [`MAX_BACKOFF`] steps, and each good step takes one off. A fault that is no accident, such as a payload
//! for another NPU or a buffer that it cannot use, is not tried again. [`Counters`] counts it all;
//! [`crate::app`] reports it.
//!
//! # Protocol
//!
//! | | |
//! |---|---|
//! | wake | RESET into the board's security state; poll STATUS; compare PROT; deny clock and power gating |
//! | match | CONFIG and ID against those that the payload was compiled for |
//! | copy in | only now: until that reset a run that failed may have been writing still; constants that belong in SRAM the first time, and after a fault |
//! | set | AXI limits, ports of command stream and regions, QBASE, QSIZE, base addresses |
//! | run | clean the cache; CMD; wait; STATUS; clear the interrupt; invalidate the cache |
//! | copy out | |
//! | sleep | allow clock and power gating; after a fault only behind one more reset |
//!
//! # Memory that the NPU writes
//!
//! While it runs, the NPU writes to the scratch buffer behind the compiler's back. [`Bus::wait`]
//! is therefore lent the buffer, mutably: as the compiler sees it, what changes there changes in
//! `wait`, and nobody can look at it before `wait` is done. So neither this crate nor a model of an
//! NPU needs `unsafe`; a board's `clean` and `wait` hold a barrier that keeps the compiler from knowing
//! better ([`Bus`] shows it). Constants in SRAM lie behind the scratch memory; the NPU only reads them. Nothing that the recognizer owns is ever shared with the NPU: after a
//! timeout it may scribble on in the scratch buffer until it is reset, and the CPU's step does not notice.
//! The image is only read: whoever writes one to RAM, an update say, cleans it from the CPU's cache once.
//!
//! # Costs
//!
//! With `shrunk`, 28 KB are copied in and 4 KB out a step, mostly keys and values; the scratch buffer takes
//! what Vela states, and the constants besides where the image was compiled for them in SRAM
//! ([`crate::image::section::MemoryMode`]), which makes a step faster. A run ends, or is ended, within half of the audio of a step (25 ms of 50): after a
//! timeout the CPU has the other half.
//!
//! # What is proven
//!
//! Tests prove that the driver keeps to the protocol above, and that any fault leads to the CPU's bits:
//! against a model of the registers (feature `npu-model`), on the host and in QEMU. **That a command stream
//! computes the step is not proven**: the model computes it with the CPU's kernels. No silicon and no
//! simulator of Arm's was at hand; nobody has run this driver on an NPU yet.

pub mod driver;
#[cfg(any(test, feature = "npu-model"))]
pub mod model;
pub mod registers;

use core::ops::Range;

use crate::cache::Windows;
use crate::image::section::{Io, Program, Role};
use crate::image::{Image, SAMPLE_RATE};
use crate::plan::TensorId;
use crate::step::{Counters, Cpu, Failure, Fault, Step, byte_range};
use driver::{Constants, Driver};
use registers::Register;

/// The most steps that run on the CPU after a fault before the NPU is tried again: 13 s with steps of 50 ms.
pub const MAX_BACKOFF: u16 = 256;

/// Says in a mask that a key is present.
pub(crate) const PRESENT: i8 = 127;
/// Says in a mask that a key is absent.
pub(crate) const ABSENT: i8 = -128;

/// An NPU as a board wires it, or a model of one: its registers, the memory that both see, and a way to wait.
///
/// # Example
///
/// This board polls, on a core with a data cache.
///
/// ```
/// # use zerda_firmware::npu::{Bus, registers::{Register, Status}};
/// # fn now_us() -> u32 { 0 }
/// # fn clean_dcache(_: &mut [i8]) {}
/// # fn invalidate_dcache(_: &mut [i8]) {}
/// use core::arch::asm;
///
/// struct Ethos(*mut u32);
///
/// impl Bus for Ethos {
///     fn read(&mut self, register: Register) -> u32 {
///         // SAFETY: the pointer is the base of the NPU's registers, as whoever made it promised.
///         unsafe { self.0.byte_add(register.offset()).read_volatile() }
///     }
///
///     fn write(&mut self, register: Register, value: u32) {
///         // SAFETY: as in `read`.
///         unsafe { self.0.byte_add(register.offset()).write_volatile(value) }
///     }
///
///     fn clean(&mut self, scratch: &mut [i8]) {
///         barrier(scratch);
///         clean_dcache(scratch); // ends with a `dsb`
///     }
///
///     fn wait(&mut self, scratch: &mut [i8], limit_us: u32) -> bool {
///         let begin = now_us();
///         let mut raised = false;
///         while !raised && now_us().wrapping_sub(begin) < limit_us {
///             raised = Status(self.read(Register::STATUS)).has(Status::IRQ);
///         }
///         barrier(scratch);
///         raised
///     }
///
///     fn invalidate(&mut self, scratch: &mut [i8]) {
///         invalidate_dcache(scratch);
///     }
/// }
///
/// /// Reads and writes the buffer, as the compiler sees it.
/// fn barrier(scratch: &mut [i8]) {
///     // SAFETY: it does nothing.
///     unsafe { asm!("/* {0} */", in(reg) scratch.as_mut_ptr(), options(nostack)) }
/// }
/// ```
///
/// A board that sleeps instead needs more care: the line of the interrupt stays up until the driver, after
/// `wait`, clears it in the NPU. So its handler masks it in the interrupt controller, and `wait` drops what
/// is pending there from before and unmasks it.
pub trait Bus {
    /// Says whether the NPU accesses memory as non-secure.
    const NON_SECURE: bool = false;

    /// Reads a register of 32 bits.
    fn read(&mut self, register: Register) -> u32;

    /// Writes a register of 32 bits, before anything that follows.
    fn write(&mut self, register: Register, value: u32);

    /// Returns the address at which the NPU sees what the CPU sees at `cpu`; both are the same unless a board
    /// says otherwise.
    fn address(&self, cpu: usize) -> u64 {
        cpu as u64
    }

    /// Writes the scratch buffer, or constants behind it, back to memory if the CPU caches it: each begins with a cache
    /// line, and nothing else lies in its last one. An implementation
    /// needs a barrier: what was written is there before the next register is.
    fn clean(&mut self, scratch: &mut [i8]);

    /// Waits for the interrupt; returns false after `limit_us` microseconds without one. The NPU has the
    /// scratch buffer meanwhile. An implementation needs a barrier, so that what the NPU wrote is read only
    /// after it.
    fn wait(&mut self, scratch: &mut [i8], limit_us: u32) -> bool;

    /// Forgets what the CPU has cached of the scratch buffer.
    fn invalidate(&mut self, scratch: &mut [i8]);
}

/// The buffer that NPU and CPU share, in memory that the NPU can reach, which tightly coupled memory is not.
/// It is a `Scratch<{ npu_scratch_bytes(IMAGE) }>` and fills whole cache lines.
#[repr(C, align(32))]
#[derive(Debug)]
pub struct Scratch<const BYTES: usize>([i8; BYTES]);

impl<const BYTES: usize> Scratch<BYTES> {
    /// Makes a buffer that holds zeros.
    pub const fn new() -> Self {
        Self([0; BYTES])
    }
}

impl<const BYTES: usize> Default for Scratch<BYTES> {
    fn default() -> Self {
        Self::new()
    }
}

/// Runs steps on an NPU, and on the CPU if the NPU is missing or fails.
#[derive(Debug)]
pub struct Npu<'a, B> {
    driver: Driver<B>,
    scratch: &'a mut [i8],
    counters: Counters,
    /// The number of steps that ran on the CPU after the last fault, less one for each good step since. After
    /// the next fault it doubles.
    backoff: u16,
    /// The number of steps that still run on the CPU before the NPU is tried; `None` means all.
    waiting: Option<u16>,
    /// Says that constants lie in the buffer, where they belong there, as no fault could have changed them since.
    loaded: bool,
}

impl<'a, B: Bus> Npu<'a, B> {
    /// Makes a stepper that touches the NPU with its first step only.
    pub fn new<const BYTES: usize>(bus: B, scratch: &'a mut Scratch<BYTES>) -> Self {
        Self {
            driver: Driver::new(bus),
            scratch: &mut scratch.0,
            counters: Counters::default(),
            backoff: 0,
            waiting: Some(0),
            loaded: false,
        }
    }

    /// Returns the bus of the NPU.
    pub fn bus(&mut self) -> &mut B {
        self.driver.bus()
    }

    /// Tries to run the step on the NPU, and says whether it did. If it did not, memory is as it was.
    fn try_step(&mut self, image: &Image<'_>, windows: &Windows, memory: &mut [i8]) -> bool {
        let Some(program) = image.npu() else {
            return false;
        };
        match &mut self.waiting {
            Some(0) => {}
            Some(steps) => {
                *steps -= 1;
                return false;
            }
            None => return false,
        }
        let result = self.run(&program, image, windows, memory);
        self.driver.stop(result.is_err());
        match result {
            Ok(()) => {
                self.counters.steps = self.counters.steps.wrapping_add(1);
                self.backoff = self.backoff.saturating_sub(1);
                true
            }
            Err(failure) => {
                self.failed(failure);
                false
            }
        }
    }

    fn failed(&mut self, failure: Failure) {
        self.loaded = false;
        self.backoff = self.backoff.saturating_mul(2).clamp(1, MAX_BACKOFF);
        self.waiting = failure.fault.is_passing().then_some(self.backoff);
        self.counters.faults = self.counters.faults.wrapping_add(1);
        self.counters.last = Some(failure);
        self.counters.backoff = self.waiting.unwrap_or(0);
        #[cfg(feature = "defmt")]
        defmt::warn!("NPU: {}", failure);
    }

    fn run(
        &mut self,
        program: &Program<'_>,
        image: &Image<'_>,
        windows: &Windows,
        memory: &mut [i8],
    ) -> Result<(), Failure> {
        let payload = program.payload().ok_or(Fault::Mismatch.with(0u32))?;
        let missing = program.buffer_bytes().saturating_sub(self.scratch.len());
        if missing > 0 {
            return Err(Fault::Scratch.with(missing as u64));
        }
        self.driver.start(&payload)?;
        let constants = self.constants(program);
        for io in program.io().filter(|io| !io.role.is_output()) {
            let buffer = self.scratch.get_mut(io.range()).unwrap_or_default();
            match io.role {
                Role::Mask(_) => write_mask(buffer, windows.absent()),
                _ => {
                    let source = place(io, image, windows).and_then(|place| memory.get(place));
                    copy(source.unwrap_or_default(), buffer);
                }
            }
        }
        let limit_us = limit_us(image);
        // Constants lie behind it, if they lie in the buffer.
        let behind = program.constants_place();
        let end = behind.map_or(self.scratch.len(), |constants| constants.start);
        let scratch = self.scratch.get_mut(..end).unwrap_or_default();
        self.driver.run(&payload, constants, scratch, limit_us)?;
        for io in program.io().filter(|io| io.role.is_output()) {
            let buffer = self.scratch.get(io.range()).unwrap_or_default();
            let target = place(io, image, windows).and_then(|place| memory.get_mut(place));
            copy(buffer, target.unwrap_or_default());
        }
        Ok(())
    }

    /// Returns where the NPU reads the constants, which are copied there if they belong in the buffer.
    fn constants(&mut self, program: &Program<'_>) -> Constants {
        let memory_mode = program.memory_mode;
        let place = program.constants_place();
        let address = match place.and_then(|place| self.scratch.get_mut(place)) {
            Some(place) => {
                if !self.loaded {
                    for (to, &from) in place.iter_mut().zip(program.constants) {
                        *to = from.cast_signed();
                    }
                    self.driver.bus().clean(place);
                    self.loaded = true;
                }
                place.as_ptr().addr()
            }
            None => program.constants.as_ptr().addr(),
        };
        Constants {
            address,
            memory_mode,
        }
    }
}

impl<B: Bus> Step for Npu<'_, B> {
    fn step(&mut self, image: &Image<'_>, windows: &Windows, memory: &mut [i8]) {
        if !self.try_step(image, windows, memory) {
            Cpu::default().step(image, windows, memory);
        }
    }

    fn npu(&self) -> Option<Counters> {
        Some(self.counters)
    }
}

/// Returns where an input or output lies in memory; `None` for a mask, which does not lie there.
pub(crate) fn place(io: Io, image: &Image<'_>, windows: &Windows) -> Option<Range<usize>> {
    let bytes = io.bytes as usize;
    // The rows of a window, from one of them on.
    let rows = |cache: u8, row: u16| {
        let record = image.cache(cache.into())?;
        let row = usize::from(windows.start(cache.into())) + usize::from(row);
        let row = row.checked_mul(record.cols.into())?;
        row.checked_add(record.offset as usize)
    };
    let tensor = |id: TensorId| {
        let tensor = image.tensor(id)?;
        Some(byte_range(image, windows, tensor)?.start)
    };
    let start = match io.role {
        Role::Features => rows(0, 0)?,
        Role::Cache(cache) => rows(cache, 0)?,
        Role::Rows(cache) => rows(cache, image.cache(cache.into())?.rows)?.checked_sub(bytes)?,
        Role::Logits => tensor(image.manifest().logits)?,
        Role::Posteriors => tensor(image.manifest().posteriors)?,
        Role::Mask(_) => return None,
    };
    Some(start..start.checked_add(bytes)?)
}

fn copy(from: &[i8], to: &mut [i8]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}

fn write_mask(mask: &mut [i8], absent: u16) {
    for (index, key) in mask.iter_mut().enumerate() {
        *key = match index < usize::from(absent) {
            true => ABSENT,
            false => PRESENT,
        };
    }
}

/// Returns the longest time that a run may take, in microseconds: half of the audio that a step commits.
fn limit_us(image: &Image<'_>) -> u32 {
    let head = image.manifest();
    let samples = u64::from(head.stream.step) * u64::from(head.front_end.hop);
    let us = samples * 1_000_000 / u64::from(SAMPLE_RATE) / 2;
    u32::try_from(us).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
