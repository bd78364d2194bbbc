//! Renders the sweep as one HTML page that needs nothing else.

use serde::Serialize;
use zerda_support::charts::treemap::Rectangle;
use zerda_support::charts::{Chart, PLOT, Scale, Side, colour};
use zerda_support::config::Limits;
use zerda_support::error::Result;
use zerda_support::html::render;

use super::row::{Figures, Row};
use super::text::{self, Table};

const TEMPLATE: &str = include_str!("sweep.html");

/// Height that a label's text takes; `DIGIT` is the width of one of its digits.
const LABEL: f64 = 12.0;
const DIGIT: f64 = 7.0;

#[derive(Serialize)]
struct Page {
    title: String,
    headings: Vec<(&'static str, bool)>,
    /// Verdict of each row, by which it is coloured, and its cells: text, and whether it is on the left.
    rows: Vec<(&'static str, Vec<(String, bool)>)>,
    notes: Vec<String>,
    plots: Vec<Plot>,
}

#[derive(Serialize)]
struct Plot {
    title: &'static str,
    what: &'static str,
    chart: String,
}

/// Quantity that a plot shows along an axis.
struct Quantity {
    name: &'static str,
    of: fn(&Figures) -> Option<f64>,
    limits: Vec<(String, f64)>,
    /// Says whether values differ by powers of ten.
    logarithmic: bool,
}

pub fn page(rows: &[Row], latency_ms: u32, limits: &[Limits]) -> Result<String> {
    let table = Table::of(rows);
    let left = |column: usize| Table::is_left(table.headings[column]);
    let row = |(row, cells): (&Row, &Vec<String>)| {
        let cells = cells.iter().cloned().enumerate();
        let cells = cells.map(|(column, cell)| (cell, left(column)));
        (row.verdict, cells.collect())
    };
    let headings = table.headings.iter().enumerate();
    let boards = boards(rows);
    let shapes = rows.len() / boards.len().max(1);
    render(
        TEMPLATE,
        Page {
            title: format!("{shapes} shapes on {}", boards.join(", ")),
            headings: headings
                .map(|(column, &heading)| (heading, left(column)))
                .collect(),
            rows: rows.iter().zip(&table.rows).map(row).collect(),
            notes: text::notes(rows, latency_ms),
            plots: plots(rows, &boards, latency_ms, limits),
        },
    )
}

fn boards(rows: &[Row]) -> Vec<String> {
    let mut boards: Vec<String> = Vec::new();
    for row in rows {
        if !boards.contains(&row.board) {
            boards.push(row.board.clone());
        }
    }
    boards
}

fn plots(rows: &[Row], boards: &[String], latency_ms: u32, limits: &[Limits]) -> Vec<Plot> {
    let latency = f64::from(latency_ms);
    let late = || vec![(format!("limit {latency}"), latency)];
    let bytes = |of: fn(&Limits) -> u64| {
        let mut lines: Vec<(String, f64)> = Vec::new();
        for limits in limits {
            let kib = of(limits) as f64 / 1024.0;
            if !lines.iter().any(|(_, known)| *known == kib) {
                lines.push((format!("limit {kib:.0}"), kib));
            }
        }
        lines
    };
    let sequence = || Quantity {
        name: "500 frames, ms",
        of: |row| Some(row.sequence_500_ms),
        limits: late(),
        logarithmic: true,
    };
    let memory = Quantity {
        name: "memory, KiB",
        of: |row| Some(row.memory_bytes as f64 / 1024.0),
        limits: bytes(|limits| limits.ram),
        logarithmic: false,
    };
    let image = Quantity {
        name: "image, KiB",
        of: |row| Some(row.image_bytes as f64 / 1024.0),
        limits: bytes(|limits| limits.flash),
        logarithmic: false,
    };
    let word = Quantity {
        name: "structural p95, ms",
        of: |row| Some(row.structural_ms?.p95),
        limits: late(),
        logarithmic: true,
    };
    let of = |title, what, x, y| plot(rows, boards, title, what, x, y);
    vec![
        of(
            "Latency over RAM",
            "500 frames in one piece over caches and arena. The limit of RAM is that of the whole firmware.",
            memory,
            sequence(),
        ),
        of(
            "Latency over flash",
            "500 frames in one piece over the image. The limit of flash is that of the whole firmware.",
            image,
            sequence(),
        ),
        of(
            "Latency of a word over latency of a sequence",
            "Structural latency, p95, from the end of a word to its detection, over 500 frames in one piece.",
            sequence(),
            word,
        ),
    ]
}

fn plot(
    rows: &[Row],
    boards: &[String],
    title: &'static str,
    what: &'static str,
    x: Quantity,
    y: Quantity,
) -> Plot {
    let at = |row: &Row| {
        let figures = row.figures.as_ref()?;
        Some(((x.of)(figures)?, (y.of)(figures)?))
    };
    let points = rows.iter().zip(1..);
    let points = points.filter_map(|(row, number)| Some((number, row, at(row)?)));
    let points: Vec<(usize, &Row, (f64, f64))> = points.collect();
    let values = || points.iter().map(|point| point.2);
    let x_scale = x.scale(values().map(|value| value.0));
    let y_scale = y.scale(values().map(|value| value.1));
    let mut chart = Chart::new(PLOT, x_scale, y_scale);
    chart.x_axis(x.name);
    chart.y_axis(y.name);
    for (number, board) in boards.iter().enumerate() {
        chart.legend(&colour(number), board);
    }
    for (name, limit) in &y.limits {
        chart.horizontal("limit", *limit, name);
    }
    for (name, limit) in &x.limits {
        chart.vertical("limit", *limit, name);
    }
    for &(number, row, (x, y)) in &points {
        let board = boards.iter().position(|board| *board == row.board);
        let colour = colour(board.unwrap_or_default());
        let class = match row.model {
            Some(_) => colour,
            None => format!("{colour} hollow"),
        };
        let title = format!(
            "{number}: {}, chunk {}, step {}, cache {}, hidden {}, layers {}: {x:.1}, {y:.1}",
            row.board, row.chunk, row.step, row.cache, row.hidden, row.layers
        );
        chart.titled(&title, None, |chart| chart.dot(&class, x, y));
    }
    let places = points.iter().map(|point| chart.at(point.2.0, point.2.1));
    let numbers = points.iter().map(|point| point.0.to_string());
    let labels = places.zip(numbers).collect();
    label(&mut chart, labels);
    Plot {
        title,
        what,
        chart: chart.html(title),
    }
}

/// Puts the label of each point, at its place, beside it where no other is, nor a point; leaves it out where there is no
/// such place.
fn label(chart: &mut Chart, points: Vec<((f64, f64), String)>) {
    let place = |x: f64, y: f64, width: f64, height: f64| Rectangle {
        x,
        y,
        width,
        height,
    };
    let around = |&((x, y), _): &((f64, f64), String)| place(x - 4.0, y - 4.0, 8.0, 8.0);
    let mut taken: Vec<Rectangle> = points.iter().map(around).collect();
    for ((x, y), label) in points {
        let width = DIGIT * label.len() as f64;
        let places = [
            (x + 7.0, y - LABEL / 2.0),
            (x - 7.0 - width, y - LABEL / 2.0),
            (x - width / 2.0, y - LABEL - 5.0),
            (x - width / 2.0, y + 5.0),
        ];
        let places = places.map(|(left, top)| place(left, top, width, LABEL));
        let mut free = places.into_iter();
        let free = free.find(|free| !taken.iter().any(|other| free.meets(other)));
        if let Some(free) = free {
            let at = (free.x, free.y + LABEL - 2.0);
            chart.text("", at, Side::Right, &label);
            taken.push(free);
        }
    }
}

impl Quantity {
    /// Makes a scale with room for all values and limits.
    fn scale(&self, values: impl Iterator<Item = f64> + Clone) -> Scale {
        let values = values.chain(self.limits.iter().map(|(_, limit)| *limit));
        let high = values.clone().fold(0.0, f64::max);
        let low = values.fold(high, f64::min).max(1e-3);
        if self.logarithmic {
            return Scale::logarithmic(low / 1.3, high * 1.3);
        }
        let room = 0.05 * (high - low);
        Scale::linear((low - room).max(0.0), high + room)
    }
}
