//! A request is what a host asks of the device, over the line by which the device reports.
//!
//! Requests come in frames of a [`frame::Decoder`], as reports go out, each with a number of the host's
//! choice. The device ignores what is damaged and answers the rest by [`Report::Answer`](crate::telemetry::Report::Answer),
//! which has the same number. So a host asks again where no answer comes: every request may come twice.

use heapless::Vec;
use serde::{Deserialize, Serialize};

use crate::decoder::SettingError;
use crate::frame;

/// The most bytes that a request's frame has, its zero included. The longest carries the header of an update.
pub const MAX_FRAME: usize = 192;

/// Something that the host asks for. What it sets counts until the device starts again, and is written nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Request<'a> {
    /// Carries a request to the updater: `Request::encode` of the crate `zerda-update`.
    Update(&'a [u8]),
    /// Asks what is in force: [`Answer::Settings`].
    Settings {
        /// The number of the label whose threshold is asked for.
        label: u8,
    },
    /// Sets the smoothed posterior at which a label is detected; the answer says what is in force.
    SetThreshold {
        /// The number of the label.
        label: u8,
        /// The threshold, Q0.8; 0 switches the label off.
        threshold: u8,
    },
    /// Sets the number of frames that posteriors are averaged over; the answer says what is in force.
    SetSmoothing {
        /// The number of frames.
        frames: u8,
    },
}

impl Request<'_> {
    /// Returns the frame of this request, or `None` if it is longer than any may be.
    pub fn frame(&self, number: u16) -> Option<Vec<u8, MAX_FRAME>> {
        frame::encode(number, self)
    }
}

/// Reads requests byte by byte.
#[derive(Clone, Debug, Default)]
pub struct Requests(frame::Decoder<MAX_FRAME>);

impl Requests {
    /// Makes a reader that waits for the first byte of a frame.
    pub const fn new() -> Self {
        Self(frame::Decoder::new())
    }

    /// Takes the next byte of the line, and at the end of a whole frame returns its number and request.
    pub fn push(&mut self, byte: u8) -> Option<(u16, Request<'_>)> {
        self.0.push(byte)?.ok()
    }
}

/// Holds what a device answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Answer<'a> {
    /// The firmware was built without updates.
    Unserved,
    /// Holds what the updater answers: `Answer::encode` of the crate `zerda-update`.
    Update(&'a [u8]),
    /// Says what is in force.
    Settings(#[serde(borrow)] Settings<'a>),
    /// What was to be set is out of bounds, and nothing changed.
    Refused(SettingError),
}

/// Says which settings are in force, and which the image has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Settings<'a> {
    /// The number of frames that posteriors are averaged over.
    pub smoothing: u8,
    /// The smoothing that the image has.
    pub smoothing_of_image: u8,
    /// The number of labels that the image has; the last one is silence.
    pub labels: u8,
    /// Says what is in force of the label that was asked for, if the image detects it.
    #[serde(borrow)]
    pub word: Option<Word<'a>>,
}

/// Says which threshold of a word is in force, and which the image has; both are Q0.8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Word<'a> {
    /// The name of the label.
    pub name: &'a str,
    /// The threshold in force; 0: the word is switched off.
    pub threshold: u8,
    /// The threshold that the image has.
    pub of_image: u8,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// What hosts of an earlier version know stays where it was: kinds are numbered in order.
    #[test]
    fn kinds_of_request_and_answer_keep_their_numbers() {
        let (label, threshold, frames) = (3, 200, 5);
        let bytes =
            |request: Request<'_>| postcard::to_slice(&request, &mut [0; 64]).unwrap().to_vec();
        assert_eq!(bytes(Request::Update(&[7, 8])), [0, 2, 7, 8]);
        assert_eq!(bytes(Request::Settings { label }), [1, 3]);
        assert_eq!(
            bytes(Request::SetThreshold { label, threshold }),
            [2, 3, 200]
        );
        assert_eq!(bytes(Request::SetSmoothing { frames }), [3, 5]);
        let bytes =
            |answer: Answer<'_>| postcard::to_slice(&answer, &mut [0; 64]).unwrap().to_vec();
        assert_eq!(bytes(Answer::Unserved), [0]);
        assert_eq!(bytes(Answer::Update(&[7, 8])), [1, 2, 7, 8]);
        let settings = Settings {
            smoothing: 5,
            smoothing_of_image: 3,
            labels: 12,
            word: Some(Word {
                name: "go",
                threshold: 200,
                of_image: 190,
            }),
        };
        let expected = [2, 5, 3, 12, 1, 2, b'g', b'o', 200, 190];
        assert_eq!(bytes(Answer::Settings(settings)), expected);
        let refused = |error| bytes(Answer::Refused(error));
        assert_eq!(refused(SettingError::NotDetected { label }), [3, 0, 3]);
        assert_eq!(refused(SettingError::Threshold { threshold }), [3, 1, 200]);
        assert_eq!(refused(SettingError::Smoothing { frames }), [3, 2, 5]);
    }

    #[test]
    fn requests_come_through_one_after_the_other_and_a_damaged_one_is_ignored() {
        let requests = [
            Request::Settings { label: 0 },
            Request::Update(&[0; 160]),
            Request::SetSmoothing { frames: 9 },
        ];
        let frames = (7..).zip(requests);
        let mut frames: Vec<_> = frames
            .map(|(number, request)| request.frame(number).unwrap())
            .collect();
        frames[1][3] ^= 1;
        let mut reader = Requests::new();
        let mut came = Vec::new();
        for byte in frames.concat() {
            if let Some((number, request)) = reader.push(byte) {
                came.push((number, std::format!("{request:?}")));
            }
        }
        let expected = [(7, requests[0]), (9, requests[2])];
        assert_eq!(
            came,
            expected.map(|(n, request)| (n, std::format!("{request:?}")))
        );
        assert!(Request::Update(&[1; MAX_FRAME]).frame(1).is_none());
        // As boards count on whose interfaces hold 16 bytes.
        let (label, threshold) = (255, 255);
        let longest = Request::SetThreshold { label, threshold }.frame(u16::MAX);
        assert_eq!(longest.unwrap().len(), 12);
    }
}
