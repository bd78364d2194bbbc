//! `zerda tune` chooses thresholds and smoothing for as few false alarms an hour as wanted, on recordings of the
//! surroundings that the device will hear.
//!
//! `tail.rs` says how often a command is falsely detected at a threshold, `choose.rs` finds the thresholds,
//! `report.rs` says what they give, and `rewrite.rs` puts them into the config and the image. With wake words it is
//! their thresholds that are chosen; commands count after them only, and keep theirs.

mod choose;
mod report;
mod rewrite;
mod tail;

use std::path::PathBuf;

use zerda_firmware::Image;
use zerda_support::clips::Wanted;
use zerda_support::config::{Budgets, Commands};
use zerda_support::error::{Error, Result};
use zerda_support::image_file::ImageFile;
use zerda_support::output;
use zerda_support::output::print;
use zerda_support::wake::{self, Words};

use crate::streams::bounds;
use crate::streams::make::Condition;
use crate::streams::sources::{self, Clips, Negative};
use crate::streams::sweep::Sweep;
use crate::streams::track::Settings;
use crate::streams::{Heard, Making};
use choose::Chosen;
use report::{Figures, TuningReport, delay_p95};

pub struct Options {
    pub image: PathBuf,
    /// Files, and folders of them, of sound that has no command in it.
    pub negatives: Vec<PathBuf>,
    /// Folder that has one folder a label; its words tell what thresholds cost.
    pub commands: Option<PathBuf>,
    /// False alarms an hour that all commands together may have; `None` is 0.5.
    pub fa_per_hour: Option<f64>,
    /// Wake words that take the place of the image's own; `None` leaves those of the image, if it has any.
    pub wake: Option<Words>,
    /// False wakes an hour that each wake word may have; `None` is 0.5.
    pub wakes_per_hour: Option<f64>,
    /// File that the tuned image is written to.
    pub output: Option<PathBuf>,
    /// Folder of the `commands.toml` that is written.
    pub config: Option<PathBuf>,
    pub json: bool,
}

/// Condition in which words are heard that tell what thresholds cost: in their surroundings, not in a studio.
const CONDITION: Condition = Condition {
    snr: Some(10.0),
    reverberant: false,
    level: -10.0,
    background: None,
};
/// False alarms or wakes an hour that are wanted, unless others are named.
const PER_HOUR: f64 = 0.5;
/// Smoothings in frames that are tried besides the image's own, where words tell what they cost.
const SMOOTHINGS: [u8; 9] = [1, 2, 3, 5, 8, 12, 16, 24, 32];

pub fn tune(options: &Options) -> Result<()> {
    let file = ImageFile::open(&options.image)?;
    let words = options.wake.as_ref();
    let gated = words.map(|words| wake::with_wake(&file, words));
    let gated = gated.transpose()?;
    let image = gated.as_ref().unwrap_or(&file).image()?;
    // A mistake in the config is told before the minutes that hearing takes.
    let config = options.config.as_deref();
    let config = config
        .map(|folder| Commands::load(Some(folder)))
        .transpose()?;
    let latency_ms = f64::from(Budgets::load(None)?.latency_ms.get());
    let files = sources::files(&options.negatives)?;
    let folders: Vec<_> = options.commands.iter().cloned().collect();
    let own = Settings::of(&image);
    let mut clips = match &folders[..] {
        [] => None,
        folders => Some(Clips::find(&image, folders, &Wanted::default())?),
    };
    if let Some(wake) = &own.wake {
        let found = clips.ok_or_else(|| {
            Error::usage("--commands: expected a folder with clips of each wake word, to tell what is missed")
        })?;
        clips = Some(found.gated(wake, &folders)?);
    }
    let (alarms, per_hour) = match (&own.wake, options.fa_per_hour, options.wakes_per_hour) {
        (Some(_), None, wanted) => ("wakes", wanted.unwrap_or(PER_HOUR)),
        (None, wanted, None) => ("alarms", wanted.unwrap_or(PER_HOUR)),
        (Some(_), ..) => {
            let message = "--fa-per-hour: the image has wake words, expected --wakes-per-hour";
            return Err(Error::usage(message));
        }
        (None, ..) => {
            let message = "--wakes-per-hour: the image has no wake words, expected --wake as well";
            return Err(Error::usage(message));
        }
    };
    let making = clips.as_ref().map(|clips| Making {
        scripts: clips.scripts(1, own.wake.as_ref()),
        noise: &[],
        speech: &files,
        conditions: &[CONDITION],
        seed: 1,
    });
    let negatives = sources::negatives(&image, &files)?;
    if negatives.len() < files.len() {
        return Err(Error::Reported);
    }
    let hours = Negative::hours(&negatives);
    let resolved = bounds::resolved(alarms, per_hour, hours)?;
    let resolved = resolved.map(|note| note + "; the thresholds rest on extrapolation");
    let notes = resolved.into_iter().collect();
    let heard = match &making {
        Some(making) => making.streams(&image)?,
        None => Heard::default(),
    };
    let report = Tuning {
        image: &image,
        negatives,
        heard: &heard,
        per_hour,
        latency_ms,
    }
    .report(own, notes);
    let (report, settings) = report?;
    if report.met {
        let tuned = rewrite::image(&file, &settings)?;
        let config = config.as_ref().map(|commands| {
            let (path, text) = commands.source();
            let remarks = report.after.remarks(hours);
            let text = rewrite::config(path, text, &image, &settings, &remarks)?;
            Ok((path, text))
        });
        let config = config.transpose()?;
        if let Some(path) = &options.output {
            output::write(path, tuned.bytes())?;
        }
        if let Some((path, text)) = config {
            output::replace(path, text.as_bytes())?;
        }
    }
    match options.json {
        true => print(&serde_json::to_string(&report).map_err(|e| Error::check(e.to_string()))?)?,
        false => print(report.text(options).trim_end())?,
    }
    if !report.met {
        return Err(Error::check(format!(
            "no thresholds up to 0.99 give {per_hour} false {alarms} an hour, {:.1} are expected of the highest: \
             nothing was written; {}",
            report.expected_per_hour,
            match (&report.wake_words, &options.commands) {
                (Some(_), _) => "give a higher --wakes-per-hour, or train with such recordings",
                (None, None) =>
                    "give --commands, so that longer smoothings are tried, or a higher --fa-per-hour",
                (None, Some(_)) => "give a higher --fa-per-hour, or train with such recordings",
            }
        )));
    }
    match heard.unreadable {
        0 => Ok(()),
        _ => Err(Error::Reported),
    }
}

struct Tuning<'a> {
    image: &'a Image<'a>,
    negatives: Vec<Negative>,
    heard: &'a Heard,
    per_hour: f64,
    latency_ms: f64,
}

impl Tuning<'_> {
    /// Chooses smoothing and thresholds, and reports what they give.
    fn report(&self, own: Settings, notes: Vec<String>) -> Result<(TuningReport, Settings)> {
        let mut smoothings = vec![own.smoothing];
        // With a gate the commands' thresholds stay, which are for this smoothing.
        if !self.heard.streams.is_empty() && own.wake.is_none() {
            smoothings.extend(
                SMOOTHINGS
                    .into_iter()
                    .filter(|&frames| frames != own.smoothing),
            );
        }
        let (mut best, mut before) = (None::<(u64, Chosen)>, None);
        for smoothing in smoothings {
            let settings = Settings {
                smoothing,
                ..own.clone()
            };
            let sweep = Sweep::of(
                self.image,
                &settings,
                std::slice::from_ref(&CONDITION),
                self.heard,
                &self.negatives,
            );
            let chosen = choose::choose(&sweep, &settings, self.per_hour);
            if best.is_none() {
                let at = sweep.at(own.clone());
                before = Some(Figures::of(self.image, &at, sweep.hours()));
            }
            let tally = chosen.point.tallies[0].all();
            let misses = tally.misses();
            let late = delay_p95(&tally.delays_ms).is_some_and(|p95| p95 > self.latency_ms);
            // The image's own smoothing comes first: only a better one takes its place.
            let better = |(least, best): &(u64, Chosen)| match (chosen.met, best.met) {
                (true, true) => misses < *least,
                (false, false) => chosen.expected_per_hour() < best.expected_per_hour(),
                (met, _) => met,
            };
            if best.as_ref().is_none_or(|best| !late && better(best)) {
                best = Some((misses, chosen));
            }
        }
        let (Some((_, chosen)), Some(before)) = (best, before) else {
            return Err(Error::check("no smoothing was tried"));
        };
        let hours = Negative::hours(&self.negatives);
        let names: Vec<_> = self.image.labels().map(|label| label.name).collect();
        let report = TuningReport {
            basis: "measured: the INT8 image in the firmware crate and its decoder, on this machine; \
                    expected_per_hour: estimated",
            fa_per_hour: self.per_hour,
            wake_words: (own.wake.as_ref())
                .map(|_| own.judged().map(|label| names[label].to_string()).collect()),
            hours,
            files: self.negatives.len(),
            before,
            after: Figures::of(self.image, &chosen.point, hours),
            expected_per_hour: chosen.expected_per_hour(),
            expected_by_command: (chosen.expected.iter())
                .map(|&(label, rate)| (names[label].to_string(), rate.into()))
                .collect(),
            met: chosen.met,
            notes,
        };
        Ok((report, chosen.point.settings))
    }
}
