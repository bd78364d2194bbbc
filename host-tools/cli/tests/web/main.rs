//! The page of `zerda web` in Chromium hears what `zerda run` hears, offline too, and sends nothing.

#[path = "../common/mod.rs"]
mod common;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use hound::{WavReader, WavWriter};
use serde_json::Value;
use zerda_support::test_support::{in_ci, say_skipped};
use zerda_support::venv::venv;

use common::{objects, root, run, zerda};

/// The most bytes that the page may take to load.
const DOWNLOAD: u64 = 1_500_000;
/// The most that hearing may take of the time that the audio lasts.
const RTF: f64 = 0.03;
/// Milliseconds by which a detection in the microphone may be off.
const NEAR_MS: f64 = 100.0;
const TARGET: &str = "wasm32-unknown-unknown";

/// Runs a script of the set-up, and returns the last line that it prints, or what it says on standard error.
fn set_up(arguments: &[&str], folder: &Path) -> Result<String, String> {
    let mut bash = Command::new("bash");
    bash.arg(root().join("firmware/setup.sh").canonicalize().unwrap());
    bash.args(arguments).current_dir(folder);
    let output = bash.output().map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match output.status.success() {
        true => Ok(text(&output.stdout)
            .lines()
            .last()
            .unwrap_or_default()
            .into()),
        false => Err(text(&output.stderr)),
    }
}

/// Python with Playwright, and Chromium; or why they cannot be had.
fn browser() -> Result<(PathBuf, String), String> {
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/web/requirements.txt");
    let packages = fs::read_to_string(packages).unwrap();
    let bin = venv(
        &root().join("target/web-venv"),
        &packages,
        "Playwright for the tests",
    )?;
    set_up(&["targets", TARGET], &root())?;
    Ok((bin.join("python"), set_up(&["chromium"], &root())?))
}

/// A module with the cases of the kernels, which the page's does not have.
fn module_with_cases() -> PathBuf {
    let arguments = [
        "cargo",
        TARGET,
        "build",
        "--release",
        "--features",
        "cases",
        "--example",
        "cases",
    ];
    let built = set_up(&arguments, &root().join("host-tools/web"));
    built.unwrap_or_else(|why| panic!("{why}"));
    root()
        .join("target/web")
        .join(TARGET)
        .join("release/examples/cases.wasm")
}

/// The detections of `zerda run OPTIONS RECORDING`, and its logits.
fn heard(recording: &Path, options: &[&str]) -> (Vec<Value>, String) {
    let recording = recording.display().to_string();
    let arguments = [&["run", "--json"], options, &[&recording]].concat();
    let (code, stdout, stderr) = run(&arguments);
    assert_eq!(code, 0, "{stderr}");
    let (mut lines, summary) = objects(&stdout);
    lines.retain(|line| !line["start_ms"].is_null());
    let logits = summary["logits_crc32"].as_str().unwrap();
    (lines, logits.into())
}

/// Asserts that the page heard what `zerda run` did.
fn assert_same(seen: &Value, (lines, logits): &(Vec<Value>, String)) {
    let number = |value: &Value| value.as_str().unwrap().parse::<f64>().unwrap();
    let detections = seen["detections"].as_array().unwrap();
    assert_eq!(detections.len(), lines.len(), "{seen}");
    for (detection, line) in detections.iter().zip(lines) {
        assert_eq!(detection["name"], line["command"], "{seen}");
        for (of_page, of_run) in [
            ("start", "start_ms"),
            ("end", "end_ms"),
            ("decided", "decided_ms"),
        ] {
            assert_eq!(Some(number(&detection[of_page])), line[of_run].as_f64());
        }
        let score = line["score"].as_f64().unwrap();
        assert!(
            (number(&detection["score"]) / 256.0 - score).abs() < 0.005,
            "{line}"
        );
    }
    assert_eq!(seen["logits"].as_str(), Some(&logits[..]));
}

/// Writes a recording, over and over.
fn repeated(recording: &Path, times: usize, to: &Path) -> f64 {
    let mut reader = WavReader::open(recording).unwrap();
    let samples: Vec<i16> = reader.samples().map(Result::unwrap).collect();
    let mut writer = WavWriter::create(to, reader.spec()).unwrap();
    for &sample in samples.iter().cycle().take(times * samples.len()) {
        writer.write_sample(sample).unwrap();
    }
    writer.finalize().unwrap();
    samples.len() as f64 / 16.0
}

/// Asserts that the microphone, which heard a recording over and over, gave the commands of the recording in order, each of
/// them at its time.
fn assert_looped(seen: &Value, expected: &[Value], loop_ms: f64) {
    let detections = seen["detections"].as_array().unwrap();
    let name = |value: &Value, key: &str| value[key].as_str().unwrap().to_string();
    let at = |value: &Value| value["start"].as_str().unwrap().parse::<f64>().unwrap();
    let expected: Vec<_> = expected
        .iter()
        .map(|line| (name(line, "command"), line["start_ms"].as_f64().unwrap()))
        .collect();
    let turn: Vec<_> = expected.iter().filter(|(_, ms)| *ms < loop_ms).collect();
    assert!(detections.len() >= 2 * turn.len() - 1, "{seen}");
    let seen: Vec<_> = detections
        .iter()
        .map(|detection| (name(detection, "name"), at(detection)))
        .collect();
    // The microphone begins anywhere in the recording.
    let first = (0..turn.len()).find(|&first| {
        let rest = &expected[first..];
        seen.len() <= rest.len() && seen.iter().zip(rest).all(|(seen, word)| seen.0 == word.0)
    });
    let first = first.unwrap_or_else(|| panic!("other commands: {seen:?}\n{expected:?}"));
    let expected = &expected[first..];
    let offset = seen[0].1 - expected[0].1;
    println!("the microphone is {offset} ms behind the recording");
    for ((name, at), (_, ms)) in seen.iter().zip(expected) {
        let apart = (at - offset - ms).rem_euclid(loop_ms);
        let apart = apart.min(loop_ms - apart);
        assert!(apart <= NEAR_MS, "{name}: {at} ms, expected {ms}\n{seen:?}");
    }
}

#[test]
fn the_page_hears_what_run_hears_offline_too_and_sends_nothing() {
    let (python, chromium) = match browser() {
        Ok(found) => found,
        Err(why) if in_ci() => panic!("Chromium is needed in CI: {why}"),
        Err(why) => return say_skipped("the page", &why),
    };
    let folder = root().join("target/web");
    let site = folder.join("site");
    let (code, stdout, stderr) = run(&["web", "-o", site.to_str().unwrap()]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("files, "), "{stdout}");

    let scratch = tempfile::tempdir().unwrap();
    let path = |name: &str| scratch.path().join(name);
    // Chromium reads no file whose path has dots.
    let samples = root().join("models/samples").canonicalize().unwrap();
    let (recording, loops) = (samples.join("wake.wav"), samples.join("lift.wav"));
    let image = fs::read(root().join("models/shrunk.zerda")).unwrap();
    let truncated = path("bad-truncated.zerda");
    fs::write(&truncated, &image[..1000]).unwrap();
    let mut bytes = image;
    bytes[100_000] ^= 1;
    fs::write(path("bad-damaged.zerda"), &bytes).unwrap();
    fs::write(path("bad-text.zerda"), "no image").unwrap();
    let hungry = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/hostile/memory-8g.zerda");
    fs::copy(hungry, path("bad-hungry.zerda")).unwrap();
    let mine = path("mine.zerda");
    let config = path("config");
    let settings = fs::read_to_string(root().join("config/commands.toml")).unwrap();
    let settings = settings
        + "\n[quiet]\nsensitivity = 2\n[grammar]\ncommands = [\"go left\"]\n[wake]\nwords = [\"yes\"]\nwindow_ms = 6000\n";
    fs::create_dir(&config).unwrap();
    fs::write(config.join("commands.toml"), settings).unwrap();
    let options = [
        "--config",
        config.to_str().unwrap(),
        "-o",
        mine.to_str().unwrap(),
    ];
    let (code, _, stderr) = run(&[&["commands", "models/shrunk.zerda"], &options[..]].concat());
    assert_eq!(code, 0, "{stderr}");

    let looped = path("looped.wav");
    let loop_ms = repeated(&loops, 4, &looped);
    let output = Command::new(python)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/web/page.py"))
        .args([chromium.as_ref(), site.as_path(), &folder])
        .arg(RTF.to_string())
        .arg(&loops)
        .arg((2.2 * loop_ms / 1000.0).to_string())
        .arg(&recording)
        .args([
            &truncated,
            &path("bad-damaged.zerda"),
            &path("bad-text.zerda"),
        ])
        .args([&path("bad-hungry.zerda"), &mine])
        .arg(module_with_cases())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let seen: Value = serde_json::from_slice(&output.stdout).unwrap();

    let plain = heard(&recording, &[]);
    assert_same(&seen["dropped"], &plain);
    assert_same(&seen["offline"], &plain);
    let of_mine = heard(&recording, &["--image", mine.to_str().unwrap()]);
    assert_same(&seen["images"]["mine.zerda"], &of_mine);
    assert_looped(&seen["microphone"], &heard(&looped, &[]).0, loop_ms);
    assert_problems(&seen);
    assert_frugal(&seen);
    assert_accessible(&seen);
    let [count, kernels] = [0, 1].map(|at| &seen["cases"][at]);
    assert_eq!(kernels, "simd128 plain ");
    assert!(count.as_u64() > Some(1000), "{count} cases");
}

/// Files that cannot be used are told in a line, and what heard before goes on.
fn assert_problems(seen: &Value) {
    let bad = |name: &str| seen["images"][name].as_str().unwrap();
    for (name, expected) in [
        ("bad-truncated.zerda", "truncated: 1000 of 230001 bytes; "),
        ("bad-damaged.zerda", "damaged: checksum "),
        ("bad-text.zerda", "not a Zerda image; "),
        ("bad-hungry.zerda", "header, arena bytes: are too many; "),
    ] {
        let line = bad(name);
        assert!(line.starts_with(&format!("{name}: {expected}")), "{line}");
        assert!(!line.contains('\n'), "{line}");
    }
    let line = seen["undecodable"].as_str().unwrap();
    assert!(
        line.starts_with("noise.ogg: this browser cannot decode it"),
        "{line}"
    );
}

/// It is small, quick, and asks its server for nothing once it is there.
fn assert_frugal(seen: &Value) {
    let download = seen["download"].as_u64().unwrap();
    println!("download: {download} bytes (counted), at most {DOWNLOAD}");
    assert!((500_000..=DOWNLOAD).contains(&download), "{download} bytes");
    let rtf = seen["rtf"].as_f64().unwrap();
    println!("real-time factor in the page: {rtf} (measured), at most {RTF}");
    assert!(rtf > 0.0 && rtf <= RTF, "{rtf}");
    assert_eq!(seen["asked later"], Value::Array(Vec::new()));
    assert_eq!(seen["errors"], Value::Array(Vec::new()));
    // 1 kHz passes as it is, as 16 000 of 44 100 samples, of 44 pieces of 1024; 12 kHz would fold back.
    let [pass, stop] = [0, 1].map(|at| &seen["resampled"][at]);
    assert!(
        (16_300..=16_350).contains(&pass[0].as_u64().unwrap()),
        "{pass}"
    );
    assert!((pass[1].as_f64().unwrap() - 0.5).abs() < 0.005, "{pass}");
    assert!(stop[1].as_f64().unwrap() < 1e-4, "{stop}");
}

/// The keyboard reaches all of it, in order, screen readers get its names, and texts stand out in light and dark.
fn assert_accessible(seen: &Value) {
    let tree = seen["tree"].as_str().unwrap();
    for part in [
        "heading \"Zerda\" [level=1]",
        "button \"Listen to the microphone\"",
        "button \"Hear the sample\"",
        "button \"Open files…\"",
        "combobox \"Model\"",
        "region \"Detections\"",
        "img \"Nothing was heard yet\"",
        "log \"Detections as they come\"",
        "columnheader \"Threshold\"",
    ] {
        assert!(tree.contains(part), "{part} in {tree}");
    }
    let focus = seen["focus"].as_array().unwrap();
    let order = ["microphone", "sample", "choose", "image", "list"];
    assert_eq!(focus[..order.len()], order, "{focus:?}");
    let said = seen["dropped"]["said"].as_array().unwrap();
    assert!(said[0].as_str().unwrap().contains(", score 0."), "{said:?}");
    for scheme in ["light", "dark"] {
        let lowest = &seen["contrast"][scheme];
        assert!(lowest[0].as_f64().unwrap() >= 4.5, "{scheme}: {lowest}");
        let narrow = &seen["contrast"][format!("{scheme} is as wide as a telephone")];
        assert_eq!(narrow, true, "{scheme}");
    }
}

#[test]
fn the_page_is_served_to_this_machine_by_a_port_that_is_free() {
    let serve = |port: &str| {
        let mut command = zerda(&["web", "--port", port]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    if let Err(why) = set_up(&["targets", TARGET], &root()) {
        assert!(!in_ci(), "{why}");
        return say_skipped("zerda web", &why);
    }
    let mut first = serve("0");
    let mut line = String::new();
    let mut stdout = BufReader::new(first.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    let address = line
        .strip_prefix("http://")
        .and_then(|line| line.split_once('/'));
    let (address, _) = address.unwrap_or_else(|| panic!("{line}"));
    assert!(address.starts_with("127.0.0.1:"), "{line}");
    let ask = |path: &str| {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    };
    let page = ask("/");
    assert!(
        page.starts_with("HTTP/1.1 200") && page.contains("<h1>Zerda</h1>"),
        "{page}"
    );
    assert!(ask("/../../../../etc/passwd").starts_with("HTTP/1.1 404"));
    let port = address.rsplit(':').next().unwrap();
    let second = serve(port).wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&second.stderr);
    let expected =
        format!("zerda: port {port} of localhost cannot be taken: another program has it; ");
    assert!(
        stderr.starts_with(&expected) && stderr.lines().count() == 1,
        "{stderr}"
    );
    assert_eq!(second.status.code(), Some(2));
    first.kill().unwrap();
    first.wait().unwrap();
}
