//! Runs the firmware's own gate over what its decoder detects in a stream, to judge wake words as the device hears
//! them.

use zerda_firmware::Image;
use zerda_firmware::decoder::{Decoder, Kind, Word};
use zerda_firmware::gate::{Gate, Outcome};

use super::track::Track;

/// Says which labels are wake words, and what window they open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WakeGate {
    /// Says of each label whether it is a wake word.
    pub words: Vec<bool>,
    pub window_ms: u16,
    /// Says whether a command opens the window anew.
    pub extend: bool,
}

impl WakeGate {
    /// Returns the gate of an image; `None` if it names no wake words and is always awake.
    pub fn of(image: &Image<'_>) -> Option<WakeGate> {
        let wake = image.wake()?;
        let labels = 0..image.manifest().classes;
        Some(WakeGate {
            words: labels.map(|label| wake.words.contains(&label)).collect(),
            window_ms: wake.window_ms,
            extend: wake.extend,
        })
    }

    pub fn is_wake_word(&self, label: usize) -> bool {
        self.words.get(label) == Some(&true)
    }
}

/// Returns the words of a track that count, for a device that is asleep at its start.
pub fn words(image: &Image<'_>, track: &Track, decoder: Decoder) -> Vec<Word> {
    let mut words = Vec::new();
    listen(
        image,
        track,
        decoder,
        |_, _, _, word| words.extend(word.filter(|word| word.kind == Kind::Sure)),
        |_| {},
    );
    words
}

/// Runs a decoder and the image's gate, which both start with the stream, over a track, and asks them in the order in
/// which the recognizer asks them. `frame` gets each frame before the gate does: its posteriors (Q0.8 minus 128), the
/// decoder after it, and the word that it decided. `outcome` gets what the gate then makes of it.
pub fn listen(
    image: &Image<'_>,
    track: &Track,
    mut decoder: Decoder,
    mut frame: impl FnMut(&[i8], &Decoder, &Gate, Option<Word>),
    mut outcome: impl FnMut(Outcome),
) {
    let mut gate = Gate::new(image);
    for heard in track.frames() {
        let word = heard.decode(&mut decoder, gate.listens_to());
        frame(heard.posteriors, &decoder, &gate, word);
        gate.push_frame(image, word, &mut outcome);
    }
}
