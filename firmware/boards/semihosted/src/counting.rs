//! The machine's counter counts the instructions of each stage of a step.
//!
//! With `-icount shift=10` QEMU's clock moves 1024 ns an instruction, so the counter's readings are
//! a measure of instructions executed, not of time.

use core::fmt::Write as _;
use core::ops::Range;

use heapless::{String, Vec};
use semihosting::fs::File;
use semihosting::io::Write as _;
use zerda_firmware::Image;
use zerda_firmware::cache::Windows;
use zerda_firmware::step::{Cpu, Step, read_by_head};

use crate::{Machine, Message, message, wav};

/// The virtual time that an instruction takes at `shift=10`, in ns.
const INSTRUCTION_NS: u64 = 1024;

/// The number of operators that are told apart; the instructions of any more are not counted.
const MAX_OPS: usize = 256;

/// Runs the CPU's step, and reads the counter between operators.
pub struct Counting<M> {
    machine: core::marker::PhantomData<M>,
    counts: Counts,
    /// Holds the counter readings before and after the last step, until they are taken.
    step: Option<Range<u32>>,
    /// The ticks that lie between two readings of the counter with nothing between them.
    overhead: u32,
    /// Runs the steps instead, if it is there.
    #[cfg(feature = "npu-model")]
    pub npu: Option<crate::npu::Scripted>,
}

/// Holds the instructions of one step, stage by stage.
#[derive(Default)]
pub struct Counts {
    /// Counts the instructions of the front end since the step before.
    front_end: u32,
    /// Counts those of decoder, gate and grammar, and of the templates.
    decoder: u32,
    ops: Vec<u32, MAX_OPS>,
}

impl<M: Machine> Counting<M> {
    pub fn new() -> Self {
        let first = M::counter();
        Self {
            machine: core::marker::PhantomData,
            counts: Counts::default(),
            step: None,
            overhead: M::counter().wrapping_sub(first),
            #[cfg(feature = "npu-model")]
            npu: None,
        }
    }

    fn instructions(&self, ticks: Range<u32>) -> u32 {
        let ticks = ticks.end.wrapping_sub(ticks.start);
        let ns =
            u64::from(ticks.saturating_sub(self.overhead)) * 1_000_000_000 / u64::from(M::CLOCK_HZ);
        ((ns + INSTRUCTION_NS / 2) / INSTRUCTION_NS) as u32
    }

    /// Counts what was recognized between two readings. If a step was part of it, calls `write` with all that
    /// was counted since the step before.
    pub fn take<E>(
        &mut self,
        recognition: Range<u32>,
        write: impl FnOnce(&Counts) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(step) = self.step.take() else {
            self.counts.front_end += self.instructions(recognition);
            return Ok(());
        };
        self.counts.front_end += self.instructions(recognition.start..step.start);
        self.counts.decoder += self.instructions(step.end..recognition.end);
        let result = write(&self.counts);
        (self.counts.front_end, self.counts.decoder) = (0, 0);
        self.counts.ops.clear();
        result
    }

    /// Returns what the front end took since the last step.
    pub fn rest(&self) -> u32 {
        self.counts.front_end
    }
}

impl<M: Machine> Step for Counting<M> {
    fn step(&mut self, image: &Image<'_>, windows: &Windows, memory: &mut [i8]) {
        self.step_encoded(image, windows, memory, |_| {});
    }

    fn step_encoded(
        &mut self,
        image: &Image<'_>,
        windows: &Windows,
        memory: &mut [i8],
        mut on_encoded: impl FnMut(&[i8]),
    ) {
        let begin = M::counter();
        #[cfg(feature = "npu-model")]
        if let Some(npu) = &mut self.npu {
            npu.step(image, windows, memory);
            self.step = Some(begin..M::counter());
            return;
        }
        let mut last = begin;
        for op in image.ops() {
            if let Some(rows) = read_by_head(op, image, windows, memory) {
                on_encoded(rows);
                let now = M::counter();
                self.counts.decoder = self.instructions(last..now);
                last = M::counter();
            }
            Cpu::default().run_op(op, image, windows, memory);
            let now = M::counter();
            let count = self.instructions(last..now);
            // Operators beyond the most that are told apart are not counted.
            let _ = self.counts.ops.push(count);
            last = M::counter();
        }
        self.step = Some(begin..last);
    }

    #[cfg(feature = "npu-model")]
    fn npu(&self) -> Option<zerda_firmware::step::Counters> {
        self.npu.as_ref().and_then(Step::npu)
    }
}

/// Writes the file that `profile=` names.
pub struct ProfileFile(File);

impl ProfileFile {
    pub fn create(path: &str) -> Result<Self, Message> {
        let file = File::create(&*wav::c_string(path)?);
        file.map(Self)
            .map_err(|_| message(format_args!("{path}: cannot be created")))
    }

    /// Writes the last line: what the front end took after the last step.
    pub fn end(&mut self, front_end: u32) -> Result<(), Message> {
        let mut text = String::<20>::new();
        let _ = writeln!(text, "rest {front_end}");
        self.text(&text)
    }

    /// Writes one line for a step: front end, decoder, operators.
    pub fn write(&mut self, counts: &Counts) -> Result<(), Message> {
        let stages = [counts.front_end, counts.decoder];
        self.text("step")?;
        for count in stages.iter().chain(&counts.ops) {
            let mut text = String::<12>::new();
            // A space and ten digits fit.
            let _ = write!(text, " {count}");
            self.text(&text)?;
        }
        self.text("\n")
    }

    fn text(&mut self, text: &str) -> Result<(), Message> {
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            match self.0.write(rest) {
                Ok(count) if count > 0 => rest = &rest[count..],
                _ => return Err(message(format_args!("the profile cannot be written"))),
            }
        }
        Ok(())
    }
}
