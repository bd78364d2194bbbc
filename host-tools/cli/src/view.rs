//! Shows on a terminal what a live recognizer hears: level, posteriors, asleep or awake.
//!
//! It is drawn by ratatui, into lines below those that are printed, which scroll on as they do without it.

use std::fmt::Write;
use std::time::{Duration, Instant};

use ratatui_core::buffer::Buffer;
use ratatui_core::layout::{Constraint, Layout, Rect};
use ratatui_core::style::{Color, Modifier, Style};
use ratatui_core::text::{Line, Span};
use ratatui_core::widgets::Widget;
use zerda_firmware::gate::Awake;
use zerda_firmware::{Event, Image};
use zerda_support::audio::SAMPLE_RATE;
use zerda_support::error::Result;
use zerda_support::escape;
use zerda_support::progress::Picture;

use crate::hearing::Follower;
use crate::level::Meter;
use crate::microphone::Overruns;

/// Time between two pictures.
const EVERY: Duration = Duration::from_millis(66);
/// Columns that a word takes: its name, its bar and its posterior.
const WORD: u16 = 38;
/// Columns of a name before a bar.
const NAME: usize = 10;
/// Columns of the bars of posteriors and of the level.
const BAR: usize = 20;
/// Level in dBFS at which the bar of the level begins.
const QUIET: f64 = -80.0;
/// The share of a bar's last height that is left in the next picture, so that short words are seen.
const STAYS: f64 = 0.8;

/// A picture that follows a stream.
pub struct View {
    picture: Picture,
    scene: Scene,
    shown: Instant,
}

impl View {
    /// Begins to show; `None` where there is no terminal.
    pub fn begin(image: &Image<'_>, overruns: &Overruns) -> Option<View> {
        Some(View {
            picture: Picture::begin()?,
            scene: Scene::new(image, overruns),
            shown: Instant::now(),
        })
    }
}

impl Follower for View {
    fn samples(&mut self, pcm: &[i16]) -> Result<()> {
        self.scene.meter.push(pcm);
        self.scene.samples += pcm.len() as u64;
        if self.shown.elapsed() >= EVERY {
            self.shown = Instant::now();
            let (rows, columns) = self.picture.size();
            self.picture.show(self.scene.draw(columns, rows));
            self.scene.words.iter_mut().for_each(Word::fade);
        }
        Ok(())
    }

    fn event(&mut self, event: &Event<'_>) {
        self.scene.event(event);
    }
}

/// Holds what is shown.
struct Scene {
    meter: Meter,
    samples: u64,
    words: Vec<Word>,
    /// Names of the wake words; there are none where commands count at any time.
    wake_words: Vec<String>,
    /// The end of the window in which commands count, in ms.
    awake_until: Option<u32>,
    overruns: Overruns,
}

/// A word that can be detected.
struct Word {
    label: usize,
    name: String,
    /// Threshold and posterior are shares of 1.
    threshold: f64,
    posterior: f64,
}

impl Word {
    fn fade(&mut self) {
        self.posterior *= STAYS;
    }
}

impl Scene {
    fn new(image: &Image<'_>, overruns: &Overruns) -> Scene {
        let labels = image.labels().zip(image.thresholds()).enumerate();
        let words = labels.map(|(label, (of, threshold))| Word {
            label,
            name: escape::line(of.name),
            threshold: f64::from(threshold) / 256.0,
            posterior: 0.0,
        });
        let words: Vec<_> = words.collect();
        let wake = image.wake().map_or(&[][..], |wake| wake.words);
        let names = wake.iter().filter_map(|&word| words.get(usize::from(word)));
        Scene {
            meter: Meter::new(),
            samples: 0,
            wake_words: names.map(|word| word.name.clone()).collect(),
            words: words
                .into_iter()
                .filter(|word| word.threshold > 0.0)
                .collect(),
            awake_until: None,
            overruns: overruns.clone(),
        }
    }

    fn event(&mut self, event: &Event<'_>) {
        match *event {
            Event::Frame { smoothed, .. } => {
                for word in &mut self.words {
                    let posterior = smoothed.get(word.label).copied().unwrap_or_default();
                    word.posterior = word.posterior.max(f64::from(posterior) / 256.0);
                }
            }
            Event::Awake(Awake { until_ms, .. }) => self.awake_until = Some(until_ms),
            Event::Asleep(_) => self.awake_until = None,
            Event::Encoded { .. }
            | Event::Step { .. }
            | Event::Word(_)
            | Event::Detection(_)
            | Event::Speech(_)
            | Event::Quiet(_) => {}
        }
    }

    /// Draws lines for a terminal of this size.
    fn draw(&self, columns: u16, rows: u16) -> String {
        let across = (columns / WORD).max(1);
        let lines = (self.words.len() as u16).div_ceil(across);
        let height = (2 + lines).min(rows.saturating_sub(1)).max(1);
        let area = Rect::new(0, 0, columns.saturating_sub(1).max(1), height);
        let mut buffer = Buffer::empty(area);
        self.render(area, &mut buffer);
        coloured(&buffer)
    }

    fn level(&self) -> Line<'_> {
        let at = |db: f64| ((db - QUIET) / -QUIET * BAR as f64).clamp(0.0, BAR as f64) as usize;
        let (level, floor, peak) = (self.meter.level, self.meter.floor, self.meter.peak);
        let mut spans = vec![Span::raw(format!("{:<NAME$} ", "level"))];
        spans.extend(bar(at(level), at(peak), Color::Green));
        // Whole numbers have no -0.
        let (level, floor) = (level.round() as i32, floor.round() as i32);
        spans.push(Span::raw(format!(" {level:>4} dBFS, noise {floor} dBFS")));
        if self.meter.is_clipped() {
            spans.push(Span::styled("  CLIPPED: less gain", Color::Red));
        }
        Line::from(spans)
    }

    fn state(&self) -> Line<'_> {
        let seconds = self.samples as f64 / f64::from(SAMPLE_RATE);
        let (text, colour) = match self.awake_until {
            _ if self.wake_words.is_empty() => ("every command counts".into(), Color::Green),
            Some(until_ms) => {
                let left = (f64::from(until_ms) / 1000.0 - seconds).max(0.0);
                (format!("awake for {left:.1} s"), Color::Green)
            }
            None => {
                let words = self.wake_words.join(" or ");
                (format!("asleep, say {words}"), Color::Yellow)
            }
        };
        let overruns = match self.overruns.count() {
            0 => String::new(),
            count => format!(", {count} overruns"),
        };
        let time = Span::raw(format!("{seconds:.1} s{overruns}, "));
        Line::from(vec![time, Span::styled(text, colour)])
    }
}

impl Widget for &Scene {
    fn render(self, area: Rect, buffer: &mut Buffer) {
        let rows = Layout::vertical([
            Constraint::Length(1),
            Constraint::Length(1),
            Constraint::Fill(1),
        ]);
        let [level, state, words] = area.layout(&rows);
        self.level().render(level, buffer);
        self.state().render(state, buffer);
        let across = usize::from((area.width / WORD).max(1));
        let columns = Layout::horizontal(vec![Constraint::Length(WORD); across]);
        let columns = columns.split(words);
        for (number, word) in self.words.iter().enumerate() {
            let (line, column) = ((number / across) as u16, columns[number % across]);
            if line < words.height {
                let place = Rect::new(column.x, words.y + line, column.width, 1);
                word.line().render(place.intersection(words), buffer);
            }
        }
    }
}

impl Word {
    fn line(&self) -> Line<'_> {
        let at = |share: f64| (share * BAR as f64).round() as usize;
        let reached = self.posterior >= self.threshold;
        let colour = if reached { Color::Green } else { Color::Blue };
        let mut spans = vec![Span::raw(format!("{:<NAME$.NAME$} ", self.name))];
        spans.extend(bar(at(self.posterior), at(self.threshold), colour));
        spans.push(Span::raw(format!(" {:.2}", self.posterior)));
        Line::from(spans)
    }
}

/// Returns a bar of `filled` columns in a colour, with a mark.
fn bar(filled: usize, mark: usize, colour: Color) -> Vec<Span<'static>> {
    let cells = 0..=BAR;
    let cell = |at| match at {
        at if at == mark => Span::raw("│"),
        at if at < filled => Span::styled("█", colour),
        _ => Span::styled("·", Style::new().add_modifier(Modifier::DIM)),
    };
    cells.map(cell).collect()
}

/// Writes a buffer as lines for a terminal.
fn coloured(buffer: &Buffer) -> String {
    let mut text = String::new();
    for (row, cells) in buffer.content.chunks(buffer.area.width.into()).enumerate() {
        if row > 0 {
            text.push('\n');
        }
        let mut before = Style::new();
        for cell in cells {
            let style = Style::new().fg(cell.fg).add_modifier(cell.modifier);
            if style != before {
                let _ = write!(text, "\x1b[{}m", code(cell.fg, cell.modifier));
                before = style;
            }
            text.push_str(cell.symbol());
        }
        text.push_str("\x1b[0m");
    }
    text
}

/// Returns the numbers of a colour and of dimmed text among the codes of terminals (ECMA-48, SGR).
fn code(colour: Color, modifier: Modifier) -> &'static str {
    match colour {
        Color::Red => "0;31",
        Color::Green => "0;32",
        Color::Yellow => "0;33",
        Color::Blue => "0;34",
        _ if modifier.contains(Modifier::DIM) => "0;2",
        _ => "0",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerda_support::test_support::shrunk;
    use zerda_support::wake::{Words, with_wake};

    /// What a scene shows, without its colours.
    fn shown(scene: &Scene, columns: u16, rows: u16) -> String {
        let drawn = scene.draw(columns, rows);
        let parts = drawn.split('\x1b').enumerate();
        let plain = parts.map(|(n, part)| match n {
            0 => part,
            _ => part.split_once('m').unwrap().1,
        });
        plain.collect()
    }

    #[test]
    fn a_terminal_shows_level_clipping_posteriors_and_whether_the_device_is_asleep() {
        let gated = with_wake(&shrunk(), &Words::default()).unwrap();
        let image = gated.image().unwrap();
        let mut scene = Scene::new(&image, &Overruns::default());
        scene.meter.push(&[0; 16_000]);
        let text = shown(&scene, 80, 24);
        assert!(text.contains("asleep, say computer or jarvis"), "{text}");
        assert!(
            text.contains("-96 dBFS") && !text.contains("CLIPPED"),
            "{text}"
        );
        let labels: Vec<_> = image.labels().map(|label| label.name).collect();
        let mut smoothed = vec![0; labels.len()];
        // Three quarters.
        smoothed[labels.iter().position(|&name| name == "left").unwrap()] = 192;
        let frame = Event::Frame {
            frame: 0,
            smoothed: &smoothed,
        };
        scene.event(&frame);
        scene.event(&Event::Awake(Awake {
            frame: 0,
            until: 0,
            at_ms: 0,
            until_ms: 6_000,
        }));
        scene.samples = 16_000;
        scene.meter.push(&[i16::MAX; 800]);
        let text = shown(&scene, 80, 24);
        assert!(text.contains("1.0 s, awake for 5.0 s"), "{text}");
        assert!(
            text.contains("  0 dBFS") && text.contains("CLIPPED"),
            "{text}"
        );
        let left = text.split("left ").nth(1).unwrap().chars();
        let bar: String = left.skip_while(|c| *c == ' ').take(21).collect();
        // 15 of 20 columns are filled, one of them by the mark of the threshold.
        assert_eq!(bar.matches('█').count(), 14, "{bar}");
        assert!(text.contains("0.75"), "{text}");
    }

    #[test]
    fn a_picture_fits_into_any_terminal() {
        let shipped = shrunk();
        let scene = Scene::new(&shipped.image().unwrap(), &Overruns::default());
        for (columns, rows) in [(0, 0), (1, 1), (20, 3), (80, 24), (300, 100)] {
            let text = shown(&scene, columns, rows);
            let widest = text.lines().map(|line| line.chars().count()).max();
            assert!(widest.unwrap() < usize::from(columns.max(2)), "{columns}");
            assert!(text.lines().count() < usize::from(rows.max(2)), "{rows}");
        }
    }
}
