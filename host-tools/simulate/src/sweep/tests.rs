use std::fs;

use serde_json::Value;
use zerda_firmware::Image;
use zerda_support::audio;
use zerda_support::output::Format;
use zerda_support::test_support::repository;

use super::super::report::Simulation;
use super::super::words::DetectedWords;
use super::*;

const LIMIT_MS: u32 = 160;

/// 20 s on boards without NPU, for which nothing need be installed.
fn options(sweep: &[&str]) -> Options {
    Options {
        wake: None,
        quiet: None,
        board: None,
        boards: repository("firmware/boards"),
        sweep: sweep.iter().map(std::string::ToString::to_string).collect(),
        image: repository("models/shrunk.zerda"),
        audio: vec![repository("models/samples/robot.wav")],
        seconds: 20,
        budgets: None,
        output: None,
        format: Format::Json,
        vela: None,
    }
}

fn rows(options: &Options) -> Vec<Row> {
    let (sweep, shapes) = Sweep::new(options).unwrap();
    sweep.rows(&shapes).unwrap()
}

fn figures(row: &Row) -> &row::Figures {
    row.figures.as_ref().expect("figures")
}

/// What `zerda simulate` says of an image.
fn alone(board: &str, image: &Image<'_>, words: &DetectedWords) -> Simulation {
    let board = Board::open(&repository("firmware/boards"), board).unwrap();
    let costs = Costs::new(&board, image, None).unwrap();
    let path = Path::new("some.zerda");
    Simulation::new(&board, image, path, &costs, words, 20, LIMIT_MS.into())
}

#[test]
fn more_cache_takes_more_time_and_memory_on_every_board() {
    let rows = rows(&options(&[
        "board=mps3-an547,mps2-an386",
        "cache=50,100",
        "chunk=10,5",
    ]));
    let keys = rows
        .iter()
        .map(|row| (&row.board[..], row.chunk, row.cache));
    let mut expected = Vec::new();
    for board in ["mps3-an547", "mps2-an386"] {
        for chunk in [10, 5] {
            expected.extend([(board, chunk, 50), (board, chunk, 100)]);
        }
    }
    assert_eq!(keys.collect::<Vec<_>>(), expected);
    for pair in rows.chunks(2) {
        let [less, more] = [figures(&pair[0]), figures(&pair[1])];
        let ms = (less.sequence_500_ms, more.sequence_500_ms);
        assert!(ms.0 * 1.03 < ms.1 && ms.1 < ms.0 * 1.3, "{ms:?}");
        // Two layers keep 50 more keys and values of 64 bytes, at the least.
        assert!(less.memory_bytes + 2 * 2 * 50 * 64 <= more.memory_bytes);
        assert!(less.image_bytes < more.image_bytes);
    }
    // The slower board has as much to do and less time.
    assert!(figures(&rows[4]).load.core > figures(&rows[0]).load.core);
    assert_eq!((rows[4].verdict, rows[0].verdict), ("fail", "fail"));
    assert_eq!(rows[0].limits_missed, ["500 frames"]);
    assert_eq!(rows[4].limits_missed, ["500 frames", "deadline"]);
}

#[test]
fn a_row_says_what_the_simulation_of_its_shape_alone_says() {
    let given = ["board=mps3-an547", "chunk=5", "step=3", "cache=50"];
    let swept = rows(&options(&given));
    let config = Config::load(None).unwrap();
    let low_latency = config.models.profiles["low-latency"];
    let file = skeleton::image(&low_latency, &config).unwrap();
    let image = file.image().unwrap();
    let alone = alone("mps3-an547", &image, &DetectedWords::default());
    let row = figures(&swept[0]);
    assert_eq!(row.sequence_500_ms, alone.sequence_500_ms);
    assert_eq!(row.sequence_300_ms, alone.sequence_300_ms);
    assert_eq!(row.step_ms.p99, alone.step_ms.p99);
    assert_eq!(row.load.core, alone.load.core);
    assert_eq!(row.memory_bytes, image.memory_bytes());
    assert_eq!(row.image_bytes, file.bytes().len());
    assert_eq!(
        (swept[0].model.as_ref(), row.accuracy.as_ref()),
        (None, None)
    );
    assert!(row.word_end_to_detection_ms.is_none());
}

#[test]
fn a_shape_with_a_compiled_model_is_timed_with_its_words() {
    let options = options(&["board=mps3-an547", "step=5,10"]);
    let swept = rows(&options);
    let file = zerda_support::image_file::ImageFile::open(&options.image).unwrap();
    let image = file.image().unwrap();
    let alone = alone(
        "mps3-an547",
        &image,
        &words(&image, &options.audio).unwrap(),
    );
    let row = figures(&swept[0]);
    assert_eq!(row.sequence_500_ms, alone.sequence_500_ms);
    let (swept_words, words) = (
        row.word_end_to_detection_ms.unwrap(),
        alone.word_end_to_detection_ms.unwrap(),
    );
    assert_eq!(swept_words.words, words.words);
    assert_eq!(swept_words.latency.p95, words.p95);
    assert_eq!(row.memory_bytes, image.memory_bytes());
    // The recording has no folder that tells what is in it.
    assert_eq!(row.accuracy, None);
    let model = swept[0].model.as_ref().unwrap();
    assert!(model.ends_with("shrunk.zerda"), "{model}");
    assert_eq!(swept[1].model, None);
}

#[test]
fn behind_wake_words_a_model_is_timed_with_the_words_that_they_let_through() {
    let mut options = options(&["board=mps3-an547", "step=5,10"]);
    let words = |options: &Options| {
        let swept = rows(options);
        assert_eq!(swept[1].model, None);
        let timed = figures(&swept[0]).word_end_to_detection_ms.unwrap();
        timed.words
    };
    // Of go, left, stop, right, go and stop those before the first stop are not heard.
    assert_eq!(words(&options), 6);
    options.wake = Some("stop".parse().unwrap());
    assert_eq!(words(&options), 4);
    options.wake = Some("stpo".parse().unwrap());
    let error = Sweep::new(&options).err().unwrap().to_string();
    assert!(
        error.contains("--wake: `stpo` is no word that the model detects"),
        "{error}"
    );
}

#[test]
fn a_gate_for_the_quiet_is_in_every_shape_and_a_model_tells_what_it_saves() {
    let mut options = options(&["board=mps3-an547", "step=5,10"]);
    let never_rests = rows(&options);
    assert!(never_rests.iter().all(|row| figures(row).quiet.is_none()));
    options.quiet = Some(2i64.try_into().unwrap());
    let swept = rows(&options);
    // The frames of 400 ms and of a step, each of 40 filters and their sum in four bytes.
    for ((with, without), kept) in swept.iter().zip(&never_rests).zip([45, 50]) {
        let more = figures(with).memory_bytes - figures(without).memory_bytes;
        assert_eq!(more, (kept * 41usize * 4).next_multiple_of(16));
    }
    let file = wake::open(&options.image, None, options.quiet).unwrap();
    let image = file.image().unwrap();
    let heard = words(&image, &options.audio).unwrap();
    let alone = alone("mps3-an547", &image, &heard).quiet.unwrap();
    let row = figures(&swept[0]).quiet.unwrap();
    assert_eq!((row.duty, row.load.core), (alone.duty, alone.load.core));
    assert!(row.duty < 0.9, "{}", row.duty);
    // Nothing is known of the words of a shape that nobody has trained.
    assert!(figures(&swept[1]).quiet.is_none());
    let text = text::page(&swept, LIMIT_MS);
    assert!(text.contains("steps %  quiet core %"), "{text}");
}

/// By hand: 15 ms of framing, 50 of look-ahead, up to 40 until the fifth frame, 5 until its buffer is full.
#[test]
fn the_structural_latency_is_the_stream_s_own_and_the_step() {
    let rows = rows(&options(&["board=mps3-an547"]));
    let row = figures(&rows[0]);
    let beside_compute = row.structural_ms.unwrap().max - row.step_ms.p99;
    assert!((beside_compute - 110.0).abs() < 0.5, "{beside_compute}");
    // The middle of five frames waits 20 ms less than the first.
    let structural = row.structural_ms.unwrap();
    assert!((structural.max - structural.p50 - 20.0).abs() < 0.5);
}

#[test]
fn a_labelled_folder_gives_the_share_of_words_that_were_found() {
    let folder = tempfile::tempdir().unwrap();
    let samples = audio::read(&repository("models/samples/robot.wav")).unwrap();
    // `go`; in the folder `stop` it is not found.
    let go = &samples[..1_700 * 16];
    for label in ["go", "stop"] {
        fs::create_dir(folder.path().join(label)).unwrap();
        audio::write(&folder.path().join(label).join("clip.wav"), go).unwrap();
    }
    let options = Options {
        audio: vec![folder.path().into()],
        ..options(&["board=mps3-an547", "cache=100,50"])
    };
    let rows = rows(&options);
    let accuracy = figures(&rows[0]).accuracy.as_ref().unwrap();
    assert_eq!(
        (accuracy.found, &accuracy.basis[..]),
        (0.5, "measured, 2 words")
    );
    assert_eq!(figures(&rows[1]).accuracy, None);
    assert!(text::page(&rows, LIMIT_MS).contains("found by "));
}

#[test]
fn a_shape_that_there_cannot_be_is_a_row_with_the_reason() {
    let rows = rows(&options(&["board=mps2-an386", "step=5,12", "layers=2,22"]));
    let verdicts: Vec<_> = rows.iter().map(|row| row.verdict).collect();
    assert_eq!(verdicts, ["fail", "refused", "refused", "refused"]);
    let reason = rows[2].reason.as_deref().unwrap();
    assert_eq!(reason, "step 12, expected at most chunk 10");
    let objects = rows
        .iter()
        .map(|row| serde_json::to_value(row).expect("JSON"));
    let objects: Vec<Value> = objects.collect();
    assert!(objects[0]["sequence_500_ms"].as_f64().unwrap() > 100.0);
    assert_eq!(objects[2]["reason"], reason);
    assert!(objects[2].get("sequence_500_ms").is_none());
}

#[test]
fn all_forms_tell_every_row() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        output: Some(folder.path().join("report")),
        ..options(&[
            "board=mps3-an547,nucleo-h743zi",
            "cache=50,502",
            "hidden=32",
        ])
    };
    sweep(&options).unwrap();
    let read = |name: &str| fs::read_to_string(folder.path().join("report").join(name)).unwrap();
    let json = read("sweep.json");
    let objects: Vec<Value> = json
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let told = |key: &str| {
        let told = objects.iter().map(|object| object[key].to_string());
        told.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(told("version"), "1 1 1 1");
    assert_eq!(told("cache"), "50 502 50 502");
    assert_eq!(told("feed_forward"), "128 128 128 128");
    let markdown = read("sweep.md");
    let lines = markdown.lines().filter(|line| line.starts_with("| "));
    assert_eq!(lines.count(), 2 + 4);
    assert!(markdown.contains("refused: chunk and cached are 512 keys"));
    let page = read("sweep.html");
    // Two points in each of three plots, each with its number; a row for each, and the headings.
    assert_eq!(page.matches("<circle").count(), 3 * 2);
    assert_eq!(page.matches("<tr").count(), 4 + 1);
    assert_eq!(page.matches("limit 160</text>").count(), 4);
    assert!(!page.contains("http"));
    let text = text::page(&rows(&options), LIMIT_MS);
    let [headings, row] = [0, 1].map(|line| text.lines().nth(line).unwrap());
    assert_eq!(headings.find("board"), row.find("mps3-an547"));
}

#[test]
fn what_cannot_be_swept_is_one_line() {
    let message = |options: &Options| {
        let error = Sweep::new(options).err().expect("an error");
        assert_eq!(error.exit_code(), 2);
        let message = error.to_string();
        assert!(!message.contains('\n'), "{message}");
        message
    };
    assert_eq!(
        message(&options(&["cache=1"])),
        "--sweep without a board: expected --board NAME, or --sweep board=NAME,... as well"
    );
    let both = Options {
        board: Some("mps2-an386".into()),
        ..options(&["board=mps3-an547"])
    };
    assert_eq!(
        message(&both),
        "--board mps2-an386 and --sweep board=...: expected boards in one of the two"
    );
    let numbers: Vec<_> = (1..=257).map(|number| number.to_string()).collect();
    let many = format!("cache={}", numbers.join(","));
    assert_eq!(
        message(&options(&["board=mps2-an386,mps3-an547", &many])),
        "--sweep: 514 combinations, expected at most 512; sweep fewer values at once"
    );
    assert!(message(&options(&["board=mps4"])).starts_with("mps4: no such board, expected one of"));
    let no_image = Options {
        image: "none.zerda".into(),
        ..options(&["board=mps2-an386"])
    };
    assert!(message(&no_image).starts_with("none.zerda: there is no image"));
}
