//! Finds the answer of each network to one clip.

use std::path::Path;

use zerda_firmware::decoder::{ALL_LABELS, Decoder};
use zerda_firmware::{Event, Image, Recognizer};

use zerda_compiler::tract_step::{FloatStep, features};
use zerda_support::audio::SAMPLE_RATE;
use zerda_support::audio::tail;
use zerda_support::error::{Error, Result};

/// Time after the end of a word, in ms, in which its own label may still be the answer: 120 ms
/// until training asks for another, and the decoder's smoothing.
const LINGER_MS: usize = 200;

/// Runs both networks behind the same front end and the same decoder.
#[derive(Clone)]
pub struct Answerer<'a> {
    image: &'a Image<'a>,
    memory: Vec<i8>,
    float: FloatStep,
    tail: Vec<i16>,
}

impl<'a> Answerer<'a> {
    pub fn new(image: &'a Image<'a>, onnx: &Path) -> Result<Self> {
        let float = FloatStep::load(onnx)?;
        let manifest = image.manifest();
        let features = usize::from(manifest.stream.chunk) * usize::from(manifest.front_end.mels);
        if float.feature_count() != features {
            return Err(Error::usage(format!(
                "{}: takes {} features a step and the image {features}: \
                 they are not of one model; name its own with --onnx",
                onnx.display(),
                float.feature_count()
            )));
        }
        Ok(Answerer {
            image,
            memory: vec![0; image.memory_bytes()],
            float,
            tail: tail(image),
        })
    }

    /// Returns the label, by number, that the INT8 image answers in the firmware crate. The clip
    /// follows `context`, of whose time nothing counts, nor of the `LINGER_MS` after it.
    pub fn int8(&mut self, context: &[i16], clip: &[i16]) -> Result<usize> {
        let mut peaks = Peaks::new(self.image);
        let hop = usize::from(self.image.manifest().front_end.hop);
        let linger = if context.is_empty() {
            0
        } else {
            LINGER_MS * SAMPLE_RATE as usize / 1000
        };
        let first = (context.len() + linger).div_ceil(hop);
        let mut recognizer = Recognizer::new(self.image, self.memory.as_mut_slice())
            .map_err(|error| Error::usage(error.to_string()))?;
        for samples in [context, clip, &self.tail] {
            recognizer.push_events(samples, |event| match event {
                Event::Frame { frame, smoothed } if frame as usize >= first => peaks.see(smoothed),
                _ => {}
            });
        }
        Ok(peaks.answer())
    }

    /// Returns the label, by number, that the float network answers in tract.
    pub fn float(&mut self, clip: &[i16]) -> Result<usize> {
        let manifest = self.image.manifest();
        let (mels, classes) = (
            usize::from(manifest.front_end.mels),
            usize::from(manifest.classes),
        );
        let (chunk, step) = (
            usize::from(manifest.stream.chunk),
            usize::from(manifest.stream.step),
        );
        let features = features(self.image, &[clip, &self.tail].concat());
        let mut decoder = Decoder::new(self.image);
        let mut peaks = Peaks::new(self.image);
        self.float.reset();
        // As many windows of `chunk` frames as fit, `step` frames apart.
        for window in features.windows(chunk * mels).step_by(step * mels) {
            let logits = self.float.step(window)?;
            if logits.len() != step * classes {
                return Err(Error::usage(format!(
                    "the ONNX and the image are of different models: \
                     {} logits a step, expected {step} frames of {classes} classes",
                    logits.len()
                )));
            }
            for row in logits.chunks_exact(classes) {
                decoder.push_frame(&posteriors(row), 0, ALL_LABELS);
                peaks.see(decoder.smoothed());
            }
        }
        Ok(peaks.answer())
    }
}

/// Returns the softmax of one frame's logits as the decoder reads it: Q0.8 minus 128, rounded.
fn posteriors(logits: &[f32]) -> Vec<i8> {
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exponentials: Vec<f32> = logits.iter().map(|logit| (logit - highest).exp()).collect();
    let sum: f32 = exponentials.iter().sum();
    let quantized = |e: &f32| ((e / sum * 256.0).round() - 128.0) as i8;
    exponentials.iter().map(quantized).collect()
}

/// Keeps the highest smoothed posterior of each label so far, Q0.8.
struct Peaks {
    peaks: Vec<u8>,
    silence: usize,
}

impl Peaks {
    fn new(image: &Image<'_>) -> Self {
        let manifest = image.manifest();
        Peaks {
            peaks: vec![0; manifest.classes.into()],
            silence: manifest.decoder.silence.into(),
        }
    }

    fn see(&mut self, smoothed: &[u8]) {
        for (peak, &posterior) in self.peaks.iter_mut().zip(smoothed) {
            *peak = posterior.max(*peak);
        }
    }

    /// Returns the label with the highest peak, silence aside; silence if that is below one half.
    fn answer(&self) -> usize {
        let labels = (0..self.peaks.len()).filter(|&label| label != self.silence);
        labels
            .filter(|&label| self.peaks[label] >= 128)
            .max_by_key(|&label| (self.peaks[label], usize::MAX - label))
            .unwrap_or(self.silence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn posteriors_are_softmax_in_q0_8() {
        // e^0 : e^ln3 = 1 : 3, so 64 and 192 of 256, and 128 less.
        assert_eq!(posteriors(&[0.0, 3f32.ln()]), [-64, 64]);
        // 256 saturates to 255.
        assert_eq!(posteriors(&[100.0, 0.0]), [127, -128]);
    }

    #[test]
    fn the_highest_peak_answers_and_silence_if_it_is_below_one_half() {
        let mut peaks = Peaks {
            peaks: vec![0; 3],
            silence: 2,
        };
        peaks.see(&[127, 20, 250]);
        assert_eq!(peaks.answer(), 2);
        peaks.see(&[10, 128, 250]);
        assert_eq!(peaks.answer(), 1);
        peaks.see(&[128, 0, 0]);
        assert_eq!(peaks.answer(), 0);
    }
}
