//! Writes audio at [`SAMPLE_RATE`] as WAV files, piece by piece.

use std::fs::File;
use std::io::{self, BufWriter, Cursor};
use std::path::{Path, PathBuf};

use super::{Recording, SAMPLE_RATE};
use crate::error::{Error, Result};
use crate::output::Unfinished;

/// Samples that the length in a header can tell of, less the header: 37 hours.
const MOST: u64 = (u32::MAX as u64 - 1024) / 2;

const SPEC: hound::WavSpec = hound::WavSpec {
    channels: 1,
    sample_rate: SAMPLE_RATE,
    bits_per_sample: 16,
    sample_format: hound::SampleFormat::Int,
};

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

/// Returns the bytes of a WAV file of samples that take little memory.
pub fn wav_bytes(samples: &[i16]) -> io::Result<Vec<u8>> {
    let mut bytes = Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut bytes, SPEC).map_err(io::Error::other)?;
    let written = samples
        .iter()
        .try_for_each(|&sample| writer.write_sample(sample));
    written
        .and_then(|()| writer.finalize())
        .map_err(io::Error::other)?;
    Ok(bytes.into_inner())
}

/// A WAV file that is written piece by piece, and is there once it is whole.
pub struct Wav {
    path: PathBuf,
    unfinished: Unfinished,
    writer: hound::WavWriter<BufWriter<File>>,
    samples: u64,
}

impl Wav {
    pub fn create(path: &Path) -> Result<Wav> {
        let unfinished = Unfinished::begin(path)?;
        let writer = BufWriter::new(unfinished.writer()?);
        let writer = hound::WavWriter::new(writer, SPEC).map_err(|error| failed(path, error))?;
        Ok(Wav {
            path: path.into(),
            unfinished,
            writer,
            samples: 0,
        })
    }

    pub fn append<'a>(&mut self, samples: impl IntoIterator<Item = &'a i16>) -> Result<()> {
        for &sample in samples {
            if self.samples == MOST {
                let full = io::Error::other("a WAV file lasts 37 hours at most");
                return Err(Error::write(&self.path, full));
            }
            self.samples += 1;
            let written = self.writer.write_sample(sample);
            written.map_err(|error| failed(&self.path, error))?;
        }
        Ok(())
    }

    pub fn finish(self) -> Result<()> {
        let finished = self.writer.finalize();
        finished.map_err(|error| failed(&self.path, error))?;
        self.unfinished.finish()
    }
}

fn failed(path: &Path, error: hound::Error) -> Error {
    let error = match error {
        hound::Error::IoError(error) => error,
        other => io::Error::other(other),
    };
    Error::write(path, error)
}
