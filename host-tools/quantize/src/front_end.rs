//! Computes the tables of the device's front end in the form that it reads.

use zerda_support::config::FrontEnd;

/// Returns a periodic Hann window of `front_end.window` samples.
pub fn window(front_end: &FrontEnd) -> Vec<f32> {
    let length = f64::from(front_end.window);
    let value = |i: u16| 0.5 - 0.5 * (std::f64::consts::TAU * f64::from(i) / length).cos();
    (0..front_end.window).map(|i| value(i) as f32).collect()
}

/// Returns for each FFT bin the triangular mel filter in whose rising half it lies, and its weight there.
/// One minus that is its weight in the falling half of the filter before. A bin outside of all filters has
/// -1.
pub fn mel_filters(front_end: &FrontEnd) -> (Vec<i8>, Vec<f32>) {
    // HTK's mel scale.
    let mel = |hz: f64| 2595.0 * (1.0 + hz / 700.0).log10();
    let hz = |mel: f64| 700.0 * (10f64.powf(mel / 2595.0) - 1.0);
    let (low, high) = (mel(front_end.fmin.into()), mel(front_end.fmax.into()));
    let halves = f64::from(front_end.mels) + 1.0;
    let edge = |i: u16| hz(low + (high - low) * f64::from(i) / halves);
    let bin = |k: u16| {
        let hz = f64::from(k) * f64::from(front_end.sample_rate) / f64::from(front_end.fft);
        let half = (0..=front_end.mels).find(|&i| (edge(i)..edge(i + 1)).contains(&hz));
        half.map_or((-1, 0.0), |i| {
            (i as i8, ((hz - edge(i)) / (edge(i + 1) - edge(i))) as f32)
        })
    };
    (0..=front_end.fft / 2).map(bin).unzip()
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerda_support::config::Config;

    #[test]
    fn the_window_is_a_periodic_hann() {
        let window = window(&Config::load(None).unwrap().models.front_end);
        assert_eq!(window.len(), 400);
        assert_eq!(
            (window[0], window[100], window[200], window[300]),
            (0.0, 0.5, 1.0, 0.5)
        );
    }

    #[test]
    fn bins_lie_between_the_edges_of_the_mel_scale() {
        let (bands, weights) = mel_filters(&Config::load(None).unwrap().models.front_end);
        assert_eq!((bands.len(), weights.len()), (257, 257));
        // 31.25 Hz is below 60 Hz, 62.5 Hz above; 7593.75 Hz is below 7600 Hz, 7625 Hz above.
        assert_eq!(
            (bands[1], bands[2], bands[243], bands[244]),
            (-1, 0, 40, -1)
        );
        // mel(60) = 92.682, mel(7600) = 2786.978, 65.7145 apart: the first edges are 60 and 105.633 Hz.
        let expected = (62.5 - 60.0) / (105.633 - 60.0);
        assert!(
            (weights[2] - expected).abs() < 1e-3,
            "{} {expected}",
            weights[2]
        );
        assert!(bands[2..244].is_sorted());
    }
}
