//! Renders pages that need no other file, in the look that all reports have.

use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment};
use serde::Serialize;

use crate::charts;
use crate::error::{Error, Result};
use crate::escape;

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
    environment.add_filter("count", count);
    let style = format!("{STYLE}{}", charts::STYLE);
    environment.add_global("style", Value::from_safe_string(style));
    filters(&mut environment);
    let page = environment.render_str(template, Value::from(Serde(page)));
    let page = page.map_err(|error| Error::check(format!("the HTML report: {error:#}")))?;
    Ok(escape::text(&page))
}

/// Writes a value with `digits` decimals; zero has no sign.
pub fn fixed(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    match text.strip_prefix('-') {
        Some(digits) if !digits.contains(|c| ('1'..='9').contains(&c)) => digits.into(),
        _ => text,
    }
}

/// Writes a number with a comma between groups of three digits.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().collect();
    let groups: Vec<_> = groups.into_iter().map(String::from_utf8_lossy).collect();
    groups.join(",")
}
