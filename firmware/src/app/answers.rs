//! What the application answers to a host that asks which settings are in force, or changes them.

use embedded_hal::digital::OutputPin;
use embedded_io::Write;

use super::{App, Processor};
use crate::request::{Answer, Request, Requests, Settings, Word};
use crate::step::Step;
use crate::telemetry::Report;

/// The most bytes of the line that are taken between two looks for audio, so that a host that talks on holds up none: two
/// requests of thresholds or smoothing, and what most interfaces hold.
const TAKEN: usize = 32;

impl<'a, S, P, T, C> App<'a, S, P, T, C>
where
    S: Step,
    P: OutputPin,
    T: Write,
    C: Processor,
{
    /// Answers what a host asks over a line, of which `read` gives the next byte, or `None` where none waits. A byte that came
    /// damaged ends its frame. What comes faster than this is called is lost with most interfaces, and the host asks again.
    pub fn serve<E>(
        &mut self,
        requests: &mut Requests,
        read: impl FnMut() -> Option<Result<u8, E>>,
    ) {
        for byte in core::iter::from_fn(read).take(TAKEN) {
            if let Some((number, request)) = requests.push(byte.unwrap_or(0)) {
                self.answer(number, &request);
            }
        }
    }

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
