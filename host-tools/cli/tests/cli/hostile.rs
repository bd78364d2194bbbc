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

/// Names of files may hold anything on Unix, and a person who unpacked them did not choose them.
#[cfg(unix)]
#[test]
fn a_warning_and_an_error_about_a_file_of_a_hostile_name_are_one_escaped_line_each() {
    const NAME: &str = "\u{1b}[2J\u{1b}]0;pwned\u{7}\nzerda: all is well\u{202e}.wav";
    const SHOWN: &str = r"\u001b[2J\u001b]0;pwned\u0007\u000azerda: all is well\u202e.wav";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(NAME);
    let spec = WavSpec {
        channels: 2,
        sample_rate: 16_000,
        bits_per_sample: 16,
        sample_format: SampleFormat::Int,
    };
    let mut writer = WavWriter::create(&path, spec).unwrap();
    // One channel is the other's negative.
    for at in 0..16_000i16 {
        writer.write_sample(at % 100 * 100).unwrap();
        writer.write_sample(at % 100 * -100).unwrap();
    }
    writer.finalize().unwrap();
    let missing = folder.path().join(format!("no {NAME}"));
    let (code, stdout, stderr) = run(&["run", path.to_str().unwrap(), missing.to_str().unwrap()]);
    assert_eq!(code, 2, "{stderr}");
    let told = format!("{stdout}{stderr}");
    let mut characters = told.chars();
    assert!(
        !characters.any(|c| c != '\n' && (c.is_control() || c == '\u{202e}')),
        "{told}"
    );
    let [warning, error] = stderr.lines().collect::<Vec<_>>()[..] else {
        panic!("{stderr}");
    };
    assert!(
        warning.starts_with("zerda: warning: ") && warning.contains(SHOWN),
        "{stderr}"
    );
    assert!(
        warning.contains("its channels cancel each other out"),
        "{stderr}"
    );
    assert!(
        error.contains(&format!("no {SHOWN}: cannot be read")),
        "{stderr}"
    );
}

/// The shell bounds what `zerda` may take: without the bound 60 MiB of empty nodes would become 5 GiB.
#[cfg(target_os = "linux")]
#[test]
fn an_onnx_file_that_would_become_gigabytes_is_refused_within_a_gigabyte() {
    let folder = tempfile::tempdir().unwrap();
    // A field of a length, and a length in 4 bytes of 7 bits.
    let field = |number: u8, length: usize| {
        let length = [0, 7, 14, 21].map(|shift| (length >> shift) as u8 & 0x7f | 0x80);
        [&[number << 3 | 2], &length[..3], &[length[3] & 0x7f]].concat()
    };
    // By the numbers of onnx.proto: the model's graph, the graph's nodes, initializers and values, a node's attributes.
    let (graph, node, initializer, value, attribute) = (7, 1, 5, 13, 5);
    let many = |number: u8| [number << 3 | 2, 0].repeat(30 << 20);
    let attributes = many(attribute);
    let in_one_node = [field(node, attributes.len()), attributes].concat();
    for (parts, problem) in [
        (many(node), "31457280 nodes; supported are 10000"),
        (
            many(initializer),
            "MiB when it is decoded; supported are 256 MiB",
        ),
        (many(value), "MiB when it is decoded; supported are 256 MiB"),
        (in_one_node, "MiB when it is decoded; supported are 256 MiB"),
    ] {
        let onnx = [field(graph, parts.len()), parts].concat();
        let onnx = write(&folder, "many.onnx", &onnx);
        let mut shell = Command::new("sh");
        shell
            .args([
                "-c",
                r#"ulimit -v 1000000 && exec "$0" compile "$1" --calibrate models/samples -o "$2""#,
            ])
            .args([env!("CARGO_BIN_EXE_zerda"), &onnx, &format!("{onnx}.zerda")])
            .current_dir(root());
        let (code, stdout, stderr) = outcome(shell.output().unwrap());
        assert_eq!(
            (code, &*stdout, stderr.lines().count()),
            (2, "", 1),
            "{stderr}"
        );
        assert!(stderr.contains(problem), "{stderr}");
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
        let bytes = fs::read(sample().0).unwrap();
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
    let (_, pcm) = sample();
    let start = first_start(&folder, &pcm);
    let near = |found: i64| (found - start).abs() <= 60;
    // Zeros until 100 ms before the word.
    let mut silent = pcm.clone();
    silent[..(start as usize - 100) * 16].fill(0);
    let found = first_start(&folder, &silent);
    assert!(near(found), "{found} instead of {start}");
    // Two seconds more of them.
    let found = first_start(&folder, &[vec![0; 32_000], silent].concat()) - 2_000;
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
