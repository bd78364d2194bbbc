//! Cache windows keep what the next step reads of earlier steps.
//!
//! A cache is a linear buffer of rows. A window in it slides forward by one step a call, so that its rows
//! stay contiguous and need no copy. At the end of the buffer, the rows that the next step reads move to its
//! beginning. Caches start at different places, so that they reach the end in different steps, and steps cost
//! the same.

use crate::image::{Image, MAX_CACHES};
use crate::kernels;

/// The most different places at which caches start.
const MAX_PHASES: usize = 8;

/// Says where the windows of an image's caches stand.
#[derive(Clone, Debug)]
pub struct Windows {
    start: [u16; MAX_CACHES],
    absent: u16,
}

impl Windows {
    /// Returns the windows of a stream that starts. Fills every row of every cache with its zero point and
    /// the arena with zeros; every key before the chunk is absent.
    pub fn reset(image: &Image<'_>, memory: &mut [i8]) -> Self {
        memory.fill(0);
        for cache in image.caches() {
            if let Some(buffer) = memory.get_mut(cache.byte_range()) {
                buffer.fill(cache.zero_point);
            }
        }
        let stream = image.manifest().stream;
        // Counts the bytes that move when the window of a cache that starts so many steps on is at the end.
        let mut moving = [0u32; MAX_PHASES];
        let mut start = [0; MAX_CACHES];
        for (cache, start) in image.caches().zip(&mut start) {
            let slack = cache.capacity.saturating_sub(cache.rows);
            let phases = (0..=slack).step_by(stream.step.max(1).into());
            let phases = phases.zip(&mut moving);
            if let Some((phase, bytes)) = phases.min_by_key(|(_, bytes)| **bytes) {
                *start = phase;
                *bytes = bytes.saturating_add(u32::from(cache.rows) * u32::from(cache.cols));
            }
        }
        Self {
            start,
            absent: stream.left_context,
        }
    }

    /// Returns windows that all stand at the start of their buffers.
    #[cfg(any(test, feature = "npu-model"))]
    pub(crate) fn at_start(absent: u16) -> Self {
        Self {
            start: [0; MAX_CACHES],
            absent,
        }
    }

    /// Returns the row of its buffer at which the window of a cache starts.
    pub fn start(&self, cache: usize) -> u16 {
        self.start.get(cache).copied().unwrap_or(0)
    }

    /// Returns how many keys of the window, from the oldest, lie before the start of the stream.
    pub fn absent(&self) -> u16 {
        self.absent
    }

    /// Slides every window forward by the step.
    pub fn advance(&mut self, image: &Image<'_>, memory: &mut [i8]) {
        let step = image.manifest().stream.step;
        self.absent = self.absent.saturating_sub(step);
        for (cache, start) in image.caches().zip(&mut self.start) {
            let next = start.saturating_add(step);
            if u32::from(next) + u32::from(cache.rows) <= u32::from(cache.capacity) {
                *start = next;
                continue;
            }
            let (from, kept) = (
                usize::from(next),
                usize::from(cache.rows.saturating_sub(step)),
            );
            let cols = usize::from(cache.cols);
            if let Some(buffer) = memory.get_mut(cache.byte_range()) {
                kernels::move_to_front(buffer, from * cols, (from + kept) * cols);
            }
            *start = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_image::{STREAM, tiny};
    use std::vec::Vec;

    #[test]
    fn each_step_sees_the_rows_of_the_step_before_moved_up_by_the_step() {
        for slack in 2..12 {
            let bytes = tiny(slack);
            let image = Image::parse(bytes.get()).unwrap();
            let mut memory = std::vec![99; image.memory_bytes()];
            let mut windows = Windows::reset(&image, &mut memory);
            // What the windows must hold, kept the slow way.
            let mut expected: Vec<Vec<i8>> = image
                .caches()
                .map(|cache| std::vec![cache.zero_point; usize::from(cache.rows * cache.cols)])
                .collect();
            for step in 0..40u8 {
                for (i, cache) in image.caches().enumerate() {
                    let start = usize::from(windows.start(i) * cache.cols) + cache.offset as usize;
                    let window = &mut memory[start..][..expected[i].len()];
                    let moved = usize::from(STREAM.step * cache.cols);
                    if step == 0 {
                        assert_eq!(window, expected[i]);
                    }
                    let kept = window.len() - moved;
                    assert_eq!(
                        window[..kept],
                        expected[i][..kept],
                        "slack {slack}, step {step}"
                    );
                    window[kept..].fill(step as i8);
                    expected[i][kept..].fill(step as i8);
                    expected[i].rotate_left(moved);
                }
                assert_eq!(windows.absent(), 4u16.saturating_sub(2 * u16::from(step)));
                windows.advance(&image, &mut memory);
            }
        }
    }
}
