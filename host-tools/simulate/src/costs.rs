//! Tells what a board takes for an image: cycles of its core and its NPU as seconds.

use std::collections::BTreeMap;
use std::path::Path;

use zerda_firmware::Image;
use zerda_firmware::image::section::inputs_and_outputs;
use zerda_support::board::Board;
use zerda_support::error::{Error, Result};
use zerda_support::operators;
use zerda_tflite::npu;

use super::cost::{Estimator, Slides, constant_bytes};
use super::device::Step;

/// Seconds that each stage takes.
pub struct Costs<'a> {
    pub image: Image<'a>,
    /// Seconds that the network takes with full caches, by kind of operator, the longest first.
    pub stages: Vec<(&'static str, f64)>,
    /// Seconds that the front end takes for a frame.
    pub frame_s: f64,
    /// Time that the network takes, by how many steps of a stream went before, up to full caches; on an NPU
    /// it is the same for all.
    network: Vec<Step>,
    /// Seconds that the decoder takes for a step; `moved_byte_s` is what each byte of the caches that moves
    /// adds.
    decoder_s: f64,
    moved_byte_s: f64,
}

impl<'a> Costs<'a> {
    /// Computes the costs; the time of an NPU is what the image says, or else Vela. A step for the NPU that needs more
    /// SRAM than the board has is an error.
    pub fn new(board: &Board, image: &Image<'a>, vela: Option<&Path>) -> Result<Costs<'a>> {
        let npu_s = match &board.npu {
            Some(npu) => {
                npu::fits(image, npu).map_err(Error::check)?;
                npu::step_seconds(image, npu.target, vela)?
            }
            None => 0.0,
        };
        Costs::with(board, image, npu_s)
    }

    /// Computes the costs with the seconds of a step on the NPU, where the board has one. A cost that the
    /// board's file lacks is an error.
    pub fn with(board: &Board, image: &Image<'a>, npu_s: f64) -> Result<Costs<'a>> {
        let lacks = |why| Error::usage(format!("{}: {why}", board.costs_at));
        let table = Estimator(&board.instructions);
        let core = |instructions: f64| board.seconds(instructions * board.cycles_per_instruction);
        let stream = image.manifest().stream;
        let full = stream.left_context.div_ceil(stream.step);
        let mut stages = Vec::new();
        let network = match &board.npu {
            Some(npu) => {
                let copy = |output: bool| {
                    let io = inputs_and_outputs(image);
                    let io = io.filter(|(role, _)| role.is_output() == output);
                    let bytes: f64 = io.map(|(_, bytes)| f64::from(bytes)).sum();
                    board.seconds(bytes * npu.copy_cycles_per_byte.0)
                };
                let driver = board.seconds(npu.driver_cycles.0);
                stages = vec![
                    ("NPU", npu_s),
                    ("NPU driver", driver),
                    ("NPU copies", copy(false) + copy(true)),
                ];
                vec![Step {
                    before: driver + copy(false),
                    npu: npu_s,
                    after: copy(true),
                }]
            }
            None => {
                let read = constant_bytes(image, board.instructions.kernels);
                let waits = board.seconds(read * board.flash_cycles_per_byte);
                let operators = |number: u16| {
                    let absent = stream.left_context.saturating_sub(number * stream.step);
                    table.operators(image, absent).map_err(lacks)
                };
                let kinds = image.ops().map(|op| operators::describe(image, op).0);
                let mut by_kind = BTreeMap::from([("flash waits", waits)]);
                for (kind, instructions) in kinds.zip(operators(full)?) {
                    *by_kind.entry(kind).or_default() += core(instructions);
                }
                stages.extend(by_kind);
                let step = |number| {
                    Ok(Step {
                        before: core(operators(number)?.iter().sum()) + waits,
                        ..Step::default()
                    })
                };
                (0..=full).map(step).collect::<Result<_>>()?
            }
        };
        stages.retain(|(_, seconds)| *seconds > 0.0);
        stages.sort_by(|a, b| b.1.total_cmp(&a.1));
        let decoder = |moved| table.decoder(image, moved).map(core).map_err(lacks);
        let decoder_s = decoder(0)?;
        Ok(Costs {
            image: *image,
            stages,
            frame_s: core(table.front_end(1).map_err(lacks)?),
            network,
            decoder_s,
            moved_byte_s: (decoder(1000)? - decoder_s) / 1000.0,
        })
    }

    /// Iterates over what the steps of a stream take, from its first on.
    pub fn steps(&self) -> impl Iterator<Item = Step> {
        let slides = Slides::new(&self.image).enumerate();
        slides.map(|(number, (_, moved))| {
            let mut step = self.network[number.min(self.network.len() - 1)];
            step.after += self.decoder_s + self.moved_byte_s * moved as f64;
            step
        })
    }

    /// Returns the seconds of the first `steps` steps, one after the other.
    pub fn sequence_s(&self, steps: u64) -> f64 {
        self.steps()
            .take(steps as usize)
            .map(|step| step.total())
            .sum()
    }
}
