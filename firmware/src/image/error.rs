//! What can be wrong with an image.

use core::fmt;

/// Why bytes are not an image that can run. Display is one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParseError {
    /// It does not start with the magic.
    NotAnImage,
    /// It has another format version than [`super::VERSION`].
    Version {
        /// The version it has.
        found: u16,
    },
    /// It is shorter than its header says.
    Truncated {
        /// Bytes that the header states.
        expected: usize,
        /// Bytes there are.
        found: usize,
    },
    /// It is longer than its header says.
    TrailingBytes {
        /// Bytes that the header states.
        expected: usize,
        /// Bytes there are.
        found: usize,
    },
    /// It does not lie at a multiple of [`super::ALIGNMENT`] (see [`super::Aligned`]).
    Misaligned,
    /// Its bytes were changed.
    Checksum {
        /// The checksum that the header states.
        expected: u32,
        /// The checksum of the bytes.
        found: u32,
    },
    /// A field of the header is wrong.
    Header {
        /// The field, as the format names it.
        field: &'static str,
        /// What must hold.
        problem: &'static str,
    },
    /// A field of the manifest's head is wrong.
    Manifest {
        /// The field.
        field: &'static str,
        /// What must hold.
        problem: &'static str,
    },
    /// A label is wrong.
    Label {
        /// Its number.
        index: u16,
        /// The field.
        field: &'static str,
        /// What must hold.
        problem: &'static str,
    },
    /// A cache is wrong.
    Cache {
        /// Its number.
        index: u16,
        /// The field.
        field: &'static str,
        /// What must hold.
        problem: &'static str,
    },
    /// A tensor is wrong.
    Tensor {
        /// Its number.
        index: u16,
        /// The field.
        field: &'static str,
        /// What must hold.
        problem: &'static str,
    },
    /// An operator is wrong.
    Op {
        /// Its number.
        index: u16,
        /// The operand or parameter.
        field: &'static str,
        /// What must hold.
        problem: &'static str,
    },
    /// A command of the grammar is wrong.
    Command {
        /// Its number.
        index: u16,
        /// The field.
        field: &'static str,
        /// What must hold.
        problem: &'static str,
    },
    /// The record of the wake words is wrong.
    Wake {
        /// The field.
        field: &'static str,
        /// What must hold.
        problem: &'static str,
    },
    /// The head of the NPU section is wrong, or its payload.
    Npu {
        /// The field.
        field: &'static str,
        /// What must hold.
        problem: &'static str,
    },
    /// An input or output of the NPU is wrong.
    NpuIo {
        /// Its number.
        index: u16,
        /// The field.
        field: &'static str,
        /// What must hold.
        problem: &'static str,
    },
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (record, index, field, problem) = match *self {
            Self::NotAnImage => return f.write_str("not a Zerda image"),
            Self::Version { found } => {
                let known = super::VERSION;
                return write!(
                    f,
                    "format version {found}, this program reads version {known}"
                );
            }
            Self::Truncated { expected, found } => {
                return write!(f, "truncated: {found} of {expected} bytes");
            }
            Self::TrailingBytes { expected, found } => {
                return write!(f, "{found} bytes where the header says {expected}");
            }
            Self::Misaligned => return f.write_str("not 16-byte aligned in memory"),
            Self::Checksum { expected, found } => {
                return write!(f, "damaged: checksum {found:08x}, expected {expected:08x}");
            }
            Self::Header { field, problem } => ("header", None, field, problem),
            Self::Manifest { field, problem } => ("manifest", None, field, problem),
            Self::Label {
                index,
                field,
                problem,
            } => ("label", Some(index), field, problem),
            Self::Cache {
                index,
                field,
                problem,
            } => ("cache", Some(index), field, problem),
            Self::Tensor {
                index,
                field,
                problem,
            } => ("tensor", Some(index), field, problem),
            Self::Op {
                index,
                field,
                problem,
            } => ("operator", Some(index), field, problem),
            Self::Command {
                index,
                field,
                problem,
            } => ("command", Some(index), field, problem),
            Self::Wake { field, problem } => ("wake words", None, field, problem),
            Self::Npu { field, problem } => ("NPU section", None, field, problem),
            Self::NpuIo {
                index,
                field,
                problem,
            } => ("NPU input or output", Some(index), field, problem),
        };
        f.write_str(record)?;
        if let Some(index) = index {
            write!(f, " {index}")?;
        }
        write!(f, ", {field}: {problem}")
    }
}

impl core::error::Error for ParseError {}
