//! The reasons are those that the test made: what is said in the sample is known from how it was made.

use zerda_support::detection::with_commands;
use zerda_support::image_file::ImageFile;
use zerda_support::test_support::{commands as config, repository, shrunk};

use super::*;

fn sample(name: &str) -> std::path::PathBuf {
    repository("models/samples").join(name)
}

/// The shipped image with another `commands.toml`.
fn with(change: impl Fn(String) -> String) -> ImageFile {
    with_commands(&shrunk(), &config(|text| change(text.into()))).unwrap()
}

/// robot.wav, changed, with its labels, changed: (kind, command, reason) of what is explained.
fn reasons(
    file: &ImageFile,
    samples: impl Fn(&mut Vec<i16>),
    labels: impl Fn(&mut Vec<Annotation>),
) -> Vec<(&'static str, String, &'static str)> {
    let image = file.image().unwrap();
    let path = sample("robot.wav");
    let mut audio = zerda_support::audio::read(&path).unwrap();
    let mut spoken = labels::beside(&path, &audio, &image).unwrap();
    samples(&mut audio);
    labels(&mut spoken);
    let heard = Replay::of(&image, &audio).unwrap();
    let (explained, hits) = heard.explanations("robot.wav", &spoken);
    let missed = explained.iter().filter(|of| of.kind == "missed").count();
    assert_eq!(missed + hits, spoken.len());
    for of in &explained {
        assert!(!of.frames.is_empty() && of.text().contains(&of.why));
        assert!(of.reason != "clipped" || of.text().contains(" % of its samples are clipped"));
    }
    let all = explained.into_iter();
    all.map(|of| (of.kind, of.command, of.reason)).collect()
}

fn as_is<T>(_: &mut Vec<T>) {}

fn missed(command: &str, reason: &'static str) -> (&'static str, String, &'static str) {
    ("missed", command.into(), reason)
}

#[test]
fn where_all_is_heard_there_is_nothing_to_explain() {
    assert_eq!(reasons(&shrunk(), as_is, as_is), []);
}

/// go, left, stop, right, go, stop.
#[test]
fn a_word_that_is_not_the_one_said_is_explained_from_both_sides() {
    let found = reasons(&shrunk(), as_is, |spoken| {
        spoken[1].command = "yes".into();
        spoken[1].words = vec![0];
    });
    let taken = ("false_alarm", "left".to_string(), "another_label");
    assert!(found.contains(&taken) && found.contains(&missed("yes", "another_label")));
    assert_eq!(found.len(), 2);
}

#[test]
fn a_word_that_was_recorded_too_loud_is_told_with_how_much_is_clipped() {
    let strict = with(|text| text + "left = 0.95\n");
    let loud = |audio: &mut Vec<i16>| {
        let left = &mut audio[1_900 * 16..2_500 * 16];
        left.iter_mut().for_each(|s| *s = s.saturating_mul(1_000));
    };
    assert_eq!(reasons(&strict, loud, as_is), [missed("left", "clipped")]);
}

#[test]
fn a_detection_where_nothing_is_said_sounded_like_a_command() {
    let found = reasons(&shrunk(), as_is, |spoken| drop(spoken.remove(2)));
    assert_eq!(found, [("false_alarm", "stop".into(), "sounded_like")]);
}

/// go and left, a window of 2 s after stop, then go; and stop again.
#[test]
fn what_was_said_to_a_sleeping_device_is_told() {
    let gated = with(|text| {
        let wake = "\n[wake]\nwords = [\"stop\"]\nwindow_ms = 2000\nextend = false\n";
        text + wake
    });
    let expected = [
        missed("go", "asleep"),
        missed("left", "asleep"),
        missed("go", "window_over"),
    ];
    assert_eq!(reasons(&gated, as_is, as_is), expected);
}

#[test]
fn labels_at_the_wrong_time_are_told() {
    let found = reasons(&shrunk(), as_is, |spoken| {
        spoken[1].start_ms += 600;
        spoken[1].end_ms += 600;
    });
    assert!(found.contains(&missed("left", "another_time")), "{found:?}");
}

#[test]
fn what_the_decoder_is_told_to_leave_out_is_told() {
    let slow = with(|text| text.replace("refractory_ms = 300", "refractory_ms = 3000"));
    let found = reasons(&slow, as_is, as_is);
    assert_eq!(found[0], missed("left", "refractory"));
    let never = with(|text| text.replace("\"_unknown_\",", "\"_unknown_\", \"left\","));
    assert_eq!(reasons(&never, as_is, as_is), [missed("left", "never")]);
    let slow = with(|text| text.replace("smoothing = 5", "smoothing = 32") + "left = 0.95\n");
    let found = reasons(&slow, as_is, as_is);
    assert!(found.contains(&missed("left", "too_short")), "{found:?}");
}

#[test]
fn commands_of_several_words_tell_which_word_and_which_gap_it_was() {
    let two = |gap: u16| {
        with(move |text| {
            text + &format!("[grammar]\ncommands = [\"go left\", \"stop\"]\ngap_ms = {gap}\n")
        })
    };
    let together = |spoken: &mut Vec<Annotation>| {
        spoken[0].command = "go left".into();
        let left = spoken[1].words.clone();
        spoken[0].words.extend(left);
        spoken[0].end_ms = spoken[1].end_ms;
        spoken.retain(|of| of.command.starts_with("go left") || of.command == "stop");
    };
    assert_eq!(reasons(&two(1500), as_is, together), []);
    assert_eq!(
        reasons(&two(500), as_is, together),
        [missed("go left", "gap")]
    );
    // One word may be faint, two may not.
    let slow = |thresholds: &'static str| {
        with(move |text| {
            let text = text.replace("smoothing = 5", "smoothing = 20");
            text + thresholds + "[grammar]\ncommands = [\"go left\", \"stop\"]\n"
        })
    };
    assert_eq!(reasons(&slow("left = 0.99\n"), as_is, together), []);
    let both = slow("go = 0.99\nleft = 0.99\n");
    let found = reasons(&both, as_is, together);
    assert_eq!(found, [missed("go left", "too_short")]);
    let only = |spoken: &mut Vec<Annotation>| {
        spoken.retain(|of| of.command != "go" && of.command != "right");
    };
    assert_eq!(reasons(&two(500), as_is, only), [missed("left", "grammar")]);
    // The second word silenced.
    let found = reasons(
        &two(1500),
        |audio| audio[1_850 * 16..2_500 * 16].fill(0),
        together,
    );
    let [(_, command, reason)] = &found[..] else {
        panic!("{found:?}")
    };
    assert_eq!(command, "go left");
    assert!(["quiet", "noise", "silence"].contains(reason), "{reason}");
}

#[test]
fn a_word_that_passed_for_an_echo_is_told() {
    // `go` again, 12 dB down.
    let again = |audio: &mut Vec<i16>| {
        let go = audio[600 * 16..1_050 * 16].to_vec();
        let second = &mut audio[1_250 * 16..1_700 * 16];
        second.iter_mut().zip(go).for_each(|(s, go)| *s = go / 4);
    };
    let twice = |spoken: &mut Vec<Annotation>| {
        let second = Annotation {
            start_ms: 1_250,
            end_ms: 1_700,
            ..spoken[0].clone()
        };
        spoken.insert(1, second);
    };
    let found = reasons(&shrunk(), again, twice);
    assert_eq!(found, [missed("go", "echo")]);
}

#[test]
fn what_can_hardly_be_heard_is_told_with_its_level() {
    // `left`, 50 dB down: below the sample's own noise.
    let faint = |audio: &mut Vec<i16>| {
        audio[1_900 * 16..2_500 * 16]
            .iter_mut()
            .for_each(|s| *s /= 300);
    };
    let found = reasons(&shrunk(), faint, as_is);
    let [(_, left, reason)] = &found[..] else {
        panic!("{found:?}")
    };
    assert_eq!(left, "left");
    assert!(
        ["noise", "quiet", "after_louder"].contains(reason),
        "{reason}"
    );
    // A long tone before it, 30 dB louder than it.
    let drowned = |audio: &mut Vec<i16>| {
        audio.iter_mut().for_each(|s| *s /= 40);
        for (at, s) in audio[1_300 * 16..1_850 * 16].iter_mut().enumerate() {
            *s = (12_000.0 * (at as f64 * 0.3).sin()) as i16;
        }
    };
    let found = reasons(&shrunk(), drowned, as_is);
    assert!(found.contains(&missed("left", "after_louder")), "{found:?}");
}

#[test]
fn a_label_file_that_cannot_be_used_is_named_with_what_was_expected() {
    let file = shrunk();
    let image = file.image().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let recording = folder.path().join("recording.wav");
    let error = |text: Option<&str>| {
        if let Some(text) = text {
            std::fs::write(recording.with_extension("json"), text).unwrap();
        }
        let error = labels::beside(&recording, &[0; 16_000], &image).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        error.to_string()
    };
    let of = |commands: &str| error(Some(&format!("{{\"commands\": [{commands}]}}")));
    for (error, problem) in [
        (error(None), "the label file cannot be read"),
        (error(Some("{")), "EOF while parsing an object at line 1"),
        (error(Some("{}")), "missing field `commands`"),
        (
            of("{\"command\": \"go\", \"start_ms\": 9}"),
            "missing field `end_ms`",
        ),
        (
            of("{\"command\": \"go\", \"start_ms\": 9, \"end_ms\": 9}"),
            "`go` at 9 ms ends before it starts",
        ),
        (
            of("{\"command\": \"go\", \"start_ms\": 4294967000, \"end_ms\": 4294967295}"),
            "`go` at 4294967000 ms starts after the recording's 1000 ms",
        ),
        (
            of("{\"command\": \"go ahead\", \"start_ms\": 1, \"end_ms\": 9}"),
            "`ahead` is no label of the image, which has yes no up",
        ),
        (
            of("{\"command\": \" \", \"start_ms\": 1, \"end_ms\": 9}"),
            "a command has no name",
        ),
    ] {
        assert!(
            error.contains(&format!("recording.json: {problem}")),
            "{error}"
        );
        assert!(error.contains("; expected what is said in"), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
    assert!(check_inputs(&["a.wav".into(), "-".into()]).is_err());
    assert!(check_inputs(&["a.wav".into()]).is_ok());
}
