//! This module says what can be wrong with an image.

use core::fmt;

use serde::{Deserialize, Serialize};

/// Says why bytes are not an image that can run. It is displayed as one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ParseError {
    /// The image does not start with [`super::MAGIC`].
    NotAnImage,
    /// The image has another format version than [`super::VERSION`].
    Version {
        /// The version that the image has.
        found: u16,
    },
    /// The image is shorter than its header says.
    Truncated {
        /// The number of bytes that the header states.
        expected: usize,
        /// The number of bytes that there are.
        found: usize,
    },
    /// The image is longer than its header says.
    TrailingBytes {
        /// The number of bytes that the header states.
        expected: usize,
        /// The number of bytes that there are.
        found: usize,
    },
    /// The image does not lie at a multiple of [`super::ALIGNMENT`] in memory (see [`super::Aligned`]).
    Misaligned,
    /// The bytes of the image were changed.
    Checksum {
        /// The checksum that the header states.
        expected: u32,
        /// The checksum that the bytes have.
        found: u32,
    },
    /// A field of the header is wrong.
    Header {
        /// Names the field that is wrong, as the format does.
        field: &'static str,
        /// Says what must hold, or what is wrong.
        problem: &'static str,
    },
    /// A field of the manifest's head is wrong.
    Manifest {
        /// Names the field that is wrong.
        field: &'static str,
        /// Says what must hold, or what is wrong.
        problem: &'static str,
    },
    /// A label of the image is wrong.
    Label {
        /// The number that the label has, from 0.
        index: u16,
        /// Names the field that is wrong.
        field: &'static str,
        /// Says what must hold, or what is wrong.
        problem: &'static str,
    },
    /// A cache of the image is wrong.
    Cache {
        /// The number that the cache has, from 0.
        index: u16,
        /// Names the field that is wrong.
        field: &'static str,
        /// Says what must hold, or what is wrong.
        problem: &'static str,
    },
    /// A tensor of the image is wrong.
    Tensor {
        /// The number that the tensor has, from 0.
        index: u16,
        /// Names the field that is wrong.
        field: &'static str,
        /// Says what must hold, or what is wrong.
        problem: &'static str,
    },
    /// An operator of the plan is wrong.
    Op {
        /// The number that the operator has, from 0.
        index: u16,
        /// Names the operand or parameter that is wrong.
        field: &'static str,
        /// Says what must hold, or what is wrong.
        problem: &'static str,
    },
    /// A command of the grammar is wrong.
    Command {
        /// The number that the command has, from 0.
        index: u16,
        /// Names the field that is wrong.
        field: &'static str,
        /// Says what must hold, or what is wrong.
        problem: &'static str,
    },
    /// The record of the wake words is wrong.
    Wake {
        /// Names the field that is wrong.
        field: &'static str,
        /// Says what must hold, or what is wrong.
        problem: &'static str,
    },
    /// The head of the NPU section or its payload is wrong.
    Npu {
        /// Names the field that is wrong.
        field: &'static str,
        /// Says what must hold, or what is wrong.
        problem: &'static str,
    },
    /// An input or output of the NPU is wrong.
    NpuIo {
        /// The number that the input or output has, from 0.
        index: u16,
        /// Names the field that is wrong.
        field: &'static str,
        /// Says what must hold, or what is wrong.
        problem: &'static str,
    },
}

/// Says in a word what a [`ParseError`] is about, for a device that reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Problem {
    /// There is no image, or its first bytes were changed.
    NotAnImage,
    /// The image has a format version that the firmware does not read.
    Version,
    /// The image is shorter or longer than its header says.
    Length,
    /// The image does not lie where it must in memory.
    Misaligned,
    /// The bytes of the image were changed.
    Checksum,
    /// A field of the image is wrong although its checksum is right.
    Field,
}

impl From<ParseError> for Problem {
    fn from(error: ParseError) -> Self {
        match error {
            ParseError::NotAnImage => Self::NotAnImage,
            ParseError::Version { .. } => Self::Version,
            ParseError::Truncated { .. } | ParseError::TrailingBytes { .. } => Self::Length,
            ParseError::Misaligned => Self::Misaligned,
            ParseError::Checksum { .. } => Self::Checksum,
            _ => Self::Field,
        }
    }
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
