//! Measures how far the logits of an image are off, by which choices of the compiler are decided.

use rayon::prelude::*;
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
}

fn error(image: &Image, recording: &[i16], floats: &[f32]) -> Result<f64> {
    let unusable = |error: &dyn ToString| Error::check(error.to_string());
    let mut memory = vec![0; image.memory_bytes()];
    let mut recognizer = Recognizer::new(image, &mut memory).map_err(|error| unusable(&error))?;
    let logits = image.tensor(image.manifest().logits);
    let logits = logits.ok_or_else(|| unusable(&"an image without logits"))?;
    let (mut floats, mut error) = (floats.iter(), 0.0);
    recognizer.push_events(recording, |event| {
        if let Event::Step { logits: values, .. } = event {
            for (&q, float) in values.iter().zip(&mut floats) {
                let real = logits.scale * (f32::from(q) - f32::from(logits.zero_point));
                error += f64::from(real - float).powi(2);
            }
        }
    });
    Ok(error)
}
