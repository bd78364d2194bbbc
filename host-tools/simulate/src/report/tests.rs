//! Boards whose files have numbers that nobody measured.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::PathBuf;

use fastrand::Rng;
use serde_json::Value;
use zerda_support::error::Result;
use zerda_support::test_support::{repository, shrunk};

use super::*;
use crate::words::DetectedWord;

/// Length of each stream that is simulated, in seconds.
const SECONDS: u32 = 5;

/// Number of files in which several numbers are changed.
const CHANGED: usize = 500;

/// Numbers of all sizes, as TOML has them.
const POSITIVE: [&str; 11] = [
    "5e-324", "1e-9", "0.001", "0.0625", "0.9", "1", "1e3", "60e3", "1e6", "1e9", "1e12",
];
/// Numbers at the ends of TOML's types and beyond, and those that count nothing.
const STRANGE: [&str; 13] = [
    "0",
    "-0.0",
    "-1",
    "-1e-9",
    "0.99",
    "1e13",
    "1e300",
    "1e999",
    "inf",
    "-inf",
    "nan",
    "9223372036854775807",
    "99999999999999999999",
];

/// The texts of all boards, without comments.
fn boards() -> Vec<String> {
    let entries = |folder| fs::read_dir(repository(folder)).unwrap();
    let paths = |folder| entries(folder).map(|entry| entry.unwrap().path());
    let with_firmware = paths("firmware/boards").map(|folder| folder.join("board.toml"));
    let mut files: Vec<PathBuf> = with_firmware.chain(paths("config/boards")).collect();
    files.retain(|file| file.is_file());
    files.sort();
    let text = |file| fs::read_to_string(file).unwrap();
    let bare = |line: &str| line.split('#').next().unwrap_or_default().to_string() + "\n";
    files
        .iter()
        .map(|file| text(file).lines().map(bare).collect())
        .collect()
}

/// Where the numbers of a text stand.
fn numbers(text: &str) -> Vec<Range<usize>> {
    let after_equals = text.match_indices("= ").map(|(at, _)| at + 2);
    let numeric = after_equals.filter(|&at| text[at..].starts_with(|c: char| c.is_ascii_digit()));
    let end = |at: usize| {
        text[at..]
            .find([',', ' ', '}', '\n'])
            .map(|length| at..at + length)
    };
    numeric.filter_map(end).collect()
}

/// Simulates the board that a text describes, and a word on it.
fn simulation(text: &str, image: &Image<'_>) -> Result<Simulation> {
    let board = Board::read(&repository("firmware/boards"), Path::new("desk.toml"), text)?;
    let costs = Costs::with(&board, image, 0.0005)?;
    let word = DetectedWord {
        file: "word.wav".into(),
        label: "yes".into(),
        end: 16_000,
        step: 20,
        late: 0,
    };
    let words = DetectedWords {
        detected: vec![word],
        ..DetectedWords::default()
    };
    let path = Path::new("shrunk.zerda");
    Ok(Simulation::new(
        &board, image, path, &costs, &words, SECONDS, 160.0,
    ))
}

/// Says whether all numbers of a JSON object are finite, since it has null in place of others.
fn is_finite(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Array(values) => values.iter().all(is_finite),
        Value::Object(fields) => fields.iter().all(|(name, value)| {
            let may_lack = ["npu", "quiet", "word_end_to_detection_ms"].contains(&name.as_str());
            may_lack && value.is_null() || is_finite(value)
        }),
        _ => true,
    }
}

#[test]
fn any_number_in_a_board_file_is_refused_or_gives_a_verdict_on_finite_figures() {
    let file = shrunk();
    let image = file.image().unwrap();
    let mut counts = BTreeMap::<&str, usize>::new();
    let mut judge = |text: &str| {
        let outcome = match simulation(text, &image) {
            Err(error) => {
                assert_eq!(error.to_string().lines().count(), 1, "{error}\n{text}");
                "refused"
            }
            Ok(report) => {
                let json = serde_json::to_value(&report).unwrap();
                assert!(is_finite(&json), "{json}\n{text}");
                report.verdict
            }
        };
        *counts.entry(outcome).or_default() += 1;
        outcome
    };
    let boards = boards();
    assert!(boards.len() >= 8);
    for text in &boards {
        assert_ne!(judge(text), "refused");
        for place in numbers(text) {
            for number in POSITIVE.into_iter().chain(STRANGE) {
                let mut changed = text.clone();
                changed.replace_range(place.clone(), number);
                let outcome = judge(&changed);
                let no_cost =
                    number.starts_with("-1") || number.ends_with("inf") || number == "nan";
                assert!(outcome == "refused" || !no_cost, "{changed}");
            }
        }
    }
    let mut random = Rng::with_seed(19);
    for _ in 0..CHANGED {
        let mut text = random.choice(&boards).unwrap().clone();
        for _ in 0..3 {
            let place = random.choice(numbers(&text)).unwrap();
            text.replace_range(place, random.choice(POSITIVE).unwrap());
        }
        judge(&text);
    }
    println!("board files: {counts:?}");
    assert_eq!(counts.len(), 3, "pass, fail, refused: {counts:?}");
}
