//! The page has functions that are told of all that happens.

use core::fmt;

use zerda_firmware::gate::{Asleep, Awake};
use zerda_firmware::recognizer::Spell;
use zerda_firmware::{Event, Image};

#[link(wasm_import_module = "page")]
unsafe extern "C" {
    /// Takes the next part of a text, in UTF-8.
    fn text(start: *const u8, bytes: usize);
    /// Takes a command or a wake word, the name of which is a text, and its score of 256. Times count in ms of audio.
    fn detection(
        name: *const u8,
        bytes: usize,
        wake_word: bool,
        score: u32,
        start_ms: u32,
        end_ms: u32,
        decided_ms: u32,
    );
    /// Takes that commands count until a time.
    fn awake(at_ms: u32, until_ms: u32);
    /// Takes that commands count no longer.
    fn asleep(at_ms: u32);
    /// Takes that the network runs from a time on, or rests.
    fn spell(at_ms: u32, runs: bool);
    /// Takes a frame's smoothed posteriors, of 256, one a label.
    fn frame(number: u32, smoothed: *const u8, labels: usize);
}

/// Takes a text in parts.
pub struct Text;

impl fmt::Write for Text {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        // SAFETY: the page reads the part before it returns.
        unsafe { text(part.as_ptr(), part.len()) };
        Ok(())
    }
}

/// Tells the page of an event.
pub fn tell(image: &Image<'_>, event: Event<'_>) {
    // SAFETY: the page reads texts and posteriors before it returns, and writes nowhere.
    unsafe {
        match event {
            Event::Frame {
                frame: number,
                smoothed,
            } => frame(number as u32, smoothed.as_ptr(), smoothed.len()),
            Event::Detection(heard) => {
                let name = image.command(heard.command).unwrap_or_default();
                detection(
                    name.as_ptr(),
                    name.len(),
                    image.is_wake_word(heard.command),
                    heard.score.into(),
                    heard.start_ms,
                    heard.end_ms,
                    heard.decided_ms,
                );
            }
            Event::Awake(Awake {
                at_ms, until_ms, ..
            }) => awake(at_ms, until_ms),
            Event::Asleep(Asleep { at_ms, .. }) => asleep(at_ms),
            Event::Speech(Spell { at_ms, .. }) => spell(at_ms, true),
            Event::Quiet(Spell { at_ms, .. }) => spell(at_ms, false),
            Event::Encoded { .. } | Event::Step { .. } | Event::Word(_) => {}
        }
    }
}
