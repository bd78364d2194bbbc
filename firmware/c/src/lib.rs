//! This crate is the C interface of `zerda-firmware`: `libzerda.a`, and `include/zerda.h`, which is made of these sources.
//!
//! It allocates nothing and never unwinds: a recognizer lives in storage that the caller brings. Pointers come from C, so
//! there is `unsafe` here, and in no other crate of the library but for kernels: each function checks what can be checked
//! of them, in [`state`], before it makes a reference.
#![no_std]

#[cfg(feature = "std")]
extern crate std;

mod events;
mod state;
mod status;

use core::ffi::{CStr, c_char, c_void};

use events::{ZerdaCallbacks, ZerdaFault, ZerdaFaultKind};
use state::{Zerda, bytes_at, with};
use status::ZerdaStatus;
use zerda_firmware::decoder::SettingError;
use zerda_firmware::image::{MAX_NAME, checksum};
use zerda_firmware::memory_bytes;

/// The alignment that storage and image need, in bytes.
pub const ZERDA_ALIGNMENT: usize = 16;

/// The bytes of storage that a recognizer takes besides the memory that its image needs. It is more than the recognizer's
/// size, on every target, so that this number seldom changes.
pub const ZERDA_STATE_BYTES: usize = 6144;

/// Silence is pushed in pieces of this many samples.
const PIECE: usize = 160;

/// A panic handler is what the linker asks for. Nothing calls it: `build.sh` fails if it is linked.
#[cfg(not(feature = "std"))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}

/// Returns the bytes of storage that a recognizer of this image needs, as the image's header states them: 64 bytes of
/// it are enough. Returns 0 if it is no image. `zerda_image.h`, which build.sh writes, has the number as a constant.
///
/// # Safety
///
/// `image` is null, or `image_bytes` bytes can be read there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zerda_storage_bytes(image: *const c_void, image_bytes: usize) -> usize {
    // SAFETY: as this function demands.
    match unsafe { bytes_at(image.cast(), image_bytes) }.map(memory_bytes) {
        None | Some(0) => 0,
        Some(memory) => memory.saturating_add(ZERDA_STATE_BYTES),
    }
}

/// Makes a recognizer in `storage`, and writes it to `*zerda`; NULL if it fails. The storage needs no initial value; it
/// is 16-byte aligned and belongs to the recognizer until it is no longer used, or made anew by another call. The image
/// is read in place, 16-byte aligned, and stays as it is for as long. The callbacks are copied.
///
/// # Safety
///
/// Each pointer is null, or what it says can be read or written there; the image and the storage stay there and nobody
/// else writes to them for as long as the recognizer is used.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zerda_init(
    storage: *mut c_void,
    storage_bytes: usize,
    image: *const c_void,
    image_bytes: usize,
    callbacks: *const ZerdaCallbacks,
    zerda: *mut *mut Zerda,
) -> ZerdaStatus {
    if zerda.is_null() {
        return ZerdaStatus::NullPointer;
    }
    if !zerda.is_aligned() {
        return ZerdaStatus::Misaligned;
    }
    let place = state::Place {
        storage,
        storage_bytes,
        image: image.cast(),
        image_bytes,
        callbacks,
    };
    // SAFETY: as this function demands.
    let made = unsafe { place.make() };
    let (status, made) = match made {
        Ok(made) => (ZerdaStatus::Ok, made),
        Err(status) => (status, core::ptr::null_mut()),
    };
    // SAFETY: it is neither null nor misaligned, and the caller says that it can be written.
    unsafe { zerda.write(made) };
    status
}

/// Takes `count` samples (16 kHz, mono, signed 16 bit) and calls the callbacks for all that happens in them. How a stream
/// is split does not matter. A step of the network runs within the call as soon as its last sample is there.
///
/// # Safety
///
/// `zerda` is null, or what `zerda_init` made, in storage that is still there; `pcm` is null, or `count` samples can be
/// read there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zerda_push(
    zerda: *mut Zerda,
    pcm: *const i16,
    count: usize,
) -> ZerdaStatus {
    if !pcm.is_null() && !pcm.is_aligned() {
        return ZerdaStatus::Misaligned;
    }
    if count > isize::MAX as usize / size_of::<i16>() {
        return ZerdaStatus::TooLong;
    }
    let pcm = match count {
        0 => &[],
        _ if pcm.is_null() => return ZerdaStatus::NullPointer,
        // SAFETY: it is neither null, misaligned nor too long, and the caller says that it can be read.
        _ => unsafe { core::slice::from_raw_parts(pcm, count) },
    };
    // SAFETY: as this function demands.
    unsafe {
        with(zerda, |inner| {
            inner.push(pcm);
            ZerdaStatus::Ok
        })
    }
}

/// Pushes the silence that decides the last word of a recording, where no more samples come.
///
/// # Safety
///
/// As of `zerda_push`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zerda_finish(zerda: *mut Zerda) -> ZerdaStatus {
    // SAFETY: as this function demands.
    unsafe {
        with(zerda, |inner| {
            let mut left = inner.recognizer.image().tail_samples();
            while left > 0 {
                let piece = left.min(PIECE);
                inner.push([0; PIECE].get(..piece).unwrap_or_default());
                left -= piece;
            }
            ZerdaStatus::Ok
        })
    }
}

/// Starts afresh, as if nothing had been pushed; thresholds and smoothing that were set stay. Times count from 0 again. If
/// the window of a wake word was open, it closes, and `on_wake` is called.
///
/// # Safety
///
/// As of `zerda_push`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zerda_reset(zerda: *mut Zerda) -> ZerdaStatus {
    // SAFETY: as this function demands.
    unsafe {
        with(zerda, |inner| {
            inner.reset();
            ZerdaStatus::Ok
        })
    }
}

/// Says that so many samples were lost before the next ones, as of a buffer that ran over. Calls `on_fault`, and starts
/// afresh as `zerda_reset` does: audio from before and after a gap is never joined.
///
/// # Safety
///
/// As of `zerda_push`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zerda_lost(zerda: *mut Zerda, samples: u32) -> ZerdaStatus {
    // SAFETY: as this function demands.
    unsafe {
        with(zerda, |inner| {
            inner.callbacks.fault(ZerdaFault {
                kind: ZerdaFaultKind::LostAudio,
                lost_samples: samples,
            });
            inner.reset();
            ZerdaStatus::Ok
        })
    }
}

/// Computes the image's checksum again, over all of it, and calls `on_fault` where flash changed since `zerda_init`.
///
/// # Safety
///
/// As of `zerda_push`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zerda_check_image(zerda: *mut Zerda) -> ZerdaStatus {
    // SAFETY: as this function demands.
    unsafe {
        with(zerda, |inner| {
            if checksum(inner.bytes) == inner.recognizer.image().checksum() {
                return ZerdaStatus::Ok;
            }
            inner.callbacks.fault(ZerdaFault {
                kind: ZerdaFaultKind::ImageChanged,
                lost_samples: 0,
            });
            ZerdaStatus::ImageChecksum
        })
    }
}

/// Sets the score (256 is certainty) at which a word is detected from now on: 3 to 253, or 0, which switches it off.
/// `label` is the word, as a string; words of longer commands have thresholds of their own.
///
/// # Safety
///
/// As of `zerda_push`; `label` is null, or a string that ends with a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zerda_set_threshold(
    zerda: *mut Zerda,
    label: *const c_char,
    threshold: u8,
) -> ZerdaStatus {
    // SAFETY: as this function demands.
    unsafe {
        with(zerda, |inner| {
            let label = match find_label(inner, label) {
                Ok(label) => label,
                Err(status) => return status,
            };
            match inner.recognizer.set_threshold(label, threshold) {
                Ok(()) => ZerdaStatus::Ok,
                Err(SettingError::NotDetected { .. }) => ZerdaStatus::UnknownLabel,
                Err(_) => ZerdaStatus::ThresholdRange,
            }
        })
    }
}

/// Writes the score at which a word is detected to `*threshold`; 0: never.
///
/// # Safety
///
/// As of `zerda_set_threshold`; `threshold` is null, or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zerda_threshold(
    zerda: *mut Zerda,
    label: *const c_char,
    threshold: *mut u8,
) -> ZerdaStatus {
    if threshold.is_null() {
        return ZerdaStatus::NullPointer;
    }
    // SAFETY: as this function demands.
    unsafe {
        with(zerda, |inner| match find_label(inner, label) {
            Ok(label) => {
                threshold.write(inner.recognizer.threshold(label));
                ZerdaStatus::Ok
            }
            Err(status) => status,
        })
    }
}

/// Sets the number of frames, of 10 ms each, that scores are averaged over from now on: 1 to 32. Fewer make words quicker
/// to hear, more make false alarms fewer.
///
/// # Safety
///
/// As of `zerda_push`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zerda_set_smoothing(zerda: *mut Zerda, frames: u8) -> ZerdaStatus {
    // SAFETY: as this function demands.
    unsafe {
        with(zerda, |inner| {
            match inner.recognizer.set_smoothing(frames) {
                Ok(()) => ZerdaStatus::Ok,
                Err(_) => ZerdaStatus::SmoothingRange,
            }
        })
    }
}

/// Writes the number of frames that scores are averaged over to `*frames`.
///
/// # Safety
///
/// As of `zerda_push`; `frames` is null, or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zerda_smoothing(zerda: *mut Zerda, frames: *mut u8) -> ZerdaStatus {
    if frames.is_null() {
        return ZerdaStatus::NullPointer;
    }
    // SAFETY: as this function demands.
    unsafe {
        with(zerda, |inner| {
            frames.write(inner.recognizer.smoothing());
            ZerdaStatus::Ok
        })
    }
}

/// Returns a line on a status, which says what to do. It is a constant string, for any number.
#[unsafe(no_mangle)]
pub extern "C" fn zerda_status_text(status: i32) -> *const c_char {
    status::text(status).as_ptr()
}

/// Returns the version of this library, as "0.1.0". It is a constant string.
#[unsafe(no_mangle)]
pub extern "C" fn zerda_version() -> *const c_char {
    const VERSION: &CStr =
        match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
            Ok(version) => version,
            Err(_) => c"",
        };
    VERSION.as_ptr()
}

/// Returns the number of the label of this name.
///
/// # Safety
///
/// `name` is null, or a string that ends with a zero.
unsafe fn find_label(inner: &state::Inner, name: *const c_char) -> Result<u8, ZerdaStatus> {
    if name.is_null() {
        return Err(ZerdaStatus::NullPointer);
    }
    let mut bytes = [0; MAX_NAME];
    let mut length = 0;
    loop {
        // SAFETY: the string has not ended before this byte.
        let byte = unsafe { name.cast::<u8>().add(length).read() };
        if byte == 0 {
            break;
        }
        // No label has a longer name.
        *bytes.get_mut(length).ok_or(ZerdaStatus::UnknownLabel)? = byte;
        length += 1;
    }
    let name = bytes.get(..length).unwrap_or_default();
    let labels = inner.recognizer.image().labels();
    let mut named = (0..).zip(labels);
    let found = named.find(|(_, label)| label.name.as_bytes() == name);
    found
        .map(|(number, _)| number)
        .ok_or(ZerdaStatus::UnknownLabel)
}
