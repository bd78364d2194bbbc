//! Phrases that are enrolled from recordings cut out of the samples, and mistakes in that.

use super::*;
use crate::common::phrase::{computer, recording, said};
use zerda_firmware::Image;
use zerda_firmware::hostile::Bytes;
use zerda_firmware::image::{checksum, field};
use zerda_firmware::templates;
use zerda_support::template_file::{Phrase, TemplateFile};
use zerda_support::wake;

fn enroll(
    name: &str,
    recordings: &[String],
    output: &str,
    options: &[&str],
) -> (i32, String, String) {
    let mut arguments = vec!["enroll", name, "-o", output];
    arguments.extend(recordings.iter().map(String::as_str));
    arguments.extend(options);
    run(&arguments)
}

#[test]
fn a_phrase_that_was_enrolled_is_found_where_it_is_said_and_commands_stay_as_they_are() {
    let folder = folder();
    let mine = folder.path().join("mine.zerda").display().to_string();
    let robot = ["--negatives", "models/samples/robot.wav"];
    let (code, stdout, stderr) = enroll("my machine", &computer(folder.path()), &mine, &robot);
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert!(stdout.contains("my machine: 3 recordings, 0.9"), "{stdout}");
    assert!(stdout.contains("robot.wav at "), "{stdout}");
    let samples = samples();
    let inputs: Vec<_> = samples.iter().map(String::as_str).collect();
    let with = run(&[&["run", "--json", "--templates", &mine], &inputs[..]].concat());
    let (lines, summary) = objects(&with.1);
    let (phrases, others): (Vec<_>, Vec<_>) = lines
        .into_iter()
        .partition(|line| line["phrase"].is_string());
    let [found] = &phrases[..] else {
        panic!("{phrases:?}");
    };
    assert_eq!(found["phrase"], "my machine");
    assert!(
        found["file"].as_str().unwrap().ends_with("wake.wav"),
        "{found}"
    );
    let ms = |key: &str| found[key].as_i64().unwrap();
    assert!((1900..2150).contains(&ms("start_ms")), "{found}");
    assert!(
        (2600..2900).contains(&ms("end_ms")) && ms("decided_ms") < 3_000,
        "{found}"
    );
    assert!(
        found["similarity"]
            .as_f64()
            .is_some_and(|s| s > 0.9 && s <= 1.0),
        "{found}"
    );
    assert_eq!(summary["phrases"], 1);
    let without = objects(&run(&[&["run", "--json"], &inputs[..]].concat()).1);
    assert_eq!(others, without.0);
    assert_eq!(summary["logits_crc32"], without.1["logits_crc32"]);
    assert_eq!(without.1["phrases"], Value::Null);
    let text = run(&["run", "--templates", &mine, "models/samples/wake.wav"]).1;
    assert!(
        text.contains("wake.wav: my machine similarity 0.9"),
        "{text}"
    );
    assert!(
        text.contains("wake.wav: 7 commands, 1 phrase in 16.04 s"),
        "{text}"
    );
}

#[test]
fn a_second_phrase_is_added_to_the_file_and_both_are_found() {
    let folder = folder();
    let mine = folder.path().join("mine.zerda").display().to_string();
    assert_eq!(enroll("one", &computer(folder.path()), &mine, &[]).0, 0);
    let jarvis = [0, 1, 2].map(|n| {
        recording(
            folder.path(),
            &format!("{n}.wav"),
            &said("wake.wav", 13_350..14_350, n),
        )
    });
    let (code, stdout, stderr) = enroll("two", &jarvis, &mine, &[]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert!(stdout.contains(&format!("{mine}: 2 phrases, ")), "{stdout}");
    let found = run(&[
        "run",
        "--json",
        "--templates",
        &mine,
        "models/samples/wake.wav",
    ])
    .1;
    let found = objects(&found)
        .0
        .into_iter()
        .filter(|line| line["phrase"].is_string());
    let names: Vec<_> = found
        .map(|line| line["phrase"].as_str().unwrap().to_string())
        .collect();
    assert_eq!(names, ["one", "two"]);
}

/// With the gate at rest in the silence before the phrase, its rows would be others.
#[test]
fn an_image_whose_network_may_rest_makes_the_template_that_it_makes_without_its_gate() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let gate = Some(2i64.try_into().unwrap());
    let gated = wake::open(&root().join("models/shrunk.zerda"), None, gate).unwrap();
    fs::write(path("gated.zerda"), gated.bytes()).unwrap();
    let after_silence = [0, 1, 2].map(|n| {
        let phrase = said("wake.wav", 1_800..2_900, n);
        recording(
            folder.path(),
            &format!("{n}.wav"),
            &[vec![0; 40_000], phrase].concat(),
        )
    });
    let made = [
        ("plain.zerda", None),
        ("rests.zerda", Some(path("gated.zerda"))),
    ]
    .map(|(name, image)| {
        let image = image.iter().flat_map(|image| ["--image", image.as_str()]);
        let options: Vec<_> = image.collect();
        let (code, _, stderr) = enroll("my machine", &after_silence, &path(name), &options);
        assert_eq!(code, 0, "{stderr}");
        fs::read(path(name)).unwrap()
    });
    assert_eq!(made[0], made[1]);
}

#[test]
fn each_mistake_gets_one_line_and_nothing_is_written() {
    let folder = folder();
    let mine = folder.path().join("mine.zerda").display().to_string();
    let good = computer(folder.path());
    let [a, b, c] = &good;
    let of = |name: &str, samples: &[i16]| recording(folder.path(), name, samples);
    let silent = of("silent.wav", &[0; 16_000]);
    let empty = of("empty.wav", &[]);
    let long: Vec<_> = said("wake.wav", 2_100..2_600, 0).repeat(12);
    let long = of("long.wav", &long);
    let left = of("left.wav", &said("wake.wav", 3_150..4_000, 0));
    let copy = of("copy.wav", &said("wake.wav", 1800..2900, 0));
    let missing = folder.path().join("missing.wav").display().to_string();
    let list = |paths: &[&String]| -> Vec<String> { paths.iter().copied().cloned().collect() };
    let wake = "models/samples/wake.wav";
    let none = folder.path().join("none/mine.zerda").display().to_string();
    let cases: [(&str, Vec<String>, &[&str], String); 13] = [
        (
            "a name that is longer than what fits",
            good.to_vec(),
            &[],
            "fits\" is longer than 32 bytes: expected what people read".into(),
        ),
        (
            "x",
            good.to_vec(),
            &["--negatives", &none],
            format!("{none}: "),
        ),
        (
            "x",
            list(&[a, b]),
            &[],
            "x: expected 3 to 5 recordings of the phrase, 2 are named".into(),
        ),
        (
            "x",
            list(&[a, b, c, &left, &copy, &long]),
            &[],
            "3 to 5 recordings of the phrase, 6 are".into(),
        ),
        (
            "x",
            list(&[a, b, &silent]),
            &[],
            format!("{silent}: is silent, or nearly so: expected speech"),
        ),
        ("x", list(&[a, b, &empty]), &[], format!("{empty}: ")),
        (
            "x",
            list(&[a, b, &missing]),
            &[],
            format!("{missing}: cannot be read"),
        ),
        (
            "x",
            list(&[a, b, &left]),
            &[],
            format!("{left}: is not like the other recordings: similarity 0."),
        ),
        (
            "x",
            list(&[a, b, &long]),
            &[],
            format!("{long}: its phrase lasts 6.0 s, from 0.0 to 6.0 s, expected at"),
        ),
        (
            "x",
            list(&[a, b, &copy]),
            &[],
            format!("{copy}: is the same recording as {a}: say the phrase anew"),
        ),
        (
            " ",
            good.to_vec(),
            &[],
            "NAME \" \" is empty: expected what people read".into(),
        ),
        (
            "x",
            good.to_vec(),
            &["--negatives", wake],
            format!("{wake} at 2."),
        ),
        (
            "x",
            good.to_vec(),
            &["--image", a],
            format!("{a}: not a Zerda image but a WAV recording"),
        ),
    ];
    for (name, recordings, options, why) in cases {
        let (code, stdout, stderr) = enroll(name, &recordings, &mine, options);
        assert_eq!((code, stdout.as_str()), (2, ""), "{why}");
        assert!(
            stderr.contains(&why) && stderr.lines().count() == 1,
            "{stderr}, not {why}"
        );
        assert!(!Path::new(&mine).exists(), "{why}");
    }
}

#[test]
fn what_is_no_file_of_phrases_is_not_written_over_and_a_name_is_taken_once() {
    let folder = folder();
    let good = computer(folder.path());
    let mine = folder.path().join("mine.zerda").display().to_string();
    assert_eq!(enroll("one", &good, &mine, &[]).0, 0);
    let image = write(
        &folder,
        "image.zerda",
        &fs::read(root().join("models/shrunk.zerda")).unwrap(),
    );
    let full = write(&folder, "full.zerda", &eight_phrases());
    let mut damaged = fs::read(&mine).unwrap();
    damaged[100] ^= 1;
    let damaged = write(&folder, "damaged.zerda", &damaged);
    for (output, why) in [
        (&mine, "has a phrase \"one\" already; take another name"),
        (&full, "has 8 phrases already, the most of a file; write"),
        (&damaged, "damaged: checksum "),
        (
            &image,
            "not a file of phrases; expected one made by `zerda enroll`",
        ),
        (&good[0], "not a file of phrases"),
    ] {
        let before = fs::read(output).unwrap();
        let (code, stdout, stderr) = enroll("one", &good, output, &[]);
        assert_eq!((code, stdout.as_str()), (2, ""));
        let said = stderr.starts_with(&format!("zerda: {output}: {why}"));
        assert!(said && stderr.lines().count() == 1, "{stderr}");
        assert!(fs::read(output).unwrap() == before);
    }
}

/// A file of eight phrases, as many as there may be.
fn eight_phrases() -> Vec<u8> {
    let shipped = fs::read(root().join("models/shrunk.zerda")).unwrap();
    let network = Image::parse(Bytes::new(&shipped).get()).unwrap().network();
    let phrases: Vec<_> = (0..8)
        .map(|number| Phrase {
            name: format!("phrase {number}"),
            threshold: 20_000,
            elements: vec![1; 4 * 64],
        })
        .collect();
    let file = TemplateFile::new(Path::new("full.zerda"), network, 64, &phrases);
    file.bytes().to_vec()
}

/// Where several bytes of a file of phrases are others, it is refused with one line, or what it then says is looked for.
#[test]
fn a_file_of_phrases_that_was_changed_is_refused_or_works_and_says_nothing_else() {
    let folder = folder();
    let recording = recording(folder.path(), "a.wav", &said("wake.wav", 2_000..3_000, 0));
    let whole = eight_phrases();
    let mut refused = 0;
    for number in 0..60usize {
        let mut bytes = whole.clone();
        for change in 0..=number % 3 {
            let at = (number * 37 + change * 11) % 70;
            bytes[at] ^= 1 << (number % 8);
        }
        if number % 5 == 0 {
            bytes.truncate(number * 30);
        }
        // Every second one has a checksum that fits.
        if number % 2 == 0 && bytes.len() > 24 {
            let length = bytes.len() as u32;
            bytes[8..12].copy_from_slice(&length.to_le_bytes());
            let sum = templates::checksum(&bytes);
            bytes[12..16].copy_from_slice(&sum.to_le_bytes());
        }
        let file = write(&folder, "changed.zerda", &bytes);
        let (code, stdout, stderr) = run(&["run", "--templates", &file, &recording]);
        match code {
            0 => assert_eq!(stderr, ""),
            _ => {
                refused += 1;
                assert_eq!((code, stdout.as_str()), (2, ""), "{number}");
                let said = stderr.starts_with(&format!("zerda: {file}: "));
                assert!(said && stderr.lines().count() == 1, "{number}: {stderr}");
            }
        }
    }
    assert!((40..60).contains(&refused), "{refused}");
}

/// The shipped image with one bit of its constants changed.
fn other_network() -> Vec<u8> {
    let shipped = fs::read(root().join("models/shrunk.zerda")).unwrap();
    let others = (1..5_000).map(|back| {
        let mut bytes = shipped.clone();
        let at = bytes.len() - back;
        bytes[at] ^= 1;
        let sum = checksum(&bytes);
        bytes[field::CHECKSUM].copy_from_slice(&sum.to_le_bytes());
        bytes
    });
    let mut valid = others.filter(|bytes| Image::parse(Bytes::new(bytes).get()).is_ok());
    valid.next().expect("a weight that may be another")
}

#[test]
fn phrases_that_do_not_fit_are_refused_before_anything_is_heard() {
    let folder = folder();
    let mine = folder.path().join("mine.zerda").display().to_string();
    assert_eq!(enroll("one", &computer(folder.path()), &mine, &[]).0, 0);
    let other = write(&folder, "other.zerda", &other_network());
    let robot = "models/samples/robot.wav";
    for (arguments, why) in [
        (
            ["--templates", &mine, "--image", &other],
            "were enrolled with another network than that of",
        ),
        (
            ["--templates", &other, "--image", &other],
            "not a file of phrases; expected one made by",
        ),
        (
            ["--templates", &mine, "--image", &mine],
            "not a Zerda image but phrases of `zerda enroll`",
        ),
    ] {
        let (code, stdout, stderr) = run(&[&["run", robot], &arguments[..]].concat());
        assert_eq!((code, stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(
            stderr.contains(why) && stderr.lines().count() == 1,
            "{stderr}"
        );
    }
    let (code, _, stderr) = enroll("two", &computer(folder.path()), &mine, &["--image", &other]);
    assert_eq!(code, 2);
    assert!(
        stderr.contains("write this one to another file"),
        "{stderr}"
    );
}
