//! Draws the summary as one page, with a DET plot of each condition: misses over false alarms an hour, both
//! logarithmic.

use serde::Serialize;
use zerda_support::charts::{Chart, Edges, PLOT, Scale, colour};
use zerda_support::error::Result;
use zerda_support::html::render;

use super::summary::{BIN_MS, Det, DetPoint, Summary};
use super::text;

const TEMPLATE: &str = include_str!("report.html");

/// Edges of the chart that shows the delays.
const LOW: Edges = Edges::from(16.0, 160.0);
/// Range of delays, in ms, that is drawn: a few words are decided far earlier.
const DELAYS: (f64, f64) = (-400.0, 500.0);
#[derive(Serialize)]
struct Page<'a> {
    summary: &'a Summary,
    clips: String,
    /// Holds the title and the false alarms of each operating point, as text.
    points: Vec<(String, String)>,
    /// Shows all conditions in one plot.
    all: String,
    conditions: Vec<Section<'a>>,
    limit: String,
    judged: &'static str,
    alarms: &'static str,
}

#[derive(Serialize)]
struct Section<'a> {
    name: &'a str,
    commands: String,
    delays: String,
    backgrounds: String,
}

/// Holds what all DET plots share, so that they can be compared.
struct Axes {
    x: Scale,
    y: Scale,
    /// Name of the x axis.
    alarms: String,
    /// False alarms an hour that are wanted.
    target: f64,
}

pub fn page(summary: &Summary) -> Result<String> {
    let (judged, alarms) = match summary.wake {
        Some(_) => ("wake words", "false wakes"),
        None => ("commands", "false alarms"),
    };
    let axes = Axes::of(summary, alarms);
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
            all: axes.plot(&format!("Misses over {alarms} an hour"), all),
            conditions: summary
                .det
                .iter()
                .enumerate()
                .map(|(number, det)| section(number, det, summary, &axes))
                .collect(),
            limit: summary.limit(),
            judged,
            alarms,
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
    let title = format!("Misses over {}, one by one", axes.alarms);
    Section {
        name: &det.condition,
        commands: axes.plot(&title, commands),
        delays: delays(heading.map_or(&[][..], |heading| &heading.delays)),
        backgrounds: heading.map_or(String::new(), |heading| {
            text::backgrounds(heading).trim_end().replace('\n', "; ")
        }),
    }
}

/// Draws how many words were decided how long after their end; each bin has its start in ms and its count.
fn delays(bins: &[(f64, u64)]) -> String {
    let most = bins.iter().map(|(_, count)| *count).max().unwrap_or(0);
    let y = Scale::linear(0.0, most as f64);
    let mut chart = Chart::new(LOW, Scale::linear(DELAYS.0, DELAYS.1), y);
    chart.x_axis("ms");
    chart.heading(&format!("words, at most {most} in 20 ms"));
    for &(ms, count) in bins {
        if (DELAYS.0..DELAYS.1).contains(&ms) {
            let title = format!("{ms:.0} to {:.0} ms: {count}", ms + BIN_MS);
            let top = (ms + BIN_MS - 1.0, count as f64);
            chart.titled(&title, None, |chart| chart.bar("c0", (ms, 0.0), top));
        }
    }
    chart.vertical("mark", 0.0, "");
    chart.html("Delays")
}

impl Axes {
    /// Makes the axes, which begin at half an event or below, since zero events have no logarithm.
    fn of(summary: &Summary, alarms: &str) -> Axes {
        let det = summary.det.iter().flat_map(|det| &det.points);
        let most = det.map(|point| point.fa_per_hour);
        let most = most.fold(summary.fa_per_hour.max(1.0), f64::max);
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
            x: Scale::logarithmic(least, most * 1.2),
            y: Scale::logarithmic(100.0 * low, 100.0),
            alarms: format!("{alarms} an hour"),
            target: summary.fa_per_hour,
        }
    }

    /// Draws curves, each with its name, its false alarms an hour and its misses of 0 to 1.
    fn plot(&self, title: &str, curves: impl Iterator<Item = (String, Vec<(f64, f64)>)>) -> String {
        let mut chart = Chart::new(PLOT, self.x, self.y);
        chart.x_axis(&self.alarms);
        chart.y_axis("missed, %");
        chart.vertical("mark", self.target, "");
        for (number, (name, points)) in curves.enumerate() {
            let colour = colour(number);
            chart.legend(&colour, &name);
            let points = points.into_iter().map(|(x, y)| (x, 100.0 * y));
            chart.titled(&name, None, |chart| chart.curve(&colour, points));
        }
        chart.html(title)
    }
}
