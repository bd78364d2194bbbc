//! Times words from their end to their detection, part by part.

use serde::Serialize;
use zerda_firmware::image::SAMPLE_RATE;
use zerda_support::board::Board;
use zerda_support::statistics::percentile;

use super::costs::Costs;
use super::device::{self, Run, Shape};
use super::words::{DetectedWord, DetectedWords};

#[derive(Clone, Debug, Serialize)]
pub struct Detections {
    pub p50: f64,
    pub p95: f64,
    pub max: f64,
    pub words: usize,
    pub missed: usize,
    /// Means of the parts, which add up to the mean latency.
    pub parts: Parts,
    pub each: Vec<Timed>,
}

/// Way that a word takes to its detection; times are in ms.
#[derive(Clone, Debug, Serialize)]
pub struct Timed {
    pub file: String,
    pub label: String,
    pub end_ms: f64,
    pub latency_ms: f64,
    #[serde(flatten)]
    pub parts: Parts,
}

/// Parts of a latency in ms, in the order in which they pass.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Parts {
    /// Time from the word's end to the end of the frame that starts with its last hop.
    pub framing: f64,
    /// Time from the end of the word's last frame to the end of the frames that are looked ahead to.
    pub look_ahead: f64,
    /// Time until the chunk is complete that commits the frame, and the DMA buffer with its last sample
    /// delivered.
    pub waiting: f64,
    /// Time by which the word was decided later (if negative, earlier) than in the step that commits its
    /// last frame.
    pub decision: f64,
    /// Time that the core and the NPU take, with what they had to finish before.
    pub compute: f64,
    /// Time that the output takes, to the pin.
    pub output: f64,
}

impl Parts {
    pub const NAMES: [&str; 6] = [
        "framing",
        "look-ahead",
        "waiting for the step",
        "decision",
        "compute",
        "output",
    ];

    pub fn all(&self) -> [f64; 6] {
        [
            self.framing,
            self.look_ahead,
            self.waiting,
            self.decision,
            self.compute,
            self.output,
        ]
    }
}

impl Detections {
    /// Times the words; returns `None` where audio is lost before the last word, or no word was detected.
    pub fn of(
        board: &Board,
        shape: Shape,
        costs: &Costs<'_>,
        words: &DetectedWords,
    ) -> Option<Detections> {
        let last = words.detected.iter().map(|word| word.step).max()?;
        let samples = shape.delivered(shape.complete(last)).ceil() as u64;
        let run = device::run(
            shape,
            costs.frame_s,
            || costs.steps(),
            samples,
            f64::INFINITY,
        );
        if run.overruns > 0 {
            return None;
        }
        let time = |word: &DetectedWord| {
            let parts = way(board, shape, &run, word);
            Timed {
                file: word.file.display().to_string(),
                label: word.label.clone(),
                end_ms: samples_ms(word.end as f64),
                latency_ms: parts.all().iter().sum(),
                parts,
            }
        };
        let each: Vec<_> = words.detected.iter().map(time).collect();
        let mean = |part: fn(&Parts) -> f64| {
            each.iter().map(|word| part(&word.parts)).sum::<f64>() / each.len() as f64
        };
        // By the field's method of the nearest rank; words may be detected before they end.
        let mut latencies: Vec<f64> = each.iter().map(|word| word.latency_ms).collect();
        latencies.sort_by(f64::total_cmp);
        let percentile = |share| percentile(&latencies, share);
        Some(Detections {
            p50: percentile(0.5)?,
            p95: percentile(0.95)?,
            max: percentile(1.0)?,
            words: each.len(),
            missed: words.missed,
            parts: Parts {
                framing: mean(|parts| parts.framing),
                look_ahead: mean(|parts| parts.look_ahead),
                waiting: mean(|parts| parts.waiting),
                decision: mean(|parts| parts.decision),
                compute: mean(|parts| parts.compute),
                output: mean(|parts| parts.output),
            },
            each,
        })
    }
}

fn way(board: &Board, shape: Shape, run: &Run, word: &DetectedWord) -> Parts {
    let frame = word.end.div_ceil(shape.hop).saturating_sub(1);
    let framed = (frame * shape.hop + shape.window) as f64;
    let looked = framed + ((shape.chunk - shape.step) * shape.hop) as f64;
    let committed = shape.delivered(shape.complete(frame / shape.step));
    let decided = shape.delivered(shape.complete(word.step) + word.late);
    let latency = run.first.get(word.step as usize).or(run.first.last());
    Parts {
        framing: samples_ms(framed - word.end as f64),
        look_ahead: samples_ms(looked - framed),
        waiting: samples_ms(committed - looked),
        decision: samples_ms(decided - committed),
        compute: latency.map_or(0.0, |(latency, _)| ms(*latency)),
        output: board.output_us / 1000.0,
    }
}

fn samples_ms(samples: f64) -> f64 {
    ms(samples / f64::from(SAMPLE_RATE))
}

/// Returns the milliseconds of some seconds.
pub fn ms(seconds: f64) -> f64 {
    seconds * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerda_support::test_support::repository;

    /// A word of 500 ms, all by hand: its last frame is 49 (490 to 515 ms), step 9 commits it with the look-ahead
    /// to frame 54 (565 ms), whose last sample comes in the buffer that ends at 570 ms.
    #[test]
    fn a_word_is_framed_looked_ahead_of_awaited_decided_computed_and_told() {
        let board = Board::open(&repository("firmware/boards"), "mps3-an547").unwrap();
        let shape = Shape {
            chunk: 10,
            step: 5,
            left_context: 100,
            hop: 160,
            window: 400,
            buffer: 160.0,
            kept: 0,
        };
        let run = Run {
            first: (0..12).map(|step| (0.001 * f64::from(step), 0.0)).collect(),
            ..Run::default()
        };
        let way = |end, step| {
            let word = DetectedWord {
                file: "word.wav".into(),
                label: "go".into(),
                end,
                step,
                late: 0,
            };
            let parts = way(&board, shape, &run, &word);
            parts.all().map(|ms| (ms * 1000.0).round() / 1000.0)
        };
        let output = board.output_us / 1000.0;
        assert_eq!(way(8_000, 9), [15.0, 50.0, 5.0, 0.0, 9.0, output]);
        // Decided a step later, or two earlier.
        assert_eq!(way(8_000, 10), [15.0, 50.0, 5.0, 50.0, 10.0, output]);
        assert_eq!(way(8_000, 7), [15.0, 50.0, 5.0, -100.0, 7.0, output]);
        // 30 ms earlier the word waits so much longer for the same step.
        assert_eq!(way(7_520, 9), [15.0, 50.0, 35.0, 0.0, 9.0, output]);
    }
}
