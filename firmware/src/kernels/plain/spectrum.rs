//! This module has what the front end computes in 32-bit floating point: power spectrum, mel filters and
//! logarithms. The order of operations is part of it: other kernels compute the same bits.

use crate::kernels::limits::{BINS, FFT};
use crate::kernels::{Filters, LEAST};

/// Writes the energy under each filter, of the Fourier transform of samples (signed 16 bit), to `sums`. Each
/// sample is multiplied by its weight in `window`; those behind the last are 0.
///
/// No number is subnormal, as samples are integers.
#[inline(never)] // its buffers leave the stack before the network runs
pub fn filter_bank(samples: &[i16], window: &[f32], filters: Filters<'_>, sums: &mut [f32]) {
    sum_bands(&power_spectrum(samples, window), filters, sums);
}

/// Writes the energy under each filter, of the power of each bin, to `sums`.
pub fn sum_bands(powers: &[f32; BINS], filters: Filters<'_>, sums: &mut [f32]) {
    sums.fill(0.0);
    // The two sums that grow stay in registers while the band is the same.
    let (mut last, mut both) = (-1i32, [0.0; 2]);
    let bins = powers.iter().zip(filters.weights).zip(filters.bands);
    for ((power, weight), &band) in bins {
        let band = band.into();
        if band != last {
            exchange(sums, last, |sum, growing| *sum = *growing, &mut both);
            exchange(sums, band, |sum, growing| *growing = *sum, &mut both);
            last = band;
        }
        let [falling, rising] = &mut both;
        *rising += weight * power;
        *falling += (1.0 - weight) * power;
    }
    exchange(sums, last, |sum, growing| *sum = *growing, &mut both);
}

/// Returns the power of each bin.
fn power_spectrum(samples: &[i16], window: &[f32]) -> [f32; BINS] {
    let mut spectrum = [0.0; FFT];
    let windowed = samples.iter().zip(window);
    for (slot, (&sample, &weight)) in spectrum.iter_mut().zip(windowed) {
        *slot = f32::from(sample) * weight;
    }
    // Both ends of the spectrum are real; the transform packs them into one number.
    let [ends, inner @ ..] = microfft::real::rfft_512(&mut spectrum);
    let mut powers = [0.0; BINS];
    let [first, others @ .., last] = &mut powers;
    (*first, *last) = (ends.re * ends.re, ends.im * ends.im);
    for (power, bin) in others.iter_mut().zip(inner) {
        *power = bin.re * bin.re + bin.im * bin.im;
    }
    powers
}

/// Calls `copy` with the sums of the filters in whose falling and rising halves a band lies, as far as there
/// are such filters, and with `both`.
fn exchange(sums: &mut [f32], band: i32, copy: impl Fn(&mut f32, &mut f32), both: &mut [f32; 2]) {
    let Ok(band) = usize::try_from(band) else {
        return;
    };
    for (filter, growing) in [band.wrapping_sub(1), band].into_iter().zip(both) {
        if let Some(sum) = sums.get_mut(filter) {
            copy(sum, growing);
        }
    }
}

/// Replaces each value by its logarithm, or by that of `LEAST` if that is more.
pub fn logarithms(values: &mut [f32]) {
    for value in values {
        // Not `max`, which calls a function on some cores.
        *value = libm::logf(if *value > LEAST { *value } else { LEAST });
    }
}
