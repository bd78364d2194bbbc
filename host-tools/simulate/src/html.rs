//! Renders the report as one HTML page that needs nothing else.

use serde::Serialize;
use zerda_support::error::Result;
use zerda_support::html::{Axis, render};

use super::device::Lane;
use super::latency::{Detections, Parts};
use super::report::Report;
use super::text;

const TEMPLATE: &str = include_str!("report.html");

/// Left edge of the charts, in units of their own that the template knows; the other edges follow.
pub(super) const LEFT: f64 = 60.0;
pub(super) const RIGHT: f64 = 1090.0;
pub(super) const TOP: f64 = 16.0;
const BOTTOM: f64 = 200.0;
/// Height of a lane, which a part on a word's way has as well.
const LANE: f64 = 34.0;

/// Number of steps that are drawn after the caches are full.
const AFTER: u64 = 20;

#[derive(Serialize)]
struct Page<'a> {
    report: &'a Report,
    title: String,
    words: String,
    fill: Chart,
    /// Place on the x axis where the caches are full.
    full_x: f64,
    lanes: Vec<Busy>,
    /// Time at which the second that is drawn begins in the stream, in seconds.
    look_s: f64,
    lane_ticks: Vec<(String, f64)>,
    way: Option<Way>,
    /// Name of each stage, its ms, and the percent of the width that its bar takes.
    stages: Vec<(&'static str, f64, f64)>,
}

#[derive(Serialize)]
struct Busy {
    name: &'static str,
    y: f64,
    /// Rectangles that show when it is busy: x and width.
    spans: Vec<(f64, f64)>,
}

/// Curves that are drawn over a grid; a tick is its label, and where it is.
#[derive(Serialize)]
struct Chart {
    x: Vec<(String, f64)>,
    y: Vec<(String, f64)>,
    /// Points that the polylines go through.
    curves: Vec<String>,
}

/// Charts that show words from their end to their detection.
#[derive(Serialize)]
struct Way {
    share: Chart,
    limit_x: f64,
    p95_x: f64,
    zero_x: f64,
    /// Name of each part, its mean in ms, and the bar that stands for it: y, x and width.
    parts: Vec<(&'static str, f64, f64, f64, f64)>,
    part_ticks: Vec<(String, f64)>,
    part_zero_x: f64,
}

pub fn page(report: &Report) -> Result<String> {
    render(TEMPLATE, Page::of(report))
}

impl<'a> Page<'a> {
    fn of(report: &'a Report) -> Page<'a> {
        let shown = (report.fill.steps + AFTER).min(report.first.len() as u64);
        let steps = &report.first[..shown as usize];
        let highest = steps.iter().map(|&(latency, compute)| latency.max(compute));
        let x = Axis::new(0.0, shown.max(2) as f64 - 1.0, LEFT, RIGHT);
        let y = Axis::new(0.0, highest.fold(0.0, f64::max) * 1.1, BOTTOM, TOP);
        let curve = |of: fn(&(f64, f64)) -> f64| {
            let points = steps.iter().enumerate();
            points
                .map(|(step, ms)| format!("{:.1},{:.1}", x.at(step as f64), y.at(of(ms))))
                .collect::<Vec<_>>()
                .join(" ")
        };
        let most = report.stages.first().map_or(1.0, |stage| stage.ms);
        let stages = report.stages.iter();
        Page {
            title: text::title(report),
            words: text::words(report),
            full_x: x.at(report.fill.steps as f64).min(RIGHT),
            fill: Chart {
                x: x.ticks(),
                y: y.ticks(),
                curves: vec![curve(|ms| ms.0), curve(|ms| ms.1)],
            },
            lanes: lanes(report),
            look_s: report.look_s,
            lane_ticks: Axis::new(0.0, 1000.0, LEFT, RIGHT).ticks(),
            way: report
                .word_end_to_detection_ms
                .as_ref()
                .map(|words| way(report, words)),
            stages: stages
                .map(|stage| (stage.name, stage.ms, 100.0 * stage.ms / most))
                .collect(),
            report,
        }
    }
}

/// Returns who is busy in the second that was looked at.
fn lanes(report: &Report) -> Vec<Busy> {
    let mut lanes = vec![
        (Lane::Buffer, "DMA buffer"),
        (Lane::FrontEnd, "front end"),
        (Lane::Step, "step, core"),
    ];
    lanes.extend(report.npu.map(|_| (Lane::Npu, "step, NPU")));
    let x = Axis::new(report.look_s, report.look_s + 1.0, LEFT, RIGHT);
    let lane = |(number, (lane, name)): (usize, (Lane, &'static str))| {
        let spans = report.spans.iter().filter(|span| span.0 == lane);
        let spans = spans.map(|&(_, from, to)| {
            let [from, to] = [from, to].map(|at| x.at(at).clamp(LEFT, RIGHT));
            // What is too short to be seen would not be there.
            (from, (to - from).max(0.6))
        });
        Busy {
            name,
            y: TOP + number as f64 * LANE,
            spans: spans.collect(),
        }
    };
    lanes.into_iter().enumerate().map(lane).collect()
}

fn way(report: &Report, words: &Detections) -> Way {
    let mut latencies: Vec<f64> = words.each.iter().map(|word| word.latency_ms).collect();
    latencies.sort_by(f64::total_cmp);
    let least = latencies.first().map_or(0.0, |least| least.min(0.0));
    let x = Axis::new(
        least - 10.0,
        words.max.max(report.limit_ms) + 20.0,
        LEFT,
        RIGHT,
    );
    let y = Axis::new(0.0, 100.0, BOTTOM, TOP);
    let mut points = Vec::new();
    for (rank, &latency) in latencies.iter().enumerate() {
        let share = |rank: usize| y.at(100.0 * rank as f64 / latencies.len() as f64);
        points.push(format!("{:.1},{:.1}", x.at(latency), share(rank)));
        points.push(format!("{:.1},{:.1}", x.at(latency), share(rank + 1)));
    }
    // Each part begins where the one before ended; a decision before the word's end goes back.
    let mut ends = vec![0.0];
    for ms in words.parts.all() {
        ends.push(ends[ends.len() - 1] + ms);
    }
    let bound = |pick: fn(f64, f64) -> f64| ends.iter().copied().fold(0.0, pick);
    let part_x = Axis::new(
        bound(f64::min) - 5.0,
        bound(f64::max) + 5.0,
        190.0,
        RIGHT - 60.0,
    );
    let part = |(number, (&name, ms)): (usize, (&&'static str, f64))| {
        let (from, to) = (ends[number], ends[number + 1]);
        let [from, to] = [from.min(to), from.max(to)].map(|at| part_x.at(at));
        (
            name,
            ms,
            TOP + number as f64 * LANE,
            from,
            (to - from).max(0.6),
        )
    };
    Way {
        share: Chart {
            x: x.ticks(),
            y: y.ticks(),
            curves: vec![points.join(" ")],
        },
        limit_x: x.at(report.limit_ms),
        p95_x: x.at(words.p95),
        zero_x: x.at(0.0),
        parts: Parts::NAMES
            .iter()
            .zip(words.parts.all())
            .enumerate()
            .map(part)
            .collect(),
        part_ticks: part_x.ticks(),
        part_zero_x: part_x.at(0.0),
    }
}
