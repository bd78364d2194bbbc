//! What the application answers to a host that asks which settings are in force, or changes them.

use embedded_hal::digital::OutputPin;
use embedded_io::Write;

use super::{App, Processor};
use crate::request::{Answer, Request, Settings, Word};
use crate::step::Step;
use crate::telemetry::Report;

impl<'a, S, P, T, C> App<'a, S, P, T, C>
where
    S: Step,
    P: OutputPin,
    T: Write,
    C: Processor,
{
    /// Answers a request of the host. One of an update is for the board's updater; it comes here where there is none, and
    /// is answered by [`Answer::Unserved`].
    pub fn answer(&mut self, number: u16, request: &Request<'_>) {
        let recognizer = &mut self.recognizer;
        let done = match *request {
            Request::Update(_) => return self.report_answer(number, Answer::Unserved),
            Request::Settings { label } => Ok(Some(label)),
            Request::SetThreshold { label, threshold } => {
                let set = recognizer.set_threshold(label, threshold);
                set.map(|()| Some(label))
            }
            Request::SetSmoothing { frames } => recognizer.set_smoothing(frames).map(|()| None),
        };
        let answer = match done {
            Ok(label) => Answer::Settings(self.settings(label)),
            Err(error) => Answer::Refused(error),
        };
        self.report_answer(number, answer);
    }

    /// Reports an answer to the request of this number.
    pub fn report_answer(&mut self, number: u16, answer: Answer<'_>) {
        self.report(Report::Answer { number, answer });
    }

    /// Returns what is in force, of a label as well if one is given.
    fn settings(&self, label: Option<u8>) -> Settings<'a> {
        let image = *self.recognizer.image();
        let word = label.and_then(|label| {
            let of_image = image.thresholds().nth(label.into()).filter(|&own| own > 0);
            Some(Word {
                name: image.labels().nth(label.into())?.name,
                threshold: self.recognizer.threshold(label),
                of_image: of_image?,
            })
        });
        Settings {
            smoothing: self.recognizer.smoothing(),
            smoothing_of_image: image.manifest().decoder.smoothing,
            labels: image.manifest().classes,
            word,
        }
    }
}
