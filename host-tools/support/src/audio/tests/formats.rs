//! The same half second of speech, as sox 14.4 and ffmpeg 5.1 wrote it into files and pipes (`pipe.*`, `ffmpeg_pipe.wav`).

use super::cases::speech;
use super::*;

/// Each file, and how much of the speech's energy may differ. What is lossless differs in nothing.
const FILES: [(&str, f64); 21] = [
    ("alaw.wav", 0.001),
    ("celt.opus", 0.1),
    ("aac.m4a", 0.1),
    ("f32.wav", 0.0),
    ("ffmpeg.flac", 0.0),
    ("ffmpeg_pipe.wav", 0.0),
    ("float.aifc", 0.0),
    ("lame.mp3", 0.1),
    ("mulaw.wav", 0.001),
    ("pipe.aac", 0.1),
    ("pipe.aiff", 0.0),
    ("pipe.flac", 0.0),
    ("pipe.mp3", 0.3),
    ("pipe.wav", 0.0),
    ("plain.wav", 0.0),
    ("rf64.wav", 0.0),
    ("s24.wav", 0.0),
    ("silk.opus", 0.3),
    ("sowt.caf", 0.0),
    ("u8.wav", 0.01),
    ("vorbis.ogg", 0.1),
];

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/formats")
}

#[test]
fn one_recording_in_every_format_sounds_the_same_from_a_file_and_from_a_pipe() {
    let (speech, _) = speech();
    let energy: f64 = speech.iter().map(|&s| f64::from(s).powi(2)).sum();
    let mut names: Vec<_> = FILES.iter().map(|(name, _)| folder().join(name)).collect();
    names.sort();
    assert_eq!(list(&folder()).unwrap(), names);
    for (name, most) in FILES {
        let path = folder().join(name);
        let file = read(&path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let mut pipe =
            Recording::of_stream("pipe", Cursor::new(bytes), None, Raw::default()).unwrap();
        let mut piped = Vec::new();
        while let Some(piece) = pipe.next_piece().unwrap() {
            piped.extend_from_slice(piece);
        }
        assert_eq!(piped, file, "{name}");
        if most == 0.0 {
            assert_eq!(file, speech, "{name}");
            continue;
        }
        assert!(file.len() >= speech.len(), "{name}: {} samples", file.len());
        let error = file
            .iter()
            .zip(&speech)
            .map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2));
        let error = error.sum::<f64>() / energy;
        assert!(error <= most, "{name}: {error}");
    }
}

/// A program that writes into a pipe may not know the length when it writes the header, and encoders of music add silence.
#[test]
fn a_forecast_is_what_a_header_says_or_a_byte_for_a_sample() {
    for (name, most) in FILES {
        let path = folder().join(name);
        let bytes = std::fs::metadata(&path).unwrap().len();
        let (forecast, samples) = (forecast(&path), read(&path).unwrap().len() as u64);
        let near = match most {
            0.0 => samples..=samples,
            _ => samples / 2..=samples * 2,
        };
        assert!(
            near.contains(&forecast) || forecast == bytes,
            "{name}: {forecast} for {samples} samples, {bytes} bytes"
        );
        let told = ["plain.wav", "s24.wav", "rf64.wav", "pipe.flac"].contains(&name);
        assert!(!told || forecast == samples, "{name}: {forecast}");
        let untold = ["ffmpeg_pipe.wav", "ffmpeg.flac"].contains(&name);
        assert!(!untold || forecast == bytes, "{name}: {forecast}");
    }
    assert_eq!(forecast(&folder()), 0);
    assert_eq!(forecast(&folder().join("none.wav")), 0);
}

/// Nothing in pipe.aac and lame.mp3 tells how long they are, so that whole frames may be cut off them. Otherwise, whatever is cut from a compressed file, or changed in it, it is no shorter recording afterwards.
#[test]
fn compressed_files_that_are_cut_or_changed_are_errors_or_of_full_length() {
    let mut counts = [0; 2];
    for name in [
        "silk.opus",
        "vorbis.ogg",
        "aac.m4a",
        "lame.mp3",
        "ffmpeg.flac",
        "pipe.aac",
        "sowt.caf",
    ] {
        let whole = std::fs::read(folder().join(name)).unwrap();
        let length = decoded(whole.clone()).unwrap().len();
        for part in 0..40 {
            let at = whole.len() * part / 40;
            let cut = decoded(whole[..at].to_vec());
            assert!(
                cut.is_err() || ["pipe.aac", "lame.mp3"].contains(&name),
                "{name} cut at {at}: {cut:?}"
            );
            let mut changed = whole.clone();
            changed[at] ^= 0x55;
            match decoded(changed) {
                Ok(samples) => {
                    counts[0] += 1;
                    assert!(
                        samples.len() >= length,
                        "{name} changed at {at}: {}",
                        samples.len()
                    );
                }
                Err(_) => counts[1] += 1,
            }
        }
    }
    println!(
        "changed: {} of full length, {} errors",
        counts[0], counts[1]
    );
}
