//! Storage of the caller's holds the recognizer, and behind it the memory that its image needs. Whatever C passes is
//! checked here before a reference to it is made.

use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::sync::atomic::{AtomicBool, Ordering};

use zerda_firmware::image::{ALIGNMENT, Problem};
use zerda_firmware::{Image, Recognizer};

use crate::events::ZerdaCallbacks;
use crate::status::ZerdaStatus;
use crate::{ZERDA_ALIGNMENT, ZERDA_STATE_BYTES};

const _: () = assert!(ZERDA_ALIGNMENT == ALIGNMENT && align_of::<Zerda>() == ALIGNMENT);
const _: () = assert!(size_of::<Zerda>() <= ZERDA_STATE_BYTES);

/// A recognizer of spoken commands, in storage of the caller's.
#[repr(align(16))]
pub struct Zerda {
    /// Holds [`tag`] of this place.
    tag: u32,
    /// Says that a call works on it.
    busy: AtomicBool,
    inner: UnsafeCell<Inner>,
}

/// Holds what one call at a time works on.
pub struct Inner {
    pub recognizer: Recognizer<'static>,
    pub callbacks: ZerdaCallbacks,
    /// Holds the bytes of the image.
    pub bytes: &'static [u8],
}

impl Inner {
    /// Pushes samples and tells of what happens in them.
    pub fn push(&mut self, pcm: &[i16]) {
        let image = *self.recognizer.image();
        let callbacks = self.callbacks;
        let tell = |event: zerda_firmware::Event<'_>| callbacks.event(&image, event);
        self.recognizer.push_events(pcm, tell);
    }

    /// Starts afresh, and tells if that closed the window.
    pub fn reset(&mut self) {
        if let Some(asleep) = self.recognizer.reset() {
            self.callbacks.asleep(asleep);
        }
    }
}

/// Returns the word that a recognizer at this place begins with. One that was copied elsewhere has another's.
fn tag(zerda: *const Zerda) -> u32 {
    zerda.addr() as u32 ^ 0x5A45_5244
}

/// Returns bytes of C's; `None` if the pointer is null or the length more than an object can have.
///
/// # Safety
///
/// `start` is null, or `count` bytes can be read there as long as the slice is used, and nobody writes to them.
pub unsafe fn bytes_at<'a>(start: *const u8, count: usize) -> Option<&'a [u8]> {
    let fits = isize::try_from(count).is_ok() && start.addr().checked_add(count).is_some();
    // SAFETY: it is neither null nor too long; the rest is demanded.
    (!start.is_null() && fits).then(|| unsafe { core::slice::from_raw_parts(start, count) })
}

/// Names what `zerda_init` is given.
pub struct Place {
    pub storage: *mut c_void,
    pub storage_bytes: usize,
    pub image: *const u8,
    pub image_bytes: usize,
    pub callbacks: *const ZerdaCallbacks,
}

impl Place {
    /// Makes a recognizer in the storage.
    ///
    /// # Safety
    ///
    /// As of [`crate::zerda_init`].
    pub unsafe fn make(self) -> Result<*mut Zerda, ZerdaStatus> {
        let zerda = self.storage.cast::<Zerda>();
        if zerda.is_null() || self.image.is_null() || self.callbacks.is_null() {
            return Err(ZerdaStatus::NullPointer);
        }
        if !zerda.is_aligned() || !self.callbacks.is_aligned() {
            return Err(ZerdaStatus::Misaligned);
        }
        // SAFETY: the caller says that both can be read.
        let (bytes, callbacks) = unsafe {
            let bytes = bytes_at::<'static>(self.image, self.image_bytes);
            (bytes.ok_or(ZerdaStatus::TooLong)?, *self.callbacks)
        };
        let image = Image::parse(bytes).map_err(Problem::from)?;
        let needed = image.memory_bytes().saturating_add(ZERDA_STATE_BYTES);
        if self.storage_bytes < needed {
            return Err(ZerdaStatus::ShortStorage);
        }
        let (start, image_start) = (zerda.addr(), self.image.addr());
        let end = start.checked_add(needed).ok_or(ZerdaStatus::TooLong)?;
        if start < image_start + bytes.len() && image_start < end {
            return Err(ZerdaStatus::Overlap);
        }
        // SAFETY: the storage is aligned and long enough, and the caller says that it can be read and written.
        let memory = unsafe {
            if is_made(zerda) && (*zerda).busy.load(Ordering::Acquire) {
                return Err(ZerdaStatus::Busy);
            }
            let memory = self.storage.cast::<u8>().add(ZERDA_STATE_BYTES);
            memory.write_bytes(0, image.memory_bytes());
            core::slice::from_raw_parts_mut(memory.cast::<i8>(), image.memory_bytes())
        };
        let recognizer = Recognizer::new(&image, memory).map_err(|_| ZerdaStatus::ShortStorage)?;
        let made = Zerda {
            tag: tag(zerda),
            busy: AtomicBool::new(false),
            inner: UnsafeCell::new(Inner {
                recognizer,
                callbacks,
                bytes,
            }),
        };
        // SAFETY: as above; the memory behind it is not part of it.
        unsafe { zerda.write(made) };
        Ok(zerda)
    }
}

/// Says whether `zerda_init` made a recognizer at this place.
///
/// # Safety
///
/// It is aligned, and [`ZERDA_STATE_BYTES`] can be read there.
unsafe fn is_made(zerda: *const Zerda) -> bool {
    // SAFETY: demanded. It is volatile because the memory may hold anything until then.
    unsafe { (&raw const (*zerda).tag).read_volatile() == tag(zerda) }
}

/// Lends the recognizer to one call at a time.
///
/// # Safety
///
/// It is null, or `ZERDA_STATE_BYTES` can be read there; what `zerda_init` made there was not overwritten by halves.
pub unsafe fn with(zerda: *mut Zerda, run: impl FnOnce(&mut Inner) -> ZerdaStatus) -> ZerdaStatus {
    if zerda.is_null() {
        return ZerdaStatus::NullPointer;
    }
    if !zerda.is_aligned() {
        return ZerdaStatus::Misaligned;
    }
    // SAFETY: it is aligned, and the caller says that it can be read.
    if !unsafe { is_made(zerda) } {
        return ZerdaStatus::NotInitialized;
    }
    // SAFETY: `zerda_init` made it.
    let Zerda { busy, inner, .. } = unsafe { &*zerda };
    if !take(busy) {
        return ZerdaStatus::Busy;
    }
    // SAFETY: no other call has it while it is busy.
    let status = run(unsafe { &mut *inner.get() });
    busy.store(false, Ordering::Release);
    status
}

/// Takes the recognizer unless another call has it.
#[cfg(target_has_atomic = "8")]
fn take(busy: &AtomicBool) -> bool {
    !busy.swap(true, Ordering::Acquire)
}

/// Takes the recognizer unless another call has it. A core without such an instruction is alone, and what breaks in
/// between the two lines ends before the second.
#[cfg(not(target_has_atomic = "8"))]
fn take(busy: &AtomicBool) -> bool {
    let free = !busy.load(Ordering::Acquire);
    busy.store(true, Ordering::Release);
    free
}
