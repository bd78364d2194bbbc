//! Measures what the integers lose, tensor by tensor: the image runs in the firmware crate beside the float
//! network, and the output of every operator is compared as soon as it is there.

use rayon::prelude::*;
use zerda_firmware::cache::Windows;
use zerda_firmware::plan::{Element, Location, Tensor};
use zerda_firmware::step::{Cpu, Step, byte_range};
use zerda_firmware::{Image, Recognizer};
use zerda_quantize::graph::Graph;
use zerda_support::error::{Error, Result};
use zerda_support::statistics;

use super::calibrate::chunks;
use crate::tract_step::FloatStep;

/// Error that the integers of one tensor have against float. Absent keys do not count.
#[derive(Clone, Debug, Default)]
pub struct Fidelity {
    /// Sum of the squares of the float values; `noise` is that of the errors.
    pub signal: f64,
    pub noise: f64,
    /// Sum of the absolute errors; `largest` is the largest of them.
    pub absolute: f64,
    pub largest: f64,
    pub values: u64,
    /// Number of values that lie outside of what int8 can hold by more than half a step.
    pub clipped: u64,
    /// Sum of the squares of how far the clipped values lie outside of what int8 can hold.
    pub excess: f64,
    /// Lowest value that float takes, or 0 if all are above; `high` is the highest, or 0 if all are below.
    pub low: f32,
    pub high: f32,
    /// Largest magnitude that float takes in each column.
    pub peaks: Vec<f32>,
}

impl Fidelity {
    /// Returns the ratio of signal to quantization noise in dB.
    pub fn decibels(&self) -> f64 {
        statistics::decibels(self.signal / self.noise)
    }

    fn add(&mut self, tensor: Tensor, integers: &[i8], floats: &[f32], absent: usize) {
        let real = |q: i8| tensor.scale * (f32::from(q) - f32::from(tensor.zero_point));
        let (low, high) = (real(i8::MIN), real(i8::MAX));
        let cols = usize::from(tensor.cols);
        self.peaks.resize(cols, 0.0);
        for (index, (&float, &q)) in floats.iter().zip(integers).enumerate() {
            let column = index % cols;
            if tensor.keys && column < absent {
                continue;
            }
            let error = f64::from(float - real(q));
            let excess = float - float.clamp(low, high);
            self.signal += f64::from(float).powi(2);
            self.noise += error.powi(2);
            self.absolute += error.abs();
            self.largest = self.largest.max(error.abs());
            self.values += 1;
            if excess.abs() > 0.5 * tensor.scale {
                self.clipped += 1;
                self.excess += f64::from(excess).powi(2);
            }
            (self.low, self.high) = (self.low.min(float), self.high.max(float));
            self.peaks[column] = self.peaks[column].max(float.abs());
        }
    }

    fn merge(&mut self, other: &Fidelity) {
        self.signal += other.signal;
        self.noise += other.noise;
        self.absolute += other.absolute;
        self.largest = self.largest.max(other.largest);
        self.values += other.values;
        self.clipped += other.clipped;
        self.excess += other.excess;
        self.low = self.low.min(other.low);
        self.high = self.high.max(other.high);
        self.peaks
            .resize(other.peaks.len().max(self.peaks.len()), 0.0);
        for (peak, other) in self.peaks.iter_mut().zip(&other.peaks) {
            *peak = peak.max(*other);
        }
    }
}

/// Runs `recordings` through float and integers and compares them. Returns one result for each tensor that
/// [`super::float::observed`] names and `step` puts out: the features, then the output of each operator of
/// the plan.
pub fn measure(
    graph: &Graph,
    step: &FloatStep,
    image: &Image,
    recordings: &[&[i16]],
) -> Result<Vec<Fidelity>> {
    let of_one = |float: &mut FloatStep, recording: &&[i16]| {
        let mut memory = vec![0; image.memory_bytes()];
        let mut fidelities = vec![Fidelity::default(); 1 + graph.ops.len()];
        float.reset();
        let chunks = chunks(graph, image, recording).into_iter();
        let mut failed = None;
        let probe = Probe {
            chunks,
            float,
            fidelities: &mut fidelities,
            failed: &mut failed,
        };
        let recognizer = Recognizer::with_step(image, &mut memory, probe);
        let mut recognizer = recognizer.map_err(|error| Error::check(error.to_string()))?;
        recognizer.push(recording, |_| {});
        failed.map_or(Ok(fidelities), Err)
    };
    let parts = recordings.par_iter().map_with(step.clone(), of_one);
    let parts: Result<Vec<_>> = parts.collect();
    let mut total = vec![Fidelity::default(); 1 + graph.ops.len()];
    // In order, so that the sums are the same on any number of cores.
    for part in parts? {
        total.iter_mut().zip(&part).for_each(|(a, b)| a.merge(b));
    }
    Ok(total)
}

/// Runs the CPU's step and, beside it, the same step in float.
struct Probe<'a, C> {
    chunks: C,
    float: &'a mut FloatStep,
    fidelities: &'a mut [Fidelity],
    failed: &'a mut Option<Error>,
}

impl<C: Iterator<Item = Vec<f32>>> Step for Probe<'_, C> {
    fn step(&mut self, image: &Image<'_>, windows: &Windows, memory: &mut [i8]) {
        let outputs = self
            .chunks
            .next()
            .map(|chunk| self.float.step_observed(&chunk));
        let outputs = match outputs {
            Some(Ok(outputs)) => outputs,
            Some(Err(error)) => {
                *self.failed = Some(error);
                Vec::new()
            }
            None => Vec::new(),
        };
        let mut compare = |index: usize, tensor: Option<Tensor>, memory: &[i8]| {
            let tensor = tensor?;
            let integers = memory.get(byte_range(image, windows, tensor)?)?;
            // The first output is the logits.
            let floats = outputs.get(1 + index)?;
            let absent = windows.absent().into();
            self.fidelities[index].add(tensor, integers, floats, absent);
            Some(())
        };
        compare(0, features(image), memory);
        for (index, op) in image.ops().enumerate() {
            Cpu::default().run_op(op, image, windows, memory);
            compare(1 + index, image.tensor(op.output()), memory);
        }
    }
}

/// Returns the features of a step as a tensor: window 0, quantized as the front end does.
fn features(image: &Image) -> Option<Tensor> {
    let window = image.cache(0)?;
    Some(Tensor {
        location: Location::Cache { cache: 0, row: 0 },
        element: Element::I8,
        rows: window.rows,
        cols: window.cols,
        scale: image.manifest().front_end.range / 255.0,
        zero_point: 127,
        keys: false,
    })
}
