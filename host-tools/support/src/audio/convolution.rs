//! Convolves samples by Fourier transforms. It lies here, beside the resampler, because the transforms' generic code is
//! compiled anew for each crate that calls them, which takes half a minute.

use realfft::num_complex::Complex;
use realfft::{FftError, RealFftPlanner};

use crate::error::{Error, Result};

/// Returns `signal` as it sounds behind this impulse response, of a room say; its length is the sum of both lengths.
pub fn convolve(signal: &[f64], response: &[f64]) -> Result<Vec<f64>> {
    let length = signal.len() + response.len();
    let mut planner = RealFftPlanner::<f64>::new();
    let (forward, inverse) = {
        let size = length.next_power_of_two();
        (
            planner.plan_fft_forward(size),
            planner.plan_fft_inverse(size),
        )
    };
    let failed =
        |error: FftError| Error::check(format!("convolution of {length} samples: {error}"));
    let spectrum = |samples: &[f64]| -> Result<Vec<Complex<f64>>> {
        let mut padded = forward.make_input_vec();
        padded[..samples.len()].copy_from_slice(samples);
        let mut spectrum = forward.make_output_vec();
        forward
            .process(&mut padded, &mut spectrum)
            .map_err(failed)?;
        Ok(spectrum)
    };
    let mut product = spectrum(signal)?;
    let response = spectrum(response)?;
    product.iter_mut().zip(response).for_each(|(a, b)| *a *= b);
    let mut samples = inverse.make_output_vec();
    inverse
        .process(&mut product, &mut samples)
        .map_err(failed)?;
    let scale = 1.0 / samples.len() as f64;
    samples.truncate(length);
    samples.iter_mut().for_each(|sample| *sample *= scale);
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn convolution_is_the_sum_of_delayed_copies() {
        let heard = convolve(&[1.0, 2.0, -1.0], &[0.5, 0.0, 0.25]).unwrap();
        let expected = [0.5, 1.0, -0.25, 0.5, -0.25, 0.0];
        for (heard, expected) in heard.iter().zip(expected) {
            assert!((heard - expected).abs() < 1e-12);
        }
        assert_eq!(heard.len(), 6);
    }
}
