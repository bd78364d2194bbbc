//! What the integers lose, tensor by tensor: the image runs in the firmware crate beside the float
//! network, and what every operator puts out is compared.

use zerda_firmware::cache::Windows;
use zerda_firmware::plan::TensorId;
use zerda_firmware::step::{Cpu, Step, byte_range};
use zerda_firmware::{Image, Recognizer};

use super::calibrate::{chunks, source_rows};
use super::graph::{Graph, Id};
use crate::error::{Error, Result};
use crate::tract_step::FloatStep;

/// Signal to quantization noise of one tensor.
pub struct Fidelity {
    /// The ONNX value.
    pub value: String,
    pub decibels: f64,
}

/// Runs `recordings` through float and integers. `image` must keep every tensor to the end of a step;
/// `ids` are its records of the graph's tensors.
pub fn measure(
    graph: &Graph,
    step: &FloatStep,
    image: &Image,
    ids: &[Option<TensorId>],
    recordings: &[Vec<i16>],
) -> Result<Vec<Fidelity>> {
    let mut energies = vec![(0.0, 0.0); graph.tensors.len()];
    let mut memory = vec![0; image.memory_bytes()];
    for recording in recordings {
        let mut float = step.clone();
        float.reset();
        let chunks = chunks(graph, image, recording).into_iter();
        let mut failed = None;
        let probe = Probe {
            graph,
            ids,
            chunks,
            float,
            energies: &mut energies,
            failed: &mut failed,
        };
        let recognizer = Recognizer::with_step(image, &mut memory, probe);
        let mut recognizer = recognizer.map_err(|error| Error::check(error.to_string()))?;
        recognizer.push(recording, |_| {});
        failed.map_or(Ok(()), Err)?;
    }
    let fidelity = |(id, (signal, noise)): (Id, (f64, f64))| {
        let source = graph.tensors[id].source.as_ref().filter(|_| signal > 0.0)?;
        Some(Fidelity {
            value: source.value.clone(),
            decibels: 10.0 * (signal / noise).log10(),
        })
    };
    Ok(energies
        .into_iter()
        .enumerate()
        .filter_map(fidelity)
        .collect())
}

/// The CPU's step, and after it the same step in float.
struct Probe<'a, C> {
    graph: &'a Graph,
    ids: &'a [Option<TensorId>],
    chunks: C,
    float: FloatStep,
    /// Of signal and noise, for each tensor.
    energies: &'a mut [(f64, f64)],
    failed: &'a mut Option<Error>,
}

impl<C: Iterator<Item = Vec<f32>>> Step for Probe<'_, C> {
    fn step(&mut self, image: &Image<'_>, windows: &Windows, memory: &mut [i8]) {
        Cpu.step(image, windows, memory);
        let outputs = self
            .chunks
            .next()
            .map(|chunk| self.float.step_observed(&chunk));
        match outputs {
            Some(Ok(outputs)) => self.compare(image, windows, memory, &outputs[1..]),
            Some(Err(error)) => *self.failed = Some(error),
            None => {}
        }
    }
}

impl<C> Probe<'_, C> {
    fn compare(&mut self, image: &Image, windows: &Windows, memory: &[i8], outputs: &[Vec<f32>]) {
        let absent = usize::from(windows.absent());
        for (id, rows) in source_rows(self.graph, outputs) {
            let tensor = self.ids[id].and_then(|record| image.tensor(record));
            let range = tensor.and_then(|tensor| byte_range(image, windows, tensor));
            let (Some(tensor), Some(range)) = (tensor, range) else {
                continue;
            };
            let (signal, noise) = &mut self.energies[id];
            for (index, (&float, &q)) in rows.iter().zip(&memory[range]).enumerate() {
                if tensor.keys && index % usize::from(tensor.cols) < absent {
                    continue;
                }
                let int8 = tensor.scale * (f32::from(q) - f32::from(tensor.zero_point));
                *signal += f64::from(float).powi(2);
                *noise += f64::from(float - int8).powi(2);
            }
        }
    }
}
