//! `zerda tune`: thresholds and smoothing for as few false alarms an hour as wanted, on recordings of the
//! surroundings that the device will hear.
//!
//! [`tail`] says how often a command is falsely detected at a threshold, [`choose`] finds the thresholds, and
//! [`rewrite`] puts them into the config and the image.

mod choose;
mod rewrite;
mod tail;

use std::path::PathBuf;

use serde::Serialize;
use zerda_firmware::Image;

use crate::config::{Budgets, Commands};
use crate::error::{Error, Result};
use crate::eval::stream::bounds::poisson_upper;
use crate::eval::stream::make::Condition;
use crate::eval::stream::sources::{self, Clips, Negative};
use crate::eval::stream::summary::{RESOLVED, percentile};
use crate::eval::stream::sweep::{Point, Sweep};
use crate::eval::stream::track::Settings;
use crate::eval::stream::{Heard, Making};
use crate::image_file::ImageFile;
use crate::output;
use crate::run::print;
use choose::Chosen;

pub struct Options {
    pub image: PathBuf,
    /// Sound without commands: files, and folders of them.
    pub negatives: Vec<PathBuf>,
    /// A labelled folder.
    pub commands: Option<PathBuf>,
    pub fa_per_hour: f64,
    /// The image to write.
    pub output: Option<PathBuf>,
    /// The folder of the `commands.toml` to write.
    pub config: Option<PathBuf>,
    pub json: bool,
}

/// Words to tell what thresholds cost are heard so: in their surroundings, not in a studio.
const CONDITION: Condition = Condition {
    snr: Some(10.0),
    reverberant: false,
    level: -10.0,
};
/// Other smoothings that are tried where words tell what they cost.
const SMOOTHINGS: [u8; 9] = [1, 2, 3, 5, 8, 12, 16, 24, 32];
/// Fewer expected events than this are beyond what a tail of the highest posteriors can be trusted to tell.
const HOPELESS: f64 = 0.2;

#[derive(Serialize)]
struct Report {
    basis: &'static str,
    fa_per_hour: f64,
    hours: f64,
    files: usize,
    before: Figures,
    after: Figures,
    /// Of the tails, on other audio of the kind.
    expected_per_hour: f64,
    met: bool,
    notes: Vec<String>,
}

/// What settings give on what was heard.
#[derive(Serialize)]
struct Figures {
    smoothing: u8,
    thresholds: serde_json::Map<String, serde_json::Value>,
    false_alarms: u64,
    per_hour: f64,
    per_hour_upper: f64,
    by_command: serde_json::Map<String, serde_json::Value>,
    words: Option<u64>,
    misses: Option<u64>,
    miss_rate: Option<f64>,
    delay_p95_ms: Option<f64>,
}

pub fn tune(options: &Options) -> Result<()> {
    let file = ImageFile::open(&options.image)?;
    let image = file.image()?;
    // Before the minutes that hearing takes.
    let config = options.config.as_deref();
    let config = config
        .map(|folder| Commands::load(Some(folder)))
        .transpose()?;
    let latency_ms = f64::from(Budgets::load(None)?.latency_ms.get());
    let files = sources::files(&options.negatives)?;
    let clips = options.commands.as_deref();
    let clips = clips
        .map(|folder| Clips::find(&image, folder, None))
        .transpose()?;
    let making = clips.as_ref().map(|clips| Making {
        clips,
        noise: &[],
        speech: &files,
        conditions: &[CONDITION],
        seed: 1,
    });
    let scripts = making.as_ref().map_or(0, |making| making.scripts().len());
    let progress = sources::progress(files.len() + scripts);
    let memory = || vec![0i8; image.memory_bytes()];
    let negatives = sources::negatives(&image, memory, &files, &progress);
    if negatives.len() < files.len() {
        return Err(Error::Reported);
    }
    let hours = Negative::hours(&negatives);
    let notes = resolved(options.fa_per_hour, hours)?;
    let heard = match &making {
        Some(making) => making.streams(&image, memory, &progress)?,
        None => Heard::default(),
    };
    progress.finish_and_clear();
    let report = Tuning {
        image: &image,
        negatives,
        heard: &heard,
        fa_per_hour: options.fa_per_hour,
        latency_ms,
    }
    .report(notes);
    let (report, settings) = report?;
    if report.met {
        let tuned = rewrite::image(&file, &settings)?;
        let config = config.as_ref().map(|commands| {
            let (path, text) = commands.source();
            Ok((path, rewrite::config(path, text, &image, &settings)?))
        });
        let config = config.transpose()?;
        if let Some(path) = &options.output {
            output::write(path, tuned.bytes())?;
        }
        if let Some((path, text)) = config {
            output::write(path, text.as_bytes())?;
        }
    }
    match options.json {
        true => print(&serde_json::to_string(&report).map_err(|e| Error::check(e.to_string()))?)?,
        false => print(report.text(options).trim_end())?,
    }
    if !report.met {
        return Err(Error::check(format!(
            "no thresholds up to 0.99 give {} false alarms an hour, {:.1} are expected of the highest: nothing was \
             written; {}",
            options.fa_per_hour,
            report.expected_per_hour,
            match options.commands {
                None =>
                    "give --commands, so that longer smoothings are tried, or a higher --fa-per-hour",
                Some(_) => "give a higher --fa-per-hour, or train with such recordings",
            }
        )));
    }
    match heard.unreadable {
        0 => Ok(()),
        _ => Err(Error::Reported),
    }
}

/// What the hours can tell of a rate, or why they cannot.
fn resolved(per_hour: f64, hours: f64) -> Result<Vec<String>> {
    let expected = per_hour * hours;
    let needed = RESOLVED / per_hour;
    if expected < HOPELESS {
        return Err(Error::usage(format!(
            "{hours:.2} h of negatives cannot tell {per_hour} false alarms an hour: give {needed:.1} h, {:.1} h at \
             least, or a higher --fa-per-hour",
            HOPELESS / per_hour
        )));
    }
    let few = expected < RESOLVED;
    let note = format!(
        "{per_hour} false alarms an hour are {expected:.1} in {hours:.2} h of negatives: the thresholds rest on \
         extrapolation; {needed:.1} h would tell that rate"
    );
    Ok(few.then_some(note).into_iter().collect())
}

struct Tuning<'a> {
    image: &'a Image<'a>,
    negatives: Vec<Negative>,
    heard: &'a Heard,
    fa_per_hour: f64,
    latency_ms: f64,
}

impl Tuning<'_> {
    /// What was chosen, and what it gives.
    fn report(&self, notes: Vec<String>) -> Result<(Report, Settings)> {
        let own = Settings::of(self.image);
        let mut smoothings = vec![own.smoothing];
        if !self.heard.streams.is_empty() {
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
                thresholds: own.thresholds.clone(),
            };
            let sweep = Sweep::of(
                self.image,
                &settings,
                std::slice::from_ref(&CONDITION),
                self.heard,
                &self.negatives,
            );
            let chosen = choose::choose(&sweep, &settings, self.fa_per_hour);
            if best.is_none() {
                before = Some(self.figures(&sweep.at(own.clone()), sweep.hours()));
            }
            let tally = chosen.point.tallies[0].all();
            let misses = tally.misses();
            let late = delay_p95(&tally.delays_ms).is_some_and(|p95| p95 > self.latency_ms);
            // The image's own smoothing comes first: only a better one takes its place.
            let better = |(least, best): &(u64, Chosen)| match (chosen.met, best.met) {
                (true, true) => misses < *least,
                (false, false) => chosen.expected_per_hour < best.expected_per_hour,
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
        let report = Report {
            basis: "measured: the INT8 image in the firmware crate and its decoder, on this machine; \
                    expected_per_hour: estimated",
            fa_per_hour: self.fa_per_hour,
            hours,
            files: self.negatives.len(),
            before,
            after: self.figures(&chosen.point, hours),
            expected_per_hour: chosen.expected_per_hour,
            met: chosen.met,
            notes,
        };
        Ok((report, chosen.point.settings))
    }

    fn figures(&self, point: &Point, hours: f64) -> Figures {
        let names: Vec<_> = self
            .image
            .labels()
            .map(|label| label.name.to_string())
            .collect();
        let commands = || (0..names.len()).filter(|&label| point.settings.thresholds[label] > 0);
        let count = point.all_false_alarms();
        let all = point.tallies[0].all();
        let words = (all.words > 0).then_some(all.words);
        Figures {
            smoothing: point.settings.smoothing,
            thresholds: commands()
                .map(|label| {
                    let threshold = f64::from(point.settings.thresholds[label]) / 256.0;
                    (names[label].clone(), threshold.into())
                })
                .collect(),
            false_alarms: count,
            per_hour: count as f64 / hours,
            per_hour_upper: poisson_upper(count) / hours,
            by_command: commands()
                .map(|label| (names[label].clone(), point.false_alarms[label].into()))
                .collect(),
            words,
            misses: words.map(|_| all.misses()),
            miss_rate: words.map(|words| all.misses() as f64 / words as f64),
            delay_p95_ms: delay_p95(&all.delays_ms),
        }
    }
}

fn delay_p95(delays_ms: &[f64]) -> Option<f64> {
    let mut sorted = delays_ms.to_vec();
    sorted.sort_by(f64::total_cmp);
    percentile(&sorted, 0.95)
}

impl Report {
    fn text(&self, options: &Options) -> String {
        let mut text = format!("negatives: {:.2} h in {} files\n", self.hours, self.files);
        for note in &self.notes {
            text += &format!("note: {note}\n");
        }
        for (name, figures) in [("before", &self.before), ("after", &self.after)] {
            text += &format!(
                "{name}: smoothing {}, {} false alarms in the negatives, {:.2} an hour, below {:.2}{}\n",
                figures.smoothing,
                figures.false_alarms,
                figures.per_hour,
                figures.per_hour_upper,
                figures.words_text()
            );
        }
        text += &format!(
            "on other audio of the kind, estimated: {:.2} an hour, of {} wanted\n\n\
             {:<12}  before   after   false alarms\n",
            self.expected_per_hour, self.fa_per_hour, "threshold"
        );
        let value = |figures: &Figures, name: &str| {
            let threshold = figures.thresholds.get(name);
            threshold.and_then(serde_json::Value::as_f64).unwrap_or(0.0)
        };
        for (name, count) in &self.after.by_command {
            let (before, after) = (value(&self.before, name), value(&self.after, name));
            let was = &self.before.by_command[name];
            text +=
                &format!("{name:<12}  {before:>6.3}  {after:>6.3}   {was} before, {count} after\n");
        }
        let config = options
            .config
            .as_ref()
            .map(|folder| folder.join("commands.toml"));
        let written: Vec<_> = options.output.iter().chain(&config).collect();
        match &written[..] {
            _ if !self.met => {}
            [] => text += "\nnothing was written: name --output and --config\n",
            _ => {
                for path in written {
                    text += &format!("\nwritten: {}", path.display());
                }
            }
        }
        text
    }
}

impl Figures {
    fn words_text(&self) -> String {
        match (self.words, self.misses, self.miss_rate, self.delay_p95_ms) {
            (Some(words), Some(misses), Some(rate), Some(delay)) => format!(
                "; {misses} of {words} words missed, {:.2} %, delay p95 {delay:.0} ms",
                100.0 * rate
            ),
            _ => String::new(),
        }
    }
}
