//! Renders pages that need no other file, in the look that all reports have, and places values on
//! the axes of their charts.

use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment};
use serde::Serialize;

use crate::error::{Error, Result};

const STYLE: &str = include_str!("html/style.css");

/// Renders a page in the look that all reports have.
pub fn render(template: &str, page: impl Serialize) -> Result<String> {
    render_with(template, page, |_| {})
}

/// Renders a page in that look with filters of its own.
pub fn render_with(
    template: &str,
    page: impl Serialize,
    filters: impl FnOnce(&mut Environment<'_>),
) -> Result<String> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.add_filter("fixed", fixed);
    environment.add_filter("percent", |value: f64| format!("{:.1}", 100.0 * value));
    environment.add_global("style", Value::from_safe_string(STYLE.into()));
    filters(&mut environment);
    let page = environment.render_str(template, Value::from(Serde(page)));
    page.map_err(|error| Error::check(format!("the HTML report: {error:#}")))
}

/// Writes a value with `digits` decimals; zero has no sign.
pub fn fixed(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    match text.strip_prefix('-') {
        Some(digits) if !digits.contains(|c| ('1'..='9').contains(&c)) => digits.into(),
        _ => text,
    }
}

/// Places values from `low` to `high` on a line of the drawing.
pub struct Axis {
    pub low: f64,
    pub high: f64,
    from: f64,
    to: f64,
}

impl Axis {
    pub fn new(low: f64, high: f64, from: f64, to: f64) -> Axis {
        let high = if high > low { high } else { low + 1.0 };
        Axis {
            low,
            high,
            from,
            to,
        }
    }

    pub fn at(&self, value: f64) -> f64 {
        self.from + (self.to - self.from) * (value - self.low) / (self.high - self.low)
    }

    /// Returns four to ten round numbers, each as text and with its place on the line.
    pub fn ticks(&self) -> Vec<(String, f64)> {
        let rough = (self.high - self.low) / 8.0;
        let power = 10f64.powf(rough.log10().floor());
        let steps = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
        let step = steps
            .into_iter()
            .find(|&step| step >= rough)
            .unwrap_or(rough);
        let digits = (-power.log10()).max(0.0) as usize;
        let first = (self.low / step).ceil() as i64;
        let ticks = (first..).map(|number| number as f64 * step);
        let ticks = ticks.take_while(|&value| value <= self.high + step * 1e-9);
        ticks
            .map(|value| (format!("{value:.digits$}"), self.at(value)))
            .collect()
    }
}
