//! Commands of several words, heard by the shipped model.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use fastrand::Rng;
use rayon::prelude::*;
use zerda_firmware::{Event, Image, Recognizer};
use zerda_support::audio;
use zerda_support::audio::tail;
use zerda_support::image_file::ImageFile;
use zerda_tests::splice::spliced;
use zerda_tests::{repository, say_skipped, shipped_image_with};

/// The shipped image with these commands.
fn image(commands: &[&str]) -> ImageFile {
    shipped_image_with(&format!("[grammar]\ncommands = {commands:?}"))
}

/// What one stream gives, by name.
#[derive(Debug, Default, PartialEq)]
struct Heard {
    words: Vec<String>,
    commands: Vec<String>,
}

fn hear(image: &Image<'_>, pcm: &[i16]) -> Heard {
    let labels: Vec<_> = image.labels().map(|label| label.name).collect();
    let mut memory = vec![0; image.memory_bytes()];
    let mut recognizer = Recognizer::new(image, &mut memory).unwrap();
    let mut heard = Heard::default();
    for pcm in [pcm, &tail(image)] {
        recognizer.push_events(pcm, |event| match event {
            Event::Word(word) => heard.words.push(labels[usize::from(word.label)].into()),
            Event::Detection(detection) => {
                let name = image.command(detection.command).unwrap();
                heard.commands.push(name.into());
            }
            _ => {}
        });
    }
    heard
}

/// The word of a shipped sample, by its number there.
fn shipped(sample: &str, number: usize) -> Vec<i16> {
    // Where each begins and ends, as models/samples/*.json say, with 50 ms around.
    let times = match (sample, number) {
        ("robot", 0) => 550..1100,   // go
        ("robot", 1) => 1900..2520,  // left
        ("robot", 2) => 3220..3880,  // stop
        ("lift", 0) => 450..810,     // up
        ("answers", 0) => 650..1230, // yes
        _ => panic!("{sample} {number}"),
    };
    let pcm = audio::read(&repository(&format!("models/samples/{sample}.wav"))).unwrap();
    pcm[times.start * 16..times.end * 16].to_vec()
}

#[test]
fn two_words_of_a_shipped_sample_are_one_command() {
    let file = image(&["go left", "stop", "up up", "stop left"]);
    let image = file.image().unwrap();
    let [go, left, stop] = [0, 1, 2].map(|number| shipped("robot", number));
    let up = shipped("lift", 0);
    for pause_ms in [100, 350, 600] {
        let heard = |words: &[&[i16]]| hear(&image, &spliced(words, pause_ms)).commands;
        assert_eq!(heard(&[&go, &left]), ["go left"], "{pause_ms} ms");
        assert_eq!(heard(&[&go, &go, &left]), ["go left"], "{pause_ms} ms");
        // Nearer, the second may pass for what is left of the first.
        if pause_ms > 100 {
            assert_eq!(heard(&[&up, &up]), ["up up"], "{pause_ms} ms");
        }
        assert_eq!(heard(&[&stop, &left]), ["stop left"], "{pause_ms} ms");
        assert_eq!(
            heard(&[&stop, &go, &left]),
            ["stop", "go left"],
            "{pause_ms} ms"
        );
    }
    for alone in [&go, &left, &up] {
        let heard = hear(&image, &spliced(&[alone], 0));
        assert_eq!((heard.words.len(), heard.commands.len()), (1, 0));
    }
    assert_eq!(hear(&image, &spliced(&[&stop], 0)).commands, ["stop"]);
    let yes = shipped("answers", 0);
    let heard = hear(&image, &spliced(&[&go, &yes, &left], 300));
    assert_eq!((heard.words.len(), heard.commands.len()), (3, 0));
}

const PAIRS: [&str; 8] = [
    "go left",
    "go right",
    "stop go",
    "no stop",
    "yes down",
    "up up",
    "down down",
    "right right",
];

/// Clips by speaker and word.
type Clips = BTreeMap<String, BTreeMap<String, Vec<PathBuf>>>;

/// Recorded commands of a partition.
fn clips(folder: &Path, words: &[&str]) -> Clips {
    let mut clips = Clips::new();
    for word in words {
        for file in audio::list(&folder.join(word)).unwrap() {
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            let speaker = name.split('_').next().unwrap_or_default().to_string();
            let of_speaker = clips.entry(speaker).or_default();
            of_speaker.entry(word.to_string()).or_default().push(file);
        }
    }
    clips
}

/// Two different clips of one speaker that say a command of two words.
fn two(
    of_speaker: &BTreeMap<String, Vec<PathBuf>>,
    command: &str,
    rng: &mut Rng,
) -> Option<[PathBuf; 2]> {
    let (first, second) = command.split_once(' ')?;
    let first = rng.choice(of_speaker.get(first)?)?;
    let others = of_speaker.get(second)?.iter();
    let others: Vec<_> = others.filter(|file| *file != first).collect();
    Some([first.clone(), rng.choice(others)?.clone()])
}

/// Two counts of several things, added up.
fn added<const N: usize>(a: [usize; N], b: [usize; N]) -> [usize; N] {
    std::array::from_fn(|i| a[i] + b[i])
}

#[test]
fn commands_of_two_recorded_words_are_heard_and_one_word_is_none() {
    let Some(data) = std::env::var_os("ZERDA_DATA") else {
        say_skipped("grammar", "ZERDA_DATA names no folder of recorded speech");
        return;
    };
    let partition = std::env::var("ZERDA_PARTITION").unwrap_or("test".into());
    let folder = Path::new(&data).join("speech_commands").join(partition);
    let words = ["yes", "no", "up", "down", "left", "right", "stop", "go"];
    let clips = clips(&folder, &words);
    let file = image(&PAIRS);
    let image = file.image().unwrap();
    let read = |file: &PathBuf| audio::read(file).unwrap();

    let rng = &mut Rng::with_seed(7);
    let speakers: Vec<_> = clips.values().collect();
    let pairs = std::iter::repeat_with(|| {
        let (speaker, command) = (rng.choice(&speakers).unwrap(), *rng.choice(&PAIRS).unwrap());
        Some((command, two(speaker, command, rng)?, rng.usize(100..=600)))
    });
    let pairs: Vec<_> = pairs.flatten().take(200).collect();
    // Right, a wrong one, both words heard alone, and those right as well.
    let outcomes = pairs.par_iter().map(|(command, files, pause_ms)| {
        let [first, second] = files.each_ref().map(read);
        let heard = hear(&image, &spliced(&[&first, &second], *pause_ms));
        let right = heard.commands == [*command];
        let wrong = heard.commands.iter().any(|found| found != command);
        // Whether each is heard where it is alone: what is lost besides is lost by the grammar.
        let alone = [&first, &second].map(|clip| hear(&image, &spliced(&[clip], 0)).words.concat());
        let both = command.split(' ').eq(&alone);
        [right, wrong, both, both && right].map(usize::from)
    });
    let [right, wrong, both, kept] = outcomes.reduce(<[usize; 4]>::default, added);
    let count = pairs.len();
    let words = clips.values().flat_map(BTreeMap::values);
    let words: Vec<_> = words.flatten().collect();
    let outcomes = words.par_iter().map(|clip| {
        let heard = hear(&image, &read(clip));
        let twice = |command: &String| command.split_once(' ').is_some_and(|(a, b)| a == b);
        if !heard.commands.is_empty() {
            let _ = writeln!(std::io::stderr(), "{}: {heard:?}", clip.display());
        }
        let paired = heard.commands.iter().any(|command| !twice(command));
        [paired, heard.commands.iter().any(twice)].map(usize::from)
    });
    let [paired, doubled] = outcomes.reduce(<[usize; 2]>::default, added);
    let single = words.len();
    // Past the test harness, which shows the output of failing tests only.
    let _ = writeln!(
        std::io::stderr(),
        "measured on {}: {right} of {count} commands of two words right, {wrong} with a wrong one; of \
         {both} whose words are both heard alone {kept}; of {single} single words {paired} one of two \
         different words, {doubled} one of the same word twice",
        folder.display()
    );
    // A model may hear another word in what comes before one, or one in each half of it: the shipped one does the latter
    // once on `test`.
    assert!(
        (paired + doubled) * 1000 <= single,
        "{paired} and {doubled} of {single}"
    );
    assert!(right * 100 >= count * 83, "{right} of {count} right");
    assert!(wrong * 100 <= count, "{wrong} of {count} wrong");
    assert!(kept * 100 >= both * 95, "{kept} of {both}");
}
