//! Callbacks tell of all that happens while samples are pushed.

use core::ffi::{c_char, c_void};

use zerda_firmware::gate::{Asleep, Awake};
use zerda_firmware::image::MAX_NAME;
use zerda_firmware::recognizer::Spell;
use zerda_firmware::{Detection, Event, Image};

/// A command or a wake word that was detected. Times count in ms of audio from the start of the stream, or from its reset.
#[repr(C)]
#[derive(Debug)]
pub struct ZerdaDetection {
    /// The name of the command or wake word, a string that is there until the callback returns.
    pub name: *const c_char,
    /// The number that the command or wake word has in the image.
    pub number: u8,
    /// Says whether it is a wake word.
    pub wake_word: bool,
    /// The lowest average that one of its words reached, of 256.
    pub score: u8,
    /// The time at which its first word starts.
    pub start_ms: u32,
    /// The time at which the frame ends that decided its last word.
    pub end_ms: u32,
    /// The time at which the audio ends that was needed to decide.
    pub decided_ms: u32,
}

/// Says that the window in which commands count opened, stays open for longer, or closed.
#[repr(C)]
#[derive(Debug)]
pub struct ZerdaWake {
    /// Says whether commands count from now on.
    pub awake: bool,
    /// The time at which it happened, in ms of audio.
    pub at_ms: u32,
    /// The time at which the window will close, in ms of audio; 0 where it closed.
    pub until_ms: u32,
}

/// Says that somebody speaks, and the network runs, or that nobody does, and it rests. A stream begins at rest, and so it does
/// after `zerda_reset` and `zerda_lost`, which is not told.
#[repr(C)]
#[derive(Debug)]
pub struct ZerdaSpeech {
    /// Says whether the network runs from now on.
    pub speech: bool,
    /// The time, in ms of audio, at which the first frame starts that it hears, or the first that it does not; that was
    /// 400 ms ago, or more.
    pub at_ms: u32,
}

/// Says what kind of fault it is.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ZerdaFaultKind {
    /// Samples were lost, as `zerda_lost` was told; the stream starts afresh.
    LostAudio = 1,
    /// The image changed in flash, as `zerda_check_image` found.
    ImageChanged = 2,
}

/// Says what went wrong.
#[repr(C)]
#[derive(Debug)]
pub struct ZerdaFault {
    /// Says what kind of fault it is.
    pub kind: ZerdaFaultKind,
    /// The number of samples that were lost.
    pub lost_samples: u32,
}

/// Functions that are called with `context`, from within the calls that bring what they tell of; each may be NULL. They
/// make no call on the same recognizer: it would return `ZERDA_STATUS_BUSY`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ZerdaCallbacks {
    /// The first argument of each function.
    pub context: *mut c_void,
    /// Is told of each command and wake word.
    pub on_detection:
        Option<unsafe extern "C" fn(context: *mut c_void, detection: *const ZerdaDetection)>,
    /// Is told where commands begin or cease to count, of an image that names wake words.
    pub on_wake: Option<unsafe extern "C" fn(context: *mut c_void, wake: *const ZerdaWake)>,
    /// Is told when the network begins to run and to rest, of an image that has a gate for the quiet.
    pub on_speech: Option<unsafe extern "C" fn(context: *mut c_void, speech: *const ZerdaSpeech)>,
    /// Is told of faults.
    pub on_fault: Option<unsafe extern "C" fn(context: *mut c_void, fault: *const ZerdaFault)>,
    /// Is given the logits of each step of the network, one a frame and class.
    pub on_logits:
        Option<unsafe extern "C" fn(context: *mut c_void, logits: *const i8, count: usize)>,
}

impl ZerdaCallbacks {
    /// Tells of what happened in the stream.
    pub(crate) fn event(&self, image: &Image<'_>, event: Event<'_>) {
        match event {
            Event::Step { logits, .. } => {
                if let Some(call) = self.on_logits {
                    // SAFETY: C's function takes a pointer to so many logits.
                    unsafe { call(self.context, logits.as_ptr(), logits.len()) };
                }
            }
            Event::Detection(detection) => self.detection(image, detection),
            Event::Awake(Awake {
                at_ms, until_ms, ..
            }) => self.wake(ZerdaWake {
                awake: true,
                at_ms,
                until_ms,
            }),
            Event::Asleep(asleep) => self.asleep(asleep),
            Event::Speech(Spell { at_ms, .. }) => self.speech(true, at_ms),
            Event::Quiet(Spell { at_ms, .. }) => self.speech(false, at_ms),
            Event::Encoded { .. } | Event::Frame { .. } | Event::Word(_) => {}
        }
    }

    fn detection(&self, image: &Image<'_>, detection: Detection) {
        let Some(call) = self.on_detection else {
            return;
        };
        // A string of C's ends with a zero.
        let mut name = [0u8; MAX_NAME + 1];
        let of_image = image.command(detection.command).unwrap_or_default();
        for (slot, byte) in name.iter_mut().take(MAX_NAME).zip(of_image.bytes()) {
            *slot = byte;
        }
        let detection = ZerdaDetection {
            name: name.as_ptr().cast(),
            number: detection.command,
            wake_word: image.is_wake_word(detection.command),
            score: detection.score,
            start_ms: detection.start_ms,
            end_ms: detection.end_ms,
            decided_ms: detection.decided_ms,
        };
        // SAFETY: C's function takes a pointer to a detection, which outlives the call with its name.
        unsafe { call(self.context, &raw const detection) };
    }

    /// Tells that the window closed.
    pub(crate) fn asleep(&self, asleep: Asleep) {
        self.wake(ZerdaWake {
            awake: false,
            at_ms: asleep.at_ms,
            until_ms: 0,
        });
    }

    fn wake(&self, wake: ZerdaWake) {
        if let Some(call) = self.on_wake {
            // SAFETY: C's function takes a pointer to this, which outlives the call.
            unsafe { call(self.context, &raw const wake) };
        }
    }

    fn speech(&self, speech: bool, at_ms: u32) {
        if let Some(call) = self.on_speech {
            let speech = ZerdaSpeech { speech, at_ms };
            // SAFETY: C's function takes a pointer to this, which outlives the call.
            unsafe { call(self.context, &raw const speech) };
        }
    }

    /// Tells of a fault.
    pub(crate) fn fault(&self, fault: ZerdaFault) {
        if let Some(call) = self.on_fault {
            // SAFETY: C's function takes a pointer to this, which outlives the call.
            unsafe { call(self.context, &raw const fault) };
        }
    }
}
