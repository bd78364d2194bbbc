//! Reads an ONNX file with the data that lie beside it, and makes float32 of all other floats in it.

use std::collections::HashMap;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path};

use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::{DataLocation, DataType};
use tract_onnx::pb::{GraphProto, ModelProto, TensorProto, type_proto};
use tract_onnx::prelude::*;
use zerda_support::error::{Error, Result};
use zerda_support::files::{self, IS_LFS_POINTER, LFS_POINTER};

use super::limits::{self, Budget};
use super::load;
use super::wire;
use crate::guard::cause;

/// Reads a model; the data of all its tensors are in it, and its floats are float32.
pub fn read(path: &Path, budget: &Budget) -> Result<ModelProto> {
    let in_file = |reason: String| Error::usage(format!("{}: {reason}", path.display()));
    let mut bytes = Vec::new();
    files::open(path)
        .and_then(|file| file.take(limits::MOST_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| Error::read(path, error))?;
    if bytes.starts_with(LFS_POINTER) {
        return Err(in_file(IS_LFS_POINTER.into()));
    }
    if bytes.len() as u64 > limits::MOST_BYTES {
        return Err(in_file(format!(
            "is larger than {} bytes, which is the most that is supported",
            limits::MOST_BYTES
        )));
    }
    wire::check(&bytes).map_err(in_file)?;
    let model = tract_onnx::onnx().proto_model_for_read(&mut &bytes[..]);
    let mut model =
        model.map_err(|error| in_file(format!("cannot be read as ONNX: {}", cause(&error))))?;
    let Some(graph) = &mut model.graph else {
        return Err(in_file("an ONNX file without a graph".into()));
    };
    limits::check(graph).map_err(in_file)?;
    for (name, tensor) in tensors(graph) {
        complete(path, tensor, budget).map_err(|why| in_file(format!("`{name}`: {why}")))?;
    }
    float32(graph);
    Ok(model)
}

/// Iterates over all constants, with the name that a person finds each by.
fn tensors(graph: &mut GraphProto) -> impl Iterator<Item = (String, &mut TensorProto)> {
    let initializers = graph.initializer.iter_mut();
    let initializers = initializers.map(|tensor| (tensor.name.clone(), tensor));
    let attributes = graph.node.iter_mut().flat_map(|node| {
        let name = node.output.first().unwrap_or(&node.name).clone();
        let attributes = node.attribute.iter_mut();
        let tensors =
            attributes.flat_map(|attribute| attribute.t.iter_mut().chain(&mut attribute.tensors));
        tensors.map(move |tensor| (name.clone(), tensor))
    });
    initializers.chain(attributes)
}

/// Checks a tensor's size and values, reads its data where they lie beside the model, and makes it float32 if it has
/// other floats.
fn complete(model: &Path, tensor: &mut TensorProto, budget: &Budget) -> Result<(), String> {
    if tensor.dims.len() > limits::MOST_DIMENSIONS {
        let dimensions = tensor.dims.len();
        return Err(format!(
            "{dimensions} dimensions; supported are {}",
            limits::MOST_DIMENSIONS
        ));
    }
    if tensor.dims.iter().any(|&size| size < 0) {
        return Err(format!("a negative dimension in {:?}", tensor.dims));
    }
    let elements = limits::product(tensor.dims.iter().map(|&size| size as u64));
    budget.take(elements)?;
    let data_type = DataType::try_from(tensor.data_type);
    let size = data_type.ok().and_then(size);
    let bytes = size.map(|size| elements * size);
    if tensor.data_location == Some(DataLocation::External as i32) {
        let bytes = bytes.ok_or_else(|| {
            format!("elements of {data_type:?} in a file of their own, which are not read")
        })?;
        tensor.raw_data = beside(model, tensor, bytes)?;
        (tensor.data_location, tensor.external_data) = (None, Vec::new());
    }
    if let Some(bytes) =
        bytes.filter(|&bytes| !tensor.raw_data.is_empty() && bytes != tensor.raw_data.len() as u64)
    {
        return Err(format!(
            "its data have {} bytes, but {:?} takes {bytes}; the file is damaged, export it again",
            tensor.raw_data.len(),
            tensor.dims
        ));
    }
    let floats = match data_type {
        Ok(DataType::Bfloat16) => bfloat16(tensor),
        Ok(DataType::Float | DataType::Float16 | DataType::Double) => {
            let loaded = load(tensor)?;
            super::floats(&loaded)?
        }
        _ => return Ok(()),
    };
    if let Some(index) = floats.iter().position(|value| value.is_nan()) {
        return Err(format!(
            "element {index} is NaN: such a model hears nothing; export it from a training that did not diverge"
        ));
    }
    if data_type != Ok(DataType::Float) {
        *tensor = TensorProto {
            name: std::mem::take(&mut tensor.name),
            dims: std::mem::take(&mut tensor.dims),
            data_type: DataType::Float as i32,
            raw_data: floats
                .iter()
                .flat_map(|value| value.to_ne_bytes())
                .collect(),
            ..Default::default()
        };
    }
    Ok(())
}

fn size(data_type: DataType) -> Option<u64> {
    match data_type {
        DataType::Uint8 | DataType::Int8 | DataType::Bool => Some(1),
        DataType::Uint16 | DataType::Int16 | DataType::Float16 | DataType::Bfloat16 => Some(2),
        DataType::Float | DataType::Int32 | DataType::Uint32 => Some(4),
        DataType::Int64 | DataType::Uint64 | DataType::Double => Some(8),
        _ => None,
    }
}

/// Returns a tensor's bfloat16, which are the upper halves of float32.
fn bfloat16(tensor: &TensorProto) -> Vec<f32> {
    let widened = |half: u16| f32::from_bits(u32::from(half) << 16);
    let raw = tensor.raw_data.as_chunks::<2>().0.iter();
    let raw = raw.map(|&bytes| u16::from_le_bytes(bytes));
    let numbers = tensor.int32_data.iter().map(|&number| number as u16);
    raw.chain(numbers).map(widened).collect()
}

/// Reads the data of a tensor from the file beside the model that it names.
fn beside(model: &Path, tensor: &TensorProto, bytes: u64) -> Result<Vec<u8>, String> {
    let entries: HashMap<_, _> = tensor
        .external_data
        .iter()
        .map(|entry| (&*entry.key, &*entry.value))
        .collect();
    let number = |key| match entries.get(key).map(|value| value.parse::<u64>()) {
        None => Ok(None),
        Some(Ok(number)) => Ok(Some(number)),
        Some(Err(_)) => Err(format!(
            "the {key} {:?} of its data is no number",
            entries[key]
        )),
    };
    let location = *entries
        .get("location")
        .ok_or("its data are in another file, which is not named")?;
    let (offset, length) = (
        number("offset")?.unwrap_or(0),
        number("length")?.unwrap_or(bytes),
    );
    if length != bytes {
        return Err(format!(
            "its data have {length} bytes in {location:?}, but {:?} takes {bytes}",
            tensor.dims
        ));
    }
    let outside = || {
        format!(
            "its data are in {location:?}, outside of the model's folder, where nothing is read"
        )
    };
    let inside = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    if !Path::new(location).components().all(inside) {
        return Err(outside());
    }
    let folder = model.parent().filter(|parent| *parent != Path::new(""));
    let folder = folder.unwrap_or(Path::new("."));
    let unreadable = |error: std::io::Error| {
        format!(
            "its data are in {}, which cannot be read: {error}; an ONNX file of this kind needs that file beside it",
            folder.join(location).display()
        )
    };
    let file = folder.join(location).canonicalize().map_err(unreadable)?;
    if !file.starts_with(folder.canonicalize().map_err(unreadable)?) {
        return Err(outside());
    }
    let kind = file.metadata().map_err(unreadable)?;
    if !kind.is_file() {
        return Err(format!("its data are in {location:?}, which is no file"));
    }
    let mut file = files::open(&file).map_err(unreadable)?;
    let mut data = Vec::new();
    if offset.checked_add(bytes).is_none_or(|end| end > kind.len()) {
        file.take(LFS_POINTER.len() as u64)
            .read_to_end(&mut data)
            .map_err(unreadable)?;
        if data == LFS_POINTER {
            return Err(format!(
                "its data are in {location:?}, which {IS_LFS_POINTER}"
            ));
        }
        return Err(format!(
            "its data are bytes {offset} to {} of {location:?}, which is cut short: it has {}",
            offset.saturating_add(bytes),
            kind.len()
        ));
    }
    file.seek(SeekFrom::Start(offset)).map_err(unreadable)?;
    file.take(bytes)
        .read_to_end(&mut data)
        .map_err(unreadable)?;
    Ok(data)
}

/// Makes values and casts of other floats float32.
fn float32(graph: &mut GraphProto) {
    let floats =
        [DataType::Float16, DataType::Bfloat16, DataType::Double].map(|other| other as i32);
    for value in graph.input.iter_mut().chain(&mut graph.output) {
        let kind = value.r#type.as_mut().and_then(|kind| kind.value.as_mut());
        if let Some(type_proto::Value::TensorType(tensor)) = kind
            && floats.contains(&tensor.elem_type)
        {
            tensor.elem_type = DataType::Float as i32;
        }
    }
    // What exporters say of the values between follows from these.
    graph.value_info.clear();
    let casts = graph.node.iter_mut().filter(|node| node.op_type == "Cast");
    for attribute in casts.flat_map(|node| &mut node.attribute) {
        if attribute.name == "to" && floats.contains(&(attribute.i as i32)) {
            (attribute.i, attribute.r#type) = (DataType::Float as i64, AttributeType::Int as i32);
        }
    }
}
