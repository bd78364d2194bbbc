//! This tiny image has every operator in it, for unit tests: two attention heads, hidden 4, chunk 3, step 2,
//! left context 4, 4 mel filters, classes `go`, `stop` and silence.

mod commands;
#[cfg(test)]
mod years;

use core::f64::consts::PI;
use std::vec::Vec;

use crate::image::{
    DecoderConfig, FrontEndConfig, HEADER_BYTES, Label, MAGIC, Manifest, Stream, VERSION, checksum,
    field,
};
use crate::kernels::limits::BINS;
use crate::plan::{Cache, Clamp, Dense, Element, Location, Op, Requantize, Tensor, TensorId};

#[cfg(test)]
pub use commands::with_label;
pub use commands::{COMMANDS, GO_GO, WAKE, with_commands, with_quiet, with_wake};
#[cfg(test)]
pub use years::{YEARS, before_years};

pub const MELS: u16 = 4;
pub const CLASSES: u8 = 3;
pub const STREAM: Stream = Stream {
    chunk: 3,
    step: 2,
    left_context: 4,
};
const KEYS: u16 = 7;
const HIDDEN: u16 = 4;
const FULL: Clamp = Clamp {
    min: -128,
    max: 127,
};

/// Holds the bytes of an image, 16-byte aligned.
#[derive(Clone)]
pub struct Bytes {
    blocks: Vec<u128>,
    len: usize,
}

impl Bytes {
    /// Copies `bytes` to aligned memory.
    pub fn new(bytes: &[u8]) -> Self {
        let mut blocks = std::vec![0u128; bytes.len().div_ceil(16)];
        bytemuck::cast_slice_mut(&mut blocks)[..bytes.len()].copy_from_slice(bytes);
        let len = bytes.len();
        Self { blocks, len }
    }

    /// Returns all bytes of the image.
    pub fn get(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.blocks)[..self.len]
    }

    /// Returns all bytes of the image, to be changed.
    pub fn get_mut(&mut self) -> &mut [u8] {
        &mut bytemuck::cast_slice_mut(&mut self.blocks)[..self.len]
    }

    /// Makes the checksum true again.
    pub fn repair(&mut self) {
        let sum = checksum(self.get());
        self.get_mut()[field::CHECKSUM].copy_from_slice(&sum.to_le_bytes());
    }
}

/// Makes numbers without order, the same ones each time (xorshift64*).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) as u32
    }

    pub fn below(&mut self, limit: usize) -> usize {
        self.next() as usize % limit
    }

    pub fn pcm(&mut self, samples: usize) -> Vec<i16> {
        (0..samples).map(|_| (self.next() as i16) / 8).collect()
    }
}

struct Builder {
    random: Random,
    segment: Vec<u8>,
    arena: u32,
    tensors: Vec<Tensor>,
    ops: Vec<Op>,
}

impl Builder {
    fn tensor(&mut self, location: Location, element: Element, shape: (u16, u16)) -> TensorId {
        let (rows, cols) = shape;
        let keys = cols == KEYS;
        let (scale, zero_point) = (0.05, (self.tensors.len() % 5) as i8 - 2);
        let tensor = Tensor {
            location,
            element,
            rows,
            cols,
            scale,
            zero_point,
            keys,
        };
        self.tensors.push(tensor);
        TensorId(self.tensors.len() as u16 - 1)
    }

    fn constant(&mut self, element: Element, shape: (u16, u16), data: &[u8]) -> TensorId {
        let offset = self.segment.len().next_multiple_of(16);
        self.segment.resize(offset, 0);
        self.segment.extend(data);
        let offset = offset as u32;
        self.tensor(Location::Constant { offset }, element, shape)
    }

    fn noise(&mut self, rows: u16, cols: u16) -> TensorId {
        let data: Vec<u8> = (0..rows * cols).map(|_| self.random.next() as u8).collect();
        self.constant(Element::I8, (rows, cols), &data)
    }

    fn arena(&mut self, rows: u16, cols: u16) -> TensorId {
        let offset = self.arena;
        self.arena += u32::from(rows * cols).next_multiple_of(16);
        self.tensor(Location::Arena { offset }, Element::I8, (rows, cols))
    }

    fn rows_of(&mut self, cache: u16, row: u16, rows: u16) -> TensorId {
        self.tensor(Location::Cache { cache, row }, Element::I8, (rows, HIDDEN))
    }

    /// Makes bias, multiplier and shift of `n` channels.
    fn channels(&mut self, n: u16) -> [TensorId; 3] {
        let i32s = |value: i32| -> Vec<u8> { (0..n).flat_map(|_| value.to_le_bytes()).collect() };
        [
            self.constant(Element::I32, (1, n), &i32s(300)),
            self.constant(Element::I32, (1, n), &i32s(1_500_000_000)),
            self.constant(Element::I8, (1, n), &std::vec![-6i8 as u8; n.into()]),
        ]
    }

    fn fully_connected(&mut self, input: TensorId, output: TensorId, n: u16) {
        let weights = self.noise(n, HIDDEN);
        let [bias, multiplier, shift] = self.channels(n);
        let clamp = FULL;
        self.ops.push(Op::FullyConnected(Dense {
            input,
            output,
            weights,
            bias,
            multiplier,
            shift,
            clamp,
        }));
    }
}

/// Makes the front end's tables, and returns its parameters with their numbers.
fn front_end(b: &mut Builder) -> FrontEndConfig {
    let hann = (0..400).map(|i| 0.5 - 0.5 * libm::cos(2.0 * PI * f64::from(i) / 400.0));
    let hann: Vec<u8> = hann.flat_map(|w| (w as f32).to_le_bytes()).collect();
    let (mut weight, mut band) = (Vec::new(), Vec::new());
    let edges = mel_edges();
    for bin in 0..BINS {
        let hz = bin as f64 * 31.25;
        let rising = edges.windows(2).position(|e| e[0] <= hz && hz < e[1]);
        let part = |j: usize| (hz - edges[j]) / (edges[j + 1] - edges[j]);
        weight.extend((rising.map_or(0.0, part) as f32).to_le_bytes());
        band.push(rising.map_or(-1, |j| j as i8) as u8);
    }
    FrontEndConfig {
        sample_rate: 16_000,
        window: 400,
        hop: 160,
        mels: MELS,
        level_decay: 0.02,
        level_floor: 16.0,
        level_frames: 3,
        range: 10.0,
        window_table: b.constant(Element::F32, (1, 400), &hann),
        mel_weight: b.constant(Element::F32, (1, BINS as u16), &weight),
        mel_band: b.constant(Element::I8, (1, BINS as u16), &band),
    }
}

/// Returns the edges of the mel filters in Hz, equally spaced on the HTK mel scale from 60 to 7600 Hz.
pub fn mel_edges() -> [f64; MELS as usize + 2] {
    let mel = |hz: f64| 2595.0 * libm::log10(1.0 + hz / 700.0);
    core::array::from_fn(|i| {
        let part = i as f64 / f64::from(MELS + 1);
        let at = mel(60.0) + part * (mel(7600.0) - mel(60.0));
        700.0 * (libm::pow(10.0, at / 2595.0) - 1.0)
    })
}

/// Makes the tiny image. Its cache windows have `slack` rows to slide in, at least the step.
pub fn tiny(slack: u16) -> Bytes {
    tiny_with(slack, |_, _| ())
}

/// Makes the tiny image with changed records, and the arena that they need.
pub fn tiny_with(slack: u16, change: impl FnOnce(&mut Vec<Tensor>, &mut Vec<Op>)) -> Bytes {
    let mut b = Builder {
        random: Random(7),
        segment: Vec::new(),
        arena: 0,
        tensors: Vec::new(),
        ops: Vec::new(),
    };
    let front_end = front_end(&mut b);
    let mut end = 0;
    let caches = [(3, 127), (KEYS, 3), (KEYS, -5), (5, 1)].map(|(rows, zero_point)| {
        let (offset, capacity) = (end, rows + slack);
        end += u32::from(capacity * HIDDEN);
        Cache {
            offset,
            rows,
            cols: HIDDEN,
            capacity,
            zero_point,
        }
    });

    let features = b.rows_of(0, 0, 3);
    let (keys, values, conv) = (b.rows_of(1, 0, 7), b.rows_of(2, 0, 7), b.rows_of(3, 0, 5));
    let (new_keys, new_values) = (b.rows_of(1, 4, 3), b.rows_of(2, 4, 3));
    let new_conv = b.rows_of(3, 2, 3);
    let query = b.arena(3, HIDDEN);
    for output in [query, new_keys, new_values] {
        b.fully_connected(features, output, HIDDEN);
    }
    let scale = |shift| Requantize {
        multiplier: 1_200_000_000,
        shift,
    };
    let [scores, biased, probs] = [(); 3].map(|()| b.arena(6, KEYS));
    let bias = b.noise(6, KEYS);
    let context = b.arena(3, HIDDEN);
    let (heads, clamp) = (2, FULL);
    b.ops.extend([
        Op::Scores {
            query,
            key: keys,
            output: scores,
            heads,
            output_scale: scale(-7),
        },
        Op::Add {
            a: scores,
            b: bias,
            output: biased,
            a_scale: scale(0),
            b_scale: scale(-1),
            output_scale: scale(-18),
            clamp,
        },
        Op::Softmax {
            input: biased,
            output: probs,
            input_scale: scale(22),
            diff_min: -480,
        },
        Op::Context {
            probs,
            value: values,
            output: context,
            heads,
            output_scale: scale(-7),
        },
        Op::Mul {
            a: context,
            b: features,
            output: new_conv,
            output_scale: scale(-6),
            clamp,
        },
    ]);
    let (convolved, activated) = (b.arena(3, HIDDEN), b.arena(3, HIDDEN));
    let (weights, [bias, multiplier, shift]) = (b.noise(3, HIDDEN), b.channels(HIDDEN));
    let (input, output) = (conv, convolved);
    b.ops.push(Op::DepthwiseConv(Dense {
        input,
        output,
        weights,
        bias,
        multiplier,
        shift,
        clamp,
    }));
    let table = b.noise(1, 256);
    b.ops.push(Op::Lookup {
        input: convolved,
        output: activated,
        table,
    });
    let location = b.tensors[usize::from(activated.0)].location;
    let committed = b.tensor(location, Element::I8, (2, HIDDEN));
    let (logits, posteriors) = (b.arena(2, CLASSES.into()), b.arena(2, CLASSES.into()));
    b.fully_connected(committed, logits, CLASSES.into());
    b.ops.push(Op::Softmax {
        input: logits,
        output: posteriors,
        input_scale: scale(22),
        diff_min: -480,
    });

    change(&mut b.tensors, &mut b.ops);
    let arena = b.tensors.iter().filter_map(|tensor| match tensor.location {
        Location::Arena { offset } => Some(offset + tensor.len() as u32),
        _ => None,
    });
    let arena = arena.max().unwrap();

    let manifest = Manifest {
        stream: STREAM,
        front_end,
        decoder: DecoderConfig {
            smoothing: 5,
            refractory: 30,
            silence: 2,
        },
        classes: CLASSES,
        caches: caches.len() as u8,
        tensors: b.tensors.len() as u16,
        ops: b.ops.len() as u16,
        logits,
        posteriors,
    };
    let mut records = Vec::new();
    push(&mut records, &manifest);
    for (name, threshold) in [("go", 100), ("stop", 120), ("_silence_", 0)] {
        push(&mut records, &Label { name, threshold });
    }
    caches.iter().for_each(|cache| push(&mut records, cache));
    b.tensors
        .iter()
        .for_each(|tensor| push(&mut records, tensor));
    b.ops.iter().for_each(|op| push(&mut records, op));
    container(
        &records,
        &b.segment,
        end.next_multiple_of(16),
        arena.next_multiple_of(16),
    )
}

fn push(to: &mut Vec<u8>, record: &impl serde::Serialize) {
    to.extend_from_slice(postcard::to_slice(record, &mut [0; 256]).unwrap());
}

fn container(manifest: &[u8], segment: &[u8], cache_bytes: u32, arena_bytes: u32) -> Bytes {
    let offset = (HEADER_BYTES + manifest.len()).next_multiple_of(16);
    let mut image = std::vec![0; offset + segment.len()];
    let total = image.len() as u32;
    image[field::MAGIC].copy_from_slice(&MAGIC);
    image[field::VERSION].copy_from_slice(&VERSION.to_le_bytes());
    image[field::HEADER_LENGTH].copy_from_slice(&64u16.to_le_bytes());
    for (at, value) in [
        (field::TOTAL_LENGTH, total),
        (field::MANIFEST_LENGTH, manifest.len() as u32),
        (field::SEGMENT_OFFSET, offset as u32),
        (field::SEGMENT_LENGTH, segment.len() as u32),
        (field::CACHE_BYTES, cache_bytes),
        (field::ARENA_BYTES, arena_bytes),
        (field::ALIGNMENT, 16),
    ] {
        image[at].copy_from_slice(&u32::to_le_bytes(value));
    }
    image[field::LEVEL_FRAMES].copy_from_slice(&3u16.to_le_bytes());
    image[HEADER_BYTES..][..manifest.len()].copy_from_slice(manifest);
    image[offset..].copy_from_slice(segment);
    let mut bytes = Bytes::new(&image);
    bytes.repair();
    bytes
}
