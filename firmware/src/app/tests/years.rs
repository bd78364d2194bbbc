//! The application after weeks and years, when counters of 32 bits have ended.

use super::*;
use crate::image::{Command, samples};
use crate::test_image::{YEARS, with_commands};

/// The image with commands of "yes" and then "no", and of "no" and then "yes", and with "right".
fn of_pairs() -> Bytes {
    let [yes, no, right] = ["yes", "no", "right"].map(label);
    let commands = [
        ("yes no", &[yes, no][..]),
        ("no yes", &[no, yes]),
        ("right", &[right]),
    ];
    let commands = commands.map(|(name, words)| Command { name, words });
    of_shipped(with_commands(&IMAGE.0, 200, &commands))
}

/// What the application says of "answers" from a frame on, without times.
fn run_at(image: &Bytes, frame: u64) -> Vec<String> {
    let first = frame * samples(10);
    let log = with_app(image.get(), Cpu, Clock::default(), |app, ring| {
        app.recognizer.go_on_at(frame);
        (app.next, app.next_status) = (first, first + samples(1000));
        for (start, pcm) in (first..).step_by(BLOCK).zip(answers().chunks(BLOCK)) {
            hear(app, ring, start, pcm);
        }
        let ms = u32::try_from(app.next / samples(1)).unwrap_or(u32::MAX);
        assert_eq!(app.status.audio_ms, ms, "what is reported saturates");
    });
    let told = |line: String| match line.split_once(" {") {
        None => line,
        Some((kind, fields)) => {
            let fields = fields.split(", ").filter(|field| !field.contains("ms:"));
            let fields: Vec<_> = fields.filter(|field| !field.contains("load_")).collect();
            format!("{kind} {}", fields.join(", "))
        }
    };
    log.into_iter().map(told).collect()
}

#[test]
fn pins_commands_windows_and_statuses_are_the_same_after_years() {
    let images = [Bytes::new(&IMAGE.0), gated(), of_pairs()];
    for (image, name) in images.iter().zip(["words", "wake words", "pairs"]) {
        let expected = run_at(image, 0);
        assert!(with(&expected, "Status").len() == 8 && !with(&expected, "any high").is_empty());
        // Counters end while pins are high, between two words and while the window is open.
        for frame in YEARS.map(|year| year - 120) {
            assert_eq!(
                run_at(image, frame),
                expected,
                "{name} from frame {frame} on"
            );
        }
    }
}

#[test]
fn audio_is_lost_the_same_way_after_years() {
    let pcm = answers();
    for year in YEARS {
        let start = year * samples(10);
        let log = with_app(&IMAGE.0, Cpu, Clock::default(), |app, ring| {
            hear(app, ring, 0, &pcm[..BLOCK]);
            for (start, pcm) in (start..).step_by(BLOCK).zip(pcm.chunks(BLOCK)) {
                hear(app, ring, start, pcm);
            }
            assert_eq!((app.status.overruns, app.stream_start), (1, start));
        });
        assert_eq!(with(&log, "Detection").len(), 5, "{year}");
        assert_eq!(with(&log, "any low").len(), 6, "{year}");
    }
}
