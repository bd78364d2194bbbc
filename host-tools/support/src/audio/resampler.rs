//! Resamples mono audio to 16 kHz, piece by piece, and takes the delay of the filter out again.

use rubato::audioadapter_buffers::direct::SequentialSlice;
use rubato::{Fft, FixedSync, Resampler as _, WindowFunction};

use super::SAMPLE_RATE;
use super::error::AudioError;

/// The highest rate of which any is taken. Beyond, only multiples of 100 Hz keep the filter small.
const ANY_RATE: u32 = 192_000;

/// Resamples from one rate to [`SAMPLE_RATE`].
pub struct Resampler {
    /// Is `None` where the rate is right already.
    fft: Option<Fft<f64>>,
    /// Input that makes no whole chunk yet.
    pending: Vec<f64>,
    rate: u64,
    taken: u64,
    /// Output of one chunk.
    output: Vec<f64>,
    /// Samples of the filter's delay that are still to be left out.
    delay: usize,
    given: u64,
}

impl Resampler {
    pub fn new(rate: u32) -> Result<Resampler, AudioError> {
        let known = (1_000..=ANY_RATE).contains(&rate)
            || (ANY_RATE..=1_000_000).contains(&rate) && rate.is_multiple_of(100);
        if !known {
            return Err(AudioError::Rate(rate));
        }
        let mut resampler = Resampler {
            fft: None,
            pending: Vec::new(),
            rate: rate.into(),
            taken: 0,
            output: Vec::new(),
            delay: 0,
            given: 0,
        };
        if rate == SAMPLE_RATE {
            return Ok(resampler);
        }
        // A filter 50 ms long or longer keeps everything up to 7.8 kHz, above the last mel filter; an
        // even length makes its delay a whole number of samples, which is taken out exactly.
        let even = 2 * rate / gcd(rate, SAMPLE_RATE);
        let chunk = (rate / 20).next_multiple_of(even) as usize;
        let fft = Fft::new_custom(
            rate as usize,
            SAMPLE_RATE as usize,
            chunk,
            1,
            1,
            WindowFunction::BlackmanHarris2,
            FixedSync::Both,
        )
        .map_err(|error| AudioError::damaged(error.to_string()))?;
        resampler.delay = fft.output_delay();
        resampler.output = vec![0.0; fft.output_frames_max()];
        resampler.fft = Some(fft);
        Ok(resampler)
    }

    /// Takes the next samples, and appends what can be given of them.
    pub fn push(&mut self, mono: &[f64], samples: &mut Vec<i16>) -> Result<(), AudioError> {
        self.taken += mono.len() as u64;
        let Some(fft) = &self.fft else {
            samples.extend(mono.iter().copied().map(rounded));
            return Ok(());
        };
        let chunk = fft.input_frames_next();
        self.pending.extend_from_slice(mono);
        let mut from = 0;
        while self.pending.len() - from >= chunk {
            self.chunk(from, samples)?;
            from += chunk;
        }
        self.pending.drain(..from);
        Ok(())
    }

    /// Appends the rest, as silence follows.
    pub fn finish(&mut self, samples: &mut Vec<i16>) -> Result<(), AudioError> {
        let Some(fft) = &self.fft else {
            return Ok(());
        };
        let chunk = fft.input_frames_next();
        let length = (self.taken * u64::from(SAMPLE_RATE)).div_ceil(self.rate);
        let before = samples.len() as u64;
        while self.given < length {
            self.pending.resize(chunk, 0.0);
            self.chunk(0, samples)?;
            self.pending.clear();
        }
        let surplus = self.given - length;
        samples.truncate(samples.len() - surplus.min(samples.len() as u64 - before) as usize);
        Ok(())
    }

    /// Resamples the chunk of the pending samples that starts at `from`.
    fn chunk(&mut self, from: usize, samples: &mut Vec<i16>) -> Result<(), AudioError> {
        let Some(fft) = &mut self.fft else {
            return Ok(());
        };
        let failed = |error: &dyn std::fmt::Display| AudioError::damaged(error.to_string());
        let input = &self.pending[from..from + fft.input_frames_next()];
        let input = SequentialSlice::new(input, 1, input.len()).map_err(|error| failed(&error))?;
        let room = self.output.len();
        let mut output =
            SequentialSlice::new_mut(&mut self.output, 1, room).map_err(|error| failed(&error))?;
        let (_, made) = fft
            .process_into_buffer(&input, &mut output, None)
            .map_err(|error| failed(&error))?;
        let late = self.delay.min(made);
        self.delay -= late;
        samples.extend(self.output[late..made].iter().copied().map(rounded));
        self.given += (made - late) as u64;
        Ok(())
    }
}

/// Rounds to 16 bits, ties away from zero; `as` truncates and saturates. Not `f64::round`, which is a call of a function
/// on processors of x86-64 that are as old as those that binaries are built for.
fn rounded(sample: f64) -> i16 {
    // The number below a half: what lies just below one half does not become 1.
    (sample + 0.5f64.next_down().copysign(sample)) as i16
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::rounded;

    #[test]
    fn samples_are_rounded_as_the_standard_library_does() {
        let halves = (-70_000..70_000).map(|half| f64::from(half) / 2.0);
        for sample in halves.flat_map(|half| [half.next_down(), half, half.next_up()]) {
            assert_eq!(rounded(sample), sample.round() as i16, "{sample}");
        }
        assert_eq!(rounded(f64::INFINITY), i16::MAX);
    }
}
