//! One recording in the formats of the world, as files and as pipes.

use std::fs;

use serde_json::Value;

use super::{interpolated, objects, piped, root, run, sample, stereo};

/// Time in ms by which the start of a word may differ.
const NEAR_MS: i64 = 60;

#[test]
fn a_recording_in_every_format_gives_the_detections_of_the_plain_wav() {
    let folder = "host-tools/support/tests/data/formats";
    let heard = |(code, stdout, stderr): (i32, String, String)| {
        assert_eq!(code, 0, "{stderr}");
        let detections = objects(&stdout).0.into_iter();
        let detections = detections.filter(|object| object["command"].is_string());
        let times = |of: Value| (of["command"].clone(), of["start_ms"].as_i64().unwrap());
        detections.map(times).collect::<Vec<_>>()
    };
    let plain = heard(run(&["run", "--json", &format!("{folder}/plain.wav")]));
    let [(command, start_ms)] = &plain[..] else {
        panic!("{plain:?}")
    };
    assert_eq!(command, "yes");
    let same = |found: &[(Value, i64)], times: usize, what: &str| {
        assert_eq!(found.len(), times, "{what}: {found:?}");
        for (found, found_ms) in found {
            assert_eq!(found, command, "{what}");
            assert!(
                (found_ms - start_ms).abs() <= NEAR_MS,
                "{what}: {found_ms} ms"
            );
        }
    };
    let files: Vec<_> = fs::read_dir(root().join(folder)).unwrap().collect();
    same(&heard(run(&["run", "--json", folder])), files.len(), folder);
    for file in files {
        let path = file.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        let what = path.display().to_string();
        same(&heard(piped(&["run", "--json", "-"], &bytes)), 1, &what);
    }
}

/// The sample at 48 kHz and with two channels, as a WAV of 32-bit floats, and its bytes without the header.
fn studio() -> (Vec<u8>, Vec<u8>) {
    let (_, samples) = sample();
    let wav = stereo(48_000, |n| {
        let value = interpolated(&samples, n as f64 / 3.0) / 32_768.0;
        (n < samples.len() * 3).then_some([1.5 * value, 0.5 * value])
    });
    let data = wav.windows(4).position(|name| name == b"data").unwrap() + 8;
    let raw = wav[data..].to_vec();
    (wav, raw)
}

#[test]
fn raw_audio_of_any_rate_channels_and_format_gives_what_its_wav_gives() {
    let (wav, raw) = studio();
    let options = "--rate 48000 --channels 2 --format f32le";
    let heard = |options: &str, bytes: &[u8]| {
        let options = options.split_terminator(' ');
        let arguments: Vec<_> = ["run", "--json", "-"].into_iter().chain(options).collect();
        let (code, stdout, stderr) = piped(&arguments, bytes);
        assert_eq!((code, stderr.as_str()), (0, ""), "{arguments:?}");
        let (detections, mut summary) = objects(&stdout);
        for time in ["processing_s", "rtf"] {
            summary[time].take();
        }
        (detections, summary)
    };
    let expected = heard("", &wav);
    assert_eq!(expected.0.len(), 6);
    assert_eq!(heard(options, &raw), expected);
    // A header that says the same is no contradiction.
    assert_eq!(heard(options, &wav), expected);
    // Big-endian integers of 24 bits, of which the lowest 8 are zero: the sample itself.
    let (path, samples) = sample();
    let bytes = samples
        .iter()
        .flat_map(|sample| [sample.to_be_bytes(), [0; 2]].concat()[..3].to_vec());
    let bytes: Vec<u8> = bytes.collect();
    let (_, packed) = heard("--format s24be", &bytes);
    let (_, plain) = objects(&run(&["run", "--json", &path]).1);
    assert_eq!(packed["logits_crc32"], plain["logits_crc32"]);
}

#[test]
fn options_that_contradict_a_header_are_an_error_of_one_line_with_both_values() {
    let (wav, raw) = studio();
    let flac = fs::read(root().join("host-tools/support/tests/data/formats/ffmpeg.flac"));
    let flac = flac.expect("a FLAC file of 16 kHz and one channel");
    let channels = "its header says 2, which contradicts --channels 1: leave that out";
    for (options, bytes, said) in [
        (
            "--rate 44100",
            &wav,
            "its header says 48000, which contradicts --rate 44100",
        ),
        ("--rate 48000 --channels 1", &wav, channels),
        (
            "--format s16le",
            &wav,
            "its header says f32le, which contradicts --format s16le",
        ),
        (
            "--format s16le",
            &flac,
            "its header says compressed samples, which contradicts",
        ),
        (
            "--rate 8",
            &raw,
            "has a sample rate of 8 Hz, expected 1 kHz to 192 kHz",
        ),
    ] {
        let options = options.split(' ');
        let arguments: Vec<_> = ["run", "-"].into_iter().chain(options).collect();
        // As much as a pipe holds: nobody reads it.
        let (code, stdout, stderr) = piped(&arguments, &bytes[..bytes.len().min(30_000)]);
        let lines = stderr.lines().count();
        assert_eq!((code, lines), (2, 1), "{arguments:?}: {stderr}");
        let said = format!("zerda: standard input: {said}");
        assert!(stderr.starts_with(&said), "{stderr}");
        assert_eq!(stdout, "");
    }
    let (code, stdout, stderr) = run(&["run", &sample().0, "--rate", "16000"]);
    assert_eq!((code, stdout.as_str(), stderr.lines().count()), (2, "", 1));
    assert!(
        stderr.contains("on standard input") && stderr.contains("name - as"),
        "{stderr}"
    );
    let (code, _, stderr) = run(&["run", "-", "--format", "s17le"]);
    assert!(
        code == 2 && stderr.contains("expected one of s16le s16be u8"),
        "{stderr}"
    );
}
