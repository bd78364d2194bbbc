//! Samples cross here from interrupt or DMA context to the main loop, through a lock-free ring of blocks.
//!
//! A block knows the number of its first sample. If the main loop is late and the ring is full, what does not
//! fit is lost, and the next block's number says so: a gap is seen exactly where it is, and audio from before
//! and after it is never joined.

use heapless::Vec;
use heapless::spsc::{Producer, Queue};

/// The most samples that a block holds: 10 ms.
pub const BLOCK: usize = 160;

/// Samples that follow each other without a gap, 16 kHz, mono.
#[derive(Clone, Debug, Default)]
pub struct Block {
    /// The number that the block's first sample has since capture began; lost samples count.
    pub start: u64,
    /// Holds the samples, at most 10 ms of them.
    pub samples: Vec<i16, BLOCK>,
}

/// A ring that holds the blocks between capture and the main loop, `N - 1` of them. Split it into its two
/// ends: the producer is for [`Capture`], the consumer for [`crate::app::App`]. A ring of 16 holds 150 ms and
/// takes 5 KiB.
pub type Ring<const N: usize> = Queue<Block, N>;

/// A source that delivers samples: a microphone behind I2S, PDM or an ADC, a UART, or a file.
pub trait AudioSource {
    /// Writes the next captured samples (16 kHz, mono, signed 16 bit) to the front of `samples` and returns
    /// how many there are; 0 means that there are none for now.
    fn read(&mut self, samples: &mut [i16; BLOCK]) -> usize;

    /// Returns the number of samples that the hardware lost between the last two calls of
    /// [`AudioSource::read`].
    fn lost(&mut self) -> u32 {
        0
    }
}

/// The side of the ring that the interrupt writes to.
pub struct Capture<'r, A> {
    source: A,
    ring: Producer<'r, Block>,
    /// Holds the number of the next sample.
    next: u64,
}

impl<'r, A: AudioSource> Capture<'r, A> {
    /// Makes a capture that begins with the next sample that the source delivers.
    pub fn new(source: A, ring: Producer<'r, Block>) -> Self {
        Self {
            source,
            ring,
            next: 0,
        }
    }

    /// Moves what the source has into the ring; to be called from an interrupt or DMA context. What does not
    /// fit is lost. Returns the number of samples read, including those that did not fit.
    pub fn run(&mut self) -> usize {
        let mut total = 0;
        let mut samples = [0; BLOCK];
        loop {
            let count = self.source.read(&mut samples).min(BLOCK);
            self.next = self.next.saturating_add(self.source.lost().into());
            let Some(read) = samples.get(..count).filter(|read| !read.is_empty()) else {
                return total;
            };
            let block = Block {
                start: self.next,
                samples: Vec::from_slice(read).unwrap_or_default(),
            };
            // If the ring is full, the numbers go on, so that the next block tells.
            if has_slots(self.ring.capacity()) {
                let _ = self.ring.enqueue(block);
            }
            self.next = self.next.saturating_add(count as u64);
            total += count;
        }
    }

    /// Returns the number of samples since capture began, lost ones included.
    pub fn captured(&self) -> u64 {
        self.next
    }
}

/// Says that a ring has slots. Every ring has, one more than its capacity, but the compiler does not know
/// that: without this check, heapless's remainder by their number keeps a panic for zero.
pub(crate) fn has_slots(capacity: usize) -> bool {
    capacity != 0usize.wrapping_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Delivers a ramp in pieces of the sizes given, with samples lost before some of them.
    struct Ramp<'a> {
        pieces: core::slice::Iter<'a, (u32, usize)>,
        next: u64,
        lost: u32,
    }

    impl AudioSource for Ramp<'_> {
        fn read(&mut self, samples: &mut [i16; BLOCK]) -> usize {
            let (lost, count) = self.pieces.next().copied().unwrap_or_default();
            self.lost = lost;
            self.next += u64::from(lost);
            for slot in &mut samples[..count] {
                *slot = self.next as i16;
                self.next += 1;
            }
            count
        }

        fn lost(&mut self) -> u32 {
            self.lost
        }
    }

    fn ramp(pieces: &[(u32, usize)]) -> Ramp<'_> {
        Ramp {
            pieces: pieces.iter(),
            next: 0,
            lost: 0,
        }
    }

    #[test]
    fn blocks_of_any_size_arrive_with_the_number_of_their_first_sample() {
        let mut ring = Ring::<8>::new();
        let (producer, mut consumer) = ring.split();
        let mut capture = Capture::new(ramp(&[(0, 160), (0, 7), (0, 64)]), producer);
        assert_eq!(capture.run(), 231);
        for (start, len) in [(0, 160), (160, 7), (167, 64)] {
            let block = consumer.dequeue().unwrap();
            assert_eq!((block.start, block.samples.len()), (start, len));
            assert_eq!(u64::from(block.samples[0] as u16), start);
        }
        assert!(consumer.dequeue().is_none());
    }

    #[test]
    fn what_does_not_fit_is_missing_from_the_numbers() {
        let mut ring = Ring::<3>::new();
        let (producer, mut consumer) = ring.split();
        let source = ramp(&[(0, 160), (0, 160), (0, 160), (0, 160), (0, 0), (0, 160)]);
        let mut capture = Capture::new(source, producer);
        capture.run();
        let mut start = || consumer.dequeue().map(|block| block.start);
        assert_eq!([start(), start(), start()], [Some(0), Some(160), None]);
        capture.run();
        assert_eq!(consumer.dequeue().map(|block| block.start), Some(640));
        assert_eq!(capture.captured(), 800);
    }

    #[test]
    fn what_the_hardware_lost_is_missing_from_the_numbers() {
        let mut ring = Ring::<8>::new();
        let (producer, mut consumer) = ring.split();
        Capture::new(ramp(&[(0, 10), (5, 10)]), producer).run();
        consumer.dequeue();
        let block = consumer.dequeue().unwrap();
        assert_eq!((block.start, block.samples[0]), (15, 15));
    }
}
