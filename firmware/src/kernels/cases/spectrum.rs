//! Checks the kernels of the front end, bit for bit, on loud and on quiet samples, and on few.

use crate::kernels::limits::{BINS, FFT};
use crate::kernels::{self, Filters, plain};

use super::{Cases, Mismatch};

impl Cases<'_> {
    pub fn spectrum(&mut self) -> Result<(), Mismatch> {
        for len in [FFT, 400, 399, 402, 17, 3, 1, 0] {
            for quieter in [0, 0, 5, 10, 13, 15] {
                let samples: [i16; FFT] =
                    core::array::from_fn(|_| (self.random.next() >> 8) as i16 >> quieter);
                // 24 bits of weight.
                let window: [f32; FFT] =
                    core::array::from_fn(|_| (self.random.next() >> 8) as f32 / 16_777_216.0);
                // Bands that come in order and others, and filters that some of them do not reach.
                let mut band = -1;
                let bands: [i8; BINS] = core::array::from_fn(|_| {
                    let other = self.random.below(80) as i8 - 1;
                    band += i8::from(self.random.chance(5) && band < 80);
                    if len == FFT { other } else { band }
                });
                let count = BINS - self.random.below(6) as usize;
                let filters = Filters {
                    weights: &window[..count],
                    bands: &bands,
                };
                let [mut expected, mut got] = [[1.0; 82]; 2];
                let sums = 1 + self.random.below(82) as usize;
                let [expected, got] = [&mut expected[..sums], &mut got[..sums]];
                let (samples, window) = (&samples[..len], &window[..len]);
                plain::filter_bank(samples, window, filters, expected);
                kernels::filter_bank(samples, window, filters, got);
                self.compare_floats("filter_bank", expected, got)?;
                plain::logarithms(expected);
                kernels::logarithms(got);
                self.compare_floats("logarithms", expected, got)?;
            }
        }
        Ok(())
    }

    fn compare_floats(
        &mut self,
        kernel: &'static str,
        expected: &[f32],
        got: &[f32],
    ) -> Result<(), Mismatch> {
        let expected = expected.iter().map(|value| value.to_bits());
        if !expected.eq(got.iter().map(|value| value.to_bits())) {
            return Err(Mismatch {
                kernels: self.kernels.name,
                kernel,
                case: self.passed,
            });
        }
        self.passed += 1;
        Ok(())
    }
}
