//! Prints the sweep as a table, on a terminal and in Markdown.

use super::row::{Figures, Row};

/// Headings of the columns whose text is on the left.
const LEFT: [&str; 2] = ["board", "verdict"];

/// Table of strings, without the columns in which all are empty.
pub struct Table {
    pub headings: Vec<&'static str>,
    pub rows: Vec<Vec<String>>,
}

impl Table {
    pub fn of(rows: &[Row]) -> Table {
        let cells: Vec<_> = rows
            .iter()
            .enumerate()
            .map(|(at, row)| cells(at + 1, row))
            .collect();
        let shown = |column: &usize| cells.iter().any(|cells| !cells[*column].1.is_empty());
        let count = cells.first().map_or(0, Vec::len);
        let shown: Vec<usize> = (0..count).filter(shown).collect();
        let of_row = |cells: &Vec<(_, String)>| {
            let cells = shown.iter().map(|&column| cells[column].1.clone());
            cells.collect()
        };
        Table {
            headings: shown.iter().map(|&column| cells[0][column].0).collect(),
            rows: cells.iter().map(of_row).collect(),
        }
    }

    pub fn is_left(heading: &str) -> bool {
        LEFT.contains(&heading)
    }
}

/// Returns heading and text of each column.
fn cells(number: usize, row: &Row) -> Vec<(&'static str, String)> {
    let figure = |of: &dyn Fn(&Figures) -> Option<String>| {
        row.figures.as_ref().and_then(of).unwrap_or_default()
    };
    let verdict = match (&row.reason, &row.limits_missed[..]) {
        (Some(reason), _) => format!("refused: {reason}"),
        (None, []) => "pass".into(),
        (None, missed) => format!("FAIL: {}", missed.join(", ")),
    };
    vec![
        ("#", number.to_string()),
        ("board", row.board.clone()),
        ("chunk", row.chunk.to_string()),
        ("step", row.step.to_string()),
        ("cache", row.cache.to_string()),
        ("hidden", row.hidden.to_string()),
        ("layers", row.layers.to_string()),
        (
            "500 frames",
            figure(&|row| Some(format!("{:.1}", row.sequence_500_ms))),
        ),
        (
            "step p99",
            figure(&|row| Some(format!("{:.2}", row.step_ms.p99))),
        ),
        (
            "structural p95",
            figure(&|row| Some(format!("{:.0}", row.structural_ms?.p95))),
        ),
        (
            "word p95",
            figure(&|row| Some(format!("{:.0}", row.word_end_to_detection_ms?.latency.p95))),
        ),
        (
            "found %",
            figure(&|row| Some(format!("{:.1}", 100.0 * row.accuracy.as_ref()?.found))),
        ),
        (
            "core %",
            figure(&|row| Some(format!("{:.1}", 100.0 * row.load.core))),
        ),
        (
            "steps %",
            figure(&|row| Some(format!("{:.1}", 100.0 * row.quiet?.duty))),
        ),
        (
            "quiet core %",
            figure(&|row| Some(format!("{:.1}", 100.0 * row.quiet?.load.core))),
        ),
        (
            "misses",
            figure(&|row| Some(row.deadline_misses.to_string())),
        ),
        ("memory", figure(&|row| Some(row.memory_bytes.to_string()))),
        ("image", figure(&|row| Some(row.image_bytes.to_string()))),
        ("verdict", verdict),
    ]
}

/// Says what the columns mean, and whose figures they are.
pub fn notes(rows: &[Row], latency_ms: u32) -> Vec<String> {
    let mut notes = vec![
        format!(
            "500 frames (in one piece), step p99 and both latencies in ms, limit {latency_ms}; memory (caches \
             and arena) and image in bytes; misses: of deadlines"
        ),
        "structural: a word that ends anywhere, decided by the step that commits its last frame; nothing is \
         recognised"
            .into(),
    ];
    let figures = || rows.iter().filter_map(|row| row.figures.as_ref());
    let mut add = |note: String| {
        if !notes.contains(&note) {
            notes.push(note);
        }
    };
    for row in rows {
        let Some((model, figures)) = row.model.as_ref().zip(row.figures.as_ref()) else {
            continue;
        };
        if let Some(spoken) = &figures.word_end_to_detection_ms {
            add(format!(
                "word: from its end to its detection, {} words that {model} detected",
                spoken.words
            ));
        }
        if figures.quiet.is_some() {
            add(format!(
                "steps that run in the recordings by {model}, where the network rests while nobody speaks, and core then"
            ));
        }
        if let Some(accuracy) = &figures.accuracy {
            add(format!("found by {model}: {}", accuracy.basis));
        }
    }
    if rows.len() > figures().filter(|row| row.accuracy.is_some()).count() && figures().count() > 0
    {
        add("no accuracy where there is no compiled model, or no labelled audio".into());
    }
    for row in rows {
        if let Some(figures) = &row.figures {
            add(format!("{}: {}", row.board, figures.basis));
        }
    }
    notes
}

pub fn page(rows: &[Row], latency_ms: u32) -> String {
    let Table { headings, rows: of } = Table::of(rows);
    let lines: Vec<Vec<&str>> = [headings.clone()]
        .into_iter()
        .chain(
            of.iter()
                .map(|row| row.iter().map(String::as_str).collect()),
        )
        .collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max();
    let widths: Vec<usize> = (0..headings.len())
        .map(|column| width(column).unwrap_or(0))
        .collect();
    let mut text = String::new();
    for line in &lines {
        let columns = line.iter().zip(&widths).zip(&headings);
        let cells = columns.map(|((cell, &width), heading)| match Table::is_left(heading) {
            true => format!("{cell:<width$}"),
            false => format!("{cell:>width$}"),
        });
        text += cells.collect::<Vec<_>>().join("  ").trim_end();
        text.push('\n');
    }
    format!("{text}\n{}\n", notes(rows, latency_ms).join("\n"))
}

pub fn markdown(rows: &[Row], latency_ms: u32) -> String {
    let Table { headings, rows: of } = Table::of(rows);
    let line = |cells: &[&str]| format!("| {} |\n", cells.join(" | "));
    let mut text = line(&headings);
    let rule = headings
        .iter()
        .map(|heading| match Table::is_left(heading) {
            true => "---",
            false => "---:",
        });
    text += &line(&rule.collect::<Vec<_>>());
    for row in &of {
        let cells: Vec<_> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
        text += &line(&cells.iter().map(String::as_str).collect::<Vec<_>>());
    }
    let notes = notes(rows, latency_ms).into_iter();
    text + "\n" + &notes.map(|note| format!("- {note}\n")).collect::<String>()
}
