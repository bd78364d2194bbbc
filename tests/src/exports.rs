//! Streaming Conformers as PyTorch's exporters write them (`data/exports`, made by `exports/export.py`),
//! compiled here.

use std::path::PathBuf;

use zerda_compiler::Compiler;
use zerda_firmware::cache::Windows;
use zerda_firmware::front_end::FrontEnd;
use zerda_firmware::plan::{Element, Location, Tensor};
use zerda_firmware::step::{Cpu, Step, byte_range};
use zerda_firmware::{Event, Image, Recognizer};
use zerda_quantize::ranges::Method;
use zerda_support::config::Config;
use zerda_support::error::Result;
use zerda_support::image_file::ImageFile;

use crate::repository;

/// The file of a variant.
pub fn onnx(name: &str) -> PathBuf {
    repository(&format!("tests/data/exports/{name}.onnx"))
}

/// The names of all variants, sorted.
pub fn names() -> Vec<String> {
    let files = repository("tests/data/exports").read_dir().unwrap();
    let name = |file: PathBuf| {
        Some(
            file.file_name()?
                .to_str()?
                .strip_suffix(".onnx")?
                .to_string(),
        )
    };
    let names = files.map(|file| file.unwrap().path());
    let mut names: Vec<_> = names.filter_map(name).collect();
    names.sort();
    names
}

/// The configuration that goes with a variant: its own number of mel values, and no labels but its own.
pub fn config(name: &str) -> Config {
    let bytes = std::fs::read(onnx(name)).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    let (_, mels) = text.split_once("\"mels\": ").unwrap();
    let mels: String = mels.chars().take_while(char::is_ascii_digit).collect();
    let mut config = Config::load(None).unwrap();
    config.models.front_end.mels = mels.parse().unwrap();
    let never = &mut config.commands.decoder.never;
    never.retain(|label| text.contains(label.as_str()));
    config
}

/// A variant compiled, with ranges from these recordings.
pub fn compiled(name: &str, recordings: &[Vec<i16>]) -> Result<ImageFile> {
    let (path, config) = (onnx(name), config(name));
    let (image, _) = Compiler::open(&path, None, &config)?.compile(recordings, Method::Mse)?;
    Ok(image)
}

/// Real logits of every step, [steps * S, classes], of a stream through a step.
pub fn logits(image: &Image<'_>, pcm: &[i16], step: impl Step) -> Vec<f32> {
    let tensor = image.tensor(image.manifest().logits).unwrap();
    let real = |&q: &i8| tensor.scale * (f32::from(q) - f32::from(tensor.zero_point));
    let (mut memory, mut reals) = (vec![0; image.memory_bytes()], Vec::new());
    let mut recognizer = Recognizer::with_step(image, &mut memory, step).unwrap();
    recognizer.push_events(pcm, |event| {
        if let Event::Step { logits, .. } = event {
            reals.extend(logits.iter().map(real));
        }
    });
    reals
}

/// Runs on the CPU with these features instead of the audio's, [frames, mels].
pub struct Fed {
    pub features: Vec<f32>,
    pub steps: usize,
}

impl Step for Fed {
    fn step(&mut self, image: &Image<'_>, windows: &Windows, memory: &mut [i8]) {
        let (cache, stream) = (image.cache(0).unwrap(), image.manifest().stream);
        let chunk = Tensor {
            location: Location::Cache { cache: 0, row: 0 },
            element: Element::I8,
            rows: cache.rows,
            cols: cache.cols,
            scale: 1.0,
            zero_point: 0,
            keys: false,
        };
        let front_end = FrontEnd::new(image);
        let first = self.steps * usize::from(stream.step) * usize::from(cache.cols);
        let window = &mut memory[byte_range(image, windows, chunk).unwrap()];
        for (to, &feature) in window.iter_mut().zip(&self.features[first..]) {
            *to = front_end.quantize(feature);
        }
        self.steps += 1;
        Cpu::default().step(image, windows, memory);
    }
}

/// The features for which `export.py` stored PyTorch's logits: element i, frame by frame.
pub fn stored_features(count: usize) -> Vec<f32> {
    let feature = |i: u64| -10.0 * ((31 * i * i + 7919 * i) % 10007) as f64 / 10007.0;
    (0..count as u64).map(|i| feature(i) as f32).collect()
}

/// PyTorch's logits of that stream.
pub fn stored_logits(name: &str) -> Vec<f32> {
    let bytes = std::fs::read(onnx(name).with_extension("f32")).unwrap();
    let numbers = bytes.as_chunks::<4>().0.iter();
    numbers.map(|&number| f32::from_le_bytes(number)).collect()
}

/// Signal to noise, dB.
pub fn decibels(expected: &[f32], found: &[f32]) -> f64 {
    assert_eq!(expected.len(), found.len());
    let noise = expected.iter().zip(found).map(|(a, b)| a - b);
    let energy = |value: f32| f64::from(value).powi(2);
    let signal: f64 = expected.iter().copied().map(energy).sum();
    10.0 * (signal / noise.map(energy).sum::<f64>()).log10()
}
