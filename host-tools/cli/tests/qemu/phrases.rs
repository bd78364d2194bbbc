//! Templates find on a board what they find by `zerda run`.

use serde_json::Value;

use super::common::phrase::computer;
use super::{BOARDS, equals_the_laptop_on, root, run, tools};

#[test]
fn a_board_finds_the_phrases_that_the_laptop_finds() {
    if !tools() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mine = folder.path().join("mine.zerda").display().to_string();
    let recordings = computer(folder.path());
    let enroll = ["enroll", "my machine", "-o", &mine];
    let recordings: Vec<_> = recordings.iter().map(String::as_str).collect();
    let (code, _, stderr) = run(&[&enroll, &recordings[..]].concat());
    assert_eq!(code, 0, "{stderr}");
    let samples = ["wake", "robot"].map(|name| format!("models/samples/{name}.wav"));
    let samples = samples.map(|sample| root().join(sample).display().to_string());
    // The network rests in between.
    let options = ["--quiet".into(), "--templates".into(), mine];
    let arguments = [&options[..], &samples[..]].concat();
    let heard = equals_the_laptop_on(&BOARDS, &arguments);
    let phrases = heard.iter().filter(|one| !one["phrase"].is_null());
    let names: Vec<&Value> = phrases.map(|one| &one["phrase"]).collect();
    assert_eq!(names, ["my machine"], "{heard:?}");
}
