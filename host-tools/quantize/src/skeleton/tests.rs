use std::time::{Duration, Instant};

use zerda_firmware::{Event, Recognizer};
use zerda_support::operators::{describe, macs_per_step, operands};
use zerda_support::test_support::{recording, shrunk};

use super::*;

fn config() -> Config {
    Config::load(None).unwrap()
}

fn message(profile: &Profile) -> String {
    image(profile, &config())
        .err()
        .expect("an error")
        .to_string()
}

#[test]
fn the_skeleton_of_shrunk_is_the_shipped_image_but_for_its_values() {
    let (shipped, config) = (shrunk(), config());
    let skeleton = image(&config.models.profiles["shrunk"], &config).unwrap();
    assert_eq!(skeleton.bytes().len(), shipped.bytes().len());
    let [skeleton, shipped] = [&skeleton, &shipped].map(|file| file.image().unwrap());
    assert_eq!(skeleton.arena_bytes(), shipped.arena_bytes());
    assert_eq!(macs_per_step(&skeleton), macs_per_step(&shipped));
    assert_eq!(skeleton.manifest().stream, shipped.manifest().stream);
    let caches = |image: &zerda_firmware::Image| -> Vec<_> {
        let shape = |c: zerda_firmware::plan::Cache| (c.offset, c.rows, c.cols, c.capacity);
        image.caches().map(shape).collect()
    };
    assert_eq!(caches(&skeleton), caches(&shipped));
    let labels = |image: &zerda_firmware::Image| -> Vec<_> {
        let label = |label: zerda_firmware::image::Label| format!("{label:?}");
        image.labels().map(label).collect()
    };
    assert_eq!(labels(&skeleton), labels(&shipped));
    // Class, shape, and where each operand lies: what it is computed from too.
    let operators = |image: &zerda_firmware::Image| -> Vec<_> {
        let place = |id| {
            let tensor = image.tensor(id).unwrap();
            (tensor.location, tensor.rows, tensor.cols, tensor.keys)
        };
        let operator = |op| {
            let places: Vec<_> = operands(op).into_iter().map(place).collect();
            format!("{:?} {places:?}", describe(image, op))
        };
        image.ops().map(operator).collect()
    };
    let (skeleton, shipped) = (operators(&skeleton), operators(&shipped));
    assert_eq!(skeleton.len(), 51);
    for (skeleton, shipped) in skeleton.iter().zip(&shipped) {
        assert_eq!(skeleton, shipped);
    }
}

#[test]
fn every_profile_and_others_run_in_the_firmware_and_cost_what_the_profile_says() {
    let config = config();
    let shrunk = config.models.profiles["shrunk"];
    let mut profiles: Vec<_> = config.models.profiles.values().copied().collect();
    profiles.push(Profile {
        layers: 3,
        hidden: 96,
        feed_forward: 384,
        ..shrunk
    });
    profiles.push(Profile {
        layers: 1,
        kernel: 1,
        cached: 0,
        ..shrunk
    });
    let samples = recording(5, 32_000);
    for profile in profiles {
        let start = Instant::now();
        let file = image(&profile, &config).unwrap();
        let took = start.elapsed();
        assert!(took < Duration::from_secs(10), "{profile}: {took:?}");
        let image = file.image().unwrap();
        assert_eq!(
            macs_per_step(&image),
            profile.macs_per_step(40, 14),
            "{profile}"
        );
        let mut memory = vec![0; image.memory_bytes()];
        let mut recognizer = Recognizer::new(&image, &mut memory).unwrap();
        let mut logits = Vec::new();
        recognizer.push_events(&samples, |event| {
            if let Event::Step { logits: step, .. } = event {
                logits.push(step.to_vec());
            }
        });
        // 198 frames of 25 ms in 2 s.
        let steps = (198 - usize::from(profile.chunk)) / usize::from(profile.step) + 1;
        assert_eq!(logits.len(), steps, "{profile}");
        // The audio comes through to the end, and not as a saturated value.
        logits.sort();
        logits.dedup();
        assert!(
            logits.len() > steps / 2,
            "{profile}: {} differ",
            logits.len()
        );
    }
}

#[test]
fn a_shape_that_no_image_holds_is_one_line() {
    let shrunk = config().models.profiles["shrunk"];
    for (profile, expected) in [
        (
            Profile { heads: 5, ..shrunk },
            "heads 5, expected a divisor of hidden 64",
        ),
        (
            Profile {
                cached: 502,
                ..shrunk
            },
            "chunk and cached are 512 keys, an image holds at most 511",
        ),
        (
            Profile {
                layers: 22,
                ..shrunk
            },
            "22 layers, an image holds at most 21",
        ),
        (
            Profile { step: 11, ..shrunk },
            "step 11, expected at most chunk 10",
        ),
        (
            Profile {
                heads: 256,
                hidden: 512,
                ..shrunk
            },
            "256 heads, an image holds at most 255",
        ),
        (
            Profile {
                hidden: 65_535,
                heads: 1,
                ..shrunk
            },
            "multiply-accumulates a step, an image holds at most 268435456",
        ),
    ] {
        let message = message(&profile);
        assert!(message.contains(expected), "{message}");
        assert!(!message.contains('\n'), "{message}");
    }
}
