//! What comes from other people's tools and folders: compiled, or refused with what to do.

use std::fs;

use tempfile::TempDir;
use tract_onnx::pb::tensor_proto::DataLocation;
use tract_onnx::pb::{StringStringEntryProto, TensorProto};
use tract_onnx::prelude::{DatumType, tensor1};

use super::*;
use crate::onnx_builder::WithAttributes;

fn image_of(path: &Path) -> Result<ImageFile> {
    let recordings: Vec<_> = (1..10).map(|seed| recording(seed, 16000)).collect();
    let config = Config::load(None)?;
    let (image, _) = Compiler::open(path, None, &config)?.compile(&recordings, Method::Auto)?;
    Ok(image)
}

fn refusal(path: &Path) -> String {
    let config = Config::load(None).unwrap();
    let error = Compiler::open(path, None, &config).err().expect("an error");
    let (code, error) = (error.exit_code(), error.to_string());
    assert_eq!((code, error.lines().count()), (2, 1), "{error}");
    assert!(
        error.starts_with(&format!("{}: ", path.display())),
        "{error}"
    );
    error
}

/// The small network in two files, as PyTorch's dynamo exporter writes it: `tiny.onnx` and, for tensors of 256 bytes
/// or more, `location`.
fn in_two_files(location: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model").join("tiny.onnx");
    fs::create_dir(path.parent().unwrap()).unwrap();
    let mut onnx = TinyOnnx::conformer();
    let mut data = Vec::new();
    for tensor in &mut onnx.graph().initializer {
        let bytes: Vec<u8> = tensor
            .float_data
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        if bytes.len() < 256 {
            continue;
        }
        let entry = |key: &str, value: String| StringStringEntryProto {
            key: key.into(),
            value,
        };
        tensor.external_data = vec![
            entry("location", location.into()),
            entry("offset", data.len().to_string()),
            entry("length", bytes.len().to_string()),
        ];
        tensor.data_location = Some(DataLocation::External as i32);
        tensor.float_data.clear();
        data.extend(bytes);
    }
    onnx.write(&path);
    fs::write(path.parent().unwrap().join(location), data).unwrap();
    (folder, path)
}

#[test]
fn weights_in_a_file_beside_the_model_are_the_models() {
    let (_folder, path) = in_two_files("tiny.onnx.data");
    let expected = compiled(&TinyOnnx::conformer()).unwrap();
    assert!(image_of(&path).unwrap().bytes() == expected.bytes());
    let data = path.with_file_name("tiny.onnx.data");
    let whole = fs::read(&data).unwrap();
    fs::write(&data, &whole[..whole.len() - 1]).unwrap();
    let error = refusal(&path);
    assert!(
        error.contains("\"tiny.onnx.data\", which is cut short"),
        "{error}"
    );
    fs::write(&data, "version https://git-lfs.github.com/spec/v1\n").unwrap();
    let error = refusal(&path);
    assert!(error.contains("git lfs pull"), "{error}");
    fs::remove_file(&data).unwrap();
    let error = refusal(&path);
    let expected = "`in.weight`: its data are in ";
    assert!(
        error.contains(expected) && error.contains("tiny.onnx.data, which cannot be read"),
        "{error}"
    );
}

#[test]
fn nothing_outside_of_the_models_folder_is_read() {
    let (_up, up) = in_two_files("../tiny.onnx.data");
    let elsewhere = tempfile::tempdir().unwrap();
    let (_absolute, absolute) = in_two_files(elsewhere.path().join("data").to_str().unwrap());
    let mut paths = vec![up, absolute];
    #[cfg(unix)]
    let _linked = {
        let (linked, path) = in_two_files("tiny.onnx.data");
        let data = path.with_file_name("tiny.onnx.data");
        fs::rename(&data, linked.path().join("data")).unwrap();
        std::os::unix::fs::symlink("../data", data).unwrap();
        paths.push(path);
        linked
    };
    for path in paths {
        let error = refusal(&path);
        assert!(error.contains("outside of the model's folder"), "{error}");
    }
}

#[test]
fn a_git_lfs_pointer_and_what_is_no_onnx_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pointer.onnx");
    fs::write(
        &path,
        "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1234567\n",
    )
    .unwrap();
    let error = refusal(&path);
    assert!(
        error.contains("is a Git LFS pointer") && error.contains("git lfs pull"),
        "{error}"
    );
    fs::write(&path, "PK\u{3}\u{4} an archive").unwrap();
    assert!(refusal(&path).contains("cannot be read as ONNX"));
    fs::write(&path, "").unwrap();
    assert!(refusal(&path).contains("without a graph"));
}

#[test]
fn a_weight_that_is_no_number_is_named() {
    let mut onnx = TinyOnnx::conformer();
    onnx.values("up.weight")[3] = f32::NAN;
    let error = message(&onnx);
    assert!(error.contains("`up.weight`: element 3 is NaN"), "{error}");
    let mut onnx = TinyOnnx::conformer();
    onnx.values("up.weight")[3] = f32::INFINITY;
    let error = message(&onnx);
    assert!(
        error.contains("weights of `up` are NaN or infinite"),
        "{error}"
    );
    // Folded, the root of what is less than 0.
    let mut onnx = TinyOnnx::conformer();
    onnx.values("norm.variance")[0] = -1.0;
    let error = message(&onnx);
    assert!(error.contains("are NaN or infinite"), "{error}");
}

/// Stores a tensor's floats as another type, which the values have exactly.
fn stored_as(tensor: &mut TensorProto, data_type: DataType) {
    let floats: Vec<f32> = std::mem::take(&mut tensor.float_data);
    let cast = |to| tensor1(&floats).cast_to_dt(to).unwrap().as_bytes().to_vec();
    tensor.raw_data = match data_type {
        DataType::Bfloat16 => floats
            .iter()
            .flat_map(|value| value.to_le_bytes()[2..].to_vec())
            .collect(),
        DataType::Float16 => cast(DatumType::F16),
        _ => cast(DatumType::F64),
    };
    tensor.data_type = data_type as i32;
}

#[test]
fn weights_of_other_floats_give_the_image_of_float32() {
    for data_type in [DataType::Float16, DataType::Bfloat16, DataType::Double] {
        let mut rounded = TinyOnnx::conformer();
        // Seven bits, which all of them hold.
        let round = |value: &mut f32| *value = (*value * 64.0).round() / 64.0;
        for tensor in &mut rounded.graph().initializer {
            tensor.float_data.iter_mut().for_each(round);
        }
        let expected = compiled(&rounded).unwrap();
        for tensor in &mut rounded.graph().initializer {
            if tensor.data_type == DataType::Float as i32 {
                stored_as(tensor, data_type);
            }
        }
        // With casts at the ends, as a converter leaves them.
        rounded.rename("features", "wide");
        rounded
            .node("Cast", &["features"], "wide")
            .int("to", data_type as i64);
        rounded.graph().node.rotate_right(1);
        let image = compiled(&rounded).unwrap_or_else(|error| panic!("{data_type:?}: {error}"));
        assert!(image.bytes() == expected.bytes(), "{data_type:?}");
    }
}

#[test]
fn a_softmax_at_the_end_is_to_be_left_out() {
    for op in ["Softmax", "LogSoftmax"] {
        let mut onnx = TinyOnnx::conformer();
        onnx.rename("logits", "scores_of_classes");
        onnx.node(op, &["scores_of_classes"], "logits")
            .int("axis", -1);
        let error = message(&onnx);
        assert!(
            error.contains(&format!("node `logits` ({op} of [2, 3])")),
            "{error}"
        );
        assert!(
            error.contains("must be the `logits`, before the Softmax")
                && error.contains("leave it out"),
            "{error}"
        );
    }
}

#[test]
fn a_constant_with_a_zero_point_is_taken_and_weights_with_one_are_said() {
    // As onnxruntime's quantize_static makes them where nothing is said: constants have the type of activations.
    let mut onnx = TinyOnnx::conformer();
    onnx.quantize("half", &[0.5 / 255.0], &[-128], DataType::Int8);
    onnx.quantize("up.weight", &[0.02], &[12], DataType::Int8);
    let file = tempfile::NamedTempFile::new().unwrap();
    onnx.write(file.path());
    let image = image_of(file.path()).unwrap();
    assert!(image.image().is_ok());
    let [(name, why)] = &graph(file.path()).unwrap().left_out[..] else {
        panic!("one constant");
    };
    assert!(
        name == "up.weight.real" && why.contains("WeightSymmetric"),
        "{name}: {why}"
    );
}

#[test]
fn another_architecture_is_said_before_metadata_is_asked_for() {
    let mut onnx = TinyOnnx::conformer();
    onnx.metadata.clear();
    let error = message(&onnx);
    assert!(error.contains("no metadata `zerda.labels`"), "{error}");
    onnx.edit("up_act").op_type = "LSTM".into();
    let error = message(&onnx);
    assert!(
        error.contains("no operator of Zerda computes this"),
        "{error}"
    );
}

#[test]
fn a_least_or_largest_of_many_constants_is_computed() {
    let expected = compiled(&TinyOnnx::conformer()).unwrap();
    for (op, others) in [("Min", 1.5), ("Max", -1.5)] {
        let mut onnx = TinyOnnx::conformer();
        onnx.constant("half").name = "least".into();
        let mut other = onnx.constant("least").clone();
        (other.name, other.raw_data) = ("other".into(), f32::to_ne_bytes(others).to_vec());
        other.float_data.clear();
        onnx.graph().initializer.push(other);
        let mut inputs = vec!["other"; 2_000];
        inputs[1_234] = "least";
        onnx.node(op, &inputs, "half");
        onnx.graph().node.rotate_right(1);
        assert!(compiled(&onnx).unwrap().bytes() == expected.bytes(), "{op}");
    }
}

#[test]
fn a_value_that_only_its_shape_is_asked_of_is_compiled_without_it() {
    let mut onnx = TinyOnnx::conformer();
    onnx.node("HardSwish", &["x"], "unread");
    onnx.node("Shape", &["unread"], "its_shape");
    let expected = compiled(&TinyOnnx::conformer()).unwrap();
    assert!(compiled(&onnx).unwrap().bytes() == expected.bytes());
}

#[test]
fn recordings_that_say_nothing_and_a_network_that_hears_nothing_are_errors() {
    let file = tempfile::NamedTempFile::new().unwrap();
    TinyOnnx::conformer().write(file.path());
    let config = Config::load(None).unwrap();
    let compiler = Compiler::open(file.path(), None, &config).unwrap();
    let failed =
        |recordings: &[Vec<i16>]| compiler.compile(recordings, Method::Auto).err().unwrap();
    for (recordings, expected) in [
        (
            vec![recording(1, 160)],
            "last 10 ms together; expected 500 ms or more",
        ),
        (vec![], "last 0 ms together"),
        (vec![vec![0; 16000]], "hold silence"),
        (vec![vec![-3; 80000], vec![20; 80000]], "hold silence"),
    ] {
        let error = failed(&recordings);
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains(expected), "{error}");
    }
    // What other systems leave in a folder is none.
    let folder = tempfile::tempdir().unwrap();
    zerda_support::audio::write(&folder.path().join("a.wav"), &recording(1, 16_000)).unwrap();
    fs::write(folder.path().join("._a.wav"), b"\0\x05\x16\x07Mac OS X").unwrap();
    let recordings = calibrate::recordings(&[folder.path().into()]).unwrap();
    assert_eq!(recordings, [recording(1, 16_000)]);
    // 26 minutes at 1 kHz, twice.
    let long = tempfile::NamedTempFile::new().unwrap();
    let bytes = 26 * 60_000u32;
    let mut wav = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
    wav.extend([1_000, 1_000].map(u32::to_le_bytes).concat());
    wav.extend(b"\x01\0\x08\0data");
    wav.extend(bytes.to_le_bytes());
    wav.resize(44 + bytes as usize, 0x80);
    fs::write(long.path(), wav).unwrap();
    let error = calibrate::recordings(&[long.path().into(), long.path().into()]).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(
        error
            .to_string()
            .contains("last longer than 50 minutes together"),
        "{error}"
    );
    let mut deaf = TinyOnnx::conformer();
    deaf.values("in.weight").fill(0.0);
    let error = message(&deaf);
    assert!(
        error.contains("the same logits of all recordings as of silence"),
        "{error}"
    );
    // Finite weights whose products are not.
    let mut large = TinyOnnx::conformer();
    large.scale_rows("up.weight", |_| 1e30);
    large.scale_rows("down.weight", |_| 1e30);
    let error = message(&large);
    assert!(error.contains("NaN or infinity, first in `"), "{error}");
}
