//! A device that looks for a phrase beside the image's words.

use super::*;
use crate::templates::{Cell, Matcher, Templates, heard_by_head, tests::file, unit_row};

/// A file with the phrase "no way", which is the first "no" of the sample, from 2.0 to 2.45 s.
fn no_way(image: &Image<'_>) -> Vec<u8> {
    let zero_point = heard_by_head(image).unwrap().zero_point;
    let mut memory = std::vec![0; image.memory_bytes()];
    let mut recognizer = Recognizer::new(image, &mut memory).unwrap();
    let mut no = Vec::new();
    recognizer.push_events(&answers(), |event| match event {
        Event::Encoded { index, rows, .. } if (40..49).contains(&index) => {
            let mut row = [0i8; 64];
            unit_row(rows, zero_point, &mut row);
            no.push(row);
        }
        _ => {}
    });
    file(image.network(), &[("no way", 27_000, no)])
}

/// "yes", the wake word, is said at 0.7 s, "no" at 2.0 s, within its window, and at 5.9 s, after it.
#[test]
fn a_phrase_is_reported_whether_the_device_is_asleep_or_awake_and_opens_no_window() {
    let bytes = gated();
    let image = Image::parse(bytes.get()).unwrap();
    let (file, pcm) = (no_way(&image), answers());
    let (mut memory, mut cells) = (std::vec![0; image.memory_bytes()], [Cell::START; 9]);
    let log = Log::default();
    let mut ring = Ring::<4>::new();
    let (mut producer, consumer) = ring.split();
    let mut outputs = [Output::while_awake(Pin("listens", log.clone()))];
    let mut recognizer = Recognizer::new(&image, &mut memory).unwrap();
    let templates = Templates::parse(&file).unwrap();
    let mut matcher = Matcher::new(templates, &recognizer, &mut cells).unwrap();
    let (line, clock) = (Line::new(&log), Clock::default());
    let mut app = App::new(&mut recognizer, consumer, &mut outputs, line, clock);
    app.listen_for(&mut matcher);
    for (index, samples) in pcm.chunks(BLOCK).enumerate() {
        hear(&mut app, &mut producer, (index * BLOCK) as u64, samples);
    }
    let log = log.take();
    let place = |start: &str| log.iter().position(|line| line.starts_with(start)).unwrap();
    let phrases: Vec<_> = with(&log, "Phrase { phrase: \"no way\"");
    assert_eq!(phrases.len(), 2, "{log:#?}");
    assert!(phrases[0].contains("start_ms: 2000,"), "{phrases:?}");
    assert!(phrases[1].contains("start_ms: 59"), "{phrases:?}");
    let second = log.iter().position(|line| line == phrases[1]).unwrap();
    assert!(place("Awake") < place("Phrase") && place("Phrase") < place("Asleep"));
    assert!(place("Asleep") < second);
    // What came after it are the second "yes" and its window.
    assert!(!log[second + 1].starts_with("Awake"), "{log:#?}");
}
