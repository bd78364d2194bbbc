//! Mixes the channels of a recording to one, and notices what may be wrong with it.

use super::Layout;
use super::error::AudioError;
use super::pcm::FULL_SCALE;

/// Samples at full scale in a row, of one channel, that count as clipped.
const CLIPPED_RUN: u32 = 3;
/// Share of clipped samples above which it is said.
const CLIPPED: f64 = 0.002;
/// Factor of full scale above which it is said, and up to which it counts as clipping: decoders overshoot a little.
const BEYOND: f64 = 1.9;
/// Share of the energy below which channels cancel each other out; those that have nothing in common keep all of it.
const CANCELLED: f64 = 0.1;
/// Power of channels, in units of 16-bit samples squared, that is silence.
const SILENCE: f64 = 100.0;

/// Averages the channels, or takes one of them.
pub struct Mixer {
    layout: Layout,
    channel: Option<usize>,
    /// Number of frames that were mixed.
    frames: u64,
    /// For each channel, how many samples in a row were at full scale.
    runs: Vec<u32>,
    clipped: u64,
    peak: f64,
    /// Energy of all channels, and of their sum.
    energy: f64,
    mixed: f64,
}

impl Mixer {
    /// Makes a mixer of all channels, or for one, counted from 1.
    pub fn new(layout: Layout, channel: Option<usize>) -> Result<Mixer, AudioError> {
        let found = layout.channels;
        match channel {
            Some(wanted) if !(1..=found).contains(&wanted) => {
                return Err(AudioError::Channel { wanted, found });
            }
            _ if found == 0 => return Err(AudioError::damaged("it has no channel")),
            _ => {}
        }
        Ok(Mixer {
            layout,
            channel: channel.map(|channel| channel - 1),
            frames: 0,
            runs: vec![0; found],
            clipped: 0,
            peak: 0.0,
            energy: 0.0,
            mixed: 0.0,
        })
    }

    /// Mixes whole frames, interleaved, in units of 16-bit samples.
    pub fn mix(&mut self, interleaved: &[f64], mono: &mut Vec<f64>) -> Result<(), AudioError> {
        let channels = self.layout.channels;
        for frame in interleaved.chunks_exact(channels) {
            let mut sum = 0.0;
            for (&sample, run) in frame.iter().zip(&mut self.runs) {
                if !sample.is_finite() {
                    return Err(AudioError::NotFinite(self.frames));
                }
                sum += sample;
                self.energy += sample * sample;
                let size = sample.abs();
                self.peak = self.peak.max(size);
                if size < self.layout.top {
                    *run = 0;
                    continue;
                }
                *run = run.saturating_add(1);
                match *run {
                    ..CLIPPED_RUN => {}
                    CLIPPED_RUN => self.clipped += u64::from(CLIPPED_RUN),
                    _ => self.clipped += 1,
                }
            }
            self.mixed += sum * sum;
            self.frames += 1;
            mono.push(match self.channel {
                None => sum / channels as f64,
                Some(channel) => frame[channel],
            });
        }
        Ok(())
    }

    /// Says what may be wrong, each thing once.
    pub fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        let samples = self.frames as f64 * self.layout.channels as f64;
        let clipped = self.clipped as f64 / samples.max(1.0);
        if self.peak > BEYOND * FULL_SCALE {
            remarks.push(format!(
                "samples reach {:.3} times full scale and are cut off there: scale them to -1 to 1",
                self.peak / FULL_SCALE
            ));
        } else if clipped >= CLIPPED {
            remarks.push(format!(
                "{:.1} % of its samples are clipped: record it with less gain",
                100.0 * clipped
            ));
        }
        let averaged = self.channel.is_none() && self.layout.channels > 1;
        if averaged && self.energy > SILENCE * samples && self.mixed < CANCELLED * self.energy {
            remarks.push(
                "its channels cancel each other out where they are averaged: keep one of them, as with \
                 `ffmpeg -i IN -af 'pan=mono|c0=c0' OUT.wav`, or hear one by `zerda run --channel 1`"
                    .into(),
            );
        }
        remarks
    }
}
