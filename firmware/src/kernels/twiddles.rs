//! These are the twiddle factors of the Fourier transform, rounded once from 64 bits.

use core::f64::consts::TAU;

use crate::kernels::limits::FFT;

/// Holds -sin(2 pi i / 512) for a quarter of a turn.
pub static SINES: [f32; FFT / 4 + 1] = {
    let mut sines = [0.0; _];
    let mut i = 0;
    while i < sines.len() {
        sines[i] = minus_sine(i);
        i += 1;
    }
    sines
};

/// Returns e^(-2 pi i step / 512), of half a turn.
pub const fn twiddle(step: usize) -> [f32; 2] {
    if step < FFT / 4 {
        [-minus_sine(FFT / 4 - step), minus_sine(step)]
    } else {
        [minus_sine(step - FFT / 4), minus_sine(FFT / 2 - step)]
    }
}

/// Returns -sin(2 pi step / 512), of a quarter of a turn, by its series.
const fn minus_sine(step: usize) -> f32 {
    let x = TAU * step as f64 / FFT as f64;
    let (mut sum, mut term, mut n) = (0.0, x, 1);
    while n < 30 {
        sum -= term;
        term *= -x * x / ((n + 1) * (n + 2)) as f64;
        n += 2;
    }
    sum as f32
}
