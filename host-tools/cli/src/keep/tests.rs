use super::*;

use zerda_firmware::image::Manifest;
use zerda_support::test_support::shrunk;

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

#[test]
fn of_ten_thousand_clips_the_last_thousand_stay_and_only_their_owner_reads_them() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kept");
    let others = ["recording.wav", "zerda-notes.txt", "zerda-x-y.wav"];
    fs::create_dir(&path).unwrap();
    for name in others {
        fs::write(path.join(name), "mine").unwrap();
    }
    // The second time it goes on where the first ended.
    for from in [0, 5_000] {
        let folder = Folder::open(&path);
        for number in from..from + 5_000 {
            folder.keep(
                "go \u{1b}/../left",
                &[number as i16; 8],
                &json!({ "number": number }),
            );
        }
    }
    let names = names(&path);
    assert_eq!(names.len(), 2 * 1000 + others.len());
    let clip = |number: u32| format!("zerda-{number:06}-go------left");
    for number in [9_001, 10_000] {
        let [wav, json] = ["wav", "json"].map(|end| format!("{}.{end}", clip(number)));
        assert!(names.contains(&wav) && names.contains(&json), "{number}");
        let about: Value = serde_json::from_slice(&fs::read(path.join(json)).unwrap()).unwrap();
        assert_eq!(about["number"], number - 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(path.join(wav)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }
    assert!(!names.contains(&format!("{}.wav", clip(9_000))));
}

/// Says to `keeper` that a label has this smoothed posterior, Q0.8, for so many frames of 10 ms.
fn say(keeper: &mut Keeper<'_>, frame: &mut u64, label: usize, q: u8, frames: u64) {
    for _ in 0..frames {
        let sample = |n: u64| (*frame * 160 + n) as i16;
        let pcm: Vec<i16> = (0..160).map(sample).collect();
        keeper.samples(&pcm).unwrap();
        let mut smoothed = vec![0; keeper.image.labels().count()];
        smoothed[label] = q;
        // A frame is decoded once its window of 25 ms, and more, is there.
        if let Some(frame) = frame.checked_sub(2) {
            keeper.event(&Event::Frame {
                frame,
                smoothed: &smoothed,
            });
        }
        *frame += 1;
    }
}

/// `left` has a threshold of 0.6, that is 154 of 256, of which 70 % are 107.
#[test]
fn a_word_that_nearly_reaches_its_threshold_is_kept_with_the_two_seconds_around_it() {
    let shipped = shrunk();
    let image = shipped.image().unwrap();
    let Manifest { front_end, .. } = image.manifest();
    assert_eq!((front_end.hop, front_end.window), (160, 400));
    let left = image
        .labels()
        .position(|label| label.name == "left")
        .unwrap();
    assert_eq!(image.thresholds().nth(left), Some(154));
    let directory = tempfile::tempdir().unwrap();
    let folder = Folder::open(directory.path());
    let mut keeper = Keeper::new(&folder, &image, "here");
    let (mut frame, keeper_ref) = (0, &mut keeper);
    // Far from it, near, and beyond without being a word, as an echo is: one clip.
    for (q, frames) in [
        (0, 300),
        (106, 20),
        (0, 300),
        (130, 1),
        (140, 1),
        (107, 8),
        (0, 300),
        (200, 9),
        (0, 300),
    ] {
        say(keeper_ref, &mut frame, left, q, frames);
    }
    keeper.end();
    let names = names(directory.path());
    assert_eq!(
        names,
        ["zerda-000001-near-left.json", "zerda-000001-near-left.wav"]
    );
    let about = fs::read(directory.path().join(&names[0])).unwrap();
    let about: Value = serde_json::from_slice(&about).unwrap();
    // It is highest in the frame of number 300 + 20 + 300 + 1 - 2, whose window ends after 25 ms.
    let end_ms = 619 * 10 + 25;
    for (key, expected) in [
        ("file", json!("here")),
        ("kind", json!("near_miss")),
        ("command", json!("left")),
        ("score", json!(140.0 / 256.0)),
        ("end_ms", json!(end_ms)),
        ("clip_start_ms", json!(end_ms + 600 - 2_000)),
        ("awake", json!(true)),
    ] {
        assert_eq!(about[key], expected, "{key}");
    }
    assert_eq!(about["scores"]["left"], 140.0 / 256.0);
    assert_eq!(about["thresholds"]["left"], 154.0 / 256.0);
    let samples = zerda_support::audio::read(&directory.path().join(&names[1])).unwrap();
    assert_eq!(samples.len(), 32_000);
    let first = (end_ms as i64 - 1_400) * 16;
    assert_eq!(
        (samples[0], samples[31_999]),
        (first as i16, (first + 31_999) as i16)
    );
}
