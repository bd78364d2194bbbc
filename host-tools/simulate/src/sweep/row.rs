//! Simulates one board with one shape.

use serde::Serialize;
use zerda_firmware::Image;
use zerda_support::board::Board;
use zerda_support::config::{Limits, Profile};

use super::super::costs::Costs;
use super::super::device::Shape;
use super::super::latency::Detections;
use super::super::report::{Load, Rest, Simulation, Spread};
use super::super::words::{DetectedWord, DetectedWords};
use super::models::Model;

/// Number of steps with full caches whose every hop a word ends with, for the structural latency.
const STRUCTURAL: u64 = 100;

/// Contents of a row of the JSON, which the help of `zerda simulate` describes.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    pub version: u32,
    pub board: String,
    /// Frames that a chunk has; `step` and `cache` are in frames, too.
    pub chunk: u16,
    pub step: u16,
    pub cache: u16,
    pub hidden: u16,
    pub layers: u16,
    pub heads: u16,
    pub feed_forward: u16,
    pub kernel: u16,
    /// Path of the compiled image that has this shape.
    pub model: Option<String>,
    /// Verdict, which is `pass`, `fail` or `refused`.
    pub verdict: &'static str,
    /// Names of the limits that are missed.
    pub limits_missed: Vec<&'static str>,
    /// Reason why it is refused.
    pub reason: Option<String>,
    #[serde(flatten)]
    pub figures: Option<Figures>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    pub basis: String,
    pub sequence_500_ms: f64,
    pub sequence_300_ms: f64,
    pub step_ms: Spread,
    /// Latency of words that the compiled model detected.
    pub word_end_to_detection_ms: Option<Spoken>,
    /// Latency of words that end anywhere and are decided by the step that commits their last frame.
    pub structural_ms: Option<Latency>,
    pub accuracy: Option<Accuracy>,
    pub memory_bytes: usize,
    pub image_bytes: usize,
    pub load: Load,
    /// What rest does in the recordings, where the network may rest and there is a compiled model.
    pub quiet: Option<Rest>,
    pub deadline_misses: u64,
    pub overruns: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Latency {
    pub p50: f64,
    pub p95: f64,
    pub max: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spoken {
    #[serde(flatten)]
    pub latency: Latency,
    pub words: usize,
}

/// Accuracy that was measured on the words of a labelled folder.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Accuracy {
    /// Share of the words that were detected as what they are, 0 to 1.
    pub found: f64,
    pub basis: String,
}

/// Shape that is simulated, and its image.
pub struct Candidate<'a> {
    pub shape: Profile,
    pub image: Image<'a>,
    pub image_bytes: usize,
    /// Compiled model that has this shape, and the words that it heard.
    pub model: Option<(&'a Model, DetectedWords)>,
}

impl Row {
    /// Makes a row that says why there are no figures.
    pub fn refused(board: &Board, shape: &Profile, reason: String) -> Row {
        let Profile {
            layers,
            heads,
            hidden,
            feed_forward,
            kernel,
            chunk,
            cached,
            step,
        } = *shape;
        Row {
            version: 1,
            board: board.name.clone(),
            chunk,
            step,
            cache: cached,
            hidden,
            layers,
            heads,
            feed_forward,
            kernel,
            model: None,
            verdict: "refused",
            limits_missed: Vec::new(),
            reason: Some(reason),
            figures: None,
        }
    }

    pub fn new(
        board: &Board,
        candidate: &Candidate<'_>,
        costs: &Costs<'_>,
        seconds: u32,
        latency_ms: f64,
        limits: Limits,
    ) -> Row {
        let Candidate {
            shape,
            image,
            image_bytes,
            model,
        } = candidate;
        let nothing = DetectedWords::default();
        let (path, words) = match model {
            Some((model, words)) => (model.path.as_path(), words),
            None => ("".as_ref(), &nothing),
        };
        let report = Simulation::new(board, image, path, costs, words, seconds, latency_ms);
        let device = Shape::of(image, board.dma_buffer_ms);
        let structural = Detections::of(board, device, costs, &anywhere(device));
        let figures = Figures {
            basis: report.basis,
            sequence_500_ms: report.sequence_500_ms,
            sequence_300_ms: report.sequence_300_ms,
            step_ms: report.step_ms,
            word_end_to_detection_ms: report.word_end_to_detection_ms.map(|spoken| Spoken {
                latency: Latency::of(&spoken),
                words: spoken.words,
            }),
            structural_ms: structural.as_ref().map(Latency::of),
            accuracy: accuracy(words),
            memory_bytes: image.memory_bytes(),
            image_bytes: *image_bytes,
            load: report.load,
            quiet: report.quiet.filter(|_| model.is_some()),
            deadline_misses: report.deadline_misses,
            overruns: report.overruns,
        };
        let missed = figures.missed(latency_ms, limits);
        Row {
            model: model.as_ref().map(|_| path.display().to_string()),
            verdict: if missed.is_empty() { "pass" } else { "fail" },
            limits_missed: missed,
            reason: None,
            figures: Some(figures),
            ..Row::refused(board, shape, String::new())
        }
    }
}

impl Figures {
    /// Returns the names of the limits that are missed. A structural latency is judged where there is no
    /// other.
    fn missed(&self, latency_ms: f64, limits: Limits) -> Vec<&'static str> {
        // What is no number misses its limit.
        let over = |ms: f64| ms.is_nan() || ms > latency_ms;
        let late = |latency: Latency| over(latency.p95);
        let more = |bytes: usize, limit: u64| bytes as u64 > limit;
        let word = self.word_end_to_detection_ms.map(|spoken| spoken.latency);
        let checks = [
            ("500 frames", over(self.sequence_500_ms)),
            ("deadline", self.deadline_misses + self.overruns > 0),
            ("word latency", word.is_some_and(late)),
            (
                "structural latency",
                word.is_none() && self.structural_ms.is_some_and(late),
            ),
            ("RAM", more(self.memory_bytes, limits.ram)),
            ("flash", more(self.image_bytes, limits.flash)),
        ];
        let missed = checks.into_iter().filter(|(_, missed)| *missed);
        missed.map(|(name, _)| name).collect()
    }
}

impl Latency {
    fn of(detections: &Detections) -> Latency {
        Latency {
            p50: detections.p50,
            p95: detections.p95,
            max: detections.max,
        }
    }
}

fn accuracy(words: &DetectedWords) -> Option<Accuracy> {
    let all = words.detected.len() + words.missed;
    (words.labelled && all > 0).then(|| Accuracy {
        found: words.detected.len() as f64 / all as f64,
        basis: format!("measured, {all} words"),
    })
}

/// Returns words that end with each hop of a while with full caches, and are decided without delay.
fn anywhere(shape: Shape) -> DetectedWords {
    let from = shape.full_from() + 1;
    let frames = from * shape.step..(from + STRUCTURAL) * shape.step;
    let word = |frame| DetectedWord {
        file: Default::default(),
        label: String::new(),
        end: (frame + 1) * shape.hop,
        step: frame / shape.step,
        late: 0,
    };
    DetectedWords {
        detected: frames.map(word).collect(),
        ..DetectedWords::default()
    }
}
