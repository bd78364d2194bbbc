use super::*;
use rand::SeedableRng;
use std::path::Path;

/// A recording of so many samples, each given by its number.
fn recording(folder: &Path, name: &str, length: usize, sample: impl Fn(usize) -> f64) -> PathBuf {
    let path = folder.join(name);
    let samples: Vec<_> = (0..length).map(|at| sample(at) as i16).collect();
    audio::write(&path, &samples).unwrap();
    path
}

fn tone(at: usize, hz: f64) -> f64 {
    (at as f64 * hz / f64::from(SAMPLE_RATE) * std::f64::consts::TAU).sin()
}

/// Words of 400 ms that begin 300 ms into clips of 1 s, and two backgrounds: a tone that pauses, and one that
/// does not.
fn script(folder: &Path, seed: u64) -> Script {
    let words: Vec<_> = (0..8)
        .map(|number| word_of(&folder.join("clip.wav"), number))
        .collect();
    script_of(folder, &words, false, seed)
}

/// What is said is `clip.wav`.
fn script_of(folder: &Path, said: &[Utterance], each: bool, seed: u64) -> Script {
    let word = |at: usize| match (4_800..11_200).contains(&at) {
        true => 3_000.0 * tone(at, 400.0),
        false => 0.0,
    };
    recording(folder, "clip.wav", 16_000, word);
    let pausing = |at: usize| {
        if at % 32_000 < 24_000 {
            900.0 * tone(at, 1_000.0)
        } else {
            0.0
        }
    };
    let noise = recording(folder, "noise.wav", 160_000, |at| 500.0 * tone(at, 3_000.0));
    let speech = recording(folder, "speech.wav", 320_000, pausing);
    let backgrounds = Backgrounds {
        noise: &[noise],
        speech: &[speech],
        each,
    };
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    Script::draw(said, &backgrounds, 2, &mut random).unwrap()
}

fn condition(snr: Option<f64>) -> Condition {
    Condition {
        snr,
        reverberant: false,
        level: -20.0,
        background: None,
    }
}

/// A word by itself.
fn word_of(clip: &Path, number: usize) -> Utterance {
    Utterance {
        words: vec![Clip {
            label: 3,
            number,
            path: clip.into(),
        }],
        rest_ms: 0,
    }
}

/// RMS, in dBFS, of samples in the span of a word.
fn level(made: &[f64], word: &Spoken) -> f64 {
    20.0 * (rms(of(made, word)) / 32_768.0).log10()
}

/// Likewise the loudest of them.
fn peak(made: &[f64], word: &Spoken) -> f64 {
    let samples = of(made, word).iter();
    20.0 * (samples.fold(0.0, |peak: f64, s| peak.max(s.abs())) / 32_768.0).log10()
}

fn of<'a>(made: &'a [f64], word: &Spoken) -> &'a [f64] {
    let at = |ms: f64| (ms * MS as f64) as usize;
    &made[at(word.start_ms)..at(word.end_ms)]
}

fn floats(samples: &[i16]) -> Vec<f64> {
    samples.iter().map(|&sample| f64::from(sample)).collect()
}

#[test]
fn the_same_seed_gives_the_same_stream_and_another_seed_another() {
    let folder = tempfile::tempdir().unwrap();
    let made = |seed| {
        let script = script(folder.path(), seed);
        script.mix(&condition(Some(10.0)), &[]).unwrap()
    };
    assert!(made(1) == made(1));
    assert!(made(1).samples != made(2).samples);
}

#[test]
fn every_word_is_there_once_at_its_time_with_the_pauses_promised() {
    let folder = tempfile::tempdir().unwrap();
    let script = script(folder.path(), 3);
    let made = script.mix(&condition(None), &[]).unwrap();
    let clips: Vec<_> = made.words.iter().map(|word| word.clip).collect();
    assert_eq!(clips, [0, 1, 2, 3, 4, 5, 6, 7]);
    assert!(made.words.iter().all(|word| word.label == 3));
    assert_eq!(made.words[0].start_ms, 2000.0);
    for pair in made.words.windows(2) {
        let pause = pair[1].start_ms - pair[0].end_ms;
        assert!((500.0..3000.0).contains(&pause), "{pause}");
    }
    // Where words are heard is where they are said to be, and nowhere else.
    let spoken: Vec<_> = stretches(&made.samples).into_iter().collect();
    for (found, word) in spoken.iter().zip(&made.words) {
        let (start, end) = (found.start as f64 / 16.0, found.end as f64 / 16.0);
        assert!((start - word.start_ms).abs() <= 10.0, "{start}");
        assert!((end - word.end_ms).abs() <= 10.0, "{end}");
        assert_eq!(word.end_ms - word.start_ms, 400.0);
    }
    assert_eq!(spoken.len(), 8);
}

#[test]
fn words_have_the_level_and_the_snr_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let script = script(folder.path(), 4);
    let mixed = |snr| script.mix(&condition(snr), &[]).unwrap();
    let clean = mixed(None);
    for snr in [20.0, 10.0, 0.0] {
        let noisy = mixed(Some(snr));
        let clean_samples = floats(&clean.samples).into_iter();
        let noise: Vec<f64> = floats(&noisy.samples)
            .into_iter()
            .zip(clean_samples)
            .map(|(noisy, clean)| noisy - clean)
            .collect();
        for word in &clean.words {
            let clean = floats(&clean.samples);
            assert!((peak(&clean, word) + 20.0).abs() < 0.05);
            let measured = level(&clean, word) - level(&noise, word);
            assert!((measured - snr).abs() < 0.1, "{measured} of {snr}");
        }
    }
    let kinds: Vec<_> = clean.words.iter().map(|word| word.background).collect();
    assert_eq!(kinds[..2], [Background::Noise, Background::Speech]);
}

#[test]
fn the_command_of_a_pair_follows_soon_and_the_next_pair_when_the_device_sleeps() {
    let folder = tempfile::tempdir().unwrap();
    let said = |number: usize| Utterance {
        words: [2 * number, 2 * number + 1]
            .map(|number| word_of(&folder.path().join("clip.wav"), number).words[0].clone())
            .to_vec(),
        rest_ms: 6000,
    };
    let said: Vec<_> = (0..6).map(said).collect();
    let script = script_of(folder.path(), &said, true, 8);
    let over = |background| {
        let condition = Condition {
            background: Some(background),
            ..condition(Some(10.0))
        };
        script.mix(&condition, &[]).unwrap()
    };
    let [noise, speech] = [Background::Noise, Background::Speech].map(over);
    assert_eq!(noise.words.len(), 12);
    for (words, others) in noise.words.windows(2).zip(speech.words.windows(2)) {
        let gap = words[1].start_ms - words[0].end_ms;
        let expected = match words[0].clip % 2 {
            0 => 300.0..1500.0,
            _ => 6500.0..9000.0,
        };
        assert!(expected.contains(&gap), "{gap}");
        // Both backgrounds are heard behind the same words.
        assert_eq!(words[0].background, Background::Noise);
        assert_eq!(others[0].background, Background::Speech);
        assert_eq!(words[0].start_ms, others[0].start_ms);
    }
    let clean = floats(&script.mix(&condition(None), &[]).unwrap().samples);
    for made in [&noise, &speech] {
        let background: Vec<f64> = floats(&made.samples)
            .into_iter()
            .zip(&clean)
            .map(|(noisy, clean)| noisy - clean)
            .collect();
        for word in &made.words {
            let measured = level(&clean, word) - level(&background, word);
            assert!((measured - 10.0).abs() < 0.1, "{measured}");
        }
    }
}

#[test]
fn a_room_leaves_words_at_their_time_and_level_and_lengthens_them() {
    let folder = tempfile::tempdir().unwrap();
    let script = script(folder.path(), 5);
    let mut response = vec![0.0; 4_000];
    (response[0], response[3_200]) = (1.0, 0.5);
    let wet = Condition {
        reverberant: true,
        ..condition(None)
    };
    let near = script.mix(&condition(None), &[]).unwrap();
    let made = script.mix(&wet, &[response.clone(), response]).unwrap();
    assert_eq!(made.words, near.words);
    for word in &made.words {
        let made = floats(&made.samples);
        assert!((peak(&made, word) + 20.0).abs() < 0.05);
        // The echo 200 ms later is half as loud.
        let echo = Spoken {
            start_ms: word.end_ms + 20.0,
            end_ms: word.end_ms + 180.0,
            ..word.clone()
        };
        assert!(level(&made, &echo) > level(&made, word) - 9.0);
        assert!(level(&floats(&near.samples), &echo) < -80.0);
    }
}

#[test]
fn what_is_too_loud_is_clipped_and_counted_and_silence_is_no_word() {
    let folder = tempfile::tempdir().unwrap();
    let script = script(folder.path(), 6);
    let loud = Condition {
        level: -1.0,
        ..condition(Some(-20.0))
    };
    let made = script.mix(&loud, &[]).unwrap();
    assert!(made.clipped > 1_000);
    assert!(made.samples.contains(&i16::MAX));
    assert_eq!(script.mix(&condition(None), &[]).unwrap().clipped, 0);

    let silent = recording(folder.path(), "silent.wav", 8_000, |_| 0.0);
    let noise = [recording(folder.path(), "n.wav", 8_000, |at| {
        99.0 * tone(at, 500.0)
    })];
    let backgrounds = Backgrounds {
        noise: &noise,
        speech: &[],
        each: false,
    };
    let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
    let clips = [word_of(&silent, 0)];
    assert!(
        Script::draw(&clips, &backgrounds, 0, &mut random)
            .unwrap()
            .is_empty()
    );
    let backgrounds = Backgrounds {
        noise: &[silent],
        speech: &[],
        each: false,
    };
    let error = Script::draw(&clips, &backgrounds, 0, &mut random)
        .err()
        .unwrap();
    assert!(error.to_string().contains("hold only silence"));
}
