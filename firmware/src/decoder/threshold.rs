//! Thresholds may be set while a stream is heard: how sensitive a product is needs no new image.

use core::fmt;
use core::ops::RangeInclusive;

use super::Decoder;
use crate::image::Image;

/// Limits the thresholds that may be set, Q0.8: those of the compiler's settings, from 0.01 to 0.99.
pub const THRESHOLDS: RangeInclusive<u8> = 3..=253;

/// Says why a threshold cannot be set. It is displayed as one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ThresholdError {
    /// The image has no label of this number, or never detects it.
    NotDetected {
        /// The number that was given.
        label: u8,
    },
    /// The threshold is neither 0 nor one of [`THRESHOLDS`].
    OutOfRange {
        /// The threshold that was given, Q0.8.
        threshold: u8,
    },
}

impl fmt::Display for ThresholdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (least, most) = (THRESHOLDS.start(), THRESHOLDS.end());
        match self {
            Self::NotDetected { label } => {
                write!(f, "label {label}: the image detects no such label")
            }
            Self::OutOfRange { threshold } => {
                write!(
                    f,
                    "threshold {threshold}/256, expected 0 or {least}..={most}"
                )
            }
        }
    }
}

impl core::error::Error for ThresholdError {}

impl Decoder {
    /// Sets the smoothed posterior (Q0.8) at which a label is detected from now on; 0 switches it off. A reset keeps
    /// it. `image` is the one that the decoder was made for.
    ///
    /// # Errors
    ///
    /// Returns a [`ThresholdError`], and changes nothing, if the image never detects the label, or if the threshold is
    /// neither 0 nor one of [`THRESHOLDS`].
    pub fn set_threshold(
        &mut self,
        image: &Image<'_>,
        label: u8,
        threshold: u8,
    ) -> Result<(), ThresholdError> {
        let of_image = image.thresholds().nth(label.into()).filter(|&own| own > 0);
        let slot = self.threshold.get_mut(usize::from(label));
        let (Some(slot), Some(_)) = (slot, of_image) else {
            return Err(ThresholdError::NotDetected { label });
        };
        if threshold > 0 && !THRESHOLDS.contains(&threshold) {
            return Err(ThresholdError::OutOfRange { threshold });
        }
        *slot = threshold;
        Ok(())
    }

    /// Returns the smoothed posterior (Q0.8) at which a label is detected; 0: never.
    pub fn threshold(&self, label: u8) -> u8 {
        self.threshold.get(usize::from(label)).copied().unwrap_or(0)
    }
}
