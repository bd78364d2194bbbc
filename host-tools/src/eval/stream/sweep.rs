//! The decoder over what was heard, at one setting after the other.

use rayon::prelude::*;
use zerda_firmware::Image;
use zerda_firmware::decoder::Word;

use super::make::Condition;
use super::score::{Tally, judge};
use super::sources::Negative;
use super::track::Settings;
use super::{Heard, Mixed};
use crate::audio::SAMPLE_RATE;

/// Thresholds that are tried, Q0.8: 0.1 to 0.99, every one where posteriors saturate.
pub fn grid() -> impl Iterator<Item = u8> {
    (26..=226).step_by(4).chain(230..=253)
}

/// What a setting gives.
#[derive(Clone, Debug)]
pub struct Point {
    pub settings: Settings,
    /// False alarms in the negatives, by number of the label.
    pub false_alarms: Vec<u64>,
    /// By number of the condition.
    pub tallies: Vec<Tally>,
}

impl Point {
    pub fn all_false_alarms(&self) -> u64 {
        self.false_alarms.iter().sum()
    }
}

/// All that was heard, and what the same threshold for all commands gives, with one smoothing.
pub struct Sweep<'a> {
    pub image: &'a Image<'a>,
    pub conditions: &'a [Condition],
    streams: &'a [Mixed],
    pub negatives: &'a [Negative],
    /// Threshold and what it gives, rising.
    pub points: Vec<(u8, Point)>,
}

impl<'a> Sweep<'a> {
    pub fn of(
        image: &'a Image<'a>,
        settings: &Settings,
        conditions: &'a [Condition],
        heard: &'a Heard,
        negatives: &'a [Negative],
    ) -> Sweep<'a> {
        let mut sweep = Sweep {
            image,
            conditions,
            streams: &heard.streams,
            negatives,
            points: Vec::new(),
        };
        let thresholds: Vec<u8> = grid().collect();
        let points = thresholds.into_par_iter();
        sweep.points = points
            .map(|threshold| (threshold, sweep.at(settings.shared(threshold))))
            .collect();
        sweep
    }

    pub fn at(&self, settings: Settings) -> Point {
        let labels = usize::from(self.image.manifest().classes);
        let mut tallies = vec![Tally::new(labels); self.conditions.len()];
        for stream in self.streams {
            let detections = stream.track.detections(settings.decoder(self.image));
            tallies[stream.condition].add(&stream.words, &judge(&stream.words, detections));
        }
        let mut false_alarms = vec![0; labels];
        for (_, detection) in self.alarms(&settings) {
            false_alarms[usize::from(detection.label)] += 1;
        }
        Point {
            settings,
            false_alarms,
            tallies,
        }
    }

    /// What is detected in the negatives.
    pub fn alarms(&self, settings: &Settings) -> impl Iterator<Item = (&'a Negative, Word)> {
        self.negatives.iter().flat_map(move |negative| {
            let detections = negative.track.detections(settings.decoder(self.image));
            detections
                .into_iter()
                .map(move |detection| (negative, detection))
        })
    }

    pub fn hours(&self) -> f64 {
        Negative::hours(self.negatives)
    }

    /// Hours and clipped samples of the streams of a condition.
    pub fn length(&self, condition: usize) -> (f64, u64) {
        let streams = self
            .streams
            .iter()
            .filter(|stream| stream.condition == condition);
        let sum = streams.fold((0, 0), |(samples, clipped), stream| {
            (samples + stream.samples, clipped + stream.clipped)
        });
        (sum.0 as f64 / f64::from(SAMPLE_RATE) / 3600.0, sum.1)
    }

    /// The lowest threshold from which on all have no more false alarms than the rate allows.
    pub fn target(&self, per_hour: f64) -> Option<&(u8, Point)> {
        let allowed = per_hour * self.hours();
        let good = |(_, point): &&(u8, Point)| point.all_false_alarms() as f64 <= allowed;
        self.points.iter().rev().take_while(good).last()
    }
}
