//! Draws the summary as one page, with a DET plot of each condition: misses over false alarms an hour, both
//! logarithmic.

use serde::Serialize;
use zerda_support::error::Result;
use zerda_support::html::{Axis, render};

use super::summary::{BIN_MS, Det, DetPoint, Summary};
use super::text;

const TEMPLATE: &str = include_str!("report.html");

/// Left edge of the charts, in units of their own that the template knows as well.
const LEFT: f64 = 60.0;
const RIGHT: f64 = 1090.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 320.0;
/// Bottom edge of the chart that shows the delays.
const LOW: f64 = 160.0;
/// Range of delays, in ms, that is drawn: a few words are decided far earlier.
const DELAYS: (f64, f64) = (-400.0, 500.0);
/// Number of colours that the template has.
const COLOURS: usize = 8;

#[derive(Serialize)]
struct Page<'a> {
    summary: &'a Summary,
    clips: String,
    /// Holds the title and the false alarms of each operating point, as text.
    points: Vec<(String, String)>,
    /// Shows all conditions in one plot.
    all: Plot,
    conditions: Vec<Section<'a>>,
    target_x: f64,
    limit: String,
    judged: &'static str,
    alarms: &'static str,
}

#[derive(Serialize)]
struct Section<'a> {
    name: &'a str,
    commands: Plot,
    delays: Vec<Bar>,
    delay_ticks: Vec<(String, f64)>,
    zero_x: f64,
    most: u64,
    backgrounds: String,
}

/// Holds curves over a grid, whose ticks have a label and a place each.
#[derive(Serialize)]
struct Plot {
    x: Vec<(String, f64)>,
    y: Vec<(String, f64)>,
    /// Holds the name, the number of the colour and the points of each curve.
    curves: Vec<(String, usize, String)>,
}

#[derive(Serialize)]
struct Bar {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
    title: String,
}

/// Axes that all DET plots share, so that they can be compared.
struct Axes {
    x: Axis,
    y: Axis,
}

pub fn page(summary: &Summary) -> Result<String> {
    let axes = Axes::of(summary);
    let all = summary.det.iter().map(|det| {
        let points = det.points.iter();
        let points = points.map(|point| (point.fa_per_hour, point.miss_rate));
        (det.condition.clone(), points.collect())
    });
    let points = summary.operating_points.iter();
    render(
        TEMPLATE,
        Page {
            clips: text::clips(summary),
            points: points
                .map(|point| (text::title(point, summary), text::false_alarms(point)))
                .collect(),
            all: axes.plot(all),
            conditions: summary
                .det
                .iter()
                .enumerate()
                .map(|(number, det)| section(number, det, summary, &axes))
                .collect(),
            limit: summary.limit(),
            judged: match summary.wake {
                Some(_) => "wake words",
                None => "commands",
            },
            alarms: match summary.wake {
                Some(_) => "false wakes",
                None => "false alarms",
            },
            target_x: axes.x.at(summary.fa_per_hour.log10()).clamp(LEFT, RIGHT),
            summary,
        },
    )
}

fn section<'a>(number: usize, det: &'a Det, summary: &'a Summary, axes: &Axes) -> Section<'a> {
    let last = summary.operating_points.last();
    let heading = last.and_then(|point| point.conditions.get(number));
    let words = |command: &String| {
        let row = heading.and_then(|heading| heading.commands.get(command));
        row.map_or(1, |row| row.misses.words.max(1)) as f64
    };
    let commands = summary.judged().iter().map(|command| {
        let point = |point: &DetPoint| {
            let (false_alarms, misses) = point.commands.get(command).copied().unwrap_or_default();
            (
                false_alarms as f64 / summary.negatives.hours,
                misses as f64 / words(command),
            )
        };
        (command.clone(), det.points.iter().map(point).collect())
    });
    let delays = heading.map_or(&[][..], |heading| &heading.delays);
    let most = delays.iter().map(|(_, count)| *count).max().unwrap_or(0);
    let x = Axis::new(DELAYS.0, DELAYS.1, LEFT, RIGHT);
    let y = Axis::new(0.0, most as f64, LOW, TOP);
    let bars = delays
        .iter()
        .filter(|(ms, _)| *ms >= DELAYS.0 && *ms < DELAYS.1);
    Section {
        name: &det.condition,
        commands: axes.plot(commands),
        delays: bars
            .map(|&(ms, count)| Bar {
                x: x.at(ms),
                y: y.at(count as f64),
                width: x.at(ms + BIN_MS) - x.at(ms) - 1.0,
                height: LOW - y.at(count as f64),
                title: format!("{ms:.0} to {:.0} ms: {count}", ms + BIN_MS),
            })
            .collect(),
        delay_ticks: x.ticks(),
        zero_x: x.at(0.0),
        most,
        backgrounds: heading.map_or(String::new(), |heading| {
            text::backgrounds(heading).trim_end().replace('\n', "; ")
        }),
    }
}

impl Axes {
    /// Makes the axes, which begin at half an event or below, since zero events have no logarithm.
    fn of(summary: &Summary) -> Axes {
        let det = summary.det.iter().flat_map(|det| &det.points);
        let most = det.map(|point| point.fa_per_hour).fold(1.0, f64::max);
        let least = (0.5 / summary.negatives.hours).min(summary.fa_per_hour / 2.0);
        let conditions = summary
            .operating_points
            .iter()
            .flat_map(|point| &point.conditions);
        let words = conditions
            .map(|heading| heading.all.misses.words)
            .max()
            .unwrap_or(1);
        let low = (0.5 / words.max(1) as f64).min(0.01);
        Axes {
            x: Axis::new(least.log10(), (most * 1.2).log10(), LEFT, RIGHT),
            y: Axis::new(low.log10(), 0.0, BOTTOM, TOP),
        }
    }

    fn plot(&self, curves: impl Iterator<Item = (String, Vec<(f64, f64)>)>) -> Plot {
        let line = |points: Vec<(f64, f64)>| {
            let at = |axis: &Axis, value: f64| axis.at(value.log10().max(axis.low));
            let points = points.into_iter();
            let points =
                points.map(|(x, y)| format!("{:.1},{:.1}", at(&self.x, x), at(&self.y, y)));
            points.collect::<Vec<_>>().join(" ")
        };
        let curves = curves.enumerate();
        Plot {
            x: decades(&self.x, 1.0),
            y: decades(&self.y, 100.0),
            curves: curves
                .map(|(number, (name, points))| (name, number % COLOURS, line(points)))
                .collect(),
        }
    }
}

/// Returns ticks at 1, 2 and 5 of each decade of an axis of decimal logarithms; their labels show the value times
/// `scale`.
fn decades(axis: &Axis, scale: f64) -> Vec<(String, f64)> {
    let powers = axis.low.floor() as i32..=axis.high.ceil() as i32;
    let values = powers.flat_map(|power| [1.0, 2.0, 5.0].map(|digit| (digit, power)));
    let ticks = values.filter_map(|(digit, power)| {
        let value: f64 = digit * 10f64.powi(power);
        let log = value.log10();
        let inside = (axis.low..=axis.high + 1e-9).contains(&log);
        let shown = format!("{}", (value * scale * 1e6).round() / 1e6);
        inside.then(|| (shown, axis.at(log)))
    });
    ticks.collect()
}
