//! Reads audio files as the front end takes them: 16 kHz, mono, 16-bit.
//!
//! Files may be WAV (8, 16, 24, 32-bit and float) or FLAC, told apart by their first bytes, of any
//! channel count and of 1 kHz to 1 MHz. Audio that is 16 kHz, mono and 16-bit already comes out bit
//! for bit as it is. A file that is not whole is an error, never a shorter recording.

use std::fs::File;
use std::io::{BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

use hound::{SampleFormat, WavReader};
use rubato::audioadapter_buffers::direct::SequentialSlice;
use rubato::{Fft, FixedSync, Resampler, WindowFunction};
use symphonia::core::codecs::audio::AudioDecoderOptions;
use symphonia::core::errors::Error as FlacError;
use symphonia::core::formats::TrackType;
use symphonia::core::formats::probe::Hint;
use symphonia::core::io::{MediaSourceStream, ReadOnlySource};

use zerda_firmware::Image;

use crate::error::{Error, Result};

pub const SAMPLE_RATE: u32 = 16_000;

/// Full scale of 16-bit audio, to which samples of every format are brought, exactly, as f64.
const FULL_SCALE: f64 = 32_768.0;

/// Says in one line, to be put after the file's name, why a file cannot be read as audio.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AudioError {
    #[error("the file is empty")]
    Empty,
    #[error("holds no samples")]
    NoSamples,
    #[error("is neither WAV nor FLAC")]
    NotAudio,
    #[error("is Ogg (Opus or Vorbis), which is not read: convert it to FLAC")]
    Ogg,
    #[error("is cut short: {found} of {promised} samples a channel are there")]
    Truncated { found: u64, promised: u64 },
    #[error("is cut short within its header")]
    TruncatedHeader,
    #[error("is damaged: {0}")]
    Damaged(String),
    #[error("has a sample rate of {0} Hz, expected 1 kHz to 1 MHz")]
    Rate(u32),
    #[error("sample {0} is not a finite number")]
    NotFinite(usize),
    #[error("cannot be read: {0}")]
    Read(std::io::Error),
}

/// Holds mono audio in units of 16-bit samples, not yet rounded.
struct Mono {
    rate: u32,
    samples: Vec<f64>,
}

/// Returns the silence that follows a stream: one chunk, so that the last word is committed and decided, and where
/// there are commands of several words the gap in which another could follow.
pub fn tail(image: &Image<'_>) -> Vec<i16> {
    let (stream, front_end) = (image.manifest().stream, image.manifest().front_end);
    let frames = usize::from(stream.chunk) + usize::from(image.grammar().gap);
    vec![0; frames * usize::from(front_end.hop)]
}

/// Reads the audio of a file at [`SAMPLE_RATE`], with channels averaged, rounded and saturated to
/// 16 bits.
pub fn read(path: &Path) -> Result<Vec<i16>> {
    let file = File::open(path).map_err(|error| Error::read(path, error))?;
    decode(BufReader::new(file))
        .map_err(|error| Error::usage(format!("{}: {error}", path.display())))
}

/// Lists the WAV and FLAC files under `directory`, folders within it included, in the order of
/// their paths.
pub fn list(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![directory.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).map_err(|error| Error::read(&folder, error))?;
        for entry in entries {
            let path = entry.map_err(|error| Error::read(&folder, error))?.path();
            let extension = path.extension().map(|e| e.to_ascii_lowercase());
            if path.is_dir() {
                folders.push(path);
            } else if extension.is_some_and(|e| e == "wav" || e == "flac") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Decodes a whole file to 16-bit mono samples at [`SAMPLE_RATE`], as [`read`] does.
pub fn decode(mut file: impl Read + Send + Sync + 'static) -> Result<Vec<i16>, AudioError> {
    let mut magic = Vec::new();
    let read = file.by_ref().take(4).read_to_end(&mut magic);
    read.map_err(AudioError::Read)?;
    let decoder = match magic.as_slice() {
        b"RIFF" => decode_wav,
        b"fLaC" => decode_flac,
        b"OggS" => return Err(AudioError::Ogg),
        b"" => return Err(AudioError::Empty),
        _ => return Err(AudioError::NotAudio),
    };
    let mono = decoder(Box::new(Cursor::new(magic).chain(file)))?;
    if mono.samples.is_empty() {
        return Err(AudioError::NoSamples);
    }
    if !(1_000..=1_000_000).contains(&mono.rate) {
        return Err(AudioError::Rate(mono.rate));
    }
    let samples = if mono.rate == SAMPLE_RATE {
        mono.samples
    } else {
        resample(&mono)?
    };
    // `as` saturates.
    Ok(samples.iter().map(|x| x.round() as i16).collect())
}

type Source = Box<dyn Read + Send + Sync>;

fn decode_wav(source: Source) -> Result<Mono, AudioError> {
    let mut reader = WavReader::new(source).map_err(wav_header_error)?;
    let spec = reader.spec();
    let scale = FULL_SCALE / 2f64.powi(i32::from(spec.bits_per_sample) - 1);
    match spec.sample_format {
        SampleFormat::Int => read_wav(&mut reader, |sample: i32| f64::from(sample) * scale),
        SampleFormat::Float => read_wav(&mut reader, |sample: f32| f64::from(sample) * FULL_SCALE),
    }
}

/// Turns an error of hound into an [`AudioError`]; hound says "the file ended" as
/// `io::ErrorKind::Other`, as nothing else here does.
fn wav_header_error(error: hound::Error) -> AudioError {
    match error {
        hound::Error::IoError(e) if e.kind() == std::io::ErrorKind::Other => {
            AudioError::TruncatedHeader
        }
        hound::Error::IoError(e) => AudioError::Read(e),
        other => AudioError::Damaged(other.to_string()),
    }
}

fn read_wav<S: hound::Sample>(
    reader: &mut WavReader<Source>,
    value: impl Fn(S) -> f64,
) -> Result<Mono, AudioError> {
    let promised = u64::from(reader.duration());
    let rate = reader.spec().sample_rate;
    let mut mono = Downmix::new(usize::from(reader.spec().channels));
    for sample in reader.samples::<S>() {
        match sample {
            Ok(sample) => mono.push(value(sample))?,
            Err(error) => {
                return Err(match wav_header_error(error) {
                    AudioError::TruncatedHeader => AudioError::Truncated {
                        found: mono.samples.len() as u64,
                        promised,
                    },
                    other => other,
                });
            }
        }
    }
    Ok(Mono {
        rate,
        samples: mono.samples,
    })
}

fn decode_flac(source: Source) -> Result<Mono, AudioError> {
    let stream = MediaSourceStream::new(Box::new(ReadOnlySource::new(source)), Default::default());
    let mut format = symphonia::default::get_probe()
        .probe(&Hint::new(), stream, Default::default(), Default::default())
        .map_err(|error| match error {
            FlacError::IoError(_) => AudioError::TruncatedHeader,
            other => AudioError::Damaged(other.to_string()),
        })?;
    let damaged = |what: &str| AudioError::Damaged(what.to_string());
    let track = format
        .default_track(TrackType::Audio)
        .ok_or_else(|| damaged("no audio track"))?;
    let promised = track.num_frames;
    let parameters = track
        .codec_params
        .as_ref()
        .and_then(|parameters| parameters.audio())
        .ok_or_else(|| damaged("no audio parameters"))?;
    let rate = parameters
        .sample_rate
        .ok_or_else(|| damaged("no sample rate"))?;
    let mut decoder = symphonia::default::get_codecs()
        .make_audio_decoder(parameters, &AudioDecoderOptions::default().verify(true))
        .map_err(|error| AudioError::Damaged(error.to_string()))?;

    let mut mono = Downmix::new(1);
    let mut interleaved: Vec<i32> = Vec::new();
    loop {
        let packet = match format.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) => break,
            Err(FlacError::IoError(e)) if e.kind() == std::io::ErrorKind::UnexpectedEof => break,
            Err(FlacError::IoError(e)) => return Err(AudioError::Read(e)),
            Err(error) => return Err(AudioError::Damaged(error.to_string())),
        };
        let Ok(audio) = decoder.decode(&packet) else {
            // A cut through a packet looks like damage; the count below tells which it is.
            break;
        };
        audio.copy_to_vec_interleaved(&mut interleaved);
        mono.channels = audio.num_planes();
        for &sample in &interleaved {
            // 32-bit full scale to 16-bit full scale.
            mono.push(f64::from(sample) / 65_536.0)?;
        }
    }
    let found = mono.samples.len() as u64;
    if let Some(promised) = promised.filter(|&promised| promised > found) {
        return Err(AudioError::Truncated { found, promised });
    }
    if decoder.finalize().verify_ok == Some(false) {
        return Err(damaged("its samples do not match its checksum"));
    }
    Ok(Mono {
        rate,
        samples: mono.samples,
    })
}

/// Averages interleaved channels to one.
struct Downmix {
    channels: usize,
    /// Number of channels of the current sample that have come; `sum` is their sum.
    pending: usize,
    sum: f64,
    samples: Vec<f64>,
}

impl Downmix {
    fn new(channels: usize) -> Self {
        Downmix {
            channels,
            pending: 0,
            sum: 0.0,
            samples: Vec::new(),
        }
    }

    fn push(&mut self, sample: f64) -> Result<(), AudioError> {
        if !sample.is_finite() {
            return Err(AudioError::NotFinite(self.samples.len()));
        }
        self.sum += sample;
        self.pending += 1;
        if self.pending == self.channels {
            self.samples.push(self.sum / self.channels as f64);
            (self.sum, self.pending) = (0.0, 0);
        }
        Ok(())
    }
}

/// Resamples to [`SAMPLE_RATE`] and takes the delay of the filter out again.
fn resample(mono: &Mono) -> Result<Vec<f64>, AudioError> {
    let failed = |error: &dyn std::fmt::Display| AudioError::Damaged(error.to_string());
    // A filter 50 ms long or longer keeps everything up to 7.8 kHz, above the last mel filter; an
    // even length makes its delay a whole number of samples, which is taken out exactly.
    let even = 2 * mono.rate / gcd(mono.rate, SAMPLE_RATE);
    let chunk = (mono.rate / 20).next_multiple_of(even) as usize;
    let mut resampler = Fft::<f64>::new_custom(
        mono.rate as usize,
        SAMPLE_RATE as usize,
        chunk,
        1,
        1,
        WindowFunction::BlackmanHarris2,
        FixedSync::Both,
    )
    .map_err(|error| failed(&error))?;
    let length = mono.samples.len();
    let input = SequentialSlice::new(&mono.samples, 1, length).map_err(|error| failed(&error))?;
    let output = resampler
        .process_all(&input, length, None)
        .map_err(|error| failed(&error))?;
    Ok(output.take_data())
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests;
