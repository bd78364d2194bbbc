//! Derives from the shape of a model what is known before the model exists.

use std::fmt;

use super::Profile;

/// Prints the fields as they are written in `models.toml`.
impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(
            f,
            "layers={} heads={} hidden={} feed_forward={} kernel={} chunk={} cached={} step={}",
            self.layers,
            self.heads,
            self.hidden,
            self.feed_forward,
            self.kernel,
            self.chunk,
            self.cached,
            self.step
        )
    }
}

impl Profile {
    /// Returns the multiply-accumulates of one step in steady state, as [`crate::operators::macs_per_step`]
    /// counts them in an image of this shape.
    pub fn macs_per_step(&self, mels: u16, classes: u64) -> u64 {
        let [hidden, feed_forward, kernel] =
            [self.hidden, self.feed_forward, self.kernel].map(u64::from);
        let [chunk, cached, step] = [self.chunk, self.cached, self.step].map(u64::from);
        let square = hidden * hidden;
        let half_step = 2 * hidden * feed_forward;
        // The last layer's look-ahead frames serve as keys and values only.
        let layer = |queries: u64| {
            let attention = 2 * queries * square + 2 * chunk * square;
            let scores_and_context = 2 * queries * (cached + chunk) * hidden;
            let convolution = queries * (3 * square + kernel * hidden);
            chunk * half_step + attention + scores_and_context + convolution + queries * half_step
        };
        let input = chunk * u64::from(mels) * hidden;
        let before_last = u64::from(self.layers) - 1;
        input + before_last * layer(chunk) + layer(step) + step * hidden * classes
    }
}
