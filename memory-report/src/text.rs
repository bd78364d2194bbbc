//! Prints the report on a terminal.

use zerda_support::html::count;

use crate::Reports;
use crate::report::Footprint;
use crate::shrinking::Row;

/// Number of parts that are shown of a board.
const SHOWN: usize = 8;

pub fn page(reports: &Reports) -> String {
    let mut text = String::new();
    for report in &reports.boards {
        text += &board(report);
    }
    text += &shrinking(&reports.shrinking);
    text += match reports.passes() {
        true => "memory PASS",
        false => "memory FAIL",
    };
    for report in reports
        .boards
        .iter()
        .filter(|report| report.verdict == "fail")
    {
        text += &format!(" {}", report.board);
    }
    text + "\n"
}

fn board(report: &Footprint) -> String {
    let mut text = format!(
        "{}: {}{}\n  flash   {:>9} of {:>9}   {:>5.1} %{}\n  RAM     {:>9} of {:>9}   {:>5.1} %{}\n  \
         in all  {:>9} of {:>9}   {:>5.1} %{}\n  stack   {}\n",
        report.board,
        report.verdict.to_uppercase(),
        if report.baseline.is_none() {
            ", NEW"
        } else {
            ""
        },
        count(report.flash.used),
        count(report.flash.budget),
        share(report.flash.used, report.flash.budget),
        change(report.baseline.as_ref().map(|change| change.flash_percent)),
        count(report.ram.used),
        count(report.ram.budget),
        share(report.ram.used, report.ram.budget),
        change(report.baseline.as_ref().map(|change| change.ram_percent)),
        count(report.total_bytes),
        count(report.budget_bytes),
        share(report.total_bytes, report.budget_bytes),
        change(report.baseline.as_ref().map(|change| change.change_percent)),
        stack(report),
    );
    if let Some(bytes) = report.spare_slot_bytes {
        text += &format!("  spare   {:>9} for updates, counted apart\n", count(bytes));
    }
    let parts = report.contributors(|_| true);
    for part in parts.iter().take(SHOWN) {
        text += &format!(
            "  {:>9} {:<8} {}\n",
            count(part.bytes),
            part.region,
            part.name
        );
    }
    let rest: u64 = parts.iter().skip(SHOWN).map(|part| part.bytes).sum();
    text += &format!("  {:>9} others\n", count(rest));
    for note in &report.notes {
        text += &format!("  note    {note}\n");
    }
    text
}

/// Says how much of the stack is used, and who says so.
pub fn stack(report: &Footprint) -> String {
    let stack = &report.stack;
    match stack.bytes {
        Some(bytes) => format!(
            "{} used ({}), {} margin",
            count(bytes),
            stack.basis,
            count(stack.margin)
        ),
        None => format!("{} reserved ({})", count(stack.margin), stack.basis),
    }
}

fn change(percent: Option<f64>) -> String {
    percent.map_or(String::new(), |percent| {
        format!("   {} against the baseline", signed(percent))
    })
}

fn shrinking(rows: &[Row]) -> String {
    let mut text = format!(
        "where 20 MB went: {:<10} {:>20} {:>20}\n",
        "", "baseline, float32", "image, INT8"
    );
    for row in rows {
        text += &format!(
            "  {:<26} {:>20} {:>20}\n",
            row.name,
            count(row.baseline),
            count(row.image)
        );
    }
    text + "  baseline: estimated from the shapes of its profile, 500 frames in one piece; image: measured\n"
}

/// Returns the share of `part` in `whole`, in percent.
pub fn share(part: u64, whole: u64) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}

/// Writes a change in percent with its sign, which is `±` where the change rounds to nothing.
pub fn signed(percent: f64) -> String {
    match percent.abs() < 0.05 {
        true => "±0.0 %".into(),
        false => format!("{percent:+.1} %"),
    }
}
