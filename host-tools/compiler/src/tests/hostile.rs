//! Any bytes give a graph or an error, within seconds and without a panic.

use std::fs;
use std::panic::catch_unwind;
use std::time::{Duration, Instant};

use prost::Message;
use tract_onnx::pb::{ModelProto, TensorProto};

use super::*;
use crate::onnx_builder::{OnnxBuilder, WithAttributes};

/// Number of changed files that are tried.
const FILES: u64 = 1200;

/// What one file may take on a machine that is busy with much else; alone none takes 3 s.
const LONGEST: Duration = Duration::from_secs(60);

/// The error of the small network with more nodes before it.
fn bomb(add: impl FnOnce(&mut TinyOnnx)) -> String {
    let mut onnx = TinyOnnx::conformer();
    let nodes = onnx.graph().node.len();
    add(&mut onnx);
    onnx.graph().node.rotate_left(nodes);
    let start = Instant::now();
    let error = message(&onnx);
    assert!(start.elapsed() < LONGEST, "{:?}: {error}", start.elapsed());
    error
}

#[test]
fn what_would_grow_without_bounds_is_refused_in_time() {
    const MANY: &str =
        "its constants, with those that are computed of them, have more than 67108864 elements";
    let error = bomb(|onnx| {
        onnx.node("Identity", &["half"], "copy_0");
        onnx.ints_of("one", &[1]);
        onnx.node("Reshape", &["copy_0", "one"], "doubled_0");
        for i in 1..60 {
            let (before, after) = (format!("doubled_{}", i - 1), format!("doubled_{i}"));
            onnx.node("Concat", &[&before, &before], &after)
                .int("axis", 0);
        }
    });
    assert!(error.contains(MANY), "{error}");
    let large: &[i64] = &[1 << 40, 1 << 20];
    for (op, inputs) in [
        ("Range", ["from", "to", "by"].as_slice()),
        ("Tile", &["table", "large"]),
        ("Expand", &["half", "large"]),
        ("ConstantOfShape", &["large"]),
        ("Pad", &["table", "pads"]),
    ] {
        let error = bomb(|onnx| {
            for (name, number) in [("from", 0), ("to", i64::MAX), ("by", 1)] {
                onnx.ints_of(name, &[number]);
                onnx.constant(name).dims.clear();
            }
            onnx.ints_of("large", large);
            onnx.ints_of("pads", &[0, 0, 1 << 40, 1 << 40]);
            onnx.floats_of("table", &[2, 2]);
            onnx.node(op, inputs, "bomb");
        });
        assert!(
            error.contains(&format!("({op} of ")) && error.contains(MANY),
            "{op}: {error}"
        );
    }
    // Sums and products of a column and a row.
    for op in ["Add", "Min", "Max", "MatMul"] {
        let error = bomb(|onnx| {
            onnx.floats_of("column", &[20_000, 1]);
            onnx.floats_of("row", &[1, 20_000]);
            onnx.node(op, &["column", "row"], "bomb");
        });
        assert!(error.contains(MANY), "{op}: {error}");
    }
    for op in ["Min", "Max", "Sum", "Mean"] {
        let error = bomb(|onnx| {
            onnx.floats_of("table", &[1_000, 1_000]);
            onnx.node(op, &["table"; 100], "bomb");
        });
        assert!(error.contains(MANY), "{op}: {error}");
    }
    let error = bomb(|onnx| {
        for i in 0..1_000_000 {
            onnx.node("Identity", &["half"], &format!("copy_{i}"));
        }
    });
    assert!(error.contains("nodes; supported are 10000"), "{error}");
    let error = bomb(|onnx| {
        onnx.ints_of("axes", &vec![0; 1_000_000]);
        onnx.node("Unsqueeze", &["half", "axes"], "deep");
    });
    assert!(
        error.contains("of 1000000 integers; supported are 64"),
        "{error}"
    );
    let error = bomb(|onnx| onnx.constant("half").dims = vec![1; 100_000]);
    assert!(
        error.contains("`half`: 100000 dimensions; supported are 8"),
        "{error}"
    );
    let error = bomb(|onnx| onnx.constant("half").dims = vec![i64::MAX, i64::MAX, 3]);
    assert!(error.contains(MANY), "{error}");
}

/// As many nodes as are taken, each of a kind whose cost could grow with what was there before.
#[test]
fn as_many_nodes_as_are_supported_end_in_time() {
    for (op, more) in [
        ("Identity", None),
        ("Relu", None),
        ("Slice", Some(())),
        ("Add", None),
    ] {
        let mut onnx = TinyOnnx::conformer();
        let nodes = onnx.graph().node.len();
        for i in nodes..10_000 {
            let from = if i == nodes || more.is_some() {
                "x".into()
            } else {
                format!("value_{}", i - 1)
            };
            let to = format!("value_{i}");
            match more {
                Some(()) => onnx.slice(&from, &to, 0, 3),
                None if op == "Add" => drop(onnx.node(op, &[&from, "x"], &to)),
                None => drop(onnx.node(op, &[&from], &to)),
            }
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        onnx.write(file.path());
        let (start, config) = (Instant::now(), Config::load(None).unwrap());
        let outcome = Compiler::open(file.path(), None, &config).map(|_| ());
        println!(
            "10000 nodes, most of them {op}: {:?}, {outcome:?}",
            start.elapsed()
        );
        assert!(start.elapsed() < LONGEST, "{op}: {:?}", start.elapsed());
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % limit.max(1)
    }

    fn of<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }
}

const NUMBERS: [i64; 14] = [
    0,
    1,
    -1,
    2,
    3,
    4,
    7,
    8,
    10,
    64,
    100_000,
    -5,
    i64::MAX,
    i64::MIN,
];

const OPS: [&str; 54] = [
    "Add",
    "Sub",
    "Mul",
    "Div",
    "Pow",
    "MatMul",
    "Gemm",
    "Conv",
    "Concat",
    "Split",
    "Slice",
    "Gather",
    "Reshape",
    "Flatten",
    "Squeeze",
    "Unsqueeze",
    "Transpose",
    "Expand",
    "Shape",
    "Identity",
    "Cast",
    "Dropout",
    "Softmax",
    "Sigmoid",
    "Relu",
    "Clip",
    "HardSigmoid",
    "HardSwish",
    "Swish",
    "BatchNormalization",
    "LayerNormalization",
    "RMSNormalization",
    "ReduceMean",
    "Sqrt",
    "Reciprocal",
    "Attention",
    "QuantizeLinear",
    "DequantizeLinear",
    "Constant",
    "ConstantOfShape",
    "Range",
    "Tile",
    "Pad",
    "Where",
    "Equal",
    "If",
    "Loop",
    "LSTM",
    "Trilu",
    "CumSum",
    "ScatterND",
    "GatherElements",
    "ReduceSum",
    "OneHot",
];

/// Sets an element, where there is one.
fn set<T>(values: &mut [T], value: T, index: usize) {
    if let Some(element) = values.get_mut(index) {
        *element = value;
    }
}

/// Changes one thing that a graph says.
fn mutate(model: &mut ModelProto, random: &mut Random) {
    let Some(graph) = &mut model.graph else {
        return;
    };
    let nodes = graph.node.len();
    let inputs = graph.node.iter().flat_map(|node| &node.input);
    let names: Vec<String> = inputs
        .chain(graph.node.iter().flat_map(|node| &node.output))
        .cloned()
        .collect();
    let at = random.below(nodes);
    let number = *random.of(&NUMBERS);
    match random.below(16) {
        0 => graph.node[at].op_type = random.of(&OPS).to_string(),
        1 | 2 => {
            let input = random.below(graph.node[at].input.len());
            if let Some(input) = graph.node[at].input.get_mut(input) {
                *input = random.of(&names).clone();
            }
        }
        3 => drop(graph.node[at].input.pop()),
        4 => drop(graph.node[at].output.pop()),
        5 => graph.node[at].input.push(random.of(&names).clone()),
        6 => graph.node[at]
            .output
            .push(random.of(&names).clone() + "_new"),
        7 => {
            if let Some(attribute) = graph.node[at].attribute.first_mut() {
                attribute.i = number;
                let index = random.below(attribute.ints.len());
                set(&mut attribute.ints, number, index);
            }
        }
        8 => {
            let name = *random.of(&[
                "axis", "perm", "axes", "transA", "transB", "group", "pads", "split", "start",
                "alpha",
            ]);
            let node = &mut graph.node[at];
            match random.below(3) {
                0 => node.int(name, number),
                1 => node.float(name, number as f32),
                _ => node.ints(name, &[number, *random.of(&NUMBERS)]),
            }
        }
        9 | 10 => {
            let constant = random.below(graph.initializer.len());
            mutate_tensor(&mut graph.initializer[constant], number, random);
        }
        11 => {
            let node = graph.node.remove(at);
            graph.node.insert(random.below(nodes), node);
        }
        12 => {
            let mut node = graph.node[at].clone();
            node.output
                .iter_mut()
                .for_each(|output| *output += "_again");
            graph.node.push(node);
        }
        13 => drop(graph.node.remove(at)),
        14 => {
            let mut builder = OnnxBuilder::default();
            let dims: Vec<usize> = (0..random.below(4))
                .map(|_| number.unsigned_abs() as usize >> 1)
                .collect();
            let input = random.below(graph.input.len());
            builder.input(&graph.input[input].name, &dims);
            graph.input[input] = builder.graph.input.remove(0);
        }
        _ => {
            let output = random.below(graph.output.len());
            graph.output[output].name = random.of(&names).clone();
        }
    }
}

fn mutate_tensor(tensor: &mut TensorProto, number: i64, random: &mut Random) {
    match random.below(6) {
        0 => tensor.dims.push(number),
        1 => drop(tensor.dims.pop()),
        2 => tensor
            .dims
            .iter_mut()
            .take(1)
            .for_each(|size| *size = number),
        3 => tensor.data_type = random.below(25) as i32,
        4 => {
            let index = random.below(tensor.int64_data.len());
            set(&mut tensor.int64_data, number, index);
        }
        _ => {
            let value = *random.of(&[0.0, -1.0, f32::INFINITY, 1e38, 1e-38, f32::NAN]);
            let index = random.below(tensor.float_data.len());
            set(&mut tensor.float_data, value, index);
        }
    }
}

/// Graphs of valid protobuf with up to three things changed, and files with bytes changed. What is taken is compiled.
#[test]
fn changed_graphs_and_changed_bytes_give_an_image_or_an_error_of_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.onnx");
    let config = Config::load(None).unwrap();
    let recordings = [recording(1, 16000)];
    let whole = {
        TinyOnnx::conformer().write(&path);
        fs::read(&path).unwrap()
    };
    let (mut taken, mut refused, mut failed, mut gave_up) = (0, 0, 0, 0);
    let mut slowest = (Duration::ZERO, 0);
    for seed in 0..FILES {
        let mut random = Random(seed);
        let bytes = if seed % 3 > 0 {
            let mut model = ModelProto::decode(&*whole).unwrap();
            (0..1 + seed % 3).for_each(|_| mutate(&mut model, &mut random));
            model.encode_to_vec()
        } else {
            let mut bytes = whole.clone();
            for _ in 0..1 + random.below(4) {
                let at = random.below(bytes.len());
                bytes[at] = random.below(256) as u8;
            }
            bytes.truncate(bytes.len() - random.below(2) * random.below(bytes.len()));
            bytes
        };
        fs::write(&path, bytes).unwrap();
        let start = Instant::now();
        let outcome = catch_unwind(|| {
            let compiler = Compiler::open(&path, None, &config)?;
            compiler.compile(&recordings, Method::MinMax).map(drop)
        });
        slowest = slowest.max((start.elapsed(), seed));
        let outcome = outcome.unwrap_or_else(|_| panic!("seed {seed} panics"));
        match outcome.map_err(|error| (error.exit_code(), error.to_string())) {
            Ok(()) => taken += 1,
            Err((code, error)) => {
                assert_eq!(error.lines().count(), 1, "seed {seed}: {error}");
                gave_up += usize::from(error.contains("tract gave up"));
                match code {
                    1 => failed += 1,
                    _ => refused += 1,
                }
            }
        }
    }
    println!(
        "{FILES} files: {taken} compiled, {refused} refused, {failed} failed a check, {gave_up} by a panic of tract; \
         slowest {slowest:?}"
    );
    assert!(taken > 50 && refused > 300, "{taken} {refused}");
    assert!(slowest.0 < LONGEST, "{slowest:?}");
}
