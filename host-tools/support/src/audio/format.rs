//! Tells by its first bytes what a recording is.

use super::Decode;
use super::chunks::Pcm;
use super::compressed::{Compressed, adts_frame, mpeg_frame};
use super::error::AudioError;
use super::raw::Raw;
use super::source::Source;
use crate::files::LFS_POINTER;

/// First bytes of what is known and not read, and its name.
const NOT_READ: [(&[u8], &str); 9] = [
    (b"riff\x2e\x91\xcf\x11", "is Wave64"),
    (b".snd", "is Sun AU"),
    (b"NIST_1A\n", "is NIST SPHERE"),
    (b"#!AMR", "is AMR"),
    (b"\x1a\x45\xdf\xa3", "is Matroska or WebM"),
    (b"\x30\x26\xb2\x75", "is Windows Media"),
    (b"wvpk", "is WavPack"),
    (b"MAC ", "is Monkey's Audio"),
    (b"Creative Voice File", "is Creative Voice"),
];

/// Makes the decoder of a recording that says what it is.
pub fn decoder(mut source: Source) -> Result<Box<dyn Decode>, AudioError> {
    match known(&mut source)? {
        Some(kind) => kind.decoder(source),
        None if source.peek(1)?.is_empty() => Err(AudioError::Empty),
        None if source.peek(LFS_POINTER.len())? == LFS_POINTER => Err(AudioError::LfsPointer),
        None => Err(AudioError::NotAudio),
    }
}

/// Makes the decoder of a recording that may also be raw samples, which say nothing. What a header says may not contradict
/// what was said of them.
pub fn decoder_or_raw(mut source: Source, raw: Raw) -> Result<Box<dyn Decode>, AudioError> {
    let Some(kind) = known(&mut source)? else {
        return Ok(Box::new(Pcm::raw(source, raw)));
    };
    let decoder = kind.decoder(source)?;
    raw.agrees(decoder.layout(), decoder.format())?;
    Ok(decoder)
}

enum Kind {
    Chunks,
    Compressed(fn(Source) -> Result<Compressed, AudioError>),
}

impl Kind {
    fn decoder(self, source: Source) -> Result<Box<dyn Decode>, AudioError> {
        match self {
            Kind::Chunks => Ok(Box::new(Pcm::of_chunks(source)?)),
            Kind::Compressed(make) => Ok(Box::new(make(source)?)),
        }
    }
}

fn known(source: &mut Source) -> Result<Option<Kind>, AudioError> {
    source.skip_tags()?;
    let first = source.peek(20)?;
    let compressed = |make| Ok(Some(Kind::Compressed(make)));
    let (name, form) = (first.get(..4), first.get(8..12));
    match (name.unwrap_or_default(), form.unwrap_or_default()) {
        (b"RIFF" | b"RIFX" | b"RF64" | b"BW64", b"WAVE") | (b"FORM", b"AIFF" | b"AIFC") => {
            return Ok(Some(Kind::Chunks));
        }
        (b"fLaC", _) => return compressed(Compressed::flac),
        (b"OggS", _) => return compressed(Compressed::ogg),
        (b"caff", _) => return compressed(Compressed::caf),
        _ if first.get(4..8) == Some(b"ftyp") => return compressed(Compressed::mp4),
        _ => {}
    }
    if let Some((_, name)) = NOT_READ.iter().find(|(magic, _)| first.starts_with(magic)) {
        return Err(AudioError::NotRead((*name).into()));
    }
    // A frame's header is short, and could be a sample: where it ends, another one must follow.
    let (mpeg, adts) = (first.first_chunk().copied(), first.first_chunk().copied());
    if let Some(length) = mpeg.and_then(mpeg_frame)
        && let Some((_, next)) = source.peek(length + 4)?.split_at_checked(length)
        && next.first_chunk().copied().and_then(mpeg_frame).is_some()
    {
        return compressed(Compressed::mp3);
    }
    if let Some(length) = adts.and_then(adts_frame)
        && let Some((_, next)) = source.peek(length + 6)?.split_at_checked(length)
        && next.first_chunk().copied().and_then(adts_frame).is_some()
    {
        return compressed(Compressed::adts);
    }
    Ok(None)
}
