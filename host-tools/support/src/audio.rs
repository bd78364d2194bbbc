//! Reads audio as the front end takes it, 16 kHz, mono, 16-bit, and writes such audio.
//!
//! A recording is told by its first bytes, then decoded (`Decode`), mixed to one channel and resampled, piece by piece:
//! no length takes memory. Audio that is 16 kHz, mono and 16-bit already comes out bit for bit as it is. A file that is not
//! whole is an error, never a shorter recording: libraries decode, and what they skip in silence is counted here.

mod caf;
mod chunks;
mod compressed;
mod convolution;
mod error;
mod files;
mod flac;
mod format;
mod mixer;
mod ogg;
mod pcm;
mod raw;
mod recording;
mod resampler;
mod source;
mod wav;

use std::fs;
use std::path::Path;

use zerda_firmware::Image;

use crate::error::{Error, Result};
use source::Source;

pub use convolution::convolve;
pub use files::{expand, is_hidden, list};
pub use raw::{Raw, RawFormat};
pub use recording::Recording;
pub use wav::{Wav, convert, wav_bytes, write};

pub const SAMPLE_RATE: u32 = 16_000;

/// Minutes of audio that are held in memory at most, where a recording cannot be used piece by piece: 96 MB.
pub const MOST_HELD_MINUTES: usize = 50;

/// Number of samples that are held in memory at most.
pub const MOST_HELD: usize = MOST_HELD_MINUTES * 60 * SAMPLE_RATE as usize;

/// What a person is told that files may be, where one of another kind is met.
pub const KINDS: &str = "WAV, FLAC, MP3, AAC, Ogg (Vorbis, Opus), M4A, AIFF or CAF";

/// Says how the samples of a recording are laid out.
#[derive(Clone, Copy)]
struct Layout {
    /// The sampling rate counts frames a second, each of one sample per channel.
    rate: u32,
    channels: usize,
    /// The largest positive value that the format can hold, in units of 16-bit samples.
    top: f64,
    /// Frames that the header states, if it does: a forecast.
    frames: Option<u64>,
}

/// Decodes a recording, one piece after another.
trait Decode {
    fn layout(&self) -> Layout;

    /// Appends the next frames, interleaved, in units of 16-bit samples. Returns false once the recording has ended, whole.
    fn next(&mut self, samples: &mut Vec<f64>) -> Result<bool, error::AudioError>;

    /// Returns the format that the samples have, where they are not compressed.
    fn format(&self) -> Option<RawFormat> {
        None
    }

    /// Says whether the recording ended within a sample.
    fn half_sample(&self) -> bool {
        false
    }
}

/// Returns the silence that follows a stream, so that its last word is decided: [`Image::tail_samples`].
pub fn tail(image: &Image<'_>) -> Vec<i16> {
    vec![0; image.tail_samples()]
}

/// Returns how many steps a network that never rests runs over so many samples.
pub fn steps(image: &Image<'_>, samples: u64) -> u64 {
    let (stream, front_end) = (image.manifest().stream, image.manifest().front_end);
    let (chunk, step) = (u64::from(stream.chunk), u64::from(stream.step));
    let after_first = samples.checked_sub(front_end.window.into());
    let frames = after_first.map_or(0, |samples| samples / u64::from(front_end.hop) + 1);
    (frames + step).saturating_sub(chunk) / step
}

/// Reads a whole recording at [`SAMPLE_RATE`], with channels averaged, rounded and saturated to 16 bits. One that is longer
/// than [`MOST_HELD`] is an error: what can be long is taken piece by piece.
pub fn read(path: &Path) -> Result<Vec<i16>> {
    let mut recording = Recording::open(path, None)?;
    let mut samples = Vec::new();
    while let Some(piece) = recording.next_piece()? {
        hold(&mut samples, piece, path)?;
    }
    Ok(samples)
}

/// Says how many samples a file will about give, as its header states it, without decoding: 0 where it cannot be read or,
/// as a pipe, only once. A file whose header says nothing is taken for one of 128 kbit/s: a byte for a sample.
pub fn forecast(path: &Path) -> u64 {
    let Some(bytes) = fs::metadata(path).ok().filter(fs::Metadata::is_file) else {
        return 0;
    };
    let source = crate::files::open(path).and_then(Source::of_file).ok();
    let layout = source.and_then(|source| format::decoder(source).ok());
    match layout.map(|decoder| decoder.layout()) {
        Some(Layout {
            rate,
            frames: Some(frames),
            ..
        }) => frames.saturating_mul(SAMPLE_RATE.into()) / u64::from(rate.max(1)),
        _ => bytes.len(),
    }
}

/// Appends a piece of the file at `path` to what is held of it, up to [`MOST_HELD`].
pub fn hold(samples: &mut Vec<i16>, piece: &[i16], path: &Path) -> Result<()> {
    if samples.len() + piece.len() > MOST_HELD {
        return Err(Error::usage(format!(
            "{}: lasts longer than {MOST_HELD_MINUTES} minutes, the most that is held in memory here: cut it into shorter \
             recordings",
            path.display()
        )));
    }
    samples.extend_from_slice(piece);
    Ok(())
}

/// Reads a recording to its end, as [`read`] does, but keeps at most `most` samples, the first ones.
pub fn read_start(path: &Path, most: usize) -> Result<Vec<i16>> {
    let mut recording = Recording::open(path, None)?;
    let mut samples = Vec::new();
    while let Some(piece) = recording.next_piece()? {
        let kept = piece.len().min(most - samples.len());
        samples.extend_from_slice(&piece[..kept]);
    }
    Ok(samples)
}

#[cfg(test)]
mod tests;
