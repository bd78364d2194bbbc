//! Renders the report as one HTML page that needs nothing else.

use serde::Serialize;
use zerda_support::charts::{Chart, Edges, PLOT, Scale, Side};
use zerda_support::error::Result;
use zerda_support::html::render;

use super::device::Lane;
use super::latency::{Detections, Parts};
use super::report::Simulation;
use super::text;

const TEMPLATE: &str = include_str!("report.html");

/// Edges of the charts of a curve.
const LOW: Edges = Edges::from(16.0, 200.0);
/// Height of a lane, which a part on a word's way has as well.
const LANE: f64 = 34.0;

/// Number of steps that are drawn after the caches are full.
const AFTER: u64 = 20;

#[derive(Serialize)]
struct Page<'a> {
    report: &'a Simulation,
    title: String,
    words: String,
    fill: String,
    lanes: String,
    /// Time at which the second that is drawn begins in the stream, in seconds.
    look_s: f64,
    /// Charts that show words from their end to their detection: their share over latency, and its parts.
    way: Option<(String, String)>,
    /// Name of each stage, its ms, and the percent of the width that its bar takes.
    stages: Vec<(&'static str, f64, f64)>,
}

pub fn page(report: &Simulation) -> Result<String> {
    let most = report.stages.first().map_or(1.0, |stage| stage.ms);
    let stages = report.stages.iter();
    let words = report.word_end_to_detection_ms.as_ref();
    render(
        TEMPLATE,
        Page {
            title: text::title(report),
            words: text::words(report),
            fill: fill(report),
            lanes: lanes(report),
            look_s: report.look_s,
            way: words.map(|words| (shares(report, words), parts(words))),
            stages: stages
                .map(|stage| (stage.name, stage.ms, 100.0 * stage.ms / most))
                .collect(),
            report,
        },
    )
}

/// Draws how long each of the first steps takes.
fn fill(report: &Simulation) -> String {
    let shown = (report.fill.steps + AFTER).min(report.first.len() as u64);
    let steps = &report.first[..shown as usize];
    let highest = steps.iter().map(|&(latency, compute)| latency.max(compute));
    let x = Scale::linear(0.0, shown.max(2) as f64 - 1.0);
    let y = Scale::linear(0.0, highest.fold(0.0, f64::max) * 1.1);
    let mut chart = Chart::new(LOW, x, y);
    chart.x_axis("step");
    chart.y_axis("ms");
    if report.fill.steps < shown {
        chart.vertical("mark", report.fill.steps as f64, "caches full");
    }
    let curve = |of: fn(&(f64, f64)) -> f64| (0..).map(f64::from).zip(steps.iter().map(of));
    chart.curve("c0", curve(|ms| ms.0));
    chart.curve("c1", curve(|ms| ms.1));
    chart.legend("c0", "from its last sample in memory to the decoder's end");
    chart.legend("c1", "the step alone");
    chart.html("Latency of the first steps")
}

/// Starts a chart of lanes, the first at the top.
fn rows(count: usize, x: Scale) -> Chart {
    let edges = Edges::from(PLOT.top, PLOT.top + LANE * count as f64);
    let mut chart = Chart::new(edges, x, Scale::linear(count as f64, 0.0));
    chart.x_axis("ms");
    chart
}

/// Writes the name of a lane above its bars.
fn name(chart: &mut Chart, lane: usize, name: &str) {
    let y = PLOT.top + LANE * lane as f64 + 11.0;
    chart.text("", (PLOT.left + 2.0, y), Side::Right, name);
}

/// Draws a bar in a lane.
fn span(chart: &mut Chart, class: &str, lane: usize, from: f64, to: f64) {
    let lane = lane as f64;
    chart.bar(class, (from, lane + 0.42), (to, lane + 0.86));
}

/// Draws who is busy in the second that was looked at.
fn lanes(report: &Simulation) -> String {
    let mut lanes = vec![
        (Lane::Buffer, "DMA buffer", "buffer"),
        (Lane::FrontEnd, "front end", "c0"),
        (Lane::Step, "step, core", "c1"),
    ];
    lanes.extend(report.npu.map(|_| (Lane::Npu, "step, NPU", "c1")));
    let mut chart = rows(lanes.len(), Scale::linear(0.0, 1000.0));
    let ms = |at_s: f64| (1000.0 * (at_s - report.look_s)).clamp(0.0, 1000.0);
    for (number, &(lane, of, class)) in lanes.iter().enumerate() {
        for &(_, from, to) in report.spans.iter().filter(|span| span.0 == lane) {
            span(&mut chart, class, number, ms(from), ms(to));
        }
        name(&mut chart, number, of);
    }
    chart.html("Who is busy in a second")
}

/// Draws the share of words that are detected within a time.
fn shares(report: &Simulation, words: &Detections) -> String {
    let mut latencies: Vec<f64> = words.each.iter().map(|word| word.latency_ms).collect();
    latencies.sort_by(f64::total_cmp);
    let least = latencies.first().map_or(0.0, |least| least.min(0.0));
    let most = words.max.max(report.limit_ms);
    let x = Scale::linear(least - 10.0, most + 20.0);
    let mut chart = Chart::new(LOW, x, Scale::linear(0.0, 100.0));
    chart.x_axis("ms");
    chart.y_axis("%");
    chart.vertical("mark", 0.0, "");
    chart.vertical("limit", report.limit_ms, "limit");
    chart.vertical("mark", words.p95, "p95");
    let share = |rank: usize| 100.0 * rank as f64 / latencies.len() as f64;
    let steps = latencies.iter().enumerate();
    let steps = steps.flat_map(|(rank, &at)| [(at, share(rank)), (at, share(rank + 1))]);
    chart.curve("c0", steps);
    chart.html("Share of words over latency")
}

/// Draws what the latency of words is made of, on average, one part after the other.
fn parts(words: &Detections) -> String {
    // Each part begins where the one before ended; a decision before the word's end goes back.
    let mut ends = vec![0.0];
    for ms in words.parts.all() {
        ends.push(ends[ends.len() - 1] + ms);
    }
    let bound = |pick: fn(f64, f64) -> f64| ends.iter().copied().fold(0.0, pick);
    let x = Scale::linear(bound(f64::min) - 5.0, bound(f64::max) + 5.0);
    let mut chart = rows(Parts::NAMES.len(), x);
    chart.vertical("mark", 0.0, "");
    for (lane, (of, ms)) in Parts::NAMES.iter().zip(words.parts.all()).enumerate() {
        let class = if ms < 0.0 { "c1" } else { "c0" };
        span(&mut chart, class, lane, ends[lane], ends[lane + 1]);
        name(&mut chart, lane, &format!("{of} {ms:.2}"));
    }
    chart.html("Parts of the latency")
}
