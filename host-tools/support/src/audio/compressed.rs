//! Decodes compressed audio with Symphonia, and Opus, and judges what they leave unsaid: whether everything was decoded.

use std::io::Read;

use opus_decoder::OpusDecoder;
use symphonia::core::audio::Channels;
use symphonia::core::codecs::audio::well_known::{CODEC_ID_AAC, CODEC_ID_MP3, CODEC_ID_OPUS};
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error;
use symphonia::core::formats::{FormatReader, TrackType};
use symphonia::core::io::{MediaSourceStream, ReadOnlySource};
use symphonia::core::packet::Packet;
use symphonia::default::formats::{
    AdtsReader, CafReader, FlacReader, IsoMp4Reader, MpaReader, OggReader,
};

use super::caf;
use super::error::AudioError;
use super::flac;
use super::ogg::Pages;
use super::pcm::{FULL_SCALE, full_scale_of};
use super::source::{Count, Source, WithoutTags};
use super::{Decode, Layout};

/// Frames at the start of an MP3 that may need bytes of frames before them, from where it was cut; they are silent then.
const CUT_OFF: u64 = 3;
/// Samples a channel that come before the sound of an AAC stream which does not tell them: the least that any encoder adds.
const AAC_DELAY: u64 = 1024;
/// Samples a channel that come before the sound of an MP3 which does not tell them: 576 of LAME, 529 of the decoder.
const MP3_DELAY: u64 = 1105;
/// Samples that a packet of Opus has at most, in 120 ms at 48 kHz.
const OPUS_PACKET: usize = 5760;

/// Decodes the packets of one track.
pub struct Compressed {
    format: Box<dyn FormatReader>,
    track: u32,
    codec: Codec,
    layout: Layout,
    /// Samples a channel that the container states.
    promised: Option<u64>,
    found: u64,
    packets: u64,
    mp3: bool,
    checks: Checks,
    /// Samples a channel that are still to be left out, as the encoder put them before the sound.
    delay: u64,
    interleaved: Vec<f64>,
}

enum Codec {
    Symphonia(Box<dyn AudioDecoder>),
    Opus {
        decoder: Box<OpusDecoder>,
        gain: f64,
    },
}

/// Says what a container's bytes are checked for, beyond what its reader does.
enum Checks {
    /// Checks that every byte belongs to a frame, each of which has `header` bytes outside its packet.
    Bytes {
        given: Count,
        zeros: Count,
        accounted: u64,
        header: u64,
        flac: Option<flac::Frames>,
    },
    Container,
}

impl Checks {
    fn of_bytes(source: &WithoutTags, header: u64, flac: Option<flac::Frames>) -> Checks {
        Checks::Bytes {
            given: source.given.clone(),
            zeros: source.zeros.clone(),
            accounted: 0,
            header,
            flac,
        }
    }

    /// Judges the stream at its end, where `found` samples a channel were decoded.
    fn end(&self, found: u64, promised: Option<u64>) -> Result<(), AudioError> {
        let Checks::Bytes {
            given,
            zeros,
            accounted,
            flac,
            ..
        } = self
        else {
            return Ok(());
        };
        // Only MP3 and AAC are filled up after their last frame.
        let filling = if flac.is_some() { 0 } else { zeros.get() };
        if flac.is_some()
            && let Some(promised) = promised.filter(|&promised| promised != found)
        {
            return Err(AudioError::damaged(format!(
                "it has {found} samples a channel, but its header says {promised}"
            )));
        }
        match given.get().saturating_sub(*accounted) {
            left if left > filling => Err(AudioError::damaged(format!(
                "{left} of its bytes belong to no whole frame"
            ))),
            _ => Ok(()),
        }
    }
}

impl Compressed {
    pub fn flac(mut source: Source) -> Result<Compressed, AudioError> {
        let (header, frames) = flac::header(&mut source)?;
        let frames_only = WithoutTags::new(source);
        let checks = Checks::of_bytes(&frames_only, 0, Some(frames));
        let format = FlacReader::try_new(stream(header.chain(frames_only)), Default::default());
        Compressed::new(format, checks)
    }

    pub fn mp3(mut source: Source) -> Result<Compressed, AudioError> {
        let first = source.peek(4)?.first_chunk().copied().map(mpeg_frame);
        let frames = WithoutTags::new(source);
        let checks = Checks::of_bytes(&frames, 0, None);
        let format = MpaReader::try_new(stream(frames), Default::default());
        let mut decoder = Compressed::new(format, checks)?;
        // The frame that tells how many there are is no packet.
        if let (Some(_), Checks::Bytes { accounted, .. }) = (decoder.promised, &mut decoder.checks)
        {
            *accounted += first.flatten().unwrap_or(0) as u64;
        }
        Ok(decoder)
    }

    pub fn adts(mut source: Source) -> Result<Compressed, AudioError> {
        let header = match source.peek(2)? {
            [_, flags] if flags & 1 == 0 => 9,
            _ => 7,
        };
        let frames = WithoutTags::new(source);
        let checks = Checks::of_bytes(&frames, header, None);
        let format = AdtsReader::try_new(stream(frames), Default::default());
        Compressed::new(format, checks)
    }

    pub fn ogg(source: Source) -> Result<Compressed, AudioError> {
        let format = OggReader::try_new(stream(Pages::new(source)), Default::default());
        Compressed::new(format, Checks::Container)
    }

    pub fn mp4(source: Source) -> Result<Compressed, AudioError> {
        let stream = MediaSourceStream::new(Box::new(source.seekable()?), Default::default());
        let format = IsoMp4Reader::try_new(stream, Default::default());
        Compressed::new(format, Checks::Container)
    }

    pub fn caf(source: Source) -> Result<Compressed, AudioError> {
        let file = caf::repaired(source.seekable()?)?;
        let stream = MediaSourceStream::new(Box::new(file), Default::default());
        let format = CafReader::try_new(stream, Default::default());
        Compressed::new(format, Checks::Container)
    }

    fn new<F: FormatReader + 'static>(
        format: Result<F, Error>,
        checks: Checks,
    ) -> Result<Compressed, AudioError> {
        let format: Box<dyn FormatReader> =
            Box::new(format.map_err(|error| match failed(error) {
                AudioError::TruncatedFrame => AudioError::TruncatedHeader,
                other => other,
            })?);
        let track = format
            .default_track(TrackType::Audio)
            .ok_or_else(|| AudioError::damaged("no audio track"))?;
        let parameters = track
            .codec_params
            .as_ref()
            .and_then(|parameters| parameters.audio());
        let parameters = parameters.ok_or_else(|| AudioError::damaged("no audio parameters"))?;
        let rate = parameters
            .sample_rate
            .ok_or_else(|| AudioError::damaged("no sample rate"))?;
        let channels = parameters.channels.as_ref().map_or(0, Channels::count);
        let delay = u64::from(track.delay.unwrap_or(0));
        let delay = match parameters.codec {
            CODEC_ID_OPUS => delay,
            CODEC_ID_AAC => AAC_DELAY,
            CODEC_ID_MP3 if track.delay.is_none() => MP3_DELAY,
            // Packets tell it.
            _ => 0,
        };
        Ok(Compressed {
            track: track.id,
            codec: Codec::new(parameters)?,
            layout: Layout {
                rate,
                channels,
                top: full_scale_of(parameters.bits_per_sample.unwrap_or(16)),
                frames: track.num_frames,
            },
            promised: track.num_frames,
            delay,
            found: 0,
            packets: 0,
            mp3: parameters.codec == CODEC_ID_MP3,
            checks,
            interleaved: Vec::new(),
            format,
        })
    }

    /// Ends the stream, of which nothing may be missing.
    fn end(&mut self) -> Result<(), AudioError> {
        if let Some(promised) = self.promised.filter(|&promised| promised > self.found) {
            return Err(AudioError::Truncated {
                found: self.found,
                promised,
            });
        }
        self.checks.end(self.found, self.promised)?;
        let verified = match &mut self.codec {
            Codec::Symphonia(decoder) => decoder.finalize().verify_ok,
            Codec::Opus { .. } => None,
        };
        match verified {
            Some(false) => Err(AudioError::damaged("its samples do not match its checksum")),
            _ => Ok(()),
        }
    }
}

impl Decode for Compressed {
    fn layout(&self) -> Layout {
        self.layout
    }

    fn next(&mut self, samples: &mut Vec<f64>) -> Result<bool, AudioError> {
        let packet = loop {
            match self.format.next_packet() {
                Ok(Some(packet)) if packet.track_id == self.track => break packet,
                Ok(Some(_)) => {}
                Ok(None) => {
                    self.end()?;
                    return Ok(false);
                }
                Err(error) => {
                    let found = self.found;
                    return Err(match (failed(error), self.promised) {
                        (AudioError::TruncatedFrame, Some(promised)) => {
                            AudioError::Truncated { found, promised }
                        }
                        (other, _) => other,
                    });
                }
            }
        };
        self.packets += 1;
        self.interleaved.clear();
        let decoded = self
            .codec
            .decode(&packet, self.layout.channels, &mut self.interleaved);
        let channels = self.layout.channels.max(1);
        match decoded {
            Err(AudioError::Damaged(_)) if self.mp3 && self.packets <= CUT_OFF => {
                let silent = packet.block_dur().get() as usize * channels;
                self.interleaved.clear();
                self.interleaved.resize(silent, 0.0);
            }
            other => other?,
        }
        let frames = self.interleaved.len() / channels;
        if let Checks::Bytes {
            accounted,
            header,
            flac,
            ..
        } = &mut self.checks
        {
            *accounted += packet.data.len() as u64 + *header;
            if let Some(flac) = flac {
                flac.take(&packet.data, frames as u64)?;
            }
        }
        let start = frames.min(packet.trim_start.get() as usize);
        let end = frames
            .saturating_sub(packet.trim_end.get() as usize)
            .max(start);
        self.found += (end - start) as u64;
        let early = self.delay.min((end - start) as u64);
        self.delay -= early;
        let start = start + early as usize;
        samples.extend_from_slice(&self.interleaved[start * channels..end * channels]);
        Ok(true)
    }
}

impl Codec {
    fn new(parameters: &AudioCodecParameters) -> Result<Codec, AudioError> {
        if parameters.codec == CODEC_ID_OPUS {
            let channels = parameters.channels.as_ref().map_or(0, Channels::count);
            let head = parameters.extra_data.as_deref().unwrap_or_default();
            // Of an OpusHead, bytes 16 and 17 are the gain in 1/256 dB, and the one after it says how streams are mapped.
            let &[.., g0, g1, 0] = head.get(..19).unwrap_or_default() else {
                let why = "is Opus of more than two channels";
                return Err(AudioError::NotRead(why.into()));
            };
            let decoder = OpusDecoder::new(48_000, channels)
                .map_err(|error| AudioError::damaged(error.to_string()))?;
            return Ok(Codec::Opus {
                decoder: Box::new(decoder),
                gain: 10f64.powf(f64::from(i16::from_le_bytes([g0, g1])) / 256.0 / 20.0),
            });
        }
        let options = AudioDecoderOptions::default().verify(true).gapless(false);
        let decoder = symphonia::default::get_codecs().make_audio_decoder(parameters, &options);
        Ok(Codec::Symphonia(decoder.map_err(|_| not_read())?))
    }

    fn decode(
        &mut self,
        packet: &Packet,
        channels: usize,
        samples: &mut Vec<f64>,
    ) -> Result<(), AudioError> {
        match self {
            Codec::Symphonia(decoder) => {
                let audio = decoder.decode(packet).map_err(|error| match error {
                    // A packet is whole: it asks for more than it has.
                    Error::IoError(error) => AudioError::damaged(error.to_string()),
                    other => failed(other),
                })?;
                if audio.num_planes() != channels {
                    return Err(AudioError::damaged(format!(
                        "it has {} channels where its header has {channels}",
                        audio.num_planes()
                    )));
                }
                audio.copy_to_vec_interleaved(samples);
                samples.iter_mut().for_each(|sample| *sample *= FULL_SCALE);
            }
            Codec::Opus { decoder, gain } => {
                let mut pcm = [0i16; OPUS_PACKET * 2];
                let decoded = decoder.decode(&packet.data, &mut pcm, false);
                let frames = decoded.map_err(|error| AudioError::damaged(error.to_string()))?;
                let pcm = pcm.iter().take(frames * channels);
                samples.extend(pcm.map(|&sample| f64::from(sample) * *gain));
            }
        }
        Ok(())
    }
}

fn stream(source: impl Read + Send + Sync + 'static) -> MediaSourceStream<'static> {
    MediaSourceStream::new(Box::new(ReadOnlySource::new(source)), Default::default())
}

fn not_read() -> AudioError {
    AudioError::NotRead("is compressed in another way".into())
}

fn failed(error: Error) -> AudioError {
    match error {
        Error::IoError(error) => AudioError::of_reading(error),
        Error::Unsupported(_) => not_read(),
        Error::ResetRequired => AudioError::NotRead("is a chain of several streams".into()),
        Error::DecodeError(what) | Error::LimitError(what) => AudioError::damaged(what),
        other => AudioError::damaged(other.to_string()),
    }
}

/// Returns the length in bytes of the MPEG audio frame (layer III) that a header begins, or `None` if it begins none.
pub fn mpeg_frame(header: [u8; 4]) -> Option<usize> {
    let [sync, version, rates, _] = header;
    let layer_3 = sync == 0xff && version & 0xe6 == 0xe2;
    const KBPS: [[usize; 14]; 2] = [
        [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
        [
            32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320,
        ],
    ];
    let (rate_shift, mpeg_1) = match version >> 3 & 3 {
        0 => (2, 0),
        2 => (1, 0),
        3 => (0, 1),
        _ => return None,
    };
    let kbps = *KBPS[mpeg_1].get(usize::from(rates >> 4).checked_sub(1)?)?;
    let rate = *[44_100, 48_000, 32_000].get(usize::from(rates >> 2 & 3))? >> rate_shift;
    let padding = usize::from(rates >> 1 & 1);
    layer_3.then_some([72_000, 144_000][mpeg_1] * kbps / rate + padding)
}

/// Returns the length in bytes of the ADTS frame (AAC) that a header begins, or `None` if it begins none.
pub fn adts_frame(header: [u8; 6]) -> Option<usize> {
    let [sync, version, _, high, middle, low] = header;
    let length = usize::from(high & 3) << 11 | usize::from(middle) << 3 | usize::from(low >> 5);
    (sync == 0xff && version & 0xf6 == 0xf0 && length > 7).then_some(length)
}
