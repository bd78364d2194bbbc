//! Thresholds and smoothing may be set while a stream is heard: how sensitive a product is needs no new image.

use core::fmt;
use core::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::Decoder;
use crate::image::{Image, MAX_CLASSES, MAX_SMOOTHING};

/// Limits the thresholds that may be set, Q0.8: those of the compiler's settings, from 0.01 to 0.99.
pub const THRESHOLDS: RangeInclusive<u8> = 3..=253;

/// Says why a threshold or the smoothing cannot be set. It is displayed as one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum SettingError {
    /// The image has no label of this number, or never detects it.
    NotDetected {
        /// The number that was given.
        label: u8,
    },
    /// The threshold is neither 0 nor one of [`THRESHOLDS`].
    Threshold {
        /// The threshold that was given, Q0.8.
        threshold: u8,
    },
    /// The smoothing is not from 1 to [`MAX_SMOOTHING`] frames.
    Smoothing {
        /// The number of frames that was given.
        frames: u8,
    },
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (least, most) = (THRESHOLDS.start(), THRESHOLDS.end());
        match self {
            Self::NotDetected { label } => {
                write!(f, "label {label}: the image detects no such label")
            }
            Self::Threshold { threshold } => {
                write!(
                    f,
                    "threshold {threshold}/256, expected 0 or {least}..={most}"
                )
            }
            Self::Smoothing { frames } => {
                write!(f, "smoothing {frames}, expected 1..={MAX_SMOOTHING} frames")
            }
        }
    }
}

impl core::error::Error for SettingError {}

impl Decoder {
    /// Sets the smoothed posterior (Q0.8) at which a label is detected from now on; 0 switches it off. A reset keeps
    /// it. `image` is the one that the decoder was made for.
    ///
    /// # Errors
    ///
    /// Returns a [`SettingError`], and changes nothing, if the image never detects the label, or if the threshold is
    /// neither 0 nor one of [`THRESHOLDS`].
    pub fn set_threshold(
        &mut self,
        image: &Image<'_>,
        label: u8,
        threshold: u8,
    ) -> Result<(), SettingError> {
        let of_image = image.thresholds().nth(label.into()).filter(|&own| own > 0);
        let slot = self.threshold.get_mut(usize::from(label));
        let (Some(slot), Some(_)) = (slot, of_image) else {
            return Err(SettingError::NotDetected { label });
        };
        if threshold > 0 && !THRESHOLDS.contains(&threshold) {
            return Err(SettingError::Threshold { threshold });
        }
        *slot = threshold;
        Ok(())
    }

    /// Returns the smoothed posterior (Q0.8) at which a label is detected; 0: never.
    pub fn threshold(&self, label: u8) -> u8 {
        self.threshold.get(usize::from(label)).copied().unwrap_or(0)
    }

    /// Sets the number of frames, 1 to [`MAX_SMOOTHING`], that posteriors are averaged over from now on. A reset keeps it.
    /// The frames that were heard count on; where more are averaged than before, the first ones that lack count as
    /// zero, as at the start of a stream.
    ///
    /// # Errors
    ///
    /// Returns a [`SettingError`], and changes nothing, if the number is out of that range.
    pub fn set_smoothing(&mut self, frames: u8) -> Result<(), SettingError> {
        if !(1..=MAX_SMOOTHING).contains(&frames.into()) {
            return Err(SettingError::Smoothing { frames });
        }
        let before = core::mem::replace(&mut self.config.smoothing, frames);
        let state = &mut self.state;
        let mut history = [[0; MAX_CLASSES]; MAX_SMOOTHING];
        state.sums = [0; MAX_CLASSES];
        // From the newest frame back; the oldest one comes to the first row, which the next frame replaces.
        let mut at = state.next_row;
        let rows = history.get_mut(..frames.into()).unwrap_or_default();
        for row in rows.iter_mut().rev().take(before.into()) {
            at = at.checked_sub(1).unwrap_or(before.saturating_sub(1));
            *row = state.history.get(usize::from(at)).copied().unwrap_or(*row);
            for (sum, &posterior) in state.sums.iter_mut().zip(row.iter()) {
                *sum = sum.wrapping_add(posterior.into());
            }
        }
        (state.history, state.next_row) = (history, 0);
        Ok(())
    }

    /// Returns the number of frames that posteriors are averaged over.
    pub fn smoothing(&self) -> u8 {
        self.config.smoothing
    }
}
