//! Draws the smoothed posteriors over time as an SVG, one panel an input: what the decoder saw, the thresholds that it had,
//! when commands counted, and when the network rested.

use std::collections::BTreeMap;

use zerda_firmware::gate::Awake;
use zerda_firmware::recognizer::Spell;
use zerda_firmware::{Detection, Event, Image, Word};
use zerda_support::charts::treemap::Rectangle;
use zerda_support::charts::{Chart, Edges, Scale, Side, colour, drawing};
use zerda_support::error::Result;
use zerda_support::escape;

use crate::hearing::Follower;

/// Width and height of a panel.
const PANEL: (f64, f64) = (1100.0, 330.0);
/// Edges of the posteriors and of the waveform below them, in the first panel; the legend is on their right.
const POSTERIORS: Edges = Edges {
    left: 52.0,
    right: 972.0,
    top: 34.0,
    bottom: 232.0,
};
const WAVEFORM: Edges = Edges {
    top: 274.0,
    bottom: 322.0,
    ..POSTERIORS
};
/// Width that the name of a threshold takes at most, with one label.
const NAME_ROOM: f64 = 190.0;
/// Share of the chart's width that a word's name takes at most.
const NAME_WIDTH: f64 = 0.1;
/// Number of points that a line has at most: an hour of audio is drawn, and opened, as quickly as a minute.
const MAX_POINTS: usize = 2000;

/// Holds what is drawn, and how the image's numbers are to be read.
pub struct Trace {
    pub panels: Vec<Panel>,
    /// Name and colour of each label; those that are no words are grey.
    labels: Vec<(String, String)>,
    /// Names of the commands that the image lists; it is empty where each label is a command.
    commands: Vec<String>,
    /// Thresholds of the labels, 0 to 1, each once, and the line's name.
    thresholds: Vec<(f64, String)>,
    /// Says whether the image names wake words, and whether its network may rest.
    gates: [bool; 2],
    /// Length in samples that the front end's window has.
    window: usize,
    hop: usize,
    /// Sample rate in Hz that the audio has.
    rate: f64,
}

/// Holds what is drawn of one input.
pub struct Panel {
    name: String,
    words: Vec<Word>,
    detections: Vec<Detection>,
    /// Spans of time in which commands count, as far as they were foreseen: start and end in ms.
    windows: Vec<(u32, u32)>,
    /// Spells in which the network runs, where it may rest: start and, if they ended, end in ms.
    spells: Vec<(u32, Option<u32>)>,
    /// Smoothed posteriors that the frames have, Q0.8, shape [frames, classes].
    smoothed: Vec<u8>,
    /// Magnitude that the loudest of every [`ENVELOPE`] samples has.
    peaks: Vec<u16>,
    samples: usize,
}

/// Number of samples that a point of the waveform stands for: 10 ms.
const ENVELOPE: usize = 160;

impl Panel {
    pub fn new(name: &str) -> Panel {
        Panel {
            name: escape::line(name),
            words: Vec::new(),
            detections: Vec::new(),
            windows: Vec::new(),
            spells: Vec::new(),
            smoothed: Vec::new(),
            peaks: Vec::new(),
            samples: 0,
        }
    }
}

impl Follower for Panel {
    fn samples(&mut self, pcm: &[i16]) -> Result<()> {
        for sample in pcm {
            if self.samples.is_multiple_of(ENVELOPE) {
                self.peaks.push(0);
            }
            self.samples += 1;
            if let Some(peak) = self.peaks.last_mut() {
                *peak = sample.unsigned_abs().max(*peak);
            }
        }
        Ok(())
    }

    fn silence(&mut self, samples: usize) {
        let _ = self.samples(&vec![0; samples]);
    }

    fn event(&mut self, event: &Event<'_>) {
        match *event {
            Event::Frame { frame, smoothed } => {
                // Of frames that the network did not hear there are none.
                self.smoothed.resize(frame as usize * smoothed.len(), 0);
                self.smoothed.extend_from_slice(smoothed);
            }
            Event::Word(word) => self.words.push(word),
            Event::Detection(detection) => self.detections.push(detection),
            Event::Awake(Awake {
                at_ms, until_ms, ..
            }) => self.windows.push((at_ms, until_ms)),
            Event::Speech(Spell { at_ms, .. }) => self.spells.push((at_ms, None)),
            Event::Quiet(Spell { at_ms, .. }) => {
                if let Some((_, end)) = self.spells.last_mut() {
                    *end = Some(at_ms);
                }
            }
            Event::Asleep(_) | Event::Encoded { .. } | Event::Step { .. } => {}
        }
    }
}

impl Trace {
    pub fn new(image: &Image<'_>) -> Trace {
        let front_end = image.manifest().front_end;
        let (mut words, mut greys) = (0.., ["grey", "pale"].iter().cycle());
        let labels = image.labels().map(|label| {
            let colour = match label.threshold {
                0 => greys.next().map(std::string::ToString::to_string),
                _ => words.next().map(colour),
            };
            (label.name.to_string(), colour.unwrap_or_default())
        });
        Trace {
            panels: Vec::new(),
            labels: labels.collect(),
            commands: image.commands().map(|of| of.name.to_string()).collect(),
            thresholds: thresholds(image),
            gates: [image.wake().is_some(), image.quiet().is_some()],
            window: front_end.window.into(),
            hop: front_end.hop.into(),
            rate: f64::from(front_end.sample_rate),
        }
    }

    pub fn svg(&self) -> String {
        let panels = (0..).map(f64::from).zip(&self.panels);
        let charts = panels.flat_map(|(number, panel)| {
            let down = |edges: Edges| Edges {
                top: edges.top + PANEL.1 * number,
                bottom: edges.bottom + PANEL.1 * number,
                ..edges
            };
            let seconds = (panel.samples as f64 / self.rate).max(0.1);
            [
                self.posteriors(panel, down(POSTERIORS), seconds),
                self.waveform(panel, down(WAVEFORM), seconds),
            ]
        });
        let rows = self.panels.len().max(1) as f64;
        drawing(PANEL.0, PANEL.1 * rows, charts)
    }

    fn posteriors(&self, panel: &Panel, edges: Edges, seconds: f64) -> Chart {
        let (x, y) = (Scale::linear(0.0, seconds), Scale::linear(0.0, 1.1));
        let mut chart = Chart::new(edges, x, y);
        let middle = (edges.left + edges.right) / 2.0;
        chart.text("", (middle, edges.top - 16.0), Side::Middle, &panel.name);
        self.rests(&mut chart, panel, seconds, (0.0, 1.1));
        // The time in which commands count after a wake word.
        let mut shaded = 0.0;
        for &(from, until) in &panel.windows {
            let [from, until] = [from, until].map(|ms| secs(ms).clamp(shaded, seconds));
            chart.bar("window", (from, 0.0), (until, 1.1));
            shaded = until;
        }
        chart.x_axis("s");
        chart.y_axis("");
        self.thresholds(&mut chart, edges);
        self.words(&mut chart, panel, seconds);
        // A frame around the words of each command of several words, with its name.
        for detection in &panel.detections {
            let Some(name) = self.commands.get(usize::from(detection.command)) else {
                continue;
            };
            let (start, end) = (secs(detection.start_ms), secs(detection.end_ms));
            chart.bar("frame", (start, 0.0), (end, 1.0));
            let (x, y) = chart.at(start, 1.0);
            chart.text("", (x + 4.0, y + 14.0), Side::Right, name);
        }
        for (index, (name, colour)) in self.labels.iter().enumerate() {
            let values = panel.smoothed.iter().skip(index);
            let values: Vec<u8> = values.step_by(self.labels.len()).copied().collect();
            let points = decimated(&values);
            chart.curve(
                colour,
                points.map(|(frame, p)| (self.frame_end(frame), f64::from(p) / 256.0)),
            );
            let (x, y) = (edges.right + 14.0, edges.top + 6.0 + 17.0 * index as f64);
            chart.line(&format!("curve {colour}"), (x, y), (x + 20.0, y));
            chart.text("", (x + 28.0, y + 4.0), Side::Right, name);
        }
        self.legend(&mut chart, edges);
        chart
    }

    /// Tells what shaded times are, below the labels.
    fn legend(&self, chart: &mut Chart, edges: Edges) {
        let of = [("window", "awake"), ("quiet", "network rests")];
        let of = of.iter().zip(self.gates).filter(|(_, is)| *is);
        for (number, ((class, name), _)) in (self.labels.len()..).zip(of) {
            let (x, y) = (edges.right + 14.0, edges.top + 12.0 + 17.0 * number as f64);
            let (width, height) = (20.0, 10.0);
            let y = y - height / 2.0;
            chart.rectangle(
                class,
                Rectangle {
                    x,
                    y,
                    width,
                    height,
                },
            );
            chart.text("", (x + 28.0, y + 9.0), Side::Right, name);
        }
    }

    /// Shades the times in which the network rests, between two values of y.
    fn rests(&self, chart: &mut Chart, panel: &Panel, seconds: f64, (low, high): (f64, f64)) {
        if !self.gates[1] {
            return;
        }
        let mut from = 0.0;
        let end = (seconds, Some(seconds));
        let spells = panel.spells.iter();
        let spells = spells.map(|&(start, end)| (secs(start), end.map(secs)));
        for (until, next) in spells.chain([end]) {
            let until = until.min(seconds);
            if from < until {
                chart.bar("quiet", (from, low), (until, high));
            }
            from = next.unwrap_or(seconds);
        }
    }

    /// Draws a line at each threshold; names stand side by side, so that close ones do not write over each other.
    fn thresholds(&self, chart: &mut Chart, edges: Edges) {
        for (number, (threshold, name)) in self.thresholds.iter().enumerate() {
            let (_, y) = chart.at(0.0, *threshold);
            chart.line("limit", (edges.left, y), (edges.right, y));
            let x = edges.left + 6.0 + NAME_ROOM * number as f64;
            chart.text("limit", (x, y - 4.0), Side::Right, name);
        }
    }

    /// Shades each word from start to end, in its colour, with its name and score above.
    fn words(&self, chart: &mut Chart, panel: &Panel, seconds: f64) {
        let (mut before, mut height) = (f64::NEG_INFINITY, 1.06);
        for word in &panel.words {
            let Some((name, colour)) = self.labels.get(usize::from(word.label)) else {
                continue;
            };
            let (start, end) = (secs(word.start_ms), secs(word.end_ms));
            let score = f64::from(word.score) / 256.0;
            chart.bar(&format!("word {colour}"), (start, 0.0), (end, 1.0));
            chart.line(
                &format!("curve {colour}"),
                chart.at(end, 0.0),
                chart.at(end, 1.0),
            );
            // Two names side by side would write over each other.
            let close = start - before < NAME_WIDTH * seconds;
            height = if close && height > 1.02 { 1.02 } else { 1.06 };
            before = start;
            let text = format!("{name} {score:.2}");
            let class = format!("name {colour}");
            chart.text(&class, chart.at(start, height), Side::Right, &text);
        }
    }

    fn waveform(&self, panel: &Panel, edges: Edges, seconds: f64) -> Chart {
        let loudest = panel.peaks.iter().max().copied().unwrap_or(0).max(1);
        let loudest = f64::from(loudest);
        let (x, y) = (
            Scale::linear(0.0, seconds),
            Scale::linear(-loudest, loudest),
        );
        let mut chart = Chart::new(edges, x, y);
        self.rests(&mut chart, panel, seconds, (-loudest, loudest));
        let points = decimated(&panel.peaks);
        let points = points.map(|(at, peak)| ((at * ENVELOPE) as f64 / self.rate, f64::from(peak)));
        let points: Vec<(f64, f64)> = points.collect();
        let mirrored = points.iter().rev().map(|&(at, peak)| (at, -peak));
        chart.area("pale", points.iter().copied().chain(mirrored));
        chart
    }

    /// Returns the end of a frame in seconds from the start of the stream.
    fn frame_end(&self, frame: usize) -> f64 {
        (frame * self.hop + self.window) as f64 / self.rate
    }
}

/// Returns each threshold of an image once, 0 to 1, and what the line is called: by its label, if it is that of one.
fn thresholds(image: &Image<'_>) -> Vec<(f64, String)> {
    let mut of = BTreeMap::<u8, Vec<&str>>::new();
    for (label, threshold) in image.labels().zip(image.thresholds()) {
        if threshold > 0 {
            of.entry(threshold).or_default().push(label.name);
        }
    }
    let named = |(threshold, labels): (u8, Vec<&str>)| {
        let threshold = f64::from(threshold) / 256.0;
        let name = match labels[..] {
            [label] => format!("threshold of {label} {threshold:.2}"),
            _ => format!("threshold {threshold:.2}"),
        };
        (threshold, name)
    };
    of.into_iter().map(named).collect()
}

fn secs(ms: u32) -> f64 {
    f64::from(ms) / 1000.0
}

/// Returns at most [`MAX_POINTS`] points, each the maximum of what it stands for, with its index.
fn decimated<T: Copy + Ord>(values: &[T]) -> impl Iterator<Item = (usize, T)> {
    let group = values.len().div_ceil(MAX_POINTS).max(1);
    let maximum = move |(index, part): (usize, &[T])| Some((index * group, *part.iter().max()?));
    values.chunks(group).enumerate().filter_map(maximum)
}
