//! Estimates the instructions of each stage of a step, by a small linear model for each class of operator.
//!
//! What is counted in QEMU of one model, `shrunk`, is fitted by [`fit`] and stands in the board's file; what
//! any other image takes follows from its shapes ([`kernels`]). That these are instructions, not cycles, and
//! how one becomes the other, is the board's matter ([`zerda_support::board`]).

use zerda_firmware::Image;
use zerda_firmware::cache::Windows;
use zerda_firmware::plan::Op;

use zerda_device::qemu::Step;
use zerda_support::board::{Instructions, Kernels};
use zerda_support::operators;

pub mod fit;
pub mod kernels;

use kernels::Work;

/// Estimates instructions by the costs that a board has.
pub struct Estimator<'a>(pub &'a Instructions);

impl Estimator<'_> {
    /// Returns the instructions of some work.
    ///
    /// # Errors
    ///
    /// Names the term that is missing here.
    pub fn of(&self, work: &Work) -> Result<f64, String> {
        let cost = |&(class, term, amount): &(&str, &str, f64)| {
            if amount == 0.0 {
                return Ok(0.0);
            }
            let cost = self.0.cost.get(class).and_then(|terms| terms.get(term));
            let cost = cost.map(|cost| cost.0 * amount);
            cost.ok_or_else(|| {
                format!(
                    "[instructions.cost]: expected `{class} = {{ {term} = ... }}`, instructions of one; `zerda simulate --fit` counts it"
                )
            })
        };
        work.0.iter().map(cost).sum()
    }

    /// Returns the instructions of each of the network's operators while the oldest `absent` keys are not
    /// there yet.
    pub fn operators(&self, image: &Image<'_>, absent: u16) -> Result<Vec<f64>, String> {
        let of = |op| self.of(&kernels::work(image, op, self.0.kernels, false, absent));
        image.ops().map(of).collect()
    }

    /// Returns the instructions of the front end for `frames` frames.
    pub fn front_end(&self, frames: u16) -> Result<f64, String> {
        self.of(&front_end(frames))
    }

    /// Returns the instructions of the decoder for the frames that a step commits, with `moved` bytes of
    /// caches moving.
    pub fn decoder(&self, image: &Image<'_>, moved: usize) -> Result<f64, String> {
        self.of(&decoder(image, moved))
    }

    /// Returns the first steps of a stream as QEMU would count them.
    pub fn steps(&self, image: &Image<'_>, count: usize) -> Result<Vec<Step>, String> {
        let stream = image.manifest().stream;
        let mut frames = stream.chunk;
        let steps = Slides::new(image).take(count).map(|(absent, moved)| {
            let front_end = self.front_end(std::mem::replace(&mut frames, stream.step))?;
            let operators = self.operators(image, absent)?;
            Ok(Step {
                front_end: front_end as u64,
                decoder: self.decoder(image, moved)? as u64,
                operators: operators.into_iter().map(|count| count as u64).collect(),
            })
        });
        steps.collect()
    }
}

/// Returns the work of the front end for `frames` frames.
pub fn front_end(frames: u16) -> Work {
    Work(vec![("front_end", "frame", frames.into())])
}

/// Returns the work of the decoder for the frames that a step commits, with `moved` bytes of caches moving.
pub fn decoder(image: &Image<'_>, moved: usize) -> Work {
    let frames = image.manifest().stream.step;
    Work(vec![
        ("decoder", "frame", frames.into()),
        ("decoder", "moved_byte", moved as f64),
    ])
}

/// Returns the bytes of constants that a step reads: weights once for each block of rows that share them.
pub fn constant_bytes(image: &Image<'_>, kernels: Kernels) -> f64 {
    let rows = match kernels {
        Kernels::Plain => 1,
        Kernels::Dsp => 5,
        Kernels::Mve => 10,
    };
    let read = image.ops().map(|op| {
        let constants = operators::constants(image, op).into_iter();
        let bytes: usize = constants.map(|(_, tensor)| operators::bytes(tensor)).sum();
        let output = image.tensor(op.output());
        let blocks = match op {
            Op::FullyConnected(_) => output.map_or(0, |output| output.rows.div_ceil(rows)),
            _ => 1,
        };
        bytes as f64 * f64::from(blocks)
    });
    read.sum()
}

/// Iterates over the steps from the first: keys that are absent, and bytes of caches that move after the
/// step.
pub struct Slides<'a> {
    image: Image<'a>,
    memory: Vec<i8>,
    windows: Windows,
}

impl<'a> Slides<'a> {
    pub fn new(image: &Image<'a>) -> Self {
        let mut memory = vec![0; image.memory_bytes()];
        Self {
            windows: Windows::reset(image, &mut memory),
            image: *image,
            memory,
        }
    }
}

impl Iterator for Slides<'_> {
    type Item = (u16, usize);

    fn next(&mut self) -> Option<(u16, usize)> {
        let before = self.windows.clone();
        self.windows.advance(&self.image, &mut self.memory);
        let step = self.image.manifest().stream.step;
        let moved = self.image.caches().enumerate().map(|(index, cache)| {
            // A window slides up until it begins anew.
            match self.windows.start(index) > before.start(index) {
                true => 0,
                false => usize::from(cache.rows - step.min(cache.rows)) * usize::from(cache.cols),
            }
        });
        Some((before.absent(), moved.sum()))
    }
}
