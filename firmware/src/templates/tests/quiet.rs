//! Phrases in streams in which the network rests.

use super::*;
use crate::Aligned;
use crate::image::Quiet;
use crate::recognizer::Spell;
use crate::test_image::with_quiet;

static SHIPPED: &Aligned<[u8]> = &Aligned(*include_bytes!("../../../../models/shrunk.zerda"));

const QUIET: Quiet = Quiet {
    sensitivity: 2,
    hangover_ms: 300,
};

/// "Yes" and "no", after three seconds of faint noise and once more after four; "yes" begins at 3.7 and 10.7 s.
fn said_twice() -> Vec<i16> {
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/samples/answers.wav");
    let samples = hound::WavReader::open(sample).unwrap().into_samples();
    let samples: Vec<i16> = samples.collect::<Result<_, _>>().unwrap();
    let mut random = Random(3);
    let mut noise = |seconds: usize| -> Vec<i16> {
        let samples = 0..seconds * 16_000;
        samples.map(|_| random.below(61) as i16 - 30).collect()
    };
    let said = &samples[..3 * 16_000];
    [&noise(3), said, &noise(4), said, &noise(3)].concat()
}

/// The phrases that are found in a stream, each as its first frame, last frame and similarity.
fn phrases(image: &Image<'_>, file: &[u8], pcm: &[i16]) -> Vec<(u64, u64, u16)> {
    let mut memory = std::vec![0; image.memory_bytes()];
    let mut recognizer = Recognizer::new(image, &mut memory).unwrap();
    let mut cells = std::vec![Cell::START; cells(file)];
    let templates = Templates::parse(file).unwrap();
    let mut matcher = Matcher::new(templates, &recognizer, &mut cells).unwrap();
    let mut found = Vec::new();
    recognizer.push_events(pcm, |event| {
        let one = matcher.push(&event);
        found.extend(one.map(|one| (one.first_frame, one.last_frame, one.similarity)));
    });
    found
}

#[test]
fn a_phrase_is_found_in_each_spell_as_in_a_stream_that_begins_there() {
    let bytes = with_quiet(&SHIPPED.0, QUIET);
    let gated = Image::parse(bytes.get()).unwrap();
    let plain = Image::parse(&SHIPPED.0).unwrap();
    let zero_point = heard_by_head(&gated).unwrap().zero_point;
    let pcm = said_twice();
    let mut memory = std::vec![0; gated.memory_bytes()];
    let mut recognizer = Recognizer::new(&gated, &mut memory).unwrap();
    let (mut yes, mut begins, mut ends) = (Vec::new(), Vec::new(), Vec::new());
    recognizer.push_events(&pcm, |event| match event {
        // From 3.7 to 4.2 s.
        Event::Encoded { index, rows, .. } if (74..84).contains(&index) => {
            let mut row = [0i8; 64];
            unit_row(rows, zero_point, &mut row);
            yes.push(row);
        }
        Event::Speech(spell) => begins.push(spell.frame),
        Event::Quiet(spell) => ends.push(spell.frame),
        _ => {}
    });
    let file = file(plain.network(), &[("yes", 28_000, yes)]);
    let found = phrases(&gated, &file, &pcm);
    let first_frames: Vec<_> = found.iter().map(|&(first, ..)| first).collect();
    assert!(
        matches!(first_frames[..], [365..=375, 1065..=1075]),
        "{found:?}"
    );
    // The first spell is that of noise that is not known yet.
    assert_eq!((begins.len(), ends.len()), (3, 3));
    let mut of_fresh_streams = Vec::new();
    for (begin, end) in begins.into_iter().zip(ends) {
        let spell = &pcm[begin as usize * 160..(end as usize + 10) * 160];
        let found = phrases(&plain, &file, spell).into_iter();
        of_fresh_streams
            .extend(found.map(|(first, last, same)| (first + begin, last + begin, same)));
    }
    assert_eq!(found, of_fresh_streams);
}

#[test]
fn no_stretch_reaches_over_a_quiet_time() {
    let templates = [("a", 30_000, along(&[0, 1, 2, 0]))];
    with_matcher(&templates, |image, matcher| {
        let mut found = |rests: bool| {
            let steps = (0..).zip([0, 1, 2, 0, 3]);
            let mut found = steps.map(|(index, axis)| {
                if index == 2 && rests {
                    let (frame, at_ms) = (4, 40);
                    matcher.push(&Event::Speech(Spell { frame, at_ms }));
                }
                push(matcher, image, (index, axis), 0)
            });
            found.any(|found| found.is_some())
        };
        assert!(!found(true));
        assert!(found(false));
    });
}
