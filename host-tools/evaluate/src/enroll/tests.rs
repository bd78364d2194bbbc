//! Enrolment of recorded speech.

use super::*;
use std::collections::BTreeMap;
use zerda_support::audio;
use zerda_support::test_support::{in_ci, say_skipped, shrunk};

/// Recordings of a word by a speaker, in the order of their names.
type Speakers = BTreeMap<(String, String), Vec<PathBuf>>;

/// Speakers of Speech Commands' test set who said one of these words at least four times.
fn speakers(data: &Path, words: &[&str]) -> Speakers {
    let mut speakers = Speakers::new();
    for word in words {
        for path in audio::list(&data.join("speech_commands/test").join(word)).unwrap() {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if let Some((speaker, _)) = name.split_once("_nohash_") {
                let key = (word.to_string(), speaker.to_string());
                speakers.entry(key).or_default().push(path);
            }
        }
    }
    speakers.retain(|_, paths| paths.len() >= 4);
    speakers
}

/// The highest similarity of a recording to a phrase.
fn similarity(ear: &mut Ear<'_>, phrase: &Phrase, path: &Path) -> f64 {
    let (template, mut highest) = (template(phrase), 0);
    let mut cells = vec![Cell::START; phrase.elements.len()];
    let pcm = [vec![0; 1_600], audio::read(path).unwrap(), vec![0; 3_200]].concat();
    ear.listener().unwrap().push(&pcm, |row| {
        highest = highest.max(template.follow(row, &mut cells).similarity);
    });
    f64::from(highest) / f64::from(SAME)
}

#[test]
fn words_of_speakers_who_were_never_trained_on_are_found_again_and_other_words_are_not() {
    let Some(data) = std::env::var_os("ZERDA_DATA") else {
        assert!(!in_ci(), "ZERDA_DATA is not set");
        return say_skipped("enrolment of recorded speech", "ZERDA_DATA is not set");
    };
    let words = ["yes", "stop", "right", "left", "off"];
    let speakers = speakers(Path::new(&data), &words);
    let file = shrunk();
    let image = file.image().unwrap();
    let mut ear = Ear::new(&image, file.path()).unwrap();
    let (mut again, mut found, mut others, mut wrong, mut refused) = (0, 0, 0, 0, 0);
    for ((word, _), paths) in &speakers {
        let takes = paths.iter().take(3).map(|path| Take::hear(&mut ear, path));
        let takes: Vec<_> = takes.collect::<Result<_>>().unwrap();
        if Alike::of(&takes).is_err() {
            refused += 1;
            continue;
        }
        let phrase = Phrase {
            name: word.clone(),
            threshold: SAME,
            elements: elements(&all_rows(&takes)),
        };
        for path in &paths[3..] {
            again += 1;
            found += u32::from(similarity(&mut ear, &phrase, path) >= threshold::ALONE);
        }
        for ((other, _), paths) in speakers
            .iter()
            .filter(|((other, _), _)| other != word)
            .step_by(5)
        {
            assert_ne!(other, word);
            others += 1;
            wrong += u32::from(similarity(&mut ear, &phrase, &paths[3]) >= threshold::ALONE);
        }
    }
    println!("{found} of {again} found again, {wrong} of {others} others, {refused} refused");
    assert!(again >= 20 && others >= 40, "{again} {others}");
    assert!(found * 10 >= again * 8, "{found} of {again} found again");
    assert!(wrong * 20 <= others, "{wrong} of {others} other words");
}

#[test]
fn a_threshold_lies_half_way_from_other_speech_to_how_alike_recordings_are() {
    let alike = Alike(
        [0.9, 0.8, 0.85]
            .map(|s| (PathBuf::from("a.wav"), s))
            .to_vec(),
    );
    let chosen = threshold::choose("x", &alike, None).unwrap();
    assert_eq!(chosen.similarity, threshold::ALONE);
    let heard = |highest: f64, hours| {
        Negatives::of("n.wav", vec![0, (highest * 32_768.0) as u16, 9], hours)
    };
    let chosen = threshold::choose("x", &alike, Some(&heard(0.65, 1))).unwrap();
    assert!(
        (chosen.similarity - 0.75).abs() < 0.001,
        "{}",
        chosen.similarity
    );
    assert!(
        chosen.why.contains("is 0.65 (n.wav at 0.1 s)"),
        "{}",
        chosen.why
    );
    let error = threshold::choose("x", &alike, Some(&heard(0.84, 1)))
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.starts_with("x: its recordings are 0.85 alike, and n.wav at 0.1 s is 0.84"),
        "{error}"
    );
    // Little speech says little.
    let chosen = threshold::choose("x", &alike, Some(&heard(0.65, 0))).unwrap();
    assert_eq!(chosen.similarity, threshold::ALONE);
    let less = Alike(
        [0.8, 0.8, 0.85]
            .map(|s| (PathBuf::from("a.wav"), s))
            .to_vec(),
    );
    let error = threshold::choose("x", &less, None)
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.starts_with("x: its recordings are 0.82 alike, less than the threshold 0.83"),
        "{error}"
    );
}
