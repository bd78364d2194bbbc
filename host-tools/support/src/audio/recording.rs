//! Decodes a recording piece by piece, to 16 kHz, mono, 16-bit.

use std::io::Read;
use std::path::Path;

use super::Decode;
use super::SAMPLE_RATE;
use super::chunks::Pcm;
use super::error::AudioError;
use super::format;
use super::mixer::Mixer;
use super::raw::Raw;
use super::resampler::Resampler;
use super::source::{Count, Source};
use crate::error::{Error, Result};
use crate::files;
use crate::output::warn;

/// The least bytes that stand for a second of sound; the leanest encoders need five times as many for silence.
const BYTES_PER_SECOND: u64 = 4;
/// Seconds that are free of that bound.
const FREE_SECONDS: u64 = 60;

/// Decodes a file or a stream as it is asked for, so that its length takes no memory.
pub struct Recording {
    name: String,
    decoder: Box<dyn Decode>,
    mixer: Mixer,
    resampler: Resampler,
    taken: Count,
    /// Samples that were given.
    given: u64,
    ended: bool,
    interleaved: Vec<f64>,
    mono: Vec<f64>,
    piece: Vec<i16>,
}

impl Recording {
    /// Opens a file, of which all channels are averaged or one, counted from 1, is taken.
    pub fn open(path: &Path, channel: Option<usize>) -> Result<Recording> {
        let name = path.display().to_string();
        let failed = |error| Error::read(path, error);
        let source = files::open(path)
            .and_then(Source::of_file)
            .map_err(failed)?;
        Recording::new(name, source, channel, format::decoder)
    }

    /// Takes a stream, such as standard input, which may also be raw samples.
    pub fn of_stream(
        name: &str,
        stream: impl Read + Send + Sync + 'static,
        channel: Option<usize>,
        raw: Raw,
    ) -> Result<Recording> {
        let decoder = |source| format::decoder_or_raw(source, raw);
        Recording::new(name.into(), Source::new(stream), channel, decoder)
    }

    /// Takes a stream of raw samples, as a microphone gives them, whatever their first bytes look like.
    pub fn of_raw(
        name: &str,
        stream: impl Read + Send + Sync + 'static,
        channel: Option<usize>,
        raw: Raw,
    ) -> Result<Recording> {
        let decoder = |source| Ok(Box::new(Pcm::raw(source, raw)) as Box<dyn Decode>);
        Recording::new(name.into(), Source::new(stream), channel, decoder)
    }

    pub(super) fn new(
        name: String,
        source: Source,
        channel: Option<usize>,
        decoder: impl FnOnce(Source) -> Result<Box<dyn Decode>, AudioError>,
    ) -> Result<Recording> {
        let taken = source.taken.clone();
        let parts = decoder(source).and_then(|decoder| {
            let layout = decoder.layout();
            let mixer = Mixer::new(layout, channel)?;
            Ok((decoder, mixer, Resampler::new(layout.rate)?))
        });
        let (decoder, mixer, resampler) = parts.map_err(|error| named(&name, &error))?;
        Ok(Recording {
            name,
            decoder,
            mixer,
            resampler,
            taken,
            given: 0,
            ended: false,
            interleaved: Vec::new(),
            mono: Vec::new(),
            piece: Vec::new(),
        })
    }

    /// Returns the next samples, and `None` once all were returned. A recording that is not whole then is an error, and
    /// what may be wrong with it is warned of.
    pub fn next_piece(&mut self) -> Result<Option<&[i16]>> {
        match self.fill() {
            Ok(()) if self.piece.is_empty() => Ok(None),
            Ok(()) => Ok(Some(&self.piece)),
            Err(error) => Err(named(&self.name, &error)),
        }
    }

    /// Decodes until there are samples, or none any more.
    fn fill(&mut self) -> Result<(), AudioError> {
        self.piece.clear();
        while self.piece.is_empty() && !self.ended {
            self.interleaved.clear();
            self.mono.clear();
            if self.decoder.next(&mut self.interleaved)? {
                self.mixer.mix(&self.interleaved, &mut self.mono)?;
                self.resampler.push(&self.mono, &mut self.piece)?;
            } else {
                self.resampler.finish(&mut self.piece)?;
                self.ended = true;
                if self.given == 0 && self.piece.is_empty() {
                    return Err(AudioError::NoSamples);
                }
                self.warn();
            }
            self.given += self.piece.len() as u64;
            let (seconds, bytes) = (self.given / u64::from(SAMPLE_RATE), self.taken.get());
            if seconds > FREE_SECONDS + bytes / BYTES_PER_SECOND {
                return Err(AudioError::Bomb { seconds, bytes });
            }
        }
        Ok(())
    }

    fn warn(&self) {
        let half = self.decoder.half_sample();
        let half = half.then(|| "ends within a sample, which is left out".to_string());
        for remark in half.into_iter().chain(self.mixer.remarks()) {
            warn(&format!("{}: {remark}", self.name));
        }
    }
}

fn named(name: &str, error: &AudioError) -> Error {
    Error::usage(format!("{name}: {error}"))
}
