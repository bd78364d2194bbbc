//! This crate is `zerda-firmware` as a module of WebAssembly, which `page/hearing.js` drives.
//!
//! An instance of the module hears one image: another one takes another instance, so that no memory is ever given back.
//! Numbers cross the border as they are, and texts and posteriors as their places in the module's memory. What happens
//! while samples are pushed is told by the functions of [`page`]. There is `unsafe` here since places come from outside;
//! an instance has one thread, and no function of the page calls back.
#![no_std]

mod facts;
mod memory;
mod page;

use core::fmt::Write;

use crc::{CRC_32_ISO_HDLC, Crc, Digest};
use memory::{Single, room};
use page::Text;
use zerda_firmware::{Event, Image, ParseError, Recognizer};

/// The most MiB that an image may ask for, as in the command line.
const MOST_MIB: usize = 64;

/// Silence is pushed in pieces of this many samples.
const PIECE: usize = 160;

static CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// Holds what hears, once there is an image.
static STATE: Single<Option<State>> = Single::new(None);

struct State {
    recognizer: Recognizer<'static>,
    /// Sums up the logits of all steps.
    digest: Digest<'static, u32>,
    steps: u32,
}

/// A panic stops the instance, which the page says.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

/// Opens the image of so many bytes at `image`, where [`zerda_room`] made room for it. Says in the text what it is, as JSON,
/// and returns 1; or says in a line what is wrong with it, and returns 0.
///
/// # Safety
///
/// The page writes to the place no more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zerda_open(image: *const u8, bytes: usize) -> u32 {
    // SAFETY: as this function demands.
    let bytes = unsafe { memory::read(image, bytes) };
    match open(bytes) {
        Ok(state) => {
            let _ = facts::write(state.recognizer.image(), bytes.len());
            STATE.with(|slot| *slot = Some(state));
            1
        }
        Err(()) => 0,
    }
}

/// Makes what hears an image, or says what is wrong with it.
fn open(bytes: &'static [u8]) -> Result<State, ()> {
    let refuse = |why: core::fmt::Arguments<'_>| Text.write_fmt(why).map_err(drop).and(Err(()));
    let image = match Image::parse(bytes) {
        Ok(image) => image,
        Err(error @ ParseError::NotAnImage) => {
            return refuse(format_args!(
                "{error}; expected a file made by `zerda compile`"
            ));
        }
        Err(error) => {
            return refuse(format_args!(
                "{error}; copy it again, or compile the model again with this version of zerda"
            ));
        }
    };
    let needed = image.memory_bytes();
    let given = (needed <= MOST_MIB << 20).then(|| room(needed)).flatten();
    let Some(memory) = given else {
        return refuse(format_args!(
            "asks for {} MiB, more than the {MOST_MIB} MiB that an image may take here; choose a smaller model",
            needed.div_ceil(1 << 20)
        ));
    };
    match Recognizer::new(&image, memory) {
        Ok(recognizer) => Ok(State {
            recognizer,
            digest: CRC.digest(),
            steps: 0,
        }),
        Err(error) => refuse(format_args!("{error}; compile the model again")),
    }
}

/// Returns a place for so many bytes, 16-byte aligned, which hold zeros; 0 where the browser has no more memory.
#[unsafe(no_mangle)]
pub extern "C" fn zerda_room(bytes: usize) -> *mut i8 {
    room(bytes).map_or(core::ptr::null_mut(), <[i8]>::as_mut_ptr)
}

/// Takes `count` samples (16 kHz, mono, signed 16 bit), and tells the page of all that happens in them.
///
/// # Safety
///
/// The page writes to the place only after this returned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zerda_push(samples: *const i16, count: usize) {
    // SAFETY: as this function demands.
    push(unsafe { memory::read(samples, count) });
}

/// Pushes the silence that decides the last word of a recording.
#[unsafe(no_mangle)]
pub extern "C" fn zerda_finish() {
    let mut left = STATE.with(|state| {
        let state = state.as_ref();
        state.map_or(0, |state| state.recognizer.image().tail_samples())
    });
    while left > 0 {
        let piece = left.min(PIECE);
        push([0; PIECE].get(..piece).unwrap_or_default());
        left -= piece;
    }
}

/// Starts afresh, as if nothing had been pushed.
#[unsafe(no_mangle)]
pub extern "C" fn zerda_reset() {
    STATE.with(|state| {
        if let Some(state) = state {
            state.recognizer.reset();
            state.digest = CRC.digest();
            state.steps = 0;
        }
    });
}

/// Returns the CRC-32 over the logits of all steps since the start of the stream.
#[unsafe(no_mangle)]
pub extern "C" fn zerda_logits() -> u32 {
    STATE.with(|state| {
        let state = state.as_ref();
        state.map_or(0, |state| state.digest.clone().finalize())
    })
}

/// Returns the number of steps that ran since the start of the stream.
#[unsafe(no_mangle)]
pub extern "C" fn zerda_steps() -> u32 {
    STATE.with(|state| state.as_ref().map_or(0, |state| state.steps))
}

fn push(pcm: &[i16]) {
    STATE.with(|state| {
        let Some(State {
            recognizer,
            digest,
            steps,
        }) = state
        else {
            return;
        };
        let image = *recognizer.image();
        recognizer.push_events(pcm, |event| {
            if let Event::Step { logits, .. } = event {
                // SAFETY: an i8 is a byte.
                let bytes = unsafe { memory::read(logits.as_ptr().cast(), logits.len()) };
                digest.update(bytes);
                *steps = steps.wrapping_add(1);
            } else {
                page::tell(&image, event);
            }
        });
    });
}
