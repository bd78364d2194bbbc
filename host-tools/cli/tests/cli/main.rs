//! The command line as its users meet it, on the shipped image and samples.

#[path = "../common/mod.rs"]
mod common;
mod enroll;
mod files;
mod formats;
mod hostile;
#[cfg(unix)]
mod keep;
mod many;
mod mistakes;
mod quiet;

use std::f64::consts::PI;
use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use hound::{SampleFormat, WavReader, WavSpec, WavWriter};
use serde_json::Value;
use tempfile::TempDir;

use common::{objects, outcome, root, run, zerda};

fn piped(arguments: &[&str], input: &[u8]) -> (i32, String, String) {
    let mut child = zerda(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("zerda starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(input).expect("it reads its input");
    drop(stdin);
    outcome(child.wait_with_output().expect("it ends"))
}

fn samples() -> Vec<String> {
    let folder = fs::read_dir(root().join("models/samples")).expect("the samples");
    let files = folder.map(|entry| entry.unwrap().path());
    let wavs = files.filter(|path| path.extension().is_some_and(|e| e == "wav"));
    let mut samples: Vec<_> = wavs.map(|path| path.display().to_string()).collect();
    samples.sort();
    samples
}

/// A sample with several commands: its path and its 16 kHz samples.
fn sample() -> (String, Vec<i16>) {
    let path = root()
        .join("models/samples/robot.wav")
        .display()
        .to_string();
    let mut reader = WavReader::open(&path).expect("a WAV");
    let samples = reader
        .samples::<i16>()
        .map(|sample| sample.unwrap())
        .collect();
    (path, samples)
}

fn write(folder: &TempDir, name: &str, bytes: &[u8]) -> String {
    let path = folder.path().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, bytes).unwrap();
    path.display().to_string()
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

/// What is spoken stands beside each sample, by whoever made it.
#[test]
fn every_sample_gives_the_commands_that_are_spoken_in_it_within_160_ms() {
    let mut commands = 0;
    for path in samples() {
        let spoken = fs::read_to_string(Path::new(&path).with_extension("json")).unwrap();
        let spoken: Value = serde_json::from_str(&spoken).unwrap();
        let spoken = spoken["commands"].as_array().unwrap();
        let (detected, _) = objects(&run(&["run", "--json", &path]).1);
        let names = |list: &[Value]| {
            list.iter()
                .map(|one| one["command"].clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(names(&detected), names(spoken), "{path}");
        for (detected, spoken) in detected.iter().zip(spoken) {
            let ms = |object: &Value, key| object[key].as_i64().unwrap();
            let word = ms(spoken, "start_ms")..ms(spoken, "end_ms") + 160;
            assert!(
                word.contains(&ms(detected, "decided_ms")),
                "{path}: {detected}"
            );
        }
        commands += spoken.len();
    }
    assert!(commands > 0);
}

#[test]
fn a_stereo_float_wav_of_another_rate_gives_the_detections_of_the_original_as_a_file_and_as_a_pipe()
{
    let (path, samples) = sample();
    let (original, _) = objects(&run(&["run", "--json", &path]).1);
    assert!(!original.is_empty());
    for rate in [44_100, 48_000] {
        let copy = stereo(rate, |n| {
            // The channels differ; their mean is the original.
            let value = interpolated(&samples, n as f64 * 16_000.0 / f64::from(rate)) / 32_768.0;
            (n < samples.len() * rate as usize / 16_000).then_some([1.5 * value, 0.5 * value])
        });
        let folder = folder();
        let file = write(&folder, "copy.wav", &copy);
        for (code, said, stderr) in [
            run(&["run", "--json", &file]),
            piped(&["run", "--json", "-"], &copy),
        ] {
            assert_eq!((code, stderr.as_str()), (0, ""));
            agree(&objects(&said).0, &original);
        }
    }
}

/// The bytes of a WAV of two channels, as 32-bit floats: frames by their number, until there is none.
fn stereo(rate: u32, frame: impl Fn(usize) -> Option<[f64; 2]>) -> Vec<u8> {
    let spec = WavSpec {
        channels: 2,
        sample_rate: rate,
        bits_per_sample: 32,
        sample_format: SampleFormat::Float,
    };
    let mut bytes = Cursor::new(Vec::new());
    let mut writer = WavWriter::new(&mut bytes, spec).unwrap();
    for value in (0..).map_while(frame).flatten() {
        writer.write_sample(value as f32).unwrap();
    }
    writer.finalize().unwrap();
    bytes.into_inner()
}

#[test]
fn channels_that_cancel_each_other_out_are_remarked_and_one_of_them_may_be_chosen() {
    let (path, samples) = sample();
    let folder = folder();
    let copy = stereo(16_000, |n| {
        let value = f64::from(*samples.get(n)?) / 32_768.0;
        Some([value, -value])
    });
    let copy = write(&folder, "copy.wav", &copy);
    let (code, _, stderr) = run(&["run", &copy]);
    assert_eq!((code, stderr.lines().count()), (0, 1), "{stderr}");
    assert!(stderr.contains("cancel each other out"), "{stderr}");
    let (code, chosen, stderr) = run(&["run", "--json", "--channel", "1", &copy]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    let [chosen, original] =
        [chosen, run(&["run", "--json", &path]).1].map(|said| objects(&said).1);
    assert_eq!(chosen["logits_crc32"], original["logits_crc32"]);
    let (code, _, stderr) = run(&["run", "--channel", "3", &copy]);
    assert_eq!(code, 2);
    assert!(stderr.contains("has 2 channels, no channel 3"), "{stderr}");
}

/// 32-bit floats that are scaled as 16-bit integers are.
#[test]
fn floats_beyond_full_scale_are_remarked_once_with_what_to_do() {
    let (_, samples) = sample();
    let loud = stereo(16_000, |n| Some([f64::from(*samples.get(n)?); 2]));
    let folder = folder();
    let (code, _, stderr) = run(&["run", &write(&folder, "loud.wav", &loud)]);
    assert_eq!((code, stderr.lines().count()), (0, 1), "{stderr}");
    let peak = samples.iter().map(|sample| sample.unsigned_abs()).max();
    let expected = format!("samples reach {}", peak.unwrap());
    assert!(stderr.contains(&expected), "{stderr}");
    let cure = " times full scale and are cut off there: scale them to -1 to 1";
    assert!(stderr.contains(cure), "{stderr}");
}

#[test]
fn a_file_that_ends_within_a_sample_is_told_once() {
    let mut bytes = fs::read(sample().0).unwrap();
    let length = u32::from_le_bytes(bytes[40..44].try_into().unwrap()) - 1;
    bytes[40..44].copy_from_slice(&length.to_le_bytes());
    let folder = folder();
    let path = write(&folder, "half.wav", &bytes);
    let (code, _, stderr) = run(&["run", &path]);
    let expected = format!("zerda: warning: {path}: ends within a sample, which is left out\n");
    assert_eq!((code, stderr), (0, expected));
}

/// The same commands, at the same times but for a frame.
fn agree(copied: &[Value], original: &[Value]) {
    assert_eq!(copied.len(), original.len());
    for (copied, original) in copied.iter().zip(original) {
        assert_eq!(copied["command"], original["command"]);
        // A rounding of half a sample step may move a threshold's crossing by a frame.
        let difference = copied["end_ms"].as_i64().unwrap() - original["end_ms"].as_i64().unwrap();
        assert!(difference.abs() <= 10, "{copied} for {original}");
    }
}

/// The band-limited signal between the samples, by a windowed sinc of 128 samples.
fn interpolated(samples: &[i16], at: f64) -> f64 {
    let nearest = at.floor() as isize;
    let taps = (nearest - 63..=nearest + 64).filter_map(|n| {
        let sample = *samples.get(usize::try_from(n).ok()?)?;
        let x = at - n as f64;
        let sinc = if x == 0.0 {
            1.0
        } else {
            (PI * x).sin() / (PI * x)
        };
        let window = (PI * x / 128.0).cos().powi(2);
        Some(f64::from(sample) * sinc * window)
    });
    taps.sum()
}

#[test]
fn raw_pcm_on_standard_input_gives_what_the_file_gives() {
    let (path, samples) = sample();
    let pcm: Vec<u8> = samples
        .iter()
        .flat_map(|sample| sample.to_le_bytes())
        .collect();
    let (from_file, file_summary) = objects(&run(&["run", "--json", &path]).1);

    let (code, stdout, stderr) = piped(&["run", "--json", "-"], &pcm);
    assert_eq!((code, stderr.as_str()), (0, ""));
    let (from_pipe, pipe_summary) = objects(&stdout);
    for field in ["audio_s", "steps", "logits_crc32", "detections", "files"] {
        assert_eq!(pipe_summary[field], file_summary[field], "{field}");
    }
    assert!(pipe_summary["rtf"].as_f64().is_some_and(|rtf| rtf > 0.0));
    let times = |detection: &Value| {
        ["command", "score", "start_ms", "end_ms", "decided_ms"].map(|key| detection[key].clone())
    };
    assert!(from_pipe.iter().map(times).eq(from_file.iter().map(times)));

    let odd = [pcm.as_slice(), &[0]].concat();
    let (code, stdout, stderr) = piped(&["run", "--json", "-"], &odd);
    assert_eq!(code, 2);
    assert!(
        stderr.starts_with("zerda: standard input: ends within a sample"),
        "{stderr}"
    );
    assert_eq!(
        objects(&stdout).1["logits_crc32"],
        file_summary["logits_crc32"]
    );
    assert_eq!(piped(&["run", "-"], b"").0, 2);
}

#[test]
fn silence_has_no_command_and_says_so() {
    let (code, stdout, _) = piped(&["run", "-"], &vec![0; 64_000]);
    assert_eq!(code, 0);
    let lines: Vec<&str> = stdout.lines().collect();
    assert_eq!(lines[0], "-: no command in 2.00 s");
    assert!(lines[1].starts_with("2.00 s of audio in "), "{stdout}");
    assert_eq!(lines.len(), 2);
}

#[test]
fn a_trace_shows_each_detection_or_says_why_it_cannot_be_written() {
    let (audio, _) = sample();
    let folder = folder();
    let trace = folder.path().join("trace.svg").display().to_string();
    let (code, stdout, _) = run(&["run", "--json", &audio, "--trace", &trace]);
    assert_eq!(code, 0);
    let svg = fs::read_to_string(&trace).unwrap();
    assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
    for detection in objects(&stdout).0 {
        let (command, score) = (detection["command"].as_str(), detection["score"].as_f64());
        assert!(svg.contains(&format!("{} {:.2}", command.unwrap(), score.unwrap())));
    }

    // Behind wake words, in the quiet: thresholds, the time in which commands count, and that in which the network rests.
    let gated = ["--wake", "--quiet", "--json", "models/samples/wake.wav"];
    let (code, stdout, _) = run(&[&["run", "--trace", &trace], &gated[..]].concat());
    assert_eq!(code, 0);
    let svg = fs::read_to_string(&trace).unwrap();
    let kinds = |kind: &str| {
        let objects = objects(&stdout).0;
        objects.iter().filter(|of| of.get(kind).is_some()).count()
    };
    let bars = |class: &str| svg.matches(&format!("<rect class=\"{class}\"")).count();
    // One of each in the legend. A stream begins with a spell; after each that ended the network rests, in both charts.
    assert_eq!(bars("window"), 1 + kinds("awake"));
    assert_eq!(bars("quiet"), 1 + 2 * kinds("quiet"));
    assert!(kinds("quiet") > 0 && svg.contains("threshold 0.60") && svg.contains("network rests"));

    let nowhere = folder.path().join("none/trace.svg").display().to_string();
    let mut targets = vec![nowhere];
    if cfg!(target_os = "linux") {
        targets.push("/dev/full".into());
    }
    for target in targets {
        let (code, _, stderr) = run(&["run", &audio, "--trace", &target]);
        assert_eq!(code, 2);
        assert!(
            stderr.starts_with(&format!("zerda: {target}: cannot be written")),
            "{stderr}"
        );
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_reader_that_goes_away_ends_the_run_quietly() {
    for audio in ["models/samples/robot.wav", "models/samples"] {
        let mut child = zerda(&["run", audio])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let (code, _, stderr) = outcome(child.wait_with_output().unwrap());
        assert_eq!((code, stderr.as_str()), (0, ""));
    }
}

/// robot.wav says go, left, stop, right, go, stop.
#[test]
fn with_wake_words_commands_count_after_one_of_them_only() {
    let robot = "models/samples/robot.wav";
    let (code, stdout, stderr) = run(&["run", "--json", "--wake=stop", robot]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    let (lines, summary) = objects(&stdout);
    let said = lines.iter().map(|line| match &line["command"] {
        Value::String(command) => command.clone(),
        _ => line["awake"].as_object().map_or("?", |_| "awake").into(),
    });
    let expected = [
        "stop", "awake", "right", "awake", "go", "awake", "stop", "awake",
    ];
    assert_eq!(said.collect::<Vec<_>>(), expected);
    assert_eq!(
        (&summary["detections"], &summary["wake_words"]),
        (&2.into(), &2.into())
    );
    // The network heard the same.
    let (_, plain) = objects(&run(&["run", "--json", robot]).1);
    assert_eq!(plain["logits_crc32"], summary["logits_crc32"]);
    assert_eq!(plain["wake_words"], Value::Null);
    let text = run(&["run", "--wake=stop", robot]).1;
    assert!(
        text.contains("robot.wav: 2 commands, 2 wake words in 8.96 s"),
        "{text}"
    );
}
