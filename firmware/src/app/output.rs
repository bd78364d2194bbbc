//! Outputs are the pins by which a board shows what was heard.

use super::elapsed::Elapsed;
use crate::image::Image;

/// The time, in ms, by which audio may lag behind the clock until a pin falls by the clock: the ring of a board holds
/// as much.
const LAG_MS: u64 = 150;

/// A pin that is high for a while after a command was detected, or as long as the device listens to commands.
#[derive(Debug)]
pub struct Output<P> {
    pub(super) pin: P,
    pub(super) when: When,
    pub(super) hold_ms: u32,
    /// Says when the pin, which is high now, becomes low.
    pub(super) until: Option<Until>,
}

/// Says when a pin becomes low.
#[derive(Debug)]
pub(super) struct Until {
    /// The number of the sample at which it does.
    pub sample: u64,
    /// The time since the command, by the clock: audio may stop, or come too slowly.
    pub high: Elapsed,
}

/// Says when a pin is high.
#[derive(Clone, Copy, Debug)]
pub(super) enum When {
    /// The pin is high after the command, or the wake word, of this name.
    Said(&'static str),
    /// The pin is high after any command; a wake word is not a command.
    AnyCommand,
    /// The pin is high while commands count.
    Awake,
}

impl<P> Output<P> {
    /// Makes an output that a command raises for `hold_ms` of audio, or 150 ms longer by the clock where audio stops or
    /// lags. `command` names the command or wake word that is meant; `None` means any command.
    pub const fn new(pin: P, command: Option<&'static str>, hold_ms: u32) -> Self {
        let when = match command {
            Some(name) => When::Said(name),
            None => When::AnyCommand,
        };
        Self {
            pin,
            when,
            hold_ms,
            until: None,
        }
    }

    /// Makes an output that is high while commands count: in the window that a wake word opens, and always
    /// where the image names no wake words.
    pub const fn while_awake(pin: P) -> Self {
        Self {
            pin,
            when: When::Awake,
            hold_ms: 0,
            until: None,
        }
    }

    /// Makes the output one that is high [`Self::while_awake`], if the image names wake words.
    pub fn or_awake(self, image: &Image<'_>) -> Self {
        match image.wake() {
            None => self,
            Some(_) => Self::while_awake(self.pin),
        }
    }

    /// Says whether the pin has been high long enough at the sample that comes next, and a reading of a clock of `hz`.
    pub(super) fn is_over(&mut self, next: u64, now: u32, hz: u32) -> bool {
        let hold_ms = u64::from(self.hold_ms);
        self.until.as_mut().is_some_and(|until| {
            until.high.look(now, hz);
            next >= until.sample || until.high.ms >= hold_ms.saturating_add(LAG_MS)
        })
    }
}
