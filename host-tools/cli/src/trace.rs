//! Draws the smoothed posteriors over time as an SVG, one panel an input: what the decoder saw.

use std::error::Error as StdError;
use std::ops::Range;

use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use zerda_firmware::{Detection, Image, Word};

use zerda_support::error::{Error, Result};

const PANEL: (u32, u32) = (1100, 330);
/// Width in pixels that the legend takes, right of the chart.
const LEGEND_WIDTH: i32 = 120;
/// Height in pixels that the waveform takes, below the posteriors.
const WAVEFORM_HEIGHT: i32 = 60;
/// Share of the chart's width that a word's name takes at most.
const NAME_WIDTH: f64 = 0.1;
/// Number of points that a line has at most: an hour of audio is drawn, and opened, as quickly as a minute.
const MAX_POINTS: usize = 2000;

/// The colours of words: six that are colour-blind safe (Okabe and Ito), then six more. Labels that are no words are grey.
const COLOURS: [RGBColor; 12] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(128, 60, 20),
    RGBColor(90, 60, 160),
    RGBColor(110, 120, 0),
    RGBColor(190, 20, 60),
    RGBColor(0, 110, 120),
    RGBColor(20, 20, 20),
];

type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;
type Drawn<T = ()> = std::result::Result<T, Box<dyn StdError>>;

/// Holds what is drawn, and how the image's numbers are to be read.
pub struct Trace {
    pub panels: Vec<Panel>,
    labels: Vec<(String, RGBColor)>,
    /// Names of the commands that the image lists; it is empty where each label is a command.
    commands: Vec<String>,
    /// Length in samples that the front end's window has.
    window: usize,
    hop: usize,
    /// Sample rate in Hz that the audio has.
    rate: f64,
}

/// Holds what is drawn of one input.
pub struct Panel {
    name: String,
    pub words: Vec<Word>,
    pub detections: Vec<Detection>,
    /// Spans of time in which commands count, as far as they were foreseen: start and end in ms.
    pub windows: Vec<(u32, u32)>,
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
            name: name.into(),
            words: Vec::new(),
            detections: Vec::new(),
            windows: Vec::new(),
            smoothed: Vec::new(),
            peaks: Vec::new(),
            samples: 0,
        }
    }

    pub fn samples(&mut self, pcm: &[i16]) {
        for sample in pcm {
            if self.samples.is_multiple_of(ENVELOPE) {
                self.peaks.push(0);
            }
            self.samples += 1;
            if let Some(peak) = self.peaks.last_mut() {
                *peak = sample.unsigned_abs().max(*peak);
            }
        }
    }

    pub fn frame(&mut self, smoothed: &[u8]) {
        self.smoothed.extend_from_slice(smoothed);
    }
}

impl Trace {
    pub fn new(image: &Image<'_>) -> Trace {
        let front_end = image.manifest().front_end;
        let mut colours = COLOURS.iter().cycle();
        let mut greys = [RGBColor(110, 110, 110), RGBColor(190, 190, 190)]
            .into_iter()
            .cycle();
        let labels = image.labels().map(|label| {
            let colour = match label.threshold {
                0 => greys.next(),
                _ => colours.next().copied(),
            };
            (label.name.to_string(), colour.unwrap_or(BLACK))
        });
        Trace {
            panels: Vec::new(),
            labels: labels.collect(),
            commands: image.commands().map(|of| of.name.to_string()).collect(),
            window: front_end.window.into(),
            hop: front_end.hop.into(),
            rate: f64::from(front_end.sample_rate),
        }
    }

    pub fn svg(&self) -> Result<String> {
        let mut svg = String::new();
        self.draw(&mut svg)
            .map_err(|error| Error::usage(format!("the trace cannot be drawn: {error}")))?;
        Ok(svg)
    }

    fn draw(&self, svg: &mut String) -> Drawn {
        let rows = self.panels.len().max(1);
        let size = (PANEL.0, PANEL.1.saturating_mul(u32::try_from(rows)?));
        let root = SVGBackend::with_string(svg, size).into_drawing_area();
        root.fill(&WHITE)?;
        for (area, panel) in root.split_evenly((rows, 1)).iter().zip(&self.panels) {
            self.panel(area, panel)?;
        }
        root.present()?;
        Ok(())
    }

    fn panel(
        &self,
        area: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
        panel: &Panel,
    ) -> Drawn {
        let area = area.margin(8, 8, 8, 8);
        let (width, height) = area.dim_in_pixel();
        let (main, legend) = area.split_horizontally(i32::try_from(width)? - LEGEND_WIDTH);
        let (upper, lower) = main.split_vertically(i32::try_from(height)? - WAVEFORM_HEIGHT);
        let seconds = 0.0..(panel.samples as f64 / self.rate).max(0.1);

        let mut chart = ChartBuilder::on(&upper)
            .caption(&panel.name, ("sans-serif", 15))
            .x_label_area_size(24)
            .y_label_area_size(44)
            .build_cartesian_2d(seconds.clone(), 0.0..1.1)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(WHITE)
            .y_labels(6)
            .y_label_formatter(&|p| format!("{p:.1}"))
            .x_label_formatter(&|s| format!("{s:.1} s"))
            .draw()?;
        windows(&mut chart, panel, seconds.end)?;
        self.words(&mut chart, panel)?;
        self.commands(&mut chart, panel)?;
        let classes = self.labels.len();
        for (index, (name, colour)) in self.labels.iter().enumerate() {
            let values: Vec<u8> = panel
                .smoothed
                .iter()
                .skip(index)
                .step_by(classes)
                .copied()
                .collect();
            let points =
                decimated(&values).map(|(frame, p)| (self.frame_end(frame), f64::from(p) / 256.0));
            chart.draw_series(LineSeries::new(points, colour.stroke_width(2)))?;
            let y = 40 + 17 * i32::try_from(index)?;
            legend.draw(&PathElement::new(
                [(14, y + 6), (34, y + 6)],
                colour.stroke_width(3),
            ))?;
            legend.draw(&Text::new(name.as_str(), (42, y), ("sans-serif", 14)))?;
        }
        waveform(&lower, panel, seconds, self.rate)
    }

    /// Shades each word from start to end, in its colour, with its name and score above.
    fn words(&self, chart: &mut Chart<'_, '_>, panel: &Panel) -> Drawn {
        let duration = panel.samples as f64 / self.rate;
        let (mut before, mut height) = (f64::NEG_INFINITY, 1.09);
        for word in &panel.words {
            let Some((name, colour)) = self.labels.get(usize::from(word.label)) else {
                continue;
            };
            let [start, end] = [word.start_ms, word.end_ms].map(|ms| f64::from(ms) / 1000.0);
            let score = f64::from(word.score) / 256.0;
            chart.draw_series([
                Rectangle::new([(start, 0.0), (end, 1.0)], colour.mix(0.12).filled()),
                Rectangle::new([(end, 0.0), (end, 1.0)], colour.stroke_width(1)),
            ])?;
            // Two names side by side would write over each other.
            let close = start - before < NAME_WIDTH * duration;
            height = if close && height > 1.05 { 1.05 } else { 1.09 };
            before = start;
            let style = ("sans-serif", 13).into_font().color(colour);
            chart.draw_series([Text::new(
                format!("{name} {score:.2}"),
                (start, height),
                style,
            )])?;
        }
        Ok(())
    }

    /// Draws a frame around the words of each command of several words, with its name.
    fn commands(&self, chart: &mut Chart<'_, '_>, panel: &Panel) -> Drawn {
        for detection in &panel.detections {
            let Some(name) = self.commands.get(usize::from(detection.command)) else {
                continue;
            };
            let [start, end] =
                [detection.start_ms, detection.end_ms].map(|ms| f64::from(ms) / 1000.0);
            chart.draw_series([Rectangle::new([(start, 0.0), (end, 1.0)], BLACK)])?;
            let style = ("sans-serif", 13).into_font().color(&BLACK);
            chart.draw_series([Text::new(name.clone(), (start + 0.02, 0.97), style)])?;
        }
        Ok(())
    }

    /// Returns the end of a frame in seconds from the start of the stream.
    fn frame_end(&self, frame: usize) -> f64 {
        (frame * self.hop + self.window) as f64 / self.rate
    }
}

/// Shades the time in which commands count after a wake word.
fn windows(chart: &mut Chart<'_, '_>, panel: &Panel, end: f64) -> Drawn {
    let mut shaded = 0.0;
    for &(from, until) in &panel.windows {
        let [from, until] = [from, until].map(|ms| (f64::from(ms) / 1000.0).clamp(shaded, end));
        let shade = Rectangle::new(
            [(from, 0.0), (until, 1.1)],
            RGBColor(255, 246, 200).filled(),
        );
        chart.draw_series([shade])?;
        shaded = until;
    }
    Ok(())
}

fn waveform(
    area: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
    panel: &Panel,
    seconds: Range<f64>,
    rate: f64,
) -> Drawn {
    let loudest = panel.peaks.iter().max().copied().unwrap_or(0).max(1);
    let mut chart = ChartBuilder::on(area)
        .y_label_area_size(44)
        .build_cartesian_2d(seconds, -1.0..1.0)?;
    let points: Vec<(f64, f64)> = decimated(&panel.peaks)
        .map(|(at, peak)| {
            (
                (at * ENVELOPE) as f64 / rate,
                f64::from(peak) / f64::from(loudest),
            )
        })
        .collect();
    let mirrored = points.iter().rev().map(|&(at, peak)| (at, -peak));
    let outline: Vec<(f64, f64)> = points.iter().copied().chain(mirrored).collect();
    chart.draw_series([Polygon::new(outline, RGBColor(150, 160, 170).filled())])?;
    Ok(())
}

/// Returns at most [`MAX_POINTS`] points, each the maximum of what it stands for, with its index.
fn decimated<T: Copy + Ord>(values: &[T]) -> impl Iterator<Item = (usize, T)> {
    let group = values.len().div_ceil(MAX_POINTS).max(1);
    let maximum = move |(index, part): (usize, &[T])| Some((index * group, *part.iter().max()?));
    values.chunks(group).enumerate().filter_map(maximum)
}
