//! Models how a word sounds in a room, some metres away, by the image method of Allen and Berkley (Image method for
//! efficiently simulating small-room acoustics, JASA 65(4), 1979). Delays are rounded to samples, and the high-pass
//! filter is that of the paper. The walls' absorption is chosen so that the response decays by 60 dB in the time that
//! was asked for.

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;

use zerda_support::audio::SAMPLE_RATE;

/// Speed of sound in metres a second, which holds at 20 °C.
const SOUND: f64 = 343.0;
/// Number of times that the absorption is corrected by the decay that it gave.
const CORRECTIONS: usize = 4;

/// A shoe box that holds a talker and a microphone; lengths are in metres.
#[derive(Clone, Debug, PartialEq)]
pub struct Room {
    pub size: [f64; 3],
    pub talker: [f64; 3],
    pub microphone: [f64; 3],
    /// Time in seconds in which sound decays by 60 dB.
    pub rt60: f64,
}

impl Room {
    /// Draws a room of 3 to 6 by 3 to 5 by 2.4 to 3 m with an RT60 of 0.3 to 0.6 s. The talker is 1 to 3 m from the
    /// microphone, and both are half a metre from the walls or more.
    pub fn draw(random: &mut Xoshiro256PlusPlus) -> Room {
        let size = [
            random.random_range(3.0..6.0),
            random.random_range(3.0..5.0),
            random.random_range(2.4..3.0),
        ];
        let rt60 = random.random_range(0.3..0.6);
        loop {
            let mut place = || size.map(|length| random.random_range(0.5..length - 0.5));
            let (talker, microphone) = (place(), place());
            if (1.0..3.0).contains(&distance(talker, microphone)) {
                return Room {
                    size,
                    talker,
                    microphone,
                    rt60,
                };
            }
        }
    }

    /// Returns the impulse response at 16 kHz, from the direct sound on, which is 1 before the filter.
    pub fn response(&self) -> Vec<f64> {
        let [x, y, z] = self.size;
        let (volume, surface) = (x * y * z, 2.0 * (x * y + y * z + z * x));
        // Eyring's formula is where to begin: it holds for diffuse sound, which a shoe box's is not.
        let mut exponent = 0.161 * volume / (surface * self.rt60);
        let mut response = self.heard(exponent);
        for _ in 0..CORRECTIONS {
            exponent *= decay_time(&response) / self.rt60;
            response = self.heard(exponent);
        }
        response
    }

    /// Returns the impulse response, filtered, of walls that reflect `exp(-exponent)` of the energy.
    fn heard(&self, exponent: f64) -> Vec<f64> {
        let mut response = self.reflections(exponent);
        high_pass(&mut response);
        response
    }

    /// Returns the impulse response, not filtered, of walls that reflect `exp(-exponent)` of the energy.
    fn reflections(&self, exponent: f64) -> Vec<f64> {
        let length = (self.rt60 * f64::from(SAMPLE_RATE)) as usize;
        let direct = distance(self.talker, self.microphone);
        let farthest = direct + length as f64 / f64::from(SAMPLE_RATE) * SOUND;
        // Distance along an axis and reflections, of each image.
        let axes: Vec<Vec<(f64, i32)>> = (0..3)
            .map(|axis| {
                let (size, from, to) = (self.size[axis], self.talker[axis], self.microphone[axis]);
                let rooms = (farthest / (2.0 * size)).ceil() as i32;
                let images = (-rooms..=rooms).flat_map(|n| {
                    let moved = 2.0 * f64::from(n) * size;
                    [
                        (moved + from - to, 2 * n.abs()),
                        (moved - from - to, (n - 1).abs() + n.abs()),
                    ]
                });
                images.collect()
            })
            .collect();
        let mut response = vec![0.0; length];
        for &(x, x_walls) in &axes[0] {
            for &(y, y_walls) in &axes[1] {
                for &(z, z_walls) in &axes[2] {
                    let distance = (x * x + y * y + z * z).sqrt();
                    let delay = (distance - direct) / SOUND * f64::from(SAMPLE_RATE);
                    if let Some(sample) = response.get_mut(delay.round() as usize) {
                        let walls = f64::from(x_walls + y_walls + z_walls);
                        *sample += direct / distance * (-0.5 * exponent * walls).exp();
                    }
                }
            }
        }
        response
    }
}

fn distance(a: [f64; 3], b: [f64; 3]) -> f64 {
    let squares = a.iter().zip(b).map(|(a, b)| (a - b).powi(2));
    squares.sum::<f64>().sqrt()
}

/// Returns the RT60 in seconds, from the decay between 5 and 25 dB down (T20 of ISO 3382-2), by Schroeder's backward
/// integration.
fn decay_time(response: &[f64]) -> f64 {
    let mut energy: Vec<f64> = response.iter().map(|sample| sample * sample).collect();
    for at in (0..energy.len().saturating_sub(1)).rev() {
        energy[at] += energy[at + 1];
    }
    let first = energy.first().copied().unwrap_or_default();
    let below = |db: f64| energy.partition_point(|&energy| energy > first * 10f64.powf(-db / 10.0));
    (below(25.0) - below(5.0)) as f64 * 3.0 / f64::from(SAMPLE_RATE)
}

/// Applies the paper's filter at 100 Hz: images that are all positive add up to a slow pressure that no room has.
fn high_pass(response: &mut [f64]) {
    let angle = std::f64::consts::TAU * 100.0 / f64::from(SAMPLE_RATE);
    let r = (-angle).exp();
    let (b1, b2, a1) = (2.0 * r * angle.cos(), -r * r, -(1.0 + r));
    let (mut y1, mut y2) = (0.0, 0.0);
    for sample in response {
        let y0 = b1 * y1 + b2 * y2 + *sample;
        *sample = y0 + a1 * y1 + r * y2;
        (y1, y2) = (y0, y1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn a_room_decays_in_the_time_asked_for() {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
        for _ in 0..3 {
            let room = Room::draw(&mut random);
            assert!((0.3..0.6).contains(&room.rt60));
            let measured = decay_time(&room.response());
            assert!(
                (measured / room.rt60 - 1.0).abs() < 0.15,
                "{measured} of {}",
                room.rt60
            );
        }
    }

    /// Floor and ceiling alone, of 2 m and 3 m: by hand.
    #[test]
    fn reflections_come_when_geometry_says() {
        let room = Room {
            size: [50.0, 60.0, 3.0],
            talker: [25.0, 29.0, 1.0],
            microphone: [25.0, 31.0, 1.0],
            rt60: 0.012,
        };
        let exponent = 2.0 * 2f64.ln(); // half the pressure
        let response = room.reflections(exponent);
        let heard: Vec<(usize, f64)> = (response.iter().copied().enumerate())
            .filter(|(_, sample)| *sample != 0.0)
            .collect();
        // Direct: 2 m. Floor: sqrt(4 + 4) m, 38.64 samples later; ceiling: sqrt(4 + 16) m, 115.3 later.
        let expected = [
            (0, 1.0),
            (39, 0.5 * 2.0 / 8f64.sqrt()),
            (115, 0.5 * 2.0 / 20f64.sqrt()),
        ];
        for ((at, sample), (expected_at, expected)) in heard.iter().zip(expected) {
            assert_eq!(*at, expected_at);
            assert!((sample - expected).abs() < 1e-12);
        }
        assert!(heard.len() >= 3);
    }
}
