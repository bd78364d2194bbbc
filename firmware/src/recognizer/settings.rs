//! Thresholds and smoothing of a recognizer are its decoder's, and may be set at any time.

use super::Recognizer;
use crate::decoder::SettingError;

impl<S> Recognizer<'_, S> {
    /// Sets the smoothed posterior (Q0.8) at which a label is detected from now on; 0 switches it off. A reset keeps it.
    ///
    /// # Errors
    ///
    /// Returns a [`SettingError`], and changes nothing, where [`set_threshold`](crate::decoder::Decoder::set_threshold) does.
    pub fn set_threshold(&mut self, label: u8, threshold: u8) -> Result<(), SettingError> {
        self.decoder.set_threshold(&self.image, label, threshold)
    }

    /// Returns the smoothed posterior (Q0.8) at which a label is detected; 0: never.
    pub fn threshold(&self, label: u8) -> u8 {
        self.decoder.threshold(label)
    }

    /// Sets the number of frames, 1 to 32, that posteriors are averaged over from now on. A reset keeps it.
    ///
    /// # Errors
    ///
    /// Returns a [`SettingError`], and changes nothing, where [`set_smoothing`](crate::decoder::Decoder::set_smoothing) does.
    pub fn set_smoothing(&mut self, frames: u8) -> Result<(), SettingError> {
        self.decoder.set_smoothing(frames)
    }

    /// Returns the number of frames that posteriors are averaged over.
    pub fn smoothing(&self) -> u8 {
        self.decoder.smoothing()
    }
}
