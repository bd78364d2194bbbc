//! Reports what came of a simulation, and its verdict.

use std::path::Path;

use serde::Serialize;
use zerda_firmware::Image;
use zerda_firmware::image::SAMPLE_RATE;
use zerda_support::board::Board;
use zerda_tflite::npu;

use super::costs::Costs;
use super::device::{self, Lane, Shape};
use super::histogram::Histogram;
use super::latency::{Detections, ms};
use super::words::DetectedWords;

/// Lengths in frames of the sequences that are timed in one piece: 5 s, and 3 s as of most commands.
const SEQUENCES: [u64; 2] = [500, 300];

/// Number of steps with full caches that what caches move is averaged over.
const AVERAGED: usize = 100;

/// Contents of the JSON, which the help of `zerda simulate` describes.
#[derive(Clone, Debug, Serialize)]
pub struct Simulation {
    pub version: u32,
    pub board: String,
    pub core: String,
    pub clock_mhz: f64,
    pub npu: Option<&'static str>,
    pub image: String,
    /// Frames that a chunk has; `step` and `left_context` are in frames, too.
    pub chunk: u64,
    pub step: u64,
    pub left_context: u64,
    pub verdict: &'static str,
    /// Message of each limit that is missed.
    pub failures: Vec<String>,
    pub basis: String,
    pub limit_ms: f64,
    /// Length of the stream that was simulated, in seconds.
    pub seconds: u32,
    pub period_ms: f64,
    pub dma_buffer_ms: f64,
    pub step_ms: Spread,
    pub compute_ms: Spread,
    pub fill: Fill,
    pub load: Load,
    pub deadline_misses: u64,
    pub overruns: u64,
    pub lost_samples: u64,
    pub real_time_factor: f64,
    /// What rest does, where the network may rest.
    pub quiet: Option<Rest>,
    pub sequence_500_ms: f64,
    pub sequence_300_ms: f64,
    pub front_end_500_ms: f64,
    /// Stages that a step with full caches has, front end included.
    pub stages: Vec<Stage>,
    pub word_end_to_detection_ms: Option<Detections>,
    /// Latency and compute that the first steps had, in ms.
    #[serde(skip)]
    pub first: Vec<(f64, f64)>,
    /// Time at which the second with full caches that is drawn begins, in seconds of the stream.
    #[serde(skip)]
    pub look_s: f64,
    #[serde(skip)]
    pub spans: Vec<(Lane, f64, f64)>,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub struct Spread {
    pub min: f64,
    pub p50: f64,
    pub p99: f64,
    pub max: f64,
}

/// Compute of a step, in ms, which grows while the caches fill, and is flat after.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Fill {
    pub steps: u64,
    pub first_ms: f64,
    pub full_ms: f64,
    pub full_min_ms: f64,
    pub full_max_ms: f64,
}

/// Shares of the time, 0 to 1, that core and NPU are busy; the core's includes what other software takes.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Load {
    pub core: f64,
    pub npu: f64,
}

/// What it costs, and saves, that the network rests while nobody speaks.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Rest {
    /// Share of the steps, 0 to 1, that ran in the recordings whose words are timed.
    pub duty: f64,
    /// Load with that share of the steps.
    pub load: Load,
    /// Number of steps after a cold start that make up for what was kept.
    pub burst_steps: u64,
    /// Most blocks of 10 ms that wait in the ring then, of those that fit.
    pub ring_blocks: usize,
    pub ring_capacity: usize,
}

#[derive(Clone, Debug, Serialize)]
pub struct Stage {
    pub name: &'static str,
    pub ms: f64,
}

impl Simulation {
    /// Simulates a stream of `seconds` seconds and the words, and judges both by `limit_ms`.
    pub fn new(
        board: &Board,
        image: &Image<'_>,
        path: &Path,
        costs: &Costs<'_>,
        words: &DetectedWords,
        seconds: u32,
        limit_ms: f64,
    ) -> Simulation {
        let shape = Shape::of(image, board.dma_buffer_ms);
        let look_s = shape.step_s() * (shape.full_from() + 2) as f64;
        let samples = u64::from(seconds) * u64::from(SAMPLE_RATE);
        let cold = shape.cold(image);
        let run = device::run(cold, costs.frame_s, || costs.steps(), samples, look_s);
        let sequence = SEQUENCES.map(|frames| ms(costs.sequence_s(shape.steps(frames))));
        let steady: Vec<f64> = costs
            .steps()
            .skip(shape.full_from() as usize)
            .take(AVERAGED)
            .map(|step| step.total())
            .collect();
        let average = steady.iter().sum::<f64>() / steady.len() as f64;
        let network: f64 = costs.stages.iter().map(|(_, seconds)| seconds).sum();
        let mut stages = vec![
            ("front end", shape.step as f64 * costs.frame_s),
            ("decoder and caches", average - network),
        ];
        stages.extend(&costs.stages);
        stages.sort_by(|a, b| b.1.total_cmp(&a.1));
        let mut report = Simulation {
            version: 1,
            board: board.name.clone(),
            core: board.core.clone(),
            clock_mhz: board.clock_mhz,
            npu: board.npu.as_ref().map(|npu| npu.target.name()),
            image: path.display().to_string(),
            chunk: shape.chunk,
            step: shape.step,
            left_context: shape.left_context,
            verdict: "pass",
            failures: Vec::new(),
            basis: basis(board, &costs.image),
            limit_ms,
            seconds,
            period_ms: ms(shape.step_s()),
            dma_buffer_ms: board.dma_buffer_ms,
            step_ms: spread(&run.latency),
            compute_ms: spread(&run.compute),
            fill: Fill {
                steps: shape.full_from(),
                first_ms: ms(costs.steps().next().map_or(0.0, |step| step.total())),
                full_ms: ms(average),
                full_min_ms: ms(steady.iter().copied().fold(f64::INFINITY, f64::min)),
                full_max_ms: ms(steady.iter().copied().fold(0.0, f64::max)),
            },
            load: Load {
                core: run.core_s * (1.0 - board.other_load) / run.end_s + board.other_load,
                npu: run.npu_s / run.end_s,
            },
            deadline_misses: run.misses,
            overruns: run.overruns,
            lost_samples: run.lost_samples,
            quiet: image.quiet().map(|_| {
                let [ran, all] = words.steps;
                let duty = ran as f64 / all.max(1) as f64;
                // The front end hears every frame.
                let front_end = costs.frame_s * shape.step as f64 / shape.step_s();
                let network = run.core_s / run.end_s - front_end;
                let core = front_end + duty * network;
                Rest {
                    duty,
                    load: Load {
                        core: core * (1.0 - board.other_load) + board.other_load,
                        npu: duty * run.npu_s / run.end_s,
                    },
                    burst_steps: cold.burst(),
                    ring_blocks: run.ring,
                    ring_capacity: device::RING,
                }
            }),
            real_time_factor: (run.core_s + run.npu_s) / f64::from(seconds),
            sequence_500_ms: sequence[0],
            sequence_300_ms: sequence[1],
            front_end_500_ms: SEQUENCES[0] as f64 * ms(costs.frame_s),
            stages: stages
                .into_iter()
                .map(|(name, seconds)| Stage {
                    name,
                    ms: ms(seconds),
                })
                .collect(),
            word_end_to_detection_ms: Detections::of(board, shape, costs, words),
            first: run
                .first
                .iter()
                .map(|&(latency, compute)| (ms(latency), ms(compute)))
                .collect(),
            look_s,
            spans: run.spans,
        };
        report.judge(board);
        report
    }

    fn judge(&mut self, board: &Board) {
        let limit = self.limit_ms;
        let mut failures = Vec::new();
        let most: Vec<_> = self
            .stages
            .iter()
            .filter(|stage| stage.name != "front end")
            .take(3)
            .map(|stage| format!("{} {:.2}", stage.name, stage.ms))
            .collect();
        let most = format!("ms a step: {}", most.join(", "));
        let figures = [
            self.sequence_500_ms,
            self.sequence_300_ms,
            self.front_end_500_ms,
            self.step_ms.max,
            self.compute_ms.max,
            self.load.core,
            self.load.npu,
        ];
        if !figures.iter().all(|figure| figure.is_finite()) {
            failures.push(
                "some figures are no numbers; expected finite costs of the board, and of the step for the NPU in the image"
                    .into(),
            );
        } else if self.sequence_500_ms > limit {
            let cure = match board.npu {
                Some(_) => "a smaller model or a larger NPU would do".to_string(),
                None => format!(
                    "a clock of {:.0} MHz, an NPU, or a smaller model would do",
                    board.clock_mhz * self.sequence_500_ms / limit
                ),
            };
            failures.push(format!(
                "500 frames in one piece take {:.1} ms, limit {limit:.0}; {most}; {cure}",
                self.sequence_500_ms
            ));
        }
        if self.overruns + self.deadline_misses > 0 {
            failures.push(format!(
                "in {} s {} steps missed the deadline of {:.0} ms and {} samples were lost; a step takes \
                 {:.1} ms, {most}",
                self.seconds, self.deadline_misses, self.period_ms, self.lost_samples, self.compute_ms.max
            ));
        }
        if let Some(words) = self
            .word_end_to_detection_ms
            .as_ref()
            .filter(|words| words.p95.is_nan() || words.p95 > limit)
        {
            let [framing, look_ahead, waiting, decision, compute, output] = words.parts.all();
            failures.push(format!(
                "from the end of a word to its detection p95 is {:.0} ms, limit {limit:.0}; on average framing \
                 {framing:.0}, look-ahead {look_ahead:.0}, waiting for the step {waiting:.0}, decision \
                 {decision:.0}, compute {compute:.1}, output {output:.1}",
                words.p95
            ));
        }
        if !failures.is_empty() {
            self.verdict = "fail";
        }
        self.failures = failures;
    }
}

/// Says whose figures they are, and what they assume.
fn basis(board: &Board, image: &Image<'_>) -> String {
    let cycles = format!(
        "instructions fitted to those counted in QEMU, {} assumed cycles for each",
        board.cycles_per_instruction
    );
    match &board.npu {
        Some(npu) => {
            let memory_mode = npu::memory_mode(image, npu.target);
            let basis = npu::basis(npu.target, memory_mode);
            format!("{basis}; the core's {cycles}")
        }
        None => format!("estimated: {cycles}"),
    }
}

fn spread(histogram: &Histogram) -> Spread {
    Spread {
        min: ms(histogram.min()),
        p50: ms(histogram.percentile(0.5)),
        p99: ms(histogram.percentile(0.99)),
        max: ms(histogram.max()),
    }
}

#[cfg(test)]
mod tests;
