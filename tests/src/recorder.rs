//! Records what the firmware gives to the step and gets from it, as the exported TFLite model has them.

use zerda_firmware::cache::Windows;
use zerda_firmware::plan::{Element, Location, Op, Tensor};
use zerda_firmware::step::{Cpu, Step, byte_range};
use zerda_firmware::{Image, Recognizer};
use zerda_tflite::export::retained_rows;

/// Runs on the CPU and keeps what the exported model calls inputs and outputs.
#[derive(Default)]
pub struct Recorder {
    /// Inputs of each step, in the order of the exported model.
    pub inputs: Vec<Vec<Vec<i8>>>,
    /// Outputs of each step: logits, posteriors, and the rows that go into caches.
    pub outputs: Vec<Vec<Vec<i8>>>,
}

impl Recorder {
    /// What the steps of a stream take and give.
    pub fn of(image: &Image<'_>, pcm: &[i16]) -> Recorder {
        let mut recorder = Recorder::default();
        let mut memory = vec![0; image.memory_bytes()];
        let mut recognizer = Recognizer::with_step(image, &mut memory, &mut recorder).unwrap();
        recognizer.push(pcm, |_| ());
        recorder
    }
}

impl Step for &mut Recorder {
    fn step(&mut self, image: &Image<'_>, windows: &Windows, memory: &mut [i8]) {
        let retained = |cache: usize| usize::from(retained_rows(image, cache));
        let stream = image.manifest().stream;
        let mut mask = vec![127; (stream.left_context + stream.chunk).into()];
        mask[..windows.absent().into()].fill(-128);
        let mut inputs = vec![window(image, windows, memory, 0)];
        inputs.extend(vec![mask; attentions(image)]);
        for (cache, record) in image.caches().enumerate().skip(1) {
            let mut rows = window(image, windows, memory, cache);
            rows.truncate(retained(cache) * usize::from(record.cols));
            inputs.push(rows);
        }
        self.inputs.push(inputs);

        Cpu::default().step(image, windows, memory);

        let manifest = image.manifest();
        let mut outputs: Vec<_> = [manifest.logits, manifest.posteriors]
            .map(|id| bytes(image, windows, memory, image.tensor(id).unwrap()))
            .into();
        for (cache, record) in image.caches().enumerate().skip(1) {
            let rows = window(image, windows, memory, cache);
            outputs.push(rows[retained(cache) * usize::from(record.cols)..].to_vec());
        }
        self.outputs.push(outputs);
    }
}

fn attentions(image: &Image<'_>) -> usize {
    let scores = |op: &Op| matches!(op, Op::Scores { .. });
    image.ops().filter(scores).count()
}

fn window(image: &Image<'_>, windows: &Windows, memory: &[i8], cache: usize) -> Vec<i8> {
    let record = image.cache(cache).unwrap();
    let rows = Tensor {
        location: Location::Cache {
            cache: cache as u16,
            row: 0,
        },
        element: Element::I8,
        rows: record.rows,
        cols: record.cols,
        scale: 1.0,
        zero_point: 0,
        keys: false,
    };
    bytes(image, windows, memory, rows)
}

fn bytes(image: &Image<'_>, windows: &Windows, memory: &[i8], tensor: Tensor) -> Vec<i8> {
    memory[byte_range(image, windows, tensor).unwrap()].to_vec()
}
