//! Writes the report for a terminal: a table of the operators, what it comes to, what to do.

use zerda_support::escape;
use zerda_support::html::fixed;

use super::{Int8Cost, Row};

/// Number of characters that a name may have; of longer ones the end is shown, which tells them
/// apart.
const NAME: usize = 31;

pub fn table(report: &Int8Cost) -> String {
    let [name, shape, macs, bytes, range] = ["operator", "shape", "MACs", "bytes", "range"];
    let [sqnr, saturated, regained] = ["SQNR", "satur.", "regained"];
    let mut text = format!(
        "{:>5} {name:<NAME$} {shape:<17} {macs:>7} {bytes:>6} {range:>17} {sqnr:>5} {saturated:>7} \
         {regained:>8}\n",
        ""
    );
    let [worst, costliest] = report.marked();
    for row in std::iter::once(&report.input).chain(&report.operators) {
        let mark = match row.number {
            number if number == worst || number == costliest || row.stands_out => ">",
            _ => "",
        };
        let number = row
            .number
            .map_or_else(String::new, |number| number.to_string());
        text += &format!(
            "{mark:<1} {number:>3} {:<NAME$} {:<17} {:>7} {:>6} {:>17} {:>5} {:>7} {:>8}\n",
            fitted(&row.label()),
            row.shape,
            row.macs,
            row.bytes,
            row.range_text(),
            decibels(row.sqnr_db),
            percent(row.saturation),
            fixed(row.regained_db, 2),
        );
    }
    text + "> lowest SQNR, most regained, or named below. SQNR (dB, against float) and saturation are \
            measured on the\n  firmware's integers; regained (dB of the logits' SQNR, were that \
            operator alone in float) is measured in tract\n  with fake quantization; MACs of a step \
            and bytes of constants are counted.\n"
        + &summary(report)
}

/// Writes what the report comes to, and what to do.
pub fn summary(report: &Int8Cost) -> String {
    let (end, audio) = (&report.end_to_end, &report.audio);
    let mut text = format!(
        "{} against {}, measured on {} of {} recordings, {:.1} s\n\
         logits      {} dB signal to quantization noise; with fake quantization in tract {} dB\n\
         posteriors  {:.4} apart on average, {:.3} at most\n\
         answers     {} of {} recordings have another top-1 in INT8 than in float\n",
        escape::line(&report.image.file),
        escape::line(&report.onnx),
        audio.recordings,
        audio.given,
        audio.seconds,
        decibels(end.sqnr_db),
        decibels(end.simulated_sqnr_db),
        end.posterior_mean_difference,
        end.posterior_largest_difference,
        end.differing.len(),
        audio.recordings,
    );
    match report.advice.as_slice() {
        [] => text += "advice      nothing stands out",
        advice => {
            let lines = advice
                .iter()
                .map(|advice| wrapped(&escape::line(&advice.text)));
            text += &lines.collect::<Vec<_>>().join("\n");
        }
    }
    text
}

/// Breaks a piece of advice into lines that fit a terminal, 120 columns at most, the first one
/// marked.
fn wrapped(advice: &str) -> String {
    let mut text = "advice     ".to_string();
    let mut length = text.len();
    for word in advice.split(' ') {
        if length + 1 + word.chars().count() > 120 {
            text += "\n           ";
            length = 11;
        }
        text += " ";
        text += word;
        length += 1 + word.chars().count();
    }
    text
}

/// Writes a figure in dB, or "-" where it is not finite: there is no error, or no signal.
pub fn decibels(decibels: f64) -> String {
    match decibels.is_finite() {
        true => format!("{decibels:.1}"),
        false => "-".into(),
    }
}

fn percent(share: f64) -> String {
    match share {
        0.0 => "0 %".into(),
        share => format!("{:.2} %", 100.0 * share),
    }
}

fn fitted(name: &str) -> String {
    let length = name.chars().count();
    match length > NAME {
        true => format!(
            "…{}",
            name.chars().skip(length + 1 - NAME).collect::<String>()
        ),
        false => name.into(),
    }
}

impl Int8Cost {
    /// Returns the numbers of the operators of lowest SQNR and of most regained.
    pub fn marked(&self) -> [Option<usize>; 2] {
        let finite = |figure: fn(&Row) -> f64| {
            let rows = self
                .operators
                .iter()
                .filter(move |row| figure(row).is_finite());
            rows.map(move |row| (figure(row), row.number))
        };
        let least = finite(|row| row.sqnr_db).min_by(|a, b| a.0.total_cmp(&b.0));
        let most = finite(|row| row.regained_db).max_by(|a, b| a.0.total_cmp(&b.0));
        [least, most].map(|found| found.and_then(|(_, number)| number))
    }
}

impl Row {
    /// Returns the name without what exporters put around it, safe on a terminal.
    pub fn label(&self) -> String {
        let name = self.name.strip_prefix('/').unwrap_or(&self.name);
        let name = name.strip_suffix("_output_0").unwrap_or(name);
        name.escape_debug().to_string()
    }

    pub fn range_text(&self) -> String {
        let [low, high] = self.range.map(|end| match end.abs() {
            0.0..10.0 => format!("{end:.2}"),
            10.0..1000.0 => format!("{end:.1}"),
            1000.0..1e6 => format!("{end:.0}"),
            _ => format!("{end:.0e}"),
        });
        format!("{low} to {high}")
    }
}
