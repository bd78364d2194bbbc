//! Prints the report as Markdown, for a comment on a pull request: verdict, a table, and the rest folded
//! away.

use zerda_support::html::count;

use crate::Reports;
use crate::part::{Kind, Part};
use crate::report::{Footprint, Use};
use crate::text::{share, signed, stack};

/// Largest number of parts within a part that are listed.
const LISTED: usize = 12;

pub fn page(reports: &Reports) -> String {
    let mut text = match reports.passes() {
        true => "### Memory: PASS ✅\n\n".to_string(),
        false => "### Memory: FAIL ❌\n\n".to_string(),
    };
    for report in &reports.boards {
        for failure in &report.failures {
            text += &format!("- **{}**: {failure}\n", report.board);
        }
        for note in &report.notes {
            text += &format!("- {}: {note}\n", report.board);
        }
    }
    if !text.ends_with("\n\n") {
        text.push('\n');
    }
    text += "| board | flash | RAM, stack included | in all | against the baseline |\n\
             |---|---:|---:|---:|---:|\n";
    for report in &reports.boards {
        let change = report.baseline.as_ref();
        let change = change.map_or("NEW".into(), |change| {
            format!(
                "flash {}, RAM {}",
                signed(change.flash_percent),
                signed(change.ram_percent)
            )
        });
        text += &format!(
            "| {} | {} | {} | {} | {change} |\n",
            report.board,
            of(&report.flash),
            of(&report.ram),
            of(&report.total())
        );
    }
    text += &format!(
        "\nBytes of the firmware with `{}`, and their share of the budget. More than {} % of growth fails \
         unless the baseline is renewed in the same change.\n",
        reports.image, reports.growth_percent
    );
    for report in &reports.boards {
        if let Some(bytes) = report.spare_slot_bytes {
            text += &format!(
                "\n{}: {} bytes of a spare slot for updates, counted apart.\n",
                report.board,
                count(bytes)
            );
        }
    }
    for report in &reports.boards {
        text += &details(report);
    }
    text + &shrinking(reports)
}

fn of(usage: &Use) -> String {
    let share = share(usage.used, usage.budget);
    format!("{} ({share:.1} %)", count(usage.used))
}

fn details(report: &Footprint) -> String {
    let mut text = format!(
        "\n<details><summary>{}: every byte</summary>\n\nStack: {}.\n\n",
        report.board,
        stack(report)
    );
    if let Some(change) = report
        .baseline
        .as_ref()
        .filter(|change| !change.parts.is_empty())
    {
        text += "| region | changed | was | is | |\n|---|---|---:|---:|---:|\n";
        for part in change.parts.iter().take(LISTED) {
            text += &format!(
                "| {} | {} | {} | {} | {:+} |\n",
                part.region,
                part.name,
                count(part.was),
                count(part.bytes),
                part.signed()
            );
        }
        text.push('\n');
    }
    text += "| region | part | bytes |\n|---|---|---:|\n";
    for region in &report.parts {
        for part in &region.children {
            let name = match part.kind {
                Kind::Unused => "*unused*",
                _ => part.name.as_str(),
            };
            text += &format!("| {} | {name} | {} |\n", region.name, count(part.bytes));
            within(&mut text, part);
        }
    }
    text + "\n</details>\n"
}

/// Lists the largest parts within a part, and what the others are together.
fn within(text: &mut String, part: &Part) {
    for child in part.children.iter().take(LISTED) {
        let name = child.name.replace('|', "\\|");
        *text += &format!("| | &emsp;{name} | {} |\n", count(child.bytes));
    }
    let others = part.children.iter().skip(LISTED);
    let rest: u64 = others.clone().map(|child| child.bytes).sum();
    if rest > 0 {
        let others = others.count();
        *text += &format!("| | &emsp;*{others} others* | {} |\n", count(rest));
    }
}

fn shrinking(reports: &Reports) -> String {
    let mut text = "\n<details><summary>Where 20 MB went</summary>\n\n\
                    | | `baseline`, float32 (estimated) | image, INT8 (measured) |\n|---|---:|---:|\n"
        .to_string();
    for row in &reports.shrinking {
        text += &format!(
            "| {} | {} | {} |\n",
            row.name,
            count(row.baseline),
            count(row.image)
        );
    }
    text + "\nBytes. Estimated from the shapes of the profile `baseline`, 500 frames in one piece; measured on \
            the image.\n\n</details>\n"
}
