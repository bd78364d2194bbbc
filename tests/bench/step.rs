//! Times a step of the shipped model, each shape of its fully connected layers, and 50 ms of audio from front end to decoder,
//! with all kernels that this processor has: `cargo bench`.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use zerda_firmware::cache::Windows;
use zerda_firmware::kernels::choice::available;
use zerda_firmware::plan::Op;
use zerda_firmware::step::{Cpu, Step};
use zerda_firmware::{Aligned, Image, Recognizer};

static IMAGE: &Aligned<[u8]> = &Aligned(*include_bytes!("../../models/shrunk.zerda"));
const SAMPLE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../models/samples/robot.wav"
);

/// Keeps the memory that a step found, and runs it.
#[derive(Default)]
struct Last(Option<(Windows, Vec<i8>)>);

impl Step for Last {
    fn step(&mut self, image: &Image<'_>, windows: &Windows, memory: &mut [i8]) {
        self.0 = Some((windows.clone(), memory.to_vec()));
        Cpu::default().step(image, windows, memory);
    }
}

/// Returns where the windows stand and what memory holds before the last step of a sample, with full caches.
fn full_caches(image: &Image<'_>, pcm: &[i16]) -> (Windows, Vec<i8>) {
    let mut memory = vec![0; image.memory_bytes()];
    let recognizer = Recognizer::with_step(image, &mut memory, Last::default());
    let mut recognizer = recognizer.expect("memory of the image's size");
    recognizer.push(pcm, |_| ());
    let last = recognizer.step_mut().0.take();
    last.expect("a sample that is longer than a step")
}

/// Returns the fully connected layers of different shapes, with a name: rows x inputs x outputs.
fn fully_connected(image: &Image<'_>) -> Vec<(String, Op)> {
    let mut layers: Vec<(String, Op)> = Vec::new();
    for op in image.ops() {
        let Op::FullyConnected(dense) = op else {
            continue;
        };
        let tensor = |id| {
            image
                .tensor(id)
                .expect("a tensor of an image that was parsed")
        };
        let (weights, output) = (tensor(dense.weights), tensor(dense.output));
        let shape = format!("{}x{}x{}", output.rows, weights.cols, weights.rows);
        if layers.iter().all(|(other, _)| *other != shape) {
            layers.push((shape, op));
        }
    }
    layers
}

fn benches(criterion: &mut Criterion) {
    let image = Image::parse(&IMAGE.0).expect("the shipped image");
    let samples = hound::WavReader::open(SAMPLE).expect("a shipped sample");
    let pcm: Vec<i16> = samples
        .into_samples()
        .map(|sample| sample.expect("16 bits"))
        .collect();
    let (windows, mut memory) = full_caches(&image, &pcm);

    let mut group = criterion.benchmark_group("step");
    for kernels in available() {
        let mut cpu = Cpu::with(kernels);
        group.bench_function(kernels.name, |bencher| {
            bencher.iter(|| cpu.step(&image, &windows, black_box(&mut memory)));
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("fully connected");
    for (shape, op) in fully_connected(&image) {
        for kernels in available() {
            let (cpu, id) = (Cpu::with(kernels), BenchmarkId::new(&shape, kernels.name));
            group.bench_function(id, |bencher| {
                bencher.iter(|| cpu.run_op(op, &image, &windows, black_box(&mut memory)));
            });
        }
    }
    group.finish();

    // 50 ms of audio through front end, step and decoder.
    let mut group = criterion.benchmark_group("50 ms of audio");
    for kernels in available() {
        let mut memory = vec![0; image.memory_bytes()];
        let recognizer = Recognizer::with_step(&image, &mut memory, Cpu::with(kernels));
        let mut recognizer = recognizer.expect("memory of the image's size");
        let mut pieces = pcm.chunks_exact(800).cycle();
        group.bench_function(kernels.name, |bencher| {
            bencher.iter(|| {
                recognizer.push(pieces.next().unwrap_or_default(), |found| {
                    black_box(found);
                });
            });
        });
    }
    group.finish();
}

criterion_group!(step, benches);
criterion_main!(step);
