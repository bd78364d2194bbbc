//! Renders the report as one HTML page that needs nothing else: treemaps, and the arena over time.

use serde::Serialize;
use zerda_support::error::Result;
use zerda_support::html;

use crate::Reports;
use crate::arena::Tensor;
use crate::baseline::Difference;
use crate::part::{Kind, Part};
use crate::report::{Contributor, Report, Use};
use crate::shrinking::Row;
use crate::text;
use crate::treemap::{Rectangle, squarify};

const TEMPLATE: &str = include_str!("report.html");

/// Width of the drawings, in units of their own that the template knows; the heights are in the same.
const WIDTH: f64 = 1200.0;
const TREEMAP_HEIGHT: f64 = 560.0;
const ARENA_HEIGHT: f64 = 340.0;
/// Left edge of the arena, where its axis is.
const LEFT: f64 = 64.0;
/// Height that a line of text takes, above the parts of a part and in a rectangle.
const HEADING: f64 = 17.0;
/// Width that a letter takes, about.
const LETTER: f64 = 6.8;
/// Width that a letter of a heading takes, about.
const BOLD: f64 = 7.6;
/// Largest number of rows that the table of parts has.
const ROWS: usize = 16;

#[derive(Serialize)]
struct Page<'a> {
    image: &'a str,
    passes: bool,
    boards: Vec<Board<'a>>,
    /// Arena of the image, which is that of all boards.
    arena: Option<Arena>,
    shrinking: &'a [Row],
    /// Growth that is allowed, as it is written: 3, not 3.0.
    growth_percent: String,
    kinds: Vec<(Kind, &'static str)>,
}

#[derive(Serialize)]
struct Board<'a> {
    report: &'a Report,
    meters: Vec<Meter>,
    stack: String,
    treemap: Vec<Block>,
    largest: Vec<Line>,
    /// Differences to the baseline that are the largest.
    changed: Vec<&'a Difference>,
}

/// Drawing that shows tensors over time.
#[derive(Serialize)]
struct Arena {
    bytes: u64,
    /// Colours and names of the operators that write them.
    writers: Vec<(&'static str, String)>,
    tensors: Vec<Block>,
    /// Marks on the axis of offsets, each with its value and where it is; `operators` has those of the
    /// other axis.
    offsets: Vec<(u64, f64)>,
    operators: Vec<(u64, f64)>,
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

/// Rectangle with a text in it, if there is room, and a longer one over it.
#[derive(Serialize)]
struct Block {
    kind: &'static str,
    /// Says whether it holds others, which follow.
    is_group: bool,
    x: f64,
    y: f64,
    width: f64,
    height: f64,
    title: String,
    label: String,
    /// Text that stands below the label where the rectangle is high.
    bytes: String,
}

pub fn page(reports: &Reports) -> Result<String> {
    html::render_with(TEMPLATE, Page::of(reports), |environment| {
        environment.add_filter("count", text::count);
    })
}

impl<'a> Page<'a> {
    fn of(reports: &'a Reports) -> Page<'a> {
        let shown = [
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
        Page {
            image: &reports.image,
            passes: reports.passes(),
            boards: reports.boards.iter().map(Board::of).collect(),
            arena: reports.boards.first().map(Arena::of),
            shrinking: &reports.shrinking,
            growth_percent: reports.growth_percent.to_string(),
            kinds: shown.map(|kind| (kind, kind.name())).into(),
        }
    }
}

impl<'a> Board<'a> {
    fn of(report: &'a Report) -> Board<'a> {
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

impl Arena {
    fn of(report: &Report) -> Arena {
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
        let ends = report
            .arena
            .iter()
            .map(|tensor| tensor.offset + tensor.bytes);
        let bytes = ends.max().unwrap_or(0);
        let end = report.arena.iter().map(|tensor| tensor.last as u64 + 1);
        let end = end.max().unwrap_or(1);
        let width = (WIDTH - LEFT) / end as f64;
        let height = ARENA_HEIGHT / bytes.max(1) as f64;
        let mut writers: Vec<(&str, String)> = Vec::new();
        let mut tensors = Vec::new();
        for tensor in &report.arena {
            let name = tensor.name.split(' ').nth(1).unwrap_or_default();
            if !writers.iter().any(|(_, writer)| writer == name) {
                writers.push((COLOURS[writers.len() % COLOURS.len()], name.into()));
            }
            let colour = writers.iter().find(|(_, writer)| writer == name);
            let colour = colour.map_or("other", |&(colour, _)| colour);
            // Lower offsets lie lower.
            let place = Rectangle {
                x: LEFT + tensor.first as f64 * width,
                y: ARENA_HEIGHT - (tensor.offset + tensor.bytes) as f64 * height,
                width: (tensor.last + 1 - tensor.first) as f64 * width,
                height: tensor.bytes as f64 * height,
            };
            tensors.push(block(colour, place, title(tensor), name, tensor.bytes));
        }
        let offset = |bytes: u64| (bytes, ARENA_HEIGHT - bytes as f64 * height);
        let operator = |number: u64| (number, LEFT + (number as f64 + 0.5) * width);
        Arena {
            bytes,
            writers,
            tensors,
            offsets: marks(bytes, 8).map(offset).collect(),
            operators: marks(end - 1, 24).map(operator).collect(),
        }
    }
}

fn title(tensor: &Tensor) -> String {
    format!(
        "{}: {} bytes from {}, operators {} to {}",
        tensor.name,
        text::count(tensor.bytes),
        text::count(tensor.offset),
        tensor.first,
        tensor.last
    )
}

/// Returns marks from 0 on, about as many as wanted, at multiples of 1, 2 or 5 times a power of ten.
fn marks(most: u64, wanted: u64) -> impl Iterator<Item = u64> {
    let mut steps = (0..12).flat_map(|power| [1, 2, 5].map(|digit| digit * 10u64.pow(power)));
    let step = steps.find(|step| most / step <= wanted).unwrap_or(most);
    (0..=most).step_by(step as usize)
}

/// Draws flash beside RAM; what is unused is left out.
fn treemap(report: &Report) -> Vec<Block> {
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
    let whole = Rectangle {
        x: 0.0,
        y: 0.0,
        width: WIDTH,
        height: TREEMAP_HEIGHT,
    };
    let mut blocks = Vec::new();
    place_all(&memories, whole, "", &mut blocks);
    blocks
}

fn place_all(parts: &[Part], within: Rectangle, path: &str, blocks: &mut Vec<Block>) {
    let sizes: Vec<u64> = parts.iter().map(|part| part.bytes).collect();
    for (part, place) in parts.iter().zip(squarify(&sizes, within)) {
        place_one(part, place, path, blocks);
    }
}

fn place_one(part: &Part, place: Rectangle, path: &str, blocks: &mut Vec<Block>) {
    let path = match path {
        "" => part.name.clone(),
        path => format!("{path} › {}", part.name),
    };
    let title = format!("{path}: {} bytes", text::count(part.bytes));
    let name = class(part.kind);
    let has_room = place.width > 40.0 && place.height > HEADING * 2.0;
    if part.children.is_empty() || !has_room {
        blocks.push(block(name, place, title, &part.name, part.bytes));
        return;
    }
    let label = format!("{} {}", part.name, text::count(part.bytes));
    let letters = ((place.width - 8.0) / BOLD).max(0.0) as usize;
    let mut group = block(name, place, title, &fitted(&label, letters), part.bytes);
    (group.is_group, group.bytes) = (true, String::new());
    blocks.push(group);
    place_all(&part.children, place.inset(2.0, HEADING), &path, blocks);
}

fn block(kind: &'static str, place: Rectangle, title: String, label: &str, bytes: u64) -> Block {
    let letters = ((place.width - 8.0) / LETTER).max(0.0) as usize;
    let is_high = place.height >= HEADING - 2.0;
    let bytes = text::count(bytes);
    let fits = place.height >= 2.0 * HEADING && bytes.len() <= letters;
    Block {
        kind,
        is_group: false,
        x: place.x,
        y: place.y,
        width: place.width,
        height: place.height,
        title,
        label: if is_high {
            fitted(label, letters)
        } else {
            String::new()
        },
        bytes: if fits { bytes } else { String::new() },
    }
}

/// Cuts a label that is too long; returns nothing where too little would be left.
fn fitted(label: &str, letters: usize) -> String {
    const LEAST: usize = 4;
    match label.chars().count() {
        length if length <= letters => label.into(),
        _ if letters < LEAST => String::new(),
        _ => label.chars().take(letters - 1).chain(['…']).collect(),
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
        Kind::Ring => "ring",
        Kind::Statics => "statics",
        Kind::InitialValues | Kind::VectorTable | Kind::Other | Kind::Padding | Kind::Unused => {
            "other"
        }
    }
}
