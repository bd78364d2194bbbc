//! On voices that the repository makes itself.

use zerda_support::audio;
use zerda_support::test_support::repository;

use super::*;
use std::fs;
use std::path::Path;

/// A labelled folder of the samples' commands, each cut where its file says it is spoken.
fn clips(folder: &Path) -> usize {
    let mut count = 0;
    for sample in ["robot", "lift", "answers"] {
        let path = repository(&format!("models/samples/{sample}.wav"));
        let samples = audio::read(&path).unwrap();
        let about = fs::read_to_string(path.with_extension("json")).unwrap();
        let about: serde_json::Value = serde_json::from_str(&about).unwrap();
        for (number, said) in about["commands"].as_array().unwrap().iter().enumerate() {
            let label = folder.join(said["command"].as_str().unwrap());
            fs::create_dir_all(&label).unwrap();
            let ms = |key: &str| said[key].as_u64().unwrap() as usize * 16;
            let clip = &samples[ms("start_ms")..ms("end_ms")];
            audio::write(&label.join(format!("{sample}{number}.wav")), clip).unwrap();
            count += 1;
        }
    }
    count
}

fn options(folder: &Path) -> Options {
    Options {
        directories: vec![folder.into()],
        image: repository("models/shrunk.zerda"),
        negatives: vec![repository("models/samples/no_commands.wav")],
        noise: Vec::new(),
        snr: vec![None, Some(20.0)],
        rooms: vec![false],
        levels: vec![-10.0],
        seed: 7,
        wake: None,
        quiet: None,
        pairs: 0,
        fa_per_hour: 0.5,
        max_miss: None,
        wanted: Wanted::default(),
        json: true,
        report: None,
    }
}

#[test]
fn commands_are_heard_in_streams_and_the_same_seed_gives_the_same_report() {
    let folder = tempfile::tempdir().unwrap();
    let count = clips(folder.path());
    let options = options(folder.path());
    let (summary, whole) = summarize(&options).unwrap();
    assert!(whole);
    assert_eq!(summary.clips, count);
    assert_eq!(summary.det.len(), 2);
    for point in &summary.operating_points {
        for condition in &point.conditions {
            let all = &condition.all;
            assert_eq!(all.misses.words as usize, count);
            let commands = condition.commands.values();
            assert_eq!(
                commands.map(|row| row.misses.misses).sum::<u64>(),
                all.misses.misses
            );
            assert_eq!(condition.missed.len() as u64, all.misses.misses);
            let heard = condition.delays.iter().map(|(_, count)| count).sum::<u64>();
            assert_eq!(heard, all.misses.words - all.misses.misses);
        }
    }
    assert_eq!(summary.notes.len(), 1, "hours that tell too little");
    // Most are heard, as they are in the samples.
    let clean = &summary.operating_points[0].conditions[0].all;
    assert!(clean.misses.miss_rate < 0.35, "{}", clean.misses.miss_rate);
    assert!(clean.delay_p95_ms.unwrap() < 300.0);
    // The curves end where nothing is heard that is not very sure.
    let points = &summary.det[0].points;
    assert!(points[0].misses <= points[points.len() - 1].misses);
    assert!(points[0].false_alarms >= points[points.len() - 1].false_alarms);
    assert_eq!(
        summary.json().unwrap(),
        summarize(&options).unwrap().0.json().unwrap()
    );
    let page = html::page(&summary).unwrap();
    assert!(page.contains("<polyline") && page.contains("Detection error trade-off"));
    assert!(text::text(&summary).contains("clean, near, -10 dBFS"));
}

#[test]
fn a_check_that_was_asked_for_fails_and_hours_that_tell_nothing_are_noted() {
    let folder = tempfile::tempdir().unwrap();
    clips(folder.path());
    // A minute of silence said as a command is a clip without a word; a cough of noise is a word that is missed.
    let noise: Vec<i16> = (0..8_000)
        .map(|at: i32| (at * 7_919 % 4_001 - 2_000) as i16)
        .collect();
    audio::write(&folder.path().join("go/noise.wav"), &noise).unwrap();
    audio::write(&folder.path().join("go/silence.wav"), &[0; 16_000]).unwrap();
    let options = Options {
        max_miss: Some(0.0),
        snr: vec![None],
        ..options(folder.path())
    };
    let (summary, whole) = summarize(&options).unwrap();
    assert!(whole);
    assert_eq!(summary.silent_clips, 1);
    assert!(
        summary.failures[0].contains("at 0.5 false alarms an hour"),
        "{:?}",
        summary.failures
    );
    assert!(
        summary.notes[0].contains("6.0 h would tell that rate"),
        "{:?}",
        summary.notes
    );
    let missed = &summary.operating_points[0].conditions[0].missed;
    assert!(missed.iter().any(|clip| clip.ends_with("go/noise.wav")));
}

#[test]
fn an_input_that_cannot_be_used_is_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let message = |options: &Options| summarize(options).err().unwrap().to_string();
    clips(folder.path());
    let empty = tempfile::tempdir().unwrap();
    let without = Options {
        negatives: vec![empty.path().into()],
        ..options(folder.path())
    };
    assert!(message(&without).contains("holds no recording, expected files of WAV"));
    assert!(message(&options(empty.path())).contains("no folder in it is named as a label"));
}

#[test]
fn folders_of_labels_that_were_not_asked_for_are_left_out_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let count = clips(folder.path());
    let wanted = |labels: &[&str]| Options {
        wanted: Wanted {
            labels: labels
                .iter()
                .map(std::string::ToString::to_string)
                .collect(),
            limit: None,
        },
        snr: vec![None],
        ..options(folder.path())
    };
    let (summary, _) = summarize(&wanted(&["stop", "go"])).unwrap();
    assert_eq!(summary.commands, ["stop", "go"]);
    assert!(summary.clips > 0 && summary.clips < count);
    let named = "left out, as not among --labels: ";
    let note = summary.notes.iter().find(|note| note.starts_with(named));
    assert!(
        note.is_some_and(|note| note.contains(" yes")),
        "{:?}",
        summary.notes
    );
    let error = summarize(&wanted(&["go", "og"])).err().unwrap().to_string();
    assert_eq!(
        error,
        "--labels: `og` is no label of the model, which has yes no up down left right stop go on off computer jarvis _unknown_ \
         _silence_"
    );
}

/// `left` wakes, on an image that knows nothing of wake words.
fn gated(folder: &Path) -> Options {
    Options {
        wake: "left".parse().ok(),
        pairs: 6,
        fa_per_hour: 1000.0,
        ..options(folder)
    }
}

#[test]
fn wake_words_are_judged_apart_and_commands_after_them() {
    let folder = tempfile::tempdir().unwrap();
    clips(folder.path());
    let options = gated(folder.path());
    let (summary, whole) = summarize(&options).unwrap();
    assert!(whole);
    let wake = summary.wake.as_ref().unwrap();
    assert_eq!((&wake.words[..], wake.pairs), (&["left".into()][..], 6));
    assert!(!summary.commands.contains(&"left".into()) && summary.commands.len() > 1);
    let names = summary.det.iter().map(|det| det.condition.as_str());
    assert!(names.eq(["clean, near, -10 dBFS", "20 dB over speech, near, -10 dBFS"]));
    for point in &summary.operating_points {
        // None was said, and none is said of it: the bound of none in 8 s.
        let wakes = point.false_wakes.as_ref().unwrap();
        let bound = 2.9957 / summary.negatives.hours;
        assert_eq!((wakes.all.count, wakes.by_word["left"].count), (0, 0));
        assert!((wakes.by_word["left"].per_hour_upper / bound - 1.0).abs() < 1e-4);
        // Asleep nothing else counts.
        assert_eq!(point.false_alarms.all.count, 0);
        for condition in &point.conditions {
            assert!(condition.commands.keys().eq(["left"]));
            assert_eq!(condition.all.misses.words as usize, summary.clips);
            let pairs = condition.pairs.as_ref().unwrap();
            assert_eq!(pairs.all.words, 6);
            assert_eq!(pairs.after_wake.words, 6 - pairs.wake_words.misses);
            let missed = pairs.wake_words.misses + pairs.after_wake.misses;
            assert_eq!(pairs.all.misses, missed);
            assert_eq!(pairs.missed.len() as u64, missed);
        }
    }
    // Most are heard.
    let clean = summary.operating_points[0].conditions[0].pairs.as_ref();
    assert!(
        clean.unwrap().all.misses <= 3,
        "{}",
        clean.unwrap().all.misses
    );
    // What is never awake hears no command.
    let sure = summary.det[0].points.last().unwrap();
    let gated = sure.gated.as_ref().unwrap();
    assert!(gated.pairs_missed >= clean.unwrap().all.misses);
    assert_eq!(gated.false_commands, 0);
    let json = summary.json().unwrap();
    assert_eq!(json, summarize(&options).unwrap().0.json().unwrap());
    assert!(
        html::page(&summary)
            .unwrap()
            .contains("false wakes an hour")
    );
    let text = text::text(&summary);
    assert!(text.contains("left: 0 false wakes in the negatives, 0.00 an hour, below"));

    // Without wake words all is as it was.
    let (summary, _) = summarize(&super::tests::options(folder.path())).unwrap();
    let json = summary.json().unwrap();
    for field in ["wake", "pairs", "background", "false_commands"] {
        assert!(!json.contains(&format!("\"{field}")), "{field}");
    }
}

#[test]
fn wake_words_that_cannot_be_judged_are_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let message = |options: &Options| summarize(options).err().unwrap().to_string();
    clips(folder.path());
    let named = |words: &str| Options {
        wake: words.parse().ok(),
        ..gated(folder.path())
    };
    let problem = "--wake: `lefty` is no word that the model detects, expected some of yes no";
    assert!(message(&named("left,lefty")).contains(problem));
    std::fs::remove_dir_all(folder.path().join("left")).unwrap();
    assert_eq!(
        message(&gated(folder.path())),
        format!(
            "{}: no recording of the wake word left, expected a folder with clips of each",
            folder.path().display()
        )
    );
    let few = Options {
        fa_per_hour: 0.5,
        ..named("right")
    };
    let message = message(&few);
    assert!(
        message.contains(
            "h of negatives cannot tell 0.5 false wakes an hour: give 6.0 h, 0.4 h at least"
        ),
        "{message}"
    );
}
