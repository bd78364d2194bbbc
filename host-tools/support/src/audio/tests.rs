mod cases;
mod flac_streams;
mod formats;
mod wav_headers;

use std::f64::consts::TAU;

use std::io::Cursor;

use hound::{SampleFormat, WavSpec, WavWriter};

use super::pcm::FULL_SCALE;
use super::source::Source;
use super::*;

fn spec(channels: u16, sample_rate: u32, bits_per_sample: u16, format: SampleFormat) -> WavSpec {
    WavSpec {
        channels,
        sample_rate,
        bits_per_sample,
        sample_format: format,
    }
}

fn wav<S: hound::Sample + Copy>(spec: WavSpec, samples: &[S]) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let mut writer = WavWriter::new(&mut bytes, spec).unwrap();
    for &sample in samples {
        writer.write_sample(sample).unwrap();
    }
    writer.finalize().unwrap();
    bytes.into_inner()
}

/// Decodes bytes, or says what is wrong with them.
fn decoded(bytes: Vec<u8>) -> Result<Vec<i16>, String> {
    let source = Source::new(Cursor::new(bytes));
    let whole = || {
        let mut recording = Recording::new("x".into(), source, None, format::decoder)?;
        let mut samples = Vec::new();
        while let Some(piece) = recording.next_piece()? {
            samples.extend_from_slice(piece);
        }
        Ok(samples)
    };
    whole().map_err(|error: crate::error::Error| error.to_string()[3..].into())
}

fn message(bytes: Vec<u8>) -> String {
    decoded(bytes).expect_err("an error")
}

/// 16-bit samples of a tone, `channels` times each.
fn tone(rate: u32, channels: usize, hz: f64) -> Vec<f64> {
    let frames = 0..rate as usize;
    let value = |n: usize| 0.5 * (TAU * hz * n as f64 / f64::from(rate)).sin();
    frames.flat_map(|n| vec![value(n); channels]).collect()
}

#[test]
fn every_value_of_16_bit_audio_passes_through_unchanged() {
    let all: Vec<i16> = (i16::MIN..=i16::MAX).collect();
    let bytes = wav(spec(1, 16_000, 16, SampleFormat::Int), &all);
    assert_eq!(decoded(bytes).unwrap(), all);
}

#[test]
fn every_sample_format_is_brought_to_16_bit_full_scale() {
    let int = |bits, samples: &[i32]| wav(spec(1, 16_000, bits, SampleFormat::Int), samples);
    let cases = [
        (int(8, &[-128, -1, 0, 127]), [-32768, -256, 0, 32512]),
        // 384 / 256 = 1.5 and -384 / 256 = -1.5, rounded away from zero; the top saturates.
        (
            int(24, &[384, -384, 0x7f_ffff, -0x80_0000]),
            [2, -2, 32767, -32768],
        ),
        (
            int(32, &[65536, -65536, i32::MAX, i32::MIN]),
            [1, -1, 32767, -32768],
        ),
        (
            wav(
                spec(1, 16_000, 32, SampleFormat::Float),
                &[0.5f32, -0.5, 2.0, -2.0],
            ),
            [16384, -16384, 32767, -32768],
        ),
    ];
    for (bytes, expected) in cases {
        assert_eq!(decoded(bytes).unwrap(), expected);
    }
}

#[test]
fn channels_are_averaged() {
    let bytes = wav(
        spec(3, 16_000, 16, SampleFormat::Int),
        &[3i16, 6, 9, -32768, -32768, -32768],
    );
    assert_eq!(decoded(bytes).unwrap(), [6, -32768]);
}

#[test]
fn a_tone_at_any_rate_becomes_the_same_tone_at_16_khz() {
    let expected: Vec<f64> = tone(16_000, 1, 1000.0);
    for rate in [8_000, 11_025, 22_050, 44_100, 48_000, 96_000] {
        let samples: Vec<f32> = tone(rate, 2, 1000.0).iter().map(|&x| x as f32).collect();
        let found = decoded(wav(spec(2, rate, 32, SampleFormat::Float), &samples)).unwrap();
        assert_eq!(found.len(), 16_000, "{rate} Hz");
        // The 50 ms at either end see the silence beyond.
        for n in 1000..15_000 {
            let error = f64::from(found[n]) - expected[n] * FULL_SCALE;
            assert!(error.abs() <= 2.0, "{rate} Hz, sample {n}: off by {error}");
        }
    }
}

#[test]
fn a_tone_above_8_khz_does_not_fold_back() {
    let samples: Vec<f32> = tone(44_100, 1, 9_000.0).iter().map(|&x| x as f32).collect();
    let found = decoded(wav(spec(1, 44_100, 32, SampleFormat::Float), &samples)).unwrap();
    let loudest = found[1000..15_000].iter().map(|x| x.unsigned_abs()).max();
    assert!(loudest <= Some(2), "{loudest:?}");
}

#[test]
fn what_is_held_of_a_recording_is_50_minutes_at_most_and_its_start_is_kept_of_one_that_is_whole() {
    let mut held = vec![0; 50 * 60 * 16_000 - 1];
    assert!(hold(&mut held, &[1], Path::new("long.wav")).is_ok());
    let error = hold(&mut held, &[1], Path::new("long.wav")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "long.wav: lasts longer than 50 minutes, the most that is held in memory here: cut it into shorter recordings"
    );

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.wav");
    let samples: Vec<i16> = (0..20_000).collect();
    write(&path, &samples).unwrap();
    for most in [0, 100, 20_000, 30_000] {
        let start = read_start(&path, most).unwrap();
        assert_eq!(start, samples[..most.min(20_000)]);
    }
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 2]).unwrap();
    let error = read_start(&path, 100).unwrap_err().to_string();
    assert!(
        error.ends_with("19999 of 20000 samples a channel are there"),
        "{error}"
    );
}

#[test]
fn a_recording_is_converted_with_what_follows_it_and_its_own_length_told() {
    let folder = tempfile::tempdir().unwrap();
    let [from, to] = ["ramp.flac", "ramp.wav"].map(|name| folder.path().join(name));
    std::fs::write(&from, FLAC).unwrap();
    assert_eq!(convert(&from, &to, &[7; 3]).unwrap(), 20);
    let ramp = (0..20).map(|n| 1001 * n - 10_000);
    assert_eq!(read(&to).unwrap(), ramp.chain([7; 3]).collect::<Vec<i16>>());
}

const NO_AUDIO: &str =
    "is no audio: expected WAV, FLAC, MP3, AAC, Ogg (Vorbis, Opus), M4A, AIFF or CAF";

#[test]
fn what_is_no_whole_audio_file_is_named() {
    let whole = wav(spec(2, 16_000, 16, SampleFormat::Int), &[1i16; 2000]);
    let cases: [(Vec<u8>, &str); 8] = [
        (vec![], "the file is empty"),
        (b"RI".to_vec(), NO_AUDIO),
        (b"OggS\0\x02".to_vec(), "is cut short within its header"),
        (b"no audio at all\n".to_vec(), NO_AUDIO),
        (whole[..20].to_vec(), "is cut short within its header"),
        (b"fLaC\0\0".to_vec(), "is cut short within its header"),
        (
            whole[..44 + 4 * 600 + 1].to_vec(),
            "is cut short: 600 of 1000 samples a channel are there",
        ),
        (
            wav(spec(1, 16_000, 16, SampleFormat::Int), &[0i16; 0]),
            "holds no samples",
        ),
    ];
    for (bytes, expected) in cases {
        assert_eq!(message(bytes), expected);
    }
    let rate = wav(spec(1, 10, 16, SampleFormat::Int), &[0i16; 9]);
    assert!(message(rate).starts_with("has a sample rate of 10 Hz"));
    let nan = wav(
        spec(1, 16_000, 32, SampleFormat::Float),
        &[0.0f32, f32::NAN],
    );
    assert_eq!(message(nan), "sample 1 is not a finite number");
}

/// 20 samples of two channels, 16 kHz, 16-bit, `1000 n - 10000` and `1002 n - 10000`; by libFLAC.
const FLAC: &[u8] = include_bytes!("../../tests/data/ramp.flac");

#[test]
fn flac_is_decoded_bit_for_bit() {
    let mean: Vec<i16> = (0..20).map(|n| 1001 * n - 10_000).collect();
    assert_eq!(decoded(FLAC.to_vec()).unwrap(), mean);
}

#[test]
fn a_flac_that_is_cut_or_changed_is_no_audio() {
    for length in 0..FLAC.len() {
        assert!(decoded(FLAC[..length].to_vec()).is_err(), "{length} bytes");
    }
    // A sample of the only frame.
    let mut changed = FLAC.to_vec();
    changed[100] ^= 1;
    assert!(decoded(changed).is_err());
}

#[test]
fn no_changed_byte_and_no_cut_makes_the_decoders_panic() {
    let wav = wav(spec(1, 16_000, 16, SampleFormat::Int), &[7i16; 20]);
    for whole in [wav.as_slice(), FLAC] {
        for at in 0..whole.len() {
            let _ = decoded(whole[..at].to_vec());
            for value in [0, 1, 0x7f, 0xff, !whole[at]] {
                let mut bytes = whole.to_vec();
                bytes[at] = value;
                let _ = decoded(bytes);
            }
        }
    }
}
