//! Keeps what the network says of a stream, so that the decoder can be run over it again and again.

use zerda_firmware::decoder::{ALL_LABELS, Decoder, Kind, Word};
use zerda_firmware::front_end::FrontEnd;
use zerda_firmware::image::FrontEndConfig;
use zerda_firmware::{Event, Image, Recognizer};
use zerda_support::error::{Error, Result};

use super::wake::{self, WakeGate};

/// Settings of the decoder that a person may tune.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Number of frames that a posterior is averaged over.
    pub smoothing: u8,
    /// Threshold of each label, Q0.8; a label with 0 is never detected.
    pub thresholds: Vec<u8>,
    /// Gate that commands pass; with `None` the device is always awake.
    pub wake: Option<WakeGate>,
}

impl Settings {
    /// Returns the settings that the image has.
    pub fn of(image: &Image<'_>) -> Settings {
        Settings {
            smoothing: image.manifest().decoder.smoothing,
            thresholds: image.thresholds().collect(),
            wake: WakeGate::of(image),
        }
    }

    /// Returns settings with the same threshold (Q0.8) for every command; with a gate for every wake word, while the
    /// commands keep theirs.
    pub fn shared(&self, threshold: u8) -> Settings {
        let mut settings = self.clone();
        for label in self.judged() {
            settings.thresholds[label] = threshold;
        }
        settings
    }

    /// Returns the labels whose thresholds are judged: all commands; with a gate the wake words.
    pub fn judged(&self) -> impl Iterator<Item = usize> {
        let labels = self.thresholds.iter().enumerate();
        let labels = labels.filter(|&(label, &threshold)| {
            let wake = self.wake.as_ref();
            threshold > 0 && wake.is_none_or(|wake| wake.is_wake_word(label))
        });
        labels.map(|(label, _)| label)
    }

    /// Returns the words of a track that the device would act on.
    pub fn heard(&self, image: &Image<'_>, track: &Track) -> Vec<Word> {
        let decoder = self.decoder(image);
        match &self.wake {
            Some(_) => wake::words(image, track, decoder),
            None => track.detections(decoder),
        }
    }

    pub fn decoder(&self, image: &Image<'_>) -> Decoder {
        Decoder::with(image, self.smoothing, &self.thresholds)
    }
}

/// Holds the posteriors of a stream's committed frames, one byte a frame and class, and the loudness of all its frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track {
    classes: usize,
    /// Holds the posteriors in Q0.8 minus 128, shape [frames, classes]; of frames in which the network rested they are 0.
    posteriors: Vec<i8>,
    loudness: Vec<u8>,
    /// Numbers of the frames at which the network started cold, and of those from which on it rested.
    starts: Vec<usize>,
    rests: Vec<usize>,
}

/// Committed frame of a stream.
pub struct Frame<'a> {
    pub number: usize,
    /// Posteriors in Q0.8 minus 128, one a class.
    pub posteriors: &'a [i8],
    pub loudness: u8,
    /// Says whether the network started cold with this frame.
    pub starts: bool,
    /// Says whether the network rested.
    pub rests: bool,
}

/// Runs the network over a stream that comes in pieces, and keeps what it says.
pub struct Hearing<'a> {
    recognizer: Recognizer<'a>,
    front_end: FrontEnd<'a>,
    config: FrontEndConfig,
    features: Vec<f32>,
    /// Samples from the start of the next frame on.
    rest: Vec<i16>,
    pub track: Track,
}

impl<'a> Hearing<'a> {
    pub fn new(image: &Image<'a>, memory: &'a mut [i8]) -> Result<Hearing<'a>> {
        let recognizer =
            Recognizer::new(image, memory).map_err(|error| Error::usage(error.to_string()))?;
        let config = image.manifest().front_end;
        Ok(Hearing {
            recognizer,
            front_end: FrontEnd::new(image),
            config,
            features: vec![0.0; config.mels.into()],
            rest: Vec::new(),
            track: Track::new(image),
        })
    }

    pub fn push(&mut self, samples: &[i16]) {
        let track = &mut self.track;
        self.recognizer.push_events(samples, |event| match event {
            Event::Step { posteriors, .. } => track.posteriors.extend_from_slice(posteriors),
            Event::Speech(spell) => {
                let frame = spell.frame as usize;
                track.posteriors.resize(frame * track.classes, i8::MIN);
                track.starts.push(frame);
            }
            Event::Quiet(spell) => track.rests.push(spell.frame as usize),
            _ => {}
        });
        self.rest.extend_from_slice(samples);
        let (window, hop) = (
            usize::from(self.config.window),
            usize::from(self.config.hop),
        );
        let mut start = 0;
        while let Some(frame) = self.rest.get(start..start + window) {
            self.front_end.frame(frame, &mut self.features);
            track.loudness.push(self.front_end.loudness());
            start += hop;
        }
        self.rest.drain(..start.min(self.rest.len()));
    }
}

impl Frame<'_> {
    /// Lets a decoder take the frame, and returns the word that it decides, if any. `heard` has a bit for each label that
    /// is listened to.
    pub fn decode(&self, decoder: &mut Decoder, heard: u64) -> Option<Word> {
        if self.starts {
            decoder.go_on_at(self.number as u64);
        }
        if self.rests {
            return None;
        }
        decoder.push_frame(self.posteriors, self.loudness, heard)
    }
}

impl Track {
    /// Runs the network over a stream, from its start, and keeps what it says.
    pub fn of(image: &Image<'_>, memory: &mut [i8], samples: &[i16]) -> Result<Track> {
        let mut hearing = Hearing::new(image, memory)?;
        hearing.push(samples);
        Ok(hearing.track)
    }

    fn new(image: &Image<'_>) -> Track {
        Track {
            classes: image.manifest().classes.into(),
            posteriors: Vec::new(),
            loudness: Vec::new(),
            starts: Vec::new(),
            rests: Vec::new(),
        }
    }

    /// Returns the words that a decoder detects which starts with the stream, echoes left out.
    pub fn detections(&self, mut decoder: Decoder) -> Vec<Word> {
        let words = self
            .frames()
            .filter_map(|frame| frame.decode(&mut decoder, ALL_LABELS));
        words.filter(|word| word.kind == Kind::Sure).collect()
    }

    /// Returns the committed frames, which a decoder takes.
    pub fn frames(&self) -> impl Iterator<Item = Frame<'_>> {
        let posteriors = self.posteriors.chunks_exact(self.classes);
        let frames = posteriors.zip(&self.loudness).enumerate();
        let mut quiet = !self.starts.is_empty();
        frames.map(move |(number, (posteriors, &loudness))| {
            let starts = self.starts.binary_search(&number).is_ok();
            quiet = (quiet || self.rests.binary_search(&number).is_ok()) && !starts;
            Frame {
                number,
                posteriors,
                loudness,
                starts,
                rests: quiet,
            }
        })
    }

    /// Returns the loudness of each frame, in the unit of [`FrontEnd::loudness`].
    pub fn loudness(&self) -> &[u8] {
        &self.loudness
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerda_support::image_file::ImageFile;
    use zerda_support::test_support::{repository, shrunk};

    #[test]
    fn a_track_decodes_as_the_recognizer_does() {
        decodes_as_the_recognizer(&shrunk(), 3);
    }

    #[test]
    fn with_wake_words_too() {
        let wake = |words: &str| {
            let words = words.parse().unwrap();
            zerda_support::wake::with_wake(&shrunk(), &words).unwrap()
        };
        // The sample says `go` first, and never `no`.
        decodes_as_the_recognizer(&wake("go"), 3);
        decodes_as_the_recognizer(&wake("no"), 0);
    }

    #[test]
    fn and_where_the_network_rests() {
        let quiet = |file: &ImageFile| {
            zerda_support::wake::with_quiet(file, 2i64.try_into().unwrap()).unwrap()
        };
        decodes_as_the_recognizer(&quiet(&shrunk()), 3);
        let words = "go".parse().unwrap();
        let gated = zerda_support::wake::with_wake(&shrunk(), &words).unwrap();
        decodes_as_the_recognizer(&quiet(&gated), 3);
    }

    /// At least so many words of a sample.
    fn decodes_as_the_recognizer(file: &ImageFile, least: usize) {
        let image = file.image().unwrap();
        let samples = zerda_support::audio::read(&repository("models/samples/robot.wav")).unwrap();
        let mut memory = vec![0; image.memory_bytes()];
        let mut expected = Vec::new();
        let mut recognizer = Recognizer::new(&image, memory.as_mut_slice()).unwrap();
        recognizer.push_events(&samples, |event| {
            if let Event::Word(word) = event {
                expected.push(word);
            }
        });
        let track = Track::of(&image, &mut memory, &samples).unwrap();
        let found = |settings: Settings| settings.heard(&image, &track);
        let found_own = found(Settings::of(&image));
        assert!(found_own.len() >= least && (least > 0 || found_own.is_empty()));
        // Their starts are those that loudness tells.
        assert_eq!(found_own, expected);
        let slow = Settings {
            smoothing: 32,
            ..Settings::of(&image).shared(250)
        };
        let sure = found(slow);
        assert!(sure.len() < expected.len().max(1));
        assert!(sure.iter().all(|word| word.score >= 250));
    }
}
