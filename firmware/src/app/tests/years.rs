//! The application after weeks and years, when counters of 32 bits have ended.

use super::*;
use crate::image::{Command, samples};
use crate::test_image::{Random, YEARS, before_years, with_commands};
use std::ops::Range;
use std::println;

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

/// What the application says of "answers" from a frame and a reading of the clock on, without times. Some blocks are lost.
fn run_at(image: &Bytes, frame: u64, ticks: u32, lost: Range<usize>) -> Vec<String> {
    let first = frame * samples(10);
    let clock = Clock::default();
    clock.ticks.set(ticks);
    let log = with_app(image.get(), Cpu::default(), clock, |app, ring| {
        app.recognizer.go_on_at(frame);
        (app.next, app.next_status) = (first, first + samples(1000));
        for (number, pcm) in answers().chunks(BLOCK).enumerate() {
            if !lost.contains(&number) {
                hear(app, ring, first + (number * BLOCK) as u64, pcm);
            }
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
        let expected = run_at(image, 0, 0, 0..0);
        assert!(with(&expected, "Status").len() == 8 && !with(&expected, "any high").is_empty());
        // Counters end while pins are high, between two words and while the window is open.
        for frame in YEARS.map(|year| year - 120) {
            assert_eq!(
                run_at(image, frame, 0, 0..0),
                expected,
                "{name} from frame {frame} on"
            );
        }
    }
}

/// A block lasts 10 ms, and the clock is read a few times for each.
#[test]
fn pins_and_reports_are_the_same_whenever_a_stream_begins_and_wherever_audio_is_lost() {
    const STREAMS: usize = 12;
    let images = [Bytes::new(&IMAGE.0), gated(), of_pairs()];
    let blocks = answers().len() / BLOCK;
    let (mut random, mut lines) = (Random(19), 0);
    for _ in 0..STREAMS {
        let image = &images[random.below(images.len())];
        let from = random.below(blocks);
        let lost = from..from + random.below(blocks - from);
        let expected = run_at(image, 0, 0, lost.clone());
        let frame = before_years(&mut random, blocks);
        let ticks = 0u32.wrapping_sub(random.below(4 * blocks) as u32);
        let found = run_at(image, frame, ticks, lost.clone());
        assert_eq!(
            found, expected,
            "from {frame} and {ticks} on, without {lost:?}"
        );
        lines += found.len();
    }
    println!("{STREAMS} streams: {lines} reports and changes of pins");
}

#[test]
fn audio_is_lost_the_same_way_after_years() {
    let pcm = answers();
    for year in YEARS {
        let start = year * samples(10);
        let log = with_app(&IMAGE.0, Cpu::default(), Clock::default(), |app, ring| {
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
