//! A host asks which settings are in force, and changes them.

use super::*;
use crate::decoder::SettingError;
use crate::request::{Answer, Request, Requests, Settings, Word};

/// What the application says to these requests, which have the numbers from 7 on.
fn said(requests: &[Request<'_>]) -> Vec<String> {
    let log = with_app(&IMAGE.0, Cpu::default(), Clock::default(), |app, _| {
        for (number, request) in (7..).zip(requests) {
            app.answer(number, request);
        }
    });
    let answers = log.into_iter().filter(|line| line.starts_with("Answer"));
    answers.collect()
}

fn report(number: u16, answer: Answer<'_>) -> String {
    format!("{:?}", Report::Answer { number, answer })
}

#[test]
fn what_is_set_is_in_force_and_what_is_out_of_bounds_changes_nothing() {
    let image = Image::parse(&IMAGE.0).unwrap();
    let (label, name) = (0, image.labels().next().unwrap().name);
    let of_image = image.thresholds().next().unwrap();
    let smoothing_of_image = image.manifest().decoder.smoothing;
    let settings = |smoothing, threshold: Option<u8>| {
        Answer::Settings(Settings {
            smoothing,
            smoothing_of_image,
            labels: image.manifest().classes,
            word: threshold.map(|threshold| Word {
                name,
                threshold,
                of_image,
            }),
        })
    };
    let set = |threshold| Request::SetThreshold { label, threshold };
    let silence = image.manifest().classes - 1;
    let exchanges = [
        (
            Request::Settings { label },
            settings(smoothing_of_image, Some(of_image)),
        ),
        (set(99), settings(smoothing_of_image, Some(99))),
        (
            set(2),
            Answer::Refused(SettingError::Threshold { threshold: 2 }),
        ),
        (
            Request::SetThreshold {
                label: silence,
                threshold: 99,
            },
            Answer::Refused(SettingError::NotDetected { label: silence }),
        ),
        (Request::SetSmoothing { frames: 9 }, settings(9, None)),
        (
            Request::SetSmoothing { frames: 33 },
            Answer::Refused(SettingError::Smoothing { frames: 33 }),
        ),
        (Request::Settings { label }, settings(9, Some(99))),
        (Request::Settings { label: silence }, settings(9, None)),
        (Request::Settings { label: 255 }, settings(9, None)),
        (Request::Update(&[0]), Answer::Unserved),
    ];
    let expected = (7..)
        .zip(&exchanges)
        .map(|(n, (_, answer))| report(n, *answer));
    let requests = exchanges.each_ref().map(|(request, _)| *request);
    assert_eq!(said(&requests), expected.collect::<Vec<_>>());
}

#[test]
fn a_word_that_is_switched_off_is_heard_no_more() {
    let pcm = answers();
    let image = Image::parse(&IMAGE.0).unwrap();
    let yes = image
        .labels()
        .position(|label| label.name == "yes")
        .unwrap() as u8;
    let heard = |request: Option<Request<'_>>| {
        let log = with_app(&IMAGE.0, Cpu::default(), Clock::default(), |app, ring| {
            if let Some(request) = request {
                app.answer(1, &request);
            }
            for (index, samples) in pcm.chunks(BLOCK).enumerate() {
                hear(app, ring, (index * BLOCK) as u64, samples);
            }
        });
        let of = |word: &str| {
            let start = format!("Detection {{ command: \"{word}\"");
            with(&log, &start).len()
        };
        (of("yes"), of("no"))
    };
    let (before, no) = heard(None);
    assert!(before > 0 && no > 0);
    let off = Request::SetThreshold {
        label: yes,
        threshold: 0,
    };
    assert_eq!(heard(Some(off)), (0, no));
}

#[test]
fn a_line_is_answered_as_far_as_it_holds_bytes_and_a_damaged_byte_costs_its_request_alone() {
    let requests = [1, 2, 3].map(|frames| Request::SetSmoothing { frames });
    let frames = (7..).zip(requests);
    let frames: Vec<_> = frames
        .map(|(number, request)| request.frame(number).unwrap())
        .collect();
    let mut line: Vec<Option<Result<u8, ()>>> =
        frames.concat().into_iter().map(Ok).map(Some).collect();
    // Within the first frame nothing waits for a while, and the second has a byte that came damaged.
    let second = frames[0].len();
    line[second + 2] = Some(Err(()));
    line.insert(3, None);
    let log = with_app(&IMAGE.0, Cpu::default(), Clock::default(), |app, _| {
        let mut requests = Requests::new();
        let mut line = line.into_iter();
        app.serve(&mut requests, || line.next().flatten());
        assert_eq!(line.len(), frames.concat().len() - 3);
        app.serve(&mut requests, || line.next().flatten());
        assert_eq!(line.len(), 0);
    });
    let answered: Vec<_> = log
        .iter()
        .filter_map(|line| line.strip_prefix("Answer { number: "))
        .map(|rest| rest.split(',').next().unwrap())
        .collect();
    assert_eq!(answered, ["7", "9"]);
}

#[test]
fn a_host_that_talks_on_and_on_lets_audio_be_handled() {
    let mut bytes = 0;
    with_app(&IMAGE.0, Cpu::default(), Clock::default(), |app, _| {
        let talks = || {
            bytes += 1;
            Some(Ok::<_, ()>(1))
        };
        app.serve(&mut Requests::new(), talks);
    });
    // Two requests, of 12 bytes at most, whole.
    assert!((24..100).contains(&bytes), "{bytes}");
}
