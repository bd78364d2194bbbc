//! Mistakes of users, and the one line that each is answered with.

use std::fs;

use super::{folder, root, run, sample, write};

#[test]
fn what_cannot_be_read_gets_one_line_and_the_rest_is_still_processed() {
    let (good, _) = sample();
    let folder = folder();
    let empty = write(&folder, "empty.wav", b"");
    let text = write(&folder, "text.wav", b"this is no audio\n");
    let whole = fs::read(&good).unwrap();
    let cut = write(&folder, "cut.wav", &whole[..whole.len() / 2]);
    let missing = folder.path().join("missing.wav").display().to_string();

    let (code, stdout, stderr) = run(&["run", &empty, &text, &cut, &missing, &good]);
    assert_eq!(code, 2);
    let lines: Vec<&str> = stderr.lines().collect();
    let expected = [
        (&empty, "the file is empty"),
        (&text, "is no audio: expected WAV, FLAC, MP3"),
        (&cut, "is cut short"),
        (&missing, "No such file"),
    ];
    assert_eq!(lines.len(), expected.len(), "{stderr}");
    for (line, (path, why)) in lines.iter().zip(expected) {
        assert!(line.contains(path.as_str()) && line.contains(why), "{line}");
    }
    let alone = run(&["run", &good]).1;
    let detections = |text: &str| text.lines().filter(|line| line.starts_with(&good)).count();
    assert_eq!(detections(&stdout), detections(&alone));
}

#[test]
fn an_image_that_is_missing_or_damaged_is_named() {
    let folder = folder();
    let missing = folder.path().join("none.zerda").display().to_string();
    let mut bytes = fs::read(root().join("models/shrunk.zerda")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let damaged = write(&folder, "damaged.zerda", &bytes);
    let cut = write(&folder, "cut.zerda", &bytes[..middle]);
    let (audio, _) = sample();
    for image in [&missing, &damaged, &cut] {
        let (code, stdout, stderr) = run(&["run", &audio, "--image", image]);
        assert_eq!((code, stdout.as_str()), (2, ""));
        assert!(stderr.starts_with(&format!("zerda: {image}: ")), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
}

#[test]
fn kernels_that_the_processor_lacks_are_answered_with_those_that_it_has() {
    let (code, stdout, stderr) = run(&["run", "--kernels=mve", "models/samples/robot.wav"]);
    assert_eq!((code, stdout.as_str()), (2, ""));
    let said = "zerda: --kernels: this processor has no `mve`, expected one of ";
    assert!(stderr.starts_with(said), "{stderr}");
    // Those are one line, and each is taken.
    let names = stderr.trim_end().trim_start_matches(said).split(' ');
    assert_eq!(names.clone().next_back(), Some("plain"), "{stderr}");
    for name in names {
        let kernels = format!("--kernels={name}");
        let (code, stdout, _) = run(&["run", &kernels, "models/samples/robot.wav"]);
        let last = stdout.lines().last().unwrap();
        assert!(
            code == 0 && last.contains(&format!(", {name} kernels; ")),
            "{last}"
        );
    }
}

#[test]
fn wake_words_that_the_image_does_not_have_are_an_error_of_one_line() {
    let robot = "models/samples/robot.wav";
    for command in ["run", "simulate"] {
        let input = match command {
            "run" => vec![robot],
            _ => vec!["--board", "mps3-an547"],
        };
        for (wake, word) in [("--wake=jarvs", "jarvs"), ("--wake=stop,og", "og")] {
            let arguments = [&[command, wake][..], &input].concat();
            let (code, stdout, stderr) = run(&arguments);
            assert_eq!((code, stdout.as_str()), (2, ""));
            let said = format!(
                "models/shrunk.zerda: --wake: `{word}` is no word that the model detects, expected some"
            );
            assert!(
                stderr.contains(&said) && stderr.lines().count() == 1,
                "{stderr}"
            );
        }
    }
}

#[test]
fn a_mistake_in_the_configuration_is_answered_with_file_line_and_field() {
    let folder = folder();
    for name in ["models.toml", "commands.toml"] {
        let text = fs::read_to_string(root().join("config").join(name)).unwrap();
        write(
            &folder,
            name,
            text.replace("smoothing = 5", "smoothing = 50").as_bytes(),
        );
    }
    let (audio, _) = sample();
    let config = folder.path().display().to_string();
    let (code, stdout, stderr) = run(&[
        "compile",
        "models/shrunk.onnx",
        "--calibrate",
        &audio,
        "--config",
        &config,
    ]);
    assert_eq!((code, stdout.as_str()), (2, ""));
    let expected =
        format!("{config}/commands.toml:5: `smoothing`: invalid value 50, expected 1 to 32");
    assert!(
        stderr.starts_with(&format!("zerda: {expected}")),
        "{stderr}"
    );
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}

#[test]
fn a_sweep_needs_a_board_and_known_keys_and_is_done_whatever_the_verdicts() {
    let simulate = |arguments: &[&str]| run(&[&["simulate"], arguments].concat());
    let (code, _, stderr) = simulate(&[]);
    assert!(code == 2 && stderr.contains("--board <NAME>"), "{stderr}");
    let (code, _, stderr) = simulate(&["--fit", "--sweep", "cache=50"]);
    assert!(code == 2 && stderr.contains("cannot be used"), "{stderr}");
    let (code, _, stderr) = simulate(&["--board", "mps2-an386", "--sweep", "hiden=64"]);
    let expected = "zerda: --sweep hiden=64: no key hiden, expected one of chunk, step, cache, hidden, layers, \
                    board\n";
    assert_eq!((code, &stderr[..]), (2, expected));
    let (code, stdout, _) = simulate(&["--board", "mps2-an386", "--sweep", "cache=50"]);
    assert!(
        code == 0 && stdout.contains("FAIL: 500 frames, deadline"),
        "{stdout}"
    );
}
