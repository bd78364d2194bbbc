//! The module's memory grows and is never given back.

use core::arch::wasm32::{memory_grow, memory_size};
use core::cell::UnsafeCell;

use zerda_firmware::image::ALIGNMENT;

/// The bytes by which memory grows.
const PAGE: usize = 1 << 16;

/// The place after the last that was given out, and the end of what memory has grown by.
static FREE: Single<[usize; 2]> = Single::new([0; 2]);

/// Holds a value of which there is one in an instance, which has one thread.
pub struct Single<T>(UnsafeCell<T>);

// SAFETY: an instance has one thread.
unsafe impl<T> Sync for Single<T> {}

impl<T> Single<T> {
    pub const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// Lends the value to `run`. Nothing that this calls asks for it once more.
    pub fn with<R>(&self, run: impl FnOnce(&mut T) -> R) -> R {
        // SAFETY: an instance has one thread, and what runs does not ask again.
        run(unsafe { &mut *self.0.get() })
    }
}

/// Returns so many bytes, 16-byte aligned, which nobody else has; `None` where memory does not grow.
pub fn room(bytes: usize) -> Option<&'static mut [i8]> {
    FREE.with(|[free, end]| {
        let taken = bytes.max(1).checked_next_multiple_of(ALIGNMENT)?;
        if *end - *free < taken {
            let pages = taken.div_ceil(PAGE);
            let before = memory_size(0) * PAGE;
            if memory_grow(0, pages) == usize::MAX {
                return None;
            }
            // What was left goes to waste unless the new pages follow it.
            if *end != before {
                *free = before;
            }
            *end = before + pages * PAGE;
        }
        let start = core::ptr::with_exposed_provenance_mut(*free);
        *free += taken;
        // SAFETY: memory grew by these bytes, whose first value is 0, and they are given out once.
        Some(unsafe { core::slice::from_raw_parts_mut(start, bytes) })
    })
}

/// Returns what lies at a place that the page names: `count` elements, or none if the place is none for them.
///
/// # Safety
///
/// Nobody writes to the place while the slice is used.
pub unsafe fn read<'a, T: Copy>(start: *const T, count: usize) -> &'a [T] {
    let end = count.checked_mul(size_of::<T>());
    let end = end.and_then(|bytes| start.addr().checked_add(bytes));
    let there = end.is_some_and(|end| end <= memory_size(0).saturating_mul(PAGE));
    if start.is_null() || !start.is_aligned() || !there {
        return &[];
    }
    // SAFETY: it is within the module's memory and aligned; `T` is an integer.
    unsafe { core::slice::from_raw_parts(start, count) }
}
