//! Tells by its first bytes what a recording is.

use super::Decode;
use super::chunks::Pcm;
use super::compressed::{Compressed, adts_frame, mpeg_frame};
use super::error::AudioError;
use super::source::Source;

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
        Some(Kind::Chunks) => Ok(Box::new(Pcm::of_chunks(source)?)),
        Some(Kind::Compressed(make)) => Ok(Box::new(make(source)?)),
        None if source.peek(1)?.is_empty() => Err(AudioError::Empty),
        None if source.peek(20)? == b"version https://git-" => Err(AudioError::LfsPointer),
        None => Err(AudioError::NotAudio),
    }
}

/// Makes the decoder of a recording that may also be raw 16 kHz mono s16le, which says nothing.
pub fn decoder_or_raw(mut source: Source) -> Result<Box<dyn Decode>, AudioError> {
    match known(&mut source)? {
        None => Ok(Box::new(Pcm::raw(source))),
        Some(_) => decoder(source),
    }
}

enum Kind {
    Chunks,
    Compressed(fn(Source) -> Result<Compressed, AudioError>),
}

fn known(source: &mut Source) -> Result<Option<Kind>, AudioError> {
    source.skip_tags()?;
    let first = source.peek(20)?;
    let compressed = |make| Ok(Some(Kind::Compressed(make)));
    match first {
        [
            b'R',
            b'I',
            b'F',
            b'F' | b'X',
            _,
            _,
            _,
            _,
            b'W',
            b'A',
            b'V',
            b'E',
            ..,
        ]
        | [
            b'R' | b'B',
            b'F' | b'W',
            b'6',
            b'4',
            _,
            _,
            _,
            _,
            b'W',
            b'A',
            b'V',
            b'E',
            ..,
        ]
        | [
            b'F',
            b'O',
            b'R',
            b'M',
            _,
            _,
            _,
            _,
            b'A',
            b'I',
            b'F',
            b'F' | b'C',
            ..,
        ] => {
            return Ok(Some(Kind::Chunks));
        }
        [b'f', b'L', b'a', b'C', ..] => return compressed(Compressed::flac),
        [b'O', b'g', b'g', b'S', ..] => return compressed(Compressed::ogg),
        [b'c', b'a', b'f', b'f', ..] => return compressed(Compressed::caf),
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => return compressed(Compressed::mp4),
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
