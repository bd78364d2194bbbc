//! What `--keep` leaves of what was heard, and what it does where nothing can be left.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use zerda_support::audio;

use super::{folder, objects, outcome, root, run, sample};

/// Kinds, and what else is in the folder's JSON files, in the order of their numbers.
fn kept(folder: &Path) -> Vec<(Value, Vec<i16>)> {
    let mut paths = audio::list(folder).unwrap();
    paths.sort();
    let clip = |path: std::path::PathBuf| {
        let about = fs::read(path.with_extension("json")).unwrap();
        let about = serde_json::from_slice(&about).unwrap();
        (about, audio::read(&path).unwrap())
    };
    paths.into_iter().map(clip).collect()
}

#[test]
fn each_detection_is_kept_with_the_two_seconds_around_it_and_what_was_known_then() {
    let (path, samples) = sample();
    let folder = folder();
    let kept_in = folder.path().join("new/kept");
    let keep = ["--keep", kept_in.to_str().unwrap()];
    let (code, stdout, stderr) =
        run(&[&["run", "--json", "--wake=stop", &path], &keep[..]].concat());
    assert_eq!((code, stderr.as_str()), (0, ""));
    let (lines, _) = objects(&stdout);
    let detected: Vec<_> = lines
        .iter()
        .filter(|line| line["command"].is_string())
        .collect();
    let all = kept(&kept_in);
    let clips: Vec<_> = all
        .iter()
        .filter(|(about, _)| about["kind"] == "detection")
        .collect();
    assert_eq!((detected.len(), clips.len()), (4, 4));
    for (number, (line, (about, clip))) in detected.iter().zip(clips).enumerate() {
        for key in [
            "file",
            "command",
            "score",
            "start_ms",
            "end_ms",
            "decided_ms",
        ] {
            assert_eq!(about[key], line[key], "{key}");
        }
        // The first word wakes it.
        assert_eq!(
            (&about["awake"], &about["wake_word"]),
            (&(number > 0).into(), &(line["command"] == "stop").into())
        );
        let word = line["command"].as_str().unwrap();
        assert!(about["scores"][word].as_f64() >= about["thresholds"][word].as_f64());
        // The sample's last words are near its end.
        assert!((22_400..=32_000).contains(&clip.len()), "{}", clip.len());
        let first = about["clip_start_ms"].as_u64().unwrap() as usize * 16;
        assert!(samples[first..].starts_with(clip), "{about}");
        let word =
            [&line["start_ms"], &line["end_ms"]].map(|ms| ms.as_u64().unwrap() as usize * 16);
        assert!(first <= word[0] && word[1] <= first + clip.len(), "{about}");
        let level = about["level_dbfs"].as_f64().unwrap();
        assert!((-60.0..0.0).contains(&level) && about["peak_dbfs"].as_f64() > Some(level));
    }
    for (about, _) in &all {
        let (score, word) = (
            about["score"].as_f64().unwrap(),
            about["command"].as_str().unwrap(),
        );
        let threshold = about["thresholds"][word].as_f64().unwrap();
        let near = about["kind"] == "near_miss";
        assert_eq!(
            near,
            (0.69 * threshold..threshold).contains(&score),
            "{about}"
        );
    }
    // They are recordings as any others: heard again, and kept beside the ones before.
    let again = [&["run", keep[1]], &keep[..]].concat();
    let (code, _, stderr) = run(&again);
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert!(kept(&kept_in).len() > all.len());
}

#[test]
fn what_cannot_be_kept_is_told_once_and_recognition_goes_on() {
    let (path, _) = sample();
    let folder = folder();
    fs::write(folder.path().join("file"), "").unwrap();
    let expected = objects(&run(&["run", "--json", &path]).1).1["logits_crc32"].clone();
    let inside_a_file = folder.path().join("file/kept");
    let full = folder.path().join("full");
    // A disk that is full: no file may be longer than 8 KiB, which JSON is not.
    for (limit, keep, why) in [
        ("true", &inside_a_file, "Not a directory"),
        ("ulimit -f 16", &full, "File too large"),
    ] {
        let mut shell = Command::new("sh");
        shell
            .args([
                "-c",
                &format!("trap '' XFSZ; {limit}; exec \"$0\" run --json \"$1\" --keep \"$2\""),
            ])
            .args([env!("CARGO_BIN_EXE_zerda"), &path, keep.to_str().unwrap()])
            .current_dir(root());
        let (code, stdout, stderr) = outcome(shell.output().unwrap());
        assert_eq!((code, stderr.lines().count()), (0, 1), "{stderr}");
        let said = format!(
            "zerda: warning: --keep {}: what was heard cannot be kept: {why}",
            keep.display()
        );
        assert!(
            stderr.starts_with(&said) && stderr.contains("recognition goes on"),
            "{stderr}"
        );
        let (heard, summary) = objects(&stdout);
        assert_eq!((heard.len(), &summary["logits_crc32"]), (6, &expected));
    }
    assert_eq!(fs::read_dir(full).unwrap().count(), 0);
}
