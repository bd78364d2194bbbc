//! Images, boards and names that were made to do harm, requests to end, and words that are hard to find the start of.

use super::*;
use zerda_support::audio;

#[test]
fn images_that_take_too_much_are_refused_in_one_line() {
    let image = |name: &str| match name {
        "npu-clock0-cycles0" => format!("tests/data/hostile/{name}.zerda"),
        _ => format!("host-tools/cli/tests/cli/hostile/{name}.zerda"),
    };
    for (name, problem) in [
        (
            "memory-8g",
            "exceeds 2^31 multiply-accumulates for each second of audio",
        ),
        (
            "slow-most-work",
            "operator 1, work: makes the plan exceed 2^28 multiply-accumulates",
        ),
        (
            "npu-clock0-cycles0",
            "NPU section, clock: must be at least 1 Hz",
        ),
        (
            "label-1947",
            "label 0, name: must have 1..=64 bytes of UTF-8 and no control characters",
        ),
    ] {
        let (code, stdout, stderr) = run(&["run", "--image", &image(name), &samples()[0]]);
        assert_eq!(
            (code, stdout.as_str(), stderr.lines().count()),
            (2, "", 1),
            "{stderr}"
        );
        assert!(stderr.contains(problem), "{stderr}");
    }
    let folder = tempfile::tempdir().unwrap();
    let large = folder.path().join("large.zerda");
    fs::write(&large, vec![0; 2 << 20]).unwrap();
    for (limit, problem) in [
        ("1", "more than the 1 MiB that an image may take here"),
        ("much", "ZERDA_IMAGE_MIB=much: expected a number of MiB"),
    ] {
        let mut command = zerda(&["inspect", large.to_str().unwrap()]);
        let (code, _, stderr) = outcome(command.env("ZERDA_IMAGE_MIB", limit).output().unwrap());
        assert_eq!((code, stderr.lines().count()), (2, 1), "{stderr}");
        assert!(stderr.contains(problem), "{stderr}");
    }
}

#[test]
fn the_text_of_a_board_file_is_escaped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.toml");
    let board = r#"
        core = "\u001b[31mX\u0007\nPASS"
        clock_mhz = 100
        cycles_per_instruction = 1.0
        flash_cycles_per_byte = 0.0
        dma_buffer_ms = 10.0
        other_load = 0.0
        output_us = 10.0
        instructions_of = "mps2-an386"
    "#;
    fs::write(&path, board).unwrap();
    for (form, escape) in [
        ("--json", r"\\u"),
        ("--markdown", r"\u"),
        ("--seconds=20", r"\u"),
    ] {
        let (_, stdout, stderr) = run(&["simulate", "--board", path.to_str().unwrap(), form]);
        let told = format!("{stdout}{stderr}");
        assert!(!told.contains(['\u{1b}', '\u{7}']), "{told}");
        let shown = ["001b[31mX", "0007", "000aPASS"].map(|text| format!("{escape}{text}"));
        assert!(told.contains(&shown.concat()), "{told}");
    }
}

#[test]
fn a_request_to_end_ends_a_live_stream_with_summary_and_picture() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["INT", "TERM"] {
        let picture = folder.path().join(name);
        let mut child = zerda(&["run", "-", "--trace", picture.to_str().unwrap()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // The pipe stays open, as that of a microphone.
        let mut stdin = child.stdin.take().unwrap();
        let bytes = fs::read(&samples()[0]).unwrap();
        stdin.write_all(&bytes[44..]).unwrap();
        let mut first = [0; 1];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut first).unwrap();
        let mut kill = Command::new("kill");
        let status = kill.args(["-s", name, &child.id().to_string()]).status();
        assert!(status.unwrap().success());
        let (code, stdout, stderr) = outcome(child.wait_with_output().unwrap());
        assert_eq!((code, stderr.as_str()), (130, ""));
        let summary = stdout.lines().last().unwrap();
        assert!(summary.contains(" s of audio in "), "{stdout}");
        assert!(
            fs::read_to_string(picture)
                .unwrap()
                .trim_end()
                .ends_with("</svg>")
        );
        drop(stdin);
    }
}

/// Start in ms of the first command in these samples.
fn first_start(folder: &TempDir, pcm: &[i16]) -> i64 {
    let path = folder.path().join("word.wav");
    audio::write(&path, pcm).unwrap();
    let (code, stdout, stderr) = run(&["run", "--json", path.to_str().unwrap()]);
    assert_eq!(code, 0, "{stderr}");
    objects(&stdout).0[0]["start_ms"]
        .as_i64()
        .expect("a command")
}

#[test]
fn a_word_starts_where_it_does_after_digital_silence_or_a_bang_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut reader = WavReader::open(&samples()[0]).unwrap();
    let pcm: Vec<i16> = reader.samples().collect::<Result<_, _>>().unwrap();
    let start = first_start(&folder, &pcm);
    let near = |found: i64| (found - start).abs() <= 60;
    // Zeros until 100 ms before the word.
    let mut silent = pcm.clone();
    silent[..(start as usize - 100) * 16].fill(0);
    let found = first_start(&folder, &silent);
    assert!(near(found), "{found} instead of {start}");
    // A bang of 40 ms, a third of a second before a word that is 30 dB quieter than it was.
    let mut quiet: Vec<i16> = pcm.iter().map(|sample| sample / 32).collect();
    let at = (start as usize - 350) * 16;
    for (index, sample) in quiet[at..at + 640].iter_mut().enumerate() {
        *sample = if index % 13 < 6 { 20_000 } else { -20_000 };
    }
    let found = first_start(&folder, &quiet);
    assert!(near(found), "{found} instead of {start}");
}
