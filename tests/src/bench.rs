//! Runs the shipped step beside the runtimes that one would take instead, on the same inputs and one thread each: LiteRT and
//! onnxruntime, which `bench.py` calls, and tract.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use prost::Message;
use tempfile::TempDir;
use zerda_compiler::tract_step::{self, FloatStep};
use zerda_firmware::cache::Windows;
use zerda_firmware::kernels::choice::available;
use zerda_firmware::step::{Cpu, Step};
use zerda_firmware::{Image, Recognizer};
use zerda_tflite::export;

use crate::recorder::Recorder;
use crate::tflm::Tflm;
use crate::{repository, shipped_image};

/// What a step took.
pub struct Time {
    /// Names runtime and format.
    pub what: String,
    /// Says what the time contains.
    pub content: String,
    pub microseconds: f64,
}

/// The shipped step on a recording, and what each runtime made of it.
pub struct Bench<'a> {
    tflm: &'a Tflm,
    folder: TempDir,
    pcm: Vec<i16>,
    /// Outputs of the firmware: step by step, those of the exported model.
    pub outputs: Vec<Vec<Vec<i8>>>,
}

impl<'a> Bench<'a> {
    /// Exports the step, and records what it is given in the course of 16 kHz samples.
    pub fn new(tflm: &'a Tflm, pcm: Vec<i16>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
        let file = shipped_image();
        let image = file.image().unwrap();
        let onnx = repository("models/shrunk.onnx");
        write("step.tflite", &export::step(&image).unwrap());
        write("int8.onnx", &fs::read(&onnx).unwrap());
        let float = tract_step::float_model(&onnx).unwrap();
        write("float.onnx", &float.encode_to_vec());
        let features = chunks(&image, &pcm).concat();
        let features: Vec<u8> = features
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        write("features.f32", &features);
        let Recorder { inputs, outputs } = Recorder::of(&image, &pcm);
        for number in 0..inputs[0].len() {
            let steps = inputs.iter().flat_map(|inputs| &inputs[number]);
            let bytes: Vec<u8> = steps.map(|&value| value as u8).collect();
            write(&format!("input_{number}.i8"), &bytes);
        }
        Bench {
            tflm,
            folder,
            pcm,
            outputs,
        }
    }

    /// Runs each runtime once, for at least so many steps, and `zerda`, a program, on the samples that ship.
    pub fn turn(&self, steps: usize, zerda: Option<&Path>) -> Vec<Time> {
        let mut command = Command::new(&self.tflm.python);
        command
            .arg(repository("tests/bench.py"))
            .arg(self.folder.path())
            .arg(steps.to_string());
        if let Some(zerda) = zerda {
            let names = available().map(|kernels| kernels.name);
            command.arg(zerda).args(names);
        }
        let output = command.current_dir(repository("")).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        let said = String::from_utf8(output.stdout).unwrap();
        let mut times: Vec<Time> = said.lines().map(Time::parse).collect();
        times.push(self.tract(steps).1);
        for kernels in available() {
            times.extend(self.zerda(steps, Cpu::with(kernels)));
        }
        times
    }

    /// What `turn` left in a file of int8 or float: `reference_0.i8` and so on.
    pub fn answer(&self, file: &str) -> Vec<u8> {
        fs::read(self.folder.path().join(file)).unwrap()
    }

    /// The logits of tract, over all steps of the recording, and what a step took.
    pub fn tract(&self, steps: usize) -> (Vec<f32>, Time) {
        let file = shipped_image();
        let chunks = chunks(&file.image().unwrap(), &self.pcm);
        let mut step = FloatStep::load(&repository("models/shrunk.onnx")).unwrap();
        let (mut logits, mut times) = (Vec::new(), Vec::new());
        for (number, chunk) in chunks.iter().cycle().enumerate() {
            if number >= steps.max(chunks.len()) {
                break;
            }
            let start = Instant::now();
            let answer = step.step(chunk).unwrap();
            times.push(microseconds(start));
            if number < chunks.len() {
                logits.extend(answer);
            }
        }
        let time = Time::new(
            format!("tract {}, float", tract_version()),
            "the network",
            times,
        );
        (logits, time)
    }

    /// The times of the firmware with some kernels, on the host: of the network alone, and of all that audio passes.
    fn zerda(&self, steps: usize, cpu: Cpu) -> [Time; 2] {
        let file = shipped_image();
        let image = file.image().unwrap();
        let hop = image.manifest().front_end.hop * image.manifest().stream.step;
        let mut memory = vec![0; image.memory_bytes()];
        let timed = Timed(cpu, Vec::new());
        let mut recognizer = Recognizer::with_step(&image, &mut memory, timed).unwrap();
        let mut all = Vec::new();
        for pcm in self.pcm.chunks_exact(hop.into()).cycle().take(steps) {
            let start = Instant::now();
            recognizer.push(pcm, |_| ());
            all.push(microseconds(start));
        }
        let what = || format!("Zerda, {} kernels", cpu.kernels().name);
        let network = std::mem::take(&mut recognizer.step_mut().1);
        [
            Time::new(what(), "the network", network),
            Time::new(what(), "front end, network and decoder", all),
        ]
    }
}

impl Time {
    fn new(what: String, content: &str, microseconds: Vec<f64>) -> Time {
        Time {
            what,
            content: content.into(),
            microseconds: median(microseconds),
        }
    }

    /// A line of `bench.py`.
    fn parse(line: &str) -> Time {
        let fields: Vec<_> = line.split('\t').collect();
        let [what, content, microseconds] = fields[..] else {
            panic!("bench.py said: {line}");
        };
        Time {
            what: what.into(),
            content: content.into(),
            microseconds: microseconds.parse().unwrap(),
        }
    }
}

/// Runs steps, and keeps what each took, in microseconds.
struct Timed(Cpu, Vec<f64>);

impl Step for Timed {
    fn step(&mut self, image: &Image<'_>, windows: &Windows, memory: &mut [i8]) {
        let start = Instant::now();
        self.0.step(image, windows, memory);
        self.1.push(microseconds(start));
    }
}

/// The float features of each step, [C, mels].
fn chunks(image: &Image<'_>, pcm: &[i16]) -> Vec<Vec<f32>> {
    let (stream, mels) = (
        image.manifest().stream,
        usize::from(image.manifest().front_end.mels),
    );
    let features = tract_step::features(image, pcm);
    let chunks = features.windows(mels * usize::from(stream.chunk));
    chunks
        .step_by(mels * usize::from(stream.step))
        .map(<[f32]>::to_vec)
        .collect()
}

fn microseconds(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e6
}

/// The value in the middle.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn tract_version() -> String {
    let lock = fs::read_to_string(repository("Cargo.lock")).unwrap();
    let (_, version) = lock
        .split_once("name = \"tract-onnx\"\nversion = \"")
        .unwrap();
    version.split('"').next().unwrap().into()
}
