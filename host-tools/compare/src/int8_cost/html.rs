//! Draws the report as one HTML page that needs no other file.

use serde::Serialize;
use zerda_support::charts::{Chart, Edges, Scale, Side};
use zerda_support::error::Result;
use zerda_support::html;

use super::{Int8Cost, Row, text};

const TEMPLATE: &str = include_str!("report.html");

/// Edges of the charts of the SQNR and of what is regained, in which an operator has the same place across.
const SQNR: Edges = Edges::from(28.0, 220.0);
const GAINS: Edges = Edges::from(20.0, 76.0);

/// Number of operators of a group from which on there is room for its name.
const NAMED: usize = 4;

/// Gain in dB that fills a bar, unless an operator regains more.
const REGAINED: f64 = 1.0;

#[derive(Serialize)]
struct Page<'a> {
    report: &'a Int8Cost,
    input_range: String,
    /// Length of the bar that shows what the features regain, in percent of the width.
    input_bar: f64,
    lines: Vec<Line<'a>>,
    sqnr: String,
    regained: String,
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
}

pub fn page(report: &Int8Cost) -> Result<String> {
    html::render_with(TEMPLATE, Page::of(report), |environment| {
        environment.add_filter("db", text::decibels);
    })
}

impl<'a> Page<'a> {
    fn of(report: &'a Int8Cost) -> Page<'a> {
        let rows = &report.operators;
        let finite = |figure: fn(&Row) -> f64| rows.iter().map(figure).filter(|x| x.is_finite());
        // The SQNR's axis, in tens of dB.
        let low = finite(|row| row.sqnr_db).fold(f64::INFINITY, f64::min);
        let low = (low / 10.0).floor().min(5.0) * 10.0;
        let high = finite(|row| row.sqnr_db).fold(low + 10.0, f64::max);
        let high = (high / 10.0).ceil() * 10.0;
        let most_regained = finite(|row| row.regained_db).fold(REGAINED, f64::max);
        let share = |row: &Row| 100.0 * (row.regained_db / most_regained).clamp(0.0, 1.0);
        let [lowest, costliest] = report.marked();
        let line = |row: &'a Row| Line {
            label: row.label(),
            range: row.range_text(),
            lowest: row.number == lowest,
            costliest: row.number == costliest,
            sqnr_bar: (100.0 * row.sqnr_db / high).clamp(0.0, 100.0),
            regained_bar: share(row),
            row,
        };
        let lines: Vec<_> = rows.iter().map(line).collect();
        Page {
            report,
            input_range: report.input.range_text(),
            input_bar: share(&report.input),
            sqnr: sqnr(&lines, Scale::linear(low, high)),
            regained: regained(&lines, Scale::linear(0.0, most_regained)),
            lines,
        }
    }
}

impl Line<'_> {
    /// Draws something of the operator, which leads to its row in the table.
    fn draw(&self, chart: &mut Chart, draw: impl FnOnce(&mut Chart)) {
        let number = self.row.number.unwrap_or_default();
        let (label, sqnr) = (&self.label, text::decibels(self.row.sqnr_db));
        let regained = self.row.regained_db;
        let title = format!("{number} {label}: {sqnr} dB, regained {regained:.2} dB");
        chart.titled(&title, Some(&format!("#op-{number}")), draw);
    }
}

/// Draws the SQNR along the network.
fn sqnr(lines: &[Line<'_>], y: Scale) -> String {
    let mut chart = along(lines, SQNR, y, true);
    let points = (0..).map(f64::from).zip(lines);
    let points = points.filter(|(_, line)| line.row.sqnr_db.is_finite());
    let values = points.clone().map(|(x, line)| (x, line.row.sqnr_db));
    chart.curve("c0", values);
    for (x, line) in points {
        let marked = line.row.stands_out || line.lowest;
        let class = if marked { "c1" } else { "c0" };
        line.draw(&mut chart, |chart| chart.dot(class, x, line.row.sqnr_db));
    }
    chart.legend("c0", "SQNR, dB");
    chart.legend("c1", "the lowest, and those named above");
    chart.html("SQNR of each operator")
}

/// Draws what sparing each operator regains.
fn regained(lines: &[Line<'_>], y: Scale) -> String {
    let mut chart = along(lines, GAINS, y, false);
    chart.heading("regained, dB, if that operator alone stayed in float");
    for (x, line) in (0..).map(f64::from).zip(lines) {
        let top = (x + 0.25, line.row.regained_db.max(0.0));
        line.draw(&mut chart, |chart| chart.bar("c1", (x - 0.25, 0.0), top));
    }
    chart.html("What sparing each operator regains")
}

/// Starts a chart along the network. Bands behind it are neighbours whose names begin alike, as PyTorch's
/// `/attention.0/key/Gemm`; their names are written above if wanted, where there is room.
fn along(lines: &[Line<'_>], edges: Edges, y: Scale, named: bool) -> Chart {
    let x = Scale::linear(-0.5, lines.len() as f64 - 0.5);
    let mut chart = Chart::new(edges, x, y);
    let part = |line: &Line| line.label.split_once('/').map(|(part, _)| part.to_string());
    let (mut from, mut shaded) = (-0.5, false);
    for run in lines.chunk_by(|a, b| part(a).is_some() && part(a) == part(b)) {
        let to = from + run.len() as f64;
        let mut place = chart.between((from, 0.0), (to, 0.0));
        (place.y, place.height) = (edges.top - 20.0, edges.bottom - edges.top + 20.0);
        from = to;
        let Some(name) = part(&run[0]) else {
            continue;
        };
        shaded = !shaded;
        if shaded {
            chart.rectangle("band", place);
        }
        if named && run.len() >= NAMED {
            let middle = place.x + place.width / 2.0;
            chart.text("", (middle, edges.top - 7.0), Side::Middle, &name);
        }
    }
    chart.y_axis("");
    chart
}
