//! Writes audio at [`SAMPLE_RATE`] as WAV files, piece by piece.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;

use super::{Recording, SAMPLE_RATE};
use crate::error::{Error, Result};

/// Writes samples as a WAV file.
pub fn write<'a>(path: &Path, samples: impl IntoIterator<Item = &'a i16>) -> Result<()> {
    let mut wav = Wav::create(path)?;
    wav.append(samples)?;
    wav.finish()
}

/// Writes a recording as the WAV file `wav`, with other samples after it, as it is decoded, however long it is. Returns
/// the number of its samples.
pub fn convert(recording: &Path, wav: &Path, tail: &[i16]) -> Result<u64> {
    let mut recording = Recording::open(recording, None)?;
    let mut wav = Wav::create(wav)?;
    let mut samples = 0;
    while let Some(piece) = recording.next_piece()? {
        samples += piece.len() as u64;
        wav.append(piece)?;
    }
    wav.append(tail)?;
    wav.finish()?;
    Ok(samples)
}

struct Wav<'a> {
    path: &'a Path,
    writer: hound::WavWriter<BufWriter<File>>,
}

impl Wav<'_> {
    fn create(path: &Path) -> Result<Wav<'_>> {
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: SAMPLE_RATE,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let writer = hound::WavWriter::create(path, spec).map_err(|error| failed(path, error))?;
        Ok(Wav { path, writer })
    }

    fn append<'a>(&mut self, samples: impl IntoIterator<Item = &'a i16>) -> Result<()> {
        let mut samples = samples.into_iter();
        let appended = samples.try_for_each(|&sample| self.writer.write_sample(sample));
        appended.map_err(|error| failed(self.path, error))
    }

    fn finish(self) -> Result<()> {
        let finished = self.writer.finalize();
        finished.map_err(|error| failed(self.path, error))
    }
}

fn failed(path: &Path, error: hound::Error) -> Error {
    Error::write(path, io::Error::other(error))
}
