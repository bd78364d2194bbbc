//! Renders the report as one HTML page that needs nothing else: treemaps, and the arena over time.

use serde::Serialize;
use zerda_support::charts::treemap::{Rectangle, squarify};
use zerda_support::charts::{Chart, Edges, PLOT, Scale};
use zerda_support::error::Result;
use zerda_support::html::{count, render};

use crate::Reports;
use crate::arena::Tensor;
use crate::baseline::Difference;
use crate::part::{Kind, Part};
use crate::report::{Contributor, Footprint, Use};
use crate::shrinking::Row;
use crate::text;

const TEMPLATE: &str = include_str!("report.html");

/// Edges of the treemaps, which have no axes, and of the arena.
const TREEMAP: Edges = Edges {
    left: 0.0,
    right: PLOT.right + 20.0,
    top: 0.0,
    bottom: 520.0,
};
const ARENA: Edges = Edges::from(16.0, 356.0);
/// Height that a line of text takes above the parts of a part.
const HEADING: f64 = 17.0;
/// Largest number of rows that the table of parts has.
const ROWS: usize = 16;

#[derive(Serialize)]
struct Page<'a> {
    image: &'a str,
    passes: bool,
    boards: Vec<Board<'a>>,
    /// Size of the image's arena, which is that of all boards, and the chart of it.
    arena: Option<(u64, String)>,
    shrinking: &'a [Row],
    /// Growth that is allowed, as it is written: 3, not 3.0.
    growth_percent: String,
}

#[derive(Serialize)]
struct Board<'a> {
    report: &'a Footprint,
    meters: Vec<Meter>,
    stack: String,
    treemap: String,
    largest: Vec<Line>,
    /// Differences to the baseline that are the largest.
    changed: Vec<&'a Difference>,
}

#[derive(Serialize)]
struct Meter {
    name: &'static str,
    used: u64,
    budget: u64,
    percent: f64,
    change: Option<String>,
}

#[derive(Serialize)]
struct Line {
    name: String,
    region: String,
    bytes: u64,
    /// Percent of the widest bar that this one takes.
    bar: f64,
}

pub fn page(reports: &Reports) -> Result<String> {
    render(TEMPLATE, Page::of(reports))
}

impl<'a> Page<'a> {
    fn of(reports: &'a Reports) -> Page<'a> {
        Page {
            image: &reports.image,
            passes: reports.passes(),
            boards: reports.boards.iter().map(Board::of).collect(),
            arena: reports.boards.first().map(arena),
            shrinking: &reports.shrinking,
            growth_percent: reports.growth_percent.to_string(),
        }
    }
}

impl<'a> Board<'a> {
    fn of(report: &'a Footprint) -> Board<'a> {
        let change = report.baseline.as_ref();
        let meter = |name, usage: &Use, percent: Option<f64>| Meter {
            name,
            used: usage.used,
            budget: usage.budget,
            percent: text::share(usage.used, usage.budget),
            change: percent.map(text::signed),
        };
        let parts = report.contributors(|_| true);
        let widest = parts.first().map_or(1, |part| part.bytes.max(1));
        let line = |part: Contributor| Line {
            bar: text::share(part.bytes, widest),
            name: part.name,
            region: part.region,
            bytes: part.bytes,
        };
        Board {
            report,
            meters: vec![
                meter(
                    "flash",
                    &report.flash,
                    change.map(|change| change.flash_percent),
                ),
                meter(
                    "RAM, stack included",
                    &report.ram,
                    change.map(|change| change.ram_percent),
                ),
                meter(
                    "in all",
                    &report.total(),
                    change.map(|change| change.change_percent),
                ),
            ],
            stack: text::stack(report),
            treemap: treemap(report),
            largest: parts.into_iter().take(ROWS).map(line).collect(),
            changed: change
                .iter()
                .flat_map(|change| &change.parts)
                .take(ROWS)
                .collect(),
        }
    }
}

/// Draws the tensors of a step over time, and returns it behind the bytes that they take.
fn arena(report: &Footprint) -> (u64, String) {
    /// Classes that have a colour in the style sheet.
    const COLOURS: [&str; 8] = [
        "model",
        "arena",
        "stack",
        "code",
        "constants",
        "ring",
        "caches",
        "statics",
    ];
    let ends = |end: fn(&Tensor) -> u64| report.arena.iter().map(end).max().unwrap_or(0);
    let bytes = ends(|tensor| tensor.offset + tensor.bytes);
    let operators = ends(|tensor| tensor.last as u64 + 1);
    // An operator takes the place from half before its number to half behind it.
    let x = Scale::linear(-0.5, operators as f64 - 0.5);
    let mut chart = Chart::new(ARENA, x, Scale::linear(0.0, bytes as f64));
    chart.x_axis("operator of the step, by its number");
    chart.y_axis("offset in the arena, bytes");
    let mut writers: Vec<&str> = Vec::new();
    for tensor in &report.arena {
        let name = tensor.name.split(' ').nth(1).unwrap_or_default();
        let writer = writers.iter().position(|&writer| writer == name);
        let writer = writer.unwrap_or_else(|| {
            writers.push(name);
            writers.len() - 1
        });
        let class = COLOURS[writer % COLOURS.len()];
        let from = (tensor.first as f64 - 0.5, tensor.offset as f64);
        let end = (tensor.offset + tensor.bytes) as f64;
        let place = chart.between(from, (tensor.last as f64 + 0.5, end));
        chart.titled(&title(tensor), None, |chart| {
            let bytes = count(tensor.bytes);
            chart.block(class, place, &[("part", name), ("bytes", &bytes)]);
        });
    }
    for (writer, class) in writers.iter().zip(COLOURS.iter().cycle()) {
        chart.legend(class, writer);
    }
    let title = "Tensors of the arena, by operator and offset";
    (bytes, chart.html(title))
}

fn title(tensor: &Tensor) -> String {
    format!(
        "{}: {} bytes from {}, operators {} to {}",
        tensor.name,
        count(tensor.bytes),
        count(tensor.offset),
        tensor.first,
        tensor.last
    )
}

/// Draws flash beside RAM; what is unused is left out.
fn treemap(report: &Footprint) -> String {
    let memory = |memory: &str, name: &str| {
        let in_memory = |part: &&Part| report.is_in(&part.name, memory);
        let mut whole = Part::new(Kind::Other, name, "");
        let regions = report.parts.iter().filter(in_memory);
        let parts = regions.flat_map(|region| &region.children);
        whole.children = parts
            .filter(|part| part.kind != Kind::Unused)
            .cloned()
            .collect();
        whole.bytes = whole.children.iter().map(|part| part.bytes).sum();
        whole.sort();
        whole
    };
    let mut memories = [memory("flash", "flash"), memory("ram", "RAM")];
    memories.sort_by_key(|part| std::cmp::Reverse(part.bytes));
    let side = Scale::linear(0.0, 1.0);
    let mut chart = Chart::new(TREEMAP, side, side);
    let whole = chart.between((0.0, 0.0), (1.0, 1.0));
    place_all(&mut chart, &memories, whole, "");
    let kinds = [
        Kind::Model,
        Kind::Code,
        Kind::Constants,
        Kind::Caches,
        Kind::Arena,
        Kind::Stack,
        Kind::Ring,
        Kind::Statics,
        Kind::Other,
    ];
    for kind in kinds {
        chart.legend(class(kind), kind.name());
    }
    chart.html(&format!("Treemap of flash and RAM of {}", report.board))
}

fn place_all(chart: &mut Chart, parts: &[Part], within: Rectangle, path: &str) {
    let sizes: Vec<u64> = parts.iter().map(|part| part.bytes).collect();
    for (part, place) in parts.iter().zip(squarify(&sizes, within)) {
        place_one(chart, part, place, path);
    }
}

fn place_one(chart: &mut Chart, part: &Part, place: Rectangle, path: &str) {
    let path = match path {
        "" => part.name.clone(),
        path => format!("{path} › {}", part.name),
    };
    let bytes = count(part.bytes);
    let title = format!("{path}: {bytes} bytes");
    let has_room = place.width > 40.0 && place.height > HEADING * 2.0;
    let is_group = has_room && !part.children.is_empty();
    chart.titled(&title, None, |chart| {
        let class = class(part.kind);
        if is_group {
            let heading = format!("{} {bytes}", part.name);
            chart.block(class, place, &[("heading", &heading)]);
        } else {
            chart.block(class, place, &[("part", &part.name), ("bytes", &bytes)]);
        }
    });
    if is_group {
        place_all(chart, &part.children, place.inset(2.0, HEADING), &path);
    }
}

/// Returns the class that a kind has in the style sheet.
fn class(kind: Kind) -> &'static str {
    match kind {
        Kind::Model => "model",
        Kind::Code => "code",
        Kind::Constants => "constants",
        Kind::Caches => "caches",
        Kind::Arena => "arena",
        Kind::Stack => "stack",
        Kind::Journal => "other",
        Kind::Ring => "ring",
        Kind::Statics => "statics",
        Kind::InitialValues | Kind::VectorTable | Kind::Other | Kind::Padding | Kind::Unused => {
            "other"
        }
    }
}
