//! Outputs are the pins by which a board shows what was heard.

/// A pin that is high for a while after a command was detected, or as long as the device listens to commands.
#[derive(Debug)]
pub struct Output<P> {
    pub(super) pin: P,
    pub(super) when: When,
    pub(super) hold_ms: u32,
    /// Holds the number of the sample at which the pin, which is high now, becomes low.
    pub(super) until: Option<u64>,
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
    /// Makes an output that a command raises for `hold_ms` of audio. `command` names the command or wake word
    /// that is meant; `None` means any command.
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
}
