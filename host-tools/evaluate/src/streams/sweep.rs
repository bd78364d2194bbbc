//! Runs the decoder over what was heard, at one setting after the other.

use rayon::prelude::*;
use zerda_firmware::Image;
use zerda_firmware::decoder::Word;
use zerda_support::audio::SAMPLE_RATE;

use super::make::Condition;
use super::pairs::PairTally;
use super::score::{Tally, judge};
use super::sources::Negative;
use super::track::Settings;
use super::{Heard, Mixed};

/// Returns the thresholds that are tried, Q0.8: 0.1 to 0.99, and every one from 0.9 on, where posteriors saturate.
pub fn grid() -> impl Iterator<Item = u8> {
    (26..=226).step_by(4).chain(230..=253)
}

/// Holds what one setting of the decoder gives.
#[derive(Clone, Debug)]
pub struct Point {
    pub settings: Settings,
    /// Number of false alarms in the negatives, by number of the label; with a gate commands count only while awake.
    pub false_alarms: Vec<u64>,
    /// Tallies of words, which are indexed by the number of the condition.
    pub tallies: Vec<Tally>,
    /// Tallies of pairs, which are indexed by the number of the condition; without a gate they are empty.
    pub pairs: Vec<PairTally>,
}

impl Point {
    /// Returns the number of false alarms of the labels whose thresholds are judged.
    pub fn all_false_alarms(&self) -> u64 {
        let judged = self.settings.judged();
        judged.map(|label| self.false_alarms[label]).sum()
    }

    /// Returns the number of false alarms of commands, where wake words are judged.
    pub fn false_commands(&self) -> u64 {
        self.false_alarms.iter().sum::<u64>() - self.all_false_alarms()
    }
}

/// Holds all that was heard, and what the same threshold for all commands gives, with one smoothing.
pub struct Sweep<'a> {
    pub image: &'a Image<'a>,
    pub conditions: &'a [Condition],
    streams: &'a [Mixed],
    pub negatives: &'a [Negative],
    /// Holds each threshold (Q0.8) and what it gives, rising.
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
        let mut pairs = vec![PairTally::default(); self.conditions.len()];
        for stream in self.streams {
            let detections = settings.heard(self.image, &stream.track);
            let judged = judge(&stream.words, detections);
            match settings.wake.as_ref().filter(|_| stream.pairs) {
                Some(wake) => pairs[stream.condition].add(wake, &stream.words, &judged),
                None => tallies[stream.condition].add(&stream.words, &judged),
            }
        }
        let mut false_alarms = vec![0; labels];
        for (_, detection) in self.alarms(&settings) {
            false_alarms[usize::from(detection.label)] += 1;
        }
        Point {
            settings,
            false_alarms,
            tallies,
            pairs,
        }
    }

    /// Returns what is detected in the negatives; with a gate only what counts.
    pub fn alarms(&self, settings: &Settings) -> impl Iterator<Item = (&'a Negative, Word)> {
        self.negatives.iter().flat_map(move |negative| {
            let detections = settings.heard(self.image, &negative.track);
            detections
                .into_iter()
                .map(move |detection| (negative, detection))
        })
    }

    pub fn hours(&self) -> f64 {
        Negative::hours(self.negatives)
    }

    /// Returns the hours and the clipped samples of the streams of a condition.
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

    /// Returns the point of the lowest threshold from which on all points have no more false alarms than the rate
    /// allows; `None` if the highest has more.
    pub fn target(&self, per_hour: f64) -> Option<&Point> {
        let allowed = per_hour * self.hours();
        let good = |(_, point): &&(u8, Point)| point.all_false_alarms() as f64 <= allowed;
        let good = self.points.iter().rev().take_while(good);
        good.last().map(|(_, point)| point)
    }

    /// Finds for each wake word the lowest threshold from which on it by itself has no more false alarms than the rate
    /// allows, and returns their point; `None` if a wake word has no such threshold.
    pub fn each_target(&self, own: &Settings, per_hour: f64) -> Option<Point> {
        let allowed = per_hour * self.hours();
        let mut settings = own.clone();
        for label in own.judged() {
            let good = |(_, point): &&(u8, Point)| point.false_alarms[label] as f64 <= allowed;
            let (threshold, _) = self.points.iter().rev().take_while(good).last()?;
            settings.thresholds[label] = *threshold;
        }
        // One wake word may have kept another away at the thresholds that were shared.
        loop {
            let point = self.at(settings.clone());
            let over = |&label: &usize| point.false_alarms[label] as f64 > allowed;
            let Some(label) = own.judged().find(over) else {
                return Some(point);
            };
            let mut higher = self.points.iter().map(|(threshold, _)| *threshold);
            settings.thresholds[label] =
                higher.find(|&threshold| threshold > settings.thresholds[label])?;
        }
    }
}
