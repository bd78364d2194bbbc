//! Audio that stops, restarts, and an image that cannot be used.

use super::*;
use crate::app::Refusal;
use crate::image::Problem;
use crate::recovery::{Cause, Restart};

/// Hears "answers" until something holds; returns the number of the next sample.
fn hear_until<S: Step>(
    app: &mut TestApp<'_, S>,
    ring: &mut Producer<'_, Block>,
    holds: impl Fn(&TestApp<'_, S>) -> bool,
) -> u64 {
    let pcm = answers();
    let mut blocks = (0..).step_by(BLOCK).zip(pcm.chunks(BLOCK));
    while !holds(app) {
        let (start, pcm) = blocks.next().unwrap();
        hear(app, ring, start, pcm);
    }
    app.next
}

#[test]
fn outputs_are_released_by_the_clock_when_audio_stops() {
    let clock = Clock::default();
    let log = with_app(&IMAGE.0, Cpu::default(), clock.clone(), |app, ring| {
        hear_until(app, ring, |app| app.outputs[0].until.is_some());
        let high = |app: &TestApp<'_, Cpu>| {
            let outputs = app.outputs.iter().map(|output| output.until.is_some());
            outputs.collect::<Vec<_>>()
        };
        assert_eq!(high(app), [true, true, false]);
        clock.skip(300);
        assert!(!app.poll());
        assert_eq!(high(app), [true, true, false]);
        clock.skip(100);
        app.poll();
        assert_eq!(high(app), [true, false, false]);
        clock.skip(100);
        app.poll();
        assert_eq!(high(app), [false, false, false]);
    });
    assert_eq!(with(&log, "AudioStopped"), [""; 0]);
    assert_eq!(log[log.len() - 2..], ["any low", "yes low"]);
}

#[test]
fn audio_that_trickles_holds_no_output_up() {
    let clock = Clock::default();
    let log = with_app(&IMAGE.0, Cpu::default(), clock.clone(), |app, ring| {
        let next = hear_until(app, ring, |app| app.outputs[0].until.is_some());
        clock.skip(900);
        hear(app, ring, next, &[0; BLOCK]);
        assert!(app.outputs.iter().all(|output| output.until.is_none()));
    });
    assert_eq!(with(&log, "AudioStopped"), [""; 0]);
    assert_eq!(log[log.len() - 2..], ["yes low", "any low"]);
}

#[test]
fn the_load_after_audio_stopped_is_that_of_the_audio_since() {
    let clock = Clock::default();
    let log = with_app(&IMAGE.0, Cpu::default(), clock.clone(), |app, ring| {
        for block in 0..90 {
            hear(app, ring, block * BLOCK as u64, &[0; BLOCK]);
        }
        for _ in 0..2 {
            clock.skip(1000);
            assert!(!app.poll());
        }
        // Nearly as long as the clock takes to wrap.
        let wrapped = app.status_at.wrapping_add(50);
        clock.ticks.set(wrapped);
        for block in 90..100 {
            hear(app, ring, block * BLOCK as u64, &[0; BLOCK]);
        }
        let load = app.status.load_permille;
        assert!((1..=1000).contains(&load), "{load}");
    });
    assert_eq!(with(&log, "Status").len(), 1);
}

#[test]
fn audio_that_stops_closes_the_window_is_reported_once_and_starves_the_watchdog() {
    let clock = Clock::default();
    let image = gated();
    let log = with_app(image.get(), Cpu::default(), clock.clone(), |app, ring| {
        let next = hear_until(app, ring, |app| app.awake);
        let fed = clock.fed.get();
        assert_eq!(u64::from(fed), next / 160);
        for _ in 0..50 {
            clock.skip(100);
            assert!(!app.poll());
        }
        assert_eq!((clock.fed.get(), app.awake), (fed, false));
        // It goes on where it stopped, as a new stream.
        let pcm = answers();
        for (start, pcm) in (next..).step_by(BLOCK).zip(pcm.chunks(BLOCK)) {
            hear(app, ring, start, pcm);
        }
        let blocks = pcm.len().div_ceil(BLOCK) as u32;
        assert_eq!((clock.fed.get(), app.status.overruns), (fed + blocks, 0));
    });
    let at = log.iter().position(|line| line.starts_with("AudioStopped"));
    let after = &log[at.unwrap()..][..3];
    assert!(
        after[1].starts_with("Asleep") && after[1].ends_with("reason: Reset }"),
        "{after:?}"
    );
    assert_eq!(after[2], "listens low");
    assert_eq!(with(&log, "AudioStopped").len(), 1);
    assert_eq!(with(&log, "WakeWord").len(), 3);
}

#[test]
fn an_image_that_is_damaged_while_the_device_listens_ends_recognition() {
    let clock = Clock::default();
    let log = with_app(&IMAGE.0, Cpu::default(), clock.clone(), |app, ring| {
        let next = hear_until(app, ring, |app| app.outputs[0].until.is_some());
        app.scrub.expected ^= 1;
        // A round over the image takes 18 s, a block of audio 10 ms.
        let mut blocks = (next..).step_by(BLOCK).take(1800);
        while app.damage().is_none() {
            hear(app, ring, blocks.next().unwrap(), &[0; BLOCK]);
        }
        assert_eq!(app.damage(), Some(Problem::Checksum));
        assert!(app.outputs.iter().all(|output| output.until.is_none()));
        let fed = clock.fed.get();
        assert!(!app.poll());
        assert_eq!(clock.fed.get(), fed);
    });
    let last = &log[log.len() - 4..];
    assert_eq!(
        last,
        ["yes low", "any low", "listens low", "BadImage(Checksum)"]
    );
}

#[test]
fn a_device_whose_image_was_damaged_reports_it_each_second_and_blinks_its_last_output() {
    let clock = Clock::default();
    let log = Log::default();
    let mut pin = Pin("led", log.clone());
    let mut refusal = Refusal::after(
        Problem::Checksum,
        Some(&mut pin),
        Line::new(&log),
        clock.clone(),
        7,
    );
    for _ in 0..9 {
        clock.skip(250);
        refusal.poll();
    }
    assert_eq!(with(&log.borrow(), "BadImage").len(), 2);
    assert_eq!(with(&log.borrow(), "led high").len(), 5);
    assert_eq!(with(&log.borrow(), "Start"), [""; 0]);
}

#[test]
fn a_clock_of_any_rate_that_wraps_counts_the_same_time() {
    for hz in [1000, 32_768, 25_000_000, 240_000_000, u32::MAX] {
        let mut now = u32::MAX - 5;
        let mut elapsed = crate::app::elapsed::Elapsed::new(now);
        for _ in 0..1000 {
            now = now.wrapping_add(hz / 100 + 1);
            elapsed.look(now, hz);
        }
        let true_ms = 1000 * u64::from(hz / 100 + 1) * 1000 / u64::from(hz);
        // Rates are rounded down to ticks a ms, by 2.4 % for a watch's crystal.
        let most = true_ms * 1025 / 1000;
        let ms = elapsed.ms;
        assert!((true_ms..=most).contains(&ms), "{hz}: {ms} of {true_ms}");
    }
}

#[test]
fn a_restart_is_reported_after_the_start() {
    let restart = Restart {
        cause: Cause::Fault,
        place: 0x0800_1234,
    };
    let clock = Clock {
        restart: Some(restart),
        ..Clock::default()
    };
    let log = with_app(&IMAGE.0, Cpu::default(), clock, |_, _| {});
    assert!(log[3].starts_with("Start {"), "{log:?}");
    assert_eq!(log[4..], [format!("{:?}", Report::Restart(restart))]);
}

#[test]
fn an_image_that_cannot_be_used_is_reported_each_second_and_blinks() {
    let mut damaged = Bytes::new(&IMAGE.0);
    *damaged.get_mut().last_mut().unwrap() ^= 1;
    let problem = Problem::from(Image::parse(damaged.get()).unwrap_err());
    let (log, clock) = (Log::default(), Clock::default());
    let led = Pin("led", log.clone());
    let mut refusal = Refusal::new(problem, led, Line::new(&log), clock.clone());
    for _ in 0..250 {
        clock.skip(9);
        refusal.poll();
    }
    let log = log.take();
    assert_eq!(log[0], "led low");
    assert!(log[1].starts_with("Start {"));
    assert_eq!(log[2], "BadImage(Checksum)");
    // 2.5 s.
    assert_eq!(with(&log, "BadImage").len(), 3);
    assert_eq!(
        log[3..8],
        [
            "led high",
            "led low",
            "led high",
            "led low",
            "BadImage(Checksum)"
        ]
    );
    assert_eq!(clock.fed.get(), 251);
}

/// A line and a pin that fail.
struct Broken;

impl embedded_hal::digital::ErrorType for Broken {
    type Error = embedded_hal::digital::ErrorKind;
}

impl embedded_hal::digital::OutputPin for Broken {
    fn set_low(&mut self) -> Result<(), Self::Error> {
        Err(embedded_hal::digital::ErrorKind::Other)
    }

    fn set_high(&mut self) -> Result<(), Self::Error> {
        self.set_low()
    }
}

#[test]
fn errors_of_pins_are_counted_up_to_the_most_that_a_counter_tells() {
    let image = Image::parse(&IMAGE.0).unwrap();
    let mut memory = Memory::<MEMORY>::new();
    let (log, mut ring) = (Log::default(), Ring::<4>::new());
    let (mut producer, consumer) = ring.split();
    let mut outputs = [Output::new(Broken, None, 200), Output::while_awake(Broken)];
    let mut recognizer = Recognizer::new(&image, &mut memory).unwrap();
    let (line, clock) = (Line::new(&log), Clock::default());
    let mut app = App::new(&mut recognizer, consumer, &mut outputs, line, clock);
    assert_eq!(app.status.io_errors, 2);
    app.status.io_errors = u32::MAX - 1;
    for (start, pcm) in (0..).step_by(BLOCK).zip(answers().chunks(BLOCK)) {
        let samples = heapless::Vec::from_slice(pcm).unwrap();
        assert!(producer.enqueue(Block { start, samples }).is_ok());
        app.poll();
    }
    assert_eq!(app.status.io_errors, u32::MAX);
}
