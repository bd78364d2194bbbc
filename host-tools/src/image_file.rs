//! A compiled image from a file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use zerda_firmware::Image;
use zerda_firmware::plan::{Op, TensorId};

use crate::error::{Error, Result};

/// The bytes of an image, aligned as it demands.
pub struct ImageFile {
    path: PathBuf,
    words: Vec<u128>,
    length: usize,
}

impl ImageFile {
    pub fn open(path: &Path) -> Result<ImageFile> {
        let bytes = fs::read(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::usage(format!(
                "{}: there is no image; name one with --image or make one with `zerda compile`",
                path.display()
            )),
            _ => Error::read(path, error),
        })?;
        Ok(ImageFile::new(path, &bytes))
    }

    /// An image that is, or will be, in the file `path`.
    pub fn new(path: &Path, bytes: &[u8]) -> ImageFile {
        let mut words = vec![0u128; bytes.len().div_ceil(size_of::<u128>())];
        bytemuck::cast_slice_mut(&mut words)[..bytes.len()].copy_from_slice(bytes);
        ImageFile {
            path: path.into(),
            words,
            length: bytes.len(),
        }
    }

    pub fn bytes(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.words)[..self.length]
    }

    pub fn image(&self) -> Result<Image<'_>> {
        Image::parse(self.bytes())
            .map_err(|error| Error::usage(format!("{}: {error}", self.path.display())))
    }
}

/// Multiply-accumulates of one step in steady state: linears, convolutions, attention.
pub fn macs_per_step(image: &Image<'_>) -> u64 {
    let rows = |id: TensorId| image.tensor(id).map_or(0, |tensor| u64::from(tensor.rows));
    let cols = |id: TensorId| image.tensor(id).map_or(0, |tensor| u64::from(tensor.cols));
    let macs = |op: Op| match op {
        Op::FullyConnected {
            output, weights, ..
        } => rows(output) * rows(weights) * cols(weights),
        Op::DepthwiseConv {
            output, weights, ..
        } => rows(output) * rows(weights) * cols(weights),
        Op::Scores { query, key, .. } => rows(query) * rows(key) * cols(query),
        Op::Context { value, output, .. } => rows(output) * rows(value) * cols(output),
        Op::Add { .. } | Op::Mul { .. } | Op::Lookup { .. } | Op::Softmax { .. } => 0,
    };
    image.ops().map(macs).sum()
}
