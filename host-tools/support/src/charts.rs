//! Draws the charts of all report pages as SVG: axes with round ticks, curves, bars, dots, limits, treemaps, legends.
//!
//! A [`Chart`] takes values, places them by the [`Scale`] of each axis, and ends as a piece of a page
//! ([`Chart::html`]) or of a drawing of its own ([`drawing`]). Colours are classes of `charts/charts.css`, so that a
//! page is readable on light and on dark, and on paper.
//!
//! Plotters, the library for charts, was weighed and left out: its SVG has colours written into each element, and
//! neither classes nor titles nor links, so that pages would lose their dark colours, the text under the pointer and
//! the way from a mark to its row. What remains, placing values and writing elements, is this file, and the first
//! build compiles no crate for it.

mod scale;
pub mod treemap;

use minijinja::HtmlEscape;

pub use scale::Scale;
use treemap::Rectangle;

/// Style sheet of the charts, which every page includes.
pub const STYLE: &str = include_str!("charts/charts.css");

/// Number of colours that the style sheet has.
const COLOURS: usize = 12;

/// Height that a line of text takes in a block.
const LINE: f64 = 15.0;
/// Width that a letter takes, about.
const LETTER: f64 = 7.2;
/// Width below which a bar could not be seen.
const LEAST: f64 = 0.6;

/// Returns the class of the colour with this number; colours come again after the last.
pub fn colour(number: usize) -> String {
    format!("c{}", number % COLOURS)
}

/// Edges of the area in which values are drawn, in units of the drawing.
#[derive(Clone, Copy)]
pub struct Edges {
    pub left: f64,
    pub right: f64,
    pub top: f64,
    pub bottom: f64,
}

/// Edges that a chart has by default.
pub const PLOT: Edges = Edges::from(16.0, 320.0);

impl Edges {
    /// Returns edges of the usual width.
    pub const fn from(top: f64, bottom: f64) -> Edges {
        Edges {
            left: 60.0,
            right: 1090.0,
            top,
            bottom,
        }
    }
}

/// Side of its place on which a text stands.
#[derive(Clone, Copy)]
pub enum Side {
    Right,
    Middle,
    Left,
}

/// Chart that is being drawn. What is drawn later covers what was drawn before.
pub struct Chart {
    edges: Edges,
    x: Scale,
    y: Scale,
    svg: String,
    legend: String,
    /// Height of the drawing.
    height: f64,
}

impl Chart {
    /// Starts a chart whose x values rise to the right and whose y values rise to the top.
    pub fn new(edges: Edges, x: Scale, y: Scale) -> Chart {
        Chart {
            edges,
            x,
            y,
            svg: String::new(),
            legend: String::new(),
            height: edges.bottom + 8.0,
        }
    }

    /// Returns the place of a value in the drawing.
    pub fn at(&self, x: f64, y: f64) -> (f64, f64) {
        let Edges {
            left,
            right,
            top,
            bottom,
        } = self.edges;
        (
            left + (right - left) * self.x.share(x),
            bottom + (top - bottom) * self.y.share(y),
        )
    }

    /// Returns the rectangle between two corners, which is never too narrow to be seen.
    pub fn between(&self, from: (f64, f64), to: (f64, f64)) -> Rectangle {
        let (from, to) = (self.at(from.0, from.1), self.at(to.0, to.1));
        Rectangle {
            x: from.0.min(to.0),
            y: from.1.min(to.1),
            width: (to.0 - from.0).abs().max(LEAST),
            height: (to.1 - from.1).abs(),
        }
    }

    /// Draws the grid and the labels of the x axis, and its name below them.
    pub fn x_axis(&mut self, name: &str) {
        let Edges {
            right, top, bottom, ..
        } = self.edges;
        for (value, label) in self.x.ticks() {
            let (x, _) = self.at(value, 0.0);
            self.line("grid", (x, top), (x, bottom));
            self.text("", (x, bottom + 18.0), Side::Middle, &label);
        }
        self.text("", (right, bottom + 36.0), Side::Left, name);
        self.height = bottom + 42.0;
    }

    /// Draws the grid and the labels of the y axis, and its name above them.
    pub fn y_axis(&mut self, name: &str) {
        let Edges { left, right, .. } = self.edges;
        for (value, label) in self.y.ticks() {
            let (_, y) = self.at(0.0, value);
            self.line("grid", (left, y), (right, y));
            self.text("", (left - 8.0, y + 4.0), Side::Left, &label);
        }
        self.heading(name);
    }

    /// Writes what is drawn above the left end.
    pub fn heading(&mut self, text: &str) {
        self.text(
            "",
            (self.edges.left, self.edges.top - 4.0),
            Side::Right,
            text,
        );
    }

    /// Draws a line at a value of x: a `mark`, named at its foot, or a `limit`, named at its head.
    pub fn vertical(&mut self, class: &str, value: f64, name: &str) {
        let Edges {
            left, top, bottom, ..
        } = self.edges;
        let (x, _) = self.at(value, 0.0);
        self.line(class, (x, top), (x, bottom));
        let y = if class == "limit" {
            top + 12.0
        } else {
            bottom - 8.0
        };
        match x - left < LETTER * name.len() as f64 {
            true => self.text(class, (x + 6.0, y), Side::Right, name),
            false => self.text(class, (x - 6.0, y), Side::Left, name),
        }
    }

    /// Draws a line at a value of y, named at its left end.
    pub fn horizontal(&mut self, class: &str, value: f64, name: &str) {
        let (_, y) = self.at(0.0, value);
        let Edges { left, right, .. } = self.edges;
        self.line(class, (left, y), (right, y));
        self.text(class, (left + 6.0, y - 4.0), Side::Right, name);
    }

    /// Draws a curve through values of x and y.
    pub fn curve(&mut self, class: &str, values: impl IntoIterator<Item = (f64, f64)>) {
        let points = self.points(values);
        self.svg += &format!("<polyline class=\"curve {class}\" points=\"{points}\"/>");
    }

    /// Fills the area within values of x and y.
    pub fn area(&mut self, class: &str, values: impl IntoIterator<Item = (f64, f64)>) {
        let points = self.points(values);
        self.svg += &format!("<polygon class=\"{class}\" points=\"{points}\"/>");
    }

    fn points(&self, values: impl IntoIterator<Item = (f64, f64)>) -> String {
        let places = values.into_iter().map(|(x, y)| self.at(x, y));
        let points = places.map(|(x, y)| format!("{x:.1},{y:.1}"));
        points.collect::<Vec<_>>().join(" ")
    }

    /// Draws a bar between two corners, each a value of x and one of y.
    pub fn bar(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        self.rectangle(class, self.between(from, to));
    }

    /// Draws a dot at a value of x and one of y.
    pub fn dot(&mut self, class: &str, x: f64, y: f64) {
        let (x, y) = self.at(x, y);
        self.svg += &format!("<circle class=\"dot {class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"/>");
    }

    /// Draws what `draw` does with a text under the pointer and, if there is one, a link.
    pub fn titled(&mut self, title: &str, link: Option<&str>, draw: impl FnOnce(&mut Chart)) {
        let (open, close) = match link {
            Some(link) => (format!("<a href=\"{}\">", HtmlEscape(link)), "</a>\n"),
            None => ("<g>".into(), "</g>\n"),
        };
        self.svg += &format!("{open}<title>{}</title>", HtmlEscape(title));
        draw(self);
        self.svg += close;
    }

    /// Draws a line between two places of the drawing.
    pub fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        self.svg += &format!(
            "<line class=\"{class}\" x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"/>",
            from.0, from.1, to.0, to.1
        );
    }

    /// Draws a rectangle at a place of the drawing.
    pub fn rectangle(&mut self, class: &str, place: Rectangle) {
        self.svg += &format!(
            "<rect class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>",
            place.x, place.y, place.width, place.height
        );
    }

    /// Writes a text on a side of a place of the drawing, if there is any.
    pub fn text(&mut self, class: &str, at: (f64, f64), side: Side, text: &str) {
        let anchor = match side {
            Side::Right => "start",
            Side::Middle => "middle",
            Side::Left => "end",
        };
        if !text.is_empty() {
            self.svg += &format!(
                "<text class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>\n",
                at.0,
                at.1,
                HtmlEscape(text)
            );
        }
    }

    /// Draws a rectangle with lines of text in it, as far as there is room: the first is cut if it is too long, others
    /// are left out.
    pub fn block(&mut self, class: &str, place: Rectangle, lines: &[(&str, &str)]) {
        self.rectangle(class, place);
        let letters = ((place.width - 8.0) / LETTER).max(0.0) as usize;
        let room = ((place.height / LINE) as usize).min(lines.len());
        for (number, (class, text)) in lines[..room].iter().enumerate() {
            let text = match number {
                0 => fitted(text, letters),
                _ if text.chars().count() > letters => continue,
                _ => text.to_string(),
            };
            let y = place.y + 13.0 + LINE * number as f64;
            self.text(class, (place.x + 4.0, y), Side::Right, &text);
        }
    }

    /// Adds a colour and what it stands for to the legend.
    pub fn legend(&mut self, class: &str, name: &str) {
        let name = HtmlEscape(name);
        self.legend += &format!("<span><i class=\"key {class}\"></i>{name}</span>\n");
    }

    /// Returns the chart as a piece of a page; `title` says to those who cannot see it what it shows.
    pub fn html(self, title: &str) -> String {
        let legend = match &self.legend[..] {
            "" => String::new(),
            legend => format!("<p class=\"legend\">{legend}</p>"),
        };
        format!(
            "{legend}<div class=\"chart\"><svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">\n{}</svg></div>",
            PLOT.right + 20.0,
            self.height,
            HtmlEscape(title),
            self.svg
        )
    }
}

/// Returns charts, each at its own place, as one drawing that needs no page.
pub fn drawing(width: f64, height: f64, charts: impl IntoIterator<Item = Chart>) -> String {
    let parts: String = charts.into_iter().map(|chart| chart.svg).collect();
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\">\n\
         <style>{STYLE}</style>\n<rect class=\"paper\" width=\"100%\" height=\"100%\"/>\n{parts}</svg>\n"
    )
}

/// Cuts a text that is too long; returns nothing where too little would be left.
fn fitted(text: &str, letters: usize) -> String {
    const LEAST: usize = 4;
    match text.chars().count() {
        length if length <= letters => text.into(),
        _ if letters < LEAST => String::new(),
        _ => text.chars().take(letters - 1).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_lie_where_their_scale_puts_them_and_zero_has_a_place_among_logarithms() {
        let chart = Chart::new(
            PLOT,
            Scale::linear(-1.0, 1.0),
            Scale::logarithmic(0.1, 10.0),
        );
        assert_eq!(chart.at(0.0, 1.0), (575.0, 168.0));
        assert_eq!(chart.at(1.0, 0.0), (1090.0, 320.0));
        let thin = chart.between((0.5, 0.1), (0.5, 10.0));
        assert_eq!((thin.width, thin.height), (LEAST, 304.0));
    }

    #[test]
    fn no_name_becomes_an_element() {
        let mut chart = Chart::new(PLOT, Scale::linear(0.0, 1.0), Scale::linear(0.0, 1.0));
        chart.legend("c0", "<i>");
        chart.titled("<i>", Some("#\"<i>"), |chart| chart.dot("c0", 0.5, 0.5));
        chart.block(
            "c0",
            chart.between((0.0, 0.0), (1.0, 1.0)),
            &[("", "<i>"), ("", "<i>")],
        );
        let html = chart.html("<i>");
        assert_eq!(html.matches("<i>").count(), 0);
        assert_eq!(html.matches("&lt;i&gt;").count(), 6);
    }

    #[test]
    fn a_text_is_cut_to_its_room_and_left_out_where_there_is_none() {
        let mut chart = Chart::new(PLOT, Scale::linear(0.0, 1.0), Scale::linear(0.0, 1.0));
        let mut block = |width, height| {
            let place = Rectangle {
                x: 0.0,
                y: 0.0,
                width,
                height,
            };
            chart.svg.clear();
            chart.block("", place, &[("", "feed forward"), ("", "16,384")]);
            let texts = chart.svg.split("<text").skip(1);
            let texts = texts.map(|text| text.split(['>', '<']).nth(1).unwrap().to_string());
            texts.collect::<Vec<_>>()
        };
        assert_eq!(block(100.0, 40.0), ["feed forward", "16,384"]);
        assert_eq!(block(60.0, 40.0), ["feed f…", "16,384"]);
        assert_eq!(block(60.0, 20.0), ["feed f…"]);
        assert!(block(60.0, 10.0).is_empty() && block(20.0, 40.0).is_empty());
    }
}
