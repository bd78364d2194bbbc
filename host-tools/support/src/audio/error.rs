//! Says why a file cannot be read as audio.

/// Says in one line, to be put after the file's name, why a file cannot be read as audio, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AudioError {
    #[error("the file is empty")]
    Empty,
    #[error("holds no samples")]
    NoSamples,
    #[error("is no audio: expected {}", super::KINDS)]
    NotAudio,
    #[error("{}", crate::files::IS_LFS_POINTER)]
    LfsPointer,
    #[error("{0}, which is not read: convert it to WAV or FLAC, as with `ffmpeg -i IN OUT.wav`")]
    NotRead(String),
    #[error("is cut short: {found} of {promised} samples a channel are there")]
    Truncated { found: u64, promised: u64 },
    #[error("is cut short within its header")]
    TruncatedHeader,
    #[error("is cut short: it ends within a frame")]
    TruncatedFrame,
    #[error("ends within a sample")]
    HalfSample,
    #[error("is damaged: {0}")]
    Damaged(String),
    #[error(
        "has a sample rate of {0} Hz, expected 1 kHz to 192 kHz, or a multiple of 100 Hz up to 1 MHz"
    )]
    Rate(u32),
    #[error("has {found} channel{}, no channel {wanted}", if *found == 1 { "" } else { "s" })]
    Channel { wanted: usize, found: usize },
    #[error(
        "its header says {found}, which contradicts --{option} {given}: leave that out, or name what the header says"
    )]
    Contradicted {
        option: &'static str,
        given: String,
        found: String,
    },
    #[error("sample {0} is not a finite number")]
    NotFinite(u64),
    #[error(
        "stands for {seconds} s of sound in {bytes} bytes, more than any recording: it is refused"
    )]
    Bomb { seconds: u64, bytes: u64 },
    #[error("cannot be read: {0}")]
    Read(std::io::Error),
}

impl AudioError {
    pub fn damaged(what: impl Into<String>) -> Self {
        AudioError::Damaged(what.into())
    }

    /// Turns an error of reading into the one that it carries, if a reader of this crate made it.
    pub fn of_reading(error: std::io::Error) -> Self {
        match error.downcast::<AudioError>() {
            Ok(own) => own,
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                AudioError::TruncatedFrame
            }
            Err(error) => AudioError::Read(error),
        }
    }
}
