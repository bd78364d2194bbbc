//! Measures how far the logits of an image are off, by which choices of the compiler are decided.

use rayon::prelude::*;
use zerda_firmware::plan::Tensor;
use zerda_firmware::recognizer::Event;
use zerda_firmware::{Image, Recognizer};
use zerda_quantize::graph::Graph;
use zerda_support::error::{Error, Result};
use zerda_support::image_file::ImageFile;

use super::calibrate::chunks;
use crate::tract_step::FloatStep;

/// Compares images with the logits that the float network computes for a few recordings.
pub struct Judge<'a> {
    recordings: Vec<(&'a [i16], Vec<f32>)>,
}

impl<'a> Judge<'a> {
    pub fn new(
        graph: &Graph,
        step: &FloatStep,
        draft: &Image,
        recordings: Vec<&'a [i16]>,
    ) -> Result<Judge<'a>> {
        let logits = |step: &mut FloatStep, recording: &'a [i16]| {
            step.reset();
            let mut logits = Vec::new();
            for chunk in chunks(graph, draft, recording) {
                logits.extend(step.step(&chunk)?);
            }
            Ok((recording, logits))
        };
        let recordings = recordings.into_par_iter();
        let recordings = recordings.map_with(step.clone(), logits);
        Ok(Judge {
            recordings: recordings.collect::<Result<_>>()?,
        })
    }

    pub fn recordings(&self) -> Vec<&'a [i16]> {
        self.recordings.iter().map(|(pcm, _)| *pcm).collect()
    }

    /// Returns the sum of the squared errors of all logits.
    pub fn error(&self, image: &ImageFile) -> Result<f64> {
        let image = image.image()?;
        let of = |(recording, floats): &(&[i16], Vec<f32>)| error(&image, recording, floats);
        // Summed in order: the same on any number of cores.
        let errors: Vec<_> = self.recordings.par_iter().map(of).collect();
        errors.into_iter().sum()
    }

    /// Says whether an image computes other logits of any recording than of silence as long.
    pub fn is_answered(&self, image: &ImageFile) -> Result<bool> {
        let image = image.image()?;
        for (recording, _) in &self.recordings {
            let silence = vec![0; recording.len()];
            if logits(&image, recording)?.1 != logits(&image, &silence)?.1 {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn error(image: &Image, recording: &[i16], floats: &[f32]) -> Result<f64> {
    let (tensor, integers) = logits(image, recording)?;
    let mut error = 0.0;
    for (&q, float) in integers.iter().zip(floats) {
        let real = tensor.scale * (f32::from(q) - f32::from(tensor.zero_point));
        error += f64::from(real - float).powi(2);
    }
    Ok(error)
}

/// Runs a recording through an image; returns the tensor that its logits are, and these of all steps.
fn logits(image: &Image, recording: &[i16]) -> Result<(Tensor, Vec<i8>)> {
    let unusable = |error: &dyn ToString| Error::check(error.to_string());
    let mut memory = vec![0; image.memory_bytes()];
    let mut recognizer = Recognizer::new(image, &mut memory).map_err(|error| unusable(&error))?;
    let tensor = image.tensor(image.manifest().logits);
    let tensor = tensor.ok_or_else(|| unusable(&"an image without logits"))?;
    let mut all = Vec::new();
    recognizer.push_events(recording, |event| {
        if let Event::Step { logits, .. } = event {
            all.extend_from_slice(logits);
        }
    });
    Ok((tensor, all))
}
