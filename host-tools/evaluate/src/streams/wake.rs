//! Runs the firmware's own gate over what its decoder detects in a stream, to judge wake words as the device hears
//! them.

use zerda_firmware::Image;
use zerda_firmware::decoder::{Decoder, Kind, Word};
use zerda_firmware::gate::Gate;

use super::track::Track;

/// Says which labels are wake words, and what window they open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wake {
    /// Says of each label whether it is a wake word.
    pub words: Vec<bool>,
    pub window_ms: u16,
    /// Says whether a command opens the window anew.
    pub extend: bool,
}

impl Wake {
    /// Returns the gate of an image; `None` if it names no wake words and is always awake.
    pub fn of(image: &Image<'_>) -> Option<Wake> {
        let wake = image.wake()?;
        let labels = 0..image.manifest().classes;
        Some(Wake {
            words: labels.map(|label| wake.words.contains(&label)).collect(),
            window_ms: wake.window_ms,
            extend: wake.extend,
        })
    }

    pub fn is_wake_word(&self, label: usize) -> bool {
        self.words.get(label) == Some(&true)
    }
}

/// Returns the words of a track that count, for a device that is asleep at its start. Decoder and gate are asked in the
/// order in which the recognizer asks them.
pub fn words(image: &Image<'_>, track: &Track, mut decoder: Decoder) -> Vec<Word> {
    let mut gate = Gate::new(image);
    let mut words = Vec::new();
    decoder.listen_to(gate.listens_to());
    track.decode(decoder, |_, decoder, word| {
        words.extend(word.filter(|word| word.kind == Kind::Sure));
        gate.push_frame(image, word, decoder.decided_ms(), |_| {});
        decoder.listen_to(gate.listens_to());
    });
    words
}
