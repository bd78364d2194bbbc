//! This module says what can be wrong with templates.

use core::fmt;

/// Says why bytes are not templates. It is displayed as one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum TemplateError {
    /// The bytes do not start with [`super::MAGIC`].
    NotTemplates,
    /// The templates have another format version than [`super::VERSION`].
    Version {
        /// The version that they have.
        found: u16,
    },
    /// There are fewer or more bytes than the header states.
    Length {
        /// The number of bytes that the header states, or that it takes itself.
        expected: usize,
        /// The number of bytes that there are.
        found: usize,
    },
    /// The bytes were changed.
    Checksum {
        /// The checksum that the header states.
        expected: u32,
        /// The checksum that the bytes have.
        found: u32,
    },
    /// A field of the header is wrong.
    Header {
        /// Names the field that is wrong.
        field: &'static str,
        /// Says what must hold, or what is wrong.
        problem: &'static str,
    },
    /// A template is wrong.
    Template {
        /// The number that the template has, from 0.
        index: u16,
        /// Names the field that is wrong.
        field: &'static str,
        /// Says what must hold, or what is wrong.
        problem: &'static str,
    },
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NotTemplates => f.write_str("no templates of phrases"),
            Self::Version { found } => write!(
                f,
                "format version {found}, this program reads version {}",
                super::VERSION
            ),
            Self::Length { expected, found } => write!(f, "{found} bytes, expected {expected}"),
            Self::Checksum { expected, found } => {
                write!(f, "checksum {found:08x}, expected {expected:08x}")
            }
            Self::Header { field, problem } => write!(f, "header, {field}: {problem}"),
            Self::Template {
                index,
                field,
                problem,
            } => write!(f, "template {index}, {field}: {problem}"),
        }
    }
}

impl core::error::Error for TemplateError {}

/// Says why templates cannot be looked for in what a recognizer hears. It is displayed as one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Misfit {
    /// The templates were made with another network: the recordings are needed again.
    OtherNetwork {
        /// The checksum of the templates' network.
        templates: u32,
        /// The checksum of the image's network.
        image: u32,
    },
    /// The image's logits are not what one fully connected operator makes of the frames that a step commits.
    NoHead,
    /// The rows that the head reads have another width than those of the templates, or one beyond all bounds.
    Columns {
        /// The number of columns that a row of the templates has.
        templates: usize,
        /// The number of columns that the head reads.
        image: usize,
    },
    /// The steps run on an NPU, which keeps what the head reads to itself.
    OnNpu,
    /// The memory for the templates' rows is too small.
    TooFewCells {
        /// The number of cells that are needed: [`super::Templates::rows`].
        needed: usize,
        /// The number of cells that were given.
        given: usize,
    },
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::OtherNetwork { templates, image } => write!(
                f,
                "the templates belong to network {templates:08x}, the image has {image:08x}"
            ),
            Self::NoHead => {
                f.write_str("the image's logits do not come from one fully connected operator")
            }
            Self::Columns { templates, image } => write!(
                f,
                "rows of {templates} columns, the image's head reads {image}"
            ),
            Self::OnNpu => f.write_str("an NPU does not give what the head reads"),
            Self::TooFewCells { needed, given } => {
                write!(f, "memory for {given} rows, the templates have {needed}")
            }
        }
    }
}

impl core::error::Error for Misfit {}
