//! Keeps the spectra of the last frames, from which features are made once the network runs.

use core::ops::Range;

use crate::image::{Image, Quiet};

/// The number of bytes of one value.
const VALUE: usize = size_of::<f32>();

/// A ring of the last frames, each the logarithms of its mel powers and of their sum, in nats. It lies in bytes that
/// need no alignment.
#[derive(Debug)]
pub(crate) struct Kept<'a> {
    bytes: &'a mut [u8],
    /// The number of bytes of one frame.
    row: usize,
    /// The number of frames that there is room for.
    rows: usize,
    /// The place of the row that the next frame takes.
    next: usize,
    /// Counts the frames since the start of the stream.
    heard: u64,
}

impl<'a> Kept<'a> {
    /// Makes an empty ring in [`Image::kept_bytes`] bytes.
    pub fn new(image: &Image<'_>, bytes: &'a mut [i8]) -> Self {
        let manifest = image.manifest();
        Self {
            bytes: bytemuck::cast_slice_mut(bytes),
            row: (usize::from(manifest.front_end.mels) + 1) * VALUE,
            rows: Quiet::kept_rows(manifest.stream, manifest.front_end),
            next: 0,
            heard: 0,
        }
    }

    /// Forgets the stream, as at its start.
    pub fn reset(&mut self) {
        (self.next, self.heard) = (0, 0);
    }

    /// Keeps the next frame, in place of the oldest one.
    pub fn push(&mut self, energy: f32, mels: &[f32]) {
        let place = self.place(self.next);
        let row = self.bytes.get_mut(place).unwrap_or_default();
        let values = mels.iter().chain([&energy]);
        for (slot, value) in row.as_chunks_mut::<VALUE>().0.iter_mut().zip(values) {
            *slot = value.to_le_bytes();
        }
        self.next = if self.next + 1 < self.rows {
            self.next + 1
        } else {
            0
        };
        self.heard = self.heard.saturating_add(1);
    }

    /// Copies a frame to `mels`, and returns the logarithm of the sum of its powers; `None` for one that is not kept.
    pub fn frame(&self, number: u64, mels: &mut [f32]) -> Option<f32> {
        let age = usize::try_from(self.heard.checked_sub(number)?).ok()?;
        let back = self.rows.checked_sub(age).filter(|_| age > 0)?;
        let place = self.next + back;
        let place = place.checked_sub(self.rows).unwrap_or(place);
        let row = self.bytes.get(self.place(place))?;
        let (values, _) = row.as_chunks::<VALUE>();
        let (energy, values) = values.split_last()?;
        for (slot, value) in mels.iter_mut().zip(values) {
            *slot = f32::from_le_bytes(*value);
        }
        Some(f32::from_le_bytes(*energy))
    }

    /// Returns the number of frames since the start of the stream.
    pub fn heard(&self) -> u64 {
        self.heard
    }

    /// Returns the number of the oldest frame that is kept.
    pub fn oldest(&self) -> u64 {
        self.heard.saturating_sub(self.rows as u64)
    }

    fn place(&self, row: usize) -> Range<usize> {
        let from = row.saturating_mul(self.row);
        from..from.saturating_add(self.row)
    }
}
