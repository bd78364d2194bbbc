//! `zerda listen` on a microphone that plays a recording: of ALSA's own, and of a library that stands in for it.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::Value;
use tempfile::TempDir;
use zerda_support::audio;
use zerda_support::test_support::{in_ci, say_skipped};

use common::{objects, outcome, root, run, zerda};

#[path = "../common/mod.rs"]
mod common;

const SAMPLE: &str = "models/samples/robot.wav";

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn at(folder: &TempDir, name: &str) -> String {
    folder.path().join(name).display().to_string()
}

/// The sample's audio, 16 kHz.
fn sample() -> Vec<i16> {
    audio::read(&root().join(SAMPLE)).unwrap()
}

/// Builds a library from a Rust file, as ALSA's.
fn library(source: &str, folder: &Path) {
    let rustc = std::env::var("RUSTC").unwrap_or("rustc".into());
    let built = Command::new(rustc)
        .args([
            "--edition",
            "2024",
            "--crate-type",
            "cdylib",
            "-C",
            "panic=abort",
            "-o",
        ])
        .arg(folder.join("libasound.so.2"))
        .arg(source)
        .output()
        .unwrap();
    assert!(
        built.status.success(),
        "{}",
        String::from_utf8_lossy(&built.stderr)
    );
}

/// The folder of the library that stands in for ALSA's.
fn fake() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let made = FOLDER.get_or_init(|| {
        let made = folder();
        let source = root().join("host-tools/cli/tests/listen/fake_alsa.rs");
        library(source.to_str().unwrap(), made.path());
        made
    });
    made.path()
}

/// `zerda listen` of a microphone of 48 kHz, two channels and 32 bits that plays the sample, one channel louder than the
/// other, and is unplugged then.
fn usb(arguments: &[&str]) -> (Command, Vec<u8>) {
    let mut bytes = Vec::new();
    for sample in sample() {
        // Three frames for one: a microphone that is a little dull.
        for channel in [sample / 2, sample].repeat(3) {
            bytes.extend((i32::from(channel) << 16).to_le_bytes());
        }
    }
    let path = fake().join("audio.s32");
    // Tests run side by side, and write the same.
    let mut file = tempfile::NamedTempFile::new_in(fake()).unwrap();
    std::io::Write::write_all(&mut file, &bytes).unwrap();
    file.persist(&path).unwrap();
    let mut command = zerda(&[&["listen"], arguments].concat());
    command
        .env("LD_LIBRARY_PATH", fake())
        .env("FAKE_AUDIO", path);
    (command, bytes)
}

fn names(objects: &[Value]) -> Vec<String> {
    let commands = objects
        .iter()
        .filter_map(|object| object["command"].as_str());
    commands.map(String::from).collect()
}

#[test]
fn an_unplugged_microphone_of_any_rate_was_heard_as_a_pipe_is_and_its_recording_is_whole() {
    let folder = folder();
    let recording = at(&folder, "heard.wav");
    let (mut command, bytes) = usb(&["--json", "--record", &recording]);
    let (code, stdout, stderr) = outcome(command.output().unwrap());
    assert_eq!((code, stderr.lines().count()), (2, 1), "{stderr}");
    let said = "zerda: microphone `default`: cannot be read: No such device: it was unplugged";
    assert!(
        stderr.starts_with(said) && stderr.contains("plug it in"),
        "{stderr}"
    );
    let (heard, summary) = objects(&stdout);
    assert_eq!(names(&heard), ["go", "left", "stop", "right", "go", "stop"]);
    assert_eq!(summary["overruns"], 0);
    let (again, same) = objects(&run(&["run", "--json", &recording]).1);
    assert_eq!(names(&again), names(&heard));
    for key in ["logits_crc32", "steps", "audio_s", "detections"] {
        assert_eq!(same[key], summary[key], "{key}");
    }
    // The same bytes from a pipe, of which the last filter's delay is heard too.
    let raw = at(&folder, "raw");
    fs::write(&raw, &bytes).unwrap();
    let raw_args = ["--rate", "48000", "--channels", "2", "--format", "s32le"];
    let mut pipe = zerda(&[&["listen", "-", "--json"], &raw_args[..]].concat());
    let piped = outcome(pipe.stdin(fs::File::open(&raw).unwrap()).output().unwrap());
    assert_eq!(piped.0, 0, "{}", piped.2);
    let times = |of: &Value| of["end_ms"].clone();
    assert!(
        objects(&piped.1)
            .0
            .iter()
            .map(times)
            .eq(heard.iter().map(times))
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn overruns_are_told_and_counted_and_recognition_goes_on() {
    // After half a second, and after two of the nine.
    for json in [true, false] {
        let form: &[&str] = if json { &["--json"] } else { &[] };
        let (mut command, _) = usb(&[form, &["--seconds", "8.5"]].concat());
        let output = command.env("FAKE_OVERRUNS", "24000,96000").output();
        let (code, stdout, stderr) = outcome(output.unwrap());
        assert_eq!((code, stderr.as_str()), (0, ""));
        if json {
            let (heard, summary) = objects(&stdout);
            let told = heard
                .iter()
                .filter(|line| line["overrun"]["at_ms"].is_u64());
            assert!((1..=2).contains(&told.count()), "{stdout}");
            assert_eq!(
                (&summary["overruns"], &summary["audio_s"]),
                (&2.into(), &8.5.into())
            );
            assert!(names(&heard).len() >= 5, "{stdout}");
        } else {
            assert!(
                stdout.contains("microphone: overrun 2, audio was lost"),
                "{stdout}"
            );
            assert!(stdout.contains(" kernels, 2 overruns; "), "{stdout}");
        }
    }
}

#[test]
fn one_channel_may_be_heard_and_one_that_is_not_there_is_told() {
    let crc = |arguments: &[&str]| {
        let (mut command, _) = usb(&[&["--json", "--seconds", "2"], arguments].concat());
        let (code, stdout, stderr) = outcome(command.output().unwrap());
        assert_eq!(code, 0, "{stderr}");
        objects(&stdout).1["logits_crc32"].clone()
    };
    assert_ne!(crc(&["--channel", "1"]), crc(&["--channel", "2"]));
    let (mut command, _) = usb(&["--channel", "3"]);
    let (code, stdout, stderr) = outcome(command.output().unwrap());
    let said = "zerda: microphone `default`: has 2 channels, no channel 3\n";
    assert_eq!((code, &*stdout, &*stderr), (2, "", said));
}

#[test]
fn microphones_are_listed_one_a_line_and_what_is_missing_is_told_with_what_to_do() {
    let listed = |command: &mut Command| outcome(command.output().unwrap());
    let (code, stdout, _) = listed(&mut usb(&["--list"]).0);
    let lines: Vec<_> = stdout.lines().collect();
    assert_eq!((code, lines.len()), (0, 2), "{stdout}");
    assert!(
        lines[0].starts_with("default ") && lines[0].ends_with(" Two channels"),
        "{stdout}"
    );
    assert_eq!(lines[1], "sysdefault:CARD=Fake");
    let (_, stdout, _) = listed(&mut usb(&["--list", "--json"]).0);
    let first: Value = serde_json::from_str(stdout.lines().next().unwrap()).unwrap();
    assert_eq!(first["device"], "default");
    let none = folder();
    fs::write(none.path().join("none.rs"), "").unwrap();
    library(&at(&none, "none.rs"), none.path());
    for (arguments, environment, said) in [
        (
            &["--list"][..],
            Some("FAKE_NONE"),
            "no microphone is found: plug one in",
        ),
        (
            &["--device", "nobody's"],
            None,
            "microphone `nobody's`: cannot be opened: No such file",
        ),
        (&["--device", "busy"], None, "another program has it"),
        (&[], Some("no library"), "no ALSA library (libasound.so.2)"),
        (
            &["--list"],
            Some("no library"),
            "no ALSA library (libasound.so.2)",
        ),
    ] {
        let mut command = usb(arguments).0;
        match environment {
            Some("no library") => drop(command.env("LD_LIBRARY_PATH", none.path())),
            Some(name) => drop(command.env(name, "1")),
            None => {}
        }
        let (code, stdout, stderr) = listed(&mut command);
        assert_eq!(
            (code, &*stdout, stderr.lines().count()),
            (2, "", 1),
            "{stderr}"
        );
        assert!(
            stderr.contains(said) && stderr.contains("| zerda listen -`"),
            "{stderr}"
        );
    }
}

#[test]
fn a_request_to_end_ends_listening_with_summary_and_recording() {
    let folder = folder();
    let recording = at(&folder, "heard.wav");
    let mut listening = zerda(&["listen", "-", "--record", &recording])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = listening.stdin.take().unwrap();
    let pcm: Vec<u8> = sample()
        .iter()
        .flat_map(|sample| sample.to_le_bytes())
        .collect();
    std::io::Write::write_all(&mut stdin, &pcm).unwrap();
    let mut first = [0; 1];
    std::io::Read::read_exact(listening.stdout.as_mut().unwrap(), &mut first).unwrap();
    assert!(
        !Path::new(&recording).exists(),
        "it is there once it is whole"
    );
    let kill = Command::new("kill")
        .args(["-s", "INT", &listening.id().to_string()])
        .status();
    assert!(kill.unwrap().success());
    let (code, stdout, _) = outcome(listening.wait_with_output().unwrap());
    drop(stdin);
    assert_eq!(code, 130);
    let summary = |text: &str| {
        let last = text.lines().last().unwrap();
        last.split_once(" kernels; ").unwrap().1.to_string()
    };
    let again = run(&["run", &recording]).1;
    assert_eq!(summary(&stdout), summary(&again));
    let recorded = audio::read(Path::new(&recording)).unwrap();
    assert!(!recorded.is_empty() && sample().starts_with(&recorded));
}

#[test]
fn a_recording_that_cannot_be_written_is_told_in_a_line() {
    let (folder, used) = (folder(), fake().join("used.wav"));
    for recording in [
        at(&folder, "none/heard.wav"),
        "/dev/null".into(),
        at(&folder, ""),
    ] {
        let output = usb(&["--record", &recording]).0.output().unwrap();
        let (code, stdout, stderr) = outcome(output);
        assert_eq!(
            (code, &*stdout, stderr.lines().count()),
            (2, "", 1),
            "{stderr}"
        );
        assert!(stderr.contains("cannot be written"), "{stderr}");
    }
    assert!(Path::new("/dev/null").exists() && !used.exists());
    // A disk that is full: no file may be longer than 64 KiB.
    let mut shell = Command::new("sh");
    let heard = at(&folder, "heard.wav");
    shell
        .args([
            "-c",
            "trap '' XFSZ; ulimit -f 128; exec \"$0\" listen - --record \"$1\"",
        ])
        .args([env!("CARGO_BIN_EXE_zerda"), &heard])
        .stdin(fs::File::open(root().join(SAMPLE)).unwrap())
        .current_dir(root());
    let (code, stdout, stderr) = outcome(shell.output().unwrap());
    assert_eq!((code, stderr.lines().count()), (2, 1), "{stderr}");
    assert!(
        stderr.contains("heard.wav: cannot be written: File too large"),
        "{stderr}"
    );
    assert!(
        stdout.lines().last().unwrap().contains(" s of audio in "),
        "{stdout}"
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// ALSA's own library, of this system or fetched; `None`, and SKIPPED is said, where it is not to be had.
fn alsa() -> Option<PathBuf> {
    let script = root().join("firmware/setup.sh");
    let output = Command::new("bash").arg(script).arg("alsa").output();
    let why = match output {
        Ok(Output { status, stdout, .. }) if status.success() => {
            return Some(String::from_utf8(stdout).unwrap().trim().into());
        }
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_string(),
        Err(error) => format!("bash: {error}"),
    };
    assert!(!in_ci(), "ALSA's library is needed in CI: {why}");
    say_skipped("zerda listen through ALSA", &why);
    None
}

#[test]
fn what_alsa_plays_is_recorded_bit_for_bit_and_run_gives_the_same_of_the_recording() {
    let Some(library) = alsa() else { return };
    let folder = folder();
    let played: Vec<u8> = sample()
        .iter()
        .flat_map(|sample| sample.to_le_bytes())
        .collect();
    fs::write(folder.path().join("played"), &played).unwrap();
    let setting = format!(
        "pcm.!default {{ type file slave.pcm {{ type null }} file /dev/null infile \"{}\" format raw }}\n\
         pcm.fixed {{ type plug slave {{ pcm default rate 48000 channels 2 format S32_LE }} }}\n",
        at(&folder, "played")
    );
    fs::write(folder.path().join("asound.conf"), setting).unwrap();
    let listen = |arguments: &[&str]| {
        let mut command = zerda(&[&["listen", "--json", "--seconds", "9"], arguments].concat());
        command
            .env("ALSA_CONFIG_PATH", at(&folder, "asound.conf"))
            .env("LD_LIBRARY_PATH", &library);
        outcome(command.output().unwrap())
    };
    let recording = at(&folder, "heard.wav");
    let (code, stdout, stderr) = listen(&["--record", &recording]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    let (heard, summary) = objects(&stdout);
    assert_eq!(names(&heard), ["go", "left", "stop", "right", "go", "stop"]);
    assert_eq!(summary["audio_s"], 9.0);
    let recorded = audio::read(Path::new(&recording)).unwrap();
    assert!(recorded.len() == 9 * 16_000 && recorded.starts_with(&sample()));
    let (again, same) = objects(&run(&["run", "--json", &recording]).1);
    let times = |of: &Value| {
        [
            of["command"].clone(),
            of["score"].clone(),
            of["decided_ms"].clone(),
        ]
    };
    assert!(again.iter().map(times).eq(heard.iter().map(times)));
    assert_eq!(same["logits_crc32"], summary["logits_crc32"]);
    // A device with its own rate and channels is taken as it is: the same bytes are shorter there, and nothing is said.
    let (code, stdout, stderr) = listen(&["--device", "fixed", "--record", &recording]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert_eq!(objects(&stdout).1["audio_s"], 9.0);
    let (code, _, stderr) = listen(&["--device", "nobody's"]);
    assert_eq!((code, stderr.lines().count()), (2, 1), "{stderr}");
}
