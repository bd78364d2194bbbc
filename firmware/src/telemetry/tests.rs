//! Reports that are sent, received, and damaged on their way.

use super::*;
use crate::crc::CRC;
use crate::recovery::Cause;
use crate::test_image::{GO_GO, WAKE, tiny, with_wake};
use std::{vec, vec::Vec};

const STATUS: Report<'_> = Report::Status(Status {
    audio_ms: 256_000,
    steps: 0,
    detections: 3,
    overruns: 0,
    lost_samples: 160,
    io_errors: 0,
    load_permille: 310,
    stack_bytes: 4096,
    logits_crc32: 0xE100_BD73,
});
const DETECTION: Report<'_> = Report::Detection {
    command: "stop",
    score: 200,
    start_ms: 0,
    end_ms: 1234,
    decided_ms: 1280,
};
const WAKE_WORD: Report<'_> = Report::WakeWord {
    word: "stop",
    score: 200,
    start_ms: 0,
    end_ms: 1234,
    decided_ms: 1280,
};

fn frame(sequence: u16, report: &Report<'_>) -> Vec<u8> {
    encode(sequence, report).unwrap().to_vec()
}

/// What each frame of a line says, as text.
fn decode(line: &[u8]) -> Vec<Result<(u16, std::string::String), FrameError>> {
    let mut decoder = FrameDecoder::new();
    let mut frames = Vec::new();
    for &byte in line {
        if let Some(result) = decoder.push(byte) {
            frames.push(result.map(|(sequence, report)| (sequence, std::format!("{report:?}"))));
        }
    }
    frames
}

fn ok(sequence: u16, report: &Report<'_>) -> Result<(u16, std::string::String), FrameError> {
    Ok((sequence, std::format!("{report:?}")))
}

#[test]
fn reports_come_through_one_after_the_other() {
    let line = [frame(0, &STATUS), frame(65_535, &DETECTION)].concat();
    assert_eq!(decode(&line), [ok(0, &STATUS), ok(65_535, &DETECTION)]);
}

#[test]
fn a_frame_is_postcard_and_its_crc_in_cobs() {
    let mut line = frame(7, &DETECTION);
    assert_eq!(
        line.iter().position(|&byte| byte == 0),
        Some(line.len() - 1)
    );
    let length = cobs::decode_in_place(&mut line).unwrap();
    let (bytes, crc) = line[..length].split_at(length - 4);
    assert_eq!(crc, CRC.checksum(bytes).to_le_bytes());
    let (sequence, report): (u16, Report<'_>) = postcard::from_bytes(bytes).unwrap();
    assert_eq!((sequence, report), (7, DETECTION));
}

const PHRASE: Report<'static> = Report::Phrase {
    phrase: "kitchen lamp",
    similarity: 27_000,
    start_ms: 1,
    end_ms: 2,
    decided_ms: u32::MAX,
};

/// What receivers of an earlier version know stays where it was: kinds are numbered in order.
#[test]
fn kinds_of_report_keep_their_numbers() {
    let fault = Report::NpuFault {
        at_ms: 0,
        failure: Failure {
            fault: crate::step::Fault::Bus,
            detail: u64::MAX,
        },
        faults: u32::MAX,
        backoff: u16::MAX,
    };
    let (steps, faults) = (1, 2);
    let (at_ms, until_ms, reason) = (u32::MAX, u32::MAX, Reason::Reset);
    let (awake, wake_words) = (true, 3);
    let reports = [
        STATUS,
        fault,
        Report::Npu { steps, faults },
        Report::Awake { at_ms, until_ms },
        Report::Asleep { at_ms, reason },
        Report::Gate { awake, wake_words },
        WAKE_WORD,
        Report::Restart(restart(Cause::Panic)),
        Report::AudioStopped { at_ms },
        Report::BadImage(Problem::Field),
        Report::Speech { at_ms },
        Report::Quiet { at_ms },
        PHRASE,
        Report::Answer {
            number: 9,
            answer: Answer::Unserved,
        },
    ];
    let number = |report: &Report<'_>| postcard::to_slice(report, &mut [0; 64]).unwrap()[0];
    assert_eq!(
        reports.each_ref().map(number),
        [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]
    );
    assert_eq!(number(&DETECTION), 1);
    let sent = (0..).zip(&reports[1..]);
    let line: Vec<_> = sent.clone().map(|(n, report)| frame(n, report)).collect();
    let expected: Vec<_> = sent.map(|(n, report)| ok(n, report)).collect();
    assert_eq!(decode(&line.concat()), expected);
}

fn restart(cause: Cause) -> Restart {
    let place = u32::MAX;
    Restart { cause, place }
}

#[test]
fn causes_of_a_restart_and_problems_of_an_image_keep_their_numbers() {
    let bytes = |report: Report<'_>| postcard::to_slice(&report, &mut [0; 64]).unwrap().to_vec();
    let causes = [
        Cause::Panic,
        Cause::Fault,
        Cause::Watchdog,
        Cause::BrownOut,
        Cause::StackOverflow,
    ];
    for (number, cause) in (0..).zip(causes) {
        let report = Report::Restart(restart(cause));
        assert_eq!(bytes(report), [10, number, 255, 255, 255, 255, 15]);
    }
    let problems = [
        Problem::NotAnImage,
        Problem::Version,
        Problem::Length,
        Problem::Misaligned,
        Problem::Checksum,
        Problem::Field,
    ];
    for (number, problem) in (0..).zip(problems) {
        assert_eq!(bytes(Report::BadImage(problem)), [12, number]);
    }
}

#[test]
fn a_detection_is_reported_as_the_command_or_the_wake_word_that_it_is() {
    let detection = |command| Detection {
        command,
        score: 200,
        start_ms: 0,
        end_ms: 1234,
        decided_ms: 1280,
    };
    let bytes = with_wake(tiny(2).get(), 30, &GO_GO, &WAKE);
    let gated = Image::parse(bytes.get()).unwrap();
    // Numbered after the two commands.
    assert_eq!(Report::heard(&gated, &detection(2), 0), WAKE_WORD);
    // The same label, where it is none.
    let bytes = tiny(2);
    let plain = Image::parse(bytes.get()).unwrap();
    assert_eq!(Report::heard(&plain, &detection(1), 0), DETECTION);
    let later = Report::heard(&gated, &detection(1), u32::MAX - 1000);
    let expected = Report::Detection {
        command: "go go",
        score: 200,
        start_ms: u32::MAX - 1000,
        end_ms: u32::MAX,
        decided_ms: u32::MAX,
    };
    assert_eq!(later, expected);
}

#[test]
fn one_damaged_byte_costs_one_frame() {
    let (first, last) = (frame(1, &STATUS), frame(3, &DETECTION));
    for at in 0..frame(2, &STATUS).len() {
        for flip in [1, 0x10, 0x80] {
            let mut damaged = frame(2, &STATUS);
            damaged[at] ^= flip;
            let frames = decode(&[first.clone(), damaged, last.clone(), vec![0]].concat());
            assert_eq!(frames[0], ok(1, &STATUS));
            // A lost delimiter joins the frame to the next one.
            let good: Vec<_> = frames.iter().flatten().collect();
            assert!(
                good.len() <= 2 && frames.len() > good.len(),
                "{at} {frames:?}"
            );
        }
    }
}

#[test]
fn noise_is_no_report() {
    let mut random = crate::test_image::Random(1);
    let noise: Vec<u8> = (0..100_000).map(|_| random.next() as u8).collect();
    assert!(decode(&noise).iter().all(Result::is_err));
    assert_eq!(decode(&[9; 1000]), []);
    assert_eq!(
        decode(&[&[9; 1000][..], &[0]].concat()),
        [Err(FrameError::TooLong)]
    );
}

#[test]
fn a_report_that_is_too_long_is_not_sent() {
    let report = Report::Detection {
        command: &"x".repeat(MAX_FRAME),
        score: 0,
        start_ms: 0,
        end_ms: 0,
        decided_ms: 0,
    };
    assert!(encode(0, &report).is_none());
}
