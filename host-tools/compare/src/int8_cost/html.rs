//! Draws the report as one HTML page that needs no other file.

use serde::Serialize;
use zerda_support::error::Result;
use zerda_support::html;

use super::{Report, Row, text};

const TEMPLATE: &str = include_str!("report.html");

/// Left edge of the chart, in units of its own that the template knows as well. The SQNR is drawn
/// from the top to the bottom, what is regained upwards from a line of its own.
const LEFT: f64 = 44.0;
const RIGHT: f64 = 1090.0;
const TOP: f64 = 28.0;
const BOTTOM: f64 = 220.0;
const REGAINED_HEIGHT: f64 = 56.0;

/// Number of operators of a group from which on there is room for its name.
const NAMED: usize = 4;

/// Gain in dB that fills a bar, unless an operator regains more.
const REGAINED: f64 = 1.0;

#[derive(Serialize)]
struct Page<'a> {
    report: &'a Report,
    input_range: String,
    /// Length of the bar that shows what the features regain, in percent of the width.
    input_bar: f64,
    lines: Vec<Line<'a>>,
    groups: Vec<Group>,
    /// Holds the ticks of the SQNR: a value in dB and its place in the chart.
    ticks: Vec<(f64, f64)>,
    /// Points of the polyline that draws the SQNR.
    curve: String,
    /// Gain in dB that fills a bar.
    most_regained: f64,
}

/// Holds one operator as the page shows it.
#[derive(Serialize)]
struct Line<'a> {
    row: &'a Row,
    label: String,
    range: String,
    lowest: bool,
    costliest: bool,
    /// Length of the bar that shows the SQNR, in percent of the width.
    sqnr_bar: f64,
    regained_bar: f64,
    /// Place across the chart that the operator has, in its units.
    x: f64,
    y: Option<f64>,
    height: f64,
}

/// Neighbouring operators whose names begin alike.
#[derive(Serialize)]
struct Group {
    name: String,
    /// Says whether there is room for its name.
    named: bool,
    x: f64,
    width: f64,
}

pub fn page(report: &Report) -> Result<String> {
    html::render_with(TEMPLATE, Page::of(report), |environment| {
        environment.add_filter("db", text::decibels);
        environment.add_filter("count", thousands);
    })
}

impl<'a> Page<'a> {
    fn of(report: &'a Report) -> Page<'a> {
        let rows = &report.operators;
        let finite = |figure: fn(&Row) -> f64| rows.iter().map(figure).filter(|x| x.is_finite());
        // The SQNR's axis, in tens of dB.
        let low = finite(|row| row.sqnr_db).fold(f64::INFINITY, f64::min);
        let low = (low / 10.0).floor().min(5.0) * 10.0;
        let high = finite(|row| row.sqnr_db).fold(low + 10.0, f64::max);
        let high = (high / 10.0).ceil() * 10.0;
        let y = |decibels: f64| BOTTOM - (BOTTOM - TOP) * (decibels - low) / (high - low);
        let most_regained = finite(|row| row.regained_db).fold(REGAINED, f64::max);
        let share = |row: &Row| (row.regained_db / most_regained).clamp(0.0, 1.0);
        let slot = (RIGHT - LEFT) / rows.len().max(1) as f64;
        let [lowest, costliest] = report.marked();
        let line = |(index, row): (usize, &'a Row)| {
            let share = share(row);
            Line {
                label: row.label(),
                range: row.range_text(),
                lowest: row.number == lowest,
                costliest: row.number == costliest,
                sqnr_bar: (100.0 * row.sqnr_db / high).clamp(0.0, 100.0),
                regained_bar: 100.0 * share,
                x: LEFT + (index as f64 + 0.5) * slot,
                y: row.sqnr_db.is_finite().then(|| y(row.sqnr_db)),
                height: REGAINED_HEIGHT * share,
                row,
            }
        };
        let lines: Vec<_> = rows.iter().enumerate().map(line).collect();
        let points = lines.iter().filter_map(|line| Some((line.x, line.y?)));
        let points: Vec<_> = points.map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let ticks = (0..).map(|i| low + 10.0 * f64::from(i));
        let ticks = ticks.take_while(|&tick| tick <= high);
        Page {
            report,
            input_range: report.input.range_text(),
            input_bar: 100.0 * share(&report.input),
            groups: groups(&lines, slot),
            lines,
            ticks: ticks.map(|tick| (tick, y(tick))).collect(),
            curve: points.join(" "),
            most_regained,
        }
    }
}

/// Groups neighbours by the first part of names with parts, as PyTorch's `/attention.0/key/Gemm`.
fn groups(lines: &[Line<'_>], slot: f64) -> Vec<Group> {
    let part = |line: &Line| line.label.split_once('/').map(|(part, _)| part.to_string());
    let runs = lines.chunk_by(|a, b| part(a).is_some() && part(a) == part(b));
    let group = |run: &[Line]| {
        Some(Group {
            name: part(&run[0])?,
            named: run.len() >= NAMED,
            x: run[0].x - slot / 2.0,
            width: slot * run.len() as f64,
        })
    };
    runs.filter_map(group).collect()
}

/// Writes a count with a thin space between groups of three digits.
fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().collect();
    let groups: Vec<_> = groups.into_iter().map(String::from_utf8_lossy).collect();
    groups.join("\u{2009}")
}
