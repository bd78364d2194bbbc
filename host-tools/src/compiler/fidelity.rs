//! What the integers lose, operator by operator: the image runs in the firmware crate beside the float
//! network, and what every operator puts out is compared as soon as it is there.

use zerda_firmware::cache::Windows;
use zerda_firmware::plan::{Op, Tensor};
use zerda_firmware::step::{Step, byte_range, run_op};
use zerda_firmware::{Image, Recognizer};

use super::calibrate::chunks;
use super::graph::Graph;
use crate::error::{Error, Result};
use crate::tract_step::FloatStep;

/// The output of one operator in integers, against float. Absent keys do not count.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fidelity {
    /// Sums of squares.
    pub signal: f64,
    pub noise: f64,
    pub values: u64,
    /// Values that lie outside of what int8 can hold by more than half a step.
    pub clipped: u64,
}

impl Fidelity {
    /// Signal to quantization noise, dB.
    pub fn decibels(&self) -> f64 {
        10.0 * (self.signal / self.noise).log10()
    }
}

/// Runs `recordings` through float and integers; one for each operator of the plan. `step` tells what
/// [`super::float::observed`] names.
pub fn measure(
    graph: &Graph,
    step: &FloatStep,
    image: &Image,
    recordings: &[&[i16]],
) -> Result<Vec<Fidelity>> {
    let mut fidelities = vec![Fidelity::default(); graph.ops.len()];
    let mut memory = vec![0; image.memory_bytes()];
    for recording in recordings {
        let mut float = step.clone();
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
        failed.map_or(Ok(()), Err)?;
    }
    Ok(fidelities)
}

/// The CPU's step, beside it the same step in float.
struct Probe<'a, C> {
    chunks: C,
    float: FloatStep,
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
        // After the logits and the features come the operators' outputs.
        let mut floats = outputs.iter().skip(2);
        for (op, fidelity) in image.ops().zip(self.fidelities.iter_mut()) {
            run_op(op, image, windows, memory);
            if let Some((tensor, integers)) = output(op, image, windows, memory) {
                let floats = floats.next().map_or(&[][..], Vec::as_slice);
                fidelity.add(tensor, integers, floats, windows.absent().into());
            }
        }
    }
}

/// What an operator has just put out.
fn output<'m>(
    op: Op,
    image: &Image,
    windows: &Windows,
    memory: &'m [i8],
) -> Option<(Tensor, &'m [i8])> {
    let tensor = image.tensor(op.output())?;
    Some((tensor, memory.get(byte_range(image, windows, tensor)?)?))
}

impl Fidelity {
    fn add(&mut self, tensor: Tensor, integers: &[i8], floats: &[f32], absent: usize) {
        let steps = |q: i8| f32::from(q) - f32::from(tensor.zero_point);
        let (low, high) = (steps(i8::MIN) - 0.5, steps(i8::MAX) + 0.5);
        for (index, (&float, &q)) in floats.iter().zip(integers).enumerate() {
            if tensor.keys && index % usize::from(tensor.cols) < absent {
                continue;
            }
            let error = float - tensor.scale * steps(q);
            self.signal += f64::from(float).powi(2);
            self.noise += f64::from(error).powi(2);
            self.values += 1;
            self.clipped += u64::from(!(low..=high).contains(&(float / tensor.scale)));
        }
    }
}
