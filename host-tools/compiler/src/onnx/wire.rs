//! Bounds what decoding an ONNX file takes, by a walk over its bytes that keeps none of them.
//!
//! Protobuf writes an empty node in 2 bytes, of which some 200 come when it is decoded: what is small as a file can be
//! gigabytes in memory. So the parts are counted before, by the numbers that `onnx.proto` gives their fields; a field that
//! it does not have is not kept by the decoder either.

use tract_onnx::pb::{
    AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    SparseTensorProto, StringStringEntryProto, TensorAnnotation, TensorProto, TensorShapeProto,
    TrainingInfoProto, TypeProto, ValueInfoProto, tensor_shape_proto, type_proto,
};

use super::limits::{MOST_DECODED_BYTES, MOST_NODES};

/// Messages lie within each other no deeper than this; the decoder takes as many.
const DEEPEST: usize = 100;

/// Checks the number of nodes of a whole file, those of subgraphs and functions included, and the bytes that it takes
/// when it is decoded.
pub fn check(file: &[u8]) -> Result<(), String> {
    let mut counted = Counted { nodes: 0, bytes: 0 };
    let whole = counted.message(Kind::Model, file, DEEPEST);
    let (nodes, bytes) = (counted.nodes, counted.bytes);
    if nodes > MOST_NODES {
        return Err(format!("{nodes} nodes; supported are {MOST_NODES}"));
    }
    if bytes > MOST_DECODED_BYTES {
        return Err(format!(
            "takes {} MiB when it is decoded; supported are {} MiB",
            bytes >> 20,
            MOST_DECODED_BYTES >> 20
        ));
    }
    whole.ok_or_else(|| {
        "cannot be read as ONNX: it is damaged, cut short or another kind of file".into()
    })
}

/// Tells what a field holds.
#[derive(Clone, Copy)]
enum Kind {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    SparseTensor,
    Value,
    Type,
    TensorType,
    Shape,
    Dimension,
    Entry,
    Annotation,
    Training,
    Function,
    OperatorSet,
    /// Integers of a byte or more each.
    Integers,
    /// Text, bytes or floats, which take in memory what they take in the file.
    Bytes,
}

impl Kind {
    /// Returns what the field of a number holds in a message.
    fn field(self, number: u64) -> Kind {
        match (self, number) {
            (Kind::Model, 7) | (Kind::Training, 1 | 2) | (Kind::Attribute, 6 | 11) => Kind::Graph,
            (Kind::Graph, 1) | (Kind::Function, 7) => Kind::Node,
            (Kind::Node, 5) => Kind::Attribute,
            (Kind::Graph, 5) | (Kind::Attribute, 5 | 10) | (Kind::SparseTensor, 1 | 2) => {
                Kind::Tensor
            }
            (Kind::Graph, 15) | (Kind::Attribute, 22 | 23) => Kind::SparseTensor,
            (Kind::Graph, 11..=13) => Kind::Value,
            (Kind::Value, 2) | (Kind::Attribute, 15) => Kind::Type,
            (Kind::Type, 1) => Kind::TensorType,
            (Kind::TensorType, 2) => Kind::Shape,
            (Kind::Shape, 1) => Kind::Dimension,
            (Kind::Model, 14)
            | (Kind::Tensor, 13)
            | (Kind::Annotation, 2)
            | (Kind::Training, 3 | 4) => Kind::Entry,
            (Kind::Graph, 14) => Kind::Annotation,
            (Kind::Model, 20) => Kind::Training,
            (Kind::Model, 25) => Kind::Function,
            (Kind::Model, 8) | (Kind::Function, 9) => Kind::OperatorSet,
            (Kind::Tensor, 1 | 5 | 7 | 11) | (Kind::SparseTensor, 3) | (Kind::Attribute, 8) => {
                Kind::Integers
            }
            _ => Kind::Bytes,
        }
    }

    /// Returns the bytes that a field of this kind takes in memory by itself, where it takes `length` in the file.
    fn decoded(self, length: usize) -> usize {
        match self {
            Kind::Model => size_of::<ModelProto>(),
            Kind::Graph => size_of::<GraphProto>(),
            Kind::Node => size_of::<NodeProto>(),
            Kind::Attribute => size_of::<AttributeProto>(),
            Kind::Tensor => size_of::<TensorProto>(),
            Kind::SparseTensor => size_of::<SparseTensorProto>(),
            Kind::Value => size_of::<ValueInfoProto>(),
            Kind::Type => size_of::<TypeProto>(),
            Kind::TensorType => size_of::<type_proto::Tensor>(),
            Kind::Shape => size_of::<TensorShapeProto>(),
            Kind::Dimension => size_of::<tensor_shape_proto::Dimension>(),
            Kind::Entry => size_of::<StringStringEntryProto>(),
            Kind::Annotation => size_of::<TensorAnnotation>(),
            Kind::Training => size_of::<TrainingInfoProto>(),
            Kind::Function => size_of::<FunctionProto>(),
            Kind::OperatorSet => size_of::<OperatorSetIdProto>(),
            Kind::Integers => size_of::<Vec<i64>>() + size_of::<i64>() * length,
            Kind::Bytes => size_of::<String>() + length,
        }
    }

    fn is_message(self) -> bool {
        !matches!(self, Kind::Integers | Kind::Bytes)
    }
}

/// Counts the nodes, and the bytes that all parts take in memory.
struct Counted {
    nodes: usize,
    bytes: u64,
}

impl Counted {
    /// Counts what is in a message; `None` where it is no protobuf, or messages lie in each other deeper than `deepest`.
    fn message(&mut self, kind: Kind, mut rest: &[u8], deepest: usize) -> Option<()> {
        self.nodes += usize::from(matches!(kind, Kind::Node));
        while !rest.is_empty() {
            let tag = varint(&mut rest)?;
            let field = kind.field(tag >> 3);
            // The wire types: a number of some bytes, of 8, of 4, or a length with so many bytes.
            let length = match tag & 7 {
                0 => varint(&mut rest).map(|_| 0)?,
                1 => 8,
                2 => usize::try_from(varint(&mut rest)?).ok()?,
                5 => 4,
                _ => return None,
            };
            let value = rest.split_off(..length)?;
            match field.is_message() {
                true if tag & 7 != 2 => return None,
                true => {
                    self.bytes += field.decoded(length) as u64;
                    self.message(field, value, deepest.checked_sub(1)?)?;
                }
                false if tag & 7 == 2 => self.bytes += field.decoded(length) as u64,
                // One number of several, at most.
                false => self.bytes += size_of::<i64>() as u64,
            }
        }
        Some(())
    }
}

/// Takes an integer of up to 10 bytes, 7 bits in each, from the bytes.
fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for at in 0..10 {
        let byte = *rest.split_off_first()?;
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field of bytes by the numbers of onnx.proto.
    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let mut field = vec![number << 3 | 2];
        let mut length = bytes.len();
        while length >= 0x80 {
            field.push(length as u8 | 0x80);
            length >>= 7;
        }
        field.push(length as u8);
        field.extend(bytes);
        field
    }

    /// A model whose graph has these bytes.
    fn model(graph: &[u8]) -> Vec<u8> {
        field(7, graph)
    }

    /// A node with one attribute.
    fn node(attribute: &[u8]) -> Vec<u8> {
        field(1, &field(5, attribute))
    }

    #[test]
    fn nodes_are_counted_wherever_they_are() {
        const EMPTY: &[u8] = &[1 << 3 | 2, 0];
        let many = EMPTY.repeat(6_000);
        check(&model(&many)).unwrap();
        let subgraph = node(&field(6, &many));
        let several = node(&field(11, &many));
        let function = field(7, b"").repeat(6_000);
        for file in [
            [model(&many), model(&many)].concat(),
            model(&[&subgraph[..], &many].concat()),
            model(&[subgraph, several].concat()),
            // A function's number has two bytes.
            [&[0xca, 0x01][..], &field(0, &function)[1..], &model(&many)].concat(),
        ] {
            let error = check(&file).unwrap_err();
            assert!(error.contains("nodes; supported are 10000"), "{error}");
        }
        let million = check(&model(&EMPTY.repeat(1_000_000))).unwrap_err();
        assert_eq!(million, "1000000 nodes; supported are 10000");
    }

    #[test]
    fn graphs_within_graphs_end_at_a_depth() {
        let nested = |depth| (0..depth).fold(Vec::new(), |graph, _| node(&field(6, &graph)));
        check(&model(&nested(30))).unwrap();
        let error = check(&model(&nested(3_000))).unwrap_err();
        assert!(error.contains("cannot be read as ONNX"), "{error}");
    }

    #[test]
    fn what_is_small_and_would_be_large_is_refused() {
        let file = |number: u8| model(&field(number, b"").repeat(4 << 20));
        let attributes = model(&field(1, &field(5, b"").repeat(1 << 20)));
        let integers = model(&field(5, &field(7, &vec![1; 40 << 20])));
        let names = model(&field(1, &field(1, b"").repeat(16 << 20)));
        // Initializers, inputs, outputs and values between.
        for file in [
            file(5),
            file(11),
            file(12),
            file(13),
            attributes,
            integers,
            names,
        ] {
            let error = check(&file).unwrap_err();
            assert!(error.contains("MiB when it is decoded"), "{error}");
        }
        let weights = model(&field(5, &field(9, &vec![0; 60 << 20])));
        check(&weights).unwrap();
    }

    #[test]
    fn any_bytes_are_answered() {
        let good = model(&[node(&field(6, &node(b"\x18\x05"))), field(5, &[8, 3])].concat());
        check(&good).unwrap();
        for end in 1..good.len() {
            assert!(check(&good[..end]).is_err(), "{end}");
        }
        for at in 0..good.len() {
            for byte in 0..=255 {
                let mut bytes = good.clone();
                bytes[at] = byte;
                let _ = check(&bytes);
            }
        }
        assert!(check(&[0xff; 20]).is_err());
    }
}
