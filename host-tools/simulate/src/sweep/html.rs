//! Renders the sweep as one HTML page that needs nothing else.

use serde::Serialize;
use zerda_support::config::Limits;
use zerda_support::error::Result;
use zerda_support::html::{Axis, render};

use super::super::html::{LEFT, RIGHT, TOP};
use super::row::{Figures, Row};
use super::text::{self, Table};

const TEMPLATE: &str = include_str!("sweep.html");

/// Bottom edge of the drawings, which the template knows.
const BOTTOM: f64 = 320.0;
/// Number of colours that the template has.
const COLOURS: usize = 8;
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
    /// Name of each board, and the number that its colour has.
    boards: Vec<(String, usize)>,
    plots: Vec<Plot>,
}

/// Plot of one quantity over another; a tick or limit is its label, and where it is.
#[derive(Serialize)]
struct Plot {
    title: &'static str,
    what: &'static str,
    x_name: &'static str,
    y_name: &'static str,
    x: Vec<(String, f64)>,
    y: Vec<(String, f64)>,
    x_limits: Vec<(String, f64)>,
    y_limits: Vec<(String, f64)>,
    points: Vec<Point>,
}

#[derive(Serialize)]
struct Point {
    x: f64,
    y: f64,
    colour: usize,
    /// Says whether it is a compiled model, not a skeleton.
    model: bool,
    title: String,
    /// Number of the row, which is left out where there is no room; `label_x` and `label_y` say where it
    /// is.
    label: String,
    label_x: f64,
    label_y: f64,
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
            boards: boards.into_iter().zip((0..COLOURS).cycle()).collect(),
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
    let places: Vec<_> = rows.iter().map(at).collect();
    let known = || places.iter().flatten();
    let x_scale = Scale::new(&x, known().map(|place| place.0), LEFT, RIGHT);
    let y_scale = Scale::new(&y, known().map(|place| place.1), BOTTOM, TOP);
    let mut points = Vec::new();
    for (number, (row, place)) in rows.iter().zip(&places).enumerate() {
        let Some((x_value, y_value)) = *place else {
            continue;
        };
        let board = boards.iter().position(|board| *board == row.board);
        points.push(Point {
            x: x_scale.at(x_value),
            y: y_scale.at(y_value),
            colour: board.unwrap_or_default() % COLOURS,
            model: row.model.is_some(),
            title: format!(
                "{}: {}, chunk {}, step {}, cache {}, hidden {}, layers {}: {x_value:.1}, {y_value:.1}",
                number + 1,
                row.board,
                row.chunk,
                row.step,
                row.cache,
                row.hidden,
                row.layers
            ),
            label: (number + 1).to_string(),
            label_x: 0.0,
            label_y: 0.0,
        });
    }
    label(&mut points);
    Plot {
        title,
        what,
        x_name: x.name,
        y_name: y.name,
        x: x_scale.ticks(),
        y: y_scale.ticks(),
        x_limits: x_scale.limits(x.limits),
        y_limits: y_scale.limits(y.limits),
        points,
    }
}

/// Puts each label beside its point where no other is, nor a point; leaves it out where there is no such
/// place.
fn label(points: &mut [Point]) {
    /// Edges that a rectangle has: left, top, right, bottom.
    type Box = [f64; 4];
    let meet = |a: &Box, b: &Box| a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];
    let mut taken: Vec<Box> = points
        .iter()
        .map(|point| [point.x - 4.0, point.y - 4.0, point.x + 4.0, point.y + 4.0])
        .collect();
    for point in points {
        let width = DIGIT * point.label.len() as f64;
        let places = [
            (point.x + 7.0, point.y - LABEL / 2.0),
            (point.x - 7.0 - width, point.y - LABEL / 2.0),
            (point.x - width / 2.0, point.y - LABEL - 5.0),
            (point.x - width / 2.0, point.y + 5.0),
        ];
        let boxes = places.map(|(left, top)| [left, top, left + width, top + LABEL]);
        match boxes
            .into_iter()
            .find(|free| !taken.iter().any(|other| meet(free, other)))
        {
            Some(free) => {
                (point.label_x, point.label_y) = (free[0], free[3] - 2.0);
                taken.push(free);
            }
            None => point.label.clear(),
        }
    }
}

/// Scale that puts values, or their logarithms, on a line of the drawing.
struct Scale {
    axis: Axis,
    logarithmic: bool,
}

impl Scale {
    /// Makes a scale with room for all values and limits.
    fn new(
        quantity: &Quantity,
        values: impl Iterator<Item = f64> + Clone,
        from: f64,
        to: f64,
    ) -> Scale {
        let values = values.chain(quantity.limits.iter().map(|(_, limit)| *limit));
        let high = values.clone().fold(0.0, f64::max);
        let low = values.fold(high, f64::min).max(1e-3);
        let axis = match quantity.logarithmic {
            true => Axis::new((low / 1.3).log10(), (high * 1.3).log10(), from, to),
            false => {
                let room = 0.05 * (high - low);
                Axis::new((low - room).max(0.0), high + room, from, to)
            }
        };
        Scale {
            axis,
            logarithmic: quantity.logarithmic,
        }
    }

    fn at(&self, value: f64) -> f64 {
        match self.logarithmic {
            true => self.axis.at(value.max(1e-3).log10()),
            false => self.axis.at(value),
        }
    }

    /// Returns the ticks, which for logarithms are 1, 2 and 5 of each power of ten.
    fn ticks(&self) -> Vec<(String, f64)> {
        if !self.logarithmic {
            return self.axis.ticks();
        }
        let (low, high) = (self.axis.low, self.axis.high);
        let powers = low.floor() as i32..=high.ceil() as i32;
        let ticks = powers.flat_map(|power| [1.0, 2.0, 5.0].map(|tick| tick * 10f64.powi(power)));
        let ticks = ticks.filter(|tick| (low..=high).contains(&tick.log10()));
        ticks
            .map(|tick| (tick.to_string(), self.at(tick)))
            .collect()
    }

    fn limits(&self, limits: Vec<(String, f64)>) -> Vec<(String, f64)> {
        let place = |(name, limit)| (name, self.at(limit));
        limits.into_iter().map(place).collect()
    }
}
