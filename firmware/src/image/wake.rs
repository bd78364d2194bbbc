//! An image may name wake words, which open the window in which commands count.

use super::{Image, Wake, label_bit};

impl<'a> Image<'a> {
    /// Returns the wake words and the window that they open; without wake words, every word counts at any
    /// time.
    pub fn wake(&self) -> Option<Wake<'a>> {
        (!self.wake.words.is_empty()).then_some(self.wake)
    }

    /// Says whether a [`crate::Detection`] with this number is a wake word.
    pub fn is_wake_word(&self, number: u8) -> bool {
        match number.checked_sub(self.grammar.commands) {
            None => false,
            Some(label) if self.grammar.commands == 0 => self.wake.words.contains(&label),
            Some(wake_word) => usize::from(wake_word) < self.wake.words.len(),
        }
    }

    /// Returns a bit for each label that is a wake word.
    pub(crate) fn wake_labels(&self) -> u64 {
        let bits = self.wake.words.iter().map(|&word| label_bit(word));
        bits.fold(0, |all, bit| all | bit)
    }

    /// Returns the same image, but always awake: commands count at any time, and wake words are words like
    /// others.
    pub fn always_awake(mut self) -> Self {
        self.wake.words = &[];
        self
    }
}
